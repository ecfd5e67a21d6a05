"""Pieces of HTML that every section of the page uses."""

from collections.abc import Collection, Iterable, Sequence
from html import escape

from zoo.runs.text import is_number

COLOURS = 8  # --c0 ... in compare.css


def many(n: int, noun: str) -> str:
    """1 run, 2 runs."""
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


def section(title: str, text: str, *bodies: str) -> str:
    """A heading, a line that says how to read what follows, and the parts of the section."""
    lead = f'<p class="soft">{text}</p>' if text else ""
    return f"<section><h2>{escape(title)}</h2>{lead}{''.join(bodies)}</section>"


def details(summary: str, body: str, *, shown: bool = False) -> str:
    """What a reader may open; nothing for an empty body."""
    opened = " open" if shown else ""
    return f"<details{opened}><summary>{summary}</summary>{body}</details>" if body else ""


def pairs(items: Iterable[tuple[str, object]]) -> str:
    """Names and their values."""
    return "<dl>" + "".join(f"<dt>{escape(a)}</dt><dd>{escape(str(b))}</dd>" for a, b in items) + "</dl>"


def swatch(run: int) -> str:
    """A run's mark; the script draws it."""
    return f'<span class="swatch k{run % COLOURS}" data-swatch="{run}"></span>'


def named(run: int, label: str) -> str:
    """A run's mark and label."""
    return f'<span class="row-name">{swatch(run)}<span>{escape(label)}</span></span>'


def segments(name: str, choices: Sequence[tuple[str, str]], *, pressed: str) -> str:
    """Buttons (value, text) of which one is pressed."""
    buttons = "".join(
        f'<button value="{escape(value)}" aria-pressed="{str(value == pressed).lower()}">{escape(text)}</button>'
        for value, text in choices
    )
    return f'<span class="segments" data-choose="{name}" role="group">{buttons}</span>'


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    runs: Sequence[int] | None = None,
    best: Collection[tuple[int, int]] = (),
) -> str:
    """A table whose first column names each row; on a narrow screen its rows become cards.

    Args:
        head: names of the columns.
        rows: cells as plain text.
        runs: the run of each row, or None where rows are no runs.
        best: (row, column) of cells to stress.
    """
    rows = list(rows)
    numeric = [all(is_number(row[i]) for row in rows) for i in range(len(head))]
    lines = []
    for r, row in enumerate(rows):
        cells = "".join(
            f'<td data-name="{escape(head[i])}"{classes(number=numeric[i], best=(r, i) in best)}>{escape(row[i])}</td>'
            for i in range(1, len(head))
        )
        first = escape(row[0]) if runs is None else named(runs[r], row[0])
        of_run = "" if runs is None else f' data-of-run="{runs[r]}"'
        lines.append(f'<tr{of_run}><th scope="row">{first}</th>{cells}</tr>')
    titles = "".join(
        f'<th scope="col"{classes(number=n and i > 0)}>{escape(text)}</th>'
        for i, (text, n) in enumerate(zip(head, numeric, strict=True))
    )
    body = f"<thead><tr>{titles}</tr></thead><tbody>{''.join(lines)}</tbody>"
    return f'<div class="scroll cards"><table>{body}</table></div>'


def classes(*, number: bool, best: bool = False) -> str:
    """The class attribute of a cell."""
    names = [name for name, holds in (("number", number), ("is-best", best)) if holds]
    return f' class="{" ".join(names)}"' if names else ""
