"""The seven pairs of networks of figure 2 in WGAN-GP (Gulrajani et al. 2017), for images of 3 x 64 x 64.

The paper names them; their sizes and initial weights are those of the authors' gan_64x64.py. "Normalised" is BatchNorm
in a generator; in a critic it is layer norm with the penalty, and BatchNorm with the other methods.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from zoo.models.networks.wgan_gp_layers import (
    Normalisation,
    Pair,
    Rectifier,
    convolution,
    deconvolution,
    linear,
    normalise,
    uniform_,
)

Figure2Network = Literal[
    "dcgan64", "dcgan64_constant", "mlp64", "dcgan64_unnormalised", "dcgan64_gated", "dcgan64_tanh", "resnet101"
]


def figure2_networks(network: Figure2Network, *, z_dim: int, width: int, normalisation_D: Normalisation) -> Pair:
    """A generator [N, z_dim] -> [N, 3, 64, 64] in [-1, 1] and a critic of such images, scores [N, 1].

    Args:
        network: a row of the figure: "dcgan64", the baseline; "dcgan64_constant", a generator without normalisation
            and with `width` filters throughout; "mlp64", a generator of 4 layers of 8 `width` ReLU units (the critics
            of these two are the baseline's); "dcgan64_unnormalised", neither is normalised; "dcgan64_gated",
            sigmoid(a) tanh(b) in place of each activation, in both; "dcgan64_tanh", tanh in place of each; "resnet101",
            101 layers in both.
        z_dim: dimension of z.
        width: filters next to the image; half of it for "resnet101".
        normalisation_D: where a critic is normalised.

    Raises:
        ValueError: a width of "resnet101" that is no multiple of 4.
    """
    if network == "resnet101":
        return resnets101(z_dim=z_dim, width=width, normalisation_D=normalisation_D)
    if network == "dcgan64_gated":
        critic = dcgan_critic(width, activation=Gate, gated=True, normalisation=normalisation_D)
        return Pair(dcgan_generator(z_dim, width, activation=Gate, gated=True), critic)
    if network == "dcgan64_tanh":
        critic = dcgan_critic(width, activation=nn.Tanh, normalisation=normalisation_D)
        return Pair(with_std(dcgan_generator(z_dim, width, activation=nn.Tanh)), with_std(critic))
    if network == "dcgan64_unnormalised":
        G, critic = dcgan_generator(z_dim, width, normalisation="none"), dcgan_critic(width, normalisation="none")
        return Pair(with_std(G), with_std(critic))
    critic = with_std(dcgan_critic(width, normalisation=normalisation_D))
    if network == "dcgan64_constant":
        return Pair(constant_generator(z_dim, width), critic)
    if network == "mlp64":
        return Pair(mlp_generator(z_dim, 8 * width), critic)
    return Pair(with_std(dcgan_generator(z_dim, width)), critic)


def with_std(net: nn.Sequential, *, std: float = 0.02) -> nn.Sequential:
    """The network, the weights of its layers drawn anew with this standard deviation, as DCGAN's in the script."""
    for layer in net:
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            uniform_(layer.weight, std=std)
    return net


# DCGAN and what is like it.


class Gate(nn.Module):
    """sigmoid(a) tanh(b) of maps a and b in turn: [N, 2C, H, W] to [N, C, H, W]."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(x[:, ::2]) * torch.tanh(x[:, 1::2])


def dcgan_generator(
    z_dim: int,
    width: int,
    *,
    activation: Callable[[], nn.Module] = nn.ReLU,
    gated: bool = False,
    normalisation: Normalisation = "batch",
) -> nn.Sequential:
    """A linear layer to 4x4, then 5x5 kernels: 8, 4, 2 and 1 times `width` filters, twice as many where `gated`."""
    filters, wide = [8 * width, 4 * width, 2 * width, width], 2 if gated else 1
    G: list[nn.Module] = [linear(z_dim, 16 * wide * filters[0]), nn.Unflatten(1, (wide * filters[0], 4, 4))]
    G += [*normalise(wide * filters[0], normalisation), activation()]
    for inputs, outputs in pairwise(filters):
        G += [deconvolution(inputs, wide * outputs), *normalise(wide * outputs, normalisation), activation()]
    return nn.Sequential(*G, deconvolution(width, 3), nn.Tanh())


def dcgan_critic(
    width: int,
    *,
    activation: Callable[[], nn.Module] = lambda: Rectifier(0.2),
    gated: bool = False,
    normalisation: Normalisation,
) -> nn.Sequential:
    """Four 5x5 convolutions with stride 2 down to 4x4, the first without normalisation, and a linear layer."""
    wide = 2 if gated else 1
    D: list[nn.Module] = [convolution(3, wide * width, 5, stride=2), activation()]
    for inputs, outputs in pairwise([width, 2 * width, 4 * width, 8 * width]):
        D += [convolution(inputs, wide * outputs, 5, stride=2), *normalise(wide * outputs, normalisation), activation()]
    return nn.Sequential(*D, nn.Flatten(), linear(8 * width * 16, 1))


def constant_generator(z_dim: int, width: int) -> nn.Sequential:
    """`width` filters in each layer and no normalisation."""
    up = [layer for _ in range(3) for layer in (deconvolution(width, width), nn.ReLU())]
    start = (linear(z_dim, 16 * width), nn.ReLU(), nn.Unflatten(1, (width, 4, 4)))
    return nn.Sequential(*start, *up, deconvolution(width, 3), nn.Tanh())


def mlp_generator(z_dim: int, units: int) -> nn.Sequential:
    """Four layers of ReLU units and a linear one, their outcome as an image."""
    hidden = [layer for a, b in pairwise([z_dim] + [units] * 4) for layer in (linear(a, b, he=True), nn.ReLU())]
    return nn.Sequential(*hidden, linear(units, 3 * 64 * 64), nn.Tanh(), nn.Unflatten(1, (3, 64, 64)))


# 101 layers.


class Bottleneck(nn.Module):
    """Residual block of three layers, 1x1, 3x3 and 1x1, whose sum with the shortcut weighs them 0.3.

    Maps [N, inputs, H, W] to [N, outputs, H', W'], doubled, halved or of the same sides.
    """

    def __init__(
        self, inputs: int, outputs: int, *, resample: Literal["up", "down"] | None = None, normalisation: Normalisation
    ) -> None:
        super().__init__()
        self.rectifier = Rectifier()
        self.conv1 = convolution(inputs, inputs // 2, 1)
        self.conv2: nn.Module
        self.shortcut: nn.Module = nn.Identity()
        if resample == "up":
            self.conv2 = deconvolution(inputs // 2, outputs // 2, kernel=3)
            self.shortcut = nn.Sequential(convolution(inputs, 4 * outputs, 1, he=False), nn.PixelShuffle(2))
        elif resample == "down":
            self.conv2 = convolution(inputs // 2, outputs // 2, 3, stride=2)
            halved = convolution(inputs, outputs, 1, he=False)
            uniform_(halved.weight, std=(2 / (inputs + outputs / 4)) ** 0.5)  # as with a stride of 2
            self.shortcut = nn.Sequential(EveryOther(), halved)
        else:
            self.conv2 = convolution(inputs // 2, outputs // 2, 3)
        self.conv3 = convolution(outputs // 2, outputs, 1, bias=False)
        self.norm = nn.Sequential(*normalise(outputs, normalisation))

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(self.rectifier(x))
        h = self.conv3(self.rectifier(self.conv2(self.rectifier(h))))
        return self.shortcut(x) + 0.3 * self.norm(h)  # type: ignore[no-any-return]


class EveryOther(nn.Module):
    """[N, C, H, W] to [N, C, H/2, W/2], the even rows and columns: what a 1x1 convolution with stride 2 reads.

    In the weights' gradient of such a convolution itself PyTorch 2.14 overwrites memory (on a CPU, channels_last).
    """

    def forward(self, x: Tensor) -> Tensor:
        return x[..., ::2, ::2]


class Fifth(nn.Module):
    """x / 5, of the last layer's values."""

    def forward(self, x: Tensor) -> Tensor:
        return x / 5


def resnets101(*, z_dim: int, width: int, normalisation_D: Normalisation) -> Pair:
    """Six blocks at each resolution, five at 64x64, and one for each doubling or halving: 33 blocks of three layers.

    8, 4, 2, 1 and 1/2 times `width` filters from 4x4 to 64x64.
    """
    if width % 4:
        raise ValueError(f"the width of resnet101 is {width}: it must be a multiple of 4")
    filters = [8 * width, 4 * width, 2 * width, width, width // 2]
    G: list[nn.Module] = [linear(z_dim, 16 * filters[0]), nn.Unflatten(1, (filters[0], 4, 4))]
    for inputs, outputs in pairwise(filters):
        G += [Bottleneck(inputs, inputs, normalisation="batch") for _ in range(6)]
        G += [Bottleneck(inputs, outputs, resample="up", normalisation="batch")]
    G += [Bottleneck(filters[-1], filters[-1], normalisation="batch") for _ in range(5)]
    D: list[nn.Module] = [convolution(3, filters[-1], 1, he=False)]
    D += [Bottleneck(filters[-1], filters[-1], normalisation=normalisation_D) for _ in range(5)]
    for inputs, outputs in pairwise(reversed(filters)):
        D += [Bottleneck(inputs, outputs, resample="down", normalisation=normalisation_D)]
        D += [Bottleneck(outputs, outputs, normalisation=normalisation_D) for _ in range(6)]
    return Pair(
        nn.Sequential(*G, convolution(filters[-1], 3, 1, he=False), Fifth(), nn.Tanh()),
        nn.Sequential(*D, nn.Flatten(), linear(16 * filters[0], 1), Fifth()),
    )
