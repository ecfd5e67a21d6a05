"""The documents that show results: README, docs/results.md, each script's docstring and each paper's page."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zoo.commands.references import with_references
from zoo.commands.results.results import not_run, results
from zoo.commands.results.side_by_side import side_by_side
from zoo.commands.results.tables import (
    Line,
    for_readme,
    for_results,
    of_paper,
    page_tables,
    plain_table,
    short_table,
)
from zoo.errors import ZooError
from zoo.runs.folder import write_atomically
from zoo.runs.record import read_result
from zoo.runs.study import is_study, read_study
from zoo.training.scripts import papers, script_of

BEGIN, END = "Reported and reached (written by `python -m zoo results --write`)", "End of the table"


def with_table(text: str, table: str, *, file: Path) -> str:
    """`text` with what stands between the two marker lines replaced."""
    pattern = re.compile(rf"({re.escape(BEGIN)}[^\n]*\n).*?([^\n]*{re.escape(END)})", re.DOTALL)
    if not pattern.search(text):
        raise ZooError(f"{file} lacks the lines {BEGIN!r} and {END!r}, between which the table goes")
    return pattern.sub(lambda match: match[1] + table + match[2], text, count=1)


def runs_of(folder: Path) -> Iterator[dict[str, Any]]:
    """The records of single runs below `folder`/records, those within studies too."""
    for file in sorted((folder / "records").glob("*.json")):
        if is_study(file):
            yield from read_study(file)["records"].values()
        else:
            yield read_result(file)


def documents(root: Path) -> dict[Path, str]:
    """README, docs/results.md, the scripts and the pages of papers as they should read, by file."""
    reached = [(result,) for result in results(root / "reproductions")]
    runs = list(runs_of(root / "reproductions"))
    wanted: dict[Path, str] = {}
    short: list[Line] = []
    long = side_by_side(root / "zoo/releases/shipped") + "\n"
    for script in (root / f"reproductions/{paper}.py" for paper in papers()):
        recipes = script_of(script.stem).recipes
        own: list[Line] = [line for line in reached if line[0].paper == script.stem]
        missing = list(not_run(script.stem, recipes, [result for line in own for result in line]))
        wanted[script] = plain_table(for_results(own))
        page = root / "docs" / f"{script.stem}.md"
        if page.is_file():
            wanted[page] = page_tables([*own, *missing], [run for run in runs if run["paper"] == script.stem])
        short += for_readme(own, missing, recipes)
        long += of_paper(for_results(own) or missing[:1], missing if own else missing[1:], recipes, page=page)
    wanted[root / "README.md"] = short_table(short)
    wanted[root / "docs/results.md"] = long
    return {file: with_table(file.read_text(), text, file=file) for file, text in wanted.items()}


def write(root: Path) -> list[Path]:
    """Writes the tables of results and of papers, and the citations; the files that changed."""
    wanted = with_references(documents(root), root)
    changed = [(file, text) for file, text in wanted.items() if file.read_text() != text]
    for file, text in changed:
        write_atomically(file, text)
    return [file for file, _ in changed]
