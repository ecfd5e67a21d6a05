"""Schedules that several papers share, as pure functions of the module's counters."""

from collections.abc import Iterable
from typing import Any, NamedTuple


class SGDSchedule(NamedTuple):
    """Learning rate exponential in updates, momentum linear in epochs (Goodfellow et al. 2014; Mirza & Osindero 2014).

    Attributes:
        lr: initial learning rate.
        lr_decay: the learning rate is divided by this at every update.
        lr_min: floor of the learning rate.
        momentum_start: momentum up to and including epoch 1.
        momentum_end: momentum from epoch `momentum_epochs` on; linear in epochs between.
        momentum_epochs: epoch at which the momentum saturates.
        images_per_epoch: what is called an epoch.
    """

    lr: float
    lr_decay: float
    lr_min: float
    momentum_start: float
    momentum_end: float
    momentum_epochs: int
    images_per_epoch: int

    def learning_rate(self, updates: int) -> float:
        """After so many updates."""
        return max(self.lr_min, self.lr / self.lr_decay**updates)

    def momentum(self, epoch: int) -> float:
        """In this epoch, counted from 0."""
        share = min(1.0, max(0.0, (epoch - 1) / (self.momentum_epochs - 1)))
        return self.momentum_start + share * (self.momentum_end - self.momentum_start)

    def set(self, optimizers: Iterable[Any], *, updates: int, images_seen: int) -> None:
        """Puts both into every parameter group."""
        lr, momentum = self.learning_rate(updates), self.momentum(images_seen // self.images_per_epoch)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"], group["momentum"] = lr, momentum
