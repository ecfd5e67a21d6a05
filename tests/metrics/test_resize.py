import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from zoo.metrics.resize import DESCRIPTIONS, resize

SIZES = [(32, 32), (28, 28), (64, 48), (400, 310)]


def picture(height, width):
    return torch.randint(0, 256, (1, 3, height, width), generator=torch.Generator().manual_seed(0)).float()


@pytest.mark.parametrize("shape", SIZES)
def test_clean_is_pils_bicubic_of_each_channel_in_float(shape):
    x = picture(*shape)
    channels = [Image.fromarray(c.numpy()).resize((299, 299), Image.Resampling.BICUBIC) for c in x[0]]
    expected = torch.from_numpy(np.stack([np.asarray(c) for c in channels])).clamp(0, 255)
    assert float((resize(x, 299, dialect="clean")[0] - expected).abs().max()) < 2e-3


@pytest.mark.parametrize("shape", SIZES)
def test_torchmetrics_is_bilinear_with_antialias(shape):
    x = picture(*shape)
    # In float64: torch's own float32 kernel is off by 0.004 grey levels where it shrinks.
    expected = F.interpolate(x.double(), size=(299, 299), mode="bilinear", align_corners=False, antialias=True)
    assert float((resize(x, 299, dialect="torchmetrics") - expected).abs().max()) < 1e-3


def test_the_dialects_differ_and_a_flat_image_stays_flat():
    x = picture(32, 32)
    tf1, clean, other = (resize(x, 299, dialect=d) for d in DESCRIPTIONS)
    for a, b in ((tf1, clean), (tf1, other), (clean, other)):
        assert float((a - b).abs().mean()) > 1
    for dialect in DESCRIPTIONS:
        assert torch.allclose(resize(torch.full((1, 3, 32, 32), 200.0), 299, dialect=dialect), torch.tensor(200.0))
