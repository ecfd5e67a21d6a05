"""`zoo mix`: StyleGAN's style mixing."""

from __future__ import annotations

import argparse
from typing import Any

from zoo.commands import model_argument
from zoo.commands.output import output_file
from zoo.runs.text import positive, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    model_argument.add_model_arguments(parser, out="mixing.png")
    parser.add_argument("--layers", choices=("coarse", "middle", "fine"), default="coarse")
    parser.add_argument("--rows", type=positive, default=4)
    parser.add_argument("--columns", type=positive, default=6)


def run(arguments: argparse.Namespace) -> None:
    """Draws StyleGAN's style mixing."""
    from zoo.commands.sampling import mixed_styles
    from zoo.experiments.pictures.captions import captioned, write_picture
    from zoo.experiments.stylegan import layers_title

    module: Any = model_argument.load(arguments)
    out = output_file(arguments.out)
    images = mixed_styles(
        module, rows=arguments.rows, columns=arguments.columns, kind=arguments.layers, seed=arguments.seed
    )
    picture = captioned(
        images,
        title=f"Each image: {layers_title(module, arguments.layers)} of the source above it, all other styles of the "
        "destination at its left",
        columns=["", *["source"] * arguments.columns],
        rows=["", *["destination"] * arguments.rows],
    )
    write_picture(picture, out)
    say(f"{arguments.layers} styles of the top row in the images at the left: {arguments.out}")
