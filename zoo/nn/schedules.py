"""Schedules that several papers share, as pure functions of the module's counters."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from zoo.nn.layers import resolutions


@dataclass(frozen=True)
class SGDSchedule:
    """Learning rate exponential in updates, momentum linear in epochs (Goodfellow et al. 2014; Mirza & Osindero 2014).

    Args:
        lr: initial learning rate.
        lr_decay: the learning rate is divided by this at every update; 1 or more.
        lr_min: floor of the learning rate.
        momentum_start: momentum up to and including epoch `momentum_first_epoch`.
        momentum_end: momentum from epoch `momentum_epochs` on; linear in epochs between.
        momentum_epochs: epoch at which the momentum saturates, counted from 0.
        images_per_epoch: what is called an epoch.
        momentum_first_epoch: epoch after which the momentum grows, counted from 0.

    Raises:
        ValueError: a floor above the learning rate, or a momentum that saturates before it grows.
    """

    lr: float
    lr_decay: float
    lr_min: float
    momentum_start: float
    momentum_end: float
    momentum_epochs: int
    images_per_epoch: int
    momentum_first_epoch: int = 1

    def __post_init__(self) -> None:
        if self.lr_min > self.lr:
            raise ValueError(f"lr={self.lr} is below its floor, lr_min={self.lr_min}: set lr_min as well")
        if self.momentum_first_epoch >= self.momentum_epochs:
            raise ValueError(
                f"momentum_first_epoch={self.momentum_first_epoch} must be below momentum_epochs={self.momentum_epochs}"
            )

    def learning_rate(self, updates: int) -> float:
        """After so many updates."""
        if updates * math.log(self.lr_decay) > 700:  # the power is near the largest float
            return self.lr_min
        return max(self.lr_min, self.lr / self.lr_decay**updates)

    def momentum(self, epoch: int) -> float:
        """In this epoch, counted from 0."""
        first = self.momentum_first_epoch
        share = min(1.0, max(0.0, (epoch - first) / (self.momentum_epochs - first)))
        return self.momentum_start + share * (self.momentum_end - self.momentum_start)

    def set(self, optimizers: Iterable[Any], *, updates: int, images_seen: int) -> None:
        """Puts both into every parameter group."""
        lr, momentum = self.learning_rate(updates), self.momentum(images_seen // self.images_per_epoch)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"], group["momentum"] = lr, momentum


Value = TypeVar("Value", int, float)


#: Global batch by resolution and number of devices in the authors' released configurations; the entry of the largest
#: resolution that is not above the stage's holds.
RELEASED_BATCH_SIZES: Mapping[int, Mapping[int, int]] = {
    1: {4: 128, 32: 64, 64: 32, 128: 16, 256: 8, 512: 4},
    2: {4: 256, 16: 128, 32: 64, 64: 32, 128: 16, 256: 8},
    4: {4: 512, 8: 256, 16: 128, 32: 64, 64: 32, 128: 16},
    8: {4: 512, 8: 256, 16: 128, 32: 64, 64: 32},
}


class Stage(NamedTuple):
    """What holds for one batch.

    Attributes:
        resolution: side of reals and samples in pixels.
        alpha: weight of the newest layers, in (0, 1]; 1 while nothing fades.
        batch_size: real images per update of D, over all devices.
        lr: learning rate of both players.
    """

    resolution: int
    alpha: float
    batch_size: int
    lr: float


@dataclass(frozen=True)
class GrowthSchedule:
    """Resolution, alpha, batch and learning rate as a function of the real images seen.

    Args:
        final: the resolution that is grown to, a power of two.
        start: the resolution that is begun with; equal to `final`, nothing grows.
        stabilise_images: real images shown at each resolution before the next one fades in.
        fade_images: real images shown while a resolution fades in.
        batch_sizes: global batch from a resolution on: {4: 16, 256: 14} is 16 up to 128x128 and 14 above.
        lrs: learning rate from a resolution on, likewise.
        ramp_up_images: the learning rate is multiplied by exp(-5 (1 - t)^2) while t = images seen / this is below 1.

    Raises:
        ValueError: resolutions that are no powers of two, a phase without images, a table without an entry for
            `start`, or a value out of range.
    """

    final: int
    start: int = 4
    stabilise_images: int = 800_000
    fade_images: int = 800_000
    batch_sizes: Mapping[int, int] = field(default_factory=lambda: {4: 16})
    lrs: Mapping[int, float] = field(default_factory=lambda: {4: 1e-3})
    ramp_up_images: int = 0

    def __post_init__(self) -> None:
        resolutions(self.final, start=self.start)
        if min(self.stabilise_images, self.fade_images, self.ramp_up_images) < 0:
            raise ValueError("stabilise_images, fade_images and ramp_up_images must not be negative")
        if self.doublings and self.stabilise_images + self.fade_images < 1:
            raise ValueError("stabilise_images and fade_images are both 0: growing takes images")
        tables: dict[str, Mapping[int, float]] = {"batch_sizes": self.batch_sizes, "lrs": self.lrs}
        for name, table in tables.items():
            if not table or min(table) > self.start:
                raise ValueError(f"{name}={dict(table)} has no entry for the resolution {self.start} or below")
            if not all(0 < value < math.inf for value in table.values()):
                raise ValueError(f"{name}={dict(table)} must be positive")

    @property
    def doublings(self) -> int:
        """How often the resolution doubles."""
        return (self.final // self.start).bit_length() - 1

    @property
    def grown_at(self) -> int:
        """Images seen when the final resolution is fully in."""
        return self.doublings * (self.stabilise_images + self.fade_images)

    def at(self, images_seen: int) -> Stage:
        """The stage of the batch whose first image is number `images_seen` of the run."""
        doubled, faded = self._progress(images_seen)
        resolution = self.start << (doubled + (faded > 0))
        lr = _entry(self.lrs, resolution)
        if images_seen < self.ramp_up_images:
            lr *= math.exp(-5 * (1 - images_seen / self.ramp_up_images) ** 2)
        return Stage(resolution, faded or 1.0, self.batch_size(resolution), lr)

    def batch_size(self, resolution: int) -> int:
        """Real images per update of D at a resolution, over all devices."""
        return _entry(self.batch_sizes, resolution)

    def phase(self, images_seen: int) -> int:
        """2k while the resolution start * 2^k stabilises, 2k + 1 while the next one fades in."""
        doubled, faded = self._progress(images_seen)
        return 2 * doubled + (faded > 0)

    def _progress(self, images_seen: int) -> tuple[int, float]:
        """Doublings completed, and the alpha of the next one in [0, 1)."""
        if images_seen >= self.grown_at:
            return self.doublings, 0.0
        doubled, within = divmod(images_seen, self.stabilise_images + self.fade_images)
        return doubled, max(0, within - self.stabilise_images) / max(1, self.fade_images)


def _entry(table: Mapping[int, Value], resolution: int) -> Value:
    return table[max(key for key in table if key <= resolution)]


def by_resolution(table: Mapping[int, Value] | None) -> dict[int, Value] | None:
    """A table of settings with whole numbers as keys: checkpoints of the command line keep those as text."""
    return None if table is None else {int(resolution): value for resolution, value in table.items()}
