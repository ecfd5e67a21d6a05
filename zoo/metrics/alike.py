"""One protocol for the generators of all papers, so that any two of them can be ranked.

What a protocol says of the generator (its size, averaged weights, BatchNorm, labels) is then no longer its own but the
rule that all follow. Digits of 28x28 are compared as those of 32x32 are, with a black border of 2 pixels: the LeNet
gives them the same, so that its values stay what they were.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from zoo.data import ImageDataModule
    from zoo.metrics.sampling import Sampler

SMALL, SIDE = 28, 32
BORDER, BLACK = (SIDE - SMALL) // 2, -1.0


def reference(data: ImageDataModule) -> ImageDataModule:
    """The data that all are compared with: those of digits at 28x28 with their border, others as they are."""
    native = getattr(data, "native_resolution", None)  # a folder of images has none
    if native != SMALL or data.image_shape[-1] != SMALL:
        return data
    other = copy.copy(data)
    other.resolution, other._splits = SIDE, {}
    return other


def sampler(module: Any, data: ImageDataModule) -> Sampler:
    """The module, its samples with a border where the reference has one and they have not."""
    small = module.image_shape[-1] == SMALL and data.image_shape[-1] == SIDE
    found: Any = Bordered(module) if small else module
    return cast("Sampler", found)


class Bordered:
    """A module whose samples have a black border, in all else the module itself."""

    def __init__(self, module: Any) -> None:
        self.module = module
        channels, *sides = module.image_shape
        self.image_shape = (channels, *(side + 2 * BORDER for side in sides))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.module, name)

    def sample(self, n: int, *, seed: int, **more: Any) -> Tensor:
        """Images [n, C, 32, 32] in [-1, 1]."""
        return F.pad(self.module.sample(n, seed=seed, **more), (BORDER,) * 4, value=BLACK)


def rule(protocol: Mapping[str, Any], *, batchnorm: str, batchnorm_samples: int) -> dict[str, Any]:
    """A protocol with the rule in place of what holds for one generator."""
    return {
        **protocol,
        "weights": "the average where one is kept",
        "batchnorm": f"{batchnorm} where there is any",
        "batchnorm_samples": batchnorm_samples if batchnorm == "reestimated" else 0,
        "labels": "uniform where there are any",
        "sampling": "as the model does it",
    }
