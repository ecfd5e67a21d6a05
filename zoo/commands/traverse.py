"""`zoo traverse`: InfoGAN's codes varied one by one, a file each."""

from __future__ import annotations

import argparse
from typing import Any

from zoo.commands import model_argument
from zoo.commands.output import output_folder
from zoo.runs.text import positive, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    model_argument.add_model_arguments(parser, out="codes")
    parser.add_argument("--rows", type=positive, default=5)


def run(arguments: argparse.Namespace) -> None:
    """Draws InfoGAN's codes."""
    from zoo.commands.sampling import traversals
    from zoo.experiments.infogan import code_title, code_values
    from zoo.experiments.pictures.captions import captioned, write_picture

    module: Any = model_argument.load(arguments)
    out = output_folder(arguments.out)
    for name, images in traversals(module, rows=arguments.rows, seed=arguments.seed).items():
        path = out / f"{name}.png"
        title = f"{code_title(name, module)}, varied from left to right; all else is the same in a row"
        write_picture(captioned(images, title=title, columns=code_values(name, module, n=images.shape[1])), path)
        say(f"{name} varied from left to right: {path}")
