"""CIFAR-10 (Krizhevsky, 2009): 50,000 + 10,000 colour images of 32 x 32 pixels in ten classes."""

import io
import pickle
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.data.arrays import Decoded, ImageArray, Int64Array, UInt8Array, cached, digest, from_memory
from zoo.data.base import ImageDataModule, Split, download
from zoo.data.files import Preparation, load_files, resize
from zoo.data.listing import list_images, with_class_labels
from zoo.errors import DataError, DataNotFoundError

SIDE = 32
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
BATCHES = {"train": tuple(f"data_batch_{k}" for k in range(1, 6)), "test": ("test_batch",)}


class CIFAR10(ImageDataModule):
    """CIFAR-10, labelled, classes in the official order. resolution None or 32: as it is; else resized by PIL.

    Reads torchvision's layout (root/cifar-10-batches-py, or root being that folder), or class folders of images
    (root/cifar10/{train,test}/<class>/ or root/{train,test}/<class>/, the classes by name or as 0..9).
    split("validation") needs train_images.

    Args:
        download: where no files are found, let torchvision fetch them into root.
        classes: numbers of the classes to keep, in each split; None keeps all. Labels stay what they are.
        base: see ImageDataModule.
    """

    name = "CIFAR10"
    licence = "none stated by its authors; cite A. Krizhevsky 2009"
    labelled_classes = 10
    channels = 3
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
            raise self._no_such_split(name, "it comes as 50,000 training and 10,000 test images")
        batches = self._find_batches(name)
        folder = None if batches else self._find_class_folders(name)
        if folder is not None:
            return self._load_class_folders(folder, name)
        if batches is None:
            self._fetch(name)
            batches = self._find_batches(name)
        if batches is None:
            raise DataNotFoundError(self.name, looked_for=self._places(name), reason="The download lacks them.")
        return self._load_batches(batches, name)

    def _load_batches(self, files: list[Path], name: Split) -> ImageArray:
        prepare = self._preparation()
        recipe = {"data": self.name, "split": name}

        def read() -> tuple[UInt8Array, Int64Array]:
            parts = [read_batch(file) for file in files]
            return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])

        if prepare.resolution == SIDE:
            return from_memory(*read(), class_names=CLASSES, recipe=recipe)

        def build() -> Decoded:
            images, labels = read()
            side = prepare.resolution or SIDE
            return Decoded(resize(images, prepare), len(images), (3, side, side), labels, CLASSES)

        source = digest({"files": [sha256(file.read_bytes()).hexdigest() for file in files]})
        full = {**recipe, **prepare.recipe()}
        return cached("cifar10", build, source=source, recipe=full)

    def _load_class_folders(self, folder: Path, name: Split) -> ImageArray:
        folders = CLASSES if (folder / CLASSES[0]).is_dir() else tuple("0123456789")
        files = with_class_labels(list_images(folder), CLASSES, folders)
        recipe = {"data": self.name, "split": name, "layout": "folders"}
        return load_files("cifar10", files, self._preparation(), recipe=recipe)

    def _preparation(self) -> Preparation:
        """32 x 32 is demanded of every image: one of another size is a mistake."""
        side = self.resolution or SIDE
        return Preparation(3, square=None, resolution=side, size=(SIDE, SIDE), interpolation=self.interpolation)

    def _find_batches(self, name: Split) -> list[Path] | None:
        for folder in (self.root / "cifar-10-batches-py", self.root):
            files = [folder / stem for stem in BATCHES[name]]
            if all(file.is_file() for file in files):
                return files
        return None

    def _find_class_folders(self, name: Split) -> Path | None:
        folders = (self.root / "cifar10" / name, self.root / name)
        names = (CLASSES[0], "0")
        return next((folder for folder in folders if any((folder / first).is_dir() for first in names)), None)

    def _places(self, name: Split) -> list[Path]:
        batches = [self.root / "cifar-10-batches-py" / stem for stem in BATCHES[name]]
        return [
            *batches,
            self.root / BATCHES[name][0],
            self.root / "cifar10" / name / CLASSES[0],
            self.root / name / "0",
        ]

    def _fetch(self, name: Split) -> None:
        if not self.download:
            reason = "Downloading is switched off (download=False)."
            raise DataNotFoundError(self.name, looked_for=self._places(name), reason=reason)

        def fetch(folder: str) -> Any:
            from torchvision.datasets import CIFAR10 as TorchvisionCIFAR10

            TorchvisionCIFAR10(folder, download=True)
            (Path(folder) / "cifar-10-python.tar.gz").unlink(missing_ok=True)

        download(self.name, fetch, root=self.root, looked_for=self._places(name))


def read_batch(file: Path) -> tuple[UInt8Array, Int64Array]:
    """One batch of the Python version of CIFAR-10: uint8 [n, 3, 32, 32], int64 [n].

    The file is a pickle; only the few names that an array needs are let through. Raises ValueError naming the
    file where it is truncated, wants anything else, or does not hold such images.
    """
    try:
        batch = _ArrayUnpickler(io.BytesIO(file.read_bytes()), encoding="latin1").load()
        images = np.ascontiguousarray(batch["data"]).reshape(-1, 3, SIDE, SIDE)
        labels = np.array(batch["labels"], dtype=np.int64)
        if images.dtype != np.uint8 or labels.shape != images.shape[:1] or not set(labels.tolist()) <= set(range(10)):
            raise DataError(f"{images.dtype} images {images.shape}, labels {labels.shape}")
    except Exception as error:  # a damaged pickle raises nearly anything
        raise DataError(
            f"{file} is not a whole batch of CIFAR-10 ({error}); delete it and download it again"
        ) from error
    return images, labels


class _ArrayUnpickler(pickle.Unpickler):
    """A pickle can name any function to be called; this one lets it make NumPy arrays and nothing else."""

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        allowed: dict[tuple[str, str], Callable[..., Any]] = {
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
            ("numpy.core.multiarray", "_reconstruct"): _empty_array,
            ("numpy._core.multiarray", "_reconstruct"): _empty_array,
            ("_codecs", "encode"): str.encode,  # how Python 3 writes bytes in the old protocols
        }
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no array needs")
        return allowed[module, name]


def _empty_array(_cls: type, shape: tuple[int, ...], dtype: str | bytes) -> npt.NDArray[Any]:
    """What NumPy's own _reconstruct does; the unpickler then fills the array in."""
    return np.empty(shape, dtype.decode() if isinstance(dtype, bytes) else dtype)
