"""`zoo directions`: what lies in a model's latent space, drawn and measured.

zoo directions dcgan.mnist                     the five directions that the first layer stretches most (SeFA)
zoo directions dcgan.mnist --by pca            principal axes of the activations (GANSpace)
zoo directions dcgan.mnist --by attributes     towards thicker, more slanted, wider, higher digits
zoo directions dcgan.mnist --by classes        towards each class that the classifier sees (InterFaceGAN)
zoo directions cgan.mnist --by classes         from each label to the next
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.commands import model_argument
from zoo.commands.output import is_film, output_file, picture_file
from zoo.errors import EvaluationError, UsageError
from zoo.runs.text import finite, lined_up, positive, say

if TYPE_CHECKING:
    from torch import Tensor

    from zoo.experiments.latents.directions import Directions
    from zoo.experiments.latents.space import Space

WAYS = {
    "sefa": "the first layer stretches most (closed form)",
    "pca": "are principal axes of the activations (GANSpace)",
    "classes": "lead towards a class",
    "attributes": "an attribute grows along",
}
MEASURED = 64  # samples that are moved to measure what a direction changes
SAMPLES = 1_500  # that classes and attributes are learnt from
FRAMES, PACE = 48, 60  # of a film; milliseconds of each
STRENGTHS = {"sefa": "stretch", "pca": "variance", "classes": "ordered", "attributes": "correlation^2"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    model_argument.add_model_arguments(parser, out="directions.png", film=True)
    add = parser.add_argument
    add("--by", choices=tuple(WAYS), default="sefa", help="how they are found (default: %(default)s)")
    add("--count", type=positive, help="directions, of sefa and pca (default: 5)")
    add("--samples", type=positive, help="images that are moved along each (default: 2; in a film: 5)")
    add("--steps", type=positive, help="images on each way, of a picture (default: 7)")
    add("--reach", type=finite, help="how far, in deviations of the samples (default: 2)")
    add("--space", choices=("z", "w"), help="default: w where the model has it")
    add("--save", metavar="FILE", help="also write the directions there (.safetensors)")


def run(arguments: argparse.Namespace) -> None:
    """Finds directions, says what they change, and draws them."""
    from zoo.experiments.latents.space import space_of

    if arguments.reach is not None and arguments.reach <= 0:
        raise UsageError(f"--reach must be above 0, not {arguments.reach:g}")
    module = model_argument.load(arguments)
    labelled = arguments.by == "classes" and (module.num_classes or 1) > 1
    settle(arguments, labelled=labelled)
    out = picture_file(arguments.out)
    save = output_file(arguments.save, option="--save", suffixes=(".safetensors",)) if arguments.save else None
    space = space_of(module, arguments.space)
    if labelled:
        draw_labels(space, out, arguments)
        return
    if arguments.by == "classes":
        refuse_unknown_classes(arguments.model)
    found = find(space, by=arguments.by, count=arguments.count, seed=arguments.seed)
    say(table(space, found, arguments))
    draw(space, found, out, arguments)
    if save is not None:
        write(space, found, save, arguments)


def settle(arguments: argparse.Namespace, *, labelled: bool) -> None:
    """Puts defaults where nothing was given.

    Raises:
        UsageError: an option that would change nothing.
    """
    film = is_film(arguments.out)
    defaults = {"count": 5, "samples": 5 if film else 2, "steps": 7, "reach": 2.0}
    here = f"--by {arguments.by}" + " of a conditional model" * labelled
    idle = dict.fromkeys(("count", "samples", "reach") if labelled else (), here)
    if arguments.by not in ("sefa", "pca"):
        idle["count"] = here
    if film:
        idle["steps"] = f"a film, which has {FRAMES} frames"
    for name, default in defaults.items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, default)
        elif name in idle:
            raise UsageError(f"--{name} does nothing for {idle[name]}: leave it out")


def find(space: Space, *, by: str, count: int, seed: int, samples: int | None = None) -> Directions:
    """The directions that WAYS names `by`: `count` of sefa and pca; fitted to so many `samples`, `seed` draws them."""
    from zoo.experiments.latents import directions
    from zoo.experiments.latents.attributes import attributes_of
    from zoo.experiments.latents.directions import along_attributes, closed_form, principal, towards_classes

    if by == "sefa":
        return closed_form(space, k=count)
    if by == "pca":
        return principal(space, k=count, samples=samples or directions.SAMPLES, seed=seed)
    points = space.draw(samples or SAMPLES, seed=seed + 1)
    images = space.pictures(points)
    if by == "attributes":
        return along_attributes(space, points, attributes_of(images))
    return towards_classes(space, points, classified(images), names=CIFAR10 if images.shape[1] == 3 else ())


def refuse_unknown_classes(model: str) -> None:
    """Raises EvaluationError where a model's images are of classes that no classifier of this package knows.

    A model whose data nobody knows is taken by the shape of its images.
    """
    from zoo.releases.weights import trained_on

    data = trained_on(model)
    if data is not None and data not in KNOWN:
        raise EvaluationError(
            f"{model} was trained on {data}, and the classifiers of this package know the classes of "
            f"{', '.join(KNOWN)} alone: take --by attributes, sefa or pca"
        )


KNOWN = ("MNIST", "Digits", "CIFAR10")  # data sets whose classes a classifier of this package was trained on
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def classified(images: Tensor) -> Tensor:
    """What the classifier of this package that knows such images says they are, int64 [N].

    Raises:
        EvaluationError: none does.
    """
    from zoo.metrics.extractors import load_extractor
    from zoo.metrics.quantize import to_uint8

    if images.shape[1] == 3 and images.shape[-1] != 32:
        raise EvaluationError(
            "no classifier of this package knows the classes of such images, only of digits and of CIFAR-10: take "
            "--by attributes, sefa or pca"
        )
    extractor = load_extractor("lenet" if images.shape[1] == 1 else "resnet")
    classes: Tensor = extractor(to_uint8(images)).logits.argmax(1)
    return classes


def table(space: Space, found: Directions, arguments: argparse.Namespace) -> str:
    """What each direction does to what can be measured, from one end of the way to the other."""
    import torch

    from zoo.experiments.latents.attributes import attributes_of, effects
    from zoo.experiments.latents.directions import varied

    points = space.draw(MEASURED, seed=arguments.seed + 2)
    steps = torch.linspace(-arguments.reach, arguments.reach, 5)
    images = varied(space, points, found, steps=steps)  # [k, MEASURED, 5, C, H, W]
    if arguments.by == "classes":
        return table_of_shares(found, images, steps.tolist())
    samples = attributes_of(space.pictures(points))
    rows = [[arguments.by, STRENGTHS[arguments.by], *samples]]
    for name, strength, of_one in zip(found.names, found.strengths.tolist(), images, strict=True):
        changes = effects(of_one, samples).values()
        rows.append([name, f"{strength:.3g}", *(f"{c.change:+.2f}{' ' if c.monotone else '~'}" for c in changes)])
    return (
        f"{lined_up(rows, right=range(1, len(rows[0])))}\n"
        f"In {space.name}, {space.dim} entries. Changes of the mean of {MEASURED} samples from {-arguments.reach:g} to "
        f"{arguments.reach:g},\nin standard deviations over samples; ~ where it does not rise, or fall, at every step."
    )


def table_of_shares(found: Directions, images: Tensor, steps: list[float]) -> str:
    """How many of the moved samples the classifier puts into the class, at each step."""
    rows = [["towards", STRENGTHS["classes"], *(f"at {step:+g}" if step else "at 0" for step in steps)]]
    number = {name: i for i, name in enumerate(CIFAR10)} | {str(i): i for i in range(10)}
    for name, strength, of_one in zip(found.names, found.strengths.tolist(), images, strict=True):
        shares = (classified(of_one.flatten(0, 1)) == number[name]).double().view(-1, len(steps)).mean(0)
        rows.append([name, f"{strength:.3g}", *(f"{share:.0%}" for share in shares.tolist())])
    return (
        f"{lined_up(rows, right=range(1, len(rows[0])))}\n"
        f"ordered: share of pairs whose member of the class lies further along. At each step, in standard deviations:\n"
        f"the share of {MEASURED} samples that the classifier puts into the class."
    )


def draw(space: Space, found: Directions, out: Path, arguments: argparse.Namespace) -> None:
    """Rows of images moved along each direction; in a film a row for each direction, moving there and back."""
    import torch

    from zoo.experiments.latents.directions import varied
    from zoo.experiments.pictures.captions import captioned, write_picture
    from zoo.experiments.pictures.film import Film, loop, write_film

    reach, name = arguments.reach, arguments.model
    text = f"{name}: directions in {space.name} that {WAYS[arguments.by]}"
    if not is_film(out):
        points = space.draw(arguments.samples, seed=arguments.seed)
        steps = torch.linspace(-reach, reach, arguments.steps)
        rows = [direction if i == 0 else "" for direction in found.names for i in range(arguments.samples)]
        columns = [f"{step:+.2g}" if step else "0" for step in steps.round(decimals=2).tolist()]
        title = f"{text}; steps in standard deviations of the samples"
        images = varied(space, points, found, steps=steps).flatten(0, 1)
        write_picture(captioned(images, title=title, columns=columns, rows=rows), out)
        say(f"{len(found.names)} directions: {out}")
        return
    points = space.draw(arguments.samples, seed=arguments.seed)
    steps = reach * torch.sin(2 * torch.pi * torch.arange(FRAMES) / FRAMES)
    frames = varied(space, points, found, steps=steps).transpose(0, 2).transpose(1, 2)  # [frames, k, N, C, H, W]

    def film(share: float) -> Film:
        kept = max(1, int(frames.shape[2] * share))
        return loop([captioned(f[:, :kept], title=f"{text}, a row each", rows=found.names) for f in frames], time=PACE)

    size = write_film(film, out)
    say(f"{len(found.names)} directions, {FRAMES} frames, {size / 2**20:.1f} MB: {out}")


def draw_labels(space: Space, out: Path, arguments: argparse.Namespace) -> None:
    """From each class of a conditional model to the next one."""
    from zoo.experiments.latents.directions import between_classes
    from zoo.experiments.pictures.captions import captioned, write_picture
    from zoo.releases.weights import class_names

    if is_film(out) or arguments.save:
        raise UsageError("the ways between the classes of a conditional model are drawn as .png, and not saved")
    all_classes = space.module.num_classes or 1
    classes = min(all_classes, 10)
    names = class_names(arguments.model) or [str(k) for k in range(all_classes)]
    images = between_classes(space, classes=classes, steps=arguments.steps, seed=arguments.seed)
    shares = [f"{i / max(1, arguments.steps - 1):.0%}" for i in range(arguments.steps)]
    rows = [f"{names[k]} to {names[(k + 1) % all_classes]}" for k in range(classes)]
    title = f"{arguments.model}: from each class to the next, by the label alone; share of the second class above"
    write_picture(captioned(images, title=title, columns=shares, rows=rows), out)
    say(f"{classes} ways between classes: {out}")


def write(space: Space, found: Directions, path: Path, arguments: argparse.Namespace) -> None:
    """The directions as float32 tensors `vectors` [k, dim] and `deviations` [k], with what they are as metadata."""
    from zoo.runs.tensors import write_tensors

    tensors = {"vectors": found.vectors.contiguous(), "deviations": found.deviations, "strengths": found.strengths}
    about = {"model": arguments.model, "space": space.name, "by": arguments.by, "names": json.dumps(found.names)}
    write_tensors(path, tensors, metadata=about)
    say(f"written: {path}")
