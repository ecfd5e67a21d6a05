"""The networks of DCGAN (Radford et al. 2016): the authors' three, and the variant of the Torch port.

Authors' code: github.com/Newmu/dcgan_code. `build_networks` gives a generator and a discriminator by name.
"""

from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.nn.techniques import VirtualBatchNorm

Network = Literal["faces64", "imagenet32", "mnist_conditional", "community"]


class Pair(NamedTuple):
    """A generator [N, z_dim] -> [N, C, H, W] in [-1, 1] and a discriminator [N, C, H, W] -> logits [N, 1]."""

    G: nn.Module
    D: nn.Module


def build_networks(network: Network, *, z_dim: int, width: int, channels: int, resolution: int) -> Pair:
    """The networks of that name; `mnist_conditional` has one size, the others take theirs from the arguments.

    Args:
        network: which; see the head of dcgan.py.
        z_dim: dimension of z.
        width: filters of the layer next to the image.
        channels: of the images.
        resolution: side of the images of `community`.
    """
    if network == "faces64":
        return faces_networks(z_dim=z_dim, width=width, channels=channels)
    if network == "imagenet32":
        return imagenet_networks(z_dim=z_dim, width=width, channels=channels)
    if network == "mnist_conditional":
        return Pair(ConditionalGenerator(z_dim=z_dim, num_classes=10), ConditionalDiscriminator(num_classes=10))
    return community_networks(z_dim=z_dim, width=width, channels=channels, resolution=resolution)


def upsample(inputs: int, outputs: int, *, kernel: int) -> nn.ConvTranspose2d:
    """Fractionally strided convolution that doubles height and width; odd kernels mirror a padded strided one."""
    odd = kernel % 2
    return nn.ConvTranspose2d(
        inputs, outputs, kernel, stride=2, padding=(kernel - 1) // 2, output_padding=odd, bias=False
    )


def convolution(inputs: int, outputs: int, *, kernel: int, stride: int, bias: bool = False) -> nn.Conv2d:
    """Convolution that keeps (stride 1) or halves (stride 2) height and width."""
    return nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=(kernel - 1) // 2, bias=bias)


def faces_networks(*, z_dim: int, width: int, channels: int) -> Pair:
    """The authors' 64x64 networks: a projection of z to 4x4 with one BatchNorm gain for each unit, then 5x5 kernels."""
    widths = [8 * width, 4 * width, 2 * width, width]
    G: list[nn.Module] = [
        nn.Linear(z_dim, widths[0] * 16, bias=False),
        nn.BatchNorm1d(widths[0] * 16, eps=1e-8),
        nn.ReLU(),
        nn.Unflatten(1, (widths[0], 4, 4)),
    ]
    for inputs, outputs in pairwise(widths):
        G += [upsample(inputs, outputs, kernel=5), nn.BatchNorm2d(outputs, eps=1e-8), nn.ReLU()]
    G += [upsample(width, channels, kernel=5), nn.Tanh()]
    widths.reverse()
    D: list[nn.Module] = [convolution(channels, width, kernel=5, stride=2), nn.LeakyReLU(0.2)]
    for inputs, outputs in pairwise(widths):
        D += [
            convolution(inputs, outputs, kernel=5, stride=2),
            nn.BatchNorm2d(outputs, eps=1e-8),
            nn.LeakyReLU(0.2),
        ]
    D += [nn.Flatten(), nn.Linear(widths[-1] * 16, 1, bias=False)]
    return Pair(nn.Sequential(*G), nn.Sequential(*D))


def imagenet_networks(*, z_dim: int, width: int, channels: int) -> Pair:
    """The authors' 32x32 networks: 3x3 kernels, two convolutions for each resolution (width 128 gives their sizes)."""
    G: list[nn.Module] = [
        nn.Linear(z_dim, 4 * width * 16, bias=False),
        nn.BatchNorm1d(4 * width * 16, eps=1e-8),
        nn.ReLU(),
        nn.Unflatten(1, (4 * width, 4, 4)),
    ]
    inputs = 4 * width
    for outputs, up in [
        (4, True),
        (2, False),
        (2, True),
        (1, False),
        (1, True),
    ]:  # 4 -> 8 -> 8 -> 16 -> 16 -> 32
        layer: nn.Module
        if up:
            layer = upsample(inputs, outputs * width, kernel=3)
        else:
            layer = convolution(inputs, outputs * width, kernel=3, stride=1)
        G += [layer, nn.BatchNorm2d(outputs * width, eps=1e-8), nn.ReLU()]
        inputs = outputs * width
    G += [convolution(inputs, channels, kernel=3, stride=1), nn.Tanh()]
    D: list[nn.Module] = [convolution(channels, width, kernel=3, stride=1), nn.LeakyReLU(0.2)]
    inputs = width
    for outputs, stride in [(1, 2), (2, 1), (2, 2), (4, 1), (4, 2)]:  # 32 -> 16 -> 16 -> 8 -> 8 -> 4
        D += [
            convolution(inputs, outputs * width, kernel=3, stride=stride),
            nn.BatchNorm2d(outputs * width, eps=1e-8),
            nn.LeakyReLU(0.2),
        ]
        inputs = outputs * width
    D += [nn.Flatten(), nn.Linear(inputs * 16, 1, bias=False)]
    return Pair(nn.Sequential(*G), nn.Sequential(*D))


def community_networks(
    *, z_dim: int, width: int, channels: int, resolution: int, batchnorm_D: bool = True, bias_D: bool = False
) -> Pair:
    """The Torch port's networks: 4x4 kernels throughout, 1x1 -> 4x4 -> ... -> resolution (a power of two).

    Without `batchnorm_D` the discriminator is that of WGAN's released code without BatchNorm. Without biases either
    (`bias_D`), it is homogeneous: it gives a grey image, all 0, the logit 0 whatever it learns.
    """
    doublings = resolution.bit_length() - 3  # from 4x4
    widths = [width * 2**i for i in reversed(range(doublings))]
    G: list[nn.Module] = [
        nn.Unflatten(1, (z_dim, 1, 1)),
        nn.ConvTranspose2d(z_dim, widths[0], 4, bias=False),
        nn.BatchNorm2d(widths[0]),
        nn.ReLU(),
    ]
    for inputs, outputs in pairwise(widths):
        G += [upsample(inputs, outputs, kernel=4), nn.BatchNorm2d(outputs), nn.ReLU()]
    G += [upsample(width, channels, kernel=4), nn.Tanh()]
    widths.reverse()
    D: list[nn.Module] = [convolution(channels, width, kernel=4, stride=2, bias=bias_D), nn.LeakyReLU(0.2)]
    for inputs, outputs in pairwise(widths):
        norm = [nn.BatchNorm2d(outputs)] if batchnorm_D else []
        D += [convolution(inputs, outputs, kernel=4, stride=2, bias=bias_D), *norm, nn.LeakyReLU(0.2)]
    D += [nn.Conv2d(widths[-1], 1, 4, bias=bias_D), nn.Flatten()]
    return Pair(nn.Sequential(*G), nn.Sequential(*D))


class ConditionalGenerator(nn.Module):
    """z [N, z_dim] and labels [N] to digits [N, 1, 28, 28] in [0, 1]; the label joins every layer's input."""

    def __init__(self, *, z_dim: int, num_classes: int) -> None:
        super().__init__()
        k = self.num_classes = num_classes
        self.fc1 = nn.Linear(z_dim + k, 1024, bias=False)
        self.fc2 = nn.Linear(1024 + k, 128 * 7 * 7, bias=False)
        self.up1 = upsample(128 + k, 64, kernel=5)
        self.up2 = upsample(64 + k, 1, kernel=5)
        self.bn1 = nn.BatchNorm1d(1024, eps=1e-8, affine=False)
        self.bn2 = nn.BatchNorm1d(128 * 7 * 7, eps=1e-8, affine=False)
        self.bn3 = nn.BatchNorm2d(64, eps=1e-8, affine=False)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        label = F.one_hot(y, self.num_classes).to(z.dtype)
        h = self.bn1(self.fc1(torch.cat([z, label], dim=1))).relu()
        h = self.bn2(self.fc2(torch.cat([h, label], dim=1))).relu().unflatten(1, (128, 7, 7))
        h = self.bn3(self.up1(with_maps(h, label))).relu()  # [N, 64, 14, 14]
        return self.up2(with_maps(h, label)).sigmoid()  # type: ignore[no-any-return]


class ConditionalDiscriminator(nn.Module):
    """Digits [N, 1, 28, 28] in [0, 1] and labels [N] to logits [N, 1]; the label joins every layer's input."""

    def __init__(self, *, num_classes: int) -> None:
        super().__init__()
        k = self.num_classes = num_classes
        self.conv1 = convolution(1 + k, 64, kernel=5, stride=2)
        self.conv2 = convolution(64 + k, 128, kernel=5, stride=2)
        self.bn2 = nn.BatchNorm2d(128, eps=1e-8, affine=False)
        self.fc1 = nn.Linear(128 * 7 * 7 + k, 1024, bias=False)
        self.fc2 = nn.Linear(1024 + k, 1, bias=False)
        self.bn3 = nn.BatchNorm1d(1024, eps=1e-8, affine=False)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        label = F.one_hot(y, self.num_classes).to(x.dtype)
        h = F.leaky_relu(self.conv1(with_maps(x, label)), 0.2)  # [N, 64, 14, 14]
        h = F.leaky_relu(self.bn2(self.conv2(with_maps(h, label))), 0.2)  # [N, 128, 7, 7]
        h = F.leaky_relu(self.bn3(self.fc1(torch.cat([h.flatten(1), label], dim=1))), 0.2)
        return self.fc2(torch.cat([h, label], dim=1))  # type: ignore[no-any-return]


def with_maps(x: Tensor, label: Tensor) -> Tensor:
    """x [N, C, H, W] and one constant map for each entry of label [N, K]: [N, C + K, H, W]."""
    maps = label.to(x.dtype)[:, :, None, None].expand(-1, -1, *x.shape[2:])
    return torch.cat([x, maps], dim=1)


def initialise(net: nn.Module) -> None:
    """Weights N(0, 0.02), BatchNorm gains N(1, 0.02), BatchNorm biases 0 (section 4 and the authors' code)."""
    for module in net.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | VirtualBatchNorm) and module.weight is not None:
            nn.init.normal_(module.weight, 1.0, 0.02)
            nn.init.zeros_(module.bias)


def initialise_for_leaky_relu(net: nn.Module) -> None:
    """Weights of convolutions and linear layers as He et al. 2015 (eq. 15) for a slope of 0.2, biases 0.

    For discriminators without BatchNorm, in which N(0, 0.02) lets signals die away from layer to layer.
    """
    for module in net.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, a=0.2)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
