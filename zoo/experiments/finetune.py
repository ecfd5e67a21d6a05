"""The study of fine-tuning: how soon it is where training from scratch ends."""

from collections.abc import Mapping

from zoo.experiments.pictures.drawing import SERIES, Drawings, new_figure, series
from zoo.models.trained import FinishedRun

SCRATCH, SOURCE = "scratch", "source"


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
        if name == SCRATCH:
            ax.axhline(value[-1], color=colour, linewidth=0.8, linestyle="--", label="where scratch ends")
    ax.set_yscale("log")
    ax.set_xlabel("real images seen")
    ax.set_ylabel(f"{measure} (lower is better)")
    ax.legend(frameon=False)
    yield "distances", figure


def study_findings(runs: Mapping[str, FinishedRun]) -> dict[str, float]:
    """`share_of_images_X`: images at which X is as near as the scratch run is at its end, over the scratch run's.

    A member that never gets there has none.
    """
    images, value = series(runs[SCRATCH].rows, monitored(runs[SCRATCH]))
    findings = {}
    for name, run in runs.items():
        seen, distance = series(run.rows, monitored(run))
        if name not in (SCRATCH, SOURCE) and (distance <= value[-1]).any():
            findings[f"share_of_images_{name}"] = float(seen[distance <= value[-1]][0] / images[-1])
    return findings
