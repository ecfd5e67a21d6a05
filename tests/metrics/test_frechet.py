import warnings

import numpy as np
import pytest
import torch
from scipy import linalg
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

from zoo.metrics.frechet import FrechetDistance, Gaussian, covariance_root, distance, lower_congruence


def features(n, d, *, seed, mix=0.3, shift=0.0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, d, generator=generator) @ (torch.eye(d) + mix * torch.randn(d, d, generator=generator))
    return x.relu() + shift


def fd(real, fake, *, batch=97):
    metric = FrechetDistance(real.shape[1])
    for part in real.split(batch):
        metric.update(part, side="real")
    for part in fake.split(batch):
        metric.update(part, side="fake")
    return float(metric.compute())


def slow(real, fake):
    a, b = real.double().numpy(), fake.double().numpy()
    root = linalg.sqrtm(np.cov(a, rowvar=False) @ np.cov(b, rowvar=False)).real
    covariances = np.cov(a, rowvar=False) + np.cov(b, rowvar=False) - 2 * root
    return ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(covariances)


def test_equals_scipy_and_torch_fidelity_on_samples():
    real, fake = features(900, 24, seed=0), features(700, 24, seed=1, shift=0.2)
    value = fd(real, fake)
    assert value == pytest.approx(slow(real, fake), rel=1e-8)
    statistics = [fid_features_to_statistics(x.double()) for x in (real, fake)]
    other = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert value == pytest.approx(other, rel=1e-5)
    assert value > 0.5


def test_gaussians_closed_form():
    # Diagonal covariances commute: |mu|^2 + sum (s1 - s2)^2.
    s1, s2 = torch.tensor([1.0, 2.0, 0.0, 3.0]).double(), torch.tensor([2.0, 0.5, 1.0, 0.0]).double()
    mu = torch.tensor([1.0, 0.0, -2.0, 0.5]).double()
    value = distance(Gaussian(0, mu, s1.square().diag()), Gaussian(0, torch.zeros(4).double(), s2.square().diag()))
    assert float(value) == pytest.approx(float(mu.square().sum() + (s1 - s2).square().sum()), rel=1e-12)
    # The same in rotated coordinates, and 2 x 2 by hand: tr (S1 S2)^(1/2) = sqrt(tr S1 S2 + 2 sqrt(det S1 S2)).
    q = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(0)).double())[0]
    rotated = distance(
        Gaussian(0, q @ mu, q @ s1.square().diag() @ q.T),
        Gaussian(0, torch.zeros(4).double(), q @ s2.square().diag() @ q.T),
    )
    assert float(rotated) == pytest.approx(float(value), rel=1e-10)
    a = torch.tensor([[2.0, 0.5], [0.5, 1.0]]).double()
    b = torch.tensor([[1.0, -0.3], [-0.3, 3.0]]).double()
    root = ((a @ b).trace() + 2 * (a @ b).det().sqrt()).sqrt()
    expected = a.trace() + b.trace() - 2 * root
    zero = torch.zeros(2).double()
    assert float(distance(Gaussian(0, zero, a), Gaussian(0, zero, b))) == pytest.approx(float(expected), rel=1e-12)


def test_shifted_copy_gives_the_squared_shift_and_identical_sets_nothing():
    x = features(800, 32, seed=2)
    shift = torch.linspace(-1, 2, 32)
    assert fd(x, x + shift) == pytest.approx(float(shift.double().square().sum()), rel=1e-6)
    scale = float(x.double().var(dim=0).sum())
    assert abs(fd(x, x)) < 1e-8 * scale
    wide = x.double() * torch.logspace(-4, 4, 32)
    assert abs(fd(wide, wide)) < 1e-8 * float(wide.var(dim=0).sum())


def test_far_from_the_origin_and_in_any_order():
    real, fake = features(500, 8, seed=3).double(), features(500, 8, seed=4).double()
    far = fd(real + 1000, fake + 1000)
    assert far == pytest.approx(fd(real, fake), rel=1e-6)
    assert fd(real[torch.randperm(500)], fake, batch=31) == pytest.approx(fd(real, fake), rel=1e-9)


def test_fewer_samples_than_features_is_finite_right_and_warned_about():
    real, fake = features(20, 48, seed=5), features(15, 48, seed=6)
    with pytest.warns(UserWarning, match="48 features") as caught:
        value = fd(real, fake)
    assert {str(w.message)[:27] for w in caught} == {"20 real samples for 48 feat", "15 fake samples for 48 feat"}
    # The Gram form needs no d x d root: tr (S1 S2)^(1/2) = |X Y'|_* / sqrt((n-1)(m-1)) for centred X, Y.
    x, y = real.double() - real.double().mean(0), fake.double() - fake.double().mean(0)
    root = np.linalg.svd((x @ y.T).numpy(), compute_uv=False).sum() / np.sqrt(19 * 14)
    expected = (real.double().mean(0) - fake.double().mean(0)).square().sum()
    expected += x.square().sum() / 19 + y.square().sum() / 14 - 2 * root
    assert value == pytest.approx(float(expected), rel=1e-9)


def test_moments_are_as_good_as_features_and_not_ignored_after_a_first_value():
    real, fake = features(300, 6, seed=7), features(300, 6, seed=8)
    metric = FrechetDistance(6)
    metric.update(fake, side="fake")
    x = real[:200].double()
    metric.add_moments(torch.tensor(200), x.sum(dim=0), x.T @ x, side="real")
    assert float(metric.compute()) == pytest.approx(fd(real[:200], fake), rel=1e-12)
    x = real[200:].double()
    metric.add_moments(torch.tensor(100), x.sum(dim=0), x.T @ x, side="real")
    assert float(metric.compute()) == pytest.approx(fd(real, fake), rel=1e-12)


def test_bad_input():
    metric = FrechetDistance(4)
    with pytest.raises(ValueError, match=r"\[N, 4\]"):
        metric.update(torch.zeros(3, 5), side="real")
    metric.update(torch.zeros(3, 4), side="real")
    metric.update(torch.zeros(1, 4), side="fake")
    with pytest.raises(ValueError, match="1 fake"), pytest.warns(UserWarning, match="3 real"):
        metric.compute()


def cluster(n, d, *, seed, shift=0.0):
    """Features whose spectrum falls as a network's does: the fast way is accurate enough."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, d, generator=generator) * torch.linspace(1, 0.05, d)
    return (x @ torch.linalg.qr(torch.randn(d, d, generator=torch.Generator().manual_seed(99)))[0] + shift).double()


def forms(real, fake, d):
    """The value by every way there is: rows on a side or not, a root known or not."""

    def moments(x):
        return torch.tensor(len(x)), x.sum(dim=0), x.T @ x

    for sides in ((), ("real",), ("fake",), ("real", "fake")):
        for root in (None, covariance_root(torch.cov(real.T))):
            metric = FrechetDistance(d)
            for x, side in ((real, "real"), (fake, "fake")):
                if side in sides:
                    metric.update(x, side=side)
                else:
                    metric.add_moments(*moments(x), side=side, root=root if side == "real" else None)
            yield float(metric.compute())


@pytest.mark.parametrize(("n", "m"), [(1500, 1200), (290, 1200), (1500, 280), (270, 290)])
def test_every_form_gives_one_value(n, m):
    d = 300  # more than SMALL
    real, fake = cluster(n, d, seed=0), cluster(m, d, seed=1, shift=0.05)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = list(forms(real, fake, d))
    assert values == pytest.approx([slow(real, fake)] * len(values), rel=1e-7)


def test_the_fast_way_is_taken_only_where_it_is_accurate(monkeypatch):
    calls = []
    svdvals = torch.linalg.svdvals
    monkeypatch.setattr(torch.linalg, "svdvals", lambda x: calls.append(x.shape) or svdvals(x))
    real, fake = cluster(900, 300, seed=2), cluster(900, 300, seed=3, shift=0.1)
    fd(real, fake)
    assert not calls
    assert abs(fd(real, real.clone())) < 1e-8 * float(real.var(dim=0).sum())
    assert calls
    wide = real * torch.logspace(-6, 6, 300)
    assert abs(fd(wide, wide)) < 1e-8 * float(wide.var(dim=0).sum())


def test_features_that_never_vary_cost_neither_speed_nor_accuracy(monkeypatch):
    real, fake = cluster(900, 300, seed=6), cluster(900, 300, seed=7, shift=0.1)
    fake[:, 7] = 3.0
    real[:, [0, 5, 299]] = 3.0
    root = covariance_root(torch.cov(real.T))
    assert root.shape == (300, 297)
    assert torch.allclose(root @ root.T, torch.cov(real.T), rtol=0, atol=1e-14)
    assert not bool(root.triu(1).any())
    expected = slow(real, fake)
    monkeypatch.setattr(torch.linalg, "svdvals", None)
    monkeypatch.setattr(torch.linalg, "eigh", None)
    assert fd(real, fake) == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("d", [1, 5, 33, 64])
def test_a_lower_factor_saves_work_and_changes_nothing(d):
    generator = torch.Generator().manual_seed(0)
    S = torch.randn(d, d, generator=generator).double()
    S, L = S @ S.T, torch.randn(d, d, generator=generator).double().tril()
    for lower in (L, L[:, 1:]) if d > 1 else (L,):
        assert torch.allclose(lower_congruence(lower, S).tril(), (lower.T @ S @ lower).tril(), rtol=1e-12)


def test_a_root_that_later_reals_made_stale_is_not_used():
    real, fake = cluster(900, 300, seed=4), cluster(900, 300, seed=5, shift=0.1)
    half = real[:450]
    metric = FrechetDistance(300)
    root = covariance_root(torch.cov(half.T))
    metric.add_moments(torch.tensor(450), half.sum(dim=0), half.T @ half, side="real", root=root)
    metric.update(real[450:], side="real")
    metric.update(fake, side="fake")
    assert float(metric.compute()) == pytest.approx(fd(real, fake), rel=1e-9)


def test_reset_forgets_everything():
    real, fake = features(300, 6, seed=7), features(300, 6, seed=8)
    metric = FrechetDistance(6)
    metric.update(real + 5, side="real")
    metric.update(fake, side="fake")
    metric.reset()
    metric.update(real, side="real")
    metric.update(fake, side="fake")
    assert float(metric.compute()) == pytest.approx(fd(real, fake), rel=1e-12)
