"""Measures of samples in the plane: exact transport distance, and modes found."""

from typing import NamedTuple

import torch
from torch import Tensor


def exact_wasserstein(a: Tensor, b: Tensor) -> float:
    """Wasserstein-1 distance (Euclidean cost) between two sets of points, equally weighted within each set.

    Exact: the transport problem is solved by POT's network simplex.

    Args:
        a: points [n, d].
        b: points [m, d]; m need not be n.

    Raises:
        ValueError: not two sets of points of one dimension, an empty set, or a point that is not finite.
        RuntimeError: the solver did not come to its end.
    """
    import ot

    if a.dim() != 2 or b.dim() != 2 or a.shape[1] != b.shape[1] or 0 in (len(a), len(b)):
        raise ValueError(f"two sets of points [n, d] and [m, d] are needed, got {list(a.shape)} and {list(b.shape)}")
    if not bool(a.isfinite().all() & b.isfinite().all()):
        raise ValueError("a point is not finite: nothing to measure")
    cost = torch.cdist(a.cpu().double(), b.cpu().double(), compute_mode="donot_use_mm_for_euclid_dist")
    distance, log = ot.emd2([], [], cost.numpy(), numItermax=100_000_000, log=True)
    if log["warning"] is not None:
        raise RuntimeError(f"no exact Wasserstein distance of {len(a)} and {len(b)} points: {log['warning']}")
    return float(distance)


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
    distance, nearest = torch.cdist(points.cpu().double(), modes.cpu().double()).min(1)  # [n]
    good = distance <= sigmas * std
    return ModeShares(len(set(nearest[good].tolist())) / len(modes), float(good.double().mean()))
