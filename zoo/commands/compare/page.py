"""A comparison as one HTML file that needs nothing else: no network, no server, no library.

The charts are drawn by a small script of the page itself (assets/compare.js): they are lines over one of three clocks,
and a charting library would be several times the size of everything else in the page.
"""

from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from shlex import join

from zoo import __version__
from zoo.commands.compare.charts import CLOCKS, Charts, chart_sections
from zoo.commands.compare.comparison import Comparison, Figure
from zoo.commands.compare.groups import Group
from zoo.commands.compare.html import details, many, named, pairs, section, segments, table
from zoo.commands.compare.pictures import grids_section, latents_section
from zoo.commands.compare.protocols import short
from zoo.commands.compare.text import OVERVIEW, figures_table, overview
from zoo.runs.command_lines import without_folders
from zoo.runs.folder import write_atomically
from zoo.runs.text import encodable


def write_page(comparison: Comparison, path: Path) -> Path:
    """Writes the page in one step.

    Returns:
        the path written.

    Raises:
        RecordError: it cannot be written.
        ZooError: a sample grid cannot be read.
    """
    write_atomically(path, encodable(page(comparison)))
    return path


def page(comparison: Comparison) -> str:
    """The whole document."""
    assets = files("zoo.commands.compare") / "assets"
    css, js = ((assets / f"compare.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    charts = Charts(comparison)
    first, measures, training = chart_sections(charts)
    sections = [
        first,
        runs_section(comparison),
        grids_section(comparison),
        latents_section(comparison),
        measures,
        tests_section(comparison),
        training,
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
{"".join(f'<p class="soft">{escape(line)}</p>' for line in lead(comparison))}</header>
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


def lead(comparison: Comparison) -> list[str]:
    """The data sets and the range of images seen; what all runs were made with."""
    sets = " and ".join(dict.fromkeys(run.dataset for run in comparison.runs))
    seen = sorted({run.images_seen for run in comparison.runs})
    span = f"{seen[0]:,}" if len(seen) == 1 else f"{seen[0]:,} to {seen[-1]:,}"
    shared = [f"{name} {v[0]}" for name, v in comparison.circumstances if len(set(v)) == 1 and "version" not in name]
    lines = [f"{sets}; {span} images seen."]
    if any(isinstance(run, Group) for run in comparison.runs):
        text = "Lines are means over seeds, bands one standard deviation to each side. "
        lines.append(text + "In brackets: of how many runs. Pictures are of one seed.")
    return [*lines, f"All of them: {'; '.join(shared)}."] if shared and len(comparison.runs) > 1 else lines


def key_bar(comparison: Comparison) -> str:
    """The runs with their colours, to be shown or hidden, and the choice of the clock."""
    keys = "".join(
        f'<button class="run-key" data-run="{i}" aria-pressed="true">{named(i, label)}</button>'
        for i, label in enumerate(comparison.labels)
    )
    clocks = [(name, text.removeprefix("over ")) for name, text in CLOCKS.items()]
    clock = segments("clock", clocks, pressed="images")
    ends = sorted(run.images_seen for run in comparison.runs)
    spans = [("longest", "whole runs"), ("shortest", "shared part")]
    reach = segments("reach", spans, pressed="longest") if ends[-1] > 1.02 * ends[0] else ""
    return f'<div class="bar"><div>{keys}<span class="axis">{clock} {reach}</span></div></div>'


def warnings_box(comparison: Comparison) -> str:
    """What a reader must know before comparing."""
    items = []
    for measures, reason in comparison.conflicts:
        under = "".join(f"<li><code>{escape(key)}</code>: {escape(runs)}</li>" for key, runs in reason.protocols)
        items.append(f"<p><b>{escape(', '.join(measures))}</b></p><ul>{under}</ul><p>{escape(reason.difference)}.</p>")
    summary = "<b>Not all figures may be compared:</b> some were taken under different protocols"
    parts = [details(summary, "".join(items))] if items else []
    if comparison.run_notes:
        parts.append("<ul>" + "".join(f"<li>{escape(note)}</li>" for note in comparison.run_notes) + "</ul>")
    return "".join(f'<div class="note">{part}</div>' for part in parts)


def runs_section(comparison: Comparison) -> str:
    """One row a run, with the measure that most runs share."""
    head, rows = list(OVERVIEW), overview(comparison)
    best: set[tuple[int, int]] = set()
    if comparison.measures:
        name = comparison.measures[0]
        found = {figure.run: figure.cells for figure in comparison.figures(name)}
        head[1:1] = [f"{name}, best", "last", "protocol"]
        for i, row in enumerate(rows):
            row[1:1] = [found[i][key] if i in found else "" for key in ("best", "last", "protocol")]
        best = {(run, 1) for run in comparison.winners(name)}
    bold = "Bold: the best of those measured under one protocol." if best else ""
    commands = [
        (label, "\n".join(join(without_folders(command)) for command in run.record["commands"]))
        for label, run in zip(comparison.labels, comparison.runs, strict=True)
        if run.record
    ]
    shown = details("Their commands", pairs(commands)) if commands else ""
    return section("Runs", bold, table(head, rows, runs=range(len(rows)), best=best), shown)


def tests_section(comparison: Comparison) -> str:
    """Reached beside reported, measure by measure; those that a paper reports are shown at once."""
    if not comparison.tested:
        return ""
    claims = {name: {f.cells["reported"] for f in figures} for name, figures in comparison.tested.items()}
    claimed = {name for name, found in claims.items() if found != {"not reported"}}
    shown = claimed or set(list(comparison.tested)[:1])
    text = (
        "Figures of <code>test</code> on the best and on the last checkpoint. What a paper reports was taken under its"
        " own protocol, which papers state in part only; ours is behind each hash, at the end of the page."
    )
    ordered = sorted(comparison.tested, key=lambda name: name not in shown)
    tables = (
        details(f"<b>{escape(name)}</b>", figures(comparison, comparison.tested[name]), shown=name in shown)
        for name in ordered
    )
    return section("Reached beside reported", text, *tables)


def figures(comparison: Comparison, rows: Sequence[Figure]) -> str:
    """Figures of one measure, run by run."""
    found = figures_table(comparison, rows, title="")
    return table(found.head, found.rows, runs=[figure.run for figure in rows])


def settings_section(comparison: Comparison) -> str:
    """In what runs differ: their settings, then what they were made with."""
    made = [row for row in comparison.circumstances if len(set(row[1]) - {""}) > 1]
    rows = [[name, *values] for name, values in [*comparison.settings, *made]]
    if len(comparison.runs) < 2 or not rows:
        return ""
    text = f"{many(len(rows), 'setting')}; an empty cell is a setting that the run does not have."
    return section("Where the settings differ", text, table(["setting", *comparison.labels], rows))


def protocols_section(comparison: Comparison) -> str:
    """Every protocol, field by field."""
    found = {key: p for run in comparison.runs if run.record for key, p in run.record["protocols"].items()}
    parts = [
        details(f'<span class="hash">{escape(key)}</span> {escape(summary(protocol))}', pairs(protocol.items()))
        for key, protocol in found.items()
    ]
    return section("Protocols", "", *parts) if parts else ""


def summary(protocol: dict[str, object]) -> str:
    """A protocol's first field, and how many fakes it takes."""
    first = short(next(iter(protocol.values()), ""))
    return first + (f", {protocol['n_fake']} fakes" if "n_fake" in protocol else "")
