"""`zoo push`: a release, a run or a folder of releases, sent to the Hugging Face Hub."""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from zoo.commands.export import OF_RELEASES, add_release_options, release_of_run
from zoo.errors import UsageError
from zoo.releases.card import INDEX_FILE
from zoo.releases.find import locate, names_release
from zoo.runs.text import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument
    add("model", metavar="MODEL", help="a release (dcgan.mnist), a run's folder, or a folder of releases")
    add("--to", required=True, metavar="OWNER/NAME", help="the repository; it is made where there is none")
    add("--private", action="store_true", help="the repository is to be seen by its owner alone")
    add("--license", metavar="ID", help="for the model card: a name that the Hub has for it, like cc-by-sa-3.0")
    add("--checkpoint", choices=("last", "best"), help="of a run (default: last)")
    add_release_options(parser)


def run(arguments: argparse.Namespace) -> None:
    """Sends what is named; of a run it makes a release first."""
    from zoo.releases.push import Destination

    folder = Path(arguments.model).expanduser()
    whole = (folder / INDEX_FILE).is_file()
    given = [f"--{name}" for name in (*OF_RELEASES, "checkpoint") if getattr(arguments, name) is not None]
    if given and (whole or names_release(arguments.model)):
        raise UsageError(f"{given[0]} says how a release is made of a run, and {arguments.model} is no run")
    destination = Destination(arguments.to, private=arguments.private, licence=arguments.license)
    if whole:
        address = destination.push_all(folder)
        say(f"sent to {address}\nuse it  ZOO_RELEASES={destination.place} python -m zoo releases")
        return
    from zoo.releases.release import Release

    with TemporaryDirectory() as made:
        release = locate(arguments.model) if names_release(arguments.model) else release_of_run(arguments, Path(made))
        address = destination.push(Release(release))
    say(f'sent to {address}\nuse it  zoo.load_pretrained("{destination.place}")')
