"""Progress over the budget, in images: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from datetime import datetime
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from tqdm import tqdm

from zoo.models.base.module import AdversarialModule
from zoo.runs.text import duration
from zoo.training.callbacks.base import ZooCallback


class ImageProgress(ZooCallback, ProgressBar):
    """Images seen of the budget, images per second, time left and the last logged losses.

    Where standard error is no terminal, these are plain lines, each with its time: at the start, every `line_s`
    seconds, and at the end.

    Args:
        images: the budget, or None if it is not known in images.
        refresh_s: seconds between two refreshes; drawing the bar costs more than a step of a small network.
        line_s: seconds between two lines.
    """

    def __init__(self, *, images: int | None = None, refresh_s: float = 0.5, line_s: float = 60.0) -> None:
        super().__init__()
        self.images = images
        self.refresh_s = refresh_s
        self.line_s = line_s
        self.lines = False
        self.began, self.first = 0.0, 0  # time and images at the start of this process
        self.enabled = True
        self.drawn_at = 0.0
        self.bar: tqdm[Any] | None = None

    def disable(self) -> None:
        self.enabled = False

    def enable(self) -> None:
        self.enabled = True

    def begin(self, trainer: Trainer, module: AdversarialModule) -> None:
        self.began = self.drawn_at = time.monotonic()
        self.first = module.images_seen
        self.lines = self.enabled and trainer.is_global_zero and not sys.stderr.isatty()
        if self.lines:
            self.write_line(module)
        elif self.enabled and trainer.is_global_zero:
            self.bar = tqdm(
                total=self.images,
                initial=module.images_seen,
                unit="img",
                unit_scale=True,
                desc=module.paper or type(module).__name__,
                dynamic_ncols=True,
            )

    def after_batch(self, trainer: Trainer, module: AdversarialModule) -> None:
        if self.lines and (trainer.should_stop or time.monotonic() - self.drawn_at > self.line_s):
            self.write_line(module)
        if self.bar is not None and (trainer.should_stop or time.monotonic() - self.drawn_at > self.refresh_s):
            self.drawn_at = time.monotonic()
            self.bar.set_postfix(self.losses(module), refresh=False)
            self.bar.update(module.images_seen - self.bar.n)

    def losses(self, module: AdversarialModule) -> dict[str, str]:
        """Those that were logged last."""
        names = {"loss_discriminator": "D", "loss_generator": "G"}
        return {names[key]: f"{value:.3f}" for key, value in module.latest.items() if key in names}

    def write_line(self, module: AdversarialModule) -> None:
        """One line on standard error."""
        self.drawn_at = time.monotonic()
        parts = [f"{module.images_seen:,}" + (f" of {self.images:,}" if self.images else "") + " images"]
        if module.images_seen > self.first:
            speed = (module.images_seen - self.first) / max(self.drawn_at - self.began, 1e-3)
            parts.append(f"{speed:,.0f} images/s")
            if self.images:
                parts.append(f"{duration(max(self.images - module.images_seen, 0) / speed)} left")
        parts += [f"{name} {value}" for name, value in self.losses(module).items()]
        sys.stderr.write(f"{datetime.now():%H:%M:%S} {module.paper or type(module).__name__}: {', '.join(parts)}\n")
        sys.stderr.flush()

    def end(self, trainer: Trainer, module: AdversarialModule) -> None:
        self.close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self.close()

    def close(self) -> None:
        """Leaves the finished bar on the screen."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None
