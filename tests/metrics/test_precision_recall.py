import pytest
import torch
from torch_fidelity.metric_prc import calculate_precision_recall_full

from zoo.metrics.density_coverage import DensityCoverage
from zoo.metrics.neighbours import kth_squared_distances
from zoo.metrics.precision_recall import PrecisionRecall


def draw(n, d=4, *, seed, shift=0.0, scale=1.0):
    return scale * torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) + shift


def compute(kind, real, fake, *, batch=37, **settings):
    metric = kind(**settings)
    for x, side in ((real, "real"), (fake, "fake")):
        for index in torch.arange(len(x)).split(batch):
            metric.update(x[index], index=index, side=side)
    return tuple(float(v) for v in metric.compute())


def distances(a, b):
    return [[sum((p - q) ** 2 for p, q in zip(x, y, strict=True)) ** 0.5 for y in b] for x in a]


def slow(real, fake, *, k):
    """Precision, recall, density, coverage, point by point."""
    real, fake = real.double().tolist(), fake.double().tolist()
    radius = {}
    for name, points in (("real", real), ("fake", fake)):
        within = distances(points, points)
        radius[name] = [sorted(row[:i] + row[i + 1 :])[k - 1] for i, row in enumerate(within)]
    between = distances(fake, real)
    precision = sum(any(d <= r for d, r in zip(row, radius["real"], strict=True)) for row in between) / len(fake)
    recall = sum(any(between[f][r] <= radius["fake"][f] for f in range(len(fake))) for r in range(len(real))) / len(
        real
    )
    balls = sum(d < r for row in between for d, r in zip(row, radius["real"], strict=True))
    covered = sum(min(row[r] for row in between) < radius["real"][r] for r in range(len(real)))
    return precision, recall, balls / (k * len(fake)), covered / len(real)


@pytest.mark.parametrize("k", [1, 3])
def test_equal_the_definitions_point_by_point(k):
    real, fake = draw(60, seed=0), draw(45, seed=1, shift=0.8, scale=0.6)
    precision, recall, density, coverage = slow(real, fake, k=k)
    assert compute(PrecisionRecall, real, fake, k=k) == pytest.approx((precision, recall), rel=1e-12)
    assert compute(DensityCoverage, real, fake, k=k) == pytest.approx((density, coverage), rel=1e-12)
    assert precision != recall
    assert 0 < coverage < 1


def test_precision_and_recall_are_torch_fidelitys():
    real, fake = draw(500, 16, seed=2).relu(), draw(400, 16, seed=3, shift=0.2, scale=0.9).relu()
    expected = calculate_precision_recall_full(fake, real)  # its first set is the generated one
    assert compute(PrecisionRecall, real, fake) == pytest.approx(expected, rel=1e-5)
    assert expected[0] != pytest.approx(expected[1], rel=1e-2)


def test_the_two_sides_change_roles():
    narrow, wide = draw(300, 2, seed=4, scale=0.3), draw(300, 2, seed=5)
    precision, recall = compute(PrecisionRecall, wide, narrow)
    assert precision > 0.95
    assert recall < 0.6
    assert compute(PrecisionRecall, narrow, wide) == (recall, precision)


def test_same_distribution_and_far_away():
    real, fake = draw(1000, seed=6), draw(1000, seed=7)
    density, coverage = compute(DensityCoverage, real, fake)
    assert density == pytest.approx(1, abs=0.1)
    assert coverage == pytest.approx(1 - 0.5**5, abs=0.03)  # Lemma 2 of the paper, for equally many
    assert compute(DensityCoverage, real, fake + 100) == (0, 0)
    assert compute(PrecisionRecall, real, fake + 100) == (0, 0)


def test_a_copied_set_is_inside_everywhere_though_points_repeat():
    x = draw(50, seed=8).repeat(6, 1)  # every point six times: radii 0
    assert compute(PrecisionRecall, x, x) == pytest.approx((1, 1))


def test_far_from_the_origin():
    real, fake = draw(100, seed=9).double(), draw(100, seed=10, shift=0.5).double()
    near, far = (compute(DensityCoverage, real + c, fake + c) for c in (0, 1e5))
    assert near == pytest.approx(far, rel=1e-6)


def test_radius_leaves_the_point_itself_out_whatever_the_chunk(monkeypatch):
    x = draw(40, seed=11)
    expected = torch.tensor([sorted(row)[2] ** 2 for row in distances(x.tolist(), x.tolist())], dtype=torch.float64)
    assert torch.allclose(kth_squared_distances(x, k=2), expected, rtol=1e-5)
    monkeypatch.setattr("zoo.metrics.neighbours.CHUNK", 7 * 40)
    assert torch.allclose(kth_squared_distances(x, k=2), expected, rtol=1e-5)


def test_too_few_samples():
    with pytest.raises(ValueError, match="needs 4 samples"):
        compute(PrecisionRecall, draw(3, seed=0), draw(10, seed=1))
    with pytest.raises(ValueError, match="more than 5"):
        compute(DensityCoverage, draw(5, seed=0), draw(10, seed=1))
    metric = DensityCoverage()
    metric.update(draw(10, seed=0), index=torch.arange(10), side="real")
    with pytest.raises(ValueError, match="no fake samples"):
        metric.compute()
