"""What the tests of GAN share: the paper's networks, and modules without weights."""

from typing import Any

import torch
from torch import nn

from zoo.models.gan import GAN

NETWORKS = ("mnist", "cifar10_fully_connected", "cifar10_convolutional")  # the paper's


def on_meta(network: Any, **settings: Any) -> GAN:
    """The module without its weights: shapes, counts and schedules."""
    with torch.device("meta"):
        return GAN(network=network, **settings)


def linear_layers(net: nn.Module) -> list[Any]:
    return [m for m in net.modules() if isinstance(m, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)]
