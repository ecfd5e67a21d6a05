import pytest
import torch

from zoo.metrics.frechet import FrechetDistance
from zoo.metrics.frechet_infinity import FrechetInfinity, intercept

D = 12


def draw(n, *, seed, shift=0.0):
    return torch.randn(n, D, generator=torch.Generator().manual_seed(seed)).double() + shift


def run(real, fake, *, batch=500, **settings):
    metric = FrechetInfinity(D, **settings)
    metric.update(real, side="real")
    order = torch.randperm(len(fake), generator=torch.Generator().manual_seed(batch))
    for index in order.split(batch):
        metric.update(fake[index], side="fake", index=index)
    return float(metric.compute())


def test_intercept_of_an_exact_line():
    x = torch.tensor([0.1, 0.2, 0.5]).double()
    assert float(intercept(x, 3 * x + 2)) == pytest.approx(2, rel=1e-12)


def test_removes_the_bias_that_the_distance_has():
    real = draw(20_000, seed=0)
    values, plain = [], []
    for seed in range(1, 9):
        fake = draw(600, seed=seed)
        values.append(run(real, fake, smallest=100))
        metric = FrechetDistance(D)
        metric.update(real, side="real")
        metric.update(fake, side="fake")
        plain.append(float(metric.compute()))
    bias = sum(plain) / len(plain)
    assert bias > 0.03
    assert abs(sum(values) / len(values)) < bias / 4


def test_finds_a_true_distance_beneath_the_bias():
    value = run(draw(20_000, seed=0), draw(2000, seed=1, shift=0.5), smallest=200)
    assert value == pytest.approx(D * 0.25, rel=0.06)


def test_does_not_depend_on_batches():
    real, fake = draw(300, seed=2), draw(250, seed=3)
    values = [run(real, fake, batch=b, smallest=60) for b in (7, 50, 250)]
    assert values == pytest.approx([values[0]] * 3, rel=1e-9)
    assert run(real, fake, smallest=60, seed=1) != values[0]


def test_bad_settings_and_too_few():
    with pytest.raises(ValueError, match="two points"):
        FrechetInfinity(D, points=1)
    with pytest.raises(ValueError, match="indices"):
        FrechetInfinity(D).update(draw(3, seed=0), side="fake")
    with (
        pytest.raises(ValueError, match=r"fd_infinity .* 20 fakes"),
        pytest.warns(UserWarning, match="singular"),
    ):
        run(draw(10, seed=0), draw(10, seed=1))
    with pytest.warns(UserWarning, match="bends"):
        run(draw(30, seed=0), draw(30, seed=1), smallest=6)
