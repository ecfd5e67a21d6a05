"""`zoo papers`: the papers, their recipes, what each reports on which data, and what has been reached here."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime

from zoo.commands.references import papers
from zoo.commands.results.results import Result, data_of, results
from zoo.commands.results.tables import cells
from zoo.errors import ZooError
from zoo.runs.record import read_result
from zoo.runs.study import is_study
from zoo.runs.text import cores, duration, lined_up
from zoo.training.recipes import budget_of
from zoo.training.scripts import folder_of_scripts, script_of

HEAD = ("recipe", "data", "budget", "time here", "measure", "reported", "reached: best", "last")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("papers", nargs="*", metavar="PAPER", help="these alone")


def run(arguments: argparse.Namespace) -> None:
    """Prints each paper's recipes, what it reports for them and what has been reached here."""
    sys.stdout.write(as_text(names=arguments.papers))


def as_text(*, names: Sequence[str] = ()) -> str:
    """Each paper with its table, for a terminal.

    Args:
        names: of papers; none takes all.

    Raises:
        ZooError: an unknown paper, or a committed record that does not fit its script.
    """
    known = papers()
    if unknown := [name for name in names if name not in known]:
        raise ZooError(f"there is no paper {unknown[0]!r}: the papers are {', '.join(known)}")
    reached = list(results())
    parts = []
    for name, (_, _, paper) in known.items():
        if names and name not in names:
            continue
        lines = [f"{name}  {paper.title}, {paper.year}, arXiv {paper.arxiv}"]
        lines += lined_up([HEAD, *table(name, reached)]).splitlines()
        lines.append(f"zoo fit {name} --help    (in a checkout: python reproductions/{name}.py fit --help)")
        parts.append("\n    ".join(lines))
    return "\n\n".join(parts) + "\n"


def table(paper: str, reached: list[Result]) -> Iterator[tuple[str, ...]]:
    """The rows of one paper in the order of HEAD: each measure that is reported or was reached, and empty recipes.

    Args:
        paper: its name, and that of its script.
        reached: of `zoo.commands.results.results.results`.
    """
    times = times_of(paper)
    mine = [result for result in reached if result.paper == paper]
    for name, recipe in script_of(paper).recipes.items():
        data = data_of(recipe.config)
        head = data, budget_of(recipe.config), times.get(name, "")  # once a recipe
        own = [result for result in mine if result.recipe == name]
        for result in own:
            shown, *values = cells((result,))
            yield shown, result.data, head[1], head[2] if result.variant is None else "", *values[:4]
            head = data, "", ""
        missing = {m: text for m, text in recipe.reported.items() if m not in {result.measure for result in own}}
        for measure, text in missing.items():
            yield name, *head, measure, text, "not run", ""
            head = data, "", ""
        if not own and not missing:
            yield name, *head, "", "not reported", "not run", ""
    for result in mine:
        if result.study is not None:
            shown, *values = cells((result,))
            yield shown, "", "", "", *values[:4]


def times_of(paper: str) -> dict[str, str]:
    """{recipe: what its newest committed run took, and on what} of a paper's records, those in studies left out."""
    files = (folder_of_scripts() / "records").glob(f"{paper}-*.json")
    records = [read_result(file) for file in sorted(files) if not is_study(file)]
    found = {}
    for record in sorted(records, key=lambda record: datetime.fromisoformat(record["finished"])):
        on = " ".join(record["hardware"]["gpus"][:1]) or cores(record["hardware"]["cores"])
        found[record["recipe"]] = f"{duration(record['wall_time_s'])} for {record['images_seen']:,} ({on})"
    return found
