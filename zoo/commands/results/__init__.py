"""`zoo results`: reported beside reached, from the committed records.

results.py reads the records, tables.py shows them, documents.py writes README, scripts and pages, keep.py adds one.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from zoo.errors import ZooError
from zoo.runs.text import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("--root", help="a checkout of this project (default: this folder, or the installed records)")
    parser.add_argument("--add", metavar="RUN", help="first copy this run's result.json to the committed records")
    parser.add_argument("--write", action="store_true", help="write the tables into README, the scripts and docs")


def run(arguments: argparse.Namespace) -> None:
    """Prints the reached figures beside the reported ones; with --write, also into README, scripts and pages."""
    from zoo.commands.results import documents, keep
    from zoo.commands.results.results import results
    from zoo.commands.results.tables import by_paper

    root = Path(arguments.root or ".")
    checkout = (root / "reproductions").is_dir()
    if not checkout and (arguments.root or arguments.add or arguments.write):
        raise ZooError(f"{root.resolve()} has no folder reproductions: run this in a checkout, or name one with --root")
    if arguments.add is not None:
        say(f"written: {keep.keep(Path(arguments.add), root)}")
    scripts = root / "reproductions" if checkout else None
    say(by_paper([(result,) for result in results(scripts)]).rstrip("\n"))
    if arguments.write:
        for file in documents.write(root):
            say(f"written: {file}")
