"""Kernel distance: unbiased MMD^2 with a cubic kernel (Binkowski et al. 2018, arXiv 1801.01401, section
3)."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from zoo.metrics.frechet import Side
from zoo.metrics.inception_score import MeanStd


class KernelDistance(Metric):
    """Mean and population std, over random subsets, of the unbiased MMD^2 with k(a, b) = (a.b / d + 1)^3.

    Called KID only on 2015 Inception features. May be negative. Each subset holds min(subset_size, N) samples
    a side, without replacement, from a generator seeded with `seed`; features are sorted by their global
    index first, so the value does not depend on the number of processes.
    """

    higher_is_better = False
    is_differentiable = False
    full_state_update = False

    real_features: list[Tensor]
    real_index: list[Tensor]
    fake_features: list[Tensor]
    fake_index: list[Tensor]

    def __init__(self, *, subsets: int = 100, subset_size: int = 1000, seed: int = 0) -> None:
        super().__init__()
        if subsets < 1 or subset_size < 2:
            raise ValueError(f"need one subset or more of two samples or more, got {subsets} of {subset_size}")
        self.subsets, self.subset_size, self.seed = subsets, subset_size, seed
        for name in ("real_features", "real_index", "fake_features", "fake_index"):
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, features: Tensor, *, index: Tensor, side: Side) -> None:
        """Keep features [n, d] of the samples with these global indices, int64 [n].

        n may be 0, and under torch.distributed a process without samples must say so by such an update, which
        gives its state the shape that the others' have.
        """
        if features.ndim != 2 or len(features) != len(index):
            raise ValueError(f"{len(index)} indices for features of shape {list(features.shape)}")
        (self.real_features if side == "real" else self.fake_features).append(features)
        (self.real_index if side == "real" else self.fake_index).append(index)

    def sorted_features(self, side: Side) -> Tensor:
        """All features [N, d] of a side in the order of their global index. Raises ValueError for a repeated
        index."""
        features = dim_zero_cat(self.real_features if side == "real" else self.fake_features)
        index = dim_zero_cat(self.real_index if side == "real" else self.fake_index)
        index, order = index.sort()
        if bool((index.diff() == 0).any()):
            raise ValueError(f"{int((index.diff() == 0).sum())} {side} samples were counted more than once")
        return features[order]

    def compute(self) -> MeanStd:
        """Raises ValueError with fewer than two samples on a side."""
        real, fake = self.sorted_features("real").double(), self.sorted_features("fake").double()
        m = min(self.subset_size, len(real), len(fake))
        if m < 2:
            raise ValueError(f"a kernel distance needs two samples or more a side, got {len(real)} and {len(fake)}")
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
