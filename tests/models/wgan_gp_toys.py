"""WGAN-GP in small, for its tests."""

from typing import Any

import torch
from torch import Tensor, nn

from zoo.data import ImageArray, ImageDataModule
from zoo.data.toy import ToyPoints
from zoo.models.wgan_gp import WGANGP


class Colour32(ImageDataModule):
    """Random 32x32 images with ten labels, three batches an epoch."""

    name = "Colour32"
    labelled_classes = 10
    native_resolution = 32

    def __init__(self, *, train_images: int | None = None) -> None:
        super().__init__(batch_size=2, train_images=train_images)
        images = torch.randint(256, (6, 3, 32, 32), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
        self.array = ImageArray(images, torch.arange(6), None, "0" * 64)

    def _load(self, name: str) -> ImageArray:
        return self.array


def tiny(network: Any = "toy", **settings: Any) -> WGANGP:
    torch.manual_seed(0)
    width = {} if network == "random" else {"width": 8 if network == "toy" else 4}
    return WGANGP(network=network, **{**width, **settings})


def plane() -> ToyPoints:
    return ToyPoints(batch_size=6)


class Bowl(nn.Module):
    """D(x) = |x|^2 / 2, whose gradient is x."""

    def forward(self, x: Tensor) -> Tensor:
        return x.square().sum(1, keepdim=True) / 2
