"""Options that pages, notebooks and the scripts' docstrings name in running text exist."""

import argparse
import ast
import functools
import inspect
import re
from pathlib import Path

import pytest
from pages import DOCUMENTS, NOTEBOOKS, ROOT, markdown_of, spans
from parsers import parser_of

import zoo.data
from zoo.__main__ import parser as zoo_parser
from zoo.models import MODELS
from zoo.training.words import TAKEN


@functools.cache
def known_options() -> frozenset[str]:
    """All options of `zoo` and of the papers' command lines, with the arguments of every paper and data set."""
    (commands_of_zoo,) = (a for a in zoo_parser()._actions if isinstance(a, argparse._SubParsersAction))
    own = [*commands_of_zoo.choices.values(), *(parser_of("dcgan", name) for name in ("fit", "test", "predict"))]
    found = {option for one in own for action in one._actions for option in action.option_strings}
    for prefix, kinds in (("model", MODELS.values()), ("data", zoo.data.DATASETS.values())):
        for kind in (base for one in kinds for base in one.__mro__):
            found |= {f"--{prefix}.{name}" for name in inspect.signature(kind.__init__).parameters}
    taken = {f"--{name}" for names in TAKEN.values() for name in names}
    return frozenset(found | taken | {"--help_all", "--model.objective", "--signal"})  # the last is SLURM's


@pytest.mark.parametrize(
    "file", [*DOCUMENTS, *NOTEBOOKS, *(ROOT / "reproductions").glob("*.py")], ids=lambda file: file.name
)
def test_options_that_are_named_exist(file: Path) -> None:
    """Those that stand alone in running text, `--keep.monitor NAME`, and in the docstrings of scripts."""
    text = file.read_text()
    if file.suffix == ".py":
        text = ast.get_docstring(ast.parse(text)) or ""
    named = {span.partition(" ")[0] for span in spans(markdown_of(file) if file.suffix == ".ipynb" else text)}
    for option in (re.split(r"[=\s]", name)[0].rstrip(".") for name in named if re.match(r"--\w", name)):
        parts = option.split(".")
        nested = {".".join(parts[:n]) for n in range(1, len(parts) + 1)} if option.count(".") > 1 else {option}
        assert nested & known_options(), f"{file.name}: {option}"
