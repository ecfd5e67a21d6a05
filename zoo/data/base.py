"""What every image data set has in common: splits, the training stream, and the error for absent files."""

import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lightning.pytorch import LightningDataModule

from zoo.data.arrays import ImageArray
from zoo.data.files import FILTERS
from zoo.data.growing import GrowingStream, pyramid
from zoo.data.stream import ImageStream
from zoo.errors import DataError, DataNotFoundError

if TYPE_CHECKING:
    from zoo.nn.schedules import GrowthSchedule

Split = Literal["train", "validation", "test"]


class ImageDataModule(LightningDataModule):
    """A data set of images as uint8 tensors.

    Its constructor has the arguments that all data sets share. A data set that adds some takes these as `**base` and
    passes them on: the command line finds their types, defaults and help by following that call.

    Args:
        root: folder with the files; None means the environment variable ZOO_DATA, else ./data.
        batch_size: real images per discriminator update, summed over all devices (as the papers count them).
        resolution: side of the square images in pixels; None is the data set's own.
        horizontal_flip: mirror each image with probability 1/2, drawn anew each epoch.
        train_images: train on the first n images only, the rest of the training split being the validation split;
            None trains on all of them (there is no hidden hold-out).
        seed: of the order of the images and of the flips.
        interpolation: how Pillow brings images to another size: "lanczos" or "bilinear".

    Raises:
        DataError: a size below 1, or another interpolation.
    """

    name: str
    licence: str
    labelled_classes: int | None = None
    channels: int = 3
    native_resolution: int
    extractor: str = "efficientnet"  # network that measures such images: "lenet" knows digits alone
    measures: tuple[str, ...] = ()  # of zoo.metrics.measures.OF_PIXELS, which such images have besides

    def __init__(
        self,
        *,
        root: str | None = None,
        batch_size: int = 64,
        resolution: int | None = None,
        horizontal_flip: bool = False,
        train_images: int | None = None,
        seed: int = 0,
        interpolation: Literal["lanczos", "bilinear"] = "lanczos",
    ) -> None:
        super().__init__()
        for key, value in (
            ("batch_size", batch_size),
            ("resolution", resolution),
            ("train_images", train_images),
        ):
            if value is not None and value < 1:
                raise DataError(f"{key}={value} must be at least 1")
        self.root = Path(root or os.environ.get("ZOO_DATA") or "data").expanduser()
        self.batch_size = batch_size
        self.resolution = resolution
        self.horizontal_flip = horizontal_flip
        self.train_images = train_images
        if interpolation not in FILTERS:
            raise DataError(f"interpolation={interpolation!r}: it is 'lanczos' or 'bilinear'")
        self.seed = seed
        self.interpolation = interpolation
        self._splits: dict[Split, ImageArray] = {}

    @property
    def mixed(self) -> bool:
        """Whether the first n images of a split are a sample of it, rather than all of one class."""
        return True

    @property
    def num_classes(self) -> int | None:
        """The number of classes, or None for unlabelled data."""
        return self.labelled_classes

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(C, H, W)."""
        side = self.resolution or self.native_resolution
        return self.channels, side, side

    @property
    def splits(self) -> tuple[Split, ...]:
        """The splits that there are, training first. Reads no image."""
        held_out: tuple[Split, ...] = () if self.train_images is None else ("validation",)
        return tuple(dict.fromkeys((*self._official_splits(), *held_out)))

    def split(self, name: Split) -> ImageArray:
        """The images of a split, in a fixed order. Decodes (and where allowed downloads) on first use.

        Raises ValueError where the data set has no such split, DataNotFoundError where its files are absent.
        """
        if name not in ("train", "validation", "test"):
            raise DataError(f"split {name!r}: there are 'train', 'validation' and 'test'")
        if name not in self._splits:
            self._splits[name] = self._split(name)
        return self._splits[name]

    def prepare_data(self) -> None:
        """Download and decode the training split, on one process per node; the others then find the cache.

        The other splits are decoded when they are first asked for: to train, nobody needs to have them.
        """
        growth = self._growth()
        if growth is not None and self.trainer is not None and self.trainer.training:
            pyramid(self.split("train"), start=growth.start, final=growth.final)
        else:
            self._load("train")

    def setup(self, stage: str | None = None) -> None:
        """Read the decoded images (stage "fit"); the evaluation asks for its own split when it needs it."""
        if stage in ("fit", None):
            self.split("train")

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint says of the data: fingerprint and number of the training images, names of classes; and the
        fingerprints of the other splits in use, which measures compare with."""
        train = self.split("train")
        names = None if train.class_names is None else list(train.class_names)
        others = {name: split.fingerprint for name, split in self._splits.items() if name != "train"}
        return {"fingerprint": train.fingerprint, "images": len(train), "class_names": names, "others": others}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Raises DataError where a training is to go on with other images than those of its checkpoint."""
        if self.trainer is None or not self.trainer.training:
            return
        train = self.split("train")
        advice = (
            "one run has one data set. Bring the images back, or begin a run of its own with them: --init_from "
            "CHECKPOINT starts from its weights"
        )
        if state_dict.get("fingerprint", train.fingerprint) != train.fingerprint:
            raise DataError(
                f"{self.name} at {self.root} holds other images than this run was trained on ({len(train):,} now, "
                f"{state_dict.get('images', 'others')} then): {advice}"
            )
        for name, fingerprint in state_dict.get("others", {}).items():
            if self.split(name).fingerprint != fingerprint:
                raise DataError(
                    f"{self.name} at {self.root} holds other images of the {name} split than this run was measured "
                    f"against: {advice}"
                )

    def train_dataloader(self) -> ImageStream | GrowingStream:
        """The training stream of this process, beginning at the module's counter `images_seen` (0 where it
        has none). A module with a schedule `growth` gets its images and batches at the sizes of the schedule.
        """
        trainer = self.trainer
        module = None if trainer is None else trainer.lightning_module
        if (growth := self._growth()) is not None:
            return GrowingStream(
                self.split("train"),
                growth=growth,
                seed=self.seed,
                horizontal_flip=self.horizontal_flip,
                rank=0 if trainer is None else trainer.global_rank,
                world_size=1 if trainer is None else trainer.world_size,
                position=lambda: int(getattr(module, "images_seen", 0)),
            )
        return ImageStream(
            self.split("train"),
            batch_size=self.batch_size,
            seed=self.seed,
            horizontal_flip=self.horizontal_flip,
            rank=0 if trainer is None else trainer.global_rank,
            world_size=1 if trainer is None else trainer.world_size,
            position=lambda: int(getattr(module, "images_seen", 0)),
        )

    def test_dataloader(self) -> "OneEmptyBatch":
        """One batch (None, None): `Trainer.test` is only driven by it, the metrics draw their own images."""
        return OneEmptyBatch()

    def _growth(self) -> "GrowthSchedule | None":
        """The schedule of the trainer's module, if that grows."""
        return None if self.trainer is None else getattr(self.trainer.lightning_module, "growth", None)

    def _split(self, name: Split) -> ImageArray:
        if name == "test" or (name == "validation" and self.train_images is None):
            return self._load(name)
        train = self._load("train")
        n = len(train) if self.train_images is None else self.train_images
        if n > len(train) or (name == "validation" and n == len(train)):
            raise DataError(f"{self.name}: train_images={n} of {len(train)} leaves no images for {name!r}")
        if n < len(train) and not self.mixed:
            warnings.warn(
                f"{self.name}: train_images={n} trains on the first images by name and holds out the last: where names "
                "or folders tell kinds of images, those are of other kinds than these. Folders train and validation, "
                "or folders that are classes (data.labelled), hold out some of each",
                stacklevel=2,
            )
        return train.slice(0, n) if name == "train" else train.slice(n, len(train))

    def _load(self, name: Split) -> ImageArray:
        """The official split `name`, whole. ValueError where there is none."""
        raise NotImplementedError

    def _official_splits(self) -> tuple[Split, ...]:
        return "train", "test"

    def _no_such_split(self, name: Split, why: str) -> DataError:
        hint = " Set train_images (data.train_images) to hold out images." if name == "validation" else ""
        return DataError(f"{self.name} has no {name} split: {why}.{hint}")


class OneEmptyBatch:
    """A loader of one batch without images. (A list would be taken for a collection of loaders.)"""

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[tuple[None, None]]:
        return iter([(None, None)])


def download(
    name: str,
    fetch: Callable[[str], Any],
    *,
    root: Path,
    looked_for: Iterable[Path | str],
) -> None:
    """Run `fetch(folder)` on a temporary folder beside root, then move the files it left to the same places
    in root.

    An interrupted download leaves nothing behind. Raises DataNotFoundError where it fails.
    """
    import tempfile

    sys.stderr.write(f"{name} is not in {root}: downloading it there\n")
    try:
        nearest = next(folder for folder in (root, *root.resolve().parents) if folder.is_dir())
        with tempfile.TemporaryDirectory(prefix=".download-", dir=nearest) as folder:
            fetch(folder)
            for file in sorted(path for path in Path(folder).rglob("*") if path.is_file()):
                target = root / file.relative_to(folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                file.replace(target)
    except Exception as error:  # URLError, a damaged archive, gdown's own when a quota is used up
        reason = f"The download failed: {type(error).__name__}: {' '.join(str(error).split())}"
        raise DataNotFoundError(name, looked_for=looked_for, reason=reason) from error
