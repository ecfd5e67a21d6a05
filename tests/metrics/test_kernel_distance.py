import pytest
import torch
from torch_fidelity.metric_kid import kid_features_to_metric

from zoo.metrics.kernel_distance import KernelDistance, mmd2


def draw(n, d=6, *, seed, shift=0.0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) + shift


def kd(real, fake, *, order=None, **settings):
    metric = KernelDistance(**settings)
    order = torch.arange(len(real)) if order is None else order
    for part in order.split(17):
        metric.update(real[part], index=part, side="real")
    metric.update(fake, index=torch.arange(len(fake)), side="fake")
    return tuple(float(v) for v in metric.compute())


def slow(x, y):
    def k(a, b):
        return (sum(p * q for p, q in zip(a, b, strict=True)) / len(a) + 1) ** 3

    x, y = x.double().tolist(), y.double().tolist()
    m, n = len(x), len(y)
    xx = sum(k(x[i], x[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    yy = sum(k(y[i], y[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    return xx + yy - 2 * sum(k(a, b) for a in x for b in y) / (m * n)


def test_mmd_equals_the_double_sum():
    x, y = draw(30, seed=0), draw(30, seed=1, shift=0.3)
    assert float(mmd2(x.double(), y.double())) == pytest.approx(slow(x, y), rel=1e-10)
    mean, std = kd(x, y, subsets=3)
    assert mean == pytest.approx(slow(x, y), rel=1e-10)  # N below the subset size: every subset is the whole
    assert std == pytest.approx(0, abs=1e-12)


def test_equals_torch_fidelity_on_whole_sets():
    x, y = draw(200, 16, seed=2).relu(), draw(200, 16, seed=3, shift=0.4).relu()
    other = kid_features_to_metric(x.double(), y.double(), kid_subsets=1, kid_subset_size=200, verbose=False)
    assert kd(x, y)[0] == pytest.approx(other["kernel_inception_distance_mean"], rel=1e-5)


def test_subsets_agree_with_torch_fidelity_within_their_spread():
    x, y = draw(600, 16, seed=4).relu(), draw(500, 16, seed=5, shift=0.3).relu()
    mean, std = kd(x, y, subsets=100, subset_size=100)
    other = kid_features_to_metric(x, y, kid_subsets=100, kid_subset_size=100, verbose=False)
    assert abs(mean - other["kernel_inception_distance_mean"]) < 5 * std / 10
    assert std == pytest.approx(other["kernel_inception_distance_std"], rel=0.5)


def test_unbiased_at_0_for_the_same_distribution():
    values = torch.tensor([float(mmd2(draw(40, seed=s).double(), draw(40, seed=s + 500).double())) for s in range(200)])
    error = float(values.std()) / 200**0.5
    assert abs(float(values.mean())) < 4 * error
    assert (values < 0).any()
    shifted = kd(draw(40, seed=0), draw(40, seed=1, shift=1.0))[0]
    assert shifted > 20 * float(values.std())


def test_seeded_and_independent_of_the_order_of_arrival_and_of_the_global_state():
    x, y = draw(150, seed=6), draw(150, seed=7)
    settings = {"subsets": 10, "subset_size": 50}
    state = torch.get_rng_state()
    value = kd(x, y, **settings)
    assert torch.equal(torch.get_rng_state(), state)
    order = torch.randperm(150, generator=torch.Generator().manual_seed(1))
    assert kd(x, y, order=order, **settings) == value
    assert kd(x, y, seed=1, **settings) != value


def test_bad_input():
    metric = KernelDistance()
    with pytest.raises(ValueError, match="indices"):
        metric.update(torch.zeros(3, 2), index=torch.arange(2), side="real")
    metric.update(torch.zeros(3, 2), index=torch.tensor([0, 1, 1]), side="real")
    metric.update(torch.zeros(1, 2), index=torch.arange(1), side="fake")
    with pytest.raises(ValueError, match="1 real samples were counted more than once"):
        metric.compute()
    with pytest.raises(ValueError, match="needs 2 samples or more"):
        kd(torch.zeros(3, 2), torch.zeros(1, 2))
    with pytest.raises(ValueError, match="subset"):
        KernelDistance(subsets=0)
