"""`zoo sample`: images from a trained model, as one grid or as a file each."""

from __future__ import annotations

import argparse

from zoo.commands import model_argument
from zoo.commands.output import integers, output_file, output_folder
from zoo.runs.text import positive, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    model_argument.add_model_arguments(parser, out=None)
    add = parser.add_argument
    add("-n", type=positive, default=16, help="images (default: %(default)s)")
    add("--labels", metavar="Y,Y,...", help="classes, repeated in this order (default: drawn)")
    add("--truncation", type=float, metavar="PSI", help="for models with the truncation trick")
    add("--files", action="store_true", help="a PNG file each, in the folder --out (default: samples)")


def run(arguments: argparse.Namespace) -> None:
    """Draws samples."""
    from zoo.commands.sampling import in_rows, samples, write_files, write_grid

    labels = None if arguments.labels is None else integers(arguments.labels, option="--labels")
    out = output_folder(arguments.out or "samples") if arguments.files else output_file(arguments.out or "samples.png")
    model = model_argument.load(arguments)
    images = samples(model, arguments.n, seed=arguments.seed, labels=labels, truncation_psi=arguments.truncation).cpu()
    if arguments.files:
        write_files(images, out)
    else:
        write_grid(in_rows(images), out)
    say(f"{len(images)} images: {out}")
