"""`zoo mix`: StyleGAN's style mixing, as a picture or, with moving sources, as a film."""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING

from zoo.commands import model_argument
from zoo.commands.output import is_film, picture_file
from zoo.errors import EvaluationError
from zoo.runs.text import finite, positive, say

if TYPE_CHECKING:
    from zoo.models.stylegan import StyleGAN

PACE = 60  # milliseconds of a film's frame


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    model_argument.add_model_arguments(parser, out="mixing.png", film=True)
    add = parser.add_argument
    styles = "styles that the sources give (default: %(default)s)"
    add("--layers", choices=("coarse", "middle", "fine"), default="coarse", help=styles)
    add("--rows", type=positive, default=4, help="destinations, at the left (default: %(default)s)")
    add("--columns", type=positive, default=6, help="sources, at the top (default: %(default)s)")
    add("--truncation", type=finite, metavar="PSI", help="of all styles (default: none)")


def run(arguments: argparse.Namespace) -> None:
    """Draws StyleGAN's style mixing."""
    from zoo.commands.sampling import mixed_styles, mixing_loop, with_styles
    from zoo.experiments.pictures.captions import captioned, write_picture
    from zoo.experiments.pictures.film import Film, loop, write_film
    from zoo.experiments.stylegan import layers_title

    module = with_styles(model_argument.load(arguments))
    out, kind = picture_file(arguments.out), arguments.layers
    refuse_unreached(module, kind)
    draw = partial(
        captioned,
        title=f"Each image: {layers_title(module, kind)} of the source above it, all other styles of the "
        "destination at its left",
        columns=["", *["source"] * arguments.columns],
    )
    titles = ["", *["destination"] * arguments.rows]
    settings = {
        "columns": arguments.columns,
        "kind": kind,
        "seed": arguments.seed,
        "truncation_psi": arguments.truncation,
    }

    def film(share: float) -> Film:
        rows = max(1, int(arguments.rows * share))
        frames = mixing_loop(module, rows=rows, **settings)
        return loop([draw(images, rows=titles[: rows + 1]) for images in frames], time=PACE)

    if is_film(out):
        write_film(film, out)
    else:
        write_picture(draw(mixed_styles(module, rows=arguments.rows, **settings), rows=titles), out)
    say(f"{kind} styles of the top row in the images at the left: {arguments.out}")


def refuse_unreached(module: StyleGAN, kind: str) -> None:
    """Raises EvaluationError for styles of resolutions that training has not reached: no image would show them."""
    from zoo.experiments.stylegan import layers_of, layers_title

    reached = module.stage.resolution
    if 4 * 2 ** (layers_of(module, kind)[0] // 2) > reached:
        raise EvaluationError(
            f"training has reached {reached}x{reached} so far, where {layers_title(module, kind)} change nothing: "
            "take others with --layers"
        )
