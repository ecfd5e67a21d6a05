"""Stacked MNIST: three digits in the channels of one image, 1,000 combinations that a generator can forget."""

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np

from zoo.data.arrays import Decoded, ImageArray, UInt8Array, cached
from zoo.data.base import ImageDataModule, Split
from zoo.data.digits import Digits
from zoo.data.mnist import MNIST, SIDE
from zoo.errors import DataError

SEEDS: dict[Split, int] = {"train": 0, "test": 1}
HELD_OUT = 10_000  # images of the test split, at most
CLASSES = tuple(f"{k:03}" for k in range(1_000))


class StackedMNIST(ImageDataModule):
    """Three digits, drawn at random, as red, green and blue; label 100 red + 10 green + blue (Metz et al. 2017).

    The draws are the same for everyone. Files and resolutions as for MNIST, or none: see `digits`. The test split is of
    MNIST's test digits. `zoo.metrics.modes` counts the combinations that samples show.

    Args:
        digits: "mnist", or "embedded": the 5,000 of `Digits`, which has no test split.
        stacks: images of the training split; 128,000 in PacGAN (Lin et al. 2018), 1,000,000 in progressive GAN.
        download: where no files are found, let torchvision fetch MNIST into root.
        base: see ImageDataModule.

    Raises:
        DataError: other digits, or no stacks.
    """

    name = "StackedMNIST"
    extractor = "resnet"
    licence = MNIST.licence
    labelled_classes = 1_000
    channels = 3
    native_resolution = SIDE
    measures = ("modes",)

    def __init__(
        self,
        *,
        digits: Literal["mnist", "embedded"] = "mnist",
        stacks: int = 128_000,
        download: bool = True,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        if digits not in ("mnist", "embedded") or stacks < 1:
            raise DataError(f"digits={digits!r}, stacks={stacks}: digits is 'mnist' or 'embedded', stacks at least 1")
        self.digits, self.stacks, self.download = digits, stacks, download

    def _load(self, name: Split) -> ImageArray:
        if name not in self._official_splits():
            raise self._no_such_split(name, f"there are {' and '.join(self._official_splits())} stacks of these digits")
        single = self._singles().split(name)
        n = self.stacks if name == "train" else min(self.stacks, HELD_OUT)
        drawn = np.random.RandomState(SEEDS[name]).randint(len(single), size=(n, 3))
        assert single.labels is not None
        labels = single.labels.numpy()[drawn] @ np.array([100, 10, 1])
        side = single.images.shape[-1]

        def chunks() -> Iterator[UInt8Array]:
            pixels = single.images[:, 0].numpy()
            yield from (pixels[part] for part in np.array_split(drawn, max(1, n // 4_096)))

        recipe = {"data": self.name, "split": name, "stacks": n, "seed": SEEDS[name]}
        return cached(
            "stacked",
            lambda: Decoded(chunks(), n, (3, side, side), labels, CLASSES),
            source=single.fingerprint,
            recipe=recipe,
        )

    def _singles(self) -> ImageDataModule:
        """The digits to draw from."""
        settings: dict[str, Any] = {"resolution": self.resolution, "interpolation": self.interpolation}
        if self.digits == "embedded":
            return Digits(**settings)
        return MNIST(root=str(self.root), download=self.download, **settings)

    def _official_splits(self) -> tuple[Split, ...]:
        return ("train",) if self.digits == "embedded" else ("train", "test")
