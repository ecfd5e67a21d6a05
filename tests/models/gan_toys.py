"""What the tests of GAN share: the networks with their sizes, and modules without weights."""

from typing import Any

import torch
from torch import nn

from zoo.models.gan import GAN

# Table of PAPERS: z law, parameters of G, parameters of D.
COUNTS = {
    "mnist": (2_503_984, 1_231_441),
    "cifar10_fully_connected": (89_395_072, 37_393_601),
    "cifar10_convolutional": (64_825_072, 12_454_073),
}


def on_meta(network: Any, **settings: Any) -> GAN:
    """The module without its weights: shapes, counts and schedules."""
    with torch.device("meta"):
        return GAN(network=network, **settings)


def linear_layers(net: nn.Module) -> list[Any]:
    return [m for m in net.modules() if isinstance(m, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)]
