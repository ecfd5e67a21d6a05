"""Improved precision and recall (Kynkaanniemi et al. 2019, arXiv 1904.06991, section 2)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from zoo.metrics.neighbours import distance_rows, kth_squared_distances
from zoo.metrics.pairs import SamplePairs


class PrecisionRecallValues(NamedTuple):
    """Shares in [0, 1], each float64 []."""

    precision: Tensor
    recall: Tensor


class PrecisionRecall(SamplePairs):
    """precision: share of fakes inside the ball of any real; recall: share of reals inside the ball of any fake.

    The ball of a point reaches to its k-th nearest neighbour in its own set (eq. 1), edge included. The paper takes
    k = 3, 50,000 samples a side and VGG-16 features: other features give other values.
    """

    higher_is_better = True

    def __init__(self, *, k: int = 3) -> None:
        super().__init__()
        self.k = k

    def compute(self) -> PrecisionRecallValues:
        """Raises ValueError with k samples or fewer on a side."""
        real, fake = self.both(least=self.k + 1)
        return PrecisionRecallValues(share_inside(fake, real, k=self.k), share_inside(real, fake, k=self.k))


def share_inside(points: Tensor, manifold: Tensor, *, k: int) -> Tensor:
    """Share of points [N, d] that lie in the ball of at least one point of manifold [M, d], float64 []."""
    radii = kth_squared_distances(manifold, k=k)
    inside = [(squared <= radii).any(dim=1) for _, squared in distance_rows(points, manifold)]
    return torch.cat(inside).double().mean()
