"""A batch of images or points as one picture."""

from pathlib import Path

import torch
from torch import Tensor

from zoo.experiments.pictures.captions import write_picture


def save_png(images: Tensor, path: Path, *, columns: int | None = None) -> None:
    """Writes images [N, C, H, W] in [-1, 1] as one PNG grid (or, with one image, as that image), in one step."""
    from PIL import Image
    from torchvision.utils import make_grid

    from zoo.metrics.quantize import to_uint8

    pixels = to_uint8(images.cpu())
    grid = pixels[0] if len(pixels) == 1 else make_grid(pixels, nrow=columns or round(len(pixels) ** 0.5), padding=2)
    write_picture(Image.fromarray(grid.permute(1, 2, 0).squeeze(2).numpy()), path)


def plot_points(points: Tensor, *, extent: float = 2.0, side: int = 256) -> Tensor:
    """Points [N, 2] of [-extent, extent]^2 as an image [1, side, side] in [-1, 1]: black where many lie, y upwards."""
    inside = points[(points.abs() < extent).all(dim=1)].float().cpu()
    cells = ((inside / extent + 1) / 2 * side).long().clamp(0, side - 1)  # [n, 2]: column, row from below
    counts = torch.bincount((side - 1 - cells[:, 1]) * side + cells[:, 0], minlength=side * side)
    ink = (counts.float() / 3).clamp(max=1)  # three points make a cell black
    return 1 - 2 * ink.view(1, side, side)
