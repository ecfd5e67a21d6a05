"""`zoo compare`: runs side by side in the terminal, and as one page.

reading.py reads them into runs.py, groups.py makes one of those that differ in their seed alone, comparison.py lines
them up under the names of labels.py, text.py writes tables, page.py, charts.py and pictures.py the page.
A run is its folder (finished, stopped or still training), or a committed record. Figures stand beside each other only
with the hash of their protocol; where protocols differ, what differs in them is said.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from zoo.errors import UsageError
from zoo.runs.text import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument
    add("runs", nargs="*", metavar="RUN", help="run folders, folders of them, records (default: runs)")
    add("--wandb", metavar="ENTITY/PROJECT", help="the runs of a W&B project, too")
    add("--page", metavar="FILE", default="compare.html", help="default: %(default)s; '' for none")
    add("--group", action="store_true", help="runs of equal settings as one: means and deviations over their seeds")
    add("--csv", metavar="FILE", help="the figures, a row for each run, measure and checkpoint")
    add("--latex", metavar="FILE", help="the tables, with booktabs")
    add("--markdown", metavar="FILE", help="the tables")
    add("--note", action="append", default=[], metavar="TEXT", help="a note of your own, shown with both")


def run(arguments: argparse.Namespace) -> None:
    """Prints runs side by side and writes them as one page."""
    from zoo.commands.compare.comparison import Comparison
    from zoo.commands.compare.groups import grouped
    from zoo.commands.compare.page import write_page
    from zoo.commands.compare.reading import read_runs
    from zoo.commands.compare.text import FORMS, as_text, write_tables
    from zoo.commands.wandb.pull import pull

    files = {option: file for option in ("page", *FORMS) if (file := getattr(arguments, option))}
    refuse_lost_files(files)
    paths = [Path(path) for path in arguments.runs]
    with tempfile.TemporaryDirectory() as folder:
        if arguments.wandb:
            paths += pull(arguments.wandb, Path(folder))
        runs, notes = read_runs(paths or [Path("runs")])
        comparison = Comparison(grouped(runs) if arguments.group else runs, [*arguments.note, *notes])
        sys.stdout.write(as_text(comparison))
        for file in write_tables(comparison, {form: files.get(form) for form in FORMS}):
            say(f"tables: {file}")
        if arguments.page:
            say(f"page: {write_page(comparison, Path(arguments.page))}")


def refuse_lost_files(files: dict[str, str]) -> None:
    """Raises UsageError where an option's file is a record's, as of `--csv *.json`, or another option's."""
    for option, file in files.items():
        if Path(file).suffix == ".json":
            raise UsageError(f"--{option} {file} may be a record, and would be written over: name another file")
    if len({Path(file).resolve() for file in files.values()}) < len(files):
        raise UsageError(f"--{', --'.join(files)} name one file twice, where the last would write over the others")
