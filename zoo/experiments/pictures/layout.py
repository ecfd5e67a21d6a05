"""How a sample grid is laid out, written into its file, so that it can be cut again into the images it shows. No torch.

A grid is enlarged until single pixels can be seen, and has a line of labels above it where its columns are classes.
Files without a layout are as they were before there was one: not enlarged, without labels.
"""

import json
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL.Image import Image

KEY = "grid"  # of the text in the PNG
GAP = 2  # pixels between the images and around them, before they are enlarged
SMALL, LEAST, MOST, WIDE = 64, 4, 8, 128  # sides below SMALL are enlarged LEAST to MOST times, about as far as WIDE

Pixels = npt.NDArray[np.uint8]


class Layout(NamedTuple):
    """Attributes: times that pixels are repeated, height in pixels of what stands above."""

    scale: int = 1
    top: int = 0

    def as_text(self) -> str:
        """For the file."""
        return json.dumps(self._asdict())


def scale_for(side: int) -> int:
    """How often the pixels of images of this side are repeated."""
    return 1 if side >= SMALL else min(MOST, max(LEAST, WIDE // side))


def layout_of(picture: "Image") -> Layout:
    """That of an opened file."""
    try:
        found = json.loads(picture.info.get(KEY, "{}"))
        layout = Layout(**found)
    except (TypeError, ValueError):
        return Layout()
    fits = all(type(n) is int for n in layout) and layout.scale >= 1 and 0 <= layout.top < picture.height
    return layout if fits else Layout()


def plain(picture: "Image") -> "Image":
    """The grid alone, each pixel once."""
    layout = layout_of(picture)
    if layout == Layout():
        return picture
    grid = picture.crop((0, layout.top, picture.width, picture.height))
    size = (max(1, grid.width // layout.scale), max(1, grid.height // layout.scale))
    return grid.resize(size, 0)  # nearest


def tiles_of(picture: "Image", *, side: int, n: int) -> Pixels:
    """The first n images of a grid of side x side images, row by row: uint8 [n, side, side, C]; or all it has."""
    pixels: Pixels = np.array(plain(picture), dtype=np.uint8)
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    step = side + GAP
    down, across = ((length - GAP) // step for length in pixels.shape[:2])
    corners = [(GAP + i // across * step, GAP + i % across * step) for i in range(min(n, down * across))]
    tiles = [pixels[top : top + side, left : left + side] for top, left in corners]
    return np.stack(tiles) if tiles else np.zeros((0, side, side, pixels.shape[2]), np.uint8)
