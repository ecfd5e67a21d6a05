"""Data sets that a file may name: this package's own. Other classes are code, which comes by the command line alone."""

from zoo.data import DATASETS, ImageDataModule, ToyPoints
from zoo.errors import DataError

#: By the last part of a class path; ToyPoints are of the papers in the plane.
KNOWN: dict[str, type[ImageDataModule]] = {**DATASETS, ToyPoints.__name__: ToyPoints}


def is_dataset(class_path: object) -> bool:
    """Whether it is "Digits", "zoo.data.Digits" or the module's own "zoo.data.digits.Digits"."""
    where, _, name = str(class_path).rpartition(".")
    return name in KNOWN and where in ("", "zoo.data", KNOWN[name].__module__)


def dataset_of(class_path: object, *, where: object) -> type[ImageDataModule]:
    """The data set of a class path in the file `where`.

    Raises:
        DataError: it is none of this package's: nothing is imported.
    """
    if not is_dataset(class_path):
        raise DataError(
            f"{where} names {class_path!r} as its data set, which is none of this package's ({', '.join(KNOWN)}): "
            "nothing of it was imported or called. A class of your own is named on the command line, by --data"
        )
    return KNOWN[str(class_path).rpartition(".")[2]]
