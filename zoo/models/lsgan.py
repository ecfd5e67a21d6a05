"""Least Squares Generative Adversarial Networks.

X. Mao, Q. Li, H. Xie, R. Y. K. Lau, Z. Wang, S. P. Smolley. ICCV 2017, arXiv 1611.04076.
Authors' code: github.com/xudonmao/LSGAN.

Here: the least-squares losses with any coding a, b, c, the 112x112 networks of the LSUN scenes, the 64x64 networks of
the stability study with and without BatchNorm (and, as an extension, at other sizes), and the ring of Gaussians. The
cross-entropy losses that the paper compares with are `loss="gan"`.
"""

import math
import warnings
from itertools import pairwise
from types import MappingProxyType
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from zoo.models.base.module import AdversarialModule
from zoo.models.base.sampling import Columns
from zoo.nn.layers import SameConv2d, SameConvTranspose2d
from zoo.nn.losses import bce_discriminator_loss, non_saturating_generator_loss
from zoo.nn.reference import Reference

Network = Literal["lsun112", "dcgan", "ring"]
Normalised = Literal["both", "discriminator", "none"]


class Coding(NamedTuple):
    """Targets of D for samples (a) and reals (b), and of G for samples (c)."""

    a: float
    b: float
    c: float

    @property
    def is_pearson(self) -> bool:
        """b - c = 1 and b - a = 2: G then minimises the Pearson chi-square of p_d + p_g from 2 p_g."""
        return math.isclose(self.b - self.c, 1) and math.isclose(self.b - self.a, 2)


PEARSON = Coding(-1.0, 1.0, 0.0)  # eq. 8
ZERO_ONE = Coding(0.0, 1.0, 1.0)  # eq. 9


def least_squares_discriminator_loss(real: Tensor, fake: Tensor, *, a: float, b: float) -> Tensor:
    """(E[(D(x) - b)^2] + E[(D(G(z)) - a)^2]) / 2; means over each batch of scores."""
    return ((real - b).square().mean() + (fake - a).square().mean()) / 2


def least_squares_generator_loss(fake: Tensor, *, c: float) -> Tensor:
    """E[(D(G(z)) - c)^2] / 2."""
    return (fake - c).square().mean() / 2


class Pair(NamedTuple):
    """A generator [N, z_dim] -> samples and a discriminator of samples -> scores [N, 1], without a sigmoid."""

    G: nn.Module
    D: nn.Module


def block(layer: nn.Module, channels: int, activation: nn.Module, *, batchnorm: bool) -> list[nn.Module]:
    """A layer, BatchNorm if wanted, an activation."""
    return [layer, nn.BatchNorm2d(channels), activation] if batchnorm else [layer, activation]


def strided_discriminator(image_shape: tuple[int, ...], *, widths: list[int], batchnorm: bool) -> nn.Sequential:
    """5x5 convolutions with stride 2, BatchNorm behind all but the first, and a linear layer."""
    layers: list[nn.Module] = [SameConv2d(image_shape[0], widths[0], 5, stride=2), nn.LeakyReLU(0.2)]
    for inputs, outputs in pairwise(widths):
        layers += block(SameConv2d(inputs, outputs, 5, stride=2), outputs, nn.LeakyReLU(0.2), batchnorm=batchnorm)
    side = image_shape[1] // 2 ** len(widths)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(widths[-1] * side**2, 1))


def lsun_networks(*, z_dim: int, width: int) -> Pair:
    """112x112 (vgg.py): 7 -> 14 -> 28 -> 56 -> 112, two 3x3 layers at 14 and at 28."""
    deep = 4 * width
    layers: list[nn.Module] = [nn.Linear(z_dim, deep * 49), nn.Unflatten(1, (deep, 7, 7))]
    layers += [nn.BatchNorm2d(deep), nn.ReLU()]
    inputs = deep
    for outputs, stride in [(deep, 2), (deep, 1), (deep, 2), (deep, 1), (2 * width, 2), (width, 2)]:
        layers += block(SameConvTranspose2d(inputs, outputs, 3, stride=stride), outputs, nn.ReLU(), batchnorm=True)
        inputs = outputs
    G = nn.Sequential(*layers, SameConvTranspose2d(width, 3, 3, stride=1), nn.Tanh())
    widths = [width, 2 * width, 4 * width, 8 * width]
    return Pair(G, strided_discriminator((3, 112, 112), widths=widths, batchnorm=True))


def dcgan_networks(
    image_shape: tuple[int, ...], *, z_dim: int, width: int, batchnorm_G: bool, batchnorm_D: bool
) -> Pair:
    """Stability study (dcgan64.py): 5x5 kernels, 4x4 -> ... -> a power of two (there 64)."""
    widths = [width * 2**i for i in range(image_shape[1].bit_length() - 3)]
    deepest = widths[-1]
    first = [nn.Linear(z_dim, deepest * 16), nn.Unflatten(1, (deepest, 4, 4))]
    layers: list[nn.Module] = [first[0], *block(first[1], deepest, nn.ReLU(), batchnorm=batchnorm_G)]
    for inputs, outputs in pairwise(widths[::-1]):
        layers += block(SameConvTranspose2d(inputs, outputs, 5, stride=2), outputs, nn.ReLU(), batchnorm=batchnorm_G)
    G = nn.Sequential(*layers, SameConvTranspose2d(width, image_shape[0], 5, stride=2), nn.Tanh())
    return Pair(G, strided_discriminator(image_shape, widths=widths, batchnorm=batchnorm_D))


def ring_networks(*, z_dim: int, width: int) -> Pair:
    """Two hidden layers of tanh units in both (mixture_gaussian/ls.py)."""
    G, D = (
        nn.Sequential(
            nn.Linear(inputs, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, outputs)
        )
        for inputs, outputs in ((z_dim, 2), (2, 1))
    )
    for layer in [*G, *D]:
        if isinstance(layer, nn.Linear):
            nn.init.orthogonal_(layer.weight, gain=1.4)
            nn.init.zeros_(layer.bias)
    return Pair(G, D)


def initialise(net: nn.Module, *, gain_std: float = 0.0) -> None:
    """Convolutions N(0, 0.02) cut off at two standard deviations, transposed and linear ones N(0, 0.02), biases 0.

    BatchNorm's gains are N(1, gain_std).
    """
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.trunc_normal_(module.weight, std=0.02, a=-0.04, b=0.04)
        elif isinstance(module, nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.02)
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
        if isinstance(module, nn.BatchNorm2d) and gain_std:  # gains of 1 draw nothing
            nn.init.normal_(module.weight, 1.0, gain_std)


class LSGAN(AdversarialModule):
    """GAN whose discriminator regresses targets a (samples) and b (reals), and whose generator aims at c.

    Args:
        network: "lsun112"; "dcgan", the stability study's at 64x64 and of other sizes as an extension; or "ring".
        channels: of the images of `dcgan`.
        resolution: side of the images of `dcgan`, a power of two from 16 on.
        width: filters next to the image (64), or units of the ring's networks (128).
        z_dim: dimension of z; None takes 1024, for the ring 256.
        batchnorm: of `dcgan`: in "both", in the "discriminator" alone (the authors' BN_G), or in "none" (their BN_GD).
        loss: "lsgan", or "gan", the cross-entropy losses on the same networks.
        a: target of D for samples.
        b: target of D for reals.
        c: target of G for samples. (0, 1, 1) is the 0-1 coding of eq. 9, (-1, 1, 0) the Pearson coding of eq. 8;
            another one that breaks b - c = 1 or b - a = 2 brings a warning.
        optimizer: "adam", or "rmsprop" of the stability study.
        lr_D: learning rate of D; None takes 1e-3 for `lsun112`, 2e-4 for `dcgan`, 1e-4 for the ring.
        lr_G: learning rate of G; None takes 1e-3, 2e-4, 1e-3.
        beta1: Adam's first moment decay.
        gain_std: standard deviation of BatchNorm's first gains about 1; 0.02 in the authors' stability study, 0 in
            their network for 112x112.

    Raises:
        ValueError: a resolution that the network does not have.
    """

    paper = "lsgan"
    reference = Reference(
        title="Least Squares Generative Adversarial Networks",
        authors=("Mao, Xudong", "Li, Qing", "Xie, Haoran", "Lau, Raymond Y. K.", "Wang, Zhen", "Smolley, Stephen Paul"),
        year=2017,
        venue="IEEE International Conference on Computer Vision",
        arxiv="1611.04076",
        code="https://github.com/xudonmao/LSGAN",
        networks="LSUN 112x112, the stability study's, the 2-D ring's",
    )
    scores_are_logits = False
    remedies = MappingProxyType({"divergence": "RMSProp, stabler than Adam in the stability study"})

    def __init__(
        self,
        *,
        network: Network = "lsun112",
        channels: int = 3,
        resolution: int = 64,
        width: int | None = None,
        z_dim: int | None = None,
        batchnorm: Normalised = "both",
        loss: Literal["lsgan", "gan"] = "lsgan",
        a: float = 0.0,
        b: float = 1.0,
        c: float = 1.0,
        optimizer: Literal["adam", "rmsprop"] = "adam",
        lr_D: float | None = None,
        lr_G: float | None = None,
        beta1: float = 0.5,
        gain_std: float = 0.0,
    ) -> None:
        if network == "dcgan" and (resolution < 16 or resolution & (resolution - 1)):
            raise ValueError(f"resolution must be a power of two from 16 on, not {resolution}")
        own: dict[Network, tuple[int, ...]] = {"lsun112": (3, 112, 112), "ring": (2,)}
        shape = own.get(network, (channels, resolution, resolution))
        super().__init__(image_shape=shape, z_dim=z_dim or (256 if network == "ring" else 1024))
        self.save_hyperparameters()
        self.network, self.loss, self.optimizer = network, loss, optimizer
        self.scores_are_logits = loss == "gan"  # type: ignore[misc]
        self.coding = Coding(a, b, c)
        if loss == "lsgan" and self.coding != ZERO_ONE and not self.coding.is_pearson:
            warnings.warn(
                f"a={a}, b={b}, c={c} is neither the 0-1 coding (0, 1, 1) nor one with b - c = 1 and b - a = 2: "
                "without b - a = 2 (b - c) the losses minimise no Pearson chi-square",
                stacklevel=2,
            )
        rates = {"lsun112": (1e-3, 1e-3), "dcgan": (2e-4, 2e-4), "ring": (1e-4, 1e-3)}[network]
        self.lr_D, self.lr_G = (own if lr is None else lr for own, lr in zip(rates, (lr_D, lr_G), strict=True))
        self.betas = (beta1, 0.999)
        self.z: Tensor | None = None  # D's latents, for G's turn
        self.G, self.D = self.build_networks(width=width or (128 if network == "ring" else 64), batchnorm=batchnorm)
        if network != "ring":
            initialise(self, gain_std=gain_std)
            self.to(memory_format=torch.channels_last)  # same values, faster convolutions

    def build_networks(self, *, width: int, batchnorm: Normalised) -> Pair:
        """The networks."""
        if self.network == "ring":
            return ring_networks(z_dim=self.z_dim, width=width)
        if self.network == "lsun112":
            return lsun_networks(z_dim=self.z_dim, width=width)
        return dcgan_networks(
            self.image_shape,
            z_dim=self.z_dim,
            width=width,
            batchnorm_G=batchnorm == "both",
            batchnorm_D=batchnorm != "none",
        )

    def latents(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """U(-1, 1), for the ring N(0, 1). [n, z_dim]."""
        if self.network == "ring":
            return super().latents(n, generator=generator)
        return torch.rand(n, self.z_dim, generator=generator) * 2 - 1

    @property
    def prior(self) -> tuple[Columns, ...]:
        return super().prior if self.network == "ring" else (Columns(self.z_dim, "uniform", -1, 1),)

    def uses_remedy(self, symptom: str) -> bool:
        return self.optimizer == "rmsprop"

    def discriminator_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        """Reals and samples pass through D separately: a joint batch would mix BatchNorm's statistics."""
        self.z = self.sample_z(len(x))
        real, fake = self.D(x), self.D(self.G(self.z))
        self.note_scores(real, fake)
        if self.loss == "gan":
            return bce_discriminator_loss(real, fake)
        return least_squares_discriminator_loss(real, fake, a=self.coding.a, b=self.coding.b)

    def generator_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        """On the latents of D's update before it, as in the authors' code; on fresh ones where there was none."""
        z = self.sample_z(len(x)) if self.z is None else self.z
        self.z = None
        fake = self.D(self.G(z))
        if self.loss == "gan":
            return non_saturating_generator_loss(fake)
        return least_squares_generator_loss(fake, c=self.coding.c)

    def preprocess(self, x: Tensor) -> Tensor:
        """Images to [-1, 1]; points as they are."""
        return x if self.network == "ring" else super().preprocess(x)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        players = ((self.D, self.lr_D), (self.G, self.lr_G))
        if self.optimizer == "rmsprop":  # TensorFlow's constants: its 1e-10 stands inside the root
            return [torch.optim.RMSprop(net.parameters(), lr=lr, alpha=0.9, eps=1e-5) for net, lr in players]
        return [torch.optim.Adam(net.parameters(), lr=lr, betas=self.betas) for net, lr in players]
