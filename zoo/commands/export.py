"""`zoo export`: a release of a finished run."""

from __future__ import annotations

import argparse
from pathlib import Path

from zoo.releases.card import PRECISIONS
from zoo.runs.text import say
from zoo.training.scripts import summary_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument
    add("folder", metavar="RUN", help="the run's folder")
    add("--out", default="releases", help="folder of releases (default: %(default)s)")
    add("--checkpoint", choices=("last", "best"), default="last")
    add("--name", help="default: PAPER.RECIPE")
    add("--precision", choices=PRECISIONS, default="float16", help="of the weights; default: float16")
    add("--data_dir", help="where the run's data lie now")


def run(arguments: argparse.Namespace) -> None:
    """Makes a release of a run."""
    from zoo.models import MODELS
    from zoo.models.trained import FinishedRun
    from zoo.releases.export import export

    finished = FinishedRun(Path(arguments.folder), models=MODELS)
    if arguments.data_dir is not None:
        finished.data_settings["init_args"]["root"] = arguments.data_dir
    folder = export(
        finished,
        Path(arguments.out),
        checkpoint=arguments.checkpoint,
        name=arguments.name,
        precision=arguments.precision,
        summary=summary_of(finished.record["paper"], finished.record["recipe"]),
    )
    say(f"release {folder}\nuse it  python -m zoo sample {folder}")
