"""Images that are decoded when they are asked for: for sets whose decoded pixels would fill a disk.

70,000 images of 1024x1024 take 220 GB decoded, the 30,000 of CelebA-HQ 94 GB. Decoded anew each time, they take no
disk and no memory beyond a batch, and each batch takes the time of its decoding.
"""

import hashlib
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from PIL.Image import Image
from torch import Tensor

from zoo.data.arrays import ImageArray, UInt8Array, cache_dir, digest
from zoo.errors import DataError, RecordError
from zoo.runs.folder import write_atomically

if TYPE_CHECKING:
    from zoo.data.files import Preparation
    from zoo.data.listing import ImageFiles

THREADS = 8  # Pillow decodes outside of Python's lock
Open = Callable[[str], AbstractContextManager[Image]]

undecoded: ContextVar[bool] = ContextVar("undecoded", default=False)  # see `without_decoding`


@contextmanager
def without_decoding() -> Iterator[None]:
    """Inside, every data set of image files is read on the fly: its number and its shape cost no decoding."""
    token = undecoded.set(True)
    try:
        yield
    finally:
        undecoded.reset(token)


class LazyImages:
    """Stands in for the uint8 tensor [N, C, H, W] of an `ImageArray`: what is taken out of it is decoded then.

    Args:
        files: the images, in the order of the data set.
        prepare: what is done to each.
        opened: opens one by its name.
        shape: (C, H, W).
        block: side of the square blocks of pixels that are averaged, as the levels of a growing network's images are.
    """

    dtype = torch.uint8

    def __init__(
        self, files: "ImageFiles", prepare: "Preparation", opened: Open, *, shape: tuple[int, ...], block: int = 1
    ) -> None:
        self.files, self.prepare, self.opened, self.block = files, prepare, opened, block
        self.shape = torch.Size([len(files.names), shape[0], shape[1] // block, shape[2] // block])
        self.full = shape

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> Tensor:
        """uint8 [C, H, W] of a number, [n, C, H, W] of a slice or of a tensor or array of numbers, or of truths."""
        if isinstance(index, tuple):
            within = (slice(None), *index[1:])
            return self[index[0]][within]
        if isinstance(index, slice):
            return self.decoded(range(len(self))[index])
        numbers = np.asarray(index)
        if numbers.dtype == bool:
            numbers = np.flatnonzero(numbers)
        return self.decoded(numbers.reshape(-1).tolist())[0 if numbers.ndim == 0 else slice(None)]

    def numpy(self) -> "_Arrays":
        """As a tensor's: what is taken out of the result is an array."""
        return _Arrays(self)

    def is_floating_point(self) -> bool:
        """No, as uint8."""
        return False

    def undecoded(self, numbers: range | Tensor) -> "LazyImages":
        """The images of these numbers, not decoded either."""
        files = self.files.select(numbers if isinstance(numbers, range) else numbers.tolist())
        return LazyImages(files, self.prepare, self.opened, shape=self.full, block=self.block)

    def at(self, side: int) -> "LazyImages":
        """The images at a lower resolution: means of square blocks, rounded once, as those of the cache."""
        return LazyImages(self.files, self.prepare, self.opened, shape=self.full, block=self.full[-1] // side)

    def decoded(self, numbers: Any) -> Tensor:
        """uint8 [n, C, H, W] of these images."""
        if not len(numbers):
            return torch.empty([0, *self.shape[1:]], dtype=torch.uint8)
        names = [self.files.names[i] for i in numbers]
        with ThreadPoolExecutor(min(THREADS, len(names))) as pool:
            images = torch.from_numpy(np.stack(list(pool.map(self._image, names))))
        if self.block == 1:
            return images
        return torch.nn.functional.avg_pool2d(images.float(), self.block).round().to(torch.uint8)

    def _image(self, name: str) -> UInt8Array:
        with self.opened(name) as image:
            pixels = self.prepare(image)
            if pixels.shape != self.full:
                raise DataError(f"it is {pixels.shape[2]} x {pixels.shape[1]} pixels, the others another size")
        return pixels


class _Arrays:
    """Gives NumPy arrays where `LazyImages` gives tensors."""

    def __init__(self, images: LazyImages) -> None:
        self.images = images

    def __getitem__(self, index: Any) -> UInt8Array:
        taken: UInt8Array = self.images[index].numpy()
        return taken


def read_on_the_fly(
    files: "ImageFiles", prepare: "Preparation", opened: Open, *, recipe: Mapping[str, object]
) -> ImageArray:
    """The images of a list of files, none of them decoded but the first.

    The fingerprint is that of the files' names and bytes and of what is done to them, not of the pixels: protocols have
    another hash than those of the decoded set.
    """
    with opened(files.names[0]) as image:
        shape = prepare(image).shape
    images = cast(Tensor, LazyImages(files, prepare, opened, shape=shape))
    labels = None if files.labels is None else torch.from_numpy(np.ascontiguousarray(files.labels))
    content = files.source if undecoded.get() else contents(files)
    fingerprint = digest({"content": content, "recipe": dict(recipe), "decoded": "on the fly"})
    return ImageArray(images, labels, files.class_names, fingerprint)


def contents(files: "ImageFiles") -> str:
    """sha256 (hex) of the names and the bytes of all files: the same on any machine.

    They are read once; the hash is remembered as long as nothing about the files has changed. A cache that cannot be
    written costs a warning.

    Raises:
        DataError: one of the files cannot be read.
    """
    key = digest({"files": files.source, "place": files.place})
    remembered = cache_dir() / "contents" / key
    if remembered.is_file():
        return remembered.read_text()
    archive = zipfile.ZipFile(files.root) if files.root.is_file() else None

    def one(name: str) -> str:
        return f"{name!a} {files.sha256(name, archive).hex()}"

    with ThreadPoolExecutor(THREADS) as pool:
        found = hashlib.sha256("\n".join(pool.map(one, files.names)).encode()).hexdigest()
    try:
        remembered.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(remembered, found)
    except (OSError, RecordError) as error:
        warnings.warn(f"the images' hash is not cached, and is taken at each start: {error}", stacklevel=2)
    return found


def is_lazy(data: ImageArray) -> bool:
    """Whether the images are decoded on the fly."""
    images: Any = data.images
    return isinstance(images, LazyImages)


def level_on_the_fly(data: ImageArray, side: int) -> ImageArray | None:
    """The level of a growing network's images, where the images are decoded on the fly; else None."""
    if not is_lazy(data):
        return None
    images = cast(LazyImages, data.images)
    return replace(data, images=cast(Tensor, images.at(side)), fingerprint=digest({"of": data.fingerprint, "to": side}))
