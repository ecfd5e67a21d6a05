import math

import numpy as np
import pytest
import torch
from metrics_toys import processes_on_gpus

from zoo.metrics import ParzenLogLikelihood
from zoo.metrics.parzen import GRID, log_likelihoods, parzen_measures


def uniform(n, d, *, seed):
    return torch.rand(n, d, generator=torch.Generator().manual_seed(seed))


def slow(x, samples, sigma):
    """Term by term in float64 numpy, as the definition reads."""
    values = []
    for row in x.double().numpy():
        squared = ((row - samples.double().numpy()) ** 2).sum(axis=1)
        terms = -squared / (2 * sigma**2) - 0.5 * x.shape[1] * math.log(2 * math.pi * sigma**2)
        values.append(np.logaddexp.reduce(terms) - math.log(len(samples)))
    return np.array(values)


@pytest.mark.parametrize("sigma", [0.1, 0.2, 1.0])
def test_equals_the_definition(sigma):
    x, samples = uniform(60, 784, seed=0), uniform(300, 784, seed=1)
    metric = ParzenLogLikelihood(samples, sigma=sigma)
    metric.update(x[:25])
    metric.update(x[25:])
    mean, error = metric.compute()
    values = slow(x, samples, sigma)
    assert float(mean) == pytest.approx(values.mean(), rel=1e-10)
    assert float(error) == pytest.approx(values.std() / math.sqrt(60), rel=1e-8)


def test_one_sample_point_is_a_gaussian():
    # x at the sample: the density's peak, -D/2 log(2 pi sigma^2); x at distance r: r^2 / (2 sigma^2) nats less.
    sample = torch.full((1, 9), 0.5)
    x = torch.cat([sample, sample + torch.tensor([0.3, *[0.0] * 8])])
    values = log_likelihoods(x, sample, sigmas=[0.2])[0]
    peak = -4.5 * math.log(2 * math.pi * 0.04)
    assert values.tolist() == pytest.approx([peak, peak - 0.09 / 0.08], rel=1e-6)
    # Two equal samples are one; a second one far away halves the density.
    both = log_likelihoods(sample, torch.cat([sample, torch.zeros(1, 9)]), sigmas=[0.01])[0]
    assert float(both) == pytest.approx(-4.5 * math.log(2 * math.pi * 1e-4) - math.log(2), rel=1e-12)


def test_grid_is_the_papers_and_sigma_is_its_best():
    np.testing.assert_allclose(GRID, np.logspace(-1, 0, 10), rtol=1e-14)
    generator = torch.Generator().manual_seed(2)
    centres = 0.5 + 0.0 * uniform(1, 20, seed=2)
    samples = centres.expand(200, -1)
    # All samples at one point: the best sigma is the validation set's own deviation from it.
    validation = (0.5 + 0.13 * torch.randn(400, 20, generator=generator)).clamp(0, 1)
    metric = ParzenLogLikelihood.fit(samples, validation)
    means = [slow(validation, samples[:1], s).mean() for s in GRID]
    assert metric.sigma == GRID[int(np.argmax(means))]
    assert 0.1 < metric.sigma < 0.17


def test_only_the_first_thousand_validation_images_choose():
    samples = torch.full((5, 4), 0.5)
    validation = torch.cat([torch.full((1000, 4), 0.5), torch.zeros(4000, 4)])
    assert ParzenLogLikelihood.fit(samples, validation).sigma == GRID[0]
    assert ParzenLogLikelihood.fit(samples, validation.flip(0)).sigma > GRID[4]


def test_processes_on_gpus_take_the_papers_value(tmp_path):
    samples, validation, test = (uniform(30, 4, seed=seed) for seed in range(3))
    values = parzen_measures(samples, validation=validation, test=test)
    assert values["parzen_ll"] == pytest.approx(slow(test, samples, values["parzen_sigma"]).mean(), rel=1e-6)
    with processes_on_gpus(tmp_path):
        assert parzen_measures(samples, validation=validation, test=test) == values


def test_bad_input():
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        ParzenLogLikelihood(torch.full((2, 3), -1.0), sigma=0.2)
    with pytest.raises(ValueError, match=r"\[N, D\]"):
        ParzenLogLikelihood(torch.zeros(2, 1, 3, 3), sigma=0.2)
    with pytest.raises(ValueError, match="sigma"):
        ParzenLogLikelihood(torch.zeros(2, 3), sigma=0.0)
    with pytest.raises(ValueError, match="3"):
        ParzenLogLikelihood(torch.zeros(2, 3), sigma=0.2).update(torch.zeros(2, 4))
    with pytest.raises(ValueError, match="nan"):
        ParzenLogLikelihood(torch.full((2, 3), math.nan), sigma=0.2)
