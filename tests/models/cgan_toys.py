"""What the tests of cGAN share: modules without weights, and small ones."""

from typing import Any

import torch
from torch import nn

from zoo.models.cgan import CGAN


def on_meta(**settings: Any) -> CGAN:
    """The module without its weights: shapes, counts and schedules."""
    with torch.device("meta"):
        return CGAN(**settings)


def small(**settings: Any) -> CGAN:
    """The convolutional extension on the toys' 8x8 images of three classes."""
    torch.manual_seed(0)
    return CGAN(**{"network": "convolutional", "num_classes": 3, "resolution": 8, "width": 8, **settings})


def count(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())
