"""The reals of an evaluation: all images of a split, the first of them, or, mirrored as in training, as many as wanted.

The authors of networks that are trained on mirrored images (Karras et al. 2018, 2019) mirror each real with probability
1/2 before FID and SWD too, and go through the data set again where it is smaller than the number they ask for.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from torch import Tensor

from zoo.data.arrays import fixed_order

if TYPE_CHECKING:
    from zoo.data import ImageArray, ImageDataModule

MIRRORED = "each mirrored with probability 1/2"


def reference_of(
    data: ImageDataModule, split: Literal["train", "validation", "test"], n: int | None, *, mirror: bool
) -> ImageArray:
    """n images of a split (None: all), the first or, where it is sorted, n drawn; with `mirror`, `mirrored` ones."""
    real, mixed = data.split(split), getattr(data, "mixed", True)
    if mirror:
        return mirrored(real, n, mixed=mixed)
    if n is None:
        return real
    return real.slice(0, n) if mixed else real.sample(n)


class MirroredImages:
    """Stands in for the uint8 tensor [n, C, H, W] of an `ImageArray`: what is taken out of it is mirrored then.

    Args:
        images: uint8 [N, C, H, W], in memory or decoded on the fly.
        order: int64 [n], the images' numbers.
        flipped: bool [n].
    """

    dtype = torch.uint8

    def __init__(self, images: Tensor, *, order: Tensor, flipped: Tensor) -> None:
        self.images, self.order, self.flipped = images, order, flipped
        self.shape = torch.Size([len(order), *images.shape[1:]])

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: Any) -> Tensor:
        """uint8 [n, C, H, W] of a slice or of a tensor of numbers."""
        images, flipped = self.images[self.order[index]], self.flipped[index]
        return torch.where(flipped[:, None, None, None], images.flip(3), images)


def mirrored(real: ImageArray, n: int | None, *, mixed: bool) -> ImageArray:
    """n images (None: all), each mirrored with probability 1/2 by fixed draws, under a fingerprint of their own.

    The first n of the split, or of one fixed permutation where it is sorted (not `mixed`); where there are fewer, they
    are taken again, with other draws. They have no labels.
    """
    count = len(real) if n is None else n
    order = torch.arange(len(real)) if mixed else torch.from_numpy(fixed_order(len(real)))
    order = order.repeat(-(-count // len(real)))[:count]
    flipped = torch.rand(count, generator=torch.Generator().manual_seed(0)) < 0.5
    images = cast(Tensor, MirroredImages(real.images, order=order, flipped=flipped))
    text = f"{real.fingerprint}[mirrored{'' if mixed else ', permuted'}][:{count}]"
    return replace(real, images=images, labels=None, fingerprint=hashlib.sha256(text.encode()).hexdigest())
