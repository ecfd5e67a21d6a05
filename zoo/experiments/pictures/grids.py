"""A batch of images or points as one picture."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from zoo.experiments.pictures.captions import LINE, font, width_of, write_picture
from zoo.experiments.pictures.layout import GAP, KEY, Layout, scale_for, tiles_of


def save_png(images: Tensor, path: Path, *, columns: int | None = None) -> None:
    """Writes images [N, C, H, W] in [-1, 1] as one PNG grid (or, with one image, as that image), in one step."""
    from PIL import Image
    from torchvision.utils import make_grid

    from zoo.metrics.quantize import to_uint8

    pixels = to_uint8(images.cpu())
    grid = pixels[0] if len(pixels) == 1 else make_grid(pixels, nrow=columns or round(len(pixels) ** 0.5), padding=2)
    write_picture(Image.fromarray(grid.permute(1, 2, 0).squeeze(2).numpy()), path)


def save_grid(images: Tensor, path: Path, *, columns: int, labels: Sequence[str] = ()) -> None:
    """Writes images [N, C, H, W] in [-1, 1] as a grid that is large enough to be looked at.

    Args:
        images: row by row.
        path: of the PNG, whose `Layout` it keeps.
        columns: number of images in a row.
        labels: one above each column.
    """
    from PIL import Image
    from PIL.ImageDraw import Draw
    from torchvision.utils import make_grid

    from zoo.metrics.quantize import to_uint8

    scale = scale_for(images.shape[-1])
    grid = make_grid(to_uint8(images.cpu()), nrow=columns, padding=GAP)
    grid = grid.repeat_interleave(scale, 1).repeat_interleave(scale, 2)
    picture = Image.fromarray(grid.permute(1, 2, 0).numpy())
    top = LINE + 2 * GAP if labels else 0
    if labels:
        above = Image.new("RGB", (picture.width, picture.height + top), "white")
        above.paste(picture, (0, top))
        step = (images.shape[-1] + GAP) * scale
        for i, label in enumerate(labels):
            left = GAP * scale + i * step
            text = shortened(label, width=step - GAP)
            Draw(above).text((left + (step - GAP * scale) / 2, top / 2), text, fill="black", font=font(), anchor="mm")
        picture = above
    write_picture(picture, path, texts={KEY: Layout(scale, top).as_text()})


def images_in(path: Path, *, side: int, n: int) -> Tensor:
    """The first n images of a grid of side x side images, row by row, or all it has: [n, C, side, side] in [-1, 1]."""
    from PIL.Image import open as open_image

    with open_image(path, formats=("PNG",)) as picture:
        tiles = torch.from_numpy(tiles_of(picture, side=side, n=n))
    return tiles.permute(0, 3, 1, 2).float() / 127.5 - 1


def shortened(text: str, *, width: int) -> str:
    """As much of a text as fits into so many pixels."""
    if width_of(text) <= width:
        return text
    while len(text) > 1 and width_of(text + "…") > width:
        text = text[:-1]
    return text + "…"


def plot_points(points: Tensor, *, extent: float = 2.0, side: int = 256) -> Tensor:
    """Points [N, 2] of [-extent, extent]^2 as an image [1, side, side] in [-1, 1]: black where many lie, y upwards."""
    inside = points[(points.abs() < extent).all(dim=1)].float().cpu()
    cells = ((inside / extent + 1) / 2 * side).long().clamp(0, side - 1)  # [n, 2]: column, row from below
    counts = torch.bincount((side - 1 - cells[:, 1]) * side + cells[:, 0], minlength=side * side)
    ink = (counts.float() / 3).clamp(max=1)  # three points make a cell black
    return 1 - 2 * ink.view(1, side, side)
