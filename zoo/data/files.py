"""Image files (in a folder or a zip archive) to uint8 arrays."""

import hashlib
import multiprocessing
import os
import sys
import warnings
import zipfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import IO, TypeVar

import numpy as np
from PIL import ExifTags, Image, ImageOps

from zoo.data.arrays import Decoded, ImageArray, Int64Array, UInt8Array, cached
from zoo.data.lazy import read_on_the_fly, undecoded
from zoo.errors import DataError

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff"})
FILTER = Image.Resampling.LANCZOS  # antialiased when it shrinks
LARGE = 2000  # images above which decoding is parallel and shows its progress
BLOCK_BYTES = 32 << 20  # of decoded images, at most, from one worker at a time

In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True)
class ImageFiles:
    """A list of image files. names: relative to root (a folder or a .zip), in the order of the data set.

    labels: int64 [N] or None. source: a hash of every name, size and mtime.
    """

    root: Path
    names: tuple[str, ...]
    labels: Int64Array | None
    class_names: tuple[str, ...] | None
    source: str

    def select(self, keep: Sequence[int]) -> "ImageFiles":
        """The files number keep[0], keep[1], ... in this order."""
        names = tuple(self.names[i] for i in keep)
        labels = None if self.labels is None else self.labels[list(keep)]
        source = hashlib.sha256("\n".join((self.source, *names)).encode()).hexdigest()
        return ImageFiles(self.root, names, labels, self.class_names, source)


@dataclass(frozen=True)
class Preparation:
    """How one decoded image becomes uint8 [C, H, W].

    square: side of the central square that is cut out, in pixels of the source; "short" takes the short side;
    None keeps the image whole. top: first row of the square where it is not central. resolution: side to which it is
    then resized (LANCZOS), None leaves the size.
    size: (width, height) that every source image must have, None where they may differ.
    """

    channels: int
    square: int | str | None
    resolution: int | None
    size: tuple[int, int] | None = None
    top: int | None = None

    def __call__(self, image: Image.Image) -> UInt8Array:
        if self.size is not None and image.size != self.size:
            raise DataError(f"it is {image.width} x {image.height} pixels, the others {self.size[0]} x {self.size[1]}")
        if image.mode.startswith(("I", "F")):
            raise DataError(f"it has pixels of mode {image.mode}; convert it to 8 bits a channel first")
        if self.square is None and self.resolution is not None and image.width != image.height:
            raise DataError(f"it is not square ({image.width} x {image.height}); crop='center' cuts a square out of it")
        image = ImageOps.exif_transpose(image).convert("L" if self.channels == 1 else "RGB")
        # Not resize(box=...), whose filter would see pixels outside the square.
        image = image.crop(self._box(image.width, image.height))
        if self.resolution is not None:
            image = image.resize((self.resolution, self.resolution), FILTER)  # the same size gives a copy
        pixels = np.asarray(image)
        return pixels[None] if self.channels == 1 else pixels.transpose(2, 0, 1)

    def _box(self, width: int, height: int) -> tuple[int, int, int, int]:
        if self.square is None:
            return 0, 0, width, height
        side = min(width, height) if self.square == "short" else int(self.square)
        left = round((width - side) / 2)
        top = round((height - side) / 2) if self.top is None else self.top
        return left, top, left + side, top + side

    def recipe(self) -> dict[str, object]:
        return {
            "channels": self.channels,
            "square": self.square,
            **({} if self.top is None else {"top": self.top}),
            "resolution": self.resolution,
            "filter": f"PIL {FILTER.name}",
        }


#: Pillow's modes of images without colours.
GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "F")


def list_images(folder: Path) -> ImageFiles:
    """All image files under a folder, recursively, by name; no labels; hidden ones are left out."""
    found = []
    for parent, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        prefix = "" if Path(parent) == folder else Path(parent).relative_to(folder).as_posix() + "/"
        for name in files:  # os.path, not pathlib: 200,000 files are listed at each start
            if os.path.splitext(name)[1].lower() in EXTENSIONS and not name.startswith("."):  # noqa: PTH122
                status = os.stat(os.path.join(parent, name))  # noqa: PTH116, PTH118
                found.append((prefix + name, status.st_size, status.st_mtime_ns))
    found.sort()
    source = hashlib.sha256("\n".join(map(repr, found)).encode()).hexdigest()
    return ImageFiles(folder, tuple(name for name, _, _ in found), None, None, source)


def list_zip(archive: Path) -> ImageFiles:
    """All image files in a zip archive, sorted by name. Raises ValueError where the archive is not whole."""
    try:
        with zipfile.ZipFile(archive) as file:
            entries = [PurePosixPath(name) for name in file.namelist()]
    except zipfile.BadZipFile as error:
        raise DataError(f"{archive} is not a whole zip archive ({error}); download it again") from error
    names = sorted(
        str(path)
        for path in entries
        if path.suffix.lower() in EXTENSIONS and not any(part.startswith((".", "__MACOSX")) for part in path.parts)
    )
    status = archive.stat()
    source = hashlib.sha256(repr((archive.name, status.st_size, status.st_mtime_ns)).encode()).hexdigest()
    return ImageFiles(archive, tuple(names), None, None, source)


def with_class_labels(
    files: ImageFiles, class_names: Sequence[str], folders: Sequence[str] | None = None
) -> ImageFiles:
    """Label each file by the first folder of its name, and shuffle the list (always alike).

    class_names[k] is the name of class k, folders[k] its folder (the same where not given). The files of a
    folder of class folders come sorted by class: shuffled once, the first n of them are balanced to chance.
    Raises ValueError for a file outside these folders.
    """
    number = {folder: k for k, folder in enumerate(folders or class_names)}
    try:
        labels = np.array([number[name.partition("/")[0]] for name in files.names], dtype=np.int64)
    except KeyError as error:
        raise DataError(f"{files.root}: there are images outside the class folders {sorted(number)}: {error}") from None
    labelled = ImageFiles(files.root, files.names, labels, tuple(class_names), files.source)
    return labelled.select(fixed_order(len(labels)).tolist())


def fixed_order(size: int) -> Int64Array:
    """A permutation of 0 .. size-1 that is the same for everyone, always."""
    order: Int64Array = np.random.RandomState(0).permutation(size).astype(np.int64)
    return order


def load_files(
    name: str,
    files: ImageFiles,
    prepare: Preparation,
    *,
    recipe: Mapping[str, object],
    check: Callable[[ImageFiles], None] | None = None,
    on_the_fly: bool = False,
) -> ImageArray:
    """Decode the files, or read the cache of a run that did, or decode each when it is asked for.

    recipe: what identifies them (data set, split). check: called before they are decoded, to refuse them.
    on_the_fly: see zoo.data.lazy.
    Raises ValueError naming the file for a damaged image, or one whose size differs from the others'.
    """

    def build() -> Decoded:
        if check is not None:
            check(files)
        first = _decode_block(files.select([0]), prepare)
        channels, height, width = first.shape[1:]
        chunks = _decode_chunks(name, files, prepare=prepare, bytes_per_image=first.size)
        return Decoded(chunks, len(files.names), (channels, height, width), files.labels, files.class_names)

    full = {**recipe, **prepare.recipe(), "class_names": files.class_names}
    if on_the_fly or undecoded.get():
        if check is not None:
            check(files)
        return read_on_the_fly(files, prepare, Opener(files.root).image, recipe=full)
    return cached(name, build, source=files.source, recipe=full)


def _decode_chunks(name: str, files: ImageFiles, *, prepare: Preparation, bytes_per_image: int) -> Iterator[UInt8Array]:
    """Decode in parallel, with a progress bar for large sets."""
    from tqdm import tqdm

    count = len(files.names)
    size = max(1, min(256, BLOCK_BYTES // bytes_per_image))
    blocks = (files.select(range(start, min(start + size, count))) for start in range(0, count, size))
    with tqdm(total=count, desc=f"decoding {name}", unit="img", disable=count <= LARGE or None) as bar:
        for images in in_order(_decode_block, blocks, prepare, parallel=count > LARGE):
            yield images
            bar.update(len(images))


def _decode_block(files: ImageFiles, prepare: Preparation) -> UInt8Array:
    opener = _opener(files.root, files.root.stat().st_mtime_ns, os.getpid())
    images = []
    for name in files.names:
        with opener.image(name) as image:
            images.append(prepare(image))
    return np.stack(images)


def in_order(
    function: Callable[[In, Preparation], Out], blocks: Iterable[In], prepare: Preparation, *, parallel: bool
) -> Iterator[Out]:
    """function(block, prepare) of each block, in order, on all cores where parallel is true.

    Processes, because Python's lock keeps threads at the speed of one core; and forked, because the
    alternatives import torch in each worker and ask a guarded __main__ of every script. Where fork is not
    safe: threads.
    """
    if not parallel:
        yield from (function(block, prepare) for block in blocks)
        return
    workers = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    with ExitStack() as stack:
        pool: Executor
        if sys.platform == "linux":
            # Python >= 3.12 warns of forking beside threads: the workers touch nothing but PIL and NumPy.
            stack.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", message=".*fork.*", category=DeprecationWarning)
            pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("fork"))
        else:
            pool = ThreadPoolExecutor(workers)
        stack.enter_context(pool)
        pending: deque[Future[Out]] = deque()
        for block in blocks:
            pending.append(pool.submit(function, block, prepare))
            if len(pending) > 2 * workers:  # a slow disk must not pile up decoded images in memory
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def image_sizes(files: ImageFiles) -> list[tuple[int, int]]:
    """(width, height) of every file as it is shown, by the headers. ValueError for one that is no image."""

    def size(name: str) -> tuple[int, int]:
        with opener.image(name) as image:
            turned = image.getexif().get(ExifTags.Base.Orientation, 1) >= 5
            return (image.height, image.width) if turned else (image.width, image.height)

    opener = Opener(files.root)
    return [size(name) for name in files.names]


def any_in_colour(files: ImageFiles, *, looked_at: int = 16) -> bool:
    """Whether one of so many files, spread over the list, is stored with colours (headers only).

    Raises ValueError for one that is no image.
    """
    opener = Opener(files.root)
    names = files.names[:: max(1, len(files.names) // looked_at)]
    for name in names:
        with opener.image(name) as image:
            if image.mode not in GREY_MODES:
                return True
    return False


def resize(images: UInt8Array, side: int) -> Iterator[UInt8Array]:
    """uint8 [N, C, H, W] in memory to blocks [n, C, side, side]."""
    prepare = Preparation(images.shape[1], square=None, resolution=side)
    blocks = (images[start : start + 256] for start in range(0, len(images), 256))
    return in_order(_prepare_block, blocks, prepare, parallel=len(images) > LARGE)


def _prepare_block(images: UInt8Array, prepare: Preparation) -> UInt8Array:
    grey = images.shape[1] == 1
    return np.stack([prepare(Image.fromarray(image[0] if grey else image.transpose(1, 2, 0))) for image in images])


class Opener:
    """Opens images by name in a folder or in a zip archive."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.archive = zipfile.ZipFile(root) if root.is_file() else None

    @contextmanager
    def image(self, name: str) -> Iterator[Image.Image]:
        """The image, not yet decoded. Errors in the body become a ValueError that names the file."""
        try:
            with self._open(name) as file, Image.open(file) as image:
                yield image
        except Exception as error:  # a damaged file raises nearly anything
            raise DataError(f"{self.where(name)} cannot be used: {error}. Replace it or take it away.") from error

    def where(self, name: str) -> str:
        return f"{self.root}{os.sep}{name}"

    def _open(self, name: str) -> IO[bytes]:
        return (self.root / name).open("rb") if self.archive is None else self.archive.open(name)


@lru_cache(maxsize=1)
def _opener(root: Path, _mtime: int, _process: int) -> Opener:
    """An archive's table of contents is read once per process; processes must not share its file handle."""
    return Opener(root)
