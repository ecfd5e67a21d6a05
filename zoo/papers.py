"""The papers as a table: their recipes, what each paper reports for them, what has been reached here."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from zoo.reached import recipes_of, rows

HEAD = ("recipe", "data", "measure", "reported", "reached: best", "last")


class Paper(NamedTuple):
    """What a paper is called and where it stands."""

    title: str
    year: int
    arxiv: str


def table(paper: str, folder: Path) -> Iterator[tuple[str, ...]]:
    """The rows of one paper in the order of HEAD: each figure that is reported or was reached, and recipes without any.

    Args:
        paper: its name, and that of its script.
        folder: the reproductions of a checkout.
    """
    recipes = recipes_of(folder / f"{paper}.py")
    reached = [row.cells for row in rows(folder) if row.paper == paper]
    for name, recipe in recipes.items():
        mine = [cells for cells in reached if cells[0] == name or cells[0].startswith(f"{name}, ")]
        for cells in mine:
            yield cells[0], data_of(recipe.config), *cells[1:5]
        missing = {m: text for m, text in recipe.reported.items() if m not in {cells[1] for cells in mine}}
        for measure, text in missing.items():
            yield name, data_of(recipe.config), measure, text, "not run", ""
        if not mine and not missing:
            yield name, data_of(recipe.config), "", "not reported", "not run", ""
    for cells in reached:
        if cells[0].startswith("study "):
            yield cells[0], "", *cells[1:5]


def data_of(config: Mapping[str, Any]) -> str:
    """The data set of a recipe, and its resolution where it is set."""
    data = config.get("data")
    if not data:
        return "none"
    name = str(data["class_path"]).rpartition(".")[2]
    resolution = data.get("init_args", {}).get("resolution")
    return name + (f" {resolution}x{resolution}" if resolution else "")
