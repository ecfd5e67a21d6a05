"""GAN's networks: those of the authors' three configurations, and MNIST's for images in colour."""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from zoo.errors import UnsupportedSettingError
from zoo.nn.layers import Maxout, uniform_

Network = Literal["mnist", "cifar10_fully_connected", "cifar10_convolutional", "mnist_rgb32", "mnist_rgb64"]
SHAPES = {"mnist": (1, 28, 28), "mnist_rgb64": (3, 64, 64)}  # of images, where it is not the next
RGB32 = (3, 32, 32)


class ConvMaxout(nn.Module):
    """Convolutional maxout: the largest of `pieces` feature maps per channel, then ceil-mode max pooling."""

    def __init__(self, inputs: int, channels: int, *, kernel: int, padding: int, pool: int, pieces: int = 2) -> None:
        super().__init__()
        self.pieces = pieces
        self.conv = nn.Conv2d(inputs, channels * pieces, kernel, padding=padding)
        self.pool = nn.MaxPool2d(pool, stride=2, ceil_mode=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x).unflatten(1, (-1, self.pieces)).amax(2)  # [N, channels, H, W]
        return self.pool(x)  # type: ignore[no-any-return]


class PixelBias(nn.Module):
    """One bias for each output value: the "untied" bias of the authors' deconvolution layer."""

    def __init__(self, image_shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(image_shape))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias


def mnist_generator(z_dim: int, *, width: int = 1200, outputs: int = 784) -> nn.Sequential:
    """z [N, z_dim] to [N, outputs] in [0, 1]: two rectified layers of 1,200, then a sigmoid (mnist.yaml)."""
    G = nn.Sequential(
        nn.Linear(z_dim, width),
        nn.ReLU(),
        nn.Linear(width, width),
        nn.ReLU(),
        nn.Linear(width, outputs),
        nn.Sigmoid(),
    )
    uniform_(G, bound=0.05)
    return G


def cifar10_generator(z_dim: int, *, convolutional: bool, width: int = 8000) -> nn.Sequential:
    """z [N, z_dim] to contrast-normalised images, [N, 3072] or [N, 3, 32, 32] (cifar10_*.yaml)."""
    hidden = [nn.Linear(z_dim, width), nn.ReLU(), nn.Linear(width, width), nn.Sigmoid()]
    if convolutional:
        maps = width // 100
        deconvolution = nn.ConvTranspose2d(maps, 3, 5, stride=3, bias=False)  # 10x10 -> 32x32
        G = nn.Sequential(*hidden, nn.Unflatten(1, (maps, 10, 10)), deconvolution, PixelBias((3, 32, 32)))
        uniform_(G, bound=0.05)
    else:
        G = nn.Sequential(*hidden, nn.Linear(width, 3072))
        uniform_(G, bound=0.05)
        uniform_(G[-1], bound=0.5)
    return G


def fully_connected_discriminator(inputs: int, *, units: int) -> nn.Sequential:
    """[N, inputs] to logits [N, 1]: two maxout layers of 5 pieces; dropout before every layer (mnist.yaml)."""
    D = nn.Sequential(
        nn.Dropout(0.2),
        Maxout(inputs, units, pieces=5),
        nn.Dropout(0.5),
        Maxout(units, units, pieces=5),
        nn.Dropout(0.5),
        nn.Linear(units, 1),
    )
    uniform_(D, bound=0.005)
    return D


def convolutional_discriminator(*, units: int = 500) -> nn.Sequential:
    """[N, 3, 32, 32] to logits [N, 1]: 3 convolutional maxout layers, one of 500 (cifar10_convolutional.yaml)."""
    D = nn.Sequential(
        nn.Dropout(0.2),
        ConvMaxout(3, 32, kernel=8, padding=4, pool=4),  # 32 -> 33 -> 16
        nn.Dropout(0.5),
        ConvMaxout(32, 32, kernel=8, padding=3, pool=4),  # 16 -> 15 -> 7
        nn.Dropout(0.5),
        ConvMaxout(32, 192, kernel=5, padding=3, pool=2),  # 7 -> 9 -> 5
        nn.Flatten(),
        nn.Dropout(0.5),
        Maxout(4800, units, pieces=5),
        nn.Dropout(0.5),
        nn.Linear(units, 1),
    )
    uniform_(D, bound=0.005)
    return D


def networks_of(network: Network, *, width: int, z_dim: int) -> tuple[nn.Sequential, nn.Sequential]:
    """G and D with `width` units in G's hidden layers; D's are in the authors' proportion to them.

    Raises:
        UnsupportedSettingError: a width that gives no layers.
    """
    convolutional = network == "cifar10_convolutional"
    if width < 16 or (convolutional and width % 100):
        rule = "a multiple of 100 (maps of 10x10)" if convolutional else "16 or more"
        raise UnsupportedSettingError(f"width={width}: the network {network} takes {rule}")
    if convolutional:
        G = cifar10_generator(z_dim, convolutional=True, width=width)
        return G, convolutional_discriminator(units=width // 16)
    D = fully_connected_discriminator(math.prod(SHAPES.get(network, RGB32)), units=width // 5)
    if network == "cifar10_fully_connected":
        return cifar10_generator(z_dim, convolutional=False, width=width), D
    return mnist_generator(z_dim, width=width, outputs=math.prod(SHAPES.get(network, RGB32))), D
