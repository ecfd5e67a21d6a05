"""Rows of images with their captions: each pixel stays one, or becomes a square of whole pixels; texts lie outside.

(`zoo.experiments.pictures.growing.labelled` has captions, too, but is a matplotlib figure, which resamples.)
"""

from collections.abc import Mapping, Sequence
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from zoo.runs.folder import replacing

if TYPE_CHECKING:
    from PIL.Image import Image

TILE = 64  # images narrower than half of it are enlarged
GAP, MARGIN = 4, 8  # pixels between images, and around all
SIZE, LINE = 11, 16  # of letters, and from one line to the next
NARROWEST = 360  # pixels of a picture, so that its title stays a line or two


def captioned(
    images: Tensor,
    *,
    title: str = "",
    columns: Sequence[str] = (),
    rows: Sequence[str] = (),
    cells: Sequence[Sequence[str]] = (),
) -> "Image":
    """Images under a title, with a text above each column, before each row and below each image.

    Args:
        images: [rows, columns, C, H, W] in [-1, 1].
        title: as many lines as it needs.
        columns: one line each; columns are as far apart as these texts need.
        rows: one line each.
        cells: texts below the images, [rows][columns].

    Returns:
        An RGB picture on white. Small images are enlarged by a whole number.
    """
    from PIL.Image import fromarray
    from PIL.Image import new as new_image
    from PIL.ImageDraw import Draw

    tiles = enlarged(images)  # [rows, columns, h, w, 3]
    n_rows, n_columns, high, wide = tiles.shape[:4]
    step = max([wide, *map(width_of, columns), *(width_of(text) for row in cells for text in row)]) + GAP
    left = MARGIN + max((width_of(text) + MARGIN for text in rows), default=0)
    total = max(left + n_columns * step - GAP + MARGIN, NARROWEST)
    lines = wrapped(title, total - 2 * MARGIN)
    top = MARGIN + LINE * (len(lines) + bool(columns)) + (MARGIN // 2 if lines or columns else 0)
    down = high + (LINE if cells else 0) + GAP
    picture = new_image("RGB", (total, top + n_rows * down - GAP + MARGIN), "white")
    write = partial(Draw(picture).text, fill="black", font=font())
    for i, line in enumerate(lines):
        write((MARGIN, MARGIN + (i + 0.5) * LINE), line, anchor="lm")
    for j, text in enumerate(columns):
        write((left + j * step + (step - GAP) / 2, top - LINE / 2 - 2), text, anchor="mm")
    for i, text in enumerate(rows):
        write((left - MARGIN, top + i * down + high / 2), text, anchor="rm")
    for i, j in product(range(n_rows), range(n_columns)):
        x, y = left + j * step + (step - GAP - wide) // 2, top + i * down
        picture.paste(fromarray(tiles[i, j].numpy()), (x, y))
        if cells:
            write((x + wide / 2, y + high + LINE / 2), cells[i][j], anchor="mm")
    return picture


def enlarged(images: Tensor) -> Tensor:
    """[rows, columns, C, H, W] in [-1, 1] as uint8 [rows, columns, h, w, 3], h and w the same multiple of H and W."""
    from zoo.metrics.quantize import to_uint8

    times = max(1, TILE // images.shape[-1])
    pixels = to_uint8(images.cpu()).expand(*images.shape[:2], 3, *images.shape[3:]).permute(0, 1, 3, 4, 2)
    large: Tensor = torch.repeat_interleave(torch.repeat_interleave(pixels, times, 2), times, 3)
    return large


@cache
def font() -> Any:
    """The letters of matplotlib's figures."""
    import matplotlib
    from PIL import ImageFont

    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), SIZE)


def width_of(text: str) -> int:
    """Pixels of a line."""
    return int(font().getlength(text)) + 1


def wrapped(text: str, width: int) -> list[str]:
    """The words of a text in lines of at most `width` pixels; a word that is wider stands alone."""
    lines: list[str] = []
    for word in text.split():
        if lines and width_of(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def write_picture(picture: "Image", path: Path, *, texts: Mapping[str, str] | None = None) -> None:
    """Writes a picture as PNG in one step; `texts` are kept in the file, by key."""
    from PIL.PngImagePlugin import PngInfo

    kept = PngInfo()
    for key, text in (texts or {}).items():
        kept.add_text(key, text)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, sync=False) as temporary:
        picture.save(temporary, format="PNG", pnginfo=kept)
