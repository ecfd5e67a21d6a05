"""CelebA (Liu et al., 2015), aligned and cropped: 202,599 faces of 178 x 218 pixels."""

import re
import warnings
from pathlib import Path
from typing import Any

from zoo.data.arrays import ImageArray
from zoo.data.base import ImageDataModule, Split, download
from zoo.data.files import Preparation, image_sizes, load_files
from zoo.data.listing import ImageFiles, list_images, list_zip
from zoo.errors import DataError, DataNotFoundError

SIZE = (178, 218)
HALF_SIZE = (89, 109)
PARTITIONS = {"train": 0, "validation": 1, "test": 2}


class CelebA(ImageDataModule):
    """Aligned CelebA, unlabelled, resized after a square of `crop` pixels is cut out.

    Reads root/celeba/img_align_celeba/*.jpg (torchvision's layout), root/img_align_celeba, or the archive
    img_align_celeba.zip in either place, without unpacking it. With list_eval_partition.txt beside it the
    splits are the official ones; without, "train" is all images and there is no other split (but see
    train_images). Images of half the size (89 x 109) are accepted with a warning, and cropped at half the side.

    Args:
        resolution: side of the square images in pixels; None is 64.
        crop: side of the square in pixels of the 178 x 218 images; 108 is the choice of most code that trains DCGAN on
            CelebA; None takes the whole width.
        crop_top: first row of the square, None for the central one; Karras et al. 2018 take 57 with crop=128, around
            the faces' centre.
        download: try to download absent files; the quota of their Google Drive folder fails most users.
        base: see ImageDataModule.
    """

    name = "CelebA"
    licence = "non-commercial research only, Z. Liu et al. 2015"
    channels = 3
    native_resolution = 64

    def __init__(
        self,
        *,
        resolution: int | None = 64,
        crop: int | None = 108,
        crop_top: int | None = None,
        download: bool = False,
        **base: Any,
    ) -> None:
        super().__init__(resolution=resolution, **base)
        if crop is not None and not 1 <= crop <= SIZE[0]:
            raise DataError(f"crop={crop} must be between 1 and {SIZE[0]}, the width of the aligned images")
        if crop_top is not None and not 0 <= crop_top <= SIZE[1] - (crop or SIZE[0]):
            raise DataError(f"crop_top={crop_top}: a square of {crop or SIZE[0]} rows must lie within {SIZE[1]}")
        self.crop, self.crop_top = crop, crop_top
        self.download = download

    def _load(self, name: Split) -> ImageArray:
        place = self._find()
        if place is None:
            self._fetch()
            place = self._find()
        if place is None:
            raise DataNotFoundError(self.name, looked_for=self._places(), reason="The download lacks the images.")
        files = list_zip(place) if place.is_file() else list_images(place)
        if not files.names:
            raise DataError(f"{place} holds no images")
        files = self._select(files, name)
        size = image_sizes(files.select([0]))[0]
        recipe = {
            "data": self.name,
            "split": name,
            "source": "half size" if size == HALF_SIZE else "full size",
        }
        return load_files("celeba", files, self._preparation(size, files.root), recipe=recipe)

    def _preparation(self, size: tuple[int, int], place: Path) -> Preparation:
        if size not in (SIZE, HALF_SIZE):
            raise DataError(
                f"{place} holds images of {size[0]} x {size[1]} pixels, but aligned CelebA has "
                f"{SIZE[0]} x {SIZE[1]}; use ImageFolder (data.class_path) for other images"
            )
        width = self.crop or SIZE[0]
        side = self.resolution or self.native_resolution
        top = self.crop_top
        if size == HALF_SIZE:
            width, top = width // 2, None if top is None else top // 2
            warnings.warn(
                f"{place} holds CelebA at half size ({size[0]} x {size[1]}): a square of {width} "
                f"pixels is taken and resized to {side}; figures cannot be compared with those of the "
                f"full-size images",
                stacklevel=2,
            )
        elif width < side:
            warnings.warn(
                f"{self.name}: the square of {width} pixels is enlarged to {side}: images are blurred, and so is what "
                f"figures compare with; a larger crop (data.crop) takes up to {SIZE[0]} pixels",
                stacklevel=2,
            )
        return Preparation(
            self.channels, square=width, resolution=side, size=size, top=top, interpolation=self.interpolation
        )

    def _select(self, files: ImageFiles, name: Split) -> ImageFiles:
        partition = find_partition(files.root)
        if partition is None:
            if name != "train":
                absent = files.root.with_name("list_eval_partition.txt")
                raise self._no_such_split(name, f"{absent} is absent, so 'train' is all images")
            return files
        numbers = read_partition(partition)
        keep = [i for i, file in enumerate(files.names) if numbers.get(Path(file).name) == PARTITIONS[name]]
        if not keep:
            raise DataError(f"{partition} puts none of the {len(files.names)} images of {files.root} in {name!r}")
        return files.select(keep)

    def _official_splits(self) -> tuple[Split, ...]:
        place = self._find()
        return ("train",) if place is None or find_partition(place) is None else ("train", "validation", "test")

    def _find(self) -> Path | None:
        return next((place for place in self._places() if place.is_dir() or place.is_file()), None)

    def _places(self) -> list[Path]:
        folders = [self.root / "celeba" / "img_align_celeba", self.root / "img_align_celeba"]
        if self.root.name == "img_align_celeba":
            folders.append(self.root)
        return [*folders, *(folder.with_name("img_align_celeba.zip") for folder in folders[:2])]

    def _fetch(self) -> None:
        if not self.download:
            reason = (
                "It is not downloaded by itself, because the quota of its Google Drive folder fails most "
                "users; download=True (data.download) tries all the same. The files are at "
                "http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
            )
            raise DataNotFoundError(self.name, looked_for=self._places(), reason=reason)

        def fetch(folder: str) -> Any:
            from torchvision.datasets import CelebA as TorchvisionCelebA

            return TorchvisionCelebA(folder, download=True)

        download(self.name, fetch, root=self.root, looked_for=self._places())


def find_partition(images: Path) -> Path | None:
    """The file with the official splits beside the folder or archive of images, or None."""
    files = (images.with_name(f"list_eval_partition.{suffix}") for suffix in ("txt", "csv"))
    return next((file for file in files if file.is_file()), None)


def read_partition(file: Path) -> dict[str, int]:
    """list_eval_partition.txt (or Kaggle's .csv of it): file name -> 0 train, 1 validation, 2 test."""
    rows = re.findall(r"^(\S+?\.\w+)[ \t,]+([012])\s*$", file.read_text(), flags=re.MULTILINE)
    if not rows:
        raise DataError(f"{file} has no lines like '000001.jpg 0'; download it again")
    return {name: int(number) for name, number in rows}
