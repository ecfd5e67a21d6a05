"""Any folder of images."""

from pathlib import Path
from typing import Any, Literal

from zoo.data.arrays import ImageArray
from zoo.data.base import ImageDataModule, Split
from zoo.data.files import (
    EXTENSIONS,
    ImageFiles,
    Preparation,
    any_in_colour,
    image_sizes,
    list_images,
    load_files,
    with_class_labels,
)
from zoo.errors import DataError, DataNotFoundError

FOLDERS: dict[Split, tuple[str, ...]] = {
    "train": ("train",),
    "validation": ("validation", "val", "valid"),
    "test": ("test",),
}


class ImageFolder(ImageDataModule):
    """The images under `root`, recursively.

    Where all of them lie in two or more subfolders, these are the classes (labelled=False ignores them). Where root
    holds a folder `train`, that is the training split, and `validation` (or `val`) and `test` beside it are the others.

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
        prepare = Preparation(self.channels, "short" if self.crop == "center" else None, self.resolution)
        return load_files("folder", files, prepare, recipe=recipe, check=self._check_sizes, on_the_fly=self.on_the_fly)

    def _files(self, name: Split) -> ImageFiles:
        folder = self._folder(name)
        files = list_images(folder)
        if not files.names:
            reason = f"There is no image there ({', '.join(sorted(EXTENSIONS))})."
            raise DataNotFoundError(self.name, looked_for=[folder], reason=reason)
        classes = sorted({file.partition("/")[0] for file in files.names})
        in_folders = all("/" in file for file in files.names)
        return with_class_labels(files, classes) if self.labelled and in_folders and len(classes) > 1 else files

    def _folder(self, name: Split) -> Path:
        if not self.root.is_dir():
            raise DataNotFoundError(self.name, looked_for=[self.root], reason="There is no such folder.")
        if not (self.root / "train").is_dir():
            if name != "train":
                raise self._no_such_split(name, f"{self.root} has no folders train and {name}, so 'train' is all")
            return self.root
        folder = next((self.root / sub for sub in FOLDERS[name] if (self.root / sub).is_dir()), None)
        if folder is None:
            raise self._no_such_split(name, f"{self.root} has no folder {FOLDERS[name][0]}")
        return folder

    def _official_splits(self) -> tuple[Split, ...]:
        if not (self.root / "train").is_dir():
            return ("train",)
        return tuple(name for name, subs in FOLDERS.items() if any((self.root / sub).is_dir() for sub in subs))

    def _check_sizes(self, files: ImageFiles) -> None:
        sizes = image_sizes(files)
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
