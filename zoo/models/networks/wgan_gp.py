"""The networks of WGAN-GP's experiments (Gulrajani et al. 2017): those of the authors' scripts, and random ones.

Authors' code: github.com/igul222/improved_wgan_training. `SCRIPTS` is what each of them fixes, `build_networks` gives a
generator and a critic by name. Random ones are in wgan_gp_random.py, those of figure 2 in wgan_gp_figure2.py.
"""

from itertools import pairwise
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.models.networks.wgan_gp_figure2 import Figure2Network, figure2_networks
from zoo.models.networks.wgan_gp_layers import (
    ClassBatchNorm2d,
    Crop,
    Heads,
    MeanPool,
    Normalisation,
    Pair,
    Rectifier,
    convolution,
    deconvolution,
    linear,
    normalise,
)
from zoo.models.networks.wgan_gp_random import RandomArchitecture, random_networks

Network = Literal["toy", "toy_deep", "mnist", "cifar10", "cifar10_resnet", "resnet64", "random", Figure2Network]
Method = Literal["wgan-gp", "wgan", "gan", "lsgan"]


class Script(NamedTuple):
    """What a network's script fixes; lr and beta1 are those of Adam with the penalty."""

    image_shape: tuple[int, ...]
    z_dim: int = 128
    width: int = 64
    lr: float = 1e-4
    beta1: float = 0.5
    gp_weight: float = 10.0
    generator_batch: int = 1
    decay_steps: int | None = None


SCRIPTS: dict[Network, Script] = {
    "toy": Script((2,), z_dim=2, width=512, gp_weight=0.1),
    "toy_deep": Script((2,), z_dim=2, width=512),
    "mnist": Script((1, 28, 28)),
    "cifar10": Script((3, 32, 32), width=128),
    "cifar10_resnet": Script((3, 32, 32), width=128, lr=2e-4, beta1=0.0, generator_batch=2, decay_steps=100_000),
    "resnet64": Script((3, 64, 64)),
    "random": Script((3, 32, 32), width=0, beta1=0.0),
    **dict.fromkeys(get_args(Figure2Network), Script((3, 64, 64))),
}


def build_networks(
    network: Network,
    *,
    method: Method,
    z_dim: int,
    width: int,
    num_classes: int | None = None,
    channels: int = 3,
    architecture: RandomArchitecture | None = None,
    batchnorm_D: bool | None = None,
) -> Pair:
    """The networks, freshly initialised.

    Args:
        network: which script; "toy_deep" is figure 1b's, "random" needs an architecture (section 5.1); those of figure
            2 by the names of wgan_gp_figure2.py.
        method: decides on the normalisation, as the scripts do: the MNIST networks have BatchNorm for "wgan" alone,
            the CIFAR-10 critic for all but "wgan-gp"; where "wgan-gp" has layer norm, the others have BatchNorm.
        z_dim: dimension of z.
        width: units of the MLPs, or filters next to the image; `random` has its own.
        num_classes: for "cifar10_resnet": labels condition the generator, and the critic classifies.
        channels: of the images of "random".
        architecture: of "random".
        batchnorm_D: of "cifar10": whether its critic has BatchNorm; None takes the script's.
    """
    clipped: Normalisation = "batch" if method == "wgan" else "none"
    drop_in: Normalisation = "layer" if method == "wgan-gp" else "batch"
    if network == "toy" or network == "toy_deep":
        return plane_networks(z_dim=z_dim, width=width, depth=3 if network == "toy" else 12)
    if network == "mnist":
        return mnist_networks(z_dim=z_dim, width=width, normalisation=clipped)
    if network == "cifar10":
        normalised = method != "wgan-gp" if batchnorm_D is None else batchnorm_D
        return cifar10_networks(z_dim=z_dim, width=width, normalisation_D="batch" if normalised else "none")
    if network == "cifar10_resnet":
        return cifar10_resnets(z_dim=z_dim, width=width, num_classes=num_classes)
    if network == "resnet64":
        return resnets64(z_dim=z_dim, width=width, normalisation_D=drop_in)
    if network == "random":
        assert architecture is not None
        return random_networks(architecture, z_dim=z_dim, channels=channels, normalisation_D=drop_in)
    return figure2_networks(network, z_dim=z_dim, width=width, normalisation_D=drop_in)


# Points in the plane.


def plane_networks(*, z_dim: int, width: int, depth: int) -> Pair:
    """gan_toy.py: `depth` layers of ReLU units and a linear one in both."""

    def mlp(inputs: int, outputs: int) -> nn.Sequential:
        sizes = [inputs] + [width] * depth
        hidden = [layer for a, b in pairwise(sizes) for layer in (linear(a, b, he=True), Rectifier())]
        return nn.Sequential(*hidden, linear(width, outputs))

    return Pair(mlp(z_dim, 2), mlp(2, 1))


# Convolutions with a stride.


def strided_critic(channels: int, width: int, *, normalisation: Normalisation) -> nn.Sequential:
    """gan_mnist.py and gan_cifar.py: three 5x5 convolutions with stride 2 down to 4x4; the first is not normalised."""
    D: list[nn.Module] = [convolution(channels, width, 5, stride=2), Rectifier(0.2)]
    for inputs, outputs in ((width, 2 * width), (2 * width, 4 * width)):
        D += [convolution(inputs, outputs, 5, stride=2), *normalise(outputs, normalisation), Rectifier(0.2)]
    return nn.Sequential(*D, nn.Flatten(), linear(64 * width, 1))


def strided_input(z_dim: int, width: int, *, normalisation: Normalisation) -> list[nn.Module]:
    """z to [N, width, 4, 4]; BatchNorm with a gain for each unit, not for each map."""
    norm = [nn.BatchNorm1d(16 * width)] if normalisation == "batch" else []
    return [linear(z_dim, 16 * width), *norm, nn.ReLU(), nn.Unflatten(1, (width, 4, 4))]


def mnist_networks(*, z_dim: int, width: int, normalisation: Normalisation) -> Pair:
    """gan_mnist.py: 4 -> 8, cropped to 7 -> 14 -> 28; pixels in [0, 1]."""
    G = nn.Sequential(
        *strided_input(z_dim, 4 * width, normalisation=normalisation),
        *(deconvolution(4 * width, 2 * width), *normalise(2 * width, normalisation), nn.ReLU(), Crop(7)),
        *(deconvolution(2 * width, width), *normalise(width, normalisation), nn.ReLU()),
        *(deconvolution(width, 1), nn.Sigmoid()),
    )
    return Pair(G, strided_critic(1, width, normalisation=normalisation))


def cifar10_networks(*, z_dim: int, width: int, normalisation_D: Normalisation) -> Pair:
    """gan_cifar.py: 4 -> 8 -> 16 -> 32, BatchNorm in the generator."""
    G = nn.Sequential(
        *strided_input(z_dim, 4 * width, normalisation="batch"),
        *(deconvolution(4 * width, 2 * width), nn.BatchNorm2d(2 * width), nn.ReLU()),
        *(deconvolution(2 * width, width), nn.BatchNorm2d(width), nn.ReLU()),
        *(deconvolution(width, 3), nn.Tanh()),
    )
    return Pair(G, strided_critic(3, width, normalisation=normalisation_D))


# Residual networks.


class UpBlock(nn.Module):
    """Residual block of the generators: [N, inputs, H, W] to [N, outputs, 2H, 2W], nearest neighbours doubled."""

    def __init__(self, inputs: int, outputs: int, *, num_classes: int | None, bias: bool) -> None:
        super().__init__()
        self.norm1 = ClassBatchNorm2d(inputs, num_classes=num_classes)
        self.conv1 = convolution(inputs, outputs, 3, bias=bias)
        self.norm2 = ClassBatchNorm2d(outputs, num_classes=num_classes)
        self.conv2 = convolution(outputs, outputs, 3)
        self.shortcut = convolution(inputs, outputs, 1, he=False)
        self.up = nn.Upsample(scale_factor=2)

    def forward(self, x: Tensor, y: Tensor | None) -> Tensor:
        h = self.conv1(self.up(F.relu(self.norm1(x, y))))
        h = self.conv2(F.relu(self.norm2(h, y)))
        return h + self.up(self.shortcut(x))  # type: ignore[no-any-return]  # 1x1: doubled before or after, the same


class CriticBlock(nn.Module):
    """Residual block of the critics: [N, inputs, H, W] to [N, outputs, H/2, W/2], or of one shape where not `down`.

    `first` is the block next to the image, without the activation before its first convolution.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        down: bool = True,
        first: bool = False,
        normalisation: Normalisation = "none",
    ) -> None:
        super().__init__()
        hidden = outputs if first else inputs
        self.norm1 = nn.Sequential(*normalise(inputs, normalisation))
        self.relu1 = nn.Identity() if first else Rectifier()
        self.conv1 = convolution(inputs, hidden, 3, bias=normalisation == "none")
        self.norm2 = nn.Sequential(*normalise(hidden, normalisation))
        self.relu2 = Rectifier()
        self.conv2 = convolution(hidden, outputs, 3)
        self.shortcut = convolution(inputs, outputs, 1, he=False) if down else nn.Identity()
        self.pool = nn.AvgPool2d(2) if down else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(self.relu1(self.norm1(x)))
        h = self.pool(self.conv2(self.relu2(self.norm2(h))))
        return h + self.shortcut(self.pool(x))  # type: ignore[no-any-return]  # 1x1: pooled before or after, the same


class ResNetGenerator(nn.Module):
    """z [N, z_dim] and labels [N] or None to images [N, 3, 4 * 2^k, ...] in [-1, 1]; widths[0] filters at 4x4."""

    def __init__(
        self, z_dim: int, widths: list[int], *, num_classes: int | None = None, bias: bool, he_output: bool
    ) -> None:
        super().__init__()
        self.input = nn.Sequential(linear(z_dim, widths[0] * 16), nn.Unflatten(1, (widths[0], 4, 4)))
        self.blocks = nn.ModuleList(UpBlock(a, b, num_classes=num_classes, bias=bias) for a, b in pairwise(widths))
        self.norm = ClassBatchNorm2d(widths[-1], num_classes=None)
        self.output = convolution(widths[-1], 3, 3, he=he_output)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        h = self.input(z)
        for block in self.blocks:
            h = block(h, y)
        return torch.tanh(self.output(F.relu(self.norm(h))))


def cifar10_resnets(*, z_dim: int, width: int, num_classes: int | None) -> Pair:
    """gan_cifar_resnet.py: `width` filters throughout; the critic ends in the mean over 8x8."""
    D = nn.Sequential(
        CriticBlock(3, width, first=True),
        CriticBlock(width, width),
        CriticBlock(width, width, down=False),
        CriticBlock(width, width, down=False),
        *(Rectifier(), MeanPool()),
        linear(width, 1) if num_classes is None else Heads(width, num_classes=num_classes),
    )
    return Pair(ResNetGenerator(z_dim, [width] * 4, num_classes=num_classes, bias=True, he_output=False), D)


def resnets64(*, z_dim: int, width: int, normalisation_D: Normalisation) -> Pair:
    """gan_64x64.py, "Good": no bias in the first convolution of a block."""
    steps = ((1, 2), (2, 4), (4, 8), (8, 8))
    D = nn.Sequential(
        convolution(3, width, 3, he=False),
        *(CriticBlock(a * width, b * width, normalisation=normalisation_D) for a, b in steps),
        *(nn.Flatten(), linear(8 * width * 16, 1)),
    )
    widths = [8 * width, 8 * width, 4 * width, 2 * width, width]
    return Pair(ResNetGenerator(z_dim, widths, bias=False, he_output=True), D)
