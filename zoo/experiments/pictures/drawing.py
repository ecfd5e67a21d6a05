"""What the papers' figures share: axes, rows of images, and writing in one step."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from PIL.Image import Image
from torch import Tensor

from zoo.experiments.pictures.captions import write_picture
from zoo.experiments.pictures.grids import save_png
from zoo.runs.folder import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Drawings = Iterable[tuple[str, "Tensor | Image | Figure"]]
Array = npt.NDArray[np.float64]

BLUE, ORANGE, GREY = "#1f5fa8", "#d9692b", "#8a8a8a"  # told apart in print and by the colour-blind
SERIES = (BLUE, ORANGE, "#3a8f5c", "#7b4fa3", "#b23a48", GREY)


def new_figure(rows: int, columns: int, *, width: float, height: float) -> "tuple[Figure, list[list[Axes]]]":
    """An empty figure of `width` x `height` inches and its axes [rows][columns]; no window, no global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat:
        ax.spines[["top", "right"]].set_visible(False)
    return figure, [list(row) for row in axes]


def write(drawings: Drawings, folder: Path, *, suffix: str = "") -> list[Path]:
    """Writes NAME + suffix + ".png" for each drawing, each in one step; returns the files."""
    written = []
    for name, drawing in drawings:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}{suffix}.png"
        if isinstance(drawing, Tensor):
            save_png(drawing.flatten(0, 1), path, columns=drawing.shape[1])
        elif isinstance(drawing, Image):
            write_picture(drawing, path)
        else:
            with replacing(path, sync=False) as temporary:
                drawing.savefig(temporary, format="png", dpi=130, facecolor="white")
        written.append(path)
    return written


def show_images(ax: "Axes", images: Tensor, *, title: str | None = None, gap: int = 2) -> None:
    """Images [rows, columns, C, H, W] in [-1, 1] as one picture on `ax`."""
    from torchvision.utils import make_grid

    grid = make_grid(
        images.flatten(0, 1).float().clamp(-1, 1) / 2 + 0.5, nrow=images.shape[1], padding=gap, pad_value=1
    )
    ax.imshow(grid.permute(1, 2, 0).cpu().numpy(), interpolation="nearest")
    without_ticks(ax)
    if title:
        ax.set_title(title, fontsize=9, loc="left")


def without_ticks(ax: "Axes") -> None:
    """Takes ticks and frame away."""
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)


def series(rows: Iterable[dict[str, float]], name: str) -> tuple[Array, Array]:
    """(images_seen, value) [n] of the rows of a metrics.jsonl that hold `name` with a finite value."""
    points = [(row["images_seen"], row[name]) for row in rows if row.get(name) is not None]
    array: Array = np.array(points, dtype=np.float64).reshape(-1, 2)
    return array[:, 0], array[:, 1]


def density(points: Tensor, *, extent: float, side: int = 120, bandwidth: float = 0.05) -> Array:
    """Gaussian kernel density of points [N, 2] on a grid over [-extent, extent]^2: [side, side], first index upwards.

    bandwidth: standard deviation of the kernel, in the units of the points.
    """
    line = torch.linspace(-extent, extent, side, dtype=torch.float64)
    kernel = [torch.exp(-0.5 * ((line[:, None] - points[:, axis].cpu().double()) / bandwidth) ** 2) for axis in (0, 1)]
    weight = 1 / (len(points) * 2 * torch.pi * bandwidth**2)
    values: Array = (kernel[1] @ kernel[0].T * weight).numpy()  # the kernel is a product: two matrices, [side, N] each
    return values
