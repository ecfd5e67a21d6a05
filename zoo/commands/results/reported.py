"""What the papers report, read from the reproduction scripts of this checkout."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path


def reproductions() -> Path:
    """The folder of reproduction scripts of this checkout (none where only the package is installed)."""
    return Path(__file__).parents[3] / "reproductions"


def reported_by(paper: str, recipe: str) -> Mapping[str, str]:
    """{measure: what the paper reports for a recipe}; {} outside a checkout."""
    return _reported(paper).get(recipe, {})


@cache
def _reported(paper: str) -> dict[str, Mapping[str, str]]:
    from zoo.commands.results.results import recipes_of  # running a script brings torch

    script = reproductions() / f"{paper}.py"
    return {name: recipe.reported for name, recipe in recipes_of(script).items()} if script.is_file() else {}


def summary_of(paper: str, recipe: str) -> str | None:
    """The recipe's own line; None outside a checkout, and for a recipe that is not there any more."""
    from zoo.commands.results.results import recipes_of  # running a script brings torch

    script = reproductions() / f"{paper}.py"
    recipes = recipes_of(script) if script.is_file() else {}
    return str(recipes[recipe].summary) if recipe in recipes else None
