import math

import pytest
import torch
from metrics_toys import ToyData, ToyExtractor, tf32_flags
from torch import nn

from zoo.errors import EvaluationError
from zoo.metrics import Evaluator, ModuleExtractor
from zoo.metrics.features import full_float32, sha256_of


def test_refuses_floats_and_wrong_shapes():
    extractor = ToyExtractor()
    with pytest.raises(TypeError, match="toy: images must be uint8"):
        extractor(torch.zeros(2, 1, 8, 8))
    for shape in ((2, 8, 8), (2, 2, 8, 8)):
        with pytest.raises(ValueError, match="1 or 3"):
            extractor(torch.zeros(shape, dtype=torch.uint8))


def test_stays_in_eval_mode_without_gradients_and_in_fp32_under_autocast():
    extractor = ToyExtractor()
    assert not extractor.train().training
    images = torch.randint(0, 256, (5, 1, 8, 8), dtype=torch.uint8)
    expected = extractor(images).features
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = extractor(images)
    assert torch.equal(result.features, expected)
    assert result.logits.dtype == torch.float32
    assert not result.logits.requires_grad


def test_precision_flags_are_switched_off_and_put_back():
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("high")
        assert tf32_flags() == (True, True)
        with full_float32(torch.device("cpu")):
            assert tf32_flags() == (False, False)
        assert tf32_flags() == (True, True)
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision(before)


def test_sha256_of_a_file(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_of(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


class Halves(nn.Module):
    """Means of the upper and lower half; with logits where asked for."""

    def __init__(self, *, logits: bool = False) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([2.0]))
        self.dropout, self.logits = nn.Dropout(0.5), logits

    def forward(self, images):
        x = self.dropout(self.scale * images.double().flatten(1).view(len(images), 2, -1).mean(dim=2))
        return (x, x.repeat(1, 3)) if self.logits else x


def test_any_module_is_an_extractor():
    extractor = ModuleExtractor(Halves(logits=True).train(), name="Halves", image_shape=(1, 8, 8))
    images = torch.randint(0, 256, (9, 1, 8, 8), dtype=torch.uint8)
    result = extractor(images)
    assert (extractor.name, extractor.dim, extractor.num_classes) == ("halves", 2, 6)
    assert torch.allclose(result.features, 2 * images.float().view(9, 2, 32).mean(dim=2))
    assert result.features.dtype == result.logits.dtype == torch.float32
    assert not any(p.requires_grad for p in extractor.parameters())
    other = Halves(logits=True)
    nn.init.constant_(other.scale, 3)
    assert ModuleExtractor(other, name="halves", image_shape=(1, 8, 8)).sha256 != extractor.sha256
    assert ModuleExtractor(Halves(logits=True), name="other", image_shape=(1, 8, 8)).sha256 == extractor.sha256
    values = Evaluator([extractor], data=ToyData(), n_fake=60, measures=["fd", "is"]).run_images(
        images.repeat(7, 1, 1, 1)
    )
    assert set(values.values) == {"fd_halves60", "is_halves60", "is_halves60_std"}


def test_modules_that_cannot_serve_are_named():
    shape = (1, 8, 8)
    without = ModuleExtractor(Halves(), name="halves", image_shape=shape)
    assert without.num_classes == 0
    with pytest.raises(EvaluationError, match="halves has no logits"):
        Evaluator([without], data=ToyData(), n_fake=60)
    with pytest.raises(EvaluationError, match=r"conv cannot take uint8 images of shape \[1, 8, 8\]: RuntimeError"):
        ModuleExtractor(nn.Conv2d(3, 4, kernel_size=3), name="conv", image_shape=shape)
    with pytest.raises(EvaluationError, match=r"features must be \[2, d\], got \[2, 1, 8, 8\]"):
        ModuleExtractor(nn.Identity(), name="same", image_shape=shape)
    for name in ("Inception", "a b", ""):
        with pytest.raises(EvaluationError, match="letters and digits"):
            ModuleExtractor(Halves(), name=name, image_shape=shape)


@pytest.mark.parametrize(
    ("features", "logits", "measures"),
    [
        *((math.nan, 0.0, [name]) for name in ("fd", "fd_infinity", "kd", "pr", "dc", "nn")),
        *((math.inf, 0.0, ["fd"]), (1.0, math.nan, ["is"]), (1.0, math.inf, ["is"])),
    ],
)
def test_features_that_are_not_finite_are_refused(features, logits, measures):
    """A Frechet distance of them was a traceback of LAPACK's, a precision too low."""

    class Net(nn.Module):
        def forward(self, images):
            x = images.float().flatten(1)[:, :4].clone()
            y = x.new_zeros(len(x), 3)
            x[images.flatten(1)[:, 0] > 250], y[images.flatten(1)[:, 0] > 250] = features, logits
            return x, y

    extractor = ModuleExtractor(Net(), name="net", image_shape=(1, 8, 8))
    images = torch.randint(0, 256, (60, 1, 8, 8), dtype=torch.uint8)
    images[7, 0, 0, 0] = 255
    with pytest.raises(EvaluationError, match=r"\d of [\d,]+ (features|logits) are NaN or infinite"):
        Evaluator([extractor], data=ToyData(), n_fake=60, measures=measures).run_images(images)


def test_a_class_of_probability_0_is_none():
    class Net(nn.Module):
        def forward(self, images):
            x = images.float().flatten(1)[:, :4]
            return x, torch.cat([x, torch.full((len(x), 1), -math.inf)], dim=1)

    extractor = ModuleExtractor(Net(), name="net", image_shape=(1, 8, 8))
    images = torch.randint(0, 256, (60, 1, 8, 8), dtype=torch.uint8)
    values = Evaluator([extractor], data=ToyData(), n_fake=60, measures=["is"]).run_images(images).values
    assert 1 <= values["is_net60"] < 5
