"""The comparison for a terminal, and how numbers are written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from zoo.runs.record import which_is_better
from zoo.runs.text import duration, lined_up

if TYPE_CHECKING:
    from zoo.commands.compare.comparison import Comparison, Figure

OVERVIEW = ("run", "data", "images seen", "wall time", "images/s", "seed", "state")


def as_text(comparison: Comparison) -> str:
    """All tables, then warnings and notes."""
    parts = [lined_up([list(OVERVIEW), *overview(comparison)])]
    for measure in comparison.measures:
        heading = f"{measure} while training ({which_is_better(comparison.better(measure))})"
        parts.append(heading + "\n" + figures_table(comparison, comparison.figures(measure)))
    for measure, figures in comparison.tested.items():
        heading = f"{measure} by `test`, beside what the paper reports"
        parts.append(heading + "\n" + figures_table(comparison, figures))
    for measures, reason in comparison.conflicts:
        lines = [f"warning: {', '.join(measures)}: not all of these figures may be compared, their protocols differ"]
        lines += [f"  {key}: {runs}" for key, runs in reason.protocols]
        parts.append("\n".join([*lines, f"  {reason.difference}"]))
    parts += ["\n".join(f"note: {text}" for text in comparison.run_notes)] if comparison.run_notes else []
    return "\n\n".join(parts) + "\n"


def overview(comparison: Comparison) -> list[list[str]]:
    """One row a run, in the order of OVERVIEW."""
    return [
        [
            label,
            run.dataset,
            f"{run.images_seen:,}",
            duration(run.wall_time),
            f"{run.images_per_second:,.0f}",
            "" if run.seed is None else str(run.seed),
            "finished" if run.record else "not ended",
        ]
        for label, run in zip(comparison.labels, comparison.runs, strict=True)
    ]


def figures_table(comparison: Comparison, figures: Sequence[Figure]) -> str:
    """Figures of one measure, run by run."""
    return lined_up([["run", *figures[0].cells], *([comparison.labels[f.run], *f.cells.values()] for f in figures)])
