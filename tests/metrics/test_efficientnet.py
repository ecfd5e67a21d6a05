import os

import pytest
import torch
import torch.nn.functional as F

from zoo.data import CIFAR10
from zoo.errors import WeightsError
from zoo.metrics import EfficientNetExtractor
from zoo.metrics.efficientnet import SHA256, SameConv2d, installed_weights, read_network, to_efficientnet_input

# ImageNet's classes that are CIFAR-10's: (airliner, warplane), (wagon, cab, ..., sports car), birds, cats, antelopes,
# dogs, frogs, sorrel, ships, lorries.
CLASSES = (
    [404, 895],
    [436, 468, 511, 609, 627, 656, 661, 751, 817],
    [*range(7, 25), *range(80, 101), *range(127, 147)],
    [281, 282, 283, 284, 285],
    [351, 352, 353],
    [*range(151, 269)],
    [30, 31, 32],
    [339],
    [403, 484, 510, 554, 625, 628, 724, 780, 814, 914],
    [555, 569, 675, 717, 864, 867],
)


@pytest.fixture(scope="module")
def extractor():
    return EfficientNetExtractor()


def pictures(n, *, side=32, seed=0):
    return torch.randint(0, 256, (n, 3, side, side), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def test_padding_is_tensorflows_same():
    """TensorFlow's definition: with kernel 3 and stride 2, an even side is padded at its end alone."""
    ramp = torch.arange(1.0, 8.0).view(1, 1, 1, 7).expand(1, 1, 7, 7)
    convolution = SameConv2d(1, 1, 3, stride=2, bias=False)
    with torch.no_grad():
        convolution.weight.zero_()[0, 0, 1, 0] = 1  # picks the left neighbour of the centre
        assert convolution(ramp[..., :7])[0, 0, 1].tolist() == [0, 2, 4, 6]
        assert convolution(ramp[..., :6])[0, 0, 1].tolist() == [1, 3, 5]


def test_names_and_shapes(extractor):
    result = extractor(pictures(12))
    assert result.features.shape == (12, 1280) == (12, extractor.dim)
    assert result.logits.shape == (12, 1000) == (12, extractor.num_classes)
    assert (extractor.name, extractor.sha256) == ("efficientnet", SHA256)
    assert EfficientNetExtractor(size=224).name == "efficientnet224"
    assert not any(parameter.requires_grad for parameter in extractor.parameters())
    assert float(result.features.min()) >= 0
    assert float(result.features.max()) <= 6


def test_features_depend_on_no_neighbour_and_no_random_state(extractor):
    images = pictures(23)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    again = EfficientNetExtractor()(images[7:8])
    assert torch.equal(torch.get_rng_state(), state)
    torch.testing.assert_close(again.features[0], extractor(images).features[7], rtol=1e-4, atol=1e-5)


def test_input_is_scaled_resized_and_grey_is_tiled():
    flat = torch.full((2, 1, 20, 30), 255, dtype=torch.uint8)
    x = to_efficientnet_input(flat)
    assert x.shape == (2, 3, 128, 128)
    torch.testing.assert_close(x, torch.ones_like(x))
    large = pictures(1, side=256)
    expected = F.interpolate(large.float(), size=(128, 128), mode="bicubic", antialias=True, align_corners=False)
    torch.testing.assert_close(to_efficientnet_input(large), (expected.clamp(0, 255) - 127) / 128)


def test_weights_that_are_missing_or_others_are_named(tmp_path, monkeypatch):
    with pytest.raises(WeightsError, match=r"nowhere\.pth is missing; install it again: python -m pip"):
        EfficientNetExtractor(tmp_path / "nowhere.pth")
    (tmp_path / "other.pth").write_bytes(b"abc")
    with pytest.raises(WeightsError, match=r"sha256 of .*other\.pth is ba7816bf"):
        EfficientNetExtractor(tmp_path / "other.pth")
    monkeypatch.setattr("zoo.metrics.efficientnet.PACKAGE", "no_such_package")
    with pytest.raises(WeightsError, match="the package no_such_package is not installed"):
        EfficientNetExtractor()


def test_agrees_with_another_implementation_of_the_network():
    """timm's `tf_efficientnet_lite0`: not a dependency of this project, so that this runs where it is installed."""
    timm = pytest.importorskip("timm")
    net = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    names = [name for name in net.state_dict() if not name.endswith("num_batches_tracked")]
    file = torch.load(installed_weights(), weights_only=True)
    values = [value for name, value in file.items() if not name.endswith("num_batches_tracked")]
    net.load_state_dict(dict(zip(names, values, strict=True)), strict=False)
    x = torch.rand(2, 3, 97, 128, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(read_network(installed_weights())(x).logits, net(x), rtol=1e-4, atol=1e-4)


@pytest.mark.skipif("ZOO_DATA" not in os.environ, reason="ZOO_DATA names no folder of data sets")
def test_knows_what_is_in_natural_images(extractor):
    """Without any training: 46.7 % of 300 test images of CIFAR-10 by ImageNet's classes, 10 % by chance."""
    split = CIFAR10(root=os.environ["ZOO_DATA"]).split("test")
    chosen = torch.randperm(len(split), generator=torch.Generator().manual_seed(0))[:150]
    probabilities = extractor(split.images[chosen]).logits.softmax(dim=1)
    guesses = torch.stack([probabilities[:, members].sum(dim=1) for members in CLASSES], dim=1).argmax(dim=1)
    assert split.labels is not None
    assert float((guesses == split.labels[chosen]).float().mean()) > 0.35
