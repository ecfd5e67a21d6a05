"""WGAN-GP's random architectures (Gulrajani et al. 2017, section 5.1, table 1): drawn by number, and built."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from zoo.models.networks.wgan_gp_layers import (
    Normalisation,
    Pair,
    Rectifier,
    convolution,
    deconvolution,
    linear,
    normalise,
)
from zoo.nn.seeds import mix_seed

Nonlinearity = Literal["relu", "leaky_relu", "softplus", "tanh"]
NONLINEARITIES: tuple[Nonlinearity, ...] = ("relu", "leaky_relu", "softplus", "tanh")
DEPTHS = (4, 8, 12, 20)


class PlayerSettings(NamedTuple):
    """One player's row of table 1.

    Attributes:
        nonlinearity: one of NONLINEARITIES; "softplus" is softplus(2x + 2) / 2 - 1, a smooth ELU.
        depth: layers with weights, one of DEPTHS.
        normalisation: BatchNorm; layer norm in WGAN-GP's critic.
        filters: next to the image; twice and four times as many at 8x8 and 4x4.
    """

    nonlinearity: Nonlinearity
    depth: int
    normalisation: bool
    filters: int


class RandomArchitecture(NamedTuple):
    """Settings of both players."""

    G: PlayerSettings
    D: PlayerSettings


def draw_architecture(seed: int, filters: Sequence[int] = (32, 64, 128)) -> RandomArchitecture:
    """Architecture number `seed`: each setting of each player is drawn uniformly and independently of the others.

    A pure function of its arguments, the same on every machine.

    Args:
        seed: number of the architecture.
        filters: choices for the base filters; the paper's by default.
    """

    def player(name: str) -> PlayerSettings:
        def pick(setting: str, choices: Sequence[Any]) -> Any:
            return choices[mix_seed("architecture", seed, name, setting) % len(choices)]

        return PlayerSettings(
            nonlinearity=pick("nonlinearity", NONLINEARITIES),
            depth=pick("depth", DEPTHS),
            normalisation=pick("normalisation", (True, False)),
            filters=pick("filters", filters),
        )

    return RandomArchitecture(player("G"), player("D"))


class SmoothELU(nn.Module):
    """softplus(2x + 2) / 2 - 1 (appendix D)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.softplus(2 * x + 2) / 2 - 1


def nonlinearity(name: Nonlinearity) -> nn.Module:
    """By name; the leaky ReLU has the scripts' slope of 0.2."""
    if name == "relu":
        return Rectifier()
    if name == "leaky_relu":
        return Rectifier(0.2)
    return SmoothELU() if name == "softplus" else nn.Tanh()


def extra_layers(depth: int) -> tuple[int, int, int]:
    """How many 3x3 layers at 4x4, 8x8 and 16x16 make the four layers of a DCGAN `depth` layers, evenly spread."""
    extra = depth - 4
    return ((extra + 2) // 3, (extra + 1) // 3, extra // 3)


def random_networks(
    architecture: RandomArchitecture, *, z_dim: int, channels: int, normalisation_D: Normalisation
) -> Pair:
    """DCGAN for 32x32 images in [-1, 1] with the settings of table 1; see reproductions/wgan_gp.py for the choices."""
    return Pair(
        random_generator(architecture.G, z_dim=z_dim, channels=channels),
        random_critic(
            architecture.D,
            channels=channels,
            normalisation=normalisation_D if architecture.D.normalisation else "none",
        ),
    )


def random_generator(settings: PlayerSettings, *, z_dim: int, channels: int) -> nn.Sequential:
    """4 -> 8 -> 16 -> 32 by 5x5 transposed convolutions; more layers of 3x3 at 4x4, 8x8 and 16x16."""
    kind: Normalisation = "batch" if settings.normalisation else "none"
    widths = [4 * settings.filters, 2 * settings.filters, settings.filters]

    def block(layer: nn.Module, width: int) -> list[nn.Module]:
        return [layer, *normalise(width, kind), nonlinearity(settings.nonlinearity)]

    G: list[nn.Module] = [linear(z_dim, 16 * widths[0]), *block(nn.Unflatten(1, (widths[0], 4, 4)), widths[0])]
    for i, extra in enumerate(extra_layers(settings.depth)):
        for _ in range(extra):
            G += block(convolution(widths[i], widths[i], 3), widths[i])
        if i < 2:
            G += block(deconvolution(widths[i], widths[i + 1]), widths[i + 1])
    return nn.Sequential(*G, deconvolution(widths[-1], channels), nn.Tanh())


def random_critic(settings: PlayerSettings, *, channels: int, normalisation: Normalisation) -> nn.Sequential:
    """32 -> 16 -> 8 -> 4 by 5x5 convolutions, the first not normalised; more layers of 3x3 at 16x16, 8x8 and 4x4."""
    widths = [settings.filters, 2 * settings.filters, 4 * settings.filters]

    def block(layer: nn.Module, width: int) -> list[nn.Module]:
        return [layer, *normalise(width, normalisation), nonlinearity(settings.nonlinearity)]

    D: list[nn.Module] = [convolution(channels, widths[0], 5, stride=2), nonlinearity(settings.nonlinearity)]
    for i, extra in enumerate(reversed(extra_layers(settings.depth))):
        if i > 0:
            D += block(convolution(widths[i - 1], widths[i], 5, stride=2), widths[i])
        for _ in range(extra):
            D += block(convolution(widths[i], widths[i], 3), widths[i])
    return nn.Sequential(*D, nn.Flatten(), linear(16 * widths[-1], 1))
