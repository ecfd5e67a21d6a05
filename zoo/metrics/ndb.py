"""Number of statistically different bins (Richardson & Weiss 2018, arXiv 1805.12462, section 3)."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric

from zoo.errors import EvaluationError
from zoo.metrics.neighbours import distance_rows
from zoo.metrics.pairs import refuse
from zoo.metrics.processes import in_float64

MANY = 1000  # dimensions above which a random sixth of them is looked at


class NDBValues(NamedTuple):
    """NDB / K in [0, 1] and the Jensen-Shannon divergence of the two histograms in nats; each float64 []."""

    share: Tensor
    jsd: Tensor


class StatisticallyDifferentBins(Metric):
    """Bins of real images (k-means, K centres) that fakes fill differently, by a two-proportion z-test at 5 %.

    Held-out reals give about 0.05. The bins come from `NDB.fit`; updates count fakes.

    Args:
        centres: float64 [K, D], D the dimensions looked at.
        counts: reals in each bin, int64 [K].
        dimensions: which of the flattened pixels these are, int64 [D].
    """

    higher_is_better = False
    is_differentiable = False
    full_state_update = False

    found: Tensor

    def __init__(self, centres: Tensor, *, counts: Tensor, dimensions: Tensor) -> None:
        super().__init__()
        self.centres, self.counts, self.dimensions = centres, counts, dimensions
        self.add_state("found", torch.zeros(len(centres), dtype=torch.int64), dist_reduce_fx="sum")

    @classmethod
    def fit(cls, reals: Tensor, *, bins: int = 100, seed: int = 0, iterations: int = 50) -> StatisticallyDifferentBins:
        """Bins of uint8 or float reals [N, ...]. Raises ValueError with fewer reals than bins, or a pixel that is NaN.

        The authors take K = 100 and about 500 reals a bin.
        """
        x = reals.flatten(1)
        if len(x) < bins:
            raise EvaluationError(f"{len(x)} reals cannot fill {bins} bins: take more reals or fewer bins")
        generator = torch.Generator().manual_seed(seed)
        dimensions = torch.arange(x.shape[1])
        if x.shape[1] > MANY:
            dimensions = torch.randperm(x.shape[1], generator=generator)[: x.shape[1] // 6].sort().values
        x = in_float64(x[:, dimensions.to(x.device)])
        refuse(~x.isfinite(), "pixels")
        centres = k_means(x, bins, generator=generator, iterations=iterations)
        return cls(centres, counts=torch.bincount(nearest(x, centres), minlength=bins), dimensions=dimensions)

    def update(self, images: Tensor) -> None:
        """Count fakes [n, ...] of the reals' shape and scale."""
        x = in_float64(images.flatten(1)[:, self.dimensions.to(images.device)])
        refuse(~x.isfinite(), "pixels")
        bins = nearest(x, self.centres.to(x.device))
        self.found = self.found + torch.bincount(bins, minlength=len(self.centres))

    def compute(self) -> NDBValues:
        """Raises ValueError without fakes."""
        real, fake = self.counts.to(self.found.device), self.found
        if not int(fake.sum()):
            raise EvaluationError("there are no fakes to put into bins")
        different = z_test(real, fake) > NORMAL_975
        return NDBValues(different.double().mean(), jensen_shannon(real, fake))


NORMAL_975 = 1.959963984540054  # two-sided 5 %


def z_test(real: Tensor, fake: Tensor) -> Tensor:
    """|z| of the pooled two-proportion test, bin by bin: counts [K] and [K] -> float64 [K]; 0 for two empty bins."""
    n, m = real.sum().double(), fake.sum().double()
    p, q = real / n, fake / m
    pooled = (real + fake) / (n + m)
    error = (pooled * (1 - pooled) * (1 / n + 1 / m)).sqrt()
    return torch.where(error > 0, (p - q).abs() / error.clamp(min=1e-300), torch.zeros_like(p))


def jensen_shannon(p: Tensor, q: Tensor) -> Tensor:
    """Divergence of two histograms [K] (shares or counts) in nats, 0 .. ln 2."""
    p, q = p.double() / p.sum(), q.double() / q.sum()
    mean = (p + q) / 2
    entropies = torch.stack([torch.special.entr(h).sum() for h in (mean, p, q)])
    return (entropies[0] - (entropies[1] + entropies[2]) / 2).clamp(0, math.log(2))


def nearest(x: Tensor, centres: Tensor) -> Tensor:
    """Number of the nearest centre [K, D] of each x [N, D], int64 [N]."""
    parts = [squared.argmin(dim=1) for _, squared in distance_rows(x, centres)]
    return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.int64, device=x.device)


def k_means(x: Tensor, k: int, *, generator: torch.Generator, iterations: int) -> Tensor:
    """Centres [k, D] of x [N, D] by Lloyd's iterations from a k-means++ start; an emptied bin keeps its centre."""
    first = int(torch.randint(len(x), (1,), generator=generator))
    centres = x[first : first + 1]
    closest = (x - centres).square().sum(dim=1)
    for _ in range(k - 1):
        weights = closest.cpu() if bool(closest.any()) else torch.ones(len(x))
        new = x[int(torch.multinomial(weights, 1, generator=generator))]
        centres = torch.cat([centres, new[None]])
        closest = torch.minimum(closest, (x - new).square().sum(dim=1))
    before = None
    for _ in range(iterations):
        bins = nearest(x, centres)
        if before is not None and torch.equal(bins, before):
            break
        before = bins
        sums = torch.zeros_like(centres).index_add_(0, bins, x)
        counts = torch.bincount(bins, minlength=k)[:, None]
        centres = torch.where(counts > 0, sums / counts.clamp(min=1), centres)
    return centres
