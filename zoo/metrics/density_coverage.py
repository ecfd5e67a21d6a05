"""Density and coverage (Naeem et al. 2020, arXiv 2002.09797, eqs. 3 and 4)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from zoo.metrics.neighbours import distance_rows, kth_squared_distances
from zoo.metrics.pairs import SamplePairs


class DensityCoverageValues(NamedTuple):
    """density >= 0 (1 for the true distribution), coverage in [0, 1]; each float64 []."""

    density: Tensor
    coverage: Tensor


class DensityCoverage(SamplePairs):
    """density: real balls that hold a fake, per fake and divided by k; coverage: share of reals whose ball holds one.

    The ball of a real reaches to its k-th nearest other real, edge excluded. The authors take k = 5 and 10,000 samples
    a side.
    """

    higher_is_better = True

    def __init__(self, *, k: int = 5) -> None:
        super().__init__()
        self.k = k

    def compute(self) -> DensityCoverageValues:
        """Raises ValueError with k reals or fewer."""
        real, fake = self.both(least=1)
        radii = kth_squared_distances(real, k=self.k)
        held = torch.zeros((), dtype=torch.float64, device=real.device)
        nearest = torch.full_like(radii, torch.inf)  # of each real to any fake
        for _, squared in distance_rows(fake, real):
            held = held + (squared < radii).sum()
            nearest = torch.minimum(nearest, squared.amin(dim=0))
        return DensityCoverageValues(held / (self.k * len(fake)), (nearest < radii).double().mean())
