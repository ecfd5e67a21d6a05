"""InfoGAN's networks and latents: counts, shapes, initialisation, where BatchNorm stands, the laws of the codes."""

from typing import Any

import pytest
import torch
from infogan_toys import count, on_meta
from torch import nn

from zoo.models.infogan import InfoGAN


def test_parameter_counts_of_the_mnist_network() -> None:
    module = on_meta()
    assert count(module.G) == 6_652_481
    assert [count(part) for part in (module.D.trunk, module.D.head, module.D.Q)] == [6_558_144, 1_025, 133_262]
    assert count(module.D) == 6_558_144 + 1_025 + 133_262
    assert module.z_dim == 74


def test_parameter_counts_of_the_celeba_network() -> None:
    module = on_meta(network="celeba")
    assert module.z_dim == 228
    first = 228 * 2 * 2 * 448 + 3 * 2 * 2 * 448  # weights, biases, gain and bias of BatchNorm
    up = (448 * 256 + 256 * 128 + 128 * 64 + 64 * 3) * 16 + (256 + 128 + 64 + 3) + 2 * 256
    assert count(module.G) == first + up
    assert count(module.D.trunk) == (3 * 64 + 64 * 128 + 128 * 256) * 16 + (64 + 128 + 256) + 2 * (128 + 256)
    assert count(module.D.head) == 4 * 4 * 256 + 1
    assert count(module.D.Q) == 4096 * 128 + 3 * 128 + 128 * 100 + 100


@pytest.mark.parametrize(
    ("settings", "shape", "outputs"),
    [
        ({}, (1, 28, 28), 14),
        ({"network": "celeba"}, (3, 32, 32), 100),
        ({"network": "celeba", "resolution": 64}, (3, 64, 64), 100),
        ({"network": "celeba", "noise": 124, "codes": 4, "continuous": 4}, (3, 32, 32), 48),  # SVHN, appendix C.2
    ],
)
def test_shapes(settings: Any, shape: tuple[int, int, int], outputs: int) -> None:
    module = on_meta(**settings)
    with torch.device("meta"):
        z = torch.empty(2, module.z_dim)
        images = module.G(z)
        logits, q = module.D.with_codes(images)
    assert images.shape == (2, *shape) == (2, *module.image_shape)
    assert logits.shape == module.D(images).shape == (2, 1)
    assert q.log_variance is not None
    assert q.categorical.shape == module.layout.codes_of(z).categorical.shape
    assert q.continuous.shape == q.log_variance.shape == module.layout.codes_of(z).continuous.shape
    assert module.D.Q[-1].out_features == outputs


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"resolution": 32}, "28x28"),
        ({"network": "celeba", "resolution": 40}, "multiple of 16"),
        ({"codes": 0, "continuous": 0}, "needs a code"),
    ],
)
def test_impossible_settings_are_refused(settings: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        on_meta(**settings)


def test_initialisation_laws() -> None:
    module = InfoGAN()
    convolution = next(m for m in module.D.modules() if isinstance(m, nn.Conv2d) and m.in_channels == 64)
    assert 0.0399 < convolution.weight.abs().max() <= 0.04  # truncated at two deviations
    assert convolution.weight.std().item() == pytest.approx(0.02 * 0.8796, rel=0.02)  # that of the truncated law
    others = [
        m for m in module.modules() if isinstance(m, nn.Linear | nn.ConvTranspose2d) and m.weight.numel() > 10_000
    ]
    assert len(others) == 5
    for layer in others:
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.03)
        assert layer.weight.abs().max() > 0.06
    gains = torch.cat([m.weight for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)])
    assert gains.mean().item() == pytest.approx(1, abs=0.002)
    assert gains.std().item() == pytest.approx(0.02, rel=0.05)
    assert not any(p.any() for name, p in module.named_parameters() if name.endswith("bias"))


@pytest.mark.parametrize(("settings", "slope"), [({}, 0.1), ({"slope": 0.01}, 0.01)])
def test_slope(settings: Any, slope: float) -> None:
    for network, n in (("mnist", 4), ("celeba", 4)):
        layers = [m for m in on_meta(network=network, **settings).modules() if isinstance(m, nn.LeakyReLU)]
        assert [layer.negative_slope for layer in layers] == [slope] * n


def test_batchnorm_stands_where_table_3_has_it() -> None:
    kinds = [type(m) for m in on_meta(network="celeba").G]
    assert [kinds[i + 1] is nn.BatchNorm2d for i, kind in enumerate(kinds) if kind is nn.ConvTranspose2d] == [
        True,
        False,
        False,
        False,
    ]
    trunk = [type(m) for m in on_meta(network="celeba").D.trunk]
    assert [trunk[i + 1] is nn.BatchNorm2d for i, kind in enumerate(trunk) if kind is nn.Conv2d] == [False, True, True]
