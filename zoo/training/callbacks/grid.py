"""Sample grids from fixed latents, so that the same digit or face is seen growing."""

from pathlib import Path

import torch
from lightning.pytorch import Trainer

from zoo.experiments.pictures.grids import plot_points, save_png
from zoo.models.base.module import AdversarialModule
from zoo.runs.folder import name_at
from zoo.training.callbacks.base import ZooCallback
from zoo.training.callbacks.budget import Every


class SampleGrid(ZooCallback):
    """Writes `grids/images-XXXXXXXXX.png` from the same latents before training, every N images, and at the end.

    Args:
        folder: where the grids go.
        every: images between two grids, or None for the first and the last alone.
        n: images on a grid, a square number. Points in the plane are drawn 5,000 at a time.
        seed: of the fixed latents (and labels, drawn uniformly, for conditional papers).
    """

    def __init__(self, folder: Path, *, every: int | None = None, n: int = 64, seed: int = 0) -> None:
        self.folder = folder
        self.due = Every(every)
        self.n = n
        self.seed = seed
        self.written: int | None = None

    def begin(self, trainer: Trainer, module: AdversarialModule) -> None:
        self.due.last = module.images_seen
        if module.images_seen == 0:
            self.write(trainer, module)

    def after_batch(self, trainer: Trainer, module: AdversarialModule) -> None:
        if self.due.due(module.images_seen) or trainer.should_stop:
            self.write(trainer, module)

    def end(self, trainer: Trainer, module: AdversarialModule) -> None:
        if self.written != module.images_seen:  # stopped by the trainer's own limit
            self.write(trainer, module)

    @torch.no_grad()
    def write(self, trainer: Trainer, module: AdversarialModule) -> None:
        """Draws the grid and hands it to the loggers that show images (rank zero only)."""
        self.written = module.images_seen
        if not trainer.is_global_zero:
            return
        path = self.folder / f"{name_at(module.images_seen)}.png"
        if len(module.image_shape) == 3:
            save_png(module.sample(self.n, seed=self.seed), path)
        else:
            save_png(plot_points(module.sample(5_000, seed=self.seed))[None], path)
        for logger in trainer.loggers:
            if hasattr(logger, "log_image"):
                logger.log_image("grid", path, module.images_seen)
