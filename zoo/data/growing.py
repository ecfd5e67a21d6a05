"""The training stream of a network that grows: the same images in the same order, at the resolution of the stage.

The smaller copies are 2x2 means of 2x2 means (Karras et al. 2018, section 2), made once from the decoded images.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch

from zoo.data.arrays import Decoded, ImageArray, UInt8Array, cached
from zoo.data.lazy import level_on_the_fly
from zoo.data.stream import Batch, ImageStream
from zoo.errors import DataError

if TYPE_CHECKING:
    from zoo.nn.schedules import GrowthSchedule

CHUNK = 1 << 25  # bytes of images that are averaged at a time


def pyramid(data: ImageArray, *, start: int, final: int) -> dict[int, ImageArray]:
    """The images [N, C, r, r] at r = start, 2 start, ..., final; all but the last out of the cache, or into it.

    Raises:
        DataError: the images are not final x final.
    """
    if data.images.shape[2:] != (final, final):
        raise DataError(
            f"the images are {data.images.shape[3]}x{data.images.shape[2]}, but the network grows to {final}x{final}: "
            "set data.resolution, or model.resolution, so that they agree"
        )
    levels, side = {final: data}, final
    while side > start:
        side //= 2
        levels[side] = level(data, side=side)
    return levels


def level(data: ImageArray, *, side: int) -> ImageArray:
    """The images shrunk to side x side: means of square blocks, rounded to the nearest grey level (a half to even).

    Each level is rounded once: repeated 2x2 means of the unrounded level above are the mean of the whole block, which
    float32 holds exactly up to blocks of 256x256.
    """
    if (undecoded := level_on_the_fly(data, side)) is not None:
        return undecoded
    n, channels, full, _ = data.images.shape
    labels = None if data.labels is None else data.labels.numpy()
    shape = (channels, side, side)
    return cached(
        "pyramid",
        lambda: Decoded(block_means(data, side=side), n, shape, labels, data.class_names),
        source=data.fingerprint,
        recipe={"pyramid": "block means, rounded once", "from": full, "to": side},
    )


def block_means(data: ImageArray, *, side: int) -> Iterator[UInt8Array]:
    """Chunks of uint8 [n, C, side, side]."""
    full = data.images.shape[3]
    for images in torch.split(data.images, max(1, CHUNK // data.images[0].numel())):
        means = torch.nn.functional.avg_pool2d(images.float(), full // side)
        yield np.ascontiguousarray(means.round().to(torch.uint8).numpy())


class GrowingStream:
    """Batches (x, y) as ImageStream gives them, x at the stage's resolution and of the stage's size.

    Image number i of the run is the one that ImageStream would give. A batch belongs to the stage of its first image,
    whole; so batch borders, and with them everything else, are a function of the position where an iteration begins.

    One iteration is the rest of a pass: the batches whose first image lies before the next multiple of the number of
    images. It has no length, as passes differ by a batch; Lightning then goes by the end of the iteration.

    Args:
        data: the images at the final resolution.
        growth: the schedule.
        seed: of the order of the images and of the flips.
        horizontal_flip: as for ImageStream.
        rank: of this process.
        world_size: number of devices.
        position: real images seen so far, read once when an iteration begins.

    Raises:
        DataError: a stage's batch is not divisible by the number of devices, or the images have another size.
    """

    def __init__(
        self,
        data: ImageArray,
        *,
        growth: "GrowthSchedule",
        seed: int = 0,
        horizontal_flip: bool = False,
        rank: int = 0,
        world_size: int = 1,
        position: Callable[[], int] = lambda: 0,
    ) -> None:
        self.data = data
        self.growth = growth
        self.position = position
        self.streams = {
            side: ImageStream(
                images,
                batch_size=growth.batch_size(side),
                seed=seed,
                horizontal_flip=horizontal_flip,
                rank=rank,
                world_size=world_size,
            )
            for side, images in pyramid(data, start=growth.start, final=growth.final).items()
        }

    def __iter__(self) -> Iterator[Batch]:
        # Read here and not in the generator's body: Lightning fetches a batch ahead of the counter.
        start = self.position()
        if start < 0:
            raise DataError(f"the position in the data is {start}, it must not be negative")
        return self._rest_of_pass(start)

    def _rest_of_pass(self, start: int) -> Iterator[Batch]:
        end = (start // len(self.data) + 1) * len(self.data)
        while start < end:
            stage = self.growth.at(start)
            yield self.streams[stage.resolution].batch(start)
            start += stage.batch_size

    def state_dict(self) -> dict[str, object]:
        """Empty, as for ImageStream: the position is the module's counter."""
        return {}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Nothing to load, see state_dict."""
