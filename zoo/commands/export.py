"""`zoo export`: a release of a finished run, or the generator as a file that runs without this package."""

from __future__ import annotations

import argparse
from pathlib import Path
from shlex import quote

from zoo.commands import model_argument
from zoo.commands.output import output_file
from zoo.errors import UsageError
from zoo.releases.card import PRECISIONS
from zoo.releases.find import names_release
from zoo.releases.hub import is_hub, repository
from zoo.runs.text import finite, say

SUFFIXES = {"onnx": ".onnx", "torch-export": ".pt2"}  # of the files
OF_RELEASES = ("name", "precision", "figures", "data_dir")  # options that a file does not have
OF_FILES = ("label", "truncation", "noise", "pixels")  # and those that a release does not have


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    model_argument.add_model(parser)
    add = parser.add_argument
    add("--to", choices=("release", *SUFFIXES), default="release", help="what is made (default: %(default)s)")
    add("--out", help="the file; of a release, the folder of releases (default: releases)")
    add("--checkpoint", choices=("last", "best"), help="of a run (default: last)")
    add_release_options(parser)
    file = parser.add_argument_group("a file (of the generator alone)").add_argument
    file("--label", type=int, metavar="Y", help="the class of all images (default: an input)")
    file("--truncation", type=psi, metavar="PSI", help="a number, or `input` (default: none)")
    file("--noise", choices=("const", "input", "none"), help="of StyleGAN: fixed maps (default), inputs, or none")
    file(
        "--pixels", choices=("float", "uint8"), help="in [-1, 1] (default), or RGB bytes, as torch-fidelity wants them"
    )


def add_release_options(parser: argparse.ArgumentParser) -> None:
    """How a release is made of a run."""
    add = parser.add_argument_group("a release (of a run, or of a release in fewer bits)").add_argument
    add("--name", help="default: PAPER.RECIPE")
    add("--precision", choices=PRECISIONS, help="of the weights; default: float16, float32 with --figures record")
    add("--figures", choices=("measure", "record"), help="taken now (default), or those of the run's own `test`")
    add("--data_dir", help="where the run's data lie now")


def psi(text: str) -> float | str:
    """A number, or "input"."""
    return text if text == "input" else finite(text)


def run(arguments: argparse.Namespace) -> None:
    """Makes a release of a run, or a file of a model."""
    others, kind = (OF_FILES, "a file") if arguments.to == "release" else (OF_RELEASES, "a release")
    if given := [f"--{name}" for name in others if getattr(arguments, name) is not None]:
        to = "--to onnx or --to torch-export" if arguments.to == "release" else "--to release, the default"
        raise UsageError(f"{given[0]} is an option of {kind} ({to}), and this makes {arguments.to}")
    if arguments.to == "release":
        make_release(arguments)
    else:
        make_file(arguments)


def make_release(arguments: argparse.Namespace) -> None:
    """A release of a run."""
    if names_release(arguments.model):
        make_smaller(arguments)
        return
    folder = release_of_run(arguments, Path(arguments.out or "releases").expanduser())
    tell(folder)


def tell(folder: Path) -> None:
    """Says what was made, and how it is used."""
    from zoo.releases.find import own_address

    say(f"release {folder}\nuse it  python -m zoo sample {quote(str(folder))}")
    if own_address(folder) is not None:
        say(f"its name alone, {folder.name}, is that of a release of the package: name the folder, or give it a --name")


def release_of_run(arguments: argparse.Namespace, out: Path) -> Path:
    """The folder of the release that is made, in `out`, of the run that a command names."""
    from zoo.models import MODELS
    from zoo.models.trained import FinishedRun
    from zoo.releases.export import export
    from zoo.training.scripts import summary_of

    finished = FinishedRun(Path(arguments.model).expanduser(), models=MODELS)
    if arguments.data_dir is not None:
        finished.data_settings["init_args"]["root"] = arguments.data_dir
    return export(
        finished,
        out,
        checkpoint=arguments.checkpoint or "last",
        name=arguments.name,
        precision=arguments.precision or ("float32" if arguments.figures == "record" else "float16"),
        summary=summary_of(finished.record["paper"], finished.record["recipe"]),
        figures=arguments.figures or "measure",
    )


def make_smaller(arguments: argparse.Namespace) -> None:
    """A release of a release, in fewer bits."""
    from zoo.releases.export import repack
    from zoo.releases.find import locate
    from zoo.releases.release import Release

    if arguments.precision is None or arguments.checkpoint is not None or arguments.figures is not None:
        raise UsageError(
            f"{arguments.model} is no run, and releases are made of runs, or of releases in fewer bits (--precision, "
            "without --checkpoint and --figures); for a file of a release's generator add --to onnx or --to "
            "torch-export"
        )
    folder = repack(
        Release(locate(arguments.model)),
        Path(arguments.out or "releases").expanduser(),
        name=arguments.name,
        precision=arguments.precision,
        data_dir=arguments.data_dir,
    )
    tell(folder)


def make_file(arguments: argparse.Namespace) -> None:
    """A file of a model's generator, and a README beside it."""
    from zoo.releases.about import metadata_of, readme_of_export
    from zoo.releases.portable import Choices, GeneratorGraph, write_onnx, write_program
    from zoo.releases.weights import load_model
    from zoo.runs.extras import require
    from zoo.runs.folder import write_atomically

    if arguments.to == "onnx":
        require("onnx", "onnxscript", purpose="--to onnx")
    suffix = SUFFIXES[arguments.to]
    place = Path(arguments.model).expanduser()
    at_hub = is_hub(arguments.model)
    name = repository(arguments.model).name.partition("/")[2] if at_hub else place.resolve().name
    out = output_file(arguments.out or name.removesuffix(".ckpt") + suffix, suffixes=(suffix,))
    model = arguments.model
    if arguments.checkpoint is not None:
        if not (place / "checkpoints").is_dir():
            raise UsageError(f"--checkpoint chooses among those of a run, and {model} is no run's folder")
        model = str(place / "checkpoints" / f"{arguments.checkpoint}.ckpt")
    choices = Choices(arguments.label, arguments.truncation, arguments.noise or "const", arguments.pixels or "float")
    graph = GeneratorGraph(load_model(model), choices)
    metadata = metadata_of(graph, arguments.model, loaded=model)
    write = write_onnx if arguments.to == "onnx" else write_program
    out.parent.mkdir(parents=True, exist_ok=True)
    difference = write(graph, out, metadata)
    readme = out.with_name(f"{out.name}.md")  # a name that no other file has: README.onnx leaves README.md alone
    write_atomically(readme, readme_of_export(out.name, metadata, form=arguments.to))
    say(f"{out}: {out.stat().st_size / 1e6:.1f} MB; how to use it: {readme}")
    if difference is None:
        say("not compared with the module: pip install onnxruntime")
    else:
        say(f"largest difference to the module's images: {difference:.2g}")
