"""Frechet distance between the Gaussians fitted to two sets of features (Heusel et al. 2017, arXiv
1706.08500, eq. 6)."""

from __future__ import annotations

import warnings
from typing import Literal

import torch
from torch import Tensor
from torchmetrics import Metric

Side = Literal["real", "fake"]


class FrechetDistance(Metric):
    """|mu_r - mu_f|^2 + tr(S_r + S_f - 2 (S_r S_f)^(1/2)) of features [N, dim], with unbiased covariances.

    Called FID only on 2015 Inception features. The states are sums in float64, so the value does not depend
    on the batch size, the order, or (beyond rounding) the number of processes.
    """

    higher_is_better = False
    is_differentiable = False
    full_state_update = False

    real_n: Tensor
    real_sum: Tensor
    real_outer: Tensor
    fake_n: Tensor
    fake_sum: Tensor
    fake_outer: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        for side in ("real", "fake"):
            self.add_state(f"{side}_n", torch.tensor(0, dtype=torch.int64), dist_reduce_fx="sum")
            self.add_state(f"{side}_sum", torch.zeros(dim, dtype=torch.float64), dist_reduce_fx="sum")
            self.add_state(f"{side}_outer", torch.zeros(dim, dim, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, features: Tensor, *, side: Side) -> None:
        """Count features [n, dim] (n may be 0) to one side. Raises ValueError for another shape."""
        if features.ndim != 2 or features.shape[1] != self.dim:
            raise ValueError(f"features must be [N, {self.dim}], got {list(features.shape)}")
        x = features.double()
        self.add_moments(torch.tensor(len(x), device=x.device), x.sum(dim=0), x.T @ x, side=side)

    def add_moments(self, n: Tensor, total: Tensor, outer: Tensor, *, side: Side) -> None:
        """Count features known by their number [], sum [dim] and sum of outer products [dim, dim] only."""
        if side == "real":
            self.real_n, self.real_sum, self.real_outer = (
                self.real_n + n,
                self.real_sum + total,
                self.real_outer + outer,
            )
        else:
            self.fake_n, self.fake_sum, self.fake_outer = (
                self.fake_n + n,
                self.fake_sum + total,
                self.fake_outer + outer,
            )
        # Called by itself this is an update, too: torchmetrics' memory of the last value and its warning must go.
        self._update_count, self._computed = max(self._update_count, 1), None

    def compute(self) -> Tensor:
        """The distance, float64 []. Raises ValueError with fewer than two samples on a side; warns with N <=
        dim."""
        mu_r, cov_r = _gaussian(self.real_n, self.real_sum, self.real_outer, side="real")
        mu_f, cov_f = _gaussian(self.fake_n, self.fake_sum, self.fake_outer, side="fake")
        return frechet_distance(mu_r, cov_r, mu_f, cov_f)


def _gaussian(n: Tensor, total: Tensor, outer: Tensor, *, side: Side) -> tuple[Tensor, Tensor]:
    count, dim = int(n), len(total)
    if count < 2:
        raise ValueError(f"a Frechet distance needs two samples or more on each side, got {count} {side}")
    if count <= dim:
        warnings.warn(
            f"{count} {side} samples for {dim} features: singular covariance, distance biased upwards",
            stacklevel=3,
        )
    # The CPU's LAPACK gives the same value whatever device the features came from.
    mean, outer = total.cpu() / count, outer.cpu()
    return mean, (outer - count * torch.outer(mean, mean)) / (count - 1)


def frechet_distance(mu1: Tensor, cov1: Tensor, mu2: Tensor, cov2: Tensor) -> Tensor:
    """The squared distance between N(mu1, cov1) and N(mu2, cov2); means [d], covariances [d, d], float64;
    returns [].

    tr (S1 S2)^(1/2) is the sum of the singular values of A'B where S1 = AA', S2 = BB'. The factors come from
    symmetric eigendecompositions, so singular covariances are no special case, and nothing becomes complex;
    unlike the root of S1 S2's eigenvalues, singular values keep full float64 accuracy where the spectrum is
    wide.
    """
    A, B = _factor(cov1), _factor(cov2)
    root = torch.linalg.svdvals(A.T @ B).sum()
    distance: Tensor = (mu1 - mu2).square().sum() + cov1.trace() + cov2.trace() - 2 * root
    return distance


def _factor(cov: Tensor) -> Tensor:
    """A [d, r] with AA' = cov, up to directions whose variance is rounding noise."""
    values, vectors = torch.linalg.eigh(cov)
    keep = values > values[-1].clamp(min=0) * len(values) * torch.finfo(values.dtype).eps
    factor: Tensor = vectors[:, keep] * values[keep].sqrt()
    return factor
