"""Ablations, such as table 1 of both growing papers: rows trained with one budget, each against the one before."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from statistics import mean
from typing import TYPE_CHECKING

import numpy as np
import torch

from zoo.experiments.measures import MEASURES, measures_of
from zoo.experiments.pictures.captions import captioned
from zoo.experiments.pictures.drawing import SERIES, Array, Drawings, new_figure, series
from zoo.experiments.pictures.grids import images_in
from zoo.models.trained import FinishedRun
from zoo.runs.study import comparable, values_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN = 10  # samples of a row
Values = Mapping[str, Mapping[str, Sequence[float]]]  # by measure, then by row: one for each seed


def values_by_row(
    runs: Mapping[str, FinishedRun], *, rows: Iterable[str], families: Sequence[str]
) -> dict[str, dict[str, list[float]]]:
    """{measure: {row: its values at the last checkpoints}} of members named ROW-seedN, in the order of the rows.

    A measure whose protocols differ in more than the networks is left out.

    Args:
        runs: the members, in any order.
        rows: of the table, from above.
        families: what the names of the wanted measures begin with, such as "swd".
    """
    found: dict[str, dict[str, list[float]]] = {}
    for row, run in ((row, run) for row in rows for name, run in runs.items() if name.rpartition("-seed")[0] == row):
        for measure in measures_of([run.record]):
            value = values_of([run.record], measure, checkpoint="last")
            if value and measure.startswith(tuple(families)):  # one may have been taken at the best checkpoint alone
                found.setdefault(measure, {}).setdefault(row, []).extend(value)
    records = [run.record for run in runs.values()]
    return {measure: values for measure, values in found.items() if comparable(records, measure)}


def step_findings(values: Values, *, aside: Collection[str] = ()) -> dict[str, float]:
    """For each measure what each row changed against the row before, and how many of these steps improved it.

    Means over seeds; a row that was not run is passed over, so that the next stands against the one before it, which
    each finding names.

    Args:
        values: of `values_by_row`.
        aside: rows that the next one undoes: it too stands against the row before them.
    """
    found: dict[str, float] = {}
    for measure, rows in values.items():
        steps, before = {}, None
        for row, seeds in rows.items():
            if before is not None:
                steps[f"row {row} minus row {before}"] = mean(seeds) - mean(rows[before])
            before = before if row in aside else row
        found |= {f"{measure}, {name}": step for name, step in steps.items()}
        better = [step < 0 if MEASURES.better(measure) == "lower" else step > 0 for step in steps.values()]
        if steps:
            found[f"{measure}, steps of {len(steps)} that improve it"] = float(sum(better))
    return found


def row_figures(values: Values) -> Drawings:
    """`rows`: a panel for each measure: the rows from left to right, one dot a seed, a line through the means."""
    if not values:
        return
    figure, [axes] = new_figure(1, len(values), width=2.7 * len(values) + 0.6, height=3.0)
    for i, (ax, (measure, rows)) in enumerate(zip(axes, values.items(), strict=True)):
        draw_rows(ax, rows, colour=SERIES[i % len(SERIES)])
        ax.set_title(f"{measure} ({MEASURES.better(measure)} is better)", fontsize=8)
    yield "rows", figure


def draw_rows(ax: "Axes", rows: Mapping[str, Sequence[float]], *, colour: str) -> None:
    """The rows of a table as dots, and their means as a line."""
    for x, seeds in enumerate(rows.values()):
        ax.scatter([x] * len(seeds), list(seeds), s=14, color=colour, zorder=3)
    ax.plot(range(len(rows)), [mean(seeds) for seeds in rows.values()], color=colour, linewidth=0.9)
    ax.set_xticks(range(len(rows)), list(rows), fontsize=8)
    ax.set_ylim(bottom=0)


def row_samples(runs: Mapping[str, FinishedRun], *, rows: Iterable[str]) -> Drawings:
    """`samples`: of the last sample grid of each row's first seed, whose latents are the same.

    Nothing where one of them ran elsewhere, so that no picture loses rows to a later one.
    """
    first = {row: runs[f"{row}-seed0"] for row in rows if f"{row}-seed0" in runs}
    if not first or any(run.record_alone for run in first.values()):
        return
    strips = []
    for run in first.values():
        grids, side = run.dir.all_grids(), int(run.config["data"]["init_args"]["resolution"])
        strips.append(images_in(grids[max(grids)], side=side, n=SHOWN))
    yield "samples", captioned(torch.stack(strips), title="The same latents at the end of each row", rows=[*first])


def search_figures(runs: Mapping[str, FinishedRun]) -> Drawings:
    """`search`: of a search for settings, the measure that chooses checkpoints while each member trains.

    The legend is in the order of the last values, as the curves end beside it. Of a member that ran elsewhere, whose
    record alone is at hand, the points of the best and the last checkpoint are drawn; nothing where all of them are.
    """
    from matplotlib.ticker import StrMethodFormatter

    monitors = sorted({str(run.config["keep"]["monitor"]) for run in runs.values() if not run.record_alone})
    if not monitors:
        return
    figure, [[ax]] = new_figure(1, 1, width=8.0, height=3.8)
    ends = []
    for i, (name, run) in enumerate(runs.items()):
        style, label = "-" if i < len(SERIES) else "--", name
        if run.record_alone:
            style, label = "o", f"{name} (best, last)"
        points = ends_of(run, monitors) if run.record_alone else curve_of(run)
        (line,) = ax.plot(*points.T, style, color=SERIES[i % len(SERIES)], linewidth=1.1, markersize=4, label=label)
        ends.append((points[-1, 1] if len(points) else 0.0, line))
    ax.set_yscale("log", subs=(2, 5))
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.yaxis.set_minor_formatter(StrMethodFormatter("{x:g}"))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    ax.set_xlabel("real images seen")
    ax.set_ylabel(", ".join(monitors))
    handles = [line for _, line in sorted(ends, key=lambda end: end[0], reverse=True)]
    figure.legend(handles=handles, loc="outside right upper", frameon=False, fontsize=8)
    yield "search", figure


def curve_of(run: FinishedRun) -> Array:
    """(images_seen, value) [n, 2] of what chooses the run's checkpoints, without that before training."""
    return np.stack(series(run.rows, str(run.config["keep"]["monitor"])), axis=1)[1:]


def ends_of(run: FinishedRun, measures: Iterable[str]) -> Array:
    """(images_seen, value) [n, 2] of the best and the last checkpoint in a run's record."""
    kept = [run.record["measures"][measure] for measure in measures if measure in run.record["measures"]]
    points = {(each[at]["images_seen"], each[at]["value"]) for each in kept for at in ("best", "last")}
    return np.array(sorted(points), dtype=np.float64).reshape(-1, 2)
