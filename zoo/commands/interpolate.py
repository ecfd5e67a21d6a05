"""`zoo interpolate`: images between latents, a way in each row; or closed ways as a film."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from zoo.commands import model_argument
from zoo.commands.output import is_film, picture_file
from zoo.errors import UsageError
from zoo.runs.text import finite, positive, say

if TYPE_CHECKING:
    from pathlib import Path

    from zoo.models.base.module import AdversarialModule


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    model_argument.add_model_arguments(parser, out="interpolation.png", film=True)
    parser.add_argument("--rows", type=positive, help="ways (default: 4; in a film, beside each other: 9)")
    parser.add_argument("--steps", type=positive, help="images between two latents (default: 10; in a film: 24)")
    parser.add_argument("--truncation", type=finite, metavar="PSI", help="for models with the truncation trick")
    parser.add_argument("--stops", type=positive, help="film: latents on a way (default: 4)")


def run(arguments: argparse.Namespace) -> None:
    """Draws interpolations."""
    module = model_argument.load(arguments)
    out = picture_file(arguments.out)
    if is_film(out):
        film(module, out, arguments)
    elif arguments.stops is not None:
        raise UsageError("--stops is of a film (--out x.gif), and a picture goes from one latent to another")
    else:
        picture(module, out, arguments)


def picture(module: AdversarialModule, out: Path, arguments: argparse.Namespace) -> None:
    """A way in each row."""
    from zoo.commands.sampling import ways
    from zoo.experiments.pictures.captions import captioned, write_picture

    rows, steps = arguments.rows or 4, arguments.steps or 10
    images = ways(module, rows=rows, steps=steps, seed=arguments.seed, truncation_psi=arguments.truncation)
    times = [i / max(1, steps - 1) for i in range(steps)]
    classes = [] if module.num_classes is None else [f"class {i % module.num_classes}" for i in range(rows)]
    drawn = captioned(
        images,
        title="A way in each row: from one latent at the left (t = 0) to another at the right (t = 1)",
        columns=[f"t = {t:.2g}" for t in times],
        rows=classes,
    )
    write_picture(drawn, out)
    say(f"{rows} ways of {steps} images: {out}")


def film(module: AdversarialModule, out: Path, arguments: argparse.Namespace) -> None:
    """Closed ways beside each other; the first frame is as good a still as any: samples."""
    from zoo.commands.sampling import closed_ways
    from zoo.experiments.pictures.film import Film, loop, tiled, write_film

    n, steps, stops = arguments.rows or 9, arguments.steps or 24, arguments.stops or 4
    settings = {"n": n, "stops": stops, "steps": steps, "seed": arguments.seed}
    frames = list(closed_ways(module, **settings, truncation_psi=arguments.truncation))
    columns = max(1, round(n**0.5))
    kept = n

    def draw(share: float) -> Film:
        nonlocal kept
        kept = n if share == 1 else max(1, int(n * share) // columns * columns)
        return loop([tiled(frame[:kept], columns=columns) for frame in frames])

    size = write_film(draw, out)
    fewer = f" of {n}, to be smaller" if kept < n else ""
    say(f"{kept} closed ways{fewer}, through {stops} latents, {len(frames)} frames, {size / 2**20:.1f} MB: {out}")
