"""`zoo wandb-push`: runs at W&B, rebuilt from their local records (push.py), and records from there (pull.py)."""

from __future__ import annotations

import argparse
from pathlib import Path

from zoo.runs.text import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run folders")
    parser.add_argument("--project", default="lightning-gan-zoo", help="default: %(default)s")
    parser.add_argument("--again", action="store_true", help="push all of it as a new W&B run")


def run(arguments: argparse.Namespace) -> None:
    """Rebuilds runs at W&B from their local records."""
    from zoo.commands.wandb.push import push

    for path in arguments.runs:
        say(str(push(Path(path), project=arguments.project, again=arguments.again)))
