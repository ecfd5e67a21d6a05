"""`zoo film`: the time-lapse of a run's sample grids, drawn while it was trained."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.commands.output import output_file
from zoo.errors import RecordError, UsageError
from zoo.experiments.pictures.film import SMALL, SUFFIXES, evenly, time_lapse, write_film
from zoo.runs.folder import RunDir
from zoo.runs.plain import read_settings
from zoo.runs.text import finite, positive, say, shown

if TYPE_CHECKING:
    from PIL.Image import Image

MEGABYTE = 2**20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument
    add("run_dir", metavar="RUN", help="a run's folder")
    add("--out", default="film.gif", help=f"{', '.join(SUFFIXES)} by its suffix (default: %(default)s)")
    add("--frames", type=positive, default=60, help="grids at most, closer at the start (default: %(default)s)")
    add("--megabytes", type=finite, default=SMALL / MEGABYTE, help="fewer images above (default: %(default)g)")
    add("--title", help="beside the images seen (default: paper and recipe)")


def run(arguments: argparse.Namespace) -> None:
    """Draws the film."""
    if arguments.megabytes <= 0:
        raise UsageError(f"--megabytes must be above 0, not {arguments.megabytes:g}")
    folder = RunDir(Path(arguments.run_dir).expanduser())
    out = output_file(arguments.out, suffixes=SUFFIXES)
    files = grids_of(folder)
    pictures = {seen: opened(files[seen]) for seen in evenly(sorted(files), max(2, arguments.frames))}
    last = pictures[max(pictures)]
    fitting = {seen: picture for seen, picture in pictures.items() if picture.size == last.size}
    if left_out := len(pictures) - len(fitting):
        say(f"{left_out} grids of another size than the last one are left out")
    title = shown(arguments.title) if arguments.title is not None else title_of(folder)
    draw = partial(time_lapse, fitting, title=title)
    largest = int(arguments.megabytes * MEGABYTE)
    size = write_film(lambda share: draw(share=share), out, largest=largest)
    above = "" if size <= largest else " (--megabytes is less: fewer --frames make it smaller)"
    span = f"{min(fitting):,} to {max(fitting):,} images seen"
    say(f"{len(fitting)} grids, {span}, {size / MEGABYTE:.2g} MB{above}: {out}")


def grids_of(folder: RunDir) -> dict[int, Path]:
    """The files of a run's sample grids by images seen, two or more.

    Raises:
        UsageError: there is no such folder, or no two grids in it.
    """
    if not folder.path.is_dir():
        raise UsageError(f"there is no run at {folder.path}: name the folder of a run")
    files = folder.all_grids()
    if len(files) < 2:
        raise UsageError(
            f"{folder.grids} holds {len(files)} sample grids (images-XXXXXXXXX.png), and a film needs two: train with "
            "--keep.grid_every N"
        )
    return files


def opened(file: Path) -> Image:
    """A grid as it was written.

    Raises:
        RecordError: it cannot be read.
    """
    from PIL import Image as images

    try:
        with images.open(file, formats=["PNG"]) as picture:
            picture.load()
            grid: Image = picture
    except Exception as error:  # a damaged file raises nearly anything
        raise RecordError(f"{file} cannot be read as a picture ({error}): remove it, then film again") from error
    return grid


def title_of(folder: RunDir) -> str:
    """Paper and recipe of a run, as far as its folder says them."""
    from zoo.runs.record import read_result

    if not folder.result.is_file():
        recipe = read_settings(folder.config).get("recipe") if folder.config.is_file() else None
        return shown(str(recipe or folder.path.name))
    record = read_result(folder.path)
    return shown(f"{record.get('paper', '')} {record.get('recipe', '')}".strip())
