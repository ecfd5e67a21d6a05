"""`zoo neighbours`: samples beside the training images that are nearest to them: does the model copy?"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from zoo.commands import model_argument
from zoo.commands.output import output_file
from zoo.errors import EvaluationError
from zoo.runs.text import positive, say
from zoo.training.signatures import entries

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from zoo.metrics.nearest import Neighbours
    from zoo.metrics.pairs import Side


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    model_argument.add_model_arguments(parser, out="neighbours.png")
    add = parser.add_argument
    add("-n", type=positive, default=8, help="samples (default: %(default)s)")
    add("-k", type=positive, default=6, help="training images beside each (default: %(default)s)")
    add("--data", help="a data set of zoo.data, instead of the one it was trained on")
    add("--data_dir", help="where the data lie now")
    networks = entries("zoo.metrics.extractors", "EXTRACTORS")
    add("--features", choices=(*networks, "pixels"), help=f"{', '.join(networks)}, or pixels (default: what suits)")


def run(arguments: argparse.Namespace) -> None:
    """Draws samples and their nearest training images."""
    from zoo.commands.evaluate.command import device_of
    from zoo.commands.evaluate.subjects import load_subject
    from zoo.commands.sampling import require_images
    from zoo.experiments.pictures.captions import write_picture
    from zoo.metrics.quantize import to_uint8

    out = output_file(arguments.out)
    module, data, _ = load_subject(arguments.model, dataset=arguments.data, data_dir=arguments.data_dir)
    require_images(module)
    samples = to_uint8(module.to(device_of(arguments)).sample(arguments.n, seed=arguments.seed)).cpu()
    reals = data.split("train").images
    if tuple(reals.shape[1:]) != tuple(samples.shape[1:]):
        raise EvaluationError(
            f"{data.name} has images of shape {list(reals.shape[1:])}, the model makes {list(samples.shape[1:])}"
        )
    features = arguments.features or data.extractor
    found = nearest(samples, reals, features=features, k=arguments.k)
    space = "pixels" if features == "pixels" else f"features of {features}"
    title = (
        f"{arguments.model}, and the nearest of {len(reals):,} images of {data.name} with their distances in {space}"
    )
    write_picture(picture_of(samples, reals, found, title=title), out)
    say(
        f"median distance to the nearest training image, over that image's distance to the next one: "
        f"{float(found.ratio):.2f} (1: as fresh images, 0: copies)\nwritten: {out}"
    )


def nearest(samples: Tensor, reals: Tensor, *, features: str, k: int) -> Neighbours:
    """The k nearest reals of each sample; both are uint8 [N, C, H, W]."""
    import torch

    from zoo.data.arrays import in_blocks
    from zoo.metrics.extractors import load_extractor
    from zoo.metrics.nearest import NearestNeighbours

    extractor = None if features == "pixels" else load_extractor(features)
    metric = NearestNeighbours(k=k)
    sides: tuple[tuple[Side, Tensor], ...] = (("real", reals), ("fake", samples))
    for side, images in sides:
        blocks = in_blocks(images, 500)
        values = torch.cat([b.flatten(1) if extractor is None else extractor(b).features for b in blocks])
        metric.update(values, index=torch.arange(len(values)), side=side)
    found = metric.compute()  # torchmetrics takes the axes away from a tensor of one entry
    return found._replace(nearest=found.nearest.view(-1, k), distance=found.distance.view(-1, k))


def picture_of(samples: Tensor, reals: Tensor, found: Neighbours, *, title: str) -> Image:
    """A row for each sample: itself, then its nearest reals with their distances; images uint8 [N, C, H, W]."""
    import torch

    from zoo.experiments.pictures.captions import captioned

    rows = [torch.cat([fake[None], reals[near.cpu()]]) for fake, near in zip(samples, found.nearest, strict=False)]
    return captioned(
        torch.stack(rows).float() / 127.5 - 1,
        title=title,
        columns=["sample", "nearest", *(f"no. {i}" for i in range(2, found.nearest.shape[1] + 1))],
        cells=[
            ["", *(f"{d:,.0f}" if d >= 100 else f"{d:.3g}" for d in row)]
            for row in found.distance[: len(rows)].tolist()
        ],
    )
