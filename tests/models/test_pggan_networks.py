"""PGGAN's networks, and what the rows of Table 1 change in them, against slow computations with the same weights."""

import math
from typing import Any

import pytest
import torch
from growing_process_run import small
from torch import Tensor, nn
from torch.nn import functional as F

from reproductions.pggan import RECIPES
from zoo.models import MODELS
from zoo.models.networks.pggan import (
    Discriminator,
    Generator,
    LayerNorm,
    MinibatchDiscrimination,
    Row,
)
from zoo.models.pggan import PGGAN
from zoo.nn.layers import EqualizedConv2d, EqualizedLinear, MinibatchStddev, PixelNorm


def count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def slow_counts(resolution: int, *, base: int, most: int, z: int, channels: int = 3) -> tuple[int, int]:
    """Weights and biases layer by layer, as Table 2 lists them, and a 1x1 to and from RGB for each resolution."""

    def nf(stage: int) -> int:
        return min(base // 2**stage, most)

    g = z * nf(1) * 16 + nf(1) + nf(1) * nf(1) * 9 + nf(1) + nf(1) * channels + channels
    d = (nf(1) + 1) * nf(1) * 9 + nf(1) + nf(1) * 16 * nf(0) + nf(0) + nf(0) + 1 + channels * nf(1) + nf(1)
    for k in range(3, int(math.log2(resolution)) + 1):
        new, old = nf(k - 1), nf(k - 2)
        g += (old * new + new * new) * 9 + 2 * new + new * channels + channels
        d += (new * new + new * old) * 9 + new + old + channels * new + new
    return g, d


@pytest.mark.parametrize(
    ("resolution", "base", "most", "z", "expected"),
    [
        (1024, 8192, 512, 512, (23_079_115, 23_087_249)),
        (128, 2048, 512, 512, (13_629_810, 13_636_897)),
        (32, 4096, 128, 128, (1_296_908, 1_298_689)),
        (256, 8192, 512, 512, None),
        (4, 64, 16, 7, None),
    ],
)
def test_parameter_counts(resolution: int, base: int, most: int, z: int, expected: tuple[int, int] | None) -> None:
    with torch.device("meta"):
        G = Generator(resolution, z_dim=z, width=(base, most))
        D = Discriminator(resolution, width=(base, most))
    assert (
        (count(G), count(D)) == slow_counts(resolution, base=base, most=most, z=z) == (expected or (count(G), count(D)))
    )


def test_the_registry_builds_the_papers_network() -> None:
    with torch.device("meta"):
        module = MODELS["pggan"](resolution=64)
    assert isinstance(module, PGGAN)
    assert module.image_shape == (3, 64, 64)
    assert module.z_dim == 512
    assert (count(module.G), count(module.D)) == slow_counts(64, base=8192, most=512, z=512)
    with pytest.raises(ValueError, match="resolution=48 must be a power of two"):
        PGGAN(resolution=48)
    with pytest.raises(ValueError, match="config b updates D 5 times"):
        PGGAN(resolution=8, config="b", joint_update=True)


# The networks against functional code with the same weights.


def convolve(x: Tensor, layer: EqualizedConv2d, gain: float) -> Tensor:
    fan_in = layer.weight[0].numel()
    return F.conv2d(x, layer.weight * gain / fan_in**0.5, layer.bias, padding=layer.weight.shape[2] // 2)


def normalise(x: Tensor) -> Tensor:
    return x / (x.square().mean(1, keepdim=True) + 1e-8).sqrt()


def double(x: Tensor) -> Tensor:
    return x.repeat_interleave(2, 2).repeat_interleave(2, 3)


def halve(x: Tensor) -> Tensor:
    return (x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 4


def slow_generator(G: Generator, z: Tensor, *, resolution: int, alpha: float) -> Tensor:
    def stack(h: Tensor, layers: nn.Module) -> Tensor:
        for layer in layers.children():
            if isinstance(layer, EqualizedConv2d):
                h = normalise(F.leaky_relu(convolve(h, layer, 2**0.5), 0.2))
        return h

    dense, bias = G.input[0], G.input_bias
    # The original: a 4x4 convolution of the 1x1 latent, padded on all sides, with He's fan-in of the whole kernel.
    kernel = dense.weight.view(-1, 4, 4, dense.weight.shape[1]).permute(0, 3, 1, 2).flip(2, 3)
    he = 2**0.5 / (16 * dense.weight.shape[1]) ** 0.5
    h = F.conv2d(normalise(z)[:, :, None, None], kernel * he, padding=3) + bias
    h = stack(normalise(F.leaky_relu(h, 0.2)), G.first)
    images = [convolve(h, G.to_rgb[0], 1.0)]
    for block, to_rgb in zip(G.blocks, list(G.to_rgb)[1:], strict=True):
        h = stack(double(h), block)
        images.append(convolve(h, to_rgb, 1.0))
    k = int(math.log2(resolution)) - 2
    return images[k] if alpha == 1 else (1 - alpha) * double(images[k - 1]) + alpha * images[k]


def slow_discriminator(D: Discriminator, x: Tensor, *, alpha: float) -> Tensor:
    def stack(h: Tensor, layers: nn.Module) -> Tensor:
        for layer in layers.children():
            if isinstance(layer, EqualizedConv2d):
                h = F.leaky_relu(convolve(h, layer, 2**0.5), 0.2)
        return h

    k = int(math.log2(x.shape[3])) - 2
    h = stack(x, D.from_rgb[k])
    for stage in range(k, 0, -1):
        h = halve(stack(h, D.blocks[stage - 1]))
        if stage == k:
            h = alpha * h + (1 - alpha) * stack(halve(x), D.from_rgb[k - 1])
    std = ((h - h.mean(0)).square().mean(0) + 1e-8).sqrt().mean()
    h = torch.cat([h, torch.full_like(h[:, :1], float(std))], 1)
    h = stack(h, D.last).flatten(1)
    dense = next(layer for layer in D.last if isinstance(layer, EqualizedLinear))
    h = F.leaky_relu(F.linear(h, dense.weight * (2 / h.shape[1]) ** 0.5, dense.bias), 0.2)
    return F.linear(h, D.score.weight / h.shape[1] ** 0.5, D.score.bias)


def networks(resolution: int = 16) -> tuple[Generator, Discriminator]:
    torch.manual_seed(1)
    G = Generator(resolution, channels=2, z_dim=5, width=(32, 8))
    D = Discriminator(resolution, channels=2, width=(32, 8))
    for net in (G, D):
        for name, parameter in net.named_parameters():
            if "bias" in name:
                nn.init.normal_(parameter)
    return G, D


@pytest.mark.parametrize(("resolution", "alpha"), [(4, 1.0), (8, 0.3), (8, 1.0), (16, 0.5), (16, 1.0)])
def test_networks_against_functional_code(resolution: int, alpha: float) -> None:
    G, D = networks()
    z, x = torch.randn(6, 5), torch.randn(6, 2, resolution, resolution)
    with torch.no_grad():
        images = G(z, resolution=resolution, alpha=alpha)
        assert images.shape == (6, 2, resolution, resolution)
        torch.testing.assert_close(images, slow_generator(G, z, resolution=resolution, alpha=alpha))
        torch.testing.assert_close(D(x, alpha=alpha), slow_discriminator(D, x, alpha=alpha))


def fused_block(x: Tensor, block: nn.Module) -> Tensor:
    """The TensorFlow code's way: the last convolution and the means are one of 4x4 kernels and stride 2."""
    first, last = (layer for layer in block.children() if isinstance(layer, EqualizedConv2d))
    h = F.leaky_relu(convolve(x, first, 2**0.5), 0.2)
    kernel = F.pad(last.weight * (2 / last.weight[0].numel()) ** 0.5, (1, 1, 1, 1))
    kernel = (kernel[..., 1:, 1:] + kernel[..., :-1, 1:] + kernel[..., 1:, :-1] + kernel[..., :-1, :-1]) / 4
    return F.leaky_relu(F.conv2d(h, kernel, last.bias, stride=2, padding=1), 0.2)


def test_the_released_settings_halve_maps_before_the_leaky_relu() -> None:
    assert RECIPES["celebahq_released"].config["model"]["fused_scale"]
    D = networks()[1]
    x = torch.randn(4, D.blocks[1][0].weight.shape[1], 16, 16)
    with torch.no_grad():
        before, D.fused_scale = D.halved(D.blocks[1], x), True
        torch.testing.assert_close(D.halved(D.blocks[1], x), fused_block(x, D.blocks[1]))
        assert (before - D.halved(D.blocks[1], x)).abs().max() > 0.1  # it is another network
    module = small(fused_scale=True)
    assert module.D.fused_scale
    assert not small().D.fused_scale


@pytest.mark.parametrize("config", ["b", "d", "e*", "h"])
def test_a_fade_begins_with_the_smaller_network_and_ends_with_the_larger(config: str) -> None:
    module = small(config=config).eval()
    z, x = torch.randn(4, module.z_dim), torch.randn(4, 1, 16, 16)
    with torch.no_grad():
        for side in (8, 16):
            smaller, larger = (module.G(z, resolution=r) for r in (side // 2, side))
            assert torch.equal(module.G(z, resolution=side, alpha=0.0), double(smaller))
            assert torch.equal(module.G(z, resolution=side, alpha=1.0), larger)
            reals = x[..., :side, :side].contiguous()
            shrunk = F.avg_pool2d(reals, 2)
            assert torch.equal(module.D(reals, alpha=0.0), module.D(shrunk))
            half = module.G(z, resolution=side, alpha=0.5)
            if config != "b":  # there tanh comes last
                torch.testing.assert_close(half, (double(smaller) + larger) / 2)
            else:
                assert (half.atanh() - (double(smaller).atanh() + larger.atanh()) / 2).abs().max() < 1e-4


def test_layers_above_the_stage_get_no_gradient() -> None:
    G, D = networks()
    D(G(torch.randn(4, 5), resolution=8, alpha=0.5), alpha=0.5).sum().backward()
    for net in (G, D):
        for name, parameter in net.named_parameters():
            above = name.startswith(("blocks.1.", "to_rgb.2.", "from_rgb.2."))
            assert (parameter.grad is None) == above, name
    G, D = networks()
    D(G(torch.randn(4, 5), resolution=16)).sum().backward()
    for net, old in ((G, "to_rgb"), (D, "from_rgb")):
        for name, parameter in net.named_parameters():
            assert (parameter.grad is None) == name.startswith((f"{old}.0.", f"{old}.1.")), name


# The rows of Table 1.


def kinds(net: nn.Module) -> set[type[nn.Module]]:
    return {type(module) for module in net.modules()}


@pytest.mark.parametrize(
    ("row", "norms", "n_critic", "beta2", "drift", "z", "batch", "lr", "start"),
    [
        ("a", True, 5, 0.9, 0.0, 128, 64, 1e-4, 128),
        ("b", True, 5, 0.9, 0.0, 128, 64, 1e-4, 4),
        ("c", True, 5, 0.9, 0.0, 128, 16, 1e-4, 4),
        ("d", False, 1, 0.99, 0.001, 512, 16, 1e-4, 4),
        ("e*", False, 1, 0.99, 0.001, 512, 16, 1e-4, 4),
        ("e", False, 1, 0.99, 0.001, 512, 16, 1e-4, 4),
        ("f", False, 1, 0.99, 0.001, 512, 16, 1e-3, 4),
        ("g", False, 1, 0.99, 0.001, 512, 16, 1e-3, 4),
    ],
)
def test_rows_of_table_1(
    row: Any, norms: bool, n_critic: int, beta2: float, drift: float, z: int, batch: int, lr: float, start: int
) -> None:
    with torch.device("meta"):
        module = PGGAN(resolution=128, schedule="table1", config=row, fmap_base=2048)
    found = kinds(module.G) | kinds(module.D)
    assert (
        (nn.BatchNorm2d in kinds(module.G)) == (nn.ReLU in kinds(module.G)) == (LayerNorm in kinds(module.D)) == norms
    )
    assert (nn.LeakyReLU in kinds(module.G)) != norms
    assert (MinibatchStddev in found) == (row in "efg" and row != "e*")
    assert (MinibatchDiscrimination in found) == (row == "e*")
    pixel_norms = sum(isinstance(m, PixelNorm) for m in module.G.modules())
    assert pixel_norms == (1 + 2 * 6 if row == "g" else 1)
    scales = {m.scale == 1 for net in (module.G, module.D) for m in net.modules() if isinstance(m, EqualizedConv2d)}
    assert scales == ({False} if row in "fg" else {True})
    assert (module.n_critic, module.beta2, module.drift_weight, module.z_dim) == (n_critic, beta2, drift, z)
    assert module.ema_beta == {"a": 0.999**20, "b": 0.999**20, "c": 0.999**5}.get(row, 0.999)
    stage = module.growth.at(0)
    assert (stage.batch_size, stage.lr, stage.resolution) == (batch, lr, start)
    optimizer_D, optimizer_G = module.configure_optimizers()
    for optimizer in (optimizer_D, optimizer_G):
        assert optimizer.defaults["betas"] == (0.0, beta2)
        assert optimizer.defaults["eps"] == 1e-8


def test_rows_without_equalized_rates_start_from_the_same_function() -> None:
    torch.manual_seed(3)
    plain = Generator(8, z_dim=4, width=(16, 8), row=Row(equalized=False))
    torch.manual_seed(3)
    equalized = Generator(8, z_dim=4, width=(16, 8), row=Row())
    z = torch.randn(3, 4)
    torch.testing.assert_close(plain(z, resolution=8), equalized(z, resolution=8))
    for a, b in zip(plain.modules(), equalized.modules(), strict=True):
        if isinstance(a, EqualizedConv2d | EqualizedLinear):
            assert a.scale == 1 != b.scale
            assert a.weight.std() < 0.7 * b.weight.std()


def test_layer_norm_against_a_slow_loop() -> None:
    layer = LayerNorm(3)
    with torch.no_grad():
        layer.gain.fill_(1.5)
        layer.bias.copy_(torch.tensor([1.0, 2.0, 3.0]).view(3, 1, 1))
    x = torch.randn(2, 3, 4, 4) * 5 + 1
    expected = torch.stack(
        [(image - image.mean()) / (image.var(correction=0) + 1e-4).sqrt() * 1.5 for image in x]
    ) + torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1)
    torch.testing.assert_close(layer(x).detach(), expected)


def test_minibatch_discrimination_against_a_slow_loop() -> None:
    layer = MinibatchDiscrimination(4, kernels=3, dimensions=2)
    nn.init.normal_(layer.log_scale, std=0.3)
    x = torch.randn(5, 4)
    out = layer(x).detach()
    assert torch.equal(out[:, :4], x)
    for n in range(5):
        for k in range(3):
            total = -1.0
            for other in range(5):
                if other == n:
                    continue
                distance = 0.0
                for d in range(2):
                    theta = layer.theta[:, k, d].detach()
                    w = theta / theta.norm() * layer.log_scale[k, d].detach().exp()
                    distance += abs(float(x[n] @ w - x[other] @ w))
                total += math.exp(-distance)
            assert out[n, 4 + k].item() == pytest.approx(total, abs=1e-5)
