"""Distances between two sets of points, a few rows at a time: what precision, coverage and the search for training
images have in common."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from zoo.errors import EvaluationError
from zoo.metrics.processes import in_float64

CHUNK = 1 << 24  # entries of the distance matrix at a time: 128 MB in float64


def distance_rows(x: Tensor, y: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Squared Euclidean distances of x [N, d] and y [M, d] as (rows, float64 [n, M]); never all N x M at once.

    In float64 and about y's mean, since |a|^2 - 2 a.b + |b|^2 cancels; a pair of equal points may still be 1e-12
    apart.
    """
    y = in_float64(y)
    centre = y.mean(dim=0)
    y = y - centre
    norms = y.square().sum(dim=1)
    step = max(1, CHUNK // max(1, len(y)))
    for start in range(0, len(x), step):
        rows = slice(start, min(start + step, len(x)))
        part = in_float64(x[rows]) - centre
        squared = torch.addmm(part.square().sum(dim=1, keepdim=True) + norms, part, y.T, alpha=-2)
        yield rows, squared.clamp_(min=0)


def kth_squared_distances(x: Tensor, *, k: int) -> Tensor:
    """Squared distance of each x [N, d] to its k-th nearest other point, float64 [N]. Raises ValueError if N <= k."""
    if len(x) <= k:
        raise EvaluationError(f"the {k} nearest neighbours of {len(x)} points: there must be more than {k}")
    radii = []
    for rows, squared in distance_rows(x, x):
        squared[torch.arange(len(squared)), torch.arange(rows.start, rows.stop)] = torch.inf  # not its own neighbour
        radii.append(squared.kthvalue(k, dim=1).values)
    return torch.cat(radii)
