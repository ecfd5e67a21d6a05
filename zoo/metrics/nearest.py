"""Does the generator copy? The nearest training images of its samples, and one number."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from zoo.errors import EvaluationError
from zoo.metrics.neighbours import distance_rows
from zoo.metrics.pairs import SamplePairs
from zoo.metrics.processes import in_float64

BLOCK = 2**27  # values of the reals in float64 at a time: 1 GB


class Neighbours(NamedTuple):
    """For each of N fakes its k nearest reals, and what it says about copying."""

    nearest: Tensor  # int64 [N, k]: which reals, in the order of their global index
    distance: Tensor  # float64 [N, k], Euclidean
    ratio: Tensor  # float64 []


class NearestNeighbours(SamplePairs):
    """The k nearest reals of each fake, in features [N, d] or in pixels [N, C, H, W] (0..255).

    ratio: the median, over fakes, of the distance to the nearest real divided by that real's distance to the nearest
    other real. About 1 for fresh draws of the training distribution, towards 0 for copies.
    """

    higher_is_better = True

    def __init__(self, *, k: int = 5) -> None:
        super().__init__()
        self.k = k

    def compute(self) -> Neighbours:
        """Raises ValueError with fewer than max(k, 2) reals, or without fakes."""
        real, fake = (x.flatten(1) for x in self.both(least=1))
        if len(real) < max(self.k, 2):
            raise EvaluationError(f"{self.k} nearest of {len(real)} reals: there must be {max(self.k, 2)} or more")
        distance, index = nearest_of(fake, real, k=self.k)
        among, _ = nearest_of(real[index[:, 0]], real, k=2)  # the first is the real itself, or its double
        # A real with an exact double has distance 0 to it: then a copy of it gives 0 / 0, which counts as a copy.
        ratio = torch.where(distance[:, 0] > 0, distance[:, 0] / among[:, 1], torch.zeros_like(distance[:, 0]))
        return Neighbours(index, distance, ratio.median())


def nearest_of(x: Tensor, y: Tensor, *, k: int) -> tuple[Tensor, Tensor]:
    """Distances, float64 [N, k] in ascending order, and indices [N, k] of the k nearest y [M, d] of each x [N, d].

    Blocks of y are looked at one after the other, as all images of a large data set in float64 may not fit.
    """
    n = max(k, BLOCK // max(1, y.shape[1]))
    found = [(start, nearest_in_block(x, y[start : start + n], k=k)) for start in range(0, len(y), n)]
    distances, order = torch.cat([own for _, (own, _) in found], dim=1).sort(dim=1, stable=True)
    indices = torch.cat([start + own for start, (_, own) in found], dim=1)
    return distances[:, :k], indices.gather(1, order[:, :k])


def nearest_in_block(x: Tensor, y: Tensor, *, k: int) -> tuple[Tensor, Tensor]:
    """`nearest_of` of so few y that they fit; all of them where they are fewer than k."""
    k = min(k, len(y))
    indices = torch.cat([squared.topk(k, dim=1, largest=False).indices for _, squared in distance_rows(x, y)])
    # Once more without the cancellation of distance_rows: a copy must be at distance 0.
    exact = torch.stack([(in_float64(x) - in_float64(y[i])).square().sum(dim=1).sqrt() for i in indices.T], dim=1)
    distances, order = exact.sort(dim=1, stable=True)
    return distances, indices.gather(1, order)
