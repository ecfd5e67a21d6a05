"""Figures of Karras et al. 2018: the growth, the measures of figure 4 along it, and a walk through the latent space."""

from collections.abc import Mapping

import torch

from zoo.experiments.ablation import row_figures, row_samples, step_findings, values_by_row
from zoo.experiments.experiment import Experiment
from zoo.experiments.pictures.captions import captioned
from zoo.experiments.pictures.drawing import Drawings
from zoo.experiments.pictures.growing import growing_figures, latents
from zoo.models.base.growing import GrowingModule
from zoo.models.networks.pggan import ROWS
from zoo.models.pggan import PGGAN
from zoo.models.trained import FinishedRun


def run_figures(module: PGGAN, run: FinishedRun) -> Drawings:
    """What growing networks share; `interpolation`, one in each row; `walk`, frames of the paper's video."""
    yield from growing_figures(module, run)
    labels = None if module.num_classes is None else torch.arange(4) % module.num_classes
    a, b = latents(module, range(4)), latents(module, range(10, 14))
    images = module.interpolate(a, b, steps=9, labels=labels)
    yield "interpolation", captioned(images, title="A way in each row, from one latent (left) to another (right)")
    frames = module.walk(9 * 60, every=15, label=None if labels is None else 0)
    frames = frames.view(4, 9, *frames.shape[1:])
    yield "walk", captioned(frames, title="Frames of one walk through the latents, row by row")


TABLE_1 = ("swd", "ms_ssim")


def table1_figures(runs: Mapping[str, FinishedRun]) -> Drawings:
    """`rows`: table 1, a panel for each level of the sliced Wasserstein distance, their mean, MS-SSIM; `samples`."""
    yield from row_figures(values_by_row(runs, rows=ROWS, families=TABLE_1))
    yield from row_samples(runs, rows=ROWS)


def table1_findings(runs: Mapping[str, FinishedRun]) -> dict[str, float]:
    """What each row changes against the one before, and how many of the changes are for the better.

    Of the sliced Wasserstein distance the mean over the levels. Rows e* and e, which has another statistic in its
    place, both stand against d.
    """
    values = values_by_row(runs, rows=ROWS, families=TABLE_1)
    chosen = {measure: rows for measure, rows in values.items() if measure.endswith("_avg") or "swd" not in measure}
    return step_findings(chosen, aside=("e*",))


def of_pixels(module: GrowingModule) -> tuple[str, ...]:
    """Section 5: the sliced Wasserstein distance and MS-SSIM, where the images have the 16 pixels that both need."""
    return ("swd", "ms_ssim") if module.growth.final >= 16 else ()


EXPERIMENT: Experiment[PGGAN] = Experiment(of_pixels=of_pixels)
