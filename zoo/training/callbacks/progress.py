"""One progress bar over the budget, in images."""

import time
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from tqdm import tqdm

from zoo.models.base.module import AdversarialModule
from zoo.training.callbacks.base import ZooCallback


class ImageProgress(ZooCallback, ProgressBar):
    """Images seen of the budget, images per second, time left and the last logged losses.

    Args:
        images: the budget, or None if it is not known in images.
        refresh_s: seconds between two refreshes; drawing the bar costs more than a step of a small network.
    """

    def __init__(self, *, images: int | None = None, refresh_s: float = 0.5) -> None:
        super().__init__()
        self.images = images
        self.refresh_s = refresh_s
        self.enabled = True
        self.drawn_at = 0.0
        self.bar: tqdm[Any] | None = None

    def disable(self) -> None:
        self.enabled = False

    def enable(self) -> None:
        self.enabled = True

    def begin(self, trainer: Trainer, module: AdversarialModule) -> None:
        if self.enabled and trainer.is_global_zero:
            self.bar = tqdm(
                total=self.images,
                initial=module.images_seen,
                unit="img",
                unit_scale=True,
                desc=module.paper or type(module).__name__,
                dynamic_ncols=True,
            )

    def after_batch(self, trainer: Trainer, module: AdversarialModule) -> None:
        if self.bar is not None and (trainer.should_stop or time.monotonic() - self.drawn_at > self.refresh_s):
            self.drawn_at = time.monotonic()
            names = {"loss_discriminator": "D", "loss_generator": "G"}
            losses = {names[key]: f"{value:.3f}" for key, value in module.latest.items() if key in names}
            self.bar.set_postfix(losses, refresh=False)
            self.bar.update(module.images_seen - self.bar.n)

    def end(self, trainer: Trainer, module: AdversarialModule) -> None:
        self.close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self.close()

    def close(self) -> None:
        """Leaves the finished bar on the screen."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None
