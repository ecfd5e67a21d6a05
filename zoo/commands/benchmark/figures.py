"""The figures of a benchmark: curves with bands, what a search finds, a heat map, samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from zoo.commands.benchmark.members import CLOCKS, Outcome
from zoo.commands.benchmark.record import BenchmarkRecord
from zoo.commands.benchmark.tables import CLOCK_TITLES, direction, finite, is_search, short
from zoo.experiments.measures import measures_of
from zoo.experiments.pictures.drawing import Array, new_figure
from zoo.runs.statistics import best_of, rank

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Okabe and Ito's colours, which the colour-blind tell apart; styles and markers tell lines apart in grey.
COLOURS = (
    "#000000",
    "#E69F00",
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#8a6d00",
    "#7f3f98",
    "#666666",
    "#a0522d",
)
STYLES = ("-", "--", "-.", ":")
MARKERS = "osD^vP*Xhp<"
POINTS = 200  # of a mean curve
ROWS = 4  # of images that each objective's samples show


def figures(record: BenchmarkRecord) -> Iterator[tuple[str, Any]]:
    """Name and drawing of each figure that there is something for."""
    if is_search(record):
        yield "search", search(record)
        return
    if any(line_of(member, clock, record.curve) for member in record.members for clock in CLOCKS):
        yield "curves", curves(record)
    if any(member.record for member in record.members):
        yield "heat", heat(record)
    if record.grids:
        yield "samples", samples(record)


def style(number: int) -> dict[str, Any]:
    """How line `number` is drawn: no two of eleven share colour or marker, and no two neighbours a style."""
    colour, dashes, marker = (options[number % len(options)] for options in (COLOURS, STYLES, MARKERS))
    return {"color": colour, "linestyle": dashes, "marker": marker, "markersize": 4, "linewidth": 1.4, "markevery": 0.1}


def curves(record: BenchmarkRecord) -> Any:
    """The measure while training over each clock: mean over seeds, and a band from the lowest to the highest."""
    figure, axes = new_figure(3, 1, width=6.4, height=11)  # one below the other, so that a phone shows them large
    for ax, clock in zip((row[0] for row in axes), CLOCKS, strict=True):
        for number, (label, members) in enumerate(record.groups.items()):
            lines = [line for member in members if (line := line_of(member, clock, record.curve)) is not None]
            if not lines:
                continue
            x = np.linspace(max(x[0] for x, _ in lines), min(x[-1] for x, _ in lines), POINTS)
            y = np.stack([np.interp(x, *line) for line in lines])
            ax.plot(x, y.mean(0), label=short(record, label), **style(number))
            ax.fill_between(x, y.min(0), y.max(0), color=style(number)["color"], alpha=0.15, linewidth=0)
        if clock == "generator_steps":
            ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xlabel({**CLOCK_TITLES, "seconds": "wall time, s"}[clock])
        ax.set_ylabel(f"{record.curve} ({direction(record.curve)} is better)")
        ax.grid(alpha=0.25, which="both")
    key(axes[0][0])
    return figure


def key(ax: Axes) -> None:
    """The legend above a plot, in a size that a phone shows."""
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.02), ncols=3, fontsize=9, frameon=False, handlelength=3.5)


def line_of(member: Outcome, clock: str, measure: str) -> tuple[Array, Array] | None:
    """(clock, measure) of a member's points that are finite and behind the untrained network; None without two."""
    pairs = zip(member.curve.get(clock, ()), member.curve.get(measure, ()), strict=False)
    points = [(x, y) for x, y in pairs if x is not None and y is not None and x > 0]
    if len(points) < 2:
        return None
    array = np.array(points, dtype=np.float64)
    return array[:, 0], array[:, 1]


def search(record: BenchmarkRecord) -> Any:
    """The expected best of k runs against k, with intervals."""
    figure, axes = new_figure(1, 1, width=6.4, height=5)
    ax = axes[0][0]
    for number, label in enumerate(record.groups):
        values = record.values(label)
        k = list(range(1, len(finite(values)) + 1))
        if not k:
            continue
        found = [best_of(values, n, better=direction(record.measure)) for n in k]
        drawn = [(n, f) for n, f in zip(k, found, strict=True) if np.isfinite(f.value)]
        x, y = [n for n, _ in drawn], [f.value for _, f in drawn]
        ax.plot(x, y, label=short(record, label), **{**style(number), "markevery": 1})
        low, high = ([f[i] if np.isfinite(f[i]) else np.nan for _, f in drawn] for i in (1, 2))
        ax.fill_between(x, low, high, color=style(number)["color"], alpha=0.12, linewidth=0)
    ax.set_yscale("log")
    ax.set_xlabel("k, runs with settings drawn at random")
    ax.set_ylabel(f"expected best {record.measure}")
    ax.grid(alpha=0.25, which="both")
    key(ax)
    return figure


def heat(record: BenchmarkRecord) -> Any:
    """Ranks of the groups' means, objective x measure, with the means written in."""
    results = [member.record for member in record.members if member.record is not None]
    names = measures_of(results)
    labels = [label for label in record.groups if record.values(label)]
    means = np.array([[mean(record.values(label, measure=name)) for name in names] for label in labels])
    signs = np.array([1.0 if direction(name) == "lower" else -1.0 for name in names])
    places = np.stack([rank(column) for column in (means * signs).T], axis=1)
    figure, axes = new_figure(1, 1, width=6.4, height=0.4 * len(labels) + 1.2)
    ax = axes[0][0]
    ax.imshow(-places, cmap="Greys", aspect="auto", vmin=-len(labels) * 1.6, vmax=-1)
    for (row, column), value in np.ndenumerate(means):
        colour = "white" if places[row, column] <= len(labels) / 3 else "black"
        text = f"{value:.4g}" if np.isfinite(value) else "not finite"
        ax.text(column, row, text, ha="center", va="center", fontsize=9, color=colour)
    ax.set_xticks(range(len(names)), [f"{name}\n({direction(name)} is better)" for name in names], fontsize=9)
    ax.set_yticks(range(len(labels)), [short(record, label) for label in labels], fontsize=9)
    ax.spines[:].set_visible(False)
    return figure


def mean(values: Sequence[float]) -> float:
    """The mean of the runs that did not diverge; infinite where none is left."""
    own = finite(values)
    return float(np.mean(own)) if own else float("inf")


def samples(record: BenchmarkRecord) -> Any:
    """The first rows of each objective's sample grid under its name."""
    pictures = {
        name: first_rows(Image.open(path, formats=("PNG",)).convert("RGB")) for name, path in record.grids.items()
    }
    columns = 3
    rows = -(-len(pictures) // columns)
    figure, axes = new_figure(rows, columns, width=7.2, height=1.55 * rows)
    for ax in (ax for row in axes for ax in row):
        ax.axis("off")
    order = [name for name in dict.fromkeys(record.objectives.values()) if name in pictures]
    for ax, name in zip((ax for row in axes for ax in row), order, strict=False):
        ax.imshow(pictures[name], interpolation="nearest")
        ax.set_title(name, fontsize=9, loc="left")
    return figure


def first_rows(grid: Image.Image) -> Image.Image:
    """The first ROWS of a grid of 8 x 8 images."""
    return grid.crop((0, 0, grid.width, grid.height * ROWS // 8))
