"""`zoo sample`: images from a trained model, as one grid or as a file each."""

from __future__ import annotations

import argparse
from pathlib import Path

from zoo.commands import model_argument
from zoo.commands.output import integers, output_file, output_folder
from zoo.errors import UsageError
from zoo.runs.text import finite, positive, say, shown


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    model_argument.add_model_arguments(parser, out=None)
    add = parser.add_argument
    add("-n", type=positive, default=16, help="images (default: %(default)s)")
    add("--labels", metavar="Y,Y,...", help="classes, by number or by name, repeated in this order (default: drawn)")
    add("--truncation", type=finite, metavar="PSI", help="for models with the truncation trick")
    add("--files", action="store_true", help="a PNG file each, in the folder --out (default: samples)")


def run(arguments: argparse.Namespace) -> None:
    """Draws samples."""
    from zoo.commands.sampling import in_rows, samples, write_files, write_grid

    labels = None if arguments.labels is None else labels_of(arguments.labels, arguments.model)
    if labels is not None and len(labels) > arguments.n:
        raise UsageError(f"--labels names {len(labels)} classes for {arguments.n} images: ask for as many (-n)")
    model = model_argument.load(arguments)
    out = (
        folder_for(arguments.n, arguments.out or "samples")
        if arguments.files
        else output_file(arguments.out or "samples.png")
    )
    images = samples(model, arguments.n, seed=arguments.seed, labels=labels, truncation_psi=arguments.truncation).cpu()
    if arguments.files:
        write_files(images, out)
    else:
        write_grid(in_rows(images), out)
    say(f"{len(images)} images: {out}")


def folder_for(n: int, name: str) -> Path:
    """The folder that n images are written into.

    Raises:
        UsageError: as `output_folder`, or other images lie there: whoever reads the folder would count them in.
    """
    from zoo.data.listing import EXTENSIONS

    out = output_folder(name)
    images = (file for file in out.iterdir() if file.suffix.lower() in EXTENSIONS)
    if others := sorted(file for file in images if not is_ours(file.name, n)):
        raise UsageError(
            f"--out {name} holds {len(others)} other images ({shown(others[0].name)}), which pass for samples: "
            "remove them, or name another folder"
        )
    return out


def is_ours(name: str, n: int) -> bool:
    """Whether a file is named as one of n images are."""
    stem = name.removesuffix(".png")
    return stem.isdecimal() and int(stem) < n and name == f"{int(stem):06d}.png"


def labels_of(text: str, model: str) -> list[int]:
    """The numbers of classes that are given by number or by name.

    Raises:
        UsageError: a name that is none of the model's.
    """
    from zoo.releases.weights import class_names

    words = text.split(",")
    if all(word.strip().lstrip("-").isdecimal() for word in words) or not (names := class_names(model)):
        return integers(text, option="--labels")
    number = {name: k for k, name in enumerate(names)} | {str(k): k for k in range(len(names))}
    if unknown := [word for word in words if word.strip() not in number]:
        raise UsageError(
            f"--labels: the model has no class {shown(unknown[0])}; its classes are {shown(', '.join(names))}"
        )
    return [number[word.strip()] for word in words]
