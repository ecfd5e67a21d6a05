"""The study of fine-tuning: how soon it is where training from scratch ends."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from PIL.Image import Image

from zoo.experiments.measures import MEASURES
from zoo.experiments.pictures.captions import captioned
from zoo.experiments.pictures.drawing import SERIES, Array, Drawings, new_figure, series
from zoo.experiments.pictures.grids import images_in
from zoo.models.trained import FinishedRun

SCRATCH, SOURCE = "scratch", "source"
SHOWN = 10  # samples in a strip


def monitored(run: FinishedRun) -> str:
    """The measure that decides which checkpoint of a run is best."""
    return str(run.config["keep"]["monitor"])


def study_figures(runs: Mapping[str, FinishedRun]) -> Drawings:
    """The distance against the images seen, one curve a member but for the source; the scratch run's end as a line."""
    figure, ((ax,),) = new_figure(1, 1, width=6, height=4)
    measure = monitored(runs[SCRATCH])
    for colour, (name, run) in zip(SERIES, ((n, r) for n, r in runs.items() if n != SOURCE), strict=False):
        images, value = series(run.rows, measure)
        ax.plot(images, value, color=colour, label=name, marker=".")
        if name == SCRATCH and len(value):
            ax.axhline(value[-1], color=colour, linewidth=0.8, linestyle="--", label="where scratch ends")
    ax.set_yscale("log")
    ax.set_xlabel("real images seen")
    ax.set_ylabel(f"{measure} (lower is better)")
    ax.legend(frameon=False)
    yield "distances", figure


def study_findings(runs: Mapping[str, FinishedRun]) -> dict[str, float]:
    """`share_of_images_X`: images at which X is as near as the scratch run is at its end, over the scratch run's.

    A member that never gets there has none; nor has any where the scratch run has no finite distance.
    """
    images, value = series(runs[SCRATCH].rows, monitored(runs[SCRATCH]))
    if not len(value):
        return {}
    findings = {}
    for name, run in runs.items():
        seen, distance = series(run.rows, monitored(run))
        if name not in (SCRATCH, SOURCE) and (distance <= value[-1]).any():
            findings[f"share_of_images_{name}"] = float(seen[distance <= value[-1]][0] / images[-1])
    return findings


def arms_of(runs: Mapping[str, FinishedRun]) -> dict[str, list[FinishedRun]]:
    """The runs of each arm, one a seed: "freeze-1-seed2" is of the arm "freeze-1".

    Raises:
        RecordError: of one the record alone is there, without the log that is drawn.
    """
    arms: dict[str, list[FinishedRun]] = {}
    for name, run in runs.items():
        monitored(run)  # refuses one whose settings, and so its log, are not here
        arms.setdefault(name.rpartition("-seed")[0], []).append(run)
    return arms


def over_seeds(runs: Sequence[FinishedRun], measure: str) -> tuple[Array, Array, Array]:
    """Images seen, mean and standard deviation (n - 1; 0 of one run) of a measure, [n] each, where all runs have it.

    One of them may lack a value that was not finite.
    """
    curves = [dict(zip(*series(run.rows, measure), strict=True)) for run in runs]
    images: Array = np.array([at for at in curves[0] if all(at in curve for curve in curves)], dtype=np.float64)
    values: Array = np.array([[curve[at] for at in images] for curve in curves], dtype=np.float64)
    return images, values.mean(0), values.std(0, ddof=1) if len(values) > 1 else np.zeros(len(images))


def arms_findings(runs: Mapping[str, FinishedRun]) -> dict[str, float]:
    """`share_of_images_ARM`: as `study_findings`, of the means over the seeds; none before a scratch run is there."""
    arms = arms_of(runs)
    if SCRATCH not in arms:
        return {}
    measure, findings = monitored(arms[SCRATCH][0]), {}
    images, value, _ = over_seeds(arms[SCRATCH], measure)
    if not len(value):
        return {}
    for arm, members in arms.items():
        seen, distance, _ = over_seeds(members, measure)
        if arm != SCRATCH and (distance <= value[-1]).any():
            findings[f"share_of_images_{arm}"] = float(seen[distance <= value[-1]][0] / images[-1])
    return findings


def arms_figures(runs: Mapping[str, FinishedRun]) -> Drawings:
    """The distances of each arm against the images seen, bands of one standard deviation; samples before and after."""
    arms, first = arms_of(runs), next(iter(runs.values()))
    names = dict.fromkeys(name for row in first.rows for name in row)
    found = ((name, MEASURES.find(name)) for name in names)
    distances = [name for name, of in found if of and of.measure.name in ("fd", "kd") and not of.attached]
    figure, (axes,) = new_figure(1, len(distances), width=3.6 * len(distances), height=3.6)
    for ax, measure in zip(axes, distances, strict=True):
        for colour, (arm, members) in zip(SERIES, arms.items(), strict=False):
            images, mean, deviation = over_seeds(members, measure)
            ax.plot(images, mean, color=colour, label=arm, marker=".")
            ax.fill_between(images, mean - deviation, mean + deviation, color=colour, alpha=0.2, linewidth=0)
        ax.set_xlabel("real images seen")
        ax.set_title(f"{measure} (lower is better)", fontsize=9)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(arms), frameon=False)
    yield "distances", figure
    yield "samples", strips(arms)


def strips(arms: Mapping[str, Sequence[FinishedRun]]) -> Image:
    """Training images, then for each arm's first seed samples of the same latents before and after training."""
    reals = next(iter(arms.values()))[0].data.split("train").images[:SHOWN]
    rows, texts = [reals.float() / 127.5 - 1], ["training images"]
    for arm, (run, *_) in arms.items():
        grids = run.dir.all_grids()
        for seen in (min(grids), max(grids)):
            rows.append(images_in(grids[seen], side=reals.shape[-1], n=SHOWN))
            texts.append(f"{arm}, {seen:,} images seen")
    return captioned(torch.stack(rows), title="The same latents before and after training", rows=texts)
