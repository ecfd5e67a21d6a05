"""The networks of WGAN-GP's figure 2: sizes, initial weights, and their layers by other code."""

from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.experiments.wgan_gp import COLUMNS, TITLES
from zoo.models.networks.wgan_gp_figure2 import Bottleneck, EveryOther, Figure2Network, Gate, figure2_networks
from zoo.models.networks.wgan_gp_layers import convolution
from zoo.models.wgan_gp import WGANGP
from zoo.training.scripts import script_of

NETWORKS = get_args(Figure2Network)


def count(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def kinds(net: nn.Module, *types: type[nn.Module]) -> int:
    return sum(isinstance(layer, types) for layer in net.modules())


def dcgan_sizes(*, gates: int = 1, normalised: bool = True) -> tuple[int, int]:
    """Parameters of DCGAN's players at width 64, whose hidden layers have `gates` times the maps that they give on."""
    norm = 2 * gates if normalised else 0
    G = 129 * 8192 * gates + norm * 512
    G += sum(25 * a * gates * b + gates * b + norm * b for a, b in ((512, 256), (256, 128), (128, 64)))
    G += 25 * 64 * 3 + 3
    D = (25 * 3 + 1) * 64 * gates + sum((25 * a + 1) * gates * 2 * a + norm * 2 * a for a in (64, 128, 256)) + 8193
    return G, D


@pytest.mark.parametrize(
    ("network", "sizes"),
    [
        ("dcgan64", dcgan_sizes()),
        ("dcgan64_constant", (129 * 1024 + 3 * (25 * 64 * 64 + 64) + 25 * 64 * 3 + 3, dcgan_sizes()[1])),
        ("mlp64", (129 * 512 + 3 * 513 * 512 + 513 * 12288, dcgan_sizes()[1])),
        ("dcgan64_unnormalised", dcgan_sizes(normalised=False)),
        ("dcgan64_gated", dcgan_sizes(gates=2)),
        ("dcgan64_tanh", dcgan_sizes()),
    ],
)
def test_parameter_counts(network: Any, sizes: tuple[int, int]) -> None:
    with torch.device("meta"):
        module = WGANGP(network=network)
    assert (count(module.G), count(module.D)) == sizes


def test_the_resnet_has_101_layers_in_both() -> None:
    with torch.device("meta"):
        module = WGANGP(network="resnet101")
    for net in (module.G, module.D):
        layers = [m for m in net.modules() if isinstance(m, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)]
        blocks = [m for m in net.modules() if isinstance(m, Bottleneck)]
        assert len(blocks) == 33
        assert len(layers) - 4 == 101  # but for the shortcuts of the four blocks that resample


@pytest.mark.parametrize("network", NETWORKS)
def test_a_critic_of_the_penalty_scores_each_image_alone(network: Any) -> None:
    torch.manual_seed(0)
    module = WGANGP(network=network, width=4)
    images = module.G(torch.randn(3, 128))
    assert images.shape == (3, 3, 64, 64)
    assert images.abs().max() <= 1
    scores = module.D(images)
    assert scores.shape == (3, 1)
    torch.testing.assert_close(scores[:1], module.D(images[:1]), atol=1e-4, rtol=1e-4)


def test_activations() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 6, 3, 3)
    torch.testing.assert_close(Gate()(x)[:, 1], torch.sigmoid(x[:, 2]) * torch.tanh(x[:, 3]))
    tanh = figure2_networks("dcgan64_tanh", z_dim=4, width=4, normalisation_D="layer")
    assert (kinds(tanh.G, nn.Tanh), kinds(tanh.D, nn.Tanh)) == (5, 4)
    assert kinds(tanh.G, nn.ReLU) == 0


def test_initial_weights() -> None:
    """0.02 as DCGAN's where the script sets it: not for the gated networks and the two other generators."""
    torch.manual_seed(0)

    def first(network: Any) -> tuple[float, float]:
        G, D = figure2_networks(network, z_dim=128, width=16, normalisation_D="layer")
        return G[0].weight.std().item(), D[0].weight.std().item()

    for network in ("dcgan64", "dcgan64_tanh", "dcgan64_unnormalised"):
        assert first(network) == pytest.approx((0.02, 0.02), rel=0.05)
    assert first("dcgan64_gated") == pytest.approx(((2 / (128 + 32 * 128)) ** 0.5, (4 / (25 * 11)) ** 0.5), rel=0.05)
    assert first("dcgan64_constant") == pytest.approx(((2 / (128 + 256)) ** 0.5, 0.02), rel=0.05)
    assert first("mlp64") == pytest.approx(((2 / 128) ** 0.5, 0.02), rel=0.05)


def test_a_shortcut_that_halves_starts_as_a_convolution_with_a_stride() -> None:
    torch.manual_seed(0)
    block, strided = (
        Bottleneck(64, 128, resample="down", normalisation="none"),
        convolution(64, 128, 1, stride=2, he=False),
    )
    shortcut: Any = block.shortcut
    assert shortcut[1].weight.std().item() == pytest.approx(strided.weight.std().item(), rel=0.05)
    assert shortcut[1].weight.std().item() != pytest.approx((2 / (64 + 128)) ** 0.5, rel=0.05)  # as without one


def test_all_that_lists_the_networks_has_them_in_the_figures_order() -> None:
    members = script_of("wgan_gp").studies["figure2"].members
    networks = [option.partition("=")[2] for member in members.values() for option in member.options[:1]]
    assert tuple(dict.fromkeys(networks)) == tuple(TITLES) == NETWORKS
    assert len(members) == len(NETWORKS) * len(COLUMNS)


@pytest.mark.parametrize(("resample", "side"), [(None, 8), ("up", 16), ("down", 4)])
def test_a_block_of_the_resnet_by_functions(resample: Any, side: int) -> None:
    torch.manual_seed(0)
    block = Bottleneck(8, 8 if resample is None else 4, resample=resample, normalisation="layer").double()
    x = torch.randn(2, 8, 8, 8, dtype=torch.float64)
    assert block(x).shape == (2, 8 if resample is None else 4, side, side)

    def conv(layer: Any, h: Tensor, **settings: Any) -> Tensor:
        return F.conv2d(h, layer.weight, layer.bias, **settings)

    h = conv(block.conv1, F.relu(x))
    middle: Any = block.conv2
    if resample == "up":  # the transpose of a convolution that pads on the right alone
        h = F.conv_transpose2d(F.relu(h), middle.weight, middle.bias, stride=2)[..., :16, :16]
        shortcut = F.pixel_shuffle(conv(block.shortcut[0], x), 2)
    elif resample == "down":
        h = conv(middle, F.pad(F.relu(h), (0, 1, 0, 1)), stride=2)
        shortcut = conv(block.shortcut[1], x, stride=2)
    else:
        h, shortcut = conv(middle, F.relu(h), padding=1), x
    h = F.group_norm(conv(block.conv3, F.relu(h)), 1)
    torch.testing.assert_close(block(x), shortcut + 0.3 * h, atol=1e-9, rtol=1e-9)


def test_every_other_pixel_is_what_a_stride_reads() -> None:
    layer = convolution(3, 5, 1, stride=2)
    x = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(F.conv2d(EveryOther()(x), layer.weight, layer.bias), layer(x))


def test_a_width_that_cannot_be_halved_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="the width of resnet101 is 6: it must be a multiple of 4"):
        WGANGP(network="resnet101", width=6)


@pytest.mark.parametrize("network", NETWORKS)
def test_the_penalty_moves_the_critic(network: Any) -> None:
    """Differentiated twice, all gradients are finite, and the first layer's are not 0."""
    torch.manual_seed(0)
    D = WGANGP(network=network, width=4).D
    x = torch.rand(2, 3, 64, 64, requires_grad=True)
    (slope,) = torch.autograd.grad(D(x).sum(), x, create_graph=True)
    (slope.flatten(1).norm(dim=1) - 1).square().sum().backward()
    gradients = [p.grad for p in D.parameters() if p.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert gradients[0].abs().sum() > 0
