"""The training loader: an endless, shuffled, resumable sequence of images, cut into batches.

There is no sampler state to save. Image number i of a run is a function of (seed, i) alone, so a run resumed
after n images sees image n next, and a run on two devices sees the images of the run on one.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zoo.data.arrays import ImageArray, Int64Array
from zoo.errors import DataError

Batch = tuple[Tensor, Tensor | None]


@lru_cache(maxsize=4)
def epoch_order(seed: int, epoch: int, size: int) -> Int64Array:
    """The order of the images in an epoch: a permutation of 0 .. size-1, int64 [size].

    RandomState's stream is frozen by NumPy (NEP 19): unlike torch.randperm's, it does not change between
    versions.
    """
    bits = np.random.MT19937(np.random.SeedSequence((seed, epoch, 0)))
    order: Int64Array = np.random.RandomState(bits).permutation(size).astype(np.int64)
    return order


@lru_cache(maxsize=4)
def epoch_flips(seed: int, epoch: int, size: int) -> npt.NDArray[np.bool_]:
    """Which images (by their place in the data set) are mirrored in an epoch: bool [size], fair coins."""
    bits = np.random.MT19937(np.random.SeedSequence((seed, epoch, 1)))
    flips: npt.NDArray[np.bool_] = np.random.RandomState(bits).random_sample(size) < 0.5
    return flips


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
            raise DataError(
                f"batch_size={batch_size} is the batch of all devices together: it must be a positive "
                f"multiple of the number of devices, {world_size}"
            )
        if not 0 <= rank < world_size:
            raise DataError(f"rank={rank} of world_size={world_size}")
        if seed < 0:
            raise DataError(f"seed={seed} must not be negative")
        if len(data) == 0:
            raise DataError("the data set holds no images")
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
            raise DataError(f"the position in the data is {start}, it must not be negative")
        count = len(self) - (start // self.batch_size) % len(self)
        return (self.batch(start + k * self.batch_size) for k in range(count))

    def batch(self, start: int) -> Batch:
        """This rank's share of the images start .. start+B-1 of the run."""
        index, flip = self._select(start)
        # NumPy and not torch: copies this small gain nothing from several threads, and take 100 times as long
        # where these have to wait for a busy core.
        pixels = self.data.images.numpy()[index]
        if self.horizontal_flip:
            pixels[flip] = pixels[flip][..., ::-1]
        labels = None if self.data.labels is None else torch.from_numpy(self.data.labels.numpy()[index])
        return torch.from_numpy(pixels), labels

    def state_dict(self) -> dict[str, object]:
        """Empty, as the position is the module's counter. Lightning takes a loader without this method for one
        that cannot be resumed, and warns.
        """
        return {}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Nothing to load, see state_dict."""

    def _select(self, start: int) -> tuple[Int64Array, npt.NDArray[np.bool_]]:
        """int64 [B / W] places in the data set, bool [B / W] whether each is mirrored."""
        size = len(self.data)
        numbers = np.arange(start + self.rank, start + self.batch_size, self.world_size)
        index = np.empty(len(numbers), dtype=np.int64)
        flip = np.zeros(len(numbers), dtype=np.bool_)
        for epoch in range(start // size, (start + self.batch_size - 1) // size + 1):
            inside = numbers // size == epoch
            index[inside] = epoch_order(self.seed, epoch, size)[numbers[inside] - epoch * size]
            if self.horizontal_flip:
                flip[inside] = epoch_flips(self.seed, epoch, size)[index[inside]]
        return index, flip
