"""Parzen-window log-likelihood: the measure of Goodfellow et al. 2014, Table 1, after Breuleux et al. 2011.

High in variance, and blind to what people see in samples: kept to compare with the papers of 2014 only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from zoo.metrics.inception_score import MeanStd
from zoo.metrics.processes import in_float64

GRID = tuple(10 ** (-1 + i / 9) for i in range(10))  # logspace(-1, 0, 10)
VALIDATION_IMAGES = 1000
CHUNK = 500  # rows of the distance matrix at a time


class ParzenLogLikelihood(Metric):
    """Mean log p(x) in nats, and its standard error, under p(x) = mean_j N(x; s_j, sigma^2 I).

    samples s: floats [G, D] in [0, 1], images flattened. Updates take test images [n, D] on the same scale.
    All in float64: with 10,000 samples, 10,000 images and D = 784 about ten seconds on two cores. Keyword arguments but
    `sigma` are torchmetrics'.
    """

    higher_is_better = True
    is_differentiable = False
    full_state_update = False

    total: Tensor
    total_of_squares: Tensor
    count: Tensor

    def __init__(self, samples: Tensor, *, sigma: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if sigma <= 0:
            raise ValueError(f"sigma must be positive, got {sigma}")
        _check(samples, "samples")
        self.sigma = sigma
        self.samples = in_float64(samples)
        for name in ("total", "total_of_squares"):
            self.add_state(name, torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0, dtype=torch.int64), dist_reduce_fx="sum")

    @classmethod
    def fit(
        cls, samples: Tensor, validation: Tensor, *, sigmas: Sequence[float] = GRID, **kwargs: Any
    ) -> ParzenLogLikelihood:
        """With the sigma of the grid that is best on the first 1,000 validation images [n, D]."""
        values = log_likelihoods(validation[:VALIDATION_IMAGES], samples, sigmas=sigmas).mean(dim=1)
        return cls(samples, sigma=sigmas[int(values.argmax())], **kwargs)

    def update(self, x: Tensor) -> None:
        """Count test images [n, D] in [0, 1]. Raises ValueError for another scale or dimension."""
        values = log_likelihoods(x, self.samples, sigmas=[self.sigma])[0]
        self.total = self.total + values.sum()
        self.total_of_squares = self.total_of_squares + values.square().sum()
        self.count = self.count + len(values)

    def compute(self) -> MeanStd:
        """(mean, standard error of the mean) in nats, the error being the population std over sqrt(n) as in
        the paper."""
        mean = self.total / self.count
        variance = (self.total_of_squares / self.count - mean.square()).clamp(min=0)
        return MeanStd(mean, (variance / self.count).sqrt())


def parzen_measures(samples: Tensor, *, validation: Tensor, test: Tensor) -> dict[str, float]:
    """The papers' value and what belongs to it: all images as floats [n, D] in [0, 1].

    sigma is chosen on the first 1,000 of `validation`. Computed where the samples are, by each process for itself: on
    several GPUs nothing that lies on the CPU could be summed up.

    Returns:
        parzen_ll and parzen_ll_error (standard error) in nats, parzen_sigma, and parzen_ll_validation in nats, by which
        a checkpoint may be chosen.
    """
    validation, test = (images.to(samples.device) for images in (validation[:VALIDATION_IMAGES], test))
    metric = ParzenLogLikelihood.fit(samples, validation, sync_on_compute=False)
    metric.update(test)
    mean, error = metric.compute()
    return {
        "parzen_ll": float(mean),
        "parzen_ll_error": float(error),
        "parzen_sigma": metric.sigma,
        "parzen_ll_validation": float(log_likelihoods(validation, samples, sigmas=[metric.sigma]).mean()),
    }


def log_likelihoods(x: Tensor, samples: Tensor, *, sigmas: Sequence[float]) -> Tensor:
    """log p(x_i) in nats for each sigma: float64 [len(sigmas), N]; x [N, D] and samples [G, D] in [0, 1].

    The distances are computed once for all sigmas, as |x|^2 - 2 x.s + |s|^2, in float64 because they cancel.
    """
    _check(x, "images")
    _check(samples, "samples")
    if x.shape[1] != samples.shape[1]:
        raise ValueError(f"images have {x.shape[1]} values each, samples {samples.shape[1]}")
    x, samples = in_float64(x), in_float64(samples)
    samples = samples.to(x.device)
    s_norm = samples.square().sum(dim=1)
    constant = [math.log(len(samples)) + 0.5 * x.shape[1] * math.log(2 * math.pi * sigma**2) for sigma in sigmas]
    columns = []
    for part in x.split(CHUNK):  # type: ignore[no-untyped-call]
        squared = (part.square().sum(dim=1)[:, None] + s_norm).addmm_(part, samples.T, alpha=-2)
        squared.clamp_(min=0)  # [n, G]
        columns.append(
            torch.stack(
                [torch.logsumexp(squared / (-2 * s**2), dim=1) - c for s, c in zip(sigmas, constant, strict=True)]
            )
        )
    return torch.cat(columns, dim=1)


def _check(x: Tensor, what: str) -> None:
    if x.ndim != 2 or not x.is_floating_point():
        raise ValueError(f"{what} must be floats [N, D], got {x.dtype} {list(x.shape)}")
    if len(x) and not (float(x.min()) >= 0 and float(x.max()) <= 1):
        raise ValueError(
            f"{what} must lie in [0, 1], got {float(x.min()):.3g}..{float(x.max()):.3g} "
            "(images in [-1, 1] are mapped by (x + 1) / 2)"
        )
