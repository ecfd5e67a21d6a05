"""`zoo project`: the latents whose images are nearest to given ones, with a strip of target, start and result."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.commands import model_argument
from zoo.commands.output import output_file
from zoo.errors import DataError, UsageError
from zoo.runs.text import finite, positive, say, shown

if TYPE_CHECKING:
    from torch import Tensor

    from zoo.data.files import Preparation
    from zoo.experiments.latents.project import Projection
    from zoo.experiments.latents.space import Space
    from zoo.metrics.features import FeatureExtractor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    model_argument.add_model_arguments(parser, out="projection.png")
    add = parser.add_argument
    add("images", nargs="*", metavar="IMAGE", help="files; the central square of each is brought to the model's size")
    add("--own", type=positive, metavar="N", help="project N samples of the model itself, which should come back")
    add("--space", choices=("z", "w", "w+"), help="default: w where the model has it, else z")
    add("--starts", type=positive, default=4, help="for each image, the nearest of 500 samples (default: %(default)s)")
    add("--steps", type=positive, default=300, help="of Adam (default: %(default)s)")
    add("--truncation_penalty", type=finite, default=0.001, help="the larger, the more typical (default: %(default)s)")
    add("--features", choices=("lenet", "resnet", "pixels"), help="default: lenet for grey images, else resnet")
    add("--labels", metavar="Y,Y,...", help="of the images, for conditional models (default: what fits best)")
    add("--save", metavar="FILE", help="also write the latents there (.safetensors)")


def run(arguments: argparse.Namespace) -> None:
    """Projects images."""
    from zoo.experiments.latents.project import Settings, project
    from zoo.experiments.latents.space import space_of

    if bool(arguments.images) == bool(arguments.own):
        raise UsageError("name images, or --own N for samples of the model itself")
    if arguments.truncation_penalty < 0:
        raise UsageError(f"--truncation_penalty must be 0 or more, not {arguments.truncation_penalty:g}")
    space = space_of(model_argument.load(arguments), arguments.space)
    out = output_file(arguments.out)
    if any(out.resolve() == Path(name).expanduser().resolve() for name in arguments.images):
        raise UsageError(f"--out {arguments.out} is one of the images, and would be written over: name another file")
    save = output_file(arguments.save, option="--save", suffixes=(".safetensors",)) if arguments.save else None
    labels = labels_of(arguments.labels, arguments.model, n=arguments.own or len(arguments.images))
    if arguments.own:
        targets = own(space, arguments.own, seed=arguments.seed, labels=labels)
    else:
        targets = read_images(arguments.images, space.module.image_shape, model=arguments.model)
    targets = targets.to(space.module.device)
    found = project(
        space,
        targets,
        extractor=features(arguments.features, targets),
        labels=labels,
        settings=Settings(
            starts=arguments.starts,
            steps=arguments.steps,
            truncation=arguments.truncation_penalty,
            seed=arguments.seed,
        ),
        tell=lambda step, distance: say(f"step {step}: mean distance {distance:.3f}"),
    )
    draw(targets, found, out, title=f"{arguments.model}, projected into {space.name}")
    for i, (before, after) in enumerate(zip(found.distance_before.tolist(), found.distance.tolist(), strict=True)):
        name = f"sample {i}" if arguments.own else shown(Path(arguments.images[i]).name)
        say(f"{name}: distance {before:.3f} at the nearest sample, {after:.3f} at the end (1: a random sample)")
    say(f"written: {out}")
    if save is not None:
        write(found, save, about={"model": arguments.model, "space": space.name})


def own(space: Space, n: int, *, seed: int, labels: Tensor | None) -> Tensor:
    """n samples of the model, with these labels if any, of latents that the search does not begin with."""
    from zoo.experiments.latents.project import refuse_labels

    if labels is not None:
        refuse_labels(space, labels)
    return space.pictures(space.draw(n, seed=seed + 1_000_003, labels=labels))


def read_images(files: list[str], image_shape: tuple[int, ...], *, model: str | None = None) -> Tensor:
    """Images [N, C, H, W] in [-1, 1], at the model's size and in its channels: the central square, but for those that
    the model's own data set frames otherwise.

    For a grey model of 32x32 an image of 28x28 is a digit of MNIST, unless it was trained on another data set: it gets
    the black border that they have there. Of an aligned image of CelebA a model of these gets what its training cut
    out.

    Raises:
        DataError: a file that is absent or no image.
    """
    import numpy as np
    import torch
    import torch.nn.functional as F

    from zoo.data.celeba import SIZE
    from zoo.data.files import Opener, Preparation
    from zoo.data.listing import ImageFiles
    from zoo.releases.weights import trained_on

    channels, _, side = image_shape
    data = None if model is None else trained_on(model)
    prepare, images = Preparation(channels, "short", side), []
    aligned = face_of(model, side=side) if model is not None and data == "CelebA" else prepare
    for file in (Path(name).expanduser() for name in files):
        if not file.is_file():
            raise DataError(f"there is no image {file}")
        listed = ImageFiles(file.parent, (file.name,), None, None, source="")
        with Opener(listed).image(file.name) as image:
            digit = data in (None, "MNIST", "Digits") and (channels, side) == (1, 32) and image.size == (28, 28)
            fitting = Preparation(1, "short", 28) if digit else aligned if image.size == SIZE else prepare
            pixels = torch.from_numpy(np.array(fitting(image)))
        images.append(F.pad(pixels, (2, 2, 2, 2)) if digit else pixels)
    return torch.stack(images).float() / 127.5 - 1


def face_of(model: str, *, side: int) -> Preparation:
    """What the training of a model of CelebA made of the aligned images; as by default where nothing says that."""
    from zoo.data.celeba import SIZE, CelebA
    from zoo.data.files import Preparation
    from zoo.releases.weights import data_arguments

    said = data_arguments(model)
    data = CelebA(**{name: said[name] for name in ("crop", "crop_top", "interpolation") if name in said})
    return Preparation(3, data.crop or SIZE[0], side, top=data.crop_top, interpolation=data.interpolation)


def features(name: str | None, images: Tensor) -> FeatureExtractor | None:
    """The network whose features are compared; None for pixels alone."""
    from zoo.metrics.extractors import load_extractor

    name = name or ("lenet" if images.shape[1] == 1 else "resnet")
    return None if name == "pixels" else load_extractor(name).to(images.device)


def labels_of(text: str | None, model: str, *, n: int) -> Tensor | None:
    """A label for each image, or None."""
    import torch

    from zoo.commands.sample import labels_of as numbers_of

    if text is None:
        return None
    labels = numbers_of(text, model)
    if len(labels) != n:
        raise UsageError(f"--labels: {len(labels)} for {n} images; name one for each")
    return torch.tensor(labels)


def draw(targets: Tensor, found: Projection, out: Path, *, title: str) -> None:
    """A row for each image: itself, the nearest sample, and what was found."""
    import torch

    from zoo.experiments.pictures.captions import captioned, write_picture

    rows = torch.stack([targets.cpu(), found.before, found.images], 1)
    before, after = found.distance_before.tolist(), found.distance.tolist()
    picture = captioned(
        rows,
        title=f"{title}; distance in features and pixels below (1: a random sample)",
        columns=["target", "nearest sample", "projected"],
        cells=[["", f"{a:.3f}", f"{b:.3f}"] for a, b in zip(before, after, strict=True)],
    )
    write_picture(picture, out)


def write(found: Projection, path: Path, *, about: dict[str, str]) -> None:
    """The latents, [N, ...] of the space, and the labels [N] of a conditional model."""
    from zoo.runs.tensors import write_tensors

    tensors: dict[str, Any] = {"latents": found.points.x.detach().cpu().contiguous()}
    if found.points.y is not None:
        tensors["labels"] = found.points.y.cpu()
    write_tensors(path, tensors, metadata=about)
    say(f"written: {path}")
