"""Decoded images: one uint8 tensor per split, and the cache on disk that holds it.

Decoding costs more than training on small images, so it is done once: into a single uint8 .npy file that
later runs read (or memory-map) in milliseconds. The *key* of a cache entry names the source files (place,
content) and all that is done to them; the *fingerprint* is a hash of the resulting pixels, and so the
same on any machine.
"""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zoo.errors import DataError
from zoo.runs.folder import DAY_S, replacing, sweep

log = logging.getLogger(__name__)

CODE_VERSION = 1  # raise it when the same files and settings would give other pixels
MEMORY_MAP_ABOVE = 1 << 30  # bytes; smaller arrays are read into memory

UInt8Array = npt.NDArray[np.uint8]
Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ImageArray:
    """All images of one split, decoded.

    images: uint8 [N, C, H, W], values 0..255, in memory or memory-mapped (copy on write: the file cannot be
    damaged).
    labels: int64 [N], or None for unlabelled data. class_names: by label, or None.
    fingerprint: sha256 (hex) of the pixels, their order, the labels and the recipe that made them.
    """

    images: Tensor
    labels: Tensor | None
    class_names: tuple[str, ...] | None
    fingerprint: str

    def __len__(self) -> int:
        return len(self.images)

    def slice(self, start: int, stop: int) -> "ImageArray":
        """The images start .. stop-1 (a view), under a fingerprint of its own unless that is all of them."""
        if (start, stop) == (0, len(self)):
            return self
        if not 0 <= start < stop <= len(self):
            raise DataError(f"images {start}..{stop - 1} asked of a split of {len(self)} images")
        labels = None if self.labels is None else self.labels[start:stop]
        fingerprint = hashlib.sha256(f"{self.fingerprint}[{start}:{stop}]".encode()).hexdigest()
        return ImageArray(self._images_of(range(start, stop)), labels, self.class_names, fingerprint)

    def sample(self, n: int) -> "ImageArray":
        """n of the images, by one fixed permutation, under a fingerprint of its own; all of them as they are.

        Images come by name, and so perhaps by class: the first n of them would be one class.
        """
        if n == len(self):
            return self
        if not 0 < n < len(self):
            raise DataError(f"{n} images asked of a split of {len(self)} images")
        chosen = torch.from_numpy(fixed_order(len(self))[:n])
        labels = None if self.labels is None else self.labels[chosen]
        fingerprint = hashlib.sha256(f"{self.fingerprint}[permuted][:{n}]".encode()).hexdigest()
        return ImageArray(self._images_of(chosen), labels, self.class_names, fingerprint)

    def of_classes(self, classes: Sequence[int]) -> "ImageArray":
        """The images with one of these labels, in their order and with their labels, under a fingerprint of its own.

        Raises:
            DataError: no labels, or no image of one of the classes.
        """
        if self.labels is None:
            raise DataError(f"classes {list(classes)} were asked of a split without labels")
        if lacking := set(classes) - set(self.labels.tolist()):
            raise DataError(f"there is no image of class {', '.join(map(str, sorted(lacking)))} in this split")
        kept = torch.isin(self.labels, torch.tensor(sorted(classes))).nonzero().squeeze(1)
        fingerprint = hashlib.sha256(f"{self.fingerprint}{sorted(classes)}".encode()).hexdigest()
        return ImageArray(self._images_of(kept), self.labels[kept], self.class_names, fingerprint)

    def _images_of(self, numbers: range | Tensor) -> Tensor:
        """The images of these numbers; what is decoded on the fly stays so."""
        undecoded = getattr(self.images, "undecoded", None)
        index = slice(numbers.start, numbers.stop) if isinstance(numbers, range) else numbers
        found: Tensor = self.images[index] if undecoded is None else undecoded(numbers)
        return found


def in_blocks(images: Tensor, size: int) -> Iterator[Tensor]:
    """The images [N, C, H, W] of a split in blocks of at most `size`; also those that are decoded on the fly, which are
    no tensor."""
    for start in range(0, len(images), size):
        yield images[start : start + size]


@dataclass(frozen=True)
class Decoded:
    """What a decoder hands over: chunks of uint8 [n, C, H, W] that make up [count, *shape] when laid end to
    end.
    """

    chunks: Iterable[UInt8Array]
    count: int
    shape: tuple[int, int, int]
    labels: Int64Array | None
    class_names: tuple[str, ...] | None


def cache_dir() -> Path:
    """The folder for everything that can be computed again: $ZOO_CACHE, else ~/.cache/lightning-gan-zoo."""
    return Path(os.environ.get("ZOO_CACHE") or "~/.cache/lightning-gan-zoo").expanduser()


def digest(fields: Mapping[str, object]) -> str:
    """sha256 (hex) of the fields as canonical JSON."""
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def fixed_order(size: int) -> Int64Array:
    """A permutation of 0 .. size-1 that is the same for everyone, always."""
    order: Int64Array = np.random.RandomState(0).permutation(size).astype(np.int64)
    return order


def from_memory(
    images: UInt8Array,
    labels: Int64Array | None,
    *,
    class_names: tuple[str, ...] | None,
    recipe: Mapping[str, object],
) -> ImageArray:
    """An ImageArray over arrays that need no cache. images uint8 [N, C, H, W], labels int64 [N] or None."""
    images = np.ascontiguousarray(images)
    pixels = hashlib.sha256(images.data)
    return ImageArray(
        torch.from_numpy(images),
        None if labels is None else torch.from_numpy(np.ascontiguousarray(labels)),
        class_names,
        _fingerprint(pixels.hexdigest(), images.shape, labels=labels, recipe=recipe),
    )


def cached(
    name: str,
    build: Callable[[], Decoded],
    *,
    source: str,
    recipe: Mapping[str, object],
) -> ImageArray:
    """Read the cache entry of (source, recipe); where it is absent, truncated or stale, build and write it
    first.

    source: a hash of the files that `build` reads. recipe: everything else that the pixels depend on, plain
    types. Several processes may build the same entry at once: each writes a file of its own and the last
    rename wins. Errors of `build` pass through and leave no entry; OSError where the cache folder cannot be
    written.
    """
    key = digest({"code": CODE_VERSION, "source": source, "recipe": dict(recipe)})
    stem = cache_dir() / "images" / f"{name}-{key[:32]}"
    array = _read(stem, key)
    if array is None:
        _write(stem, key, build(), recipe=recipe)
        array = _read(stem, key)
    if array is None:
        raise OSError(f"the image cache {stem}.* cannot be read back after writing it; is the disk full or failing?")
    return array


def _write(stem: Path, key: str, decoded: Decoded, *, recipe: Mapping[str, object]) -> None:
    pixels = hashlib.sha256()
    written = 0
    full_shape = (decoded.count, *decoded.shape)
    with _replacing(_file(stem, "images.npy")) as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": full_shape}
        np.lib.format.write_array_header_1_0(file, header)
        # Plain writes, not a writable memory map: a full disk is then an error and not a SIGBUS.
        for chunk in decoded.chunks:
            if chunk.dtype != np.uint8 or chunk.shape[1:] != decoded.shape:
                raise ValueError(f"decoded a {chunk.dtype} chunk {chunk.shape}, expected uint8 [n, {decoded.shape}]")
            data = np.ascontiguousarray(chunk).data
            pixels.update(data)
            file.write(data)
            written += len(chunk)
        if written != decoded.count:
            raise ValueError(f"decoded {written} images, expected {decoded.count}")
    if decoded.labels is not None:
        with _replacing(_file(stem, "labels.npy")) as file:
            np.save(file, decoded.labels.astype(np.int64))
    meta = {
        "key": key,
        "shape": full_shape,
        "labelled": decoded.labels is not None,
        "class_names": decoded.class_names,
        "recipe": dict(recipe),
        "pixels_sha256": pixels.hexdigest(),
        "fingerprint": _fingerprint(pixels.hexdigest(), full_shape, labels=decoded.labels, recipe=recipe),
    }
    with _replacing(_file(stem, "json")) as file:  # last: without it the entry does not exist
        file.write(json.dumps(meta, indent=1).encode())


@contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """`zoo.runs.folder.replacing`, opened; its folder is made, and a folder that cannot be written is named."""
    with ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            sweep(path.parent, older_s=DAY_S)
            file = stack.enter_context(stack.enter_context(replacing(path)).open("wb"))
        except OSError as error:
            raise OSError(
                f"cannot write to {path.parent} ({error}); set ZOO_CACHE to a folder for the image cache"
            ) from error
        yield file


def _read(stem: Path, key: str) -> ImageArray | None:
    """The entry, or None where it is absent or not whole."""
    try:
        meta: dict[str, Any] = json.loads(_file(stem, "json").read_bytes())
        if meta["key"] != key:
            raise ValueError("made from other files or settings")
        shape = tuple(meta["shape"])
        images_file = _file(stem, "images.npy")
        size = int(np.prod(shape))
        # An array in the wrong place has the right shape but not the right length, so both are looked at.
        images = np.load(images_file, mmap_mode="c" if size > MEMORY_MAP_ABOVE else None, allow_pickle=False)
        if images.shape != shape or images.dtype != np.uint8 or not 0 < images_file.stat().st_size - size < 1024:
            raise ValueError(f"{images.dtype} {images.shape}, expected uint8 {shape}")
        labels = None
        if meta["labelled"]:
            labels = torch.from_numpy(np.load(_file(stem, "labels.npy"), allow_pickle=False))
            if labels.shape != shape[:1] or labels.dtype != torch.int64:
                raise ValueError(f"labels {labels.dtype} {tuple(labels.shape)}, expected int64 {shape[:1]}")
        names = meta["class_names"]
        return ImageArray(torch.from_numpy(images), labels, names and tuple(names), str(meta["fingerprint"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        log.warning("The image cache %s.* is not whole (%s): building it again.", stem, error)
        return None


def _file(stem: Path, suffix: str) -> Path:
    return stem.with_name(f"{stem.name}.{suffix}")


def _fingerprint(
    pixels: str,
    shape: tuple[int, ...],
    *,
    labels: Int64Array | None,
    recipe: Mapping[str, object],
) -> str:
    label_hash = None if labels is None else hashlib.sha256(labels.astype("<i8").tobytes()).hexdigest()
    return digest({"pixels": pixels, "shape": list(shape), "labels": label_hash, "recipe": dict(recipe)})
