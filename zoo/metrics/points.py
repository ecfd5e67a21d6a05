"""Measures of samples in the plane: exact transport distance, and modes found."""

from typing import NamedTuple

import torch
from torch import Tensor


def exact_wasserstein(a: Tensor, b: Tensor) -> float:
    """Wasserstein-1 distance (Euclidean cost) between two equally large, equally weighted sets of points.

    Exact: for equal weights an optimal plan is a permutation, found by the Hungarian method in O(n^3).

    Args:
        a: points [n, d].
        b: points [n, d].

    Raises:
        ValueError: sets of different shapes, or a point that is not finite.
    """
    from scipy.optimize import linear_sum_assignment

    if a.shape != b.shape or a.dim() != 2:
        raise ValueError(f"two sets of points [n, d] of one shape are needed, got {list(a.shape)} and {list(b.shape)}")
    if not bool(a.isfinite().all() & b.isfinite().all()):
        raise ValueError("a point is not finite: nothing to measure")
    cost = torch.cdist(a.double().cpu(), b.double().cpu(), compute_mode="donot_use_mm_for_euclid_dist")
    rows, columns = linear_sum_assignment(cost.numpy())
    return float(cost[rows, columns].mean())


class ModeShares(NamedTuple):
    """Share of modes with a sample near them, and share of samples near a mode; both in [0, 1]."""

    covered: float
    high_quality: float


def mode_shares(points: Tensor, modes: Tensor, *, std: float, sigmas: float = 3.0) -> ModeShares:
    """Modes covered and samples of high quality: within `sigmas` standard deviations of the nearest mode.

    Args:
        points: samples [n, d].
        modes: centres of the true distribution's modes [m, d].
        std: standard deviation of a mode in each coordinate.
        sigmas: radius in standard deviations.
    """
    distance, nearest = torch.cdist(points.double().cpu(), modes.double().cpu()).min(1)  # [n]
    good = distance <= sigmas * std
    return ModeShares(len(set(nearest[good].tolist())) / len(modes), float(good.double().mean()))
