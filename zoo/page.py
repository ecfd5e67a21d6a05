"""A comparison as one HTML file that needs nothing else: no network, no server, no library.

The charts are drawn by a small script of the page itself (zoo/assets/compare.js): they are lines over one of two
clocks, and a charting library would be several times the size of everything else in the page.
"""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import Any

from zoo import __version__
from zoo.compare import OVERVIEW, Comparison, Figure, Point, is_number, overview, short, short_paths
from zoo.errors import ZooError
from zoo.record import write_atomically

COLOURS = 8  # --c0 ... in compare.css
POINTS = 400  # of a curve; longer ones keep the extremes of equal parts
NEAR = 0.05  # of the images seen: two grids this near stand for the same moment
POSITIONS = 6  # moments at which grids are compared
STRIPS = 10  # rows of same latents
COLUMNS = 8  # of a sample grid (zoo.callbacks.SampleGrid), each image with a border of 2 pixels
LARGE = 60_000  # bytes: larger pictures are embedded with loss


def write_page(comparison: Comparison, path: Path) -> Path:
    """Writes the page in one step.

    Returns:
        the path written.

    Raises:
        RecordError: it cannot be written.
    """
    write_atomically(path, page(comparison))
    return path


def page(comparison: Comparison) -> str:
    """The whole document."""
    assets = files("zoo") / "assets"
    css, js = ((assets / f"compare.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    charts = Charts(comparison)
    sections = [
        first_section(comparison, charts),
        runs_section(comparison),
        curves_section(comparison, charts),
        tests_section(comparison),
        grids_section(comparison),
        latents_section(comparison),
        training_section(comparison, charts),
        settings_section(comparison),
        protocols_section(comparison),
    ]
    title = f"{', '.join(dict.fromkeys(run.paper for run in comparison.runs))}: {many(len(comparison.runs), 'run')}"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; \
script-src 'unsafe-inline'">
<link rel="icon" href="data:,">
<title>{escape(title)}</title>
<style>{css}</style>
</head>
<body>
<header><h1>{escape(title)}</h1>
<p class="soft">{escape(data_line(comparison))}</p></header>
{key_bar(comparison)}
<main>
{warnings_box(comparison)}
<noscript><p class="note">The curves need JavaScript; the tables and pictures do not.</p></noscript>
{"".join(sections)}
<footer>Written by <code>zoo compare</code>, version {escape(__version__)}. This file is complete in itself.</footer>
</main>
<script type="application/json" id="data">{charts.as_json()}</script>
<script>{js}</script>
</body>
</html>
"""


def many(n: int, noun: str) -> str:
    """1 run, 2 runs."""
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


def data_line(comparison: Comparison) -> str:
    """The data sets, and the range of images seen."""
    sets = " and ".join(dict.fromkeys(run.dataset for run in comparison.runs))
    seen = sorted({run.images_seen for run in comparison.runs})
    span = f"{seen[0]:,}" if len(seen) == 1 else f"{seen[0]:,} to {seen[-1]:,}"
    return f"{sets}; {span} images seen"


def key_bar(comparison: Comparison) -> str:
    """The runs with their colours, to be shown or hidden, and the choice of the clock."""
    keys = "".join(
        f'<button class="run-key" data-run="{i}" aria-pressed="true">{swatch(i)}{escape(label)}</button>'
        for i, label in enumerate(comparison.labels)
    )
    clock = segments("clock", [("images", "images seen"), ("seconds", "wall time")], pressed="images")
    ends = {run.images_seen for run in comparison.runs}
    spans = [("longest", "whole runs"), ("shortest", "shared part")]
    reach = segments("reach", spans, pressed="longest") if len(ends) > 1 else ""
    return f'<div class="bar"><div>{keys}<span class="axis">{clock} {reach}</span></div></div>'


def swatch(run: int) -> str:
    """A run's mark; the script draws it."""
    return f'<span class="swatch k{run % COLOURS}" data-swatch="{run}"></span>'


def segments(name: str, choices: Sequence[tuple[str, str]], *, pressed: str) -> str:
    """Buttons (value, text) of which one is pressed."""
    buttons = "".join(
        f'<button value="{escape(value)}" aria-pressed="{str(value == pressed).lower()}">{escape(text)}</button>'
        for value, text in choices
    )
    return f'<span class="segments" data-choose="{name}" role="group">{buttons}</span>'


def warnings_box(comparison: Comparison) -> str:
    """What a reader must know before comparing."""
    parts = []
    if comparison.warnings:
        items = "".join(f"<li>{escape(text)}</li>" for text in comparison.warnings)
        parts.append(
            f"<details><summary><b>Not all figures may be compared:</b> some were taken under different protocols"
            f" ({many(len(comparison.warnings), 'case')})</summary><ul>{items}</ul></details>"
        )
    if comparison.run_notes:
        parts.append("<ul>" + "".join(f"<li>{escape(note)}</li>" for note in comparison.run_notes) + "</ul>")
    return "".join(f'<div class="note">{part}</div>' for part in parts)


# --- tables ---


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, runs: Sequence[int | None], best: set[Any]) -> str:
    """A table whose first column names each row; on a narrow screen its rows become cards.

    Args:
        head: names of the columns.
        rows: cells as plain text.
        runs: the run of each row, or None.
        best: (row, column) of cells to stress.
    """
    rows = list(rows)
    numeric = [all(is_number(row[i]) for row in rows) for i in range(len(head))]
    lines = []
    for r, row in enumerate(rows):
        run = runs[r]
        name = f'<span class="row-name">{"" if run is None else swatch(run)}<span>{escape(row[0])}</span></span>'
        cells = "".join(
            f'<td data-name="{escape(head[i])}" class="{cell_class(numeric[i], (r, i) in best)}">{escape(cell)}</td>'
            for i, cell in enumerate(row)
            if i
        )
        of_run = "" if run is None else f' data-of-run="{run}"'
        lines.append(f'<tr{of_run}><th scope="row">{name}</th>{cells}</tr>')
    titles = "".join(
        f'<th scope="col"{" class=number" if n and i else ""}>{escape(text)}</th>'
        for i, (text, n) in enumerate(zip(head, numeric, strict=True))
    )
    body = f"<thead><tr>{titles}</tr></thead><tbody>{''.join(lines)}</tbody>"
    return f'<div class="scroll cards"><table>{body}</table></div>'


def cell_class(numeric: bool, best: bool) -> str:
    """Classes of a cell."""
    return " ".join(name for name, holds in (("number", numeric), ("is-best", best)) if holds)


def runs_section(comparison: Comparison) -> str:
    """One row a run, with the measure that most runs share."""
    head, rows = list(OVERVIEW), overview(comparison)
    best: set[tuple[int, int]] = set()
    if comparison.measures:
        name = comparison.measures[0]
        figures = comparison.figures(name)
        found = {figure.run: figure.cells for figure in figures}
        empty = {"best": "", "last": "", "protocol": ""}
        head[1:1] = [f"{name}, best", "last", "protocol"]
        for i, row in enumerate(rows):
            cells = found.get(i, empty)
            row[1:1] = [cells["best"], cells["last"], cells["protocol"]]
        best = {(run, 1) for run in winners(comparison, figures)}
    bold = "<p class=soft>Bold: the best of those measured under one protocol.</p>" if best else ""
    return f"<section><h2>Runs</h2>{bold}{table(head, rows, runs=range(len(rows)), best=best)}</section>"


def winners(comparison: Comparison, figures: Sequence[Figure]) -> set[int]:
    """The best run of each protocol under which at least two runs were measured."""
    found = set()
    for group in {figure.group for figure in figures} - {-1}:
        values = {f.run: comparison.runs[f.run].measures[f.name] for f in figures if f.group == group}
        finite = {run: m["best"]["value"] for run, m in values.items() if m["best"]["value"] is not None}
        if len(finite) > 1:
            lower = next(iter(values.values()))["better"] == "lower"
            found.add((min if lower else max)(finite, key=lambda run: finite[run]))
    return found


def tests_section(comparison: Comparison) -> str:
    """Reached beside reported."""
    tested = comparison.tested
    if not tested:
        return ""
    head = ["run", *tested[0].cells]
    rows = [[comparison.labels[f.run], *f.cells.values()] for f in tested]
    text = (
        "Figures of <code>test</code> on the best and on the last checkpoint. What a paper reports was taken under its"
        " own protocol, which papers state in part only; ours is behind each hash, below."
    )
    body = table(head, rows, runs=[f.run for f in tested], best=set())
    return f"<section><h2>Reached beside reported</h2><p class=soft>{text}</p>{body}</section>"


def settings_section(comparison: Comparison) -> str:
    """The settings in which runs differ."""
    if len(comparison.runs) < 2 or not comparison.settings:
        return ""
    runs = short_paths([run.path for run in comparison.runs])
    body = table(
        ["setting", *comparison.labels],
        [[name, *values] for name, values in sorted(comparison.settings, key=lambda row: "." in row[0])],
        runs=[None] * len(comparison.settings),
        best=set(),
    )
    places = "".join(f"<dt>{escape(a)}</dt><dd>{escape(b)}</dd>" for a, b in zip(comparison.labels, runs, strict=True))
    return (
        f"<section><h2>Where the settings differ</h2><p class=soft>{many(len(comparison.settings), 'setting')}; an"
        f" empty cell is a setting that the run does not have.</p>{body}"
        f"<details><summary>Where the runs lie</summary><dl>{places}</dl></details></section>"
    )


def protocols_section(comparison: Comparison) -> str:
    """Every protocol, field by field."""
    found = {key: p for run in comparison.runs if run.record for key, p in run.record["protocols"].items()}
    if not found:
        return ""
    parts = []
    for key, protocol in found.items():
        fields = "".join(f"<dt>{escape(n)}</dt><dd>{escape(str(v))}</dd>" for n, v in protocol.items())
        summary = ", ".join(short(v) for v in list(protocol.values())[:1])
        parts.append(
            f'<details id="protocol-{escape(key)}"><summary><span class="hash">{escape(key)}</span>'
            f" {escape(summary)}</summary><dl>{fields}</dl></details>"
        )
    return f"<section><h2>Protocols</h2>{''.join(parts)}</section>"


# --- charts ---


class Charts:
    """The charts of a page, collected as the data that its script draws."""

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison
        self.charts: list[dict[str, Any]] = []

    def add(self, title: str, series: Sequence[Mapping[str, Any]], *, better: str | None = None) -> int:
        """Keeps a chart; its number."""
        self.charts.append({"title": title, "better": better, "series": list(series)})
        return len(self.charts) - 1

    def measure(self, name: str) -> int:
        """The curves of a measure, one line style for each protocol."""
        series, better = [], None
        for figure in self.comparison.figures(name):
            run = self.comparison.runs[figure.run]
            points = run.points(name)
            if not points:
                continue
            better = run.measures[name]["better"]
            values = [
                (p.value if better == "lower" else -p.value, i) for i, p in enumerate(points) if p.value is not None
            ]
            best = min(values)[1] if values else None
            series.append(self.series(figure.run, points, best=best) | {"dash": max(figure.group, 0)})
        return self.add(name, series, better=better)

    def series(self, run: int, points: Sequence[Point], *, best: int | None = None) -> dict[str, Any]:
        """One run's curve; a long one is thinned out."""
        own = {"run": run, "colour": run % COLOURS, "label": self.comparison.labels[run]}
        return own | columns(points, best=best)

    def as_json(self) -> str:
        """For a script element: `</` would end it."""
        runs = [{"label": label, "colour": i % COLOURS} for i, label in enumerate(self.comparison.labels)]
        text = json.dumps({"runs": runs, "charts": self.charts}, separators=(",", ":"), allow_nan=False)
        return text.replace("</", "<\\/").replace("<!--", "<\\!--")


def columns(points: Sequence[Point], *, best: int | None = None) -> dict[str, Any]:
    """Points as columns x (images), t (seconds), y and, where there are any, s (spreads)."""
    marked = points[best] if best is not None else None
    points = thinned(points)
    found: dict[str, Any] = {
        "x": [p.images_seen for p in points],
        "t": [round(p.seconds, 1) for p in points],
        "y": [digits(p.value) for p in points],
    }
    if any(p.spread is not None for p in points):
        found["s"] = [digits(p.spread) for p in points]
    return found | {"best": points.index(marked) if marked in points else None}


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


def figure(
    chart: int, caption: str, *, over: str = "", tall: bool = False, run: int | None = None, note: str = ""
) -> str:
    """Where the script draws a chart; `over` fixes the clock."""
    attributes = f' data-over="{over}"' * bool(over) + ' data-tall="1"' * tall
    attributes += "" if run is None else f' data-of-run="{run}"'
    cut = '<p class="below-note" data-cut hidden>The untrained network lies outside the chart.</p>'
    more = f'<p class="below-note">{note}</p>' if note else ""
    return f'<figure data-chart="{chart}"{attributes}><figcaption>{caption}</figcaption>{cut}{more}</figure>'


def drawn(comparison: Comparison) -> list[str]:
    """The measures that there are curves of, those of most runs first."""
    return [name for name in comparison.measures if any(run.points(name) for run in comparison.runs)]


def first_section(comparison: Comparison, charts: Charts) -> str:
    """The measure of most runs, large, over both clocks."""
    if not drawn(comparison):
        return ""
    name = drawn(comparison)[0]
    chart, note = charts.measure(name), styles_note(comparison, name)
    pair = "".join(
        figure(chart, caption(charts, chart, over=text), over=clock, tall=True, note=note)
        for clock, text in (("images", "over images seen"), ("seconds", "over wall time"))
    )
    return f'<section><div class="charts pair">{pair}</div></section>'


def curves_section(comparison: Comparison, charts: Charts) -> str:
    """The other measures, and all figures as a table."""
    if not drawn(comparison):
        return ""
    others = "".join(
        figure(chart, caption(charts, chart), note=styles_note(comparison, name))
        for name in drawn(comparison)[1:]
        for chart in [charts.measure(name)]
    )
    figures = [f for name in comparison.measures for f in comparison.figures(name)]
    rows = [[comparison.labels[f.run], f.name, *f.cells.values()] for f in figures]
    every = table(["run", "measure", *figures[0].cells], rows, runs=[f.run for f in figures], best=set())
    return (
        f'<section><h2>Measures while training</h2><div class="charts">{others}</div>'
        f"<details><summary>All figures as a table</summary>{every}</details></section>"
    )


def caption(charts: Charts, chart: int, *, over: str = "") -> str:
    """The measure and which way is better."""
    better = charts.charts[chart]["better"]
    return f'{escape(charts.charts[chart]["title"])} <span class="better">{over} ({better} is better)</span>'


def styles_note(comparison: Comparison, name: str) -> str:
    """Which line style belongs to which protocol, where there are several."""
    protocols = {f.group: f.protocol for f in reversed(comparison.figures(name)) if f.group >= 0}
    if len(protocols) < 2:
        return ""
    styles = ("solid", "dashed", "dotted", "dash-dotted")
    named = ", ".join(f"{styles[g % 4]} <code>{escape(protocols[g])}</code>" for g in sorted(protocols))
    return f"Protocols differ, compare lines of one style: {named}."


def training_section(comparison: Comparison, charts: Charts) -> str:
    """Losses, each run for itself; then all else that is logged."""
    names = list(dict.fromkeys(name for run in comparison.runs for name in run.traces))
    losses = [name for name in names if name.startswith("loss_")]
    panels = []
    for i, run in enumerate(comparison.runs):
        series = [
            {"colour": k % COLOURS, "label": name.removeprefix("loss_")} | columns(run.points(name))
            for k, name in enumerate(losses)
            if name in run.traces
        ]
        if series:
            chart = charts.add(f"losses of {comparison.labels[i]}", series)
            panels.append(figure(chart, escape(comparison.labels[i]), run=i))
    if not panels:
        return ""
    others = []
    for name in (name for name in names if name not in losses):
        series = [
            charts.series(i, trace(comparison, i, name)) for i, run in enumerate(comparison.runs) if name in run.traces
        ]
        others.append(figure(charts.add(name, series), escape(name)))
    more = (
        f'<details><summary>What else is logged while training</summary><div class="charts">{"".join(others)}</div>'
        "</details>"
        if others
        else ""
    )
    key = " ".join(
        f'<span class="row-name k{k % COLOURS}"><b class="dash"></b>{escape(name.removeprefix("loss_"))}</span>'
        for k, name in enumerate(losses)
    )
    return (
        "<section><h2>Losses</h2><p class=soft>Each run on its own scale: losses of different objectives cannot be"
        f' compared. <span class="key">{key}</span></p><div class="charts">{"".join(panels)}</div>{more}</section>'
    )


def trace(comparison: Comparison, run: int, name: str) -> list[Point]:
    """What is logged of a name while training (of a measure: the batches, not the evaluations)."""
    found = comparison.runs[run]
    steps = [
        Point(row["images_seen"], found.seconds[i], row[name])
        for i, row in enumerate(found.rows)
        if name in row and any(other.startswith("loss_") for other in row)
    ]
    return steps or found.points(name)


# --- pictures ---


def grids_section(comparison: Comparison) -> str:
    """Grids of all runs at the same number of images seen, and at each run's end."""
    with_grids = [(i, run) for i, run in enumerate(comparison.runs) if run.grids]
    if not with_grids:
        return ""
    places = [sorted(run.grids) for _, run in with_grids]
    moments: list[int | None] = [*positions(places), None]
    first = max(moments[:-1], key=lambda at: (bool(at), having(places, at or 0), at), default=None)
    choices = [(moment_name(at), "end of each run" if at is None else f"{at:,} images") for at in moments]
    parts = []
    for at in moments:
        shown = "".join(grid_figure(comparison, i, at=at) for i, _ in with_grids)
        hidden = "" if at == first else " hidden"
        parts.append(f'<div class="pictures" data-position="{moment_name(at)}"{hidden}>{shown}</div>')
    return (
        "<section><h2>Samples at equal images seen</h2><p class=soft>The same latents in all pictures of a run.</p>"
        f"{segments('position', choices, pressed=moment_name(first))}{''.join(parts)}</section>"
    )


def moment_name(at: int | None) -> str:
    """As a value of the buttons."""
    return "end" if at is None else str(at)


def grid_figure(comparison: Comparison, i: int, *, at: int | None) -> str:
    """One run's grid at (or near) a moment; None is its end."""
    run, label = comparison.runs[i], escape(comparison.labels[i])
    place = max(run.grids) if at is None else nearest(sorted(run.grids), at)
    name = f'<span class="row-name">{swatch(i)}<span>{label}</span></span>'
    if place is None:
        other = min(run.grids, key=lambda n: abs(n - (at or 0)))
        body = f'<div class="none">no grid here; the next is at {other:,}</div>'
        return f'<figure data-of-run="{i}">{body}<figcaption>{name}</figcaption></figure>'
    picture = (
        f'<img src="{embedded(opened(run.grids[place]))}" alt="samples of {label} at {place:,} images" loading=lazy>'
    )
    text = f"{name}<small>{place:,} images</small>"
    return f'<figure data-of-run="{i}">{picture}<figcaption>{text}</figcaption></figure>'


def nearest(places: Sequence[int], at: int) -> int | None:
    """The place nearest to `at`, if it is near enough."""
    found = min(places, key=lambda n: abs(n - at))
    return found if abs(found - at) <= NEAR * at else None


def positions(places: Sequence[Sequence[int]]) -> list[int]:
    """Moments at which two runs or more have a grid (of one run, its own moments), rising, at most POSITIONS."""
    chosen: list[int] = []
    enough = min(2, len(places))
    for at in sorted({at for own in places for at in own}, key=lambda at: (-having(places, at), -at)):
        if having(places, at) >= enough and all(abs(at - other) > 2 * NEAR * max(at, other) for other in chosen):
            chosen.append(at)
    return evenly(sorted(chosen), POSITIONS)


def having(places: Sequence[Sequence[int]], at: int) -> int:
    """How many runs have a grid at a moment."""
    return sum(nearest(own, at) is not None for own in places)


def evenly(items: Sequence[Any], n: int) -> list[Any]:
    """At most n of the items, the first and the last among them."""
    if len(items) <= n:
        return list(items)
    return [items[round(i * (len(items) - 1) / (n - 1))] for i in range(n)]


def latents_section(comparison: Comparison) -> str:
    """The first row of each run's grids, from the start of training to its end."""
    parts = []
    for i, run in enumerate(comparison.runs):
        if len(run.grids) < 2:
            continue
        rows = "".join(
            f'<div class="strip"><span>{at:,}</span><img src="{embedded(first_row(opened(run.grids[at])))}"'
            f' alt="at {at:,} images" loading=lazy></div>'
            for at in evenly(sorted(run.grids), STRIPS)
        )
        name = f'<span class="row-name">{swatch(i)}<span>{escape(comparison.labels[i])}</span></span>'
        parts.append(f'<figure data-of-run="{i}"><figcaption>{name}</figcaption>{rows}</figure>')
    if not parts:
        return ""
    return (
        "<section><h2>The same latents through training</h2><p class=soft>One row a checkpoint, images seen beside it."
        f'</p><div class="strips">{"".join(parts)}</div></section>'
    )


def opened(path: Path) -> Any:
    """A picture (PIL.Image).

    Raises:
        ZooError: it cannot be read.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            image.load()
            return image.convert("RGB")
    except OSError as error:
        raise ZooError(f"{path} cannot be read as a picture ({error}): remove it, then compare again") from error


def first_row(image: Any) -> Any:
    """The first row of images of a sample grid; anything else (points in the plane) stays whole."""
    width, height = image.size
    if (width - 2) % COLUMNS or (height - 2) % COLUMNS:
        return image
    return image.crop((0, 0, width, (height - 2) // COLUMNS + 2))


def embedded(image: Any) -> str:
    """A picture as a data URL: PNG, of one channel where it is grey; a large colour picture as WebP."""
    red, green, blue = image.split()
    grey = red.tobytes() == green.tobytes() == blue.tobytes()
    content, kind = encoded(red if grey else image, "PNG", optimize=True), "png"
    if len(content) > LARGE and not grey:
        content, kind = encoded(image, "WEBP", quality=85, method=4), "webp"
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def encoded(image: Any, kind: str, **options: Any) -> bytes:
    """The bytes of a picture's file."""
    buffer = BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()
