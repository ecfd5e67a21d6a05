"""Any folder of images."""

from collections.abc import Iterable
from typing import Any, Literal

from zoo.data.arrays import ImageArray
from zoo.data.base import ImageDataModule, Split
from zoo.data.files import Preparation, any_in_colour, image_sizes, load_files
from zoo.data.listing import EXTENSIONS, ImageFiles, list_any, list_images, natural, with_class_labels
from zoo.errors import DataError, DataNotFoundError

FOLDERS: dict[Split, tuple[str, ...]] = {
    "train": ("train",),
    "validation": ("validation", "val", "valid"),
    "test": ("test",),
}
KNOWN = {sub for subs in FOLDERS.values() for sub in subs}


class ImageFolder(ImageDataModule):
    """The images under `root`, a folder or a zip archive, recursively.

    Where all of them lie in two or more subfolders, these are the classes, numbered in natural order (2 before 10) of
    the training split's (labelled=False ignores them). Where root holds a folder `train`, that is the training split,
    and `validation` (or `val`) and `test` beside it are the others, also in capitals; where `train` lies among other
    folders of images, it is a class if it holds nothing but images, and refused otherwise.

    They are brought to `resolution`; None keeps the size, which must then be the same for all.

    Args:
        crop: "center" cuts out the central square of the short side before resizing; "none" keeps the image whole (to
            be resized it must be square).
        channels: 3 converts grey, palette and transparent images to RGB (transparency is dropped), 1 converts all to
            grey.
        allow_upscale: accept images smaller than resolution, and enlarge them.
        labelled: take subfolders for classes.
        on_the_fly: decode images when a batch asks for them, and keep no decoded copy: for sets that would fill a disk.
        base: see ImageDataModule.

    Raises:
        DataNotFoundError: there are no images.
        DataError: a damaged file, or sizes that differ (both name the file), or images too small (it names the
            smallest).
    """

    name = "ImageFolder"
    licence = "that of your images"

    def __init__(
        self,
        *,
        crop: Literal["center", "none"] = "center",
        channels: Literal[1, 3] = 3,
        allow_upscale: bool = False,
        labelled: bool = True,
        on_the_fly: bool = False,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        if crop not in ("center", "none") or channels not in (1, 3):
            raise DataError(f"crop={crop!r}, channels={channels}: crop is 'center' or 'none', channels is 1 or 3")
        self.crop = crop
        self.channels = channels
        self.allow_upscale = allow_upscale
        self.labelled = labelled
        self.on_the_fly = on_the_fly

    @property
    def num_classes(self) -> int | None:
        """The number of class folders (looks at the files' names), or None."""
        names = self._files("train").class_names
        return None if names is None else len(names)

    @property
    def in_colour(self) -> bool:
        """Whether the files hold colours, by the headers of some of them; `channels` says what becomes of these."""
        return any_in_colour(self._files("train"))

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W); where no resolution is given, that of the decoded images."""
        if self.resolution is not None:
            return self.channels, self.resolution, self.resolution
        channels, height, width = self.split("train").images.shape[1:]
        return channels, height, width

    def _load(self, name: Split) -> ImageArray:
        files = self._files(name)
        recipe = {"data": self.name, "split": name, "allow_upscale": self.allow_upscale}
        square = "short" if self.crop == "center" else None
        prepare = Preparation(self.channels, square, self.resolution, interpolation=self.interpolation)
        return load_files("folder", files, prepare, recipe=recipe, check=self._check_sizes, on_the_fly=self.on_the_fly)

    def found(self, name: Split = "train") -> str:
        """What the split consists of, as one line: images, classes, files left out and why."""
        return self._files(name).summary()

    @property
    def mixed(self) -> bool:
        """Whether the first n images are a sample of all: class folders are shuffled once, a plain list is not."""
        return self._files("train").labels is not None

    def _files(self, name: Split) -> ImageFiles:
        files = self._listed(name)
        if not files.names:
            reason = f"There is no image there ({', '.join(sorted(EXTENSIONS))})."
            if files.left_out:
                reason += f" Left out: {files.summary().partition('; ')[2]}."
            raise DataNotFoundError(self.name, looked_for=[files.root / files.inside], reason=reason)
        training = files if name == "train" else self._listed("train")
        classes = sorted({file.partition("/")[0] for file in training.names}, key=natural)
        in_folders = all("/" in file for file in training.names)
        return with_class_labels(files, classes) if self.labelled and in_folders and len(classes) > 1 else files

    def _listed(self, name: Split) -> ImageFiles:
        """The files of a split, without labels."""
        tops = self._tops()
        if not self._has_splits(tops):
            if name != "train":
                raise self._no_such_split(name, f"{self.root} has no folders train and {name}, so 'train' is all")
            return list_any(self.root)
        folder = folder_of(name, tops)
        if folder is None:
            raise self._no_such_split(name, f"{self.root} has no folder {FOLDERS[name][0]}")
        return list_any(self.root).below(folder) if self.root.is_file() else list_images(self.root / folder)

    def _tops(self) -> dict[str, bool]:
        """Folders right below root that hold images, and whether some of these lie in folders again."""
        if not self.root.exists():
            raise DataNotFoundError(self.name, looked_for=[self.root], reason="There is no such folder or zip archive.")
        if self.root.is_file():
            parts = [name.split("/") for name in list_any(self.root).names]
            return {top: any(len(p) > 2 for p in parts if p[0] == top) for top in {p[0] for p in parts if len(p) > 1}}
        named = [sub.name for sub in self.root.iterdir() if sub.name.lower() == "train" and sub.is_dir()]
        if (train := folder_of("train", named)) is None:
            return {}
        subs = [
            sub for sub in sorted(self.root.iterdir()) if sub.is_dir() and not sub.name.startswith((".", "__MACOSX"))
        ]
        others = [sub.name for sub in subs if sub.name.lower() not in KNOWN and list_images(sub).names]
        nested = bool(others) and any("/" in name for name in list_images(self.root / train).names)
        return {sub.name: nested for sub in subs if sub.name.lower() in KNOWN or sub.name in others}

    def _has_splits(self, tops: dict[str, bool]) -> bool:
        """Whether root's folders are splits. Raises DataError where that cannot be told."""
        others = [sub for sub in sorted(tops) if sub.lower() not in KNOWN]
        train = folder_of("train", tops)
        if train is None or not others:
            return train is not None
        if not tops[train] and len(tops) == len(others) + 1:
            return False  # one class among others
        raise DataError(
            f"{self.root} holds a folder {train} beside {', '.join(others[:5])}: is it the training split, or a class? "
            f"Name {self.root / train} to train on it, or move the other folders elsewhere"
        )

    def _official_splits(self) -> tuple[Split, ...]:
        tops = self._tops()
        if not self._has_splits(tops):
            return ("train",)
        return tuple(name for name in FOLDERS if folder_of(name, tops) is not None)

    def _check_sizes(self, files: ImageFiles) -> None:
        sizes = image_sizes(files, as_shown=self.crop == "none")  # the short side is the same either way
        short = [min(size) for size in sizes]
        k = short.index(min(short))
        if self.resolution is None:
            seen = set(short) if self.crop == "center" else set(sizes)
            if len(seen) > 1:
                raise DataError(
                    f"{files.root}: the images differ in size (the smallest is {files.names[k]}, "
                    f"{sizes[k][0]} x {sizes[k][1]}); give a resolution (data.resolution) to make them alike"
                )
        elif short[k] < self.resolution and not self.allow_upscale:
            raise DataError(
                f"{files.root}: {sum(side < self.resolution for side in short)} of {len(short)} images are "
                f"smaller than resolution={self.resolution}, the smallest is {files.names[k]} "
                f"({sizes[k][0]} x {sizes[k][1]}); "
                f"take a lower resolution, or allow_upscale=True (data.allow_upscale) to enlarge them"
            )


def folder_of(split: Split, folders: Iterable[str]) -> str | None:
    """Which of the folders holds a split, or None: `val` or Val may be `validation`, and train comes before Train."""
    there = sorted(folders, reverse=True)  # capitals last
    return next((top for sub in FOLDERS[split] for top in there if top.lower() == sub), None)
