"""Sample grids from fixed latents, so that the same digit or face is seen growing."""

from pathlib import Path
from typing import Any, cast

import torch
from lightning.pytorch import Trainer

from zoo.data import ImageDataModule
from zoo.experiments.pictures.grids import plot_points, save_grid, save_png
from zoo.models.base.module import AdversarialModule
from zoo.runs.folder import name_at
from zoo.training.callbacks.base import ZooCallback
from zoo.training.callbacks.budget import Every
from zoo.training.telling import show_image

COLUMNS = 16  # classes, at most, that have a column each


class SampleGrid(ZooCallback):
    """Writes `grids/images-XXXXXXXXX.png` from the same latents before training, every N images, and at the end.

    Args:
        folder: where the grids go.
        every: images between two grids, or None for the first and the last alone.
        n: images on a grid, a square number. Points in the plane are drawn 5,000 at a time. Conditional papers have
            sqrt(n) rows, and a column for each class.
        seed: of the fixed latents (and of the labels, where there are too many classes for columns).
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
        """Draws the grid and hands it to the loggers (rank zero only)."""
        self.written = module.images_seen
        if not trainer.is_global_zero:
            return
        path = self.folder / f"{name_at(module.images_seen)}.png"
        if len(module.image_shape) == 3:
            self.draw(trainer, module, path)
        else:
            save_png(plot_points(module.sample(5_000, seed=self.seed))[None], path)
        show_image(trainer.loggers, "grid", path, module.images_seen)

    def draw(self, trainer: Trainer, module: AdversarialModule, path: Path) -> None:
        """A square of samples; of a conditional paper a column for each class, unless there are too many."""
        side, classes = round(self.n**0.5), module.num_classes
        if classes is None or not 1 < classes <= COLUMNS:
            save_grid(module.sample(self.n, seed=self.seed), path, columns=side)
            return
        labels = torch.arange(classes, device=module.device).repeat(side)
        data = cast(Any, trainer).datamodule
        known = data.split("train").class_names if isinstance(data, ImageDataModule) else None
        names = known or tuple(map(str, range(classes)))
        save_grid(module.sample(len(labels), labels=labels, seed=self.seed), path, columns=classes, labels=names)
