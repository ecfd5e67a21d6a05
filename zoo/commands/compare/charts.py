"""The curves of the page, as the data that its script draws and the places where it draws them."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from zoo.commands.compare.comparison import Comparison
from zoo.commands.compare.html import COLOURS, details, section, table
from zoo.commands.compare.labels import ends_of
from zoo.commands.compare.runs import Point
from zoo.runs.record import which_is_better

POINTS = 400  # of a curve; longer ones keep the extremes of equal parts
CLOCKS = {"images": "over images seen", "updates": "over updates of G", "seconds": "over wall time"}  # in compare.js
STYLES = ("solid", "dashed", "dotted", "dash-dotted")  # of lines, one for each protocol; DASHES in compare.js


class Charts:
    """The charts of a page.

    Args:
        comparison: whose curves they show.
    """

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison
        self.ends = ends_of(comparison.labels)
        self.charts: list[dict[str, Any]] = []

    def add(self, title: str, series: Sequence[Mapping[str, Any]], *, better: str | None = None) -> int:
        """Keeps a chart; its number."""
        self.charts.append({"title": title, "better": better, "series": list(series)})
        return len(self.charts) - 1

    def measure(self, name: str) -> int:
        """The curves of a measure, one line style for each protocol."""
        better, series = self.comparison.better(name), []
        for figure in self.comparison.figures(name):
            points = self.comparison.runs[figure.run].points(name)
            if points:
                best = best_of(points, better=better)
                series.append(self.curve(figure.run, points, best=best) | {"dash": max(figure.group, 0)})
        return self.add(name, series, better=better)

    def curve(self, run: int, points: Sequence[Point], *, best: Point | None = None) -> dict[str, Any]:
        """One run's curve."""
        own = {"run": run, "colour": run % COLOURS, "label": self.comparison.labels[run], "end": self.ends[run]}
        return own | columns(points, best=best)

    def as_json(self) -> str:
        """For a script element: "</" and "<!--" would end it, so that "<" is written by its number."""
        runs = [{"label": label, "colour": i % COLOURS} for i, label in enumerate(self.comparison.labels)]
        text = json.dumps({"runs": runs, "charts": self.charts}, separators=(",", ":"), allow_nan=False)
        return text.replace("<", "\\u003c")


def best_of(points: Sequence[Point], *, better: str) -> Point | None:
    """The best finite point; None where neither lower nor higher is better."""
    if better == "neither":
        return None
    finite = [(p.value if better == "lower" else -p.value, i) for i, p in enumerate(points) if p.value is not None]
    return points[min(finite)[1]] if finite else None


def columns(points: Sequence[Point], *, best: Point | None = None) -> dict[str, Any]:
    """Points as columns x (images), t (seconds), y and, where they are known, u (updates of G) and s (spreads).

    A long curve is thinned out.
    """
    points = thinned(points)
    found: dict[str, Any] = {
        "x": [p.images_seen for p in points],
        "t": [round(p.seconds, 1) for p in points],
        "y": [digits(p.value) for p in points],
    }
    if all(p.updates is not None for p in points):
        found["u"] = [p.updates for p in points]
    if any(p.error is not None for p in points):
        found["s"] = [digits(p.error) for p in points]
    return found | {"best": points.index(best) if best in points else None}


def digits(value: float | None) -> float | None:
    """Six significant digits."""
    return None if value is None else float(f"{value:.6g}")


def thinned(points: Sequence[Point]) -> list[Point]:
    """At most POINTS: of each of equal parts the lowest and the highest value, so that no spike is lost."""
    if len(points) <= POINTS:
        return list(points)
    parts = POINTS // 2 - 1
    kept = [0, len(points) - 1]
    for part in range(parts):
        inside = range(part * len(points) // parts, (part + 1) * len(points) // parts)
        finite = [i for i in inside if points[i].value is not None] or [inside[0]]
        kept += [pick(finite, key=lambda i: points[i].value or 0.0) for pick in (min, max)]
    return [points[i] for i in sorted(set(kept))]


# --- where they are drawn ---


def chart_sections(charts: Charts) -> tuple[str, str, str]:
    """The first measure in large, the other measures, and what is logged while training."""
    comparison = charts.comparison
    drawn = [name for name in comparison.measures if any(run.points(name) for run in comparison.runs)]
    return first_section(charts, drawn), measures_section(charts, drawn), training_section(charts)


def place(
    chart: int, caption: str, *, over: str = "", tall: bool = False, run: int | None = None, note: str = ""
) -> str:
    """Where the script draws a chart; `over` fixes the clock."""
    attributes = f' data-over="{over}"' * bool(over) + ' data-tall="1"' * tall
    attributes += "" if run is None else f' data-of-run="{run}"'
    cut = '<p class="below-note" data-cut hidden>The untrained network lies outside the chart.</p>'
    more = f'<p class="below-note">{note}</p>' if note else ""
    return f'<figure data-chart="{chart}"{attributes}><figcaption>{caption}</figcaption>{cut}{more}</figure>'


def first_section(charts: Charts, drawn: Sequence[str]) -> str:
    """The measure of most runs, large, over all clocks."""
    if not drawn:
        return ""
    chart, note = charts.measure(drawn[0]), styles_note(charts.comparison, drawn[0])
    pair = "".join(
        place(chart, caption(charts, chart, over=text), over=clock, tall=True, note=note)
        for clock, text in CLOCKS.items()
    )
    return f'<section><div class="charts pair">{pair}</div></section>'


def measures_section(charts: Charts, drawn: Sequence[str]) -> str:
    """The other measures, and all figures as a table."""
    comparison = charts.comparison
    figures = [f for name in comparison.measures for f in comparison.figures(name)]
    if not figures:
        return ""
    others = "".join(
        place(chart, caption(charts, chart), note=styles_note(comparison, name))
        for name in drawn[1:]
        for chart in [charts.measure(name)]
    )
    rows = [[comparison.labels[f.run], f.name, *f.cells.values()] for f in figures]
    every = table(["run", "measure", *figures[0].cells], rows, runs=[f.run for f in figures])
    body = f'<div class="charts">{others}</div>' if others else ""
    return section("Measures while training", "", body, details("All figures as a table", every))


def caption(charts: Charts, chart: int, *, over: str = "") -> str:
    """The measure and which way is better."""
    own = charts.charts[chart]
    return f'{escape(own["title"])} <span class="better">{over} ({which_is_better(own["better"])})</span>'


def styles_note(comparison: Comparison, name: str) -> str:
    """Which line style belongs to which protocol, where there are several."""
    protocols = {f.group: f.protocol for f in reversed(comparison.figures(name)) if f.group >= 0}
    if len(protocols) < 2:
        return ""
    named = ", ".join(f"{STYLES[g % len(STYLES)]} <code>{escape(protocols[g])}</code>" for g in sorted(protocols))
    unknown = any(f.group < 0 for f in comparison.figures(name))
    more = f"; {STYLES[0]} too where none is recorded yet, which may be any" if unknown else ""
    return f"Protocols differ, compare lines of one style: {named}{more}."


def training_section(charts: Charts) -> str:
    """Losses, each run for itself; then all else that is logged."""
    runs = charts.comparison.runs
    names = list(dict.fromkeys(name for run in runs for name in run.traces))
    losses = [name for name in names if name.startswith("loss_")]
    panels = "".join(losses_of(charts, i, losses) for i in range(len(runs)))
    if not panels:
        return ""
    others = ""
    for name in (name for name in names if name not in losses):
        series = [charts.curve(i, run.trace(name)) for i, run in enumerate(runs) if name in run.traces]
        others += place(charts.add(name, series), escape(name))
    key = " ".join(
        f'<span class="row-name k{k % COLOURS}"><b class="dash"></b>{escape(name.removeprefix("loss_"))}</span>'
        for k, name in enumerate(losses)
    )
    text = (
        f'Each run on its own scale: losses of different objectives cannot be compared. <span class="key">{key}</span>'
    )
    more = details("What else is logged while training", f'<div class="charts">{others}</div>' if others else "")
    return section("Losses", text, f'<div class="charts">{panels}</div>', more)


def losses_of(charts: Charts, i: int, losses: Sequence[str]) -> str:
    """One run's losses in one chart."""
    run, label = charts.comparison.runs[i], charts.comparison.labels[i]
    series = [
        {"colour": k % COLOURS, "label": name.removeprefix("loss_")} | columns(run.points(name))
        for k, name in enumerate(losses)
        if name in run.traces
    ]
    return place(charts.add(f"losses of {label}", series), escape(label), run=i) if series else ""
