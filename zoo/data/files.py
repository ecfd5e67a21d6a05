"""Image files (in a folder or a zip archive) to uint8 arrays."""

import multiprocessing
import os
import struct
import sys
import warnings
import zipfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import ExifTags, Image, ImageOps

from zoo.data.arrays import Decoded, ImageArray, UInt8Array, cached, digest
from zoo.data.lazy import read_on_the_fly, undecoded
from zoo.data.listing import ImageFiles
from zoo.errors import DataError
from zoo.runs.text import shown

#: Pillow's plugins that may read a file, whatever its suffix: one that is PostScript would start another program.
FORMATS = (
    *("PNG", "JPEG", "MPO", "BMP", "DIB", "WEBP", "GIF", "AVIF"),
    *("PPM", "TIFF", "JPEG2000", "QOI"),
)
LARGEST = 1 << 28  # pixels of one image; more are refused before they are decoded
#: Pillow's filters by the names of the settings, all antialiased when they shrink.
FILTERS = {"lanczos": Image.Resampling.LANCZOS, "bilinear": Image.Resampling.BILINEAR}
LARGE = 2000  # images above which decoding is parallel and shows its progress
BLOCK_BYTES = 32 << 20  # of decoded images, at most, from one worker at a time

In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True)
class Preparation:
    """How one decoded image becomes uint8 [C, H, W].

    square: side of the central square that is cut out, in pixels of the source; "short" takes the short side;
    None keeps the image whole. top: first row of the square where it is not central. resolution: side to which it is
    then resized, None leaves the size. interpolation: of FILTERS.
    size: (width, height) that every source image must have, None where they may differ.
    """

    channels: int
    square: int | str | None
    resolution: int | None
    size: tuple[int, int] | None = None
    top: int | None = None
    interpolation: str = "lanczos"

    def __call__(self, image: Image.Image) -> UInt8Array:
        refuse_deep(image)  # first: once a file is loaded, nothing says how deep it is
        width, height = size_as_shown(image)
        if self.size is not None and (width, height) != self.size:
            raise DataError(f"it is {width} x {height} pixels, the others {self.size[0]} x {self.size[1]}")
        if self.square is None and self.resolution is not None and width != height:
            raise DataError(f"it is not square ({width} x {height}); crop='center' cuts a square out of it")
        image = ImageOps.exif_transpose(image) if orientation(image) != UPRIGHT else image
        image = image.convert("L" if self.channels == 1 else "RGB")
        # Not resize(box=...), whose filter would see pixels outside the square.
        image = image.crop(self._box(image.width, image.height))
        if self.resolution is not None:
            side, filter = self.resolution, FILTERS[self.interpolation]
            image = image.resize((side, side), filter)  # the same size gives a copy
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
            "filter": f"PIL {FILTERS[self.interpolation].name}",
        }


def refuse_deep(image: Image.Image) -> None:
    """Raises DataError for pixels of more than 8 bits a channel: of colours Pillow drops the lower ones, unrounded."""
    if image.mode.startswith(("I", "F")):
        raise DataError(f"it has pixels of mode {image.mode}; convert it to 8 bits a channel first")
    if image.format in ("PNG", "TIFF") and ";16" in str(getattr(image, "tile", "")):  # the others round
        raise DataError("it has 16 bits a channel; convert it to 8 bits a channel first")


def size_as_shown(image: Image.Image) -> tuple[int, int]:
    """(width, height) as the image is to be shown: a camera held upright stores it lying, and says so."""
    if image.width == image.height:  # however it is turned, and to ask that of a PNG costs its decoding
        return image.size
    if orientation(image) not in (5, 6, 7, 8):
        return image.size
    if image.format == "TIFF":  # which Pillow turns itself: some versions as it is opened, all as it is loaded
        image.load()
        return image.size
    return image.height, image.width


UPRIGHT = 1


def orientation(image: Image.Image) -> int:
    """How the image is to be turned or mirrored, 1..8 of EXIF; damaged EXIF says nothing, as to viewers."""
    if image.format == "PNG" and "exif" not in image.info:
        image.load()  # EXIF may stand behind the pixels; where these are damaged, that is another matter
    try:
        found: int = image.getexif().get(ExifTags.Base.Orientation, UPRIGHT)
    except (SyntaxError, ValueError, TypeError, KeyError, struct.error):
        return UPRIGHT
    return found


#: Pillow's modes of images without colours.
GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "F")


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
    Raises ValueError naming the file for a damaged image, or one whose size differs from the others', and where there
    is no file.
    """
    if not files.names:
        found = replace(files, class_names=None).summary()
        raise DataError(f"{files.root / files.inside} holds no images that are read here ({found})")

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
        return read_on_the_fly(files, prepare, Opener(files).image, recipe=full)
    # Names, sizes and times are those of other files too: of a copy, of another set of the same form.
    source = digest({"files": files.source, "place": files.place, "content": files.content()})
    return cached(name, build, source=source, recipe=full)


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
    opener = _opener(files.root, files.inside, files.root.stat().st_mtime_ns, os.getpid())
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


def image_sizes(files: ImageFiles, *, as_shown: bool = True) -> list[tuple[int, int]]:
    """(width, height) of every file as it is shown, or else as it is stored, which the headers alone tell: how a PNG is
    to be turned may be said behind its pixels. ValueError for one that is no image.
    """

    def size(name: str) -> tuple[int, int]:
        with opener.image(name) as image:
            return size_as_shown(image) if as_shown else image.size

    opener = Opener(files)
    return [size(name) for name in files.names]


def usable(files: ImageFiles) -> list[int]:
    """The numbers of the files that can be decoded to their end, to 8 bits a channel."""

    def is_usable(name: str) -> bool:
        try:
            with opener.image(name) as image:
                refuse_deep(image)
                image.load()
        except DataError:
            return False
        return True

    opener = Opener(files)
    return [i for i, name in enumerate(files.names) if is_usable(name)]


def any_in_colour(files: ImageFiles, *, looked_at: int = 16) -> bool:
    """Whether one of so many files, spread over the list, is stored with colours (headers only).

    Raises ValueError for one that is no image.
    """
    opener = Opener(files)
    names = files.names[:: max(1, len(files.names) // looked_at)]
    for name in names:
        with opener.image(name) as image:
            if image.mode not in GREY_MODES:
                return True
    return False


def resize(images: UInt8Array, prepare: Preparation) -> Iterator[UInt8Array]:
    """uint8 [N, C, H, W] in memory to blocks [n, C, resolution, resolution]."""
    blocks = (images[start : start + 256] for start in range(0, len(images), 256))
    return in_order(_prepare_block, blocks, prepare, parallel=len(images) > LARGE)


def _prepare_block(images: UInt8Array, prepare: Preparation) -> UInt8Array:
    grey = images.shape[1] == 1
    return np.stack([prepare(Image.fromarray(image[0] if grey else image.transpose(1, 2, 0))) for image in images])


class Opener:
    """Opens images by name in a folder or in a zip archive."""

    def __init__(self, files: ImageFiles) -> None:
        self.files = files
        self.archive = zipfile.ZipFile(files.root) if files.root.is_file() else None

    @contextmanager
    def image(self, name: str) -> Iterator[Image.Image]:
        """The image, not yet decoded. Errors in the body become a ValueError that names the file."""
        try:
            with self.files.opened(name, self.archive) as file, Image.open(file, formats=formats()) as image:
                if image.width * image.height > LARGEST:
                    raise DataError(f"it has {image.width:,} x {image.height:,} pixels, more than {LARGEST:,}")
                yield image
        except Exception as error:  # a damaged file raises nearly anything
            reason = " ".join(str(error).split()) or type(error).__name__
            raise DataError(
                f"{self.where(name)} cannot be used: {shown(reason)}. Replace it or take it away."
            ) from error

    def where(self, name: str) -> str:
        return shown(f"{self.files.root}{os.sep}{name}")


@lru_cache(maxsize=1)
def formats() -> tuple[str, ...]:
    """Those of FORMATS that this Pillow can read."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


@lru_cache(maxsize=1)
def _opener(root: Path, inside: str, _mtime: int, _process: int) -> Opener:
    """An archive's table of contents is read once per process; processes must not share its file handle."""
    return Opener(ImageFiles(root, (), None, None, "", inside=inside))
