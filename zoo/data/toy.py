"""Points in the plane that the papers' toy experiments draw from: every batch is fresh, none is stored.

A point set is float32 [N, 2] where images are uint8 [N, C, H, W]; modules that take points let them through.
"""

import hashlib
import math
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zoo.data.arrays import ImageArray
from zoo.data.base import ImageDataModule, Split
from zoo.data.stream import Batch, ImageStream
from zoo.errors import DataError

Distribution = Literal["8gaussians", "25gaussians", "swissroll", "ring"]
DISTRIBUTIONS: tuple[Distribution, ...] = ("8gaussians", "25gaussians", "swissroll", "ring")
Points = npt.NDArray[np.float32]
Centres = npt.NDArray[np.float64]

BLOCK = 4096  # points drawn at a time; part of what a seed means
TRAIN_STREAM, SPLIT_STREAMS = 2, {"train": 3, "test": 4}  # ImageStream's epochs have 0 and 1
SPLIT_SIZE = 10_000


def centres(distribution: Distribution) -> Centres | None:
    """Centres [k, 2] of which each point takes one at random, None for the swiss roll.

    The ring has 9 with the first and the last alike: the authors' linspace(0, 2 pi, 9) closes the circle, and so one
    of 8 modes has twice the weight (LSGAN, stability_comparison/mixture_gaussian).
    """
    if distribution == "8gaussians":
        angle = np.arange(8) * (math.pi / 4)
        eight: Centres = np.stack([np.cos(angle), np.sin(angle)], axis=1) * 2 / 1.414
        return eight
    if distribution == "25gaussians":
        grid = np.arange(-2, 3)
        square: Centres = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(25, 2) * 2 / 2.828
        return square
    if distribution == "ring":
        angle = np.linspace(0, 2 * math.pi, 9)
        return np.stack([np.sin(angle), np.cos(angle)], axis=1)
    return None


#: Standard deviation of a mode in each coordinate (the swiss roll: of the noise).
STD: dict[Distribution, float] = {
    "8gaussians": 0.02 / 1.414,
    "25gaussians": 0.05 / 2.828,
    "swissroll": 0.25 / 7.5,
    "ring": 0.01,
}


def draw(distribution: Distribution, n: int, *, seed: tuple[int, ...]) -> Points:
    """n points, float32 [n, 2]; a function of its arguments. Constants of WGAN-GP's gan_toy.py and LSGAN's ls.py."""
    # RandomState's stream is frozen by NumPy (NEP 19).
    random = np.random.RandomState(np.random.MT19937(np.random.SeedSequence(seed)))
    middle = centres(distribution)
    if middle is not None:
        points = middle[random.randint(len(middle), size=n)]
    else:  # an Archimedean spiral of one and a half turns, the swiss roll seen along its axis
        angle = 1.5 * math.pi * (1 + 2 * random.random_sample(n))
        points = angle[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1) / 7.5
    return (points + STD[distribution] * random.standard_normal((n, 2))).astype(np.float32)


@lru_cache(maxsize=4)
def block_of(distribution: Distribution, seed: int, index: int) -> Points:
    """The points index * BLOCK .. (index + 1) * BLOCK - 1 of a run."""
    return draw(distribution, BLOCK, seed=(seed, index, TRAIN_STREAM))


class PointStream(ImageStream):
    """Batches (x, None) with x float32 [B / world_size, 2]: point number i of a run is a function of (seed, i).

    A pass is 1,000 batches, for want of a natural one. Position, ranks and errors as in ImageStream.
    """

    distribution: Distribution

    def __len__(self) -> int:
        return 1000

    def batch(self, start: int) -> Batch:
        """This rank's share of the points start .. start+B-1 of the run."""
        first, last = start // BLOCK, (start + self.batch_size - 1) // BLOCK
        points = np.concatenate([block_of(self.distribution, self.seed, k) for k in range(first, last + 1)])
        begin = start - first * BLOCK
        share = points[begin + self.rank : begin + self.batch_size : self.world_size]
        return torch.from_numpy(share.copy()), None


class ToyPoints(ImageDataModule):
    """Endless fresh points in the plane.

    `split("train")` and `split("test")` are 10,000 points each, the same for every seed and apart from those that are
    trained on; in them `images` is float32 [10000, 2].

    Args:
        distribution: "8gaussians", "25gaussians" or "swissroll" of WGAN-GP (section 4.1; scaled to variance about 1),
            or "ring" of LSGAN (radius 1, 8 modes, one with double weight).
        batch_size: points per discriminator update, summed over all devices.
        seed: of the points.
        root: not used.
    """

    licence = "made here"

    def __init__(
        self,
        *,
        distribution: Distribution = "8gaussians",
        batch_size: int = 256,
        seed: int = 0,
        root: str | None = None,
    ) -> None:
        if distribution not in DISTRIBUTIONS:
            raise DataError(f"unknown distribution {distribution!r}: there are {', '.join(DISTRIBUTIONS)}")
        super().__init__(batch_size=batch_size, seed=seed, root=root)
        self.distribution: Distribution = distribution
        self.name = f"ToyPoints-{distribution}"

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(2,)"""
        return (2,)

    @property
    def modes(self) -> Tensor | None:
        """Centres of the distinct modes, float32 [m, 2]; None where there are none."""
        middle = centres(self.distribution)
        if middle is None:
            return None
        distinct = middle[:-1] if self.distribution == "ring" else middle
        return torch.from_numpy(distinct.astype(np.float32))

    @property
    def mode_std(self) -> float:
        """Standard deviation of a mode in each coordinate."""
        return STD[self.distribution]

    def train_dataloader(self) -> PointStream:
        """The training stream of this process, from the module's counter `images_seen` on (0 where it has none)."""
        trainer = self.trainer
        module = None if trainer is None else trainer.lightning_module
        stream = PointStream(
            self.split("train"),
            batch_size=self.batch_size,
            seed=self.seed,
            rank=0 if trainer is None else trainer.global_rank,
            world_size=1 if trainer is None else trainer.world_size,
            position=lambda: int(getattr(module, "images_seen", 0)),
        )
        stream.distribution = self.distribution
        return stream

    def _load(self, name: Split) -> ImageArray:
        if name not in SPLIT_STREAMS:
            raise self._no_such_split(name, "points are drawn afresh, nothing is held out")
        points = draw(self.distribution, SPLIT_SIZE, seed=(0, 0, SPLIT_STREAMS[name]))
        return ImageArray(torch.from_numpy(points), None, None, hashlib.sha256(points.tobytes()).hexdigest())
