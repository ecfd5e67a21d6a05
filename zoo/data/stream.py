"""The training loader: an endless, shuffled, resumable sequence of images, cut into batches.

There is no sampler state to save. Image number i of a run is a function of (seed, i) alone, so a run resumed
after n images sees image n next, and a run on two devices sees the images of the run on one.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from zoo.data.arrays import ImageArray

Batch = tuple[Tensor, Tensor | None]


@lru_cache(maxsize=4)
def epoch_order(seed: int, epoch: int, size: int) -> Tensor:
    """The order of the images in an epoch: a permutation of 0 .. size-1, int64 [size].

    RandomState's stream is frozen by NumPy (NEP 19): unlike torch.randperm's, it does not change between
    versions.
    """
    bits = np.random.MT19937(np.random.SeedSequence((seed, epoch, 0)))
    return torch.from_numpy(np.random.RandomState(bits).permutation(size))


@lru_cache(maxsize=4)
def epoch_flips(seed: int, epoch: int, size: int) -> Tensor:
    """Which images (by their place in the data set) are mirrored in an epoch: bool [size], fair coins."""
    bits = np.random.MT19937(np.random.SeedSequence((seed, epoch, 1)))
    return torch.from_numpy(np.random.RandomState(bits).random_sample(size) < 0.5)


class ImageStream:
    """Batches (x, y): x uint8 [B / world_size, C, H, W]; y int64 [B / world_size], or None for unlabelled
    data.

    Image number i of the run (i = 0, 1, 2, ... summed over the devices) is `epoch_order(seed, i // N)[i %
    N]`. A global batch is the images p .. p+B-1, across the border of an epoch if need be: no image is
    dropped or seen twice. Rank r of W takes the images p+r, p+r+W, ... of it. p is read once, when an
    iteration begins, from `position`.

    One iteration is what is left of the current pass of `len(stream)` batches, so that an epoch of Lightning
    which is resumed half way is not longer than one that was never interrupted.

    Raises ValueError where the batch is not divisible by the number of devices, or an argument is out of
    range.
    """

    def __init__(
        self,
        data: ImageArray,
        *,
        batch_size: int,
        seed: int = 0,
        horizontal_flip: bool = False,
        rank: int = 0,
        world_size: int = 1,
        position: Callable[[], int] = lambda: 0,
    ) -> None:
        if batch_size < 1 or batch_size % world_size:
            raise ValueError(
                f"batch_size={batch_size} is the batch of all devices together: it must be a positive "
                f"multiple of the number of devices, {world_size}"
            )
        if not 0 <= rank < world_size:
            raise ValueError(f"rank={rank} of world_size={world_size}")
        if seed < 0:
            raise ValueError(f"seed={seed} must not be negative")
        if len(data) == 0:
            raise ValueError("the data set holds no images")
        self.data = data
        self.batch_size = batch_size
        self.seed = seed
        self.horizontal_flip = horizontal_flip
        self.rank = rank
        self.world_size = world_size
        self.position = position

    def __len__(self) -> int:
        return max(1, len(self.data) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        # Read here and not in the generator's body: Lightning fetches a batch ahead of the counter.
        start = self.position()
        if start < 0:
            raise ValueError(f"the position in the data is {start}, it must not be negative")
        count = len(self) - (start // self.batch_size) % len(self)
        return (self.batch(start + k * self.batch_size) for k in range(count))

    def batch(self, start: int) -> Batch:
        """This rank's share of the images start .. start+B-1 of the run."""
        index, flip = self._select(start)
        x = torch.index_select(self.data.images, 0, index)
        if self.horizontal_flip:
            x = torch.where(flip[:, None, None, None], x.flip(-1), x)
        y = None if self.data.labels is None else torch.index_select(self.data.labels, 0, index)
        return x, y

    def _select(self, start: int) -> tuple[Tensor, Tensor]:
        """int64 [B / W] places in the data set, bool [B / W] whether each is mirrored."""
        size = len(self.data)
        numbers = torch.arange(start + self.rank, start + self.batch_size, self.world_size)
        index, flip = [], []
        for epoch in range(start // size, (start + self.batch_size - 1) // size + 1):
            inside = numbers[(numbers >= epoch * size) & (numbers < (epoch + 1) * size)] - epoch * size
            index.append(epoch_order(self.seed, epoch, size)[inside])
            flip.append(epoch_flips(self.seed, epoch, size)[index[-1]])
        return torch.cat(index), torch.cat(flip)
