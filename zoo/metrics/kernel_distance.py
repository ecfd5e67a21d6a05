"""Kernel distance: unbiased MMD^2 with a cubic kernel (Binkowski et al. 2018, arXiv 1801.01401, section
3)."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.metrics.inception_score import MeanStd
from zoo.metrics.pairs import SamplePairs
from zoo.metrics.processes import in_float64

SUBSET = 1000  # samples a side, as in the paper
ROWS = 500  # of a kernel matrix at a time

Known = dict[tuple[int, ...], Tensor]


class KernelDistance(SamplePairs):
    """Mean and population std, over random subsets, of the unbiased MMD^2 with k(a, b) = (a.b / d + 1)^3.

    Called KID only on 2015 Inception features. May be negative. Each subset holds min(subset_size, N) samples
    a side, without replacement, from a generator seeded with `seed`; features are sorted by their global
    index first, so the value does not depend on the number of processes.

    Attributes:
        known: the reals' own terms; another distance from the same reals may take them over.
    """

    higher_is_better = False

    def __init__(self, *, subsets: int = 100, subset_size: int = SUBSET, seed: int = 0) -> None:
        super().__init__()
        if subsets < 1 or subset_size < 2:
            raise ValueError(f"need one subset or more of two samples or more, got {subsets} of {subset_size}")
        self.subsets, self.subset_size, self.seed = subsets, subset_size, seed
        self.known: Known = {}

    def compute(self) -> MeanStd:
        """Raises ValueError with fewer than two samples on a side."""
        real, fake = (in_float64(features) for features in self.both(least=2))
        m = min(self.subset_size, len(real), len(fake))
        generator = torch.Generator().manual_seed(self.seed)
        drawn = [
            torch.randperm(len(side), generator=generator)[:m].to(side.device)
            for _ in range(self.subsets)
            for side in (real, fake)
        ]
        of_real, of_fake = torch.stack(drawn[::2]), torch.stack(drawn[1::2])
        key = (len(real), len(fake), m, self.subsets, self.seed)  # of which the subsets of the reals are a function
        if key not in self.known:
            self.known[key] = kernel_means(real, real, of_real, of_real, itself=False)
        within = self.known[key].to(real.device) + kernel_means(fake, fake, of_fake, of_fake, itself=False)
        result = within - 2 * kernel_means(real, fake, of_real, of_fake)
        return MeanStd(result.mean(), result.std(correction=0))


def kernel_means(x: Tensor, y: Tensor, of_x: Tensor, of_y: Tensor, *, itself: bool = True) -> Tensor:
    """The mean of the cubic kernel over all pairs, for each of S subsets; [S].

    The subsets' own matrices are computed one by one, or, where that is less work, that of all samples at once: with
    columns 1_A and 1_B that say who is in a subset, its sum is 1_A' K 1_B.

    Args:
        x, y: [N, d] and [M, d], float64.
        of_x, of_y: the subsets' members, int64 [S, m].
        itself: whether pairs of a sample with itself count; without them x is y.
    """
    if x.shape[1:] != y.shape[1:]:
        raise ValueError(f"features of both sets must have the same shape, got {list(x.shape)} and {list(y.shape)}")
    subsets, m = of_x.shape
    d = x.shape[1]
    at_once = len(x) * len(y) * (d + subsets) < subsets * m * m * d
    sums = (sums_at_once if at_once else sums_one_by_one)(x, y, of_x, of_y, itself=itself)
    return sums / (m * m if itself else m * (m - 1))


def sums_one_by_one(x: Tensor, y: Tensor, of_x: Tensor, of_y: Tensor, *, itself: bool) -> Tensor:
    """Sums of the kernel; arguments as for `kernel_means`."""
    buffer = x.new_empty(of_x.shape[1], of_y.shape[1])  # fresh memory costs more than the arithmetic on a CPU
    sums = []
    for a, b in zip(of_x, of_y, strict=True):
        k = _cubic(x[a], y[b], out=buffer)
        sums.append(k.sum() if itself else k.sum() - k.trace())
    return torch.stack(sums)


def sums_at_once(x: Tensor, y: Tensor, of_x: Tensor, of_y: Tensor, *, itself: bool) -> Tensor:
    """Sums of the kernel; arguments as for `kernel_means`."""
    in_x, in_y = (x.new_zeros(len(z), len(of)).scatter_(0, of.T, 1.0) for z, of in ((x, of_x), (y, of_y)))
    buffer = x.new_empty(min(ROWS, len(x)), len(y))
    sums = x.new_zeros(len(of_x))
    for start in range(0, len(x), ROWS):
        rows = x[start : start + ROWS]
        k = _cubic(rows, y, out=buffer[: len(rows)])
        if not itself:
            k.diagonal(start).zero_()
        sums += (in_x[start : start + ROWS] * (k @ in_y)).sum(0)
    return sums


def _cubic(x: Tensor, y: Tensor, *, out: Tensor) -> Tensor:
    return torch.mm(x, y.T, out=out).div_(x.shape[1]).add_(1).pow_(3)
