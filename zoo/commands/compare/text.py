"""The tables of a comparison: for a terminal, and as files of Markdown, LaTeX and CSV. No torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.experiments.measures import MEASURES
from zoo.runs.folder import write_atomically
from zoo.runs.record import which_is_better
from zoo.runs.tables import PREAMBLE, Table, as_csv, in_latex, in_markdown, plain_in_markdown
from zoo.runs.text import duration, encodable, lined_up, printable

if TYPE_CHECKING:
    from zoo.commands.compare.comparison import Comparison, Figure
    from zoo.commands.compare.runs import ComparedRun

OVERVIEW = ("run", "data", "images seen", "updates of G", "wall time", "images/s", "seed", "state")
#: Columns of the CSV: one row for each run, measure and checkpoint; numbers as they are. A deviation is over the runs
#: of a group, an error that of one run's value (over splits, subsets or images).
RUN = ("run", "paper", "recipe", "data", "seeds", "state", "images_seen", "generator_steps", "wall_time_s")
VALUE = ("measure", "better", "taken_by", "checkpoint", "at_images", "value", "deviation", "error", "runs", "protocol")


def as_text(comparison: Comparison) -> str:
    """All tables, then warnings and notes."""
    first, *others = tables(comparison)
    parts = [lined_up([first.head, *first.rows])]
    parts += [f"{table.title}\n{lined_up([table.head, *table.rows])}" for table in others]
    parts += [*conflicts(comparison)]
    parts += ["\n".join(f"note: {text}" for text in comparison.run_notes)] if comparison.run_notes else []
    return printable("\n\n".join(parts)) + "\n"


def tables(comparison: Comparison) -> list[Table]:
    """The runs, then each measure while training and by `test`."""
    found = [Table("Runs", "", OVERVIEW, overview(comparison))]
    for measure in comparison.measures:
        better = which_is_better(comparison.better(measure))
        rows = comparison.figures(measure)
        found.append(figures_table(comparison, rows, title=f"{measure} while training ({better})"))
    for measure, rows in comparison.tested.items():
        found.append(figures_table(comparison, rows, title=f"{measure} by `test`, beside what the paper reports"))
    return found


def overview(comparison: Comparison) -> list[list[str]]:
    """One row a run, in the order of OVERVIEW."""
    return [
        [
            label,
            run.dataset,
            f"{run.images_seen:,}",
            "" if run.generator_steps is None else f"{run.generator_steps:,}",
            duration(run.wall_time),
            f"{run.images_per_second:,.0f}",
            run.seeds,
            run.state,
        ]
        for label, run in zip(comparison.labels, comparison.runs, strict=True)
    ]


def figures_table(comparison: Comparison, figures: Sequence[Figure], *, title: str) -> Table:
    """Figures of one measure, run by run."""
    rows = [[comparison.labels[f.run], *f.cells.values()] for f in figures]
    return Table(title, "", ["run", *figures[0].cells], rows)


def conflicts(comparison: Comparison) -> Iterator[str]:
    """What a reader must know before comparing."""
    for measures, reason in comparison.conflicts:
        lines = [f"warning: {', '.join(measures)}: not all of these figures may be compared, their protocols differ"]
        lines += [f"  {key}: {runs}" for key, runs in reason.protocols]
        yield "\n".join([*lines, f"  {reason.difference}"])


# Files.


def write_tables(comparison: Comparison, files: dict[str, str | None]) -> Iterator[Path]:
    """Writes the tables in the forms that are asked for.

    Args:
        comparison: what to write.
        files: {"csv", "latex" or "markdown": where to, or None}.

    Raises:
        RecordError: a file that cannot be written.
    """
    for form, file in files.items():
        if file:
            write_atomically(file, FORMS[form](comparison))
            yield Path(file)


def markdown(comparison: Comparison) -> str:
    """The tables of the terminal, warnings and notes below."""
    shown = [
        replace(
            table,
            head=list(map(plain_in_markdown, table.head)),
            rows=[list(map(plain_in_markdown, row)) for row in table.rows],
        )
        for table in tables(comparison)
    ]
    notes = [f"- {plain_in_markdown(line.strip())}" for text in conflicts(comparison) for line in text.split("\n")]
    notes += [f"- note: {plain_in_markdown(text)}" for text in comparison.run_notes]
    return "\n".join([*(in_markdown(table, level=2) for table in shown), *(["\n".join(notes) + "\n"] if notes else [])])


def latex(comparison: Comparison) -> str:
    """The tables of the terminal, each with a caption; warnings and notes as comments above them."""
    told = [*conflicts(comparison), *(f"note: {text}" for text in comparison.run_notes)]
    lines = [
        "% Written by `zoo compare`.",
        PREAMBLE,
        *(f"% {printable(line)}" for text in told for line in text.splitlines()),
    ]
    return "\n".join([*lines, "", *(in_latex(table) for table in tables(comparison))])


def csv(comparison: Comparison) -> str:
    """One row for each run, measure and checkpoint, as programs read it; of a run without measures one row."""
    rows = []
    for label, run in zip(comparison.labels, comparison.runs, strict=True):
        steps = "" if run.generator_steps is None else run.generator_steps
        own = [label, run.paper, run.recipe, run.dataset, run.seeds, run.state, run.images_seen, steps, run.wall_time]
        rows += [[*own, *value] for value in values_of(run)] or [[*own, *[""] * len(VALUE)]]
    return as_csv([*RUN, *VALUE], [[encodable(str(cell)) for cell in row] for row in rows])


def values_of(run: ComparedRun) -> Iterator[list[Any]]:
    """The cells of VALUE; a value that is not finite is empty."""
    for name, measure in run.measures.items():
        for at in ("first", "best", "last"):
            if at != "best" or measure["better"] != "neither":
                own = measure[at]
                numbers = (own["images_seen"], own["value"], own.get("error"), None, own.get("of", "(1)"))
                yield cells(name, measure["better"], "training", at, *numbers, measure["protocol"])
    for at, test in run.tests.items():
        for name, value in test["values"].items():
            if not MEASURES.is_attached(name):
                better = MEASURES.better(name) or ""
                deviation, of = (test.get(part, {}).get(name) for part in ("errors", "of"))
                error = None if of else MEASURES.error(name, test["values"])
                numbers = (test["images_seen"], value, deviation, error, of or "(1)")
                yield cells(name, better, "test", at, *numbers, test["protocols"].get(name))


def cells(*values: Any) -> list[Any]:
    """None as an empty cell, "(4/5)" runs as 4."""
    *others, runs, protocol = ["" if value is None else value for value in values]
    return [*others, runs.strip("()").partition("/")[0], protocol]


FORMS: dict[str, Callable[[Comparison], str]] = {"csv": csv, "latex": latex, "markdown": markdown}
