"""`zoo diff`: how two papers differ, from the code's own defaults or from recipes (described.py)."""

from __future__ import annotations

import argparse
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    of = "a paper, with the defaults of its code or the settings of a recipe"
    parser.add_argument("first", metavar="PAPER[:RECIPE]", help=of)
    parser.add_argument("second", metavar="PAPER[:RECIPE]", help="the other")


def run(arguments: argparse.Namespace) -> None:
    """Prints how two papers differ."""
    from zoo.commands.diff.described import as_text

    sys.stdout.write(as_text(arguments.first, arguments.second))
