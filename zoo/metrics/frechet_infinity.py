"""The Frechet distance extrapolated to infinitely many fakes (Chong & Forsyth 2020, arXiv 1911.07023, section 4)."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor
from torchmetrics.utilities import dim_zero_cat

from zoo.errors import EvaluationError
from zoo.metrics.frechet import FrechetDistance, Gaussian, distance
from zoo.metrics.pairs import Side, refuse


class FrechetInfinity(FrechetDistance):
    """Intercept of the least-squares line through the distances of subsets of N fakes, over 1 / N.

    The distance is biased upwards by about c / N, with a c that depends on the generator. `points` values of N spread
    evenly from `smallest` to all fakes (the authors take 15 from 5,000 to 50,000); each subset is drawn without
    replacement from a generator seeded with `seed`. The reals are all there are.
    """

    fake_index: list[Tensor]

    def __init__(self, dim: int, *, points: int = 15, smallest: int | None = None, seed: int = 0) -> None:
        super().__init__(dim)
        if points < 2:
            raise EvaluationError(f"a line needs two points or more, got {points}")
        self.points, self.smallest, self.seed = points, smallest, seed
        self.add_state("fake_index", [], dist_reduce_fx="cat")

    def update(self, features: Tensor, *, side: Side, index: Tensor | None = None) -> None:
        """As of the distance; the fakes [n, dim] are all kept, and need their global indices, int64 [n]."""
        if side == "real":
            super().update(features, side="real")
            return
        if index is None or len(index) != len(features) or features.shape[1:] != (self.dim,):
            raise EvaluationError(f"fakes must be [N, {self.dim}] with N indices, got {list(features.shape)}")
        refuse(~features.isfinite(), "features")
        self.fake_rows.append(features)
        self.fake_index.append(index)

    def compute(self) -> Tensor:
        """The extrapolated distance, float64 []; may be negative. Raises ValueError with too few fakes."""
        real = self.gaussian("real")
        fake = dim_zero_cat(self.fake_rows).cpu().double()[dim_zero_cat(self.fake_index).argsort().cpu()]
        smallest = len(fake) // 10 if self.smallest is None else self.smallest
        if not 2 <= smallest < len(fake):
            raise EvaluationError(
                f"fd_infinity cannot be extrapolated of {len(fake)} fakes and subsets of {smallest} and more: take 20 "
                "fakes or more, or leave it out"
            )
        if smallest <= self.dim:
            warnings.warn(f"subsets of {smallest} fakes for {self.dim} features: the line bends there", stacklevel=2)
        if real.root is None and real.cov is not None:
            real = real._replace(root=real.factor())  # once for all points
        sizes = torch.linspace(smallest, len(fake), self.points).long()
        generator = torch.Generator().manual_seed(self.seed)
        values = [distance(real, _gaussian(fake[torch.randperm(len(fake), generator=generator)[:n]])) for n in sizes]
        return intercept(1 / sizes.double(), torch.stack(values))


def _gaussian(x: Tensor) -> Gaussian:
    mean = x.mean(dim=0)
    rows = x - mean
    if len(x) <= x.shape[1]:
        return Gaussian(len(x), mean, cov=None, rows=rows)
    return Gaussian(len(x), mean, rows.T @ rows / (len(x) - 1))


def intercept(x: Tensor, y: Tensor) -> Tensor:
    """Where the least-squares line through points (x, y), each [n], meets x = 0."""
    slope = ((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum()
    return y.mean() - slope * x.mean()
