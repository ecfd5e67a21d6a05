"""The networks of WGAN-GP: sizes, padding, normalisation, initial weights, the twice differentiable rectifier."""

import math
from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.models.networks.wgan_gp import CriticBlock, UpBlock
from zoo.models.networks.wgan_gp_layers import ClassBatchNorm2d, Rectifier, convolution, deconvolution, linear
from zoo.models.networks.wgan_gp_random import (
    NONLINEARITIES,
    PlayerSettings,
    RandomArchitecture,
    draw_architecture,
    nonlinearity,
    random_networks,
)
from zoo.models.trained import current_settings
from zoo.models.wgan_gp import WGANGP
from zoo.nn.layers import SameConv2d, SameConvTranspose2d
from zoo.nn.modes import in_eval_mode


def count(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def tiny(network: Any, **settings: Any) -> WGANGP:
    torch.manual_seed(0)
    width = {} if network == "random" else {"width": 8 if network.startswith("toy") else 4}
    return WGANGP(network=network, **{**width, **settings})


def kinds(net: nn.Module, *types: type[nn.Module]) -> list[str]:
    return [type(layer).__name__ for layer in net.modules() if isinstance(layer, types)]


@pytest.mark.parametrize(
    ("settings", "G", "D"),
    [
        ({"network": "mnist"}, 1_554_177, 1_030_145),
        ({"network": "cifar10"}, 5_179_907, 4_114_689),
        ({"network": "cifar10_resnet"}, 1_204_483, 1_053_825),
        ({"network": "cifar10_resnet", "num_classes": 10}, 1_218_307, 1_055_115),
        ({"network": "toy"}, 3 * 512 + 2 * 513 * 512 + 513 * 2, 3 * 512 + 2 * 513 * 512 + 513),
        ({"network": "toy_deep"}, 3 * 512 + 11 * 513 * 512 + 513 * 2, 3 * 512 + 11 * 513 * 512 + 513),
    ],
)
def test_parameter_counts(settings: Any, G: int, D: int) -> None:
    with torch.device("meta"):
        module = WGANGP(**settings)
    assert (count(module.G), count(module.D)) == (G, D)


def test_parameter_counts_of_the_64x64_resnet() -> None:
    with torch.device("meta"):
        module = WGANGP(network="resnet64")
        images = module.G(torch.empty(2, 128))
        assert images.shape == (2, 3, 64, 64)
        assert module.D(images).shape == (2, 1)
    ups = ((512, 512), (512, 256), (256, 128), (128, 64))
    G = 129 * 8192 + sum(9 * a * b + 9 * b * b + b + (a + 1) * b + 2 * (a + b) for a, b in ups) + 128 + 64 * 27 + 3
    downs = ((64, 128), (128, 256), (256, 512), (512, 512))
    D = 27 * 64 + 64 + sum(9 * a * a + 9 * a * b + b + (a + 1) * b + 4 * a for a, b in downs) + 8193
    assert (count(module.G), count(module.D)) == (G, D)


@pytest.mark.parametrize("network", ["mnist", "cifar10", "cifar10_resnet", "resnet64"])
def test_no_critic_normalises_over_the_batch(network: Any) -> None:
    """A score depends on no other sample, so the penalty is each sample's own."""
    module = tiny(network)
    x = torch.rand(4, *module.image_shape)
    torch.testing.assert_close(module.D(x)[:1], module.D(x[:1]), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("side", [7, 8, 28])
@pytest.mark.parametrize(("kernel", "stride"), [(5, 2), (3, 1), (3, 2)])
def test_same_padding_against_written_out_sums(side: int, kernel: int, stride: int) -> None:
    """TensorFlow's rule: output o reads rows o * stride - before ... of the input."""
    layer = SameConv2d(1, 1, kernel, stride=stride, bias=False)
    x = torch.randn(1, 1, side, side)
    out = layer(x)
    steps = math.ceil(side / stride)
    assert out.shape == (1, 1, steps, steps)
    before = max(0, (steps - 1) * stride + kernel - side) // 2
    for o, p in ((0, 0), (1, 0), (steps - 1, steps - 1)):
        total = 0.0
        for i in range(kernel):
            for j in range(kernel):
                row, column = o * stride - before + i, p * stride - before + j
                if 0 <= row < side and 0 <= column < side:
                    total += layer.weight[0, 0, i, j].item() * x[0, 0, row, column].item()
        assert out[0, 0, o, p].item() == pytest.approx(total, abs=1e-4)


@pytest.mark.parametrize(("kernel", "stride"), [(5, 2), (3, 2), (3, 1)])
def test_the_transposed_layer_is_the_adjoint(kernel: int, stride: int) -> None:
    """<conv(x), y> = <x, transposed(y)> with the same kernel: the definition of conv2d_transpose."""
    up = SameConvTranspose2d(2, 3, kernel, stride=stride)
    down = SameConv2d(3, 2, kernel, stride=stride, bias=False)
    down.weight.data = up.weight.data
    nn.init.zeros_(up.bias)
    y, x = torch.randn(2, 2, 4, 4), torch.randn(2, 3, 4 * stride, 4 * stride)
    assert up(y).shape == x.shape
    torch.testing.assert_close((down(x) * y).sum(), (x * up(y)).sum(), atol=1e-3, rtol=1e-4)


def test_conditional_batchnorm_has_a_gain_and_a_bias_for_each_class() -> None:
    norm = ClassBatchNorm2d(3, num_classes=2)
    norm.gain.data = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    norm.bias.data = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, -1.0]])
    x, y = torch.randn(6, 3, 4, 4), torch.tensor([0, 1, 1, 0, 1, 0])
    mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)  # over the batch, whatever the class
    out = norm(x, y)
    for n in range(6):
        for c in range(3):
            expected = (x[n, c] - mean[c]) / (variance[c] + 1e-5).sqrt() * norm.gain[y[n], c] + norm.bias[y[n], c]
            torch.testing.assert_close(out[n, c], expected, atol=1e-4, rtol=1e-4)
    plain, reference = ClassBatchNorm2d(3, num_classes=None), nn.BatchNorm2d(3)
    torch.testing.assert_close(plain(x), reference(x), atol=1e-5, rtol=1e-5)
    with in_eval_mode(plain), in_eval_mode(reference):
        torch.testing.assert_close(plain(x), reference(x), atol=1e-5, rtol=1e-5)


def test_residual_blocks_against_the_order_of_the_authors() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 4, 4, 4)
    up = UpBlock(4, 6, num_classes=None, bias=True)
    doubled = F.interpolate(F.relu(up.norm1(x)), scale_factor=2)
    expected = up.conv2(F.relu(up.norm2(up.conv1(doubled)))) + up.shortcut(F.interpolate(x, scale_factor=2))
    torch.testing.assert_close(up(x, None), expected, atol=1e-5, rtol=1e-4)
    down = CriticBlock(4, 6)
    expected = F.avg_pool2d(down.conv2(F.relu(down.conv1(F.relu(x)))), 2) + F.avg_pool2d(down.shortcut(x), 2)
    torch.testing.assert_close(down(x), expected, atol=1e-5, rtol=1e-4)
    flat = CriticBlock(4, 4, down=False)
    torch.testing.assert_close(flat(x), flat.conv2(F.relu(flat.conv1(F.relu(x)))) + x)
    first = CriticBlock(4, 6, first=True)
    assert first.conv1.out_channels == 6
    expected = F.avg_pool2d(first.conv2(F.relu(first.conv1(x))), 2) + first.shortcut(F.avg_pool2d(x, 2))
    torch.testing.assert_close(first(x), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("layer", "variance"),
    [
        (lambda: linear(100, 300), 2 / 400),
        (lambda: linear(100, 300, he=True), 2 / 100),
        (lambda: convolution(30, 50, 3), 4 / (9 * 80)),
        (lambda: convolution(30, 50, 3, he=False), 2 / (9 * 80)),
        (lambda: convolution(30, 50, 5, stride=2), 4 / (25 * 30 + 25 * 50 / 4)),
        (lambda: deconvolution(60, 30), 4 / (25 * 60 / 4 + 25 * 30)),
    ],
)
def test_initial_weights(layer: Any, variance: float) -> None:
    torch.manual_seed(0)
    made = layer()
    assert made.weight.var().item() == pytest.approx(variance, rel=0.03)
    assert made.weight.abs().max().item() == pytest.approx((3 * variance) ** 0.5, rel=0.01)  # uniform
    assert not made.bias.any()


def test_which_layers_are_he_and_which_glorot() -> None:
    torch.manual_seed(0)
    module = WGANGP(num_classes=10)
    block = module.G.blocks[0]
    for layer, variance in (
        (block.conv1, 4 / (9 * 256)),
        (block.shortcut, 2 / 256),
        (module.G.output, 2 / (9 * 131)),
        (module.G.input[0], 2 / (128 + 2048)),
        (module.D[-1].score, 2 / 129),
        (module.D[-1].classes, 2 / 138),
    ):
        assert layer.weight.var().item() == pytest.approx(variance, rel=0.2)


@pytest.mark.parametrize(
    ("network", "method", "batch_G", "batch_D", "layer_D"),
    [
        ("mnist", "wgan-gp", 0, 0, 0),
        ("mnist", "wgan", 3, 2, 0),
        ("mnist", "gan", 0, 0, 0),
        ("cifar10", "wgan-gp", 3, 0, 0),
        ("cifar10", "wgan", 3, 2, 0),
        ("cifar10", "gan", 3, 2, 0),
        ("cifar10", "lsgan", 3, 2, 0),
        ("resnet64", "wgan-gp", 9, 0, 8),
        ("resnet64", "wgan", 9, 8, 0),
        ("resnet64", "gan", 9, 8, 0),
        ("dcgan64", "wgan-gp", 4, 0, 3),
        ("dcgan64", "wgan", 4, 3, 0),
        ("dcgan64_constant", "wgan-gp", 0, 0, 3),
        ("mlp64", "gan", 0, 3, 0),
        ("dcgan64_unnormalised", "wgan-gp", 0, 0, 0),
        ("dcgan64_unnormalised", "lsgan", 0, 0, 0),
        ("dcgan64_gated", "wgan-gp", 4, 0, 3),
        ("dcgan64_tanh", "gan", 4, 3, 0),
        ("resnet101", "wgan-gp", 33, 0, 33),
        ("resnet101", "wgan", 33, 33, 0),
        ("toy", "wgan", 0, 0, 0),
        ("toy_deep", "wgan", 0, 0, 0),
    ],
)
def test_where_the_scripts_have_batchnorm(network: Any, method: Any, batch_G: int, batch_D: int, layer_D: int) -> None:
    module = tiny(network, method=method)
    batch, layer = (nn.BatchNorm1d, nn.BatchNorm2d), (nn.GroupNorm,)
    assert len(kinds(module.G, *batch)) == batch_G
    assert len(kinds(module.D, *batch)) == batch_D
    assert len(kinds(module.D, *layer)) == layer_D
    assert module.batchnorm_D == (batch_D > 0)


@pytest.mark.parametrize("method", ["gan", "lsgan", "wgan", "wgan-gp"])
def test_a_checkpoint_of_before_keeps_its_cifar10_critic(method: Any) -> None:
    """Then the critic had BatchNorm with weight clipping alone."""
    old = {name: value for name, value in tiny("cifar10", method=method).hparams.items() if name != "batchnorm_D"}
    critic = WGANGP(**current_settings("wgan_gp", old)).D
    assert len(kinds(critic, nn.BatchNorm2d)) == (2 if method == "wgan" else 0)
    new = dict(tiny("cifar10", method=method).hparams)
    assert current_settings("wgan_gp", new) == new


def test_batchnorm_stands_before_the_activation_and_not_behind_the_first_layer() -> None:
    layers = [type(layer).__name__ for layer in tiny("mnist", method="wgan").D.children()]
    block = ["SameConv2d", "BatchNorm2d", "Rectifier"]
    assert layers == ["SameConv2d", "Rectifier", *block, *block, "Flatten", "Linear"]


# The rectifier.


@pytest.mark.parametrize("slope", [0.0, 0.2])
def test_rectifier_against_pytorchs(slope: float) -> None:
    x = torch.randn(50, dtype=torch.double, requires_grad=True)
    weight = torch.randn(50, dtype=torch.double)
    y, reference = Rectifier(slope)(x), F.leaky_relu(x, slope)
    assert torch.equal(y, reference)
    (gradient,) = torch.autograd.grad((y * weight).sum(), x, create_graph=True)
    (expected,) = torch.autograd.grad((reference * weight).sum(), x)
    assert torch.equal(gradient, expected)
    assert not gradient.requires_grad  # it depends on no x: nothing to carry back
    assert torch.autograd.gradcheck(Rectifier(slope), (x,))


@pytest.mark.parametrize("slope", [0.0, 0.2])
def test_gradients_of_a_penalty_are_those_of_pytorchs_layers(slope: float) -> None:
    def gradients(activation: nn.Module) -> list[Tensor]:
        torch.manual_seed(0)
        D = nn.Sequential(nn.Conv2d(1, 4, 3), activation, nn.Flatten(), nn.Linear(144, 9), activation, nn.Linear(9, 1))
        x = torch.randn(5, 1, 8, 8, requires_grad=True)
        out = D(x)
        (gradient,) = torch.autograd.grad(out.sum(), x, create_graph=True)
        loss = out.square().mean() + (gradient.flatten(1).norm(dim=1) - 1).square().mean()
        return list(torch.autograd.grad(loss, list(D.parameters())))

    for ours, reference in zip(gradients(Rectifier(slope)), gradients(nn.LeakyReLU(slope)), strict=True):
        torch.testing.assert_close(ours, reference, atol=1e-6, rtol=1e-5)
        assert ours.abs().sum() > 0


# Random architectures.


def test_draws_are_pinned_uniform_and_independent() -> None:
    assert draw_architecture(7) == draw_architecture(7)
    assert draw_architecture(0) == RandomArchitecture(
        PlayerSettings("softplus", 8, False, 32), PlayerSettings("softplus", 8, False, 64)
    )
    drawn = [draw_architecture(seed) for seed in range(4_000)]
    for player in ("G", "D"):
        settings = [getattr(architecture, player) for architecture in drawn]
        for name, choices in (
            ("nonlinearity", {"relu", "leaky_relu", "softplus", "tanh"}),
            ("depth", {4, 8, 12, 20}),
            ("normalisation", {True, False}),
            ("filters", {32, 64, 128}),
        ):
            found = Counter(getattr(one, name) for one in settings)
            assert set(found) == choices
            assert all(n == pytest.approx(4_000 / len(choices), rel=0.1) for n in found.values())
    pairs = Counter((one.G.depth, one.D.depth) for one in drawn)
    assert len(pairs) == 16
    assert all(n == pytest.approx(250, rel=0.25) for n in pairs.values())
    within = Counter((one.G.nonlinearity, one.G.depth) for one in drawn)
    assert len(within) == 16
    assert all(n == pytest.approx(250, rel=0.25) for n in within.values())
    assert {draw_architecture(seed, (8, 16)).D.filters for seed in range(20)} == {8, 16}


@pytest.mark.parametrize("depth", [4, 8, 12, 20])
@pytest.mark.parametrize("normalisation", ["batch", "layer", "none"])
def test_layers_of_random_networks(depth: int, normalisation: Any) -> None:
    """As many layers with weights as the depth says; all but G's last and D's first and last are normalised."""
    on = normalisation != "none"
    settings = PlayerSettings("leaky_relu", depth, on, 2)
    pair = random_networks(
        RandomArchitecture(settings, settings),
        z_dim=3,
        channels=1,
        normalisation_D="batch" if not on else normalisation,
    )
    weights = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
    assert [len(kinds(net, *weights)) for net in pair] == [depth, depth]
    norms = [kinds(net, nn.BatchNorm2d, nn.GroupNorm) for net in pair]
    name = "BatchNorm2d" if normalisation == "batch" else "GroupNorm"
    assert norms == ([["BatchNorm2d"] * (depth - 1), [name] * (depth - 2)] if on else [[], []])
    assert [len(kinds(net, Rectifier)) for net in pair] == [depth - 1, depth - 1]
    images = pair.G(torch.randn(2, 3))
    assert images.shape == (2, 1, 32, 32)
    assert pair.D(images).shape == (2, 1)


def test_sides_and_widths_of_random_networks() -> None:
    """depth 8: the four layers more are two at 4x4, one at 8x8 and one at 16x16; the critic mirrors the generator."""
    settings = PlayerSettings("tanh", 8, False, 3)
    G, D = random_networks(RandomArchitecture(settings, settings), z_dim=5, channels=2, normalisation_D="batch")
    shapes: list[tuple[int, int]] = []
    for net in (G, D):
        for layer in net.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                layer.register_forward_hook(lambda _, inputs, out: shapes.append((out.shape[1], out.shape[2])))
    D(G(torch.randn(2, 5)))
    assert shapes[:7] == [(12, 4), (12, 4), (6, 8), (6, 8), (3, 16), (3, 16), (2, 32)]
    assert shapes[7:] == [(3, 16), (3, 16), (6, 8), (6, 8), (12, 4), (12, 4), (12, 4)]


def test_nonlinearities_of_table_1() -> None:
    assert len(NONLINEARITIES) == 4
    x = torch.tensor([-1.0, 0.0, 0.5, 40.0])
    torch.testing.assert_close(nonlinearity("relu")(x), torch.tensor([0.0, 0.0, 0.5, 40.0]))
    torch.testing.assert_close(nonlinearity("leaky_relu")(x), torch.tensor([-0.2, 0.0, 0.5, 40.0]))
    torch.testing.assert_close(nonlinearity("tanh")(x), x.tanh())
    expected = [math.log1p(math.exp(2 * value + 2)) / 2 - 1 for value in x.tolist()]
    torch.testing.assert_close(nonlinearity("softplus")(x), torch.tensor(expected))


@pytest.mark.parametrize("method", ["gan", "wgan-gp"])
def test_random_networks_follow_the_method(method: Any) -> None:
    seeds = [seed for seed in range(12) if draw_architecture(seed, (2,)).D.normalisation][:2]
    for seed in seeds:
        module = tiny("random", method=method, channels=1, filters=[2], architecture_seed=seed)
        assert module.architecture == draw_architecture(seed, (2,))
        assert module.image_shape == (1, 32, 32)
        found = set(kinds(module.D, nn.BatchNorm2d, nn.GroupNorm))
        assert found == {"GroupNorm" if method == "wgan-gp" else "BatchNorm2d"}
        x = torch.randn(3, 1, 32, 32)
        module.discriminator_loss(x, None).backward()
        module.generator_loss(x, None).backward()
        assert all(parameter.grad is not None for net in (module.G, module.D) for parameter in net.parameters())
