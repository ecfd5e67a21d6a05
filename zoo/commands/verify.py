"""`zoo verify`: what the cards of releases claim, computed again."""

from __future__ import annotations

import argparse
from itertools import chain

from zoo.commands.releases import open_release
from zoo.errors import ReleaseError, UsageError, ZooError
from zoo.releases.find import list_pretrained
from zoo.runs.text import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("names", nargs="*", metavar="RELEASE", help="names or folders (default: all at hand)")
    parser.add_argument("--data_dir", help="where the data lie (default: ZOO_DATA, else ./data)")
    parser.add_argument("--quick", action="store_true", help="files, weights and grid; leave the figures out")
    parser.add_argument(
        "--complete", action="store_true", help="add the figures that a card lacks, if all that it has hold"
    )


def run(arguments: argparse.Namespace) -> None:
    """Checks releases; ends with an error if a claim fails."""
    from zoo.releases.complete import complete
    from zoo.releases.verify import verify

    if arguments.quick and arguments.complete:
        raise UsageError("--quick leaves the figures out, and --complete adds to them: leave one of them out")
    names = arguments.names or list_pretrained()
    failed, broken = [], []
    for name in names:
        say(name)
        try:
            release = open_release(name)
            parts = [verify(release, data_dir=arguments.data_dir, figures=not (arguments.quick or arguments.complete))]
            parts += [complete(release, data_dir=arguments.data_dir)] if arguments.complete else []
            for claim in chain(*parts):
                say(f"  {claim.verdict:12} {claim.text}")
                if claim.verdict == "fails":
                    failed.append(f"{name}: {claim.text}")
        except ZooError as error:  # of this release: the others are checked all the same
            if len(names) == 1:
                raise
            say(f"  {'error':12} {error}")
            broken.append(name)
    told = ["what a card claims does not hold. " + "; ".join(failed)] if failed else []
    told += [f"not checked to the end, see above: {', '.join(broken)}"] if broken else []
    if told:
        raise ReleaseError("; ".join(told))
