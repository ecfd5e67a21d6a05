import numpy as np
import pytest
import torch
from scipy import ndimage, stats

from zoo.metrics.swd import SlicedWasserstein, cut_patches, down, laplacian_level, level_heights, named_levels, up

SMALL = {"patches": 16, "repeats": 2, "directions": 32}
KERNEL = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256


def pictures(n, *, seed, side=32, channels=3, smooth=1.0):
    noise = np.random.default_rng(seed).normal(size=(n, channels, side, side))
    x = ndimage.gaussian_filter(noise, (0, 0, smooth, smooth), mode="wrap") if smooth else noise
    return torch.from_numpy((128 + 50 * x / x.std()).clip(0, 255).astype(np.uint8))


def run(real, fake, *, batch=33, **settings):
    metric = SlicedWasserstein(**{**SMALL, **settings})
    for x, side in ((real, "real"), (fake, "fake")):
        for index in torch.arange(len(x)).split(batch):
            metric.update(x[index], index=index, side=side)
    return {level: float(value) for level, value in metric.compute().items()}


def slow_level(image, level):
    """The Laplacian pyramid of one channel by scipy."""
    levels = [image]
    for _ in range(level + 1):
        levels.append(ndimage.convolve(levels[-1], KERNEL, mode="mirror")[::2, ::2])
    wide = np.zeros_like(levels[level])
    wide[::2, ::2] = levels[level + 1]
    return levels[level] - ndimage.convolve(wide, 4 * KERNEL, mode="mirror")


def test_pyramid_is_scipys():
    image = np.random.default_rng(0).uniform(0, 255, (64, 64))
    x = torch.from_numpy(image)[None, None]
    for level in (0, 1):
        assert np.allclose(laplacian_level(x, level)[0, 0].numpy(), slow_level(image, level), atol=1e-9)
    rest = ndimage.convolve(ndimage.convolve(image, KERNEL, mode="mirror")[::2, ::2], KERNEL, mode="mirror")[::2, ::2]
    assert np.allclose(laplacian_level(x, 2)[0, 0].numpy(), rest, atol=1e-9)
    flat = torch.full((1, 1, 32, 32), 7.0).double()
    assert torch.allclose(up(down(flat)), flat)


def test_levels_end_at_16():
    assert level_heights(128, 128) == [128, 64, 32, 16]
    assert level_heights(32, 32) == [32, 16]
    assert level_heights(28, 28) == [28]


def test_patches_are_whole_and_reach_every_corner():
    x = torch.arange(2 * 10 * 12).view(2, 1, 10, 12).expand(2, 3, 10, 12).clone()
    x[:, 1] += 1000
    top, left = SlicedWasserstein(patches=200)._places(2, 0, (10, 12))
    patches = cut_patches(x, top, left).flatten(0, 1)
    assert patches.shape == (400, 3, 7, 7)
    first = patches[:, 0, 0, 0]
    assert set((first[:200] % 12).tolist()) == set(range(6))
    assert set((first[:200] // 12).tolist()) == set(range(4))
    assert int(first[:200].max()) < 120 <= int(first[200:].min())
    offsets = torch.arange(7)[:, None] * 12 + torch.arange(7)
    assert torch.equal(patches[:, 0], first[:, None, None] + offsets)
    assert torch.equal(patches[:, 1], patches[:, 0] + 1000)


def test_distance_of_one_line_is_scipys_wasserstein():
    metric = SlicedWasserstein(repeats=1, directions=1)
    a, b = (torch.randn(500, 5, generator=torch.Generator().manual_seed(s)) * (1 + s) for s in (0, 1))
    line = torch.randn(5, 1, generator=torch.Generator().manual_seed(1000))
    line = line / line.norm()
    expected = stats.wasserstein_distance((a @ line)[:, 0].numpy(), (b @ line)[:, 0].numpy())
    assert float(metric._distance(a, b, 0)) == pytest.approx(expected, rel=1e-5)


def test_units_and_normalisation():
    # Descriptors have mean 0 and variance 1 per channel: brightness and contrast of a set do not count.
    x = pictures(100, seed=0)
    darker = (x.float() * 0.5 + 20).round().to(torch.uint8)
    assert max(run(x, darker).values()) < 20
    assert run(x, x) == {32: 0, 16: 0}


def test_tells_the_scale_on_which_images_differ():
    a, b = pictures(300, seed=1, smooth=1.0), pictures(300, seed=2, smooth=1.0)
    floor, other = run(a, b), run(a, pictures(300, seed=3, smooth=2.5))
    assert other[32] > 3 * floor[32]
    assert 0 < floor[32] < 60
    values = dict(named_levels({k: torch.tensor(v) for k, v in other.items()}))
    assert float(values["avg"]) == pytest.approx((other[32] + other[16]) / 2)
    assert list(values) == ["avg", "32", "16"]


def test_independent_of_batches_and_of_surplus_images():
    a, b = pictures(40, seed=4), pictures(50, seed=5)
    assert run(a, b, batch=7) == run(a, b, batch=50) == run(a, b[:40])
    assert run(a, b, images=20) == run(a[:20], b[:20])
    assert run(a, b, seed=1) != run(a, b)


@pytest.mark.parametrize("n", [20, 300])  # a block of images, and more
def test_of_large_images_the_patches_alone_are_kept(n, monkeypatch):
    """As many values in another order are kept, and the distances are the same to the last bit."""
    a, b = pictures(n, seed=8), pictures(n + 5, seed=9)
    settings = {"patches": 2, "images": n}
    monkeypatch.setattr(SlicedWasserstein, "keeps_patches", lambda metric, shape: False)
    whole = run(a, b, **settings)
    monkeypatch.setattr(SlicedWasserstein, "keeps_patches", lambda metric, shape: True)
    assert run(a, b, **settings) == whole
    assert run(a, b, batch=n + 5, **settings) == whole
    metric = SlicedWasserstein(**settings)
    metric.update(a, index=torch.arange(n), side="real")
    assert metric.sorted_samples("real").shape == (n, 2, 2, 3, 7, 7)
    metric.update(b[:0], index=torch.arange(0), side="fake")  # of a process without samples
    assert metric.fake_samples[0].shape == (0, 2, 2, 3, 7, 7)


def test_which_images_are_large():
    metric = SlicedWasserstein()
    assert [side for side in (32, 64, 128, 256, 512, 1024) if metric.keeps_patches((3, side, side))] == [512, 1024]


def test_grey_is_tiled():
    a, b = pictures(30, seed=6, channels=1), pictures(30, seed=7, channels=1)
    assert run(a, b) == pytest.approx(run(a.expand(-1, 3, -1, -1), b.expand(-1, 3, -1, -1)))


def test_bad_input():
    with pytest.raises(ValueError, match="uint8"):
        run(torch.rand(4, 3, 32, 32), torch.rand(4, 3, 32, 32))
    with pytest.raises(ValueError, match=r"swd.* of one shape"):
        run(pictures(4, seed=0), pictures(4, seed=0, side=64))
    with pytest.raises(ValueError, match="one or more"):
        SlicedWasserstein(patches=0)
    black = torch.zeros(4, 3, 32, 32, dtype=torch.uint8)
    assert all(np.isfinite(v) for v in run(black, pictures(4, seed=0)).values())
