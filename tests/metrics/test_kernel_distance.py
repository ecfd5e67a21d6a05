import pytest
import torch
from torch_fidelity.metric_kid import kid_features_to_metric

from zoo.metrics.kernel_distance import KernelDistance, kernel_means, sums_at_once, sums_one_by_one


def draw(n, d=6, *, seed, shift=0.0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) + shift


def kd(real, fake, *, order=None, known=None, **settings):
    metric = KernelDistance(**settings)
    metric.known = {} if known is None else known
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
    values = torch.tensor([kd(draw(40, seed=s), draw(40, seed=s + 500), subsets=1)[0] for s in range(200)])
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


@pytest.mark.parametrize("itself", [True, False])
def test_all_samples_at_once_and_subset_by_subset_are_the_same_sums(itself):
    x = draw(1_203, 7, seed=8).double()  # three blocks of rows, the last one short
    y = draw(640, 7, seed=9, shift=0.2).double() if itself else x
    of_x, of_y = (
        torch.stack([torch.randperm(len(z), generator=torch.Generator().manual_seed(s))[:50] for s in seeds])
        for z, seeds in ((x, range(5)), (y, range(5, 10) if itself else range(5)))
    )
    one_by_one = sums_one_by_one(x, y, of_x, of_y, itself=itself)
    assert torch.allclose(sums_at_once(x, y, of_x, of_y, itself=itself), one_by_one, rtol=1e-12, atol=0)
    pairs = 50 * 50 if itself else 50 * 49
    assert torch.allclose(kernel_means(x, y, of_x, of_y, itself=itself) * pairs, one_by_one, rtol=1e-12, atol=0)


def test_few_fakes_beside_many_reals_are_measured_as_subset_by_subset(monkeypatch):
    """2,000 fakes while training: their 100 subsets overlap, and the whole matrix is less work."""
    real, fake = draw(900, 16, seed=10), draw(150, 16, seed=11, shift=0.1)
    taken = []
    monkeypatch.setattr(
        "zoo.metrics.kernel_distance.sums_at_once", lambda *a, **o: taken.append(a) or sums_at_once(*a, **o)
    )
    at_once = kd(real, fake, subset_size=100)
    assert taken
    monkeypatch.setattr("zoo.metrics.kernel_distance.sums_at_once", sums_one_by_one)
    assert at_once == pytest.approx(kd(real, fake, subset_size=100), rel=1e-10)


def test_the_reals_own_terms_are_taken_from_the_distance_before():
    real, known = draw(150, seed=12), {}
    first = kd(real, draw(120, seed=13), subset_size=50, known=known)
    ((key, within),) = known.items()
    assert kd(real, draw(120, seed=14), subset_size=50, known=known) == kd(real, draw(120, seed=14), subset_size=50)
    assert list(known) == [key]
    assert kd(real, draw(120, seed=13), subset_size=50, known={key: within + 1})[0] == pytest.approx(first[0] + 1)
    kd(real, draw(110, seed=13), subset_size=50, known=known)  # other subsets of the reals are drawn beside fewer
    assert len(known) == 2


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
