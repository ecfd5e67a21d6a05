"""Kernel distance: unbiased MMD^2 with a cubic kernel (Binkowski et al. 2018, arXiv 1801.01401, section
3)."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.metrics.inception_score import MeanStd
from zoo.metrics.pairs import SamplePairs
from zoo.metrics.processes import in_float64

SUBSET = 1000  # samples a side, as in the paper


class KernelDistance(SamplePairs):
    """Mean and population std, over random subsets, of the unbiased MMD^2 with k(a, b) = (a.b / d + 1)^3.

    Called KID only on 2015 Inception features. May be negative. Each subset holds min(subset_size, N) samples
    a side, without replacement, from a generator seeded with `seed`; features are sorted by their global
    index first, so the value does not depend on the number of processes.
    """

    higher_is_better = False

    def __init__(self, *, subsets: int = 100, subset_size: int = SUBSET, seed: int = 0) -> None:
        super().__init__()
        if subsets < 1 or subset_size < 2:
            raise ValueError(f"need one subset or more of two samples or more, got {subsets} of {subset_size}")
        self.subsets, self.subset_size, self.seed = subsets, subset_size, seed

    def compute(self) -> MeanStd:
        """Raises ValueError with fewer than two samples on a side."""
        real, fake = (in_float64(features) for features in self.both(least=2))
        m = min(self.subset_size, len(real), len(fake))
        generator = torch.Generator().manual_seed(self.seed)
        buffer = real.new_empty(m, m)
        values = []
        for _ in range(self.subsets):
            a = real[torch.randperm(len(real), generator=generator)[:m].to(real.device)]
            b = fake[torch.randperm(len(fake), generator=generator)[:m].to(fake.device)]
            values.append(mmd2(a, b, buffer=buffer))
        result = torch.stack(values)
        return MeanStd(result.mean(), result.std(correction=0))


def mmd2(x: Tensor, y: Tensor, *, buffer: Tensor | None = None) -> Tensor:
    """Unbiased MMD^2 of x and y, each [m, d], under the cubic kernel; []. Pairs of a sample with itself are
    left out.

    buffer [m, m] is overwritten; without it one is allocated (fresh memory costs more than the arithmetic on
    a CPU).
    """
    m = len(x)
    if x.shape != y.shape:
        raise ValueError(f"the two sets must have the same shape, got {list(x.shape)} and {list(y.shape)}")
    buffer = x.new_empty(m, m) if buffer is None else buffer
    within = torch.zeros_like(x[0, 0])
    for z in (x, y):
        k = _cubic(z, z, out=buffer)
        within = within + (k.sum() - k.trace()) / (m * (m - 1))
    return within - 2 * _cubic(x, y, out=buffer).mean()


def _cubic(x: Tensor, y: Tensor, *, out: Tensor) -> Tensor:
    return torch.mm(x, y.T, out=out).div_(x.shape[1]).add_(1).pow_(3)
