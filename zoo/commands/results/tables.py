"""What README, the pages in docs/ and the scripts say of runs: which rows of rows.py, and in what tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.experiments.measures import MEASURES
from zoo.runs.record import hardware, set_beside
from zoo.runs.text import duration

if TYPE_CHECKING:
    from zoo.commands.results.rows import Row

HEAD = ("recipe", "measure", "reported", "best", "last", "images", "seed", "commit", "protocol")
FIGURES = (HEAD[0], "data", *HEAD[1:])
COSTS = ("recipe", "runs", "images", "images/s", "wall time", "precision", "hardware")
NOT_A_COST = ("--images", "--trainer.precision", "--model.architecture_seed")  # have columns, or are averaged over
NO_COST = "No run is recorded yet, and so no cost.\n"


def page_tables(table: Sequence[Row], records: Iterable[Mapping[str, Any]]) -> str:
    """Markdown: a paper's reported and reached figures, and the cost of its runs, evaluations included.

    Args:
        table: the rows of this paper, reached or not run.
        records: of this paper's runs, those of studies too.
    """
    figures = [(row.cells[0], row.data, *row.cells[1:]) for row in table]
    costs = list(cost_rows(records))
    return f"\n{grid(FIGURES, figures)}\n" + (grid(COSTS, costs) if costs else NO_COST) + "\n"


def grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    return "".join("| " + " | ".join(line) + " |\n" for line in (head, ["---"] * len(head), *rows))


def plain_table(table: list[Row]) -> str:
    """For a docstring: columns lined up by spaces, indented by four."""
    if not table:
        return "    not run\n"
    lines = [HEAD, *(row.cells for row in table)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    return "".join(
        "    " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n"
        for line in lines
    )


def by_paper(table: list[Row]) -> str:
    """For the terminal: a paper's name over its rows, which follow one another in `table`."""
    papers = groupby(table, key=attrgetter("paper"))
    return "\n".join(f"{paper}\n{plain_table(list(own))}" for paper, own in papers) or plain_table([])


def markdown_table(table: list[Row]) -> str:
    """For docs/results.md. A cell may hold several figures, parted by commas."""
    cells = [(row.paper, row.data, *row.cells, f"`{row.command}`" if row.command else "") for row in table]
    return "\n" + grid(("paper", "data", *HEAD, "command"), cells) + "\n"


def short_table(table: list[Row]) -> str:
    """For README: without data, commit and command; beside the recipe what was set, the budget aside."""
    head = [name for name in HEAD if name != "commit"]
    cells = []
    for row in table:
        recipe, *figures, _, protocol = row.cells
        cells.append((row.paper, recipe + (f" `{row.settings.strip()}`" if row.settings else ""), *figures, protocol))
    return "\n" + grid(("paper", *head), cells) + "\n"


def in_details(table: list[Row]) -> str:
    """A table that the reader must open."""
    return f"<details><summary>Reported, not run here</summary>\n{markdown_table(table)}</details>\n\n" if table else ""


def of_paper(table: list[Row], folded: list[Row], recipes: Mapping[str, Any], *, page: Path) -> str:
    """A paper's section of docs/results.md: its rows, what each recipe in them is, and what was not run.

    Args:
        table: rows to show, at least one.
        folded: rows that the reader must open.
        recipes: of its script.
        page: of the paper, which says more, where it is there.
    """
    paper = table[0].paper
    names = dict.fromkeys(row.cells[0].partition(", ")[0] for row in table)
    notes = [f"- `{name}`: {recipes[name].summary}.\n" for name in names if name in recipes]
    notes += [f"- More in [{page.name}]({page.name}#reported-and-reached).\n"] if page.is_file() else []
    return f"## {paper}\n{markdown_table(table)}{''.join(notes)}\n{in_details(folded)}"


def for_readme(reached: list[Row], missing: list[Row], recipes: Mapping[str, Any]) -> list[Row]:
    """README's rows of a paper, at most two: its first reported figures, in the order of its script's recipes.

    Where the first of them was not run, it stands alone beside the first that was: a reported one, else the Fréchet
    distance of an image run. A paper without reported figures has that distance alone.
    """
    order = list(recipes)

    def place(row: Row) -> int:
        name = row.cells[0].partition(", ")[0]
        return order.index(name) if name in order else len(order)

    reported = sorted((row for row in [*reached, *missing] if row.cells[2] != "not reported"), key=place)
    distances = sorted((row for row in reached if MEASURES.compared_by(row.cells[1]) == "distance"), key=place)
    if reported and reported[0] in reached:
        return reported[:2]
    done = [row for row in reported if row in reached] + distances
    return (reported[:1] + done[:1]) or [*reached, *missing][:1]


def for_results(table: list[Row]) -> list[Row]:
    """What docs/results.md shows of a paper's rows: reported figures, and the distance and the score of all images.

    Of a recipe without either (points in the plane, or in a study's variants alone) all rows but what merely describes
    a critic; of a study's variants of a recipe that is shown, the reported alone.
    """
    compared = {row for row in table if MEASURES.compared_by(row.cells[1]) and ", " not in row.cells[0]}
    shown = {row for row in table if row in compared or row.cells[2] != "not reported"}
    done = {row.cells[0].partition(", ")[0] for row in shown}
    others = {row for row in table if row.cells[0].partition(", ")[0] not in done}
    return [row for row in table if row in shown or (row in others and MEASURES.better(row.cells[1]) != "neither")]


def cost_rows(records: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, ...]]:
    """One row for all runs of a recipe with the same settings on the same hardware, in the order of COSTS."""
    alike: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for record in records:
        recipe = record["recipe"] + set_beside(record, leave_out=NOT_A_COST)
        alike.setdefault((recipe, record["precision"], hardware(record)), []).append(record)
    for (recipe, precision, machine), runs in alike.items():
        yield (
            recipe,
            str(len(runs)),
            span([run["images_seen"] for run in runs]),
            span([round(run["images_per_second"]) for run in runs]),
            " to ".join(map(duration, ends([run["wall_time_s"] for run in runs]))),
            precision,
            machine,
        )


def ends(values: Sequence[float]) -> list[float]:
    """The smallest and the largest; one value where they are the same."""
    return sorted({min(values), max(values)})


def span(values: Sequence[int]) -> str:
    """Whole numbers as "252 to 394"."""
    return " to ".join(f"{value:,}" for value in ends(values))
