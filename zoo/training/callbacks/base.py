"""The base of the callbacks: the moments they act at, with the module as what it is."""

from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer

from zoo.data import ImageDataModule
from zoo.errors import UsageError
from zoo.models.base.module import AdversarialModule


class ZooCallback(Callback):
    """Lightning's hooks `on_train_start`, `on_train_batch_end` and `on_train_end`, for this project's modules.

    A callback overrides `begin`, `after_batch` and `end`, as many of them as it needs.
    """

    def begin(self, trainer: Trainer, module: AdversarialModule) -> None:
        """Training starts, or is resumed."""

    def after_batch(self, trainer: Trainer, module: AdversarialModule) -> None:
        """A batch was trained on; the module's counters know it."""

    def end(self, trainer: Trainer, module: AdversarialModule) -> None:
        """Training has come to its end (not: was interrupted)."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        module = cast(AdversarialModule, pl_module)
        module.begin_training()  # Lightning's callbacks come before the module's own hook
        self.begin(trainer, module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.after_batch(trainer, cast(AdversarialModule, pl_module))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.end(trainer, cast(AdversarialModule, pl_module))


def data_of(trainer: Trainer) -> ImageDataModule:
    """The trainer's data set.

    Raises:
        UsageError: it is trained on a loader of somebody's own.
    """
    data = cast(Any, trainer).datamodule
    if not isinstance(data, ImageDataModule):
        raise UsageError(
            "this callback compares with the training images of a data set of zoo.data, and the Trainer has none: give "
            "it one, fit(model, datamodule=data), or leave the callback (or its `every`) out"
        )
    return data
