"""GAN's networks: sizes, first weights, activations, maxout, and the contrast of their images."""

import math

import numpy as np
import pytest
import torch
from gan_toys import linear_layers, on_meta
from torch import nn

from zoo.errors import UnsupportedSettingError
from zoo.models.gan import GAN, contrast_normalise
from zoo.models.networks.gan import ConvMaxout, cifar10_generator, convolutional_discriminator

# Table of PAPERS: z law, parameters of G, parameters of D.
COUNTS = {
    "mnist": (2_503_984, 1_231_441),
    "cifar10_fully_connected": (89_395_072, 37_393_601),
    "cifar10_convolutional": (64_825_072, 12_454_073),
}


def count(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


@pytest.mark.parametrize("network", COUNTS)
def test_parameter_counts(network: str) -> None:
    module = on_meta(network)
    assert (count(module.G), count(module.D)) == COUNTS[network]


@pytest.mark.parametrize(
    ("network", "width", "expected"),
    [
        ("mnist", 40, (100 * 40 + 40 * 40 + 40 * 784 + 864, 5 * 8 * (784 + 8) + 80 + 9)),
        ("cifar10_fully_connected", 960, (101 * 960 + 961 * 960 + 961 * 3072, 960 * (3073 + 193) + 193)),
        ("cifar10_convolutional", 800, (101 * 800 + 801 * 800 + 8 * 3 * 25 + 3072, 50 * 5 * 4801 + 51 + 451_072)),
        ("mnist_rgb32", 960, (101 * 960 + 961 * 960 + 961 * 3072, 960 * (3073 + 193) + 193)),
        ("mnist_rgb64", 288, (101 * 288 + 289 * 288 + 289 * 12_288, 285 * (12_289 + 58) + 58)),
    ],
)
def test_narrow_networks(network: str, width: int, expected: tuple[int, int]) -> None:
    """D's units in proportion: a fifth of G's, or 1/16 of the convolutional network's."""
    module = on_meta(network, width=width)
    assert (count(module.G), count(module.D)) == expected
    with torch.device("meta"):
        assert module.generate(torch.empty(2, 100), None).shape == (2, *module.image_shape)
    if network in ("mnist_rgb32", "mnist_rgb64"):  # a byte each: a release stays below 8 MB
        assert sum(expected) < 7.7e6


def test_widths_that_give_no_network_are_refused() -> None:
    for network, width in (("cifar10_convolutional", 150), ("mnist", 8)):
        with pytest.raises(UnsupportedSettingError, match=f"width={width}: the network {network} takes"):
            on_meta(network, width=width)


@pytest.mark.parametrize("side", [32, 64])
def test_mnists_networks_in_colour_start_at_the_mean_image(side: int) -> None:
    """As the authors' start from the marginals of the digits; scaled to [0, 1], latents uniform."""
    images = torch.randint(0, 256, (40, 3, side, side), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    module = GAN(network="mnist_rgb32" if side == 32 else "mnist_rgb64", width=40)
    assert (module.lr, module.prior[0].distribution) == (0.1, "uniform")
    seen = module.preprocess(images)
    assert torch.equal(seen.unflatten(1, module.image_shape), images / 255)
    module.start_from(images)
    mean = images.float().mean(0).div(127.5).sub(1)
    torch.testing.assert_close(module.sample(64).mean(0), mean, atol=0.05, rtol=0)
    assert module.sample(2).shape == (2, 3, side, side)


@pytest.mark.parametrize("network", COUNTS)
def test_shapes(network: str) -> None:
    module = on_meta(network)
    with torch.device("meta"):
        images = module.G(torch.empty(2, 100))
        assert module.D(images).shape == (2, 1)
        assert images.shape == module.preprocess(torch.empty(2, *module.image_shape)).shape
        assert module.generate(torch.empty(2, 100), None).shape == (2, *module.image_shape)


def assert_uniform(layer: nn.Module, bound: float) -> None:
    """Weights fill (-bound, bound) evenly; biases are 0."""
    weight = layer.weight.detach().flatten()
    assert weight.abs().max() <= bound
    weight = weight[:200_000]
    spread = 5 / len(weight) ** 0.5  # five standard errors and more
    assert weight.max() > bound * (1 - spread)
    assert weight.min() < -bound * (1 - spread)
    assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=spread)
    assert (weight.abs() < bound / 2).float().mean().item() == pytest.approx(0.5, abs=spread)  # a normal gives more
    assert layer.bias is None or not layer.bias.any()


def test_initialisation_laws_of_mnist() -> None:
    module = GAN()
    assert len(linear_layers(module.G)) == len(linear_layers(module.D)) == 3
    for layer in linear_layers(module.G):
        assert_uniform(layer, 0.05)
    for layer in linear_layers(module.D):
        assert_uniform(layer, 0.005)


def test_initialisation_laws_of_the_fully_connected_cifar10_generator() -> None:
    first, second, last = linear_layers(cifar10_generator(4, convolutional=False))
    assert_uniform(first, 0.05)
    assert_uniform(second, 0.05)
    assert_uniform(last, 0.5)


def test_initialisation_laws_of_the_convolutional_cifar10_networks() -> None:
    G = cifar10_generator(4, convolutional=True)
    for layer in linear_layers(G):
        assert_uniform(layer, 0.05)
    assert G[-2].bias is None
    assert G[-1].bias.shape == (3, 32, 32)  # one bias for each output pixel
    assert not G[-1].bias.any()
    for layer in linear_layers(convolutional_discriminator()):
        assert_uniform(layer, 0.005)


@pytest.mark.parametrize("network", COUNTS)
def test_dropout_stands_before_every_layer_of_the_discriminator_alone(network: str) -> None:
    module = on_meta(network)
    layers = [layer for layer in module.D if not isinstance(layer, nn.Flatten)]
    rates, rest = layers[0::2], layers[1::2]
    assert all(isinstance(layer, nn.Dropout) for layer in rates)
    assert not any(isinstance(layer, nn.Dropout) for layer in rest)
    assert [layer.p for layer in rates] == [0.2] + [0.5] * (len(rest) - 1)
    assert not any(isinstance(layer, nn.Dropout) for layer in module.G.modules())


@pytest.mark.parametrize(
    ("network", "activations"),
    [
        ("mnist", [nn.ReLU, nn.ReLU, nn.Sigmoid]),
        ("cifar10_fully_connected", [nn.ReLU, nn.Sigmoid]),  # the output is linear
        ("cifar10_convolutional", [nn.ReLU, nn.Sigmoid]),
    ],
)
def test_activations_of_the_generators(network: str, activations: list[type]) -> None:
    kinds = [type(layer) for layer in on_meta(network).G]
    assert [kind for kind in kinds if kind in (nn.ReLU, nn.Sigmoid, nn.Tanh)] == activations
    assert (kinds[-1] is nn.Sigmoid) is (network == "mnist")


def test_maps_of_the_convolutional_discriminator() -> None:
    D = convolutional_discriminator().to("meta")
    sizes: list[int] = []
    for layer in D.modules():
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d):
            layer.register_forward_hook(lambda layer, inputs, output: sizes.append(output.shape[-1]))
    D(torch.empty(1, 3, 32, 32, device="meta"))
    assert sizes == [33, 16, 15, 7, 9, 5]


def test_convolutional_maxout_against_a_slow_loop() -> None:
    layer = ConvMaxout(2, 3, kernel=3, padding=1, pool=2)
    nn.init.normal_(layer.conv.bias)
    x = torch.randn(1, 2, 4, 4)
    padded = nn.functional.pad(x, (1, 1, 1, 1))[0]
    weight, bias = layer.conv.weight.detach(), layer.conv.bias.detach()
    expected = torch.full((3, 2, 2), -math.inf)
    for channel in range(3):
        for row in range(4):
            for column in range(4):
                patch = padded[:, row : row + 3, column : column + 3]
                for piece in (2 * channel, 2 * channel + 1):
                    value = (weight[piece] * patch).sum() + bias[piece]
                    cell = expected[channel, row // 2, column // 2]
                    expected[channel, row // 2, column // 2] = max(cell, value)
    torch.testing.assert_close(layer(x)[0].detach(), expected)


@pytest.mark.parametrize("network", COUNTS)
def test_latents_have_unit_variance(network: str) -> None:
    z = on_meta(network).latents(4_000, generator=torch.Generator().manual_seed(0))
    assert z.shape == (4_000, 100)
    assert z.mean().item() == pytest.approx(0, abs=0.01)
    assert z.var().item() == pytest.approx(1, rel=0.01)
    if network == "mnist":  # U(-sqrt 3, sqrt 3)
        assert -(3**0.5) <= z.min() < -1.73
        assert 1.73 < z.max() <= 3**0.5
    else:  # N(0, 1)
        assert z.abs().max() > 4
        assert (z.abs() < 1).float().mean().item() == pytest.approx(math.erf(0.5**0.5), abs=0.005)


def test_contrast_normalisation_against_a_loop_over_images() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 3, 8, 8))
    pixels[1] = pixels[1] // 8 + 100  # little contrast
    normalised = contrast_normalise(torch.from_numpy(pixels).float()).numpy()
    for image, result in zip(pixels.astype(np.float64), normalised, strict=True):
        centred = image - image.sum() / image.size
        expected = 55 * centred / np.sqrt((centred**2).sum())
        np.testing.assert_allclose(result, expected, atol=1e-4)
        assert np.sqrt((result.astype(np.float64) ** 2).sum()) == pytest.approx(55, rel=1e-5)
        assert result.mean() == pytest.approx(0, abs=1e-5)


def test_contrast_normalisation_of_a_flat_image_is_black() -> None:
    assert not contrast_normalise(torch.full((1, 3, 8, 8), 77.0)).any()


def test_scale_of_the_mnist_networks() -> None:
    module = on_meta("mnist")
    pixels = torch.arange(256, dtype=torch.uint8).repeat(4)[:784].view(1, 1, 28, 28)
    x = module.preprocess(pixels)
    assert x.shape == (1, 784)
    torch.testing.assert_close(x, pixels.flatten(1).double().div(255).float())
    module.G = nn.Identity()
    torch.testing.assert_close(module.generate(x, None), pixels.float() / 127.5 - 1)  # D's [0, 1] and back to [-1, 1]


@pytest.mark.parametrize("network", ["cifar10_fully_connected", "cifar10_convolutional"])
def test_generate_undoes_the_contrast_normalisation(network: str) -> None:
    """Exactly where all images share brightness and contrast, as those that are rearrangements of one another do."""
    module = on_meta(network)
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(256, (3072,), generator=generator, dtype=torch.uint8)
    images = torch.stack([image[torch.randperm(3072, generator=generator)].view(3, 32, 32) for _ in range(4)])
    module.brightness, module.contrast, module.G = torch.tensor(0.0), torch.tensor(1.0), nn.Identity()
    module.start_from(images)
    shown = module.generate(module.preprocess(images), None)
    torch.testing.assert_close(shown, images.float() / 127.5 - 1, atol=1e-4, rtol=0)


def test_start_from_puts_the_mean_image_into_the_output_bias() -> None:
    torch.manual_seed(0)
    module = GAN()
    mean = torch.linspace(0.02, 0.9, 784)
    images = (torch.rand(400, 784) < mean).view(400, 1, 28, 28).to(torch.uint8) * 255
    module.start_from(images)
    data_mean = images.float().mean((0, 1)).flatten() / 255
    bias = module.G[-2].bias.detach()
    inside = (data_mean > 0) & (data_mean < 1)
    torch.testing.assert_close(torch.sigmoid(bias)[inside], data_mean[inside], atol=1e-4, rtol=0)
    samples = module.sample(500, seed=0).add(1).div(2).mean((0, 1)).flatten()
    assert (samples - data_mean).abs().mean() < 0.03
    assert (samples - data_mean).abs().max() < 0.15
    assert bias.isfinite().all()


def test_start_from_survives_pixels_that_never_change() -> None:
    module = GAN()
    images = torch.zeros(3, 1, 28, 28, dtype=torch.uint8)
    images[:, :, 0] = 255
    module.start_from(images)
    bias = module.G[-2].bias.detach()
    assert bias.isfinite().all()
    assert bias[:28].min() > 10
    assert bias[28:].max() < -10
