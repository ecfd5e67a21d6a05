"""`zoo interpolate`: images between latents, an interpolation in each row."""

from __future__ import annotations

import argparse

from zoo.commands import model_argument
from zoo.commands.output import output_file
from zoo.runs.text import positive, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    model_argument.add_model_arguments(parser, out="interpolation.png")
    parser.add_argument("--rows", type=positive, default=4)
    parser.add_argument("--steps", type=positive, default=10)


def run(arguments: argparse.Namespace) -> None:
    """Draws interpolations."""
    from zoo.commands.sampling import ways
    from zoo.experiments.pictures.captions import captioned, write_picture

    module = model_argument.load(arguments)
    out = output_file(arguments.out)
    images = ways(module, rows=arguments.rows, steps=arguments.steps, seed=arguments.seed)
    times = [i / max(1, arguments.steps - 1) for i in range(arguments.steps)]
    classes = [] if module.num_classes is None else [f"class {i % module.num_classes}" for i in range(arguments.rows)]
    picture = captioned(
        images,
        title="A way in each row: from one latent at the left (t = 0) to another at the right (t = 1)",
        columns=[f"t = {t:.2g}" for t in times],
        rows=classes,
    )
    write_picture(picture, out)
    say(f"{arguments.rows} ways of {arguments.steps} images: {arguments.out}")
