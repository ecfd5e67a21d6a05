"""Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks.

A. Radford, L. Metz, S. Chintala. ICLR 2016, arXiv 1511.06434. Authors' code: github.com/Newmu/dcgan_code.

Here: the guidelines of section 3 (strided convolutions, batch normalisation but at G's output and D's input, no hidden
fully connected layers, ReLU in G and leaky ReLU in D) in three networks, each named as what it is:

- `faces64`: the authors' network of the faces experiment (5x5 kernels, 128 filters, uniform z);
- `imagenet32`: the authors' network of the ImageNet-1k experiment whose features are tested on CIFAR-10 (section 5.1);
- `community`: the variant most implementations mean by DCGAN (4x4 kernels, 64 filters, normal z), from the Torch port.
"""

from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from zoo.adversarial import AdversarialModule
from zoo.losses import bce_discriminator_loss, non_saturating_generator_loss

Network = Literal["faces64", "imagenet32", "community"]


class Pair(NamedTuple):
    """A generator [N, z_dim] -> [N, C, H, W] in [-1, 1] and a discriminator [N, C, H, W] -> logits [N, 1]."""

    G: nn.Module
    D: nn.Module


def upsample(inputs: int, outputs: int, *, kernel: int) -> nn.ConvTranspose2d:
    """Fractionally strided convolution that doubles height and width; odd kernels mirror a padded strided one."""
    odd = kernel % 2
    return nn.ConvTranspose2d(
        inputs, outputs, kernel, stride=2, padding=(kernel - 1) // 2, output_padding=odd, bias=False
    )


def convolution(inputs: int, outputs: int, *, kernel: int, stride: int) -> nn.Conv2d:
    """Convolution without bias that keeps (stride 1) or halves (stride 2) height and width."""
    return nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=(kernel - 1) // 2, bias=False)


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


def community_networks(*, z_dim: int, width: int, channels: int, resolution: int) -> Pair:
    """The Torch port's networks: 4x4 kernels throughout, 1x1 -> 4x4 -> ... -> resolution (a power of two)."""
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
    D: list[nn.Module] = [convolution(channels, width, kernel=4, stride=2), nn.LeakyReLU(0.2)]
    for inputs, outputs in pairwise(widths):
        D += [convolution(inputs, outputs, kernel=4, stride=2), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)]
    D += [nn.Conv2d(widths[-1], 1, 4, bias=False), nn.Flatten()]
    return Pair(nn.Sequential(*G), nn.Sequential(*D))


def initialise(net: nn.Module) -> None:
    """Weights N(0, 0.02), BatchNorm gains N(1, 0.02), BatchNorm biases 0 (section 4 and the authors' code)."""
    for module in net.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
            nn.init.zeros_(module.bias)


class DCGAN(AdversarialModule):
    """Convolutional GAN with the non-saturating loss and Adam (section 4).

    Args:
        network: which networks, see the head of this file.
        channels: of the images.
        resolution: height and width. `faces64` is 64 and `imagenet32` is 32; `community` takes any power of two
            from 8 on (default 64).
        width: filters of the layer next to the image; None takes the network's own (128, 128, 64).
        z_dim: None takes the network's own (100, 256, 100).
        lr: Adam's learning rate, of both players.
        beta1: Adam's first moment decay.
        beta2: Adam's second moment decay.
        l2: added to the gradient times the weight; 0 as in the paper's text, 1e-5 in the authors' faces script.

    Raises:
        ValueError: a resolution that the network does not have.
    """

    paper = "dcgan"

    def __init__(
        self,
        *,
        network: Network = "faces64",
        channels: int = 3,
        resolution: int | None = None,
        width: int | None = None,
        z_dim: int | None = None,
        lr: float = 2e-4,
        beta1: float = 0.5,
        beta2: float = 0.999,
        l2: float = 0.0,
    ) -> None:
        own = {"faces64": 64, "imagenet32": 32}.get(network)
        resolution = resolution or own or 64
        if own is not None and resolution != own:
            raise ValueError(f"network {network} makes {own}x{own} images; for {resolution} use network=community")
        if resolution < 8 or resolution & (resolution - 1):
            raise ValueError(f"resolution must be a power of two from 8 on, not {resolution}")
        z_dim = z_dim or (256 if network == "imagenet32" else 100)
        super().__init__(image_shape=(channels, resolution, resolution), z_dim=z_dim)
        self.save_hyperparameters()
        self.network = network
        self.lr, self.betas, self.l2 = lr, (beta1, beta2), l2
        width = width or (64 if network == "community" else 128)
        if network == "faces64":
            self.G, self.D = faces_networks(z_dim=z_dim, width=width, channels=channels)
        elif network == "imagenet32":
            self.G, self.D = imagenet_networks(z_dim=z_dim, width=width, channels=channels)
        else:
            self.G, self.D = community_networks(z_dim=z_dim, width=width, channels=channels, resolution=resolution)
        initialise(self)
        self.to(memory_format=torch.channels_last)  # same values, faster convolutions

    def latents(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """U(-1, 1) in the authors' networks, N(0, 1) in the community variant. [n, z_dim]."""
        if self.network == "community":
            return super().latents(n, generator=generator)
        return torch.rand(n, self.z_dim, generator=generator) * 2 - 1

    def discriminator_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        """Reals and fakes pass through D separately: a joint batch would mix BatchNorm's statistics."""
        fake = self.G(self.sample_z(len(x)))
        return bce_discriminator_loss(self.D(x), self.D(fake))

    def generator_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        return non_saturating_generator_loss(self.D(self.G(self.sample_z(len(x)))))

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [
            torch.optim.Adam(net.parameters(), lr=self.lr, betas=self.betas, weight_decay=self.l2)
            for net in (self.D, self.G)
        ]
