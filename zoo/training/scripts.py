"""The papers' scripts in the package `reproductions`, by the name of the paper. No torch at import."""

import pkgutil
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from zoo.errors import UsageError, ZooError
from zoo.training.benchmark import Preset
from zoo.training.recipes import Recipe
from zoo.training.signatures import entries
from zoo.training.study import Study

PACKAGE = "reproductions"  # above this room: found by its name when it is asked for


class Script(NamedTuple):
    """What a paper's script has at its top level.

    Attributes:
        recipes: its RECIPES, the paper's experiments.
        studies: its STUDIES, experiments that are made of several runs.
        figures: its FIGURES, which draws the paper's figures of one run, or None.
        presets: its PRESETS, of the benchmark.
    """

    recipes: Mapping[str, Recipe]
    studies: Mapping[str, Study]
    figures: Callable[..., Any] | None
    presets: Mapping[str, Preset] = {}


def script_of(paper: str) -> Script:
    """The script of a paper, or one beside the papers.

    Raises:
        UsageError: no such paper.
    """
    if paper not in scripts():
        raise UsageError(f"there is no paper {paper!r}: the papers are {', '.join(papers())}")
    module = import_module(f"{PACKAGE}.{paper}")
    studies, presets = getattr(module, "STUDIES", {}), getattr(module, "PRESETS", {})
    return Script(module.RECIPES, studies, getattr(module, "FIGURES", None), presets)


def scripts() -> list[str]:
    """The names of all scripts: those of the papers, and of what else is trained."""
    return [module.name for module in pkgutil.iter_modules(package().__path__)]


def papers() -> list[str]:
    """The papers that have a script."""
    beside = entries("zoo.models", "BESIDE")
    return [name for name in scripts() if name not in beside]


def folder_of_scripts() -> Path:
    """Where the scripts lie; the committed records lie in `records` below it."""
    return Path(next(iter(package().__path__)))


def package() -> ModuleType:
    """The package of the scripts.

    Raises:
        ZooError: it is not installed.
    """
    try:
        return import_module(PACKAGE)
    except ModuleNotFoundError as error:
        raise ZooError(f"the package {PACKAGE!r} of the papers' recipes is not installed beside zoo") from error


def reported_by(paper: str, recipe: str) -> Mapping[str, str]:
    """{measure: what the paper reports for a recipe}; {} for a paper or recipe that is not there (any more)."""
    found = recipe_of(paper, recipe)
    return {} if found is None else found.reported


def summary_of(paper: str, recipe: str) -> str | None:
    """The recipe's own line; None for a paper or recipe that is not there (any more)."""
    found = recipe_of(paper, recipe)
    return None if found is None else found.summary


def recipe_of(paper: str, recipe: str) -> Recipe | None:
    """A recipe by its name, if it is there."""
    return script_of(paper).recipes.get(recipe) if paper in scripts() else None
