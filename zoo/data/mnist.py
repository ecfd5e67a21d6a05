"""MNIST (LeCun, Cortes and Burges): 60,000 + 10,000 handwritten digits of 28 x 28 grey pixels."""

import gzip
import zlib
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.arrays import Decoded, ImageArray, Int64Array, UInt8Array, cached, digest, from_memory
from zoo.data.base import ImageDataModule, Split, download
from zoo.data.files import Preparation, load_files, resize
from zoo.data.listing import list_images, with_class_labels
from zoo.errors import DataError, DataNotFoundError

SIDE = 28
CLASSES = tuple("0123456789")
FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


class MNIST(ImageDataModule):
    """MNIST, labelled. resolution None or 28: as it is; 32: a black border of 2 pixels, as in LeNet-5; else resized.

    Reads torchvision's layout (root/MNIST/raw/*-ubyte, also with .gz), root being that folder itself, or class folders
    of images (root/MNIST/{train,test}/<digit>/ or root/{train,test}/<digit>/). split("validation") needs train_images.

    Args:
        download: where no files are found, let torchvision fetch them into root.
        classes: the digits to keep, in each split; None keeps all. Labels stay what they are.
        base: see ImageDataModule.
    """

    name = "MNIST"
    extractor = "lenet"
    licence = "CC BY-SA 3.0, Y. LeCun and C. Cortes"
    labelled_classes = 10
    channels = 1
    native_resolution = SIDE

    def __init__(
        self,
        *,
        download: bool = True,
        classes: list[int] | None = None,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        self.download = download
        self.classes = classes

    def _load(self, name: Split) -> ImageArray:
        whole = self._load_all(name)
        return whole if self.classes is None else whole.of_classes(self.classes)

    def _load_all(self, name: Split) -> ImageArray:
        if name == "validation":
            raise self._no_such_split(name, "it comes as 60,000 training and 10,000 test images")
        files = self._find_idx(name)
        folder = None if files else self._find_class_folders(name)
        if files is None and folder is None:
            self._fetch(name)
            files = self._find_idx(name)
        if files is not None:
            images = read_idx(files[0], dimensions=3)
            labels = read_idx(files[1], dimensions=1).astype(np.int64)
            if len(images) != len(labels):
                raise DataError(f"{files[0]} holds {len(images)} images, {files[1]} holds {len(labels)} labels")
            if not len(images) or images.shape[1:] != (SIDE, SIDE) or labels.max() >= len(CLASSES):
                raise DataError(
                    f"{files[0]} is not of MNIST's form, {SIDE} x {SIDE} pixels with labels 0 to 9: it holds "
                    f"{len(images)} images of {images.shape[2]} x {images.shape[1]}, labels to {labels.max(initial=0)}"
                )
            source = digest({"arrays": [sha256(array.tobytes()).hexdigest() for array in (images, labels)]})
            recipe = {"data": self.name, "split": name}
            return digits_at(images, labels, data=self, source=source, recipe=recipe)
        assert folder is not None
        return self._load_class_folders(folder, name)

    def _load_class_folders(self, folder: Path, name: Split) -> ImageArray:
        listing = with_class_labels(list_images(folder), CLASSES)
        recipe = {"data": self.name, "split": name, "layout": "folders"}
        plain = load_files(
            "mnist", listing, Preparation(1, square=None, resolution=None, size=(SIDE, SIDE)), recipe=recipe
        )
        assert plain.labels is not None
        images, labels = plain.images[:, 0].numpy(), plain.labels.numpy()
        return digits_at(images, labels, data=self, source=plain.fingerprint, recipe=recipe)

    def _find_idx(self, name: Split) -> tuple[Path, Path] | None:
        for folder in (self.root / "MNIST" / "raw", self.root):
            found = [
                next((file for file in (folder / stem, folder / f"{stem}.gz") if file.is_file()), None)
                for stem in FILES[name]
            ]
            if found[0] is not None and found[1] is not None:
                return found[0], found[1]
        return None

    def _find_class_folders(self, name: Split) -> Path | None:
        folders = (self.root / "MNIST" / name, self.root / "mnist" / name, self.root / name)
        return next((folder for folder in folders if (folder / CLASSES[0]).is_dir()), None)

    def _fetch(self, name: Split) -> None:
        looked_for = [self.root / "MNIST" / "raw" / f"{stem}[.gz]" for stem in FILES[name]]
        looked_for += [self.root / f"{stem}[.gz]" for stem in FILES[name]]
        looked_for += [self.root / "MNIST" / name / "0", self.root / name / "0"]
        if not self.download:
            raise DataNotFoundError(
                self.name, looked_for=looked_for, reason="Downloading is switched off (download=False)."
            )

        def fetch(folder: str) -> Any:
            from torchvision.datasets import MNIST as TorchvisionMNIST

            return TorchvisionMNIST(folder, download=True)

        download(self.name, fetch, root=self.root, looked_for=looked_for)


def read_idx(file: Path, *, dimensions: int) -> UInt8Array:
    """An IDX file of unsigned bytes (optionally .gz) as a uint8 array.

    Format: 00 00 08 d, then d big-endian 32-bit sizes, then the bytes. Raises ValueError naming the file, the
    bytes expected and the bytes found where it is truncated, too long, or something else.
    """
    try:
        data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{file} is not a whole gzip file ({error}); delete it and download it again") from error
    header = 4 + 4 * dimensions
    if len(data) < header or data[:4] != bytes((0, 0, 8, dimensions)):
        raise DataError(
            f"{file} is not an IDX file of {dimensions}-dimensional bytes: it begins with {data[:4].hex(' ')}"
        )
    shape = tuple(int(size) for size in np.frombuffer(data, dtype=">u4", count=dimensions, offset=4))
    expected = header + int(np.prod(shape))
    if len(data) != expected:
        raise DataError(f"{file}: expected {expected} bytes, found {len(data)}; delete it and download it again")
    pixels: UInt8Array = np.frombuffer(data, dtype=np.uint8, offset=header).reshape(shape).copy()
    return pixels


def digits_at(
    images: UInt8Array,
    labels: Int64Array,
    *,
    data: ImageDataModule,
    source: str,
    recipe: Mapping[str, object],
) -> ImageArray:
    """uint8 [N, 28, 28] to an ImageArray at the resolution of `data`: kept (28), padded with black (32) or resized by
    PIL with its interpolation.
    """
    side = data.resolution or SIDE
    if side in (SIDE, 32):
        border = (side - SIDE) // 2
        padded = np.pad(images, ((0, 0), (border, border), (border, border)))[:, None]
        return from_memory(padded, labels, class_names=CLASSES, recipe={**recipe, "black_border": border})

    def build() -> Decoded:
        return Decoded(resize(images[:, None], prepare), len(images), (1, side, side), labels, CLASSES)

    prepare = Preparation(1, square=None, resolution=side, interpolation=data.interpolation)
    full = {**recipe, **prepare.recipe()}
    return cached("mnist", build, source=source, recipe=full)
