"""`zoo papers`: the papers, their recipes, what each reports on which data, and what has been reached here."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from zoo.commands.references import papers
from zoo.commands.results.rows import Row, data_of, recipes_of, rows
from zoo.errors import ZooError
from zoo.runs.text import lined_up

HEAD = ("recipe", "data", "measure", "reported", "reached: best", "last")


def as_text(folder: Path, *, names: Sequence[str] = ()) -> str:
    """Each paper with its table, for a terminal.

    Args:
        folder: the reproductions of a checkout; where it does not exist (an installed package), titles stand alone.
        names: of papers; none takes all.

    Raises:
        ZooError: an unknown paper, or a committed record that does not fit its script.
    """
    known = papers()
    if unknown := [name for name in names if name not in known]:
        raise ZooError(f"there is no paper {unknown[0]!r}: the papers are {', '.join(known)}")
    there = folder.is_dir()
    reached = list(rows(folder)) if there else []
    parts = []
    for name, (_, _, paper) in known.items():
        if names and name not in names:
            continue
        lines = [f"{name}  {paper.title}, {paper.year}, arXiv {paper.arxiv}"]
        if there:
            lines += lined_up([HEAD, *table(name, folder, reached)]).splitlines()
        lines.append(f"python reproductions/{name}.py fit --help")
        parts.append("\n    ".join(lines))
    note = "" if there else f"\nRecipes and what they reached come with a checkout; there is no folder {folder}.\n"
    return "\n\n".join(parts) + "\n" + note


def table(paper: str, folder: Path, reached: list[Row]) -> Iterator[tuple[str, ...]]:
    """The rows of one paper in the order of HEAD: each figure that is reported or was reached, and recipes without any.

    Args:
        paper: its name, and that of its script.
        folder: the reproductions of a checkout.
        reached: of `zoo.commands.results.rows.rows`.
    """
    mine = [row.cells for row in reached if row.paper == paper]
    for name, recipe in recipes_of(folder / f"{paper}.py").items():
        own = [cells for cells in mine if cells[0] == name or cells[0].startswith(f"{name}, ")]
        for cells in own:
            yield cells[0], data_of(recipe.config), *cells[1:5]
        missing = {m: text for m, text in recipe.reported.items() if m not in {cells[1] for cells in own}}
        for measure, text in missing.items():
            yield name, data_of(recipe.config), measure, text, "not run", ""
        if not own and not missing:
            yield name, data_of(recipe.config), "", "not reported", "not run", ""
    for cells in mine:
        if cells[0].startswith("study "):
            yield cells[0], "", *cells[1:5]
