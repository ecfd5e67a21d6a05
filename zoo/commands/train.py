"""`zoo fit PAPER`, `zoo test PAPER`, `zoo predict PAPER`, `zoo study PAPER`: a paper's own command line, anywhere.

They are what `python reproductions/PAPER.py fit ...` runs in a checkout.
"""

import argparse

from zoo.training import reproduce
from zoo.training.scripts import script_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The paper; all that follows is read by its own command line."""
    parser.add_argument("paper", metavar="PAPER", help="as `zoo papers` names it")
    options = f"see `{parser.prog} PAPER --help`"
    parser.add_argument("options", nargs=argparse.REMAINDER, metavar="...", help=options)


def run(arguments: argparse.Namespace) -> None:
    """Hands over to the paper's command line."""
    script = script_of(arguments.paper)
    reproduce(
        arguments.paper,
        script.recipes,
        figures=script.figures,
        studies=script.studies,
        arguments=[arguments.command, *arguments.options],
    )
