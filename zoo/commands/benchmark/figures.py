"""The figures of a benchmark: curves with bands, what a search finds and where, a heat map, samples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from zoo.commands.benchmark.cells import direction
from zoo.commands.benchmark.members import MEASURED, worst
from zoo.commands.benchmark.pace import paced
from zoo.commands.benchmark.record import ENDED, BenchmarkRecord
from zoo.commands.benchmark.search import chosen, ranged
from zoo.commands.benchmark.tables import CLOCK_TITLES, clocks_of, figure_names, line_of, short
from zoo.experiments.measures import measures_of
from zoo.experiments.pictures.drawing import Array, new_figure
from zoo.runs.statistics import Interval, best_of, interquartile_mean, rank
from zoo.runs.text import number as written

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

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
STYLES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (8, 2)), (0, (3, 1, 1, 1, 1, 1)))
MARKERS = "os^DvXP*<>d"
OTHERS = "#bbbbbb"  # of lines that stand behind one
WIDTH = 5.2  # inches: on a phone the letters stay large enough
DARKEST = 0.75  # shade of the first place
POINTS = 200  # of a mean curve
ROWS = 4  # of images that each objective's samples show


def figures(record: BenchmarkRecord) -> Iterator[tuple[str, Any]]:
    """Name and drawing of each figure that there is something for."""
    draws = {"search": search, "settings": settings, "curves": curves, "heat": heat, "samples": samples}
    for name in figure_names(record):
        yield name, draws[name](record)


def style(number: int) -> dict[str, Any]:
    """How line `number` is drawn: no two of eleven share colour or marker, every other marker is hollow."""
    colour, dashes, marker = (options[number % len(options)] for options in (COLOURS, STYLES, MARKERS))
    line = {"color": colour, "linestyle": dashes, "linewidth": 1.4, "marker": marker, "markersize": 5}
    return {**line, "markevery": (0.01 * number, 0.12), "markerfacecolor": "white" if number % 2 else colour}


def curves(record: BenchmarkRecord) -> Any:
    """The measure while training over each clock: mean over seeds, and a band from the lowest to the highest.

    Of the seeds that were trained to their end, where there are any: the others would end the line where they did.
    """
    record = paced(record)
    clocks = clocks_of(record)  # one below the other, so that a phone shows them large
    figure, axes = new_figure(len(clocks), 1, width=WIDTH, height=11 / 3 * len(clocks))
    for ax, clock in zip((row[0] for row in axes), clocks, strict=True):
        for number, (label, members) in enumerate(record.groups.items()):
            ended = [member for member in members if member.state in MEASURED] or members
            lines = [line for member in ended if (line := line_of(member, clock, record.curve)) is not None]
            if not lines:
                continue
            x = np.linspace(max(x[0] for x, _ in lines), min(x[-1] for x, _ in lines), POINTS)
            y = np.stack([np.interp(x, *line) for line in lines])
            ax.plot(x, y.mean(0), label=short(record, label), **style(number))
            ax.fill_between(x, y.min(0), y.max(0), color=style(number)["color"], alpha=0.12, linewidth=0)
        if clock == "generator_steps":
            ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xlabel({**CLOCK_TITLES, "seconds": "wall time, s"}[clock])
        ax.set_ylabel(f"{record.curve} ({direction(record.curve)} is better)")
        ax.grid(alpha=0.25, which="both")
        whole_numbers(ax.xaxis, ax.yaxis)
    key(axes[0][0])
    return figure


def whole_numbers(*axes: Axis) -> None:
    """Ticks as 50,000 and 60 instead of powers; of a log scale those at 1, 2 and 5 times a power of ten."""
    from matplotlib.ticker import LogLocator, NullFormatter

    for axis in axes:
        if axis.get_scale() == "log":
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_minor_formatter(NullFormatter())
        axis.set_major_formatter(lambda value, _: f"{value:,.10g}")


def key(ax: Axes) -> None:
    """The legend above a plot, in a size that a phone shows."""
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.02), ncols=2, fontsize=9, frameon=False, handlelength=4)


def search(record: BenchmarkRecord) -> Any:
    """The expected best of k runs against k: a panel for each objective with its interval, the others behind it."""
    found = {label: line for label in record.groups if (line := expected(record, label))}
    rows = -(-len(found) // 2)
    figure, axes = new_figure(rows, 2, width=WIDTH, height=1.75 * rows)
    panels = [ax for row in axes for ax in row]
    ends = [end for line in found.values() for _, best in line for end in best if np.isfinite(end)]
    bottom, top = min(ends) / 1.1, max(ends) * 1.1
    for number, (ax, label) in enumerate(zip(panels, found, strict=False)):
        if number:
            ax.sharex(panels[0])
            ax.sharey(panels[0])
        for other, line in found.items():
            if other != label:
                ax.plot([k for k, _ in line], [f.value for _, f in line], color=OTHERS, linewidth=0.8)
        k, own = [k for k, _ in found[label]], [f for _, f in found[label]]
        ax.plot(k, [f.value for f in own], **{**style(number), "markevery": 1})
        low, high = (np.clip([f[i] for f in own], bottom, top) for i in (1, 2))  # an end that is infinite: the axis's
        ax.fill_between(k, low, high, color=style(number)["color"], alpha=0.2, linewidth=0)
        ax.set_title(short(record, label), fontsize=9, loc="left")
        ax.set_yscale("log")
        ax.set_ylim(bottom, top)
        ax.grid(alpha=0.25)
        whole_numbers(ax.xaxis, ax.yaxis)
    for ax in panels[len(found) :]:
        ax.axis("off")
    figure.supxlabel("k, runs with settings drawn at random", fontsize=10)
    figure.supylabel(f"expected best {record.measure} ({direction(record.measure)} is better)", fontsize=10)
    return figure


def expected(record: BenchmarkRecord, label: str) -> list[tuple[int, Interval]]:
    """(k, expected best of k runs) where that is finite."""
    values = record.finds(label)
    found = [(k, best_of(values, k, better=direction(record.measure))) for k in range(1, len(values) + 1)]
    return [(k, best) for k, best in found if np.isfinite(best.value)]


def settings(record: BenchmarkRecord) -> Any:
    """What came out at each value of the setting drawn from a range: a panel for each objective, filled where the one
    drawn of a few values has its lowest; a run that diverged stands at the edge."""
    name, choice = ranged(record) or "", chosen(record)
    found = {label: [m for m in members if m.state in ENDED] for label, members in record.groups.items()}
    values = [m.value(record.measure, "last") for members in found.values() for m in members]
    ends = [value for value in values if value is not None and np.isfinite(value)]
    bottom, top = min(ends) / 1.2, max(ends) * 1.2
    lowest = min(m.settings[choice] for m in record.members) if choice else None
    rows = -(-len(found) // 2)
    figure, axes = new_figure(rows, 2, width=WIDTH, height=1.75 * rows)
    panels = [ax for row in axes for ax in row]
    for number, (ax, label) in enumerate(zip(panels, found, strict=False)):
        if number:
            ax.sharex(panels[0])
            ax.sharey(panels[0])
        colour, marker = style(number)["color"], style(number)["marker"]
        for member in found[label]:
            y = member.value(record.measure, "last")
            face = colour if choice is None or member.settings[choice] == lowest else "white"
            if y is not None:
                x, y = member.settings[name], np.clip(y, bottom, top)
                ax.plot(x, y, marker=marker, color=colour, markerfacecolor=face)
        ax.set_title(short(record, label), fontsize=9, loc="left")
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_ylim(bottom / 1.1, top * 1.1)
        ax.grid(alpha=0.25)
        whole_numbers(ax.yaxis)
    for ax in panels[len(found) :]:
        ax.axis("off")
    figure.supxlabel(f"{name} (filled: {choice} {lowest})" if choice else name, fontsize=10)
    figure.supylabel(f"{record.measure} ({direction(record.measure)} is better)", fontsize=10)
    return figure


def heat(record: BenchmarkRecord) -> Any:
    """Ranks of the groups by their interquartile means, objective x measure, with these written in."""
    names, labels, means, places = standings(record)
    figure, axes = new_figure(1, 1, width=max(WIDTH, 1.2 * len(names) + 1.3), height=0.4 * len(labels) + 1.2)
    ax = axes[0][0]
    darkness = (len(labels) - places) / max(len(labels) - 1, 1) * DARKEST
    ax.imshow(darkness, cmap="Greys", aspect="auto", vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(means):
        colour = "white" if darkness[row, column] > 0.6 else "black"
        ax.text(column, row, written(float(value)), ha="center", va="center", fontsize=9, color=colour)
    heads = [f"{name.replace('_', '_' + chr(10), 1)}\n({direction(name)})" for name in names]
    ax.set_xticks(range(len(names)), heads, fontsize=9)
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.set_yticks(range(len(labels)), [short(record, label) for label in labels], fontsize=9)
    ax.spines[:].set_visible(False)
    return figure


def standings(record: BenchmarkRecord) -> tuple[list[str], list[str], Array, Array]:
    """Measures, labels, and of each label's last values the interquartile mean and its rank, [labels, measures].

    Runs that diverged count as the worst, as in the tables; so does a group that a measure was not taken of.
    """
    names = measures_of(member.record for member in record.members if member.record is not None)
    labels = [label for label in record.groups if record.values(label)]
    columns = [[record.values(label, measure=name) or [worst(name)] for label in labels] for name in names]
    means = np.array([[float(interquartile_mean(values)) for values in column] for column in columns])
    signs = np.array([[1.0 if direction(name) == "lower" else -1.0] for name in names])
    return names, labels, means.T, rank(means * signs).T


def samples(record: BenchmarkRecord) -> Any:
    """The first rows of each objective's sample grid under its name."""
    pictures = {
        name: first_rows(Image.open(path, formats=("PNG",)).convert("RGB")) for name, path in record.grids.items()
    }
    columns = 2
    rows = -(-len(pictures) // columns)
    figure, axes = new_figure(rows, columns, width=WIDTH, height=1.6 * rows)
    for ax in (ax for row in axes for ax in row):
        ax.axis("off")
    order = [name for name in dict.fromkeys(record.objectives.values()) if name in pictures]
    for ax, name in zip((ax for row in axes for ax in row), order, strict=False):
        ax.imshow(pictures[name], interpolation="nearest")
        ax.set_title(name, fontsize=9, loc="left")
    return figure


def first_rows(grid: Image.Image) -> Image.Image:
    """The first ROWS of a grid of 8 rows, without the names of classes above it."""
    columns = round(8 * grid.width / grid.height)
    top = grid.height - 8 * grid.width // columns
    return grid.crop((0, top, grid.width, top + (grid.height - top) * ROWS // 8))
