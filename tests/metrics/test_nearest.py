import pytest
import torch

from zoo.metrics.nearest import NearestNeighbours


def draw(n, d=6, *, seed):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def run(real, fake, *, k=3, batch=17):
    metric = NearestNeighbours(k=k)
    for x, side in ((real, "real"), (fake, "fake")):
        for index in torch.arange(len(x)).split(batch):
            metric.update(x[index], index=index, side=side)
    return metric.compute()


def test_neighbours_and_ratio_by_full_search():
    real, fake = draw(80, seed=0), draw(33, seed=1) + 0.3
    found = run(real, fake)
    d = torch.cdist(fake.double(), real.double(), compute_mode="donot_use_mm_for_euclid_dist")
    expected = d.sort(dim=1)
    assert torch.equal(found.nearest, expected.indices[:, :3])
    assert torch.allclose(found.distance, expected.values[:, :3], rtol=1e-9)
    within = torch.cdist(real.double(), real.double()).fill_diagonal_(torch.inf).amin(dim=1)
    ratio = (expected.values[:, 0] / within[expected.indices[:, 0]]).median()
    assert float(found.ratio) == pytest.approx(float(ratio), rel=1e-6)


@pytest.mark.parametrize("rows", [1, 3, 7, 79, 1000])
def test_reals_that_are_looked_at_in_blocks(monkeypatch, rows):
    real, fake = draw(80, seed=0), torch.cat([draw(33, seed=1), draw(80, seed=0)[:5]])
    whole = run(real, fake)
    monkeypatch.setattr("zoo.metrics.nearest.BLOCK", rows * real.shape[1])
    found = run(real, fake)
    assert torch.equal(found.nearest, whole.nearest)
    assert torch.equal(found.distance, whole.distance)
    assert found.ratio == whole.ratio


def test_copies_are_found_and_fresh_draws_are_not():
    real = draw(400, seed=2)
    copies = run(real, real[50:150])
    assert copies.nearest[:, 0].tolist() == list(range(50, 150))
    assert float(copies.distance[:, 0].max()) == 0
    assert float(copies.ratio) == 0
    assert 0.7 < float(run(real, draw(200, seed=3)).ratio) < 1.4
    assert float(run(real, real[:100] + 1e-3).ratio) < 0.01


def test_doubles_among_the_reals_are_no_division_by_zero():
    real = draw(50, seed=4).repeat(2, 1)
    assert float(run(real, real[:20]).ratio) == 0


def test_images_count_in_grey_levels():
    real = torch.zeros(5, 1, 4, 4, dtype=torch.uint8)
    real[:, 0, 0, 0] = torch.tensor([0, 50, 100, 150, 250]).to(torch.uint8)
    fake = torch.zeros(1, 1, 4, 4, dtype=torch.uint8)
    fake[0, 0, 0, 0] = 90
    found = run(real, fake, k=2)
    assert found.nearest.tolist() == [[2, 1]]
    assert found.distance.tolist() == [[10, 40]]
    assert float(found.ratio) == pytest.approx(10 / 50)


def test_too_few_reals():
    with pytest.raises(ValueError, match="3 or more"):
        run(draw(2, seed=0), draw(5, seed=1))
