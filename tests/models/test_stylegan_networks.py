"""StyleGAN's networks: each layer against a slow computation of its own, and the published sizes."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.models.networks.stylegan import (
    Config,
    ConstantInput,
    DenseInput,
    Discriminator,
    Epilogue,
    Mapping,
    StyleGenerator,
    Synthesis,
    stage_of,
)
from zoo.models.networks.stylegan_layers import adain, blur2d
from zoo.nn.layers import EqualizedConv2d, downscale2d, upscale2d

SIZES_G = {32: 22_841_356, 64: 25_137_935, 128: 25_843_858, 256: 26_086_229, 1024: 26_219_627}


def generator(resolution: int = 16, **settings: Any) -> StyleGenerator:
    """A small one, the noise scales set so that noise shows."""
    torch.manual_seed(0)
    options: dict[str, Any] = {"channels": 2, "z_dim": 6, "w_dim": 5, "mapping_layers": 2, "config": "F"}
    G = StyleGenerator(resolution, **{**options, "fmap_base": 32, "fmap_max": 8, **settings})
    for name, parameter in G.named_parameters():
        if name.endswith(("noise_scale", "bias")):
            nn.init.normal_(parameter)
    return G


def noise_of(G: StyleGenerator) -> list[Tensor | None]:
    return [G.synthesis.const_noise(layer) for layer in range(G.synthesis.layers)]


def count(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


# Sizes.


def paper_networks(resolution: int, config: Config = "F", mapping_layers: int = 8) -> tuple[StyleGenerator, nn.Module]:
    widths: dict[str, Any] = {"channels": 3, "fmap_base": 8192, "fmap_max": 512, "config": config}
    with torch.device("meta"):
        G = StyleGenerator(resolution, z_dim=512, w_dim=512, mapping_layers=mapping_layers, **widths)
        return G, Discriminator(resolution, group_size=4, **widths)


@pytest.mark.parametrize("resolution", SIZES_G)
def test_the_generators_have_the_published_sizes(resolution: int) -> None:
    G, _ = paper_networks(resolution)
    assert count(G) == SIZES_G[resolution]
    assert count(G.mapping) == 2_101_248
    assert G.synthesis.layers == 2 * math.log2(resolution) - 2


@pytest.mark.parametrize("resolution", [4, 32, 128, 1024])
def test_the_discriminators_have_the_sizes_of_progressive_gans(resolution: int) -> None:
    """By a formula of its own; at 1024x1024 the published 23,087,249."""
    _, D = paper_networks(resolution)
    widths = {4 * 2**k: min(512, 8192 // (2 * 2**k)) for k in range(9)}
    expected = 512 * 513 * 9 + 512 + (512 * 16 + 1) * 512 + 513  # the head, 4x4
    side = resolution
    while side > 4:
        a, b = widths[side], widths[side // 2]
        expected += (9 * a + 1) * a + (9 * a + 1) * b
        side //= 2
    expected += sum(4 * width for side, width in widths.items() if side <= resolution)  # from RGB
    assert count(D) == expected
    assert resolution != 1024 or expected == 23_087_249


def test_the_rows_of_table_1_have_the_parts_they_name() -> None:
    sizes = {c: count(paper_networks(1024, c, 0 if c < "C" else 8)[0]) for c in ("A", "B", "C", "D", "E", "F")}
    assert sizes["A"] == sizes["B"] == 23_079_115  # progressive GAN's generator
    channels = 2 * sum(min(512, 8192 // (2 * 2**k)) for k in range(9))  # of all synthesis layers
    assert sizes["C"] - sizes["B"] == 2_101_248 + 513 * 2 * channels  # the mapping and a style for each layer
    assert sizes["C"] - sizes["D"] == 512 * 512 * 16 - 512 * 16  # a dense layer against a constant
    assert sizes["E"] - sizes["D"] == channels  # a noise scale for each map
    assert sizes["F"] == sizes["E"]


# Layers.


def test_blur_is_the_binomial_filter_with_zeros_outside() -> None:
    x = torch.randn(2, 3, 4, 5)
    weights = [1, 2, 1]
    expected = torch.zeros_like(x)
    for row in range(4):
        for column in range(5):
            for i in (-1, 0, 1):
                for j in (-1, 0, 1):
                    if 0 <= row + i < 4 and 0 <= column + j < 5:
                        expected[..., row, column] += weights[i + 1] * weights[j + 1] / 16 * x[..., row + i, column + j]
    torch.testing.assert_close(blur2d(x), expected)


def test_blur_keeps_the_mean_inside() -> None:
    assert torch.allclose(blur2d(torch.full((1, 2, 6, 6), 3.0))[..., 1:-1, 1:-1], torch.tensor(3.0))


def test_adain_gives_each_map_the_mean_and_deviation_of_its_style() -> None:
    x = torch.randn(3, 2, 8, 8) * 5 + 7
    style = torch.randn(3, 4)
    out = adain(x, style)
    for n in range(3):
        for c in range(2):
            scale, shift = style[n, c] + 1, style[n, 2 + c]
            expected = (x[n, c] - x[n, c].mean()) / math.sqrt(x[n, c].var(correction=0).item()) * scale + shift
            torch.testing.assert_close(out[n, c], expected, rtol=1e-4, atol=1e-4)
    plain = adain(x, torch.zeros(3, 4))
    assert plain.mean((2, 3)).abs().max() < 1e-5
    assert (plain.std((2, 3), correction=0) - 1).abs().max() < 1e-5


def test_the_mapping_by_hand() -> None:
    torch.manual_seed(0)
    mapping = Mapping(6, 4, layers=3)
    for layer in (mapping[1], mapping[3], mapping[5]):
        assert layer.weight.std().item() > 50  # stored at 1 / 0.01 times its size
        nn.init.normal_(layer.bias)
    z = torch.randn(5, 6)
    h = z / (z.square().mean(1, keepdim=True) + 1e-8).sqrt()
    for i in (1, 3, 5):
        weight, bias = mapping[i].weight, mapping[i].bias
        h = h @ (weight * 0.01 * math.sqrt(2) / math.sqrt(weight.shape[1])).T + 0.01 * bias
        h = torch.where(h > 0, h, 0.2 * h)
    torch.testing.assert_close(mapping(z), h)


def test_a_mapping_without_layers_normalises() -> None:
    w = Mapping(6, 6, layers=0)(torch.randn(4, 6) * 9)
    torch.testing.assert_close(w.square().mean(1), torch.ones(4))


def test_the_mapping_learns_at_a_hundredth_of_the_rate() -> None:
    """Adam moves every stored weight by lr; in effect that is lr_multiplier of what it is elsewhere."""
    z = torch.randn(8, 6)
    moved = {}
    for multiplier in (1.0, 0.01):
        torch.manual_seed(0)
        mapping = Mapping(6, 6, layers=1, lr_multiplier=multiplier)
        before = mapping(z).detach()
        optimizer = torch.optim.Adam(mapping.parameters(), lr=1e-3)
        mapping(z).sum().backward()
        optimizer.step()
        moved[multiplier] = (mapping(z) - before).abs().mean().item()
    assert moved[0.01] / moved[1.0] == pytest.approx(0.01, rel=0.02)


def test_the_epilogue_by_hand() -> None:
    """Noise, bias, leaky ReLU, AdaIN, in this order; one noise map for all channels of an image."""
    torch.manual_seed(0)
    layer = Epilogue(3, 5, config="F")
    assert layer.noise_scale is not None
    assert layer.style is not None
    for parameter in (layer.noise_scale, layer.bias, layer.style.bias):
        nn.init.normal_(parameter)
    x, w, noise = torch.randn(2, 3, 4, 4), torch.randn(2, 5), torch.randn(2, 1, 4, 4)
    style = w @ layer.style.weight.T / math.sqrt(5) + layer.style.bias
    out = layer(x, w, noise)
    for n in range(2):
        for c in range(3):
            h = x[n, c] + layer.noise_scale[c] * noise[n, 0] + layer.bias[c]
            h = torch.where(h > 0, h, 0.2 * h)
            h = (h - h.mean()) / h.std(correction=0) * (1 + style[n, c]) + style[n, 3 + c]
            torch.testing.assert_close(out[n, c], h, rtol=1e-4, atol=1e-4)


def test_noise_and_styles_start_without_effect() -> None:
    """Scales of noise 0, y_s 1, y_b 0 where w is 0 (appendix C)."""
    layer = Epilogue(3, 5, config="F")
    x, w = torch.randn(2, 3, 4, 4), torch.zeros(2, 5)
    assert torch.equal(layer(x, w, torch.randn(2, 1, 4, 4)), layer(x, w, None))
    assert (layer(x, w, None).std((2, 3), correction=0) - 1).abs().max() < 1e-3
    assert torch.equal(ConstantInput(3)(w), torch.ones(2, 3, 4, 4))


def test_the_traditional_epilogue_normalises_pixels() -> None:
    layer = Epilogue(3, 5, config="B")
    assert layer.noise_scale is None
    assert layer.style is None
    out = layer(torch.randn(2, 3, 4, 4), torch.randn(2, 5), None)
    torch.testing.assert_close(out.square().mean(1), torch.ones(2, 4, 4), rtol=1e-3, atol=1e-3)


def test_the_dense_input_has_the_gain_of_progressive_gan() -> None:
    layer = DenseInput(5, 3)
    w = torch.randn(2, 5)
    expected = (w @ layer.linear.weight.T * math.sqrt(2) / 4 / math.sqrt(5)).view(2, 3, 4, 4)
    torch.testing.assert_close(layer(w), expected)


# Networks.


def slow_images(G: StyleGenerator, w: Tensor, noise: list[Tensor | None], config: Config) -> Tensor:
    """The synthesis network at full resolution, with convolutions written out from the stored weights."""

    def conv(x: Tensor, layer: EqualizedConv2d, gain: float) -> Tensor:
        fan_in = layer.weight[0].numel()
        weight = layer.weight * gain / math.sqrt(fan_in)
        bias = torch.zeros(len(weight)) if layer.bias is None else layer.bias
        patches = F.unfold(x, layer.weight.shape[-1], padding=layer.weight.shape[-1] // 2)  # [N, fan_in, H W]
        return (weight.flatten(1) @ patches + bias[:, None]).view(len(x), -1, *x.shape[2:])

    synthesis = G.synthesis
    x = synthesis.input(w[:, 0])
    for k, stage in enumerate(synthesis.stages):
        if k > 0:
            doubled = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
            x = conv(doubled, stage.conv1, math.sqrt(2))
            if config >= "B":
                kernel = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16
                x = torch.stack(
                    [F.conv2d(x[:, c : c + 1], kernel[None, None], padding=1)[:, 0] for c in range(x.shape[1])], 1
                )
        x = stage.epilogue1(x, w[:, 2 * k], noise[2 * k])
        x = stage.epilogue2(conv(x, stage.conv2, math.sqrt(2)), w[:, 2 * k + 1], noise[2 * k + 1])
    return conv(x, synthesis.to_rgb[-1], 1.0)


@pytest.mark.parametrize("config", ["A", "B", "C", "D", "F"])
def test_the_synthesis_network_against_a_slow_one(config: Config) -> None:
    G = generator(config=config)
    w = torch.randn(3, 6, 5)
    noise = noise_of(G)
    fast = G.synthesis(w, noise, resolution=16)
    assert fast.shape == (3, 2, 16, 16)
    torch.testing.assert_close(fast, slow_images(G, w, noise, config), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("resolution", [8, 16])
def test_the_fade_of_the_generator(resolution: int) -> None:
    """At alpha 0 exactly the smaller network doubled, at 1 the larger one, half way their mean."""
    G = generator()
    w, noise = torch.randn(3, 6, 5), noise_of(G)
    small = G.synthesis(w, noise, resolution=resolution // 2)
    large = G.synthesis(w, noise, resolution=resolution)
    doubled = small.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert torch.equal(G.synthesis(w, noise, resolution=resolution, alpha=0.0), doubled)
    half = G.synthesis(w, noise, resolution=resolution, alpha=0.5)
    torch.testing.assert_close(half, (doubled + large) / 2)
    assert not torch.allclose(doubled, large)


def discriminator(resolution: int = 16, config: Config = "F") -> Discriminator:
    torch.manual_seed(1)
    D = Discriminator(resolution, channels=2, fmap_base=32, fmap_max=8, group_size=4, config=config)
    for name, parameter in D.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter)
    return D


@pytest.mark.parametrize("resolution", [8, 16])
def test_the_fade_of_the_discriminator(resolution: int) -> None:
    """At alpha 0 exactly the smaller network on the images at half the side; at 1 the smaller ones are not seen."""
    D = discriminator()
    x = torch.randn(4, 2, resolution, resolution)
    assert torch.equal(D(x, alpha=0.0), D(downscale2d(x)))
    assert not torch.allclose(D(x), D(downscale2d(x)))
    assert torch.equal(D(upscale2d(downscale2d(x)), alpha=0.0), D(x, alpha=0.0))


@pytest.mark.parametrize("config", ["A", "F"])
def test_the_discriminator_against_a_slow_one(config: Config) -> None:
    """Blur before the downsampling convolution; the fade half way, in feature space."""
    D = discriminator(8, config)
    x = torch.randn(4, 2, 8, 8)

    def conv(x: Tensor, layer: EqualizedConv2d) -> Tensor:
        weight = layer.weight * math.sqrt(2 / layer.weight[0].numel())
        return F.conv2d(x, weight, layer.bias, padding=layer.weight.shape[-1] // 2)

    def act(x: Tensor) -> Tensor:
        return torch.where(x > 0, x, 0.2 * x)

    h = act(conv(act(conv(x, D.from_rgb[1])), D.stages[0].conv1))
    h = blur2d(h) if config == "F" else h
    h = conv(h, D.stages[0].conv2)
    h = act((h[..., ::2, ::2] + h[..., 1::2, ::2] + h[..., ::2, 1::2] + h[..., 1::2, 1::2]) / 4)
    small = (x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 4
    mixed = (h + act(conv(small, D.from_rgb[0]))) / 2
    for alpha, features in ((1.0, h), (0.5, mixed)):
        std = (features.var(0, correction=0) + 1e-8).sqrt().mean()
        h4 = act(conv(torch.cat([features, std.expand(4, 1, 4, 4)], 1), D.head[1]))
        dense, last = D.head[4], D.head[6]
        h4 = act(h4.flatten(1) @ dense.weight.T * math.sqrt(2 / (16 * 8)) + dense.bias)
        logits = h4 @ last.weight.T / math.sqrt(8) + last.bias
        torch.testing.assert_close(D(x, alpha=alpha), logits, rtol=1e-4, atol=1e-4)


def test_layers_not_yet_grown_get_no_gradient() -> None:
    G, D = generator(16), discriminator(16)
    images = G(torch.randn(4, 6), noise_of(G), resolution=8, alpha=0.5)
    D(images, alpha=0.5).sum().backward()
    unused = {name.split(".")[2] for name, p in G.synthesis.named_parameters() if p.grad is None and "." in name}
    grown = [p.grad is not None for p in [*G.synthesis.stages[1].parameters(), *G.synthesis.to_rgb[0].parameters()]]
    assert all(grown)
    assert all(p.grad is None for p in [*G.synthesis.stages[2].parameters(), *G.synthesis.to_rgb[2].parameters()])
    assert all(p.grad is None for p in [*D.stages[1].parameters(), *D.from_rgb[2].parameters()])
    assert all(p.grad is not None for p in [*D.stages[0].parameters(), *D.from_rgb[0].parameters()])
    assert unused


def test_each_layer_has_the_style_and_the_noise_of_its_number() -> None:
    """A change of style or noise i changes the inputs of no earlier layer: seen from the images of each stage."""
    G = generator()
    w, noise = torch.randn(2, 6, 5), noise_of(G)
    before = {r: G.synthesis(w, noise, resolution=r) for r in (4, 8, 16)}
    for layer in range(6):
        other = w.clone()
        other[:, layer] += 1
        louder = [None if m is None else m + (2 if i == layer else 0) for i, m in enumerate(noise)]
        for changed in ((other, noise), (w, louder)):
            same = {r: torch.equal(G.synthesis(*changed, resolution=r), before[r]) for r in (4, 8, 16)}
            assert same == {r: stage_of(r) < layer // 2 for r in (4, 8, 16)}


def test_const_noise_is_saved_and_not_trained() -> None:
    G = generator()
    assert [tuple(m.shape[2:]) for m in noise_of(G) if m is not None] == [
        (4, 4),
        (4, 4),
        (8, 8),
        (8, 8),
        (16, 16),
        (16, 16),
    ]
    assert "synthesis.noise5" in G.state_dict()
    assert "synthesis.noise5" not in dict(G.named_parameters())
    assert isinstance(G.synthesis, Synthesis)
    assert noise_of(generator(config="D")) == [None] * 6
