"""InfoGAN in small, for its tests."""

from typing import Any

import torch
from torch import nn
from toys import ToyData

from zoo.data import ImageArray
from zoo.models.infogan import InfoGAN

CODES = {"noise": 6, "codes": 2, "categories": 3, "continuous": 2}


def on_meta(**settings: Any) -> InfoGAN:
    """The module without its weights: shapes and counts."""
    with torch.device("meta"):
        return InfoGAN(**settings)


def small(*, seed: int = 0, **settings: Any) -> InfoGAN:
    """Table 3's network at 16x16 grey with three kinds of latents."""
    torch.manual_seed(seed)
    return InfoGAN(**{"network": "celeba", "resolution": 16, "channels": 1, **CODES, **settings})


def count(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


class Images16(ToyData):
    """Random 16x16 images of three classes."""

    native_resolution = 16

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        images = torch.randint(256, (40, 1, 16, 16), generator=generator, dtype=torch.uint8)
        self.array = ImageArray(images, torch.arange(40) % 3, None, "3" * 64)


def spread_weights(module: InfoGAN) -> None:
    """Makes the head and Q large enough to have an opinion."""
    for layer in (module.D.head, module.D.Q[-1]):
        layer.weight.data.mul_(20)
        layer.bias.data.normal_()
