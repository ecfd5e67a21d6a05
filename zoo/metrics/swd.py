"""Sliced Wasserstein distance per level of a Laplacian pyramid (Karras et al. 2018, arXiv 1710.10196, section 5)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.errors import EvaluationError
from zoo.metrics.pairs import SamplePairs
from zoo.metrics.processes import in_float64, state_device

PATCH = 7  # side of a descriptor in pixels
SMALLEST = 16  # side of the last level
UNIT = 1e3  # the paper prints 1000 times the distance
IMAGES_AT_A_TIME, DIRECTIONS_AT_A_TIME = 256, 32


class SlicedWasserstein(SamplePairs):
    """Mean distance, x 1000, of 7x7x3 patches projected to random lines, for each level from full size down to 16.

    The paper's 16,384 images, 128 patches an image and 4 times 128 directions are the defaults. Both sides count
    the same number of images, the first of the longer side. Grey images are tiled to RGB. Positions and directions
    come from a generator seeded with `seed`.
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

    def compute(self) -> dict[int, Tensor]:
        """Distance x 1000 for each level, by the level's height in pixels: float64 []. Raises ValueError for images
        below 7 x 7."""
        real, fake = self.both(least=1)
        n = min(self.images, len(real), len(fake))
        if real.dtype != torch.uint8 or real.shape[1:] != fake.shape[1:] or min(real.shape[-2:]) < PATCH:
            raise EvaluationError(
                f"images must be uint8 [N, C, H, W] of one shape and {PATCH} pixels or more a side, "
                f"got {real.dtype} {list(real.shape)} and {list(fake.shape)}"
            )
        result = {}
        for level, height in enumerate(level_heights(*real.shape[-2:])):
            a, b = (self._descriptors(images[:n], level) for images in (real, fake))
            result[height] = UNIT * self._distance(a, b, level)
        return result

    def _descriptors(self, images: Tensor, level: int) -> Tensor:
        """Patches of a level of all images, each channel with mean 0 and std 1 over the set: [N * patches, 147]."""
        generator = torch.Generator().manual_seed(self.seed + level)
        parts = []
        for part in torch.split(images, IMAGES_AT_A_TIME):
            x = laplacian_level(part.float().expand(-1, 3, -1, -1), level)
            parts.append(cut_patches(x, self.patches, generator=generator))
        patches = torch.cat(parts)  # [N * patches, 3, 7, 7]
        var, mean = torch.var_mean(in_float64(patches), dim=(0, 2, 3), correction=0, keepdim=True)
        # A flat channel has no scale of its own; without the floor it would be nan.
        mean, std = (x.float().to(patches.device) for x in (mean, var.sqrt().clamp(min=1e-8)))
        normal: Tensor = patches.sub_(mean).div_(std)
        return normal.flatten(1)

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


def cut_patches(x: Tensor, patches: int, *, generator: torch.Generator) -> Tensor:
    """`patches` squares of 7 pixels at random places of each image x [N, C, H, W]: [N * patches, C, 7, 7]."""
    n, _, h, w = x.shape
    top, left = (torch.randint(side - PATCH + 1, (n * patches,), generator=generator) for side in (h, w))
    image = torch.arange(n).repeat_interleave(patches)
    reach = torch.arange(PATCH)
    rows, columns = (top[:, None] + reach)[:, :, None], (left[:, None] + reach)[:, None, :]
    return x.permute(0, 2, 3, 1)[image[:, None, None], rows, columns].permute(0, 3, 1, 2)


def named_levels(levels: dict[int, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """("avg", mean over the levels), then each level by its height."""
    yield "avg", torch.stack(list(levels.values())).mean()
    for height, value in levels.items():
        yield str(height), value
