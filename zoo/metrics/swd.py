"""Sliced Wasserstein distance per level of a Laplacian pyramid (Karras et al. 2018, arXiv 1710.10196, section 5)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.errors import EvaluationError
from zoo.metrics.pairs import SamplePairs, Side
from zoo.metrics.processes import in_float64, state_device

PATCH = 7  # side of a descriptor in pixels
SMALLEST = 16  # side of the last level
UNIT = 1e3  # the paper prints 1000 times the distance
IMAGES_AT_A_TIME, LARGE_AT_A_TIME, DIRECTIONS_AT_A_TIME = 256, 32, 32


class SlicedWasserstein(SamplePairs):
    """Mean distance, x 1000, of 7x7x3 patches projected to random lines, for each level from full size down to 16.

    The paper's 16,384 images, 128 patches an image and 4 times 128 directions are the defaults. Both sides count
    the same number of images, the first of the longer side. Grey images are tiled to RGB. Positions and directions
    come from a generator seeded with `seed`.

    Of images that are larger than their patches (from 512x512 with the paper's constants) the patches alone are kept:
    of 16,384 images of 1024x1024 9 GB a side and not 52. The values are the same where both sides have `images`.
    """

    higher_is_better = False

    def __init__(
        self,
        *,
        images: int = 16_384,
        patches: int = 128,
        repeats: int = 4,
        directions: int = 128,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if min(images, patches, repeats, directions) < 1:
            raise EvaluationError(f"need one or more of each, got {images}, {patches}, {repeats}, {directions}")
        self.images, self.patches, self.repeats, self.directions = images, patches, repeats, directions
        self.seed = seed
        self._shapes: dict[Side, tuple[int, ...]] = {}  # of the images of a side
        self._drawn: dict[tuple[int, ...], tuple[Tensor, Tensor]] = {}  # places, by number of images, level and sides

    def keeps_patches(self, shape: Sequence[int]) -> bool:
        """Whether images of a shape (C, H, W) are larger, as bytes, than their patches."""
        levels = len(level_heights(*shape[-2:]))
        return min(shape[-2:]) >= PATCH and math.prod(shape) > 4 * levels * self.patches * 3 * PATCH**2

    def update(self, samples: Tensor, *, index: Tensor, side: Side) -> None:
        """Keep images, uint8 [n, C, H, W], with these global indices, int64 [n]; else as `SamplePairs.update`.

        Raises:
            EvaluationError: other images.
        """
        if samples.dtype != torch.uint8 or samples.ndim != 4 or len(samples) != len(index):
            raise EvaluationError(
                f"images must be uint8 [N, C, H, W] with an index each, got {samples.dtype} {list(samples.shape)} "
                f"with {len(index)}"
            )
        self._shapes[side] = tuple(samples.shape[1:])
        if not self.keeps_patches(samples.shape[1:]):
            super().update(samples, index=index, side=side)
            return
        counted = index < self.images
        samples, index = samples[counted], index[counted]
        for images, numbers in zip(*(torch.split(x, LARGE_AT_A_TIME) for x in (samples, index)), strict=True):
            super().update(self._patches_by_level(images, numbers), index=numbers, side=side)

    def compute(self) -> dict[int, Tensor]:
        """Distance x 1000 for each level, by the level's height in pixels: float64 []. Raises ValueError for images
        below 7 x 7."""
        real, fake = self.both(least=1)
        n = min(self.images, len(real), len(fake))
        shape, other = (self._shapes[side] for side in ("real", "fake"))
        if shape != other or min(shape[-2:]) < PATCH:
            raise EvaluationError(
                f"the sliced Wasserstein distance (swd) is of images of one shape, {PATCH} pixels or more a side, got "
                f"{list(shape)} and {list(other)}"
            )
        result = {}
        for level, height in enumerate(level_heights(*shape[-2:])):
            a, b = (self._descriptors(samples[:n], level) for samples in (real, fake))
            result[height] = UNIT * self._distance(a, b, level)
        return result

    def _descriptors(self, samples: Tensor, level: int) -> Tensor:
        """Patches of a level of all images, each channel with mean 0 and std 1 over the set: [N * patches, 147].

        samples: images [N, C, H, W], or their patches [N, levels, patches, 3, 7, 7].
        """
        if samples.ndim == 4:
            top, left = self._places(len(samples), level, samples.shape[-2:])
            steps = range(0, len(samples), IMAGES_AT_A_TIME)
            parts = (slice(start, start + IMAGES_AT_A_TIME) for start in steps)
            patches = torch.cat([level_patches(samples[part], level, top[part], left[part]) for part in parts])
        else:
            patches = samples[:, level]
        patches = patches.flatten(0, 1)  # [N * patches, 3, 7, 7]
        var, mean = torch.var_mean(in_float64(patches), dim=(0, 2, 3), correction=0, keepdim=True)
        # A flat channel has no scale of its own; without the floor it would be nan.
        mean, std = (x.float().to(patches.device) for x in (mean, var.sqrt().clamp(min=1e-8)))
        normal: Tensor = patches.sub(mean).div_(std)
        return normal.flatten(1)

    def _patches_by_level(self, images: Tensor, index: Tensor) -> Tensor:
        """The patches of images of these indices: float32 [n, levels, patches, 3, 7, 7]."""
        found = []
        for level in range(len(level_heights(*images.shape[-2:]))):
            key = (self.images, level, *images.shape[-2:])
            if key not in self._drawn:  # once for all that is counted
                self._drawn[key] = self._places(self.images, level, images.shape[-2:])
            top, left = (x[index.cpu()] for x in self._drawn[key])
            found.append(level_patches(images, level, top, left))
        return torch.stack(found, 1)

    def _places(self, n: int, level: int, sides: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Rows and columns of the corners of the patches of n images of these sides at a level, int64 [n, patches]."""
        generator = torch.Generator().manual_seed(self.seed + level)
        sizes = [min(IMAGES_AT_A_TIME, n - start) for start in range(0, n, IMAGES_AT_A_TIME)]
        drawn = [
            [torch.randint(side // 2**level - PATCH + 1, (m, self.patches), generator=generator) for side in sides]
            for m in sizes
        ]
        top, left = (torch.cat(parts) for parts in zip(*drawn, strict=True))
        return top, left

    def _distance(self, a: Tensor, b: Tensor, level: int) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed + 1000 + level)
        lines = torch.randn(a.shape[1], self.repeats * self.directions, generator=generator)
        lines = (lines / lines.norm(dim=0)).to(a)
        total = torch.zeros((), dtype=torch.float64, device=state_device(a.device))
        for part in torch.split(lines, DIRECTIONS_AT_A_TIME, dim=1):
            # One row per direction, so that sorting runs along memory.
            projected = [ascending(part.T @ x.T) for x in (a, b)]
            total = total + (projected[0] - projected[1]).abs_().to(total.device).mean(dim=1, dtype=torch.float64).sum()
        mean: Tensor = total / lines.shape[1]
        return mean


def ascending(x: Tensor) -> Tensor:
    """Each row of x [M, N] sorted; by NumPy on a CPU, which is more than ten times faster at it."""
    return torch.from_numpy(np.sort(x.numpy(), axis=1)) if x.device.type == "cpu" else x.sort(dim=1).values


def level_heights(height: int, width: int) -> list[int]:
    """Heights of the pyramid's levels: halved as long as the shorter side is 16 or more and even before."""
    heights = [height]
    while height % 2 == 0 and width % 2 == 0 and min(height, width) // 2 >= SMALLEST:
        height, width = height // 2, width // 2
        heights.append(height)
    return heights


def laplacian_level(x: Tensor, level: int) -> Tensor:
    """Level number `level` (0: full size) of the Laplacian pyramid of x [N, C, H, W]; the last is the blurred rest."""
    last = len(level_heights(*x.shape[-2:])) - 1
    for _ in range(level):
        x = down(x)
    return x if level == last else x - up(down(x))


def blur(x: Tensor) -> Tensor:
    """5x5 binomial filter, edges mirrored, channel by channel."""
    kernel = x.new_tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    n, c, h, w = x.shape
    x = F.pad(x.reshape(n * c, 1, h, w), (2, 2, 2, 2), mode="reflect")
    x = F.conv2d(F.conv2d(x, kernel.view(1, 1, 5, 1)), kernel.view(1, 1, 1, 5))
    return x.view(n, c, h, w)


def down(x: Tensor) -> Tensor:
    """Blurred, every second pixel."""
    return blur(x)[:, :, ::2, ::2]


def up(x: Tensor) -> Tensor:
    """Zeros between the pixels, blurred, times 4."""
    n, c, h, w = x.shape
    wide = x.new_zeros(n, c, 2 * h, 2 * w)
    wide[:, :, ::2, ::2] = x
    return 4 * blur(wide)


def level_patches(images: Tensor, level: int, top: Tensor, left: Tensor) -> Tensor:
    """The squares of 7 pixels at these corners [n, patches] of a level of images, uint8 [n, C, H, W].

    Returns:
        float32 [n, patches, 3, 7, 7], grey tiled to RGB.
    """
    x = laplacian_level(images.float().expand(-1, 3, -1, -1), level)
    return cut_patches(x, top, left)


def cut_patches(x: Tensor, top: Tensor, left: Tensor) -> Tensor:
    """The squares of 7 pixels whose corners [N, patches] lie there in x [N, C, H, W]: [N, patches, C, 7, 7]."""
    image = torch.arange(len(x))[:, None, None, None]
    reach = torch.arange(PATCH)
    rows, columns = (top[..., None] + reach)[..., :, None], (left[..., None] + reach)[..., None, :]
    return x.permute(0, 2, 3, 1)[image, rows, columns].permute(0, 1, 4, 2, 3)


def named_levels(levels: dict[int, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """("avg", mean over the levels), then each level by its height."""
    yield "avg", torch.stack(list(levels.values())).mean()
    for height, value in levels.items():
        yield str(height), value
