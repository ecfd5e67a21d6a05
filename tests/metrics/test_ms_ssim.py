import numpy as np
import pytest
import torch
from scipy import ndimage
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as torchmetrics_ms_ssim

from zoo.metrics.ms_ssim import PairwiseMSSSIM, ms_ssim


def pictures(n, *, seed, side=64, smooth=3.0):
    noise = np.random.default_rng(seed).normal(size=(n, 3, side, side))
    x = ndimage.gaussian_filter(noise, (0, 0, smooth, smooth), mode="wrap")
    return torch.from_numpy((128 + 50 * x / x.std()).clip(0, 255).astype(np.uint8))


WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003, section 3.2


def slow(a, b):
    """One pair of one side, window by window, by the definition."""
    a, b = a.double().numpy(), b.double().numpy()
    c1, c2, result = 2.55**2, 7.65**2, 1.0
    for scale, weight in enumerate(WEIGHTS):
        size = min(11, a.shape[-1])
        x = np.arange(size) - (size - 1) / 2
        g = np.exp(-(x**2) / (2 * (1.5 * size / 11) ** 2))
        g = np.outer(g, g) / g.sum() ** 2
        terms = []
        for channel in range(a.shape[0]):
            for i in range(a.shape[1] - size + 1):
                for j in range(a.shape[2] - size + 1):
                    p, q = (y[channel, i : i + size, j : j + size] for y in (a, b))
                    mp, mq = (g * p).sum(), (g * q).sum()
                    vp, vq = (g * (p - mp) ** 2).sum(), (g * (q - mq) ** 2).sum()
                    contrast = (2 * (g * (p - mp) * (q - mq)).sum() + c2) / (vp + vq + c2)
                    terms.append((contrast, contrast * (2 * mp * mq + c1) / (mp**2 + mq**2 + c1)))
        contrast, full = np.mean(terms, axis=0)
        result *= max(full if scale == 4 else contrast, 0) ** weight
        a, b = (y.reshape(3, y.shape[1] // 2, 2, y.shape[2] // 2, 2).mean((2, 4)) for y in (a, b))
    return result


def near(a, seed):
    noise = np.random.default_rng(seed).normal(size=a.shape) * 30
    return (a.double() + torch.from_numpy(noise)).clamp(0, 255).to(torch.uint8)


def test_equals_the_definition_window_by_window():
    a = pictures(1, seed=0, side=32)
    b = near(a, 1)
    value = float(ms_ssim(a, b)[0])
    assert value == pytest.approx(slow(a[0], b[0]), rel=1e-9)
    assert 0.2 < value < 0.99


def test_equals_torchmetrics_where_no_window_shrinks():
    a = pictures(1, seed=2, side=192)  # 12 pixels at the coarsest scale
    b = near(a, 3)
    # torchmetrics pads each scale by reflection and cuts it off again: the same valid windows.
    expected = torchmetrics_ms_ssim(
        a.double(), b.double(), data_range=255.0, sigma=1.5, kernel_size=11, normalize="relu"
    )
    assert float(ms_ssim(a, b)[0]) == pytest.approx(float(expected), rel=1e-5)


def test_same_images_give_1_and_unlike_ones_little():
    a = pictures(6, seed=4)
    assert ms_ssim(a, a).tolist() == pytest.approx([1] * 6)
    assert float(ms_ssim(a, pictures(6, seed=5)).mean()) < 0.3
    assert float(ms_ssim(a, 255 - a).max()) == 0  # negative contrast terms


def test_pairs_by_index_whatever_the_batches():
    x = pictures(21, seed=6, side=32)
    expected = float(ms_ssim(x[0:20:2], x[1:20:2]).mean())
    for batch in (4, 10, 21):
        metric = PairwiseMSSSIM()
        for index in torch.arange(21).split(batch):
            metric.update(x[index], index=index)
        assert float(metric.compute()) == pytest.approx(expected, rel=1e-12)


def test_bad_input():
    x = pictures(4, seed=7, side=32)
    with pytest.raises(ValueError, match="pairs"):
        PairwiseMSSSIM().update(x[:2], index=torch.tensor([1, 2]))
    with pytest.raises(ValueError, match="two samples"):
        PairwiseMSSSIM().compute()
    with pytest.raises(ValueError, match=r"MS-SSIM .* 16 pixels"):
        ms_ssim(x[..., :8], x[..., :8])
