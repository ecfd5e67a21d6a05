"""Sample grids from fixed latents, so that the same digit or face is seen growing."""

import os
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor

from zoo.models.base.module import AdversarialModule
from zoo.training.callbacks.budget import Every


def save_png(images: Tensor, path: Path, *, columns: int | None = None) -> None:
    """Writes images [N, C, H, W] in [-1, 1] as one PNG grid (or, with one image, as that image), in one step."""
    from PIL import Image
    from torchvision.utils import make_grid

    from zoo.metrics.quantize import to_uint8

    pixels = to_uint8(images.cpu())
    grid = pixels[0] if len(pixels) == 1 else make_grid(pixels, nrow=columns or round(len(pixels) ** 0.5), padding=2)
    array = grid.permute(1, 2, 0).squeeze(2).numpy()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.tmp-{os.getpid()}")
    Image.fromarray(array).save(temporary, format="PNG")
    os.replace(temporary, path)


def plot_points(points: Tensor, *, extent: float = 2.0, side: int = 256) -> Tensor:
    """Points [N, 2] of [-extent, extent]^2 as an image [1, side, side] in [-1, 1]: black where many lie, y upwards."""
    inside = points[(points.abs() < extent).all(dim=1)].float().cpu()
    cells = ((inside / extent + 1) / 2 * side).long().clamp(0, side - 1)  # [n, 2]: column, row from below
    counts = torch.bincount((side - 1 - cells[:, 1]) * side + cells[:, 0], minlength=side * side)
    ink = (counts.float() / 3).clamp(max=1)  # three points make a cell black
    return 1 - 2 * ink.view(1, side, side)


class SampleGrid(Callback):
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

    def on_train_start(self, trainer: Trainer, pl_module: AdversarialModule) -> None:  # type: ignore[override]
        self.due.last = pl_module.images_seen
        if pl_module.images_seen == 0:
            self.write(trainer, pl_module)

    def on_train_batch_end(  # type: ignore[override]
        self, trainer: Trainer, pl_module: AdversarialModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.due.due(pl_module.images_seen) or trainer.should_stop:
            self.write(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: AdversarialModule) -> None:  # type: ignore[override]
        if self.written != pl_module.images_seen:  # stopped by the trainer's own limit
            self.write(trainer, pl_module)

    @torch.no_grad()
    def write(self, trainer: Trainer, module: AdversarialModule) -> None:
        """Draws the grid and hands it to the loggers that show images (rank zero only)."""
        self.written = module.images_seen
        if not trainer.is_global_zero:
            return
        path = self.folder / f"images-{module.images_seen:09d}.png"
        if len(module.image_shape) == 3:
            save_png(module.sample(self.n, seed=self.seed), path)
        else:
            save_png(plot_points(module.sample(5_000, seed=self.seed))[None], path)
        for logger in trainer.loggers:
            if hasattr(logger, "log_image"):
                logger.log_image("grid", path, module.images_seen)
