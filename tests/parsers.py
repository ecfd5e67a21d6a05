"""The parsers of papers' command lines, each made once: most of what reading a command takes."""

import dataclasses
import functools
from typing import Any

import pytest

from zoo.models import MODELS
from zoo.training.cli import ReproductionCLI
from zoo.training.plan import make_plan
from zoo.training.scripts import script_of
from zoo.training.words import Words


class Built(Exception):
    """Carries a parser out of a command line that is not to be run."""


class ParserOnly(ReproductionCLI):
    def parse_arguments(self, parser: Any, args: Any) -> None:
        raise Built(self._parser(args[0]))


@functools.cache
def parser_of(paper: str, subcommand: str) -> Any:
    """What reads the options behind a paper's `fit`, `test` or `predict`; its defaults are those of no recipe."""
    plan = make_plan(Words.of(["fit", "--help"]), paper=paper, recipes=script_of(paper).recipes)
    plan = dataclasses.replace(plan, words=Words.of([subcommand, "--help"]), base={})  # of a run that is not there
    with pytest.raises(Built) as built:
        ParserOnly(MODELS[paper], plan=plan, recipes=[])
    return built.value.args[0]
