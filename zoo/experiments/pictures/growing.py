"""What the figures of growing networks share: the growth as a film strip, measures along it, images by resolution."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from zoo.experiments.measures import MEASURES
from zoo.experiments.pictures.captions import captioned
from zoo.experiments.pictures.drawing import GREY, SERIES, Drawings, new_figure, series, show_images
from zoo.experiments.pictures.layout import GAP, tiles_of
from zoo.models.base.growing import GrowingModule
from zoo.models.trained import FinishedRun
from zoo.nn.schedules import GrowthSchedule

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TILE = 64  # least pixels of an image in a labelled figure
AVERAGED = " (averaged weights of G)"  # what all samples of a growing network are made with
DPI = 130  # of zoo.experiments.pictures.drawing.write


def growing_figures(module: GrowingModule, run: FinishedRun) -> Drawings:
    """`growth`: the same latents at the end of each phase; `measures` over the images seen; `resolutions`."""
    if grids(run):
        yield "growth", growth_strip(run, module.growth)
    if levels_in(run):
        yield "measures", measures(run, module.growth)
    times = max(1, 2 * TILE // module.growth.final)
    canvas = multi_resolution(module).repeat_interleave(times, 3).repeat_interleave(times, 4)
    yield (
        "resolutions",
        captioned(canvas, title="Uncurated samples: at full size, halved, halved twice" + AVERAGED),
    )


def grids(run: FinishedRun) -> dict[int, Path]:
    """The sample grids that were written on the way, by the images seen, earliest first."""
    return run.dir.all_grids()


def growth_strip(run: FinishedRun, growth: GrowthSchedule, *, images: int = 6) -> "Figure":
    """Figure 1 of Karras et al. 2018 in samples: a latent for each row, a phase for each column.

    Columns are the last grid of each phase, and of the last phase also the first.
    """
    files = grids(run)
    last = {growth.phase(seen): seen for seen in files}  # later ones replace earlier ones
    final = [seen for seen in files if growth.phase(seen) == growth.phase(max(files))]
    shown = sorted({*last.values(), final[0]})
    columns = [read_tiles(files[seen], side=growth.final, n=images) for seen in shown]
    return labelled(
        torch.stack(columns, 1),
        columns=[stage_title(growth, seen) for seen in shown],
        title=r"One latent in each row. Above: resolution, how far it has faded in ($\alpha$), real images seen"
        + AVERAGED,
    )


def stage_title(growth: GrowthSchedule, seen: int) -> str:
    """Resolution, what of it has faded in, and the images seen."""
    stage = growth.at(seen)
    fading = "" if stage.alpha == 1 else f"\n$\\alpha$ {stage.alpha:.2f}"
    return f"{stage.resolution}x{stage.resolution}{fading}\n{seen:,}"


def read_tiles(file: Path, *, side: int, n: int) -> Tensor:
    """The first n images of a grid of side x side tiles, row by row: [n, C, side, side] in [-1, 1]."""
    from PIL import Image

    with Image.open(file, formats=("PNG",)) as picture:
        tiles = torch.from_numpy(tiles_of(picture, side=side, n=n))
    return tiles.permute(0, 3, 1, 2).float() / 127.5 - 1


def measures(run: FinishedRun, growth: GrowthSchedule) -> "Figure":
    """Sliced Wasserstein distance of each level, and the Frechet distances, over images; fades are shaded.

    (Figure 4 of Karras et al. 2018 has the first over time.)
    """
    levels, distances = levels_in(run), MEASURES.distances({key for row in run.rows for key in row})
    figure, [axes] = new_figure(1, 2, width=9, height=3.4)
    for ax, chosen in zip(axes, (levels, distances), strict=True):
        for i, name in enumerate(chosen):  # at 1024x1024 there are more levels than colours
            images, values = series(run.rows, name)
            style = "-" if i < len(SERIES) else "--"
            ax.plot(images / 1000, values, style, color=SERIES[i % len(SERIES)], marker=".", linewidth=1, label=name)
        for k in range(growth.doublings):
            end = (k + 1) * (growth.stabilise_images + growth.fade_images)
            label = "new layers fade in" if k == 0 else None
            ax.axvspan((end - growth.fade_images) / 1000, end / 1000, color=GREY, alpha=0.15, linewidth=0, label=label)
        ax.set_yscale("log")
        ax.set_xlim(0, max(run.rows[-1]["images_seen"], 1) / 1000)
        ax.set_xlabel("thousand real images seen")
        ax.legend(frameon=False, fontsize=8)
    axes[0].set_ylabel(r"sliced Wasserstein distance $\times 10^3$")
    axes[1].set_ylabel("Frechet distance")
    return figure


def levels_in(run: FinishedRun) -> list[str]:
    """The sliced Wasserstein distances that were taken while training, and their mean."""
    names = sorted({key for row in run.rows for key in row})
    return [name for name in names if (found := MEASURES.find(name)) and found.measure.name == "swd"]


@torch.no_grad()
def multi_resolution(
    module: GrowingModule, *, seed: int = 5, rows: int = 2, halvings: Sequence[int] = (0, 1, 2)
) -> Tensor:
    """Uncurated images, a column for each number of halvings, side by side (Karras et al. 2019, figure 2's layout).

    A column whose images are halved h times holds rows * 2^h of them, so that all columns are equally high.

    Args:
        module: the model.
        seed: of all latents.
        rows: images in a column of full resolution.
        halvings: of each column.

    Returns:
        [1, 1, C, rows * H, W * (2^-h + ...)] in [-1, 1].
    """
    counts = [rows * 2**h for h in halvings]
    images = module.sample(sum(counts), seed=seed)
    columns = []
    for h, column in zip(halvings, torch.split(images, counts), strict=True):
        small = avg_pool2d(column, 2**h)
        columns.append(torch.cat(list(small), 1))  # [C, rows * H, W / 2^h]
    return torch.cat(columns, 2)[None, None]


def latents(module: GrowingModule, seeds: Sequence[int]) -> Tensor:
    """The first latent of a generator seeded by each seed, [n, z_dim]."""
    z = [module.latents(1, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    return torch.cat(z).to(module.device)


def labelled(
    images: Tensor, *, columns: Sequence[str] = (), rows: Sequence[str] = (), title: str | None = None
) -> "Figure":
    """Images [rows, columns, C, H, W] in [-1, 1] as a figure with a text above each column and before each row.

    No image is drawn with fewer pixels than it has.
    """
    height, width = images.shape[3] + GAP, images.shape[4] + GAP
    scale = max(1.0, TILE / images.shape[4]) * 1.15 / DPI  # inches a pixel; the margins take some of it
    inches = 0.9 + images.shape[1] * width * scale
    heading = textwrap.wrap(title or "", int(16 * inches))
    figure, [[ax]] = new_figure(1, 1, width=inches, height=0.5 + 0.2 * len(heading) + images.shape[0] * height * scale)
    show_images(ax, images, gap=GAP)
    for j, text in enumerate(columns):
        ax.annotate(text, (GAP + (j + 0.5) * width, -1), ha="center", va="bottom", fontsize=7, annotation_clip=False)
    for i, text in enumerate(rows):
        ax.annotate(text, (-1, GAP + (i + 0.5) * height), ha="right", va="center", fontsize=7, annotation_clip=False)
    if heading:
        figure.suptitle("\n".join(heading), fontsize=8, x=0.01, ha="left")
    return figure
