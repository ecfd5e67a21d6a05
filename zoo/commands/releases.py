"""`zoo releases`: a table of the trained models at hand, and a picture of their samples."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from zoo.errors import ReleaseError
from zoo.releases.find import SETTING, hidden, list_pretrained, locate, release_folder
from zoo.runs.text import say

if TYPE_CHECKING:
    from zoo.releases.release import Release


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("--picture", metavar="FILE", help="also draw samples (PNG), a row a paper")


def run(arguments: argparse.Namespace) -> None:
    """Prints a table of all releases at hand; with --picture, draws samples, a row a paper and a block a data set."""
    from zoo.commands.output import output_file
    from zoo.releases.card import figures_line, read_card
    from zoo.runs.text import lined_up

    picture = output_file(arguments.picture, option="--picture") if arguments.picture is not None else None
    rows = [("release", "images", "data", "images seen", "MB", "precision", "figures")]
    names, broken = [], []
    for name in list_pretrained():
        try:
            card = read_card(release_folder(name))
        except ReleaseError as error:  # of this one: the others are listed all the same
            broken.append(f"{name}: {error}")
            continue
        names.append(name)
        size = sum(entry["bytes"] for entry in card["files"].values()) / 1e6
        shape, seen = "x".join(map(str, card["image_shape"])), f"{card['training']['images_seen']:,}"
        rows.append((name, shape, card["data"]["name"], seen, f"{size:.1f}", card["precision"], figures_line(card)))
    say(lined_up(rows).rstrip())
    if others := hidden():
        say(
            f"not listed, since the package has others of these names: {', '.join(others)} at {SETTING} (load them by "
            "their folders, or export them with another --name)"
        )
    if picture is not None:
        from zoo.commands.picture import draw_blocks

        say(f"written: {draw_blocks([open_release(name) for name in names], picture)}")
    if broken:
        raise ReleaseError("; ".join(broken))


def open_release(name_or_folder: str) -> Release:
    """A release by name, by its address at the Hub or by its folder."""
    from zoo.releases.release import Release

    return Release(locate(name_or_folder))
