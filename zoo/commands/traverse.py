"""`zoo traverse`: InfoGAN's codes varied one by one, a file each; or all of them as one film."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.commands import model_argument
from zoo.commands.output import FILMS, output_file, output_folder
from zoo.runs.text import positive, say

if TYPE_CHECKING:
    from zoo.models.base.module import AdversarialModule

FRAMES, PACE = 80, 60  # of a film; milliseconds of each


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    model_argument.add_model_arguments(parser, out="codes", film=True)
    parser.add_argument("--rows", type=positive, default=5, help="samples that are varied (default: %(default)s)")


def run(arguments: argparse.Namespace) -> None:
    """Draws InfoGAN's codes."""
    module = model_argument.load(arguments)
    if Path(arguments.out).suffix and not Path(arguments.out).expanduser().is_dir():  # a file, which may be no film
        film(module, output_file(arguments.out, suffixes=FILMS), rows=arguments.rows, seed=arguments.seed)
    else:
        pictures(module, output_folder(arguments.out), rows=arguments.rows, seed=arguments.seed)


def pictures(module: AdversarialModule, out: Path, *, rows: int, seed: int) -> None:
    """A file for each code."""
    from zoo.commands.sampling import traversals, with_codes
    from zoo.experiments.infogan import code_title, code_values
    from zoo.experiments.pictures.captions import captioned, write_picture

    for name, images in traversals(module, rows=rows, seed=seed).items():
        path = out / f"{name}.png"
        title = f"{code_title(name, with_codes(module))}, varied from left to right; all else is the same in a row"
        columns = code_values(name, with_codes(module), n=images.shape[1])
        write_picture(captioned(images, title=title, columns=columns), path)
        say(f"{name} varied from left to right: {path}")


def film(module: AdversarialModule, out: Path, *, rows: int, seed: int) -> None:
    """A row for each code, all of them varied together; the samples that are varied stand beside each other."""
    from zoo.commands.sampling import code_loop
    from zoo.experiments.pictures.captions import captioned
    from zoo.experiments.pictures.film import Film, loop, write_film

    names, images = code_loop(module, rows=rows, frames=FRAMES, seed=seed)

    def draw(share: float) -> Film:
        kept = max(1, int(rows * share))
        title = "A code in each row, varied; all else is the same in a column"
        return loop([captioned(frame[:kept].transpose(0, 1), title=title, rows=names) for frame in images], time=PACE)

    size = write_film(draw, out)
    say(f"{', '.join(names)} varied, {FRAMES} frames, {size / 2**20:.1f} MB: {out}")
