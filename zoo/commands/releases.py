"""The commands around trained models: releases, pretrain, export, verify, sample, interpolate, traverse, mix."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import ReleaseError
from zoo.releases.card import PRECISIONS
from zoo.releases.find import SHIPPED, list_pretrained, release_folder
from zoo.runs.text import positive, say

if TYPE_CHECKING:
    from zoo.models.base.module import AdversarialModule
    from zoo.releases.release import Release


def releases(arguments: argparse.Namespace) -> None:
    """Prints a table of all releases at hand; with --picture, draws a row of samples of each."""
    from zoo.releases.card import read_card
    from zoo.runs.text import lined_up

    rows = [("release", "images", "data", "images seen", "MB", "precision", "figures")]
    for name in list_pretrained():
        card = read_card(release_folder(name))
        figures = ", ".join(f"{key} {card['figures'][key]:.4g}" for key in card["protocols"])
        size = sum(entry["bytes"] for entry in card["files"].values()) / 1e6
        shape, seen = "x".join(map(str, card["image_shape"])), f"{card['training']['images_seen']:,}"
        rows.append((name, shape, card["data"]["name"], seen, f"{size:.1f}", card["precision"], figures))
    say(lined_up(rows).rstrip())
    if arguments.picture:
        from zoo.commands.picture import draw_rows

        draw_rows([open_release(name) for name in list_pretrained()], Path(arguments.picture))
        say(f"written: {arguments.picture}")


def export(arguments: argparse.Namespace) -> None:
    """Makes a release of a run."""
    from zoo.commands.results.reported import summary_of
    from zoo.models import MODELS
    from zoo.models.trained import FinishedRun
    from zoo.releases.export import export

    run = FinishedRun(Path(arguments.folder), models=MODELS)
    if arguments.data_dir is not None:
        run.config["data"]["init_args"]["root"] = arguments.data_dir
    folder = export(
        run,
        Path(arguments.out),
        checkpoint=arguments.checkpoint,
        name=arguments.name,
        precision=arguments.precision,
        summary=summary_of(run.record["paper"], run.record["recipe"]),
    )
    say(f"release {folder}\nuse it  python -m zoo sample {folder}")


def pretrain(arguments: argparse.Namespace) -> None:
    """Trains, evaluates and exports what is missing."""
    from zoo.commands.pretrain import pretrain

    out = Path(arguments.out)
    made = pretrain(
        data_dir=arguments.data_dir,
        runs=Path(arguments.runs),
        out=out,
        names=arguments.names,
        minutes=arguments.minutes,
    )
    say(f"made: {', '.join(made) or 'nothing, all are there'} ({out})")


def verify(arguments: argparse.Namespace) -> None:
    """Checks releases; ends with an error if a claim fails."""
    from zoo.releases.verify import verify

    failed = []
    for name in arguments.names or list_pretrained():
        say(name)
        for claim in verify(open_release(name), data_dir=arguments.data_dir, figures=not arguments.quick):
            say(f"  {claim.verdict:12} {claim.text}")
            if claim.verdict == "fails":
                failed.append(f"{name}: {claim.text}")
    if failed:
        raise ReleaseError("what a card claims does not hold. " + "; ".join(failed))


def open_release(name_or_folder: str) -> Release:
    """A release by name or by its folder."""
    from zoo.releases.release import Release

    path = Path(name_or_folder).expanduser()
    return Release(path if path.is_dir() else release_folder(name_or_folder))


def load(arguments: argparse.Namespace) -> AdversarialModule:
    """The model that a command names, where it is to run."""
    from zoo.commands.evaluate.command import device_of
    from zoo.releases.weights import load_model

    device = device_of(arguments)
    return load_model(arguments.model).to(device)


def sample(arguments: argparse.Namespace) -> None:
    """Draws samples, as one grid or as a file each."""
    from zoo.commands.sampling import samples, write_files, write_grid

    labels = None if arguments.labels is None else [int(y) for y in arguments.labels.split(",")]
    images = samples(
        load(arguments), arguments.n, seed=arguments.seed, labels=labels, truncation_psi=arguments.truncation
    ).cpu()
    out = Path(arguments.out or ("samples" if arguments.files else "samples.png"))
    if arguments.files:
        write_files(images, out)
    else:
        write_grid(in_rows(images), out)
    say(f"{len(images)} images: {out}")


def in_rows(images: Any) -> Any:
    """Images [N, C, H, W] as a square, or two to one, of rows: [rows, columns, C, H, W]; white where none are left."""
    import torch

    columns = max(1, round(len(images) ** 0.5)) if len(images) < 32 else 2 * round((len(images) / 2) ** 0.5)
    rows = -(-len(images) // columns)
    white = torch.ones(rows * columns - len(images), *images.shape[1:])
    return torch.cat([images, white]).reshape(rows, columns, *images.shape[1:])


def interpolate(arguments: argparse.Namespace) -> None:
    """Draws ways between latents."""
    from zoo.commands.sampling import ways
    from zoo.experiments.pictures.captions import captioned, write_picture

    module = load(arguments)
    images = ways(module, rows=arguments.rows, steps=arguments.steps, seed=arguments.seed)
    times = [i / max(1, arguments.steps - 1) for i in range(arguments.steps)]
    classes = [] if module.num_classes is None else [f"class {i % module.num_classes}" for i in range(arguments.rows)]
    picture = captioned(
        images,
        title="A way in each row: from one latent at the left (t = 0) to another at the right (t = 1)",
        columns=[f"t = {t:.2g}" for t in times],
        rows=classes,
    )
    write_picture(picture, Path(arguments.out))
    say(f"{arguments.rows} ways of {arguments.steps} images: {arguments.out}")


def traverse(arguments: argparse.Namespace) -> None:
    """Draws InfoGAN's codes, a file each."""
    from zoo.commands.sampling import traversals
    from zoo.experiments.infogan import code_title, code_values
    from zoo.experiments.pictures.captions import captioned, write_picture

    module: Any = load(arguments)
    for name, images in traversals(module, rows=arguments.rows, seed=arguments.seed).items():
        path = Path(arguments.out) / f"{name}.png"
        title = f"{code_title(name, module)}, varied from left to right; all else is the same in a row"
        write_picture(captioned(images, title=title, columns=code_values(name, module, n=images.shape[1])), path)
        say(f"{name} varied from left to right: {path}")


def mix(arguments: argparse.Namespace) -> None:
    """Draws StyleGAN's style mixing."""
    from zoo.commands.sampling import mixed_styles
    from zoo.experiments.pictures.captions import captioned, write_picture
    from zoo.experiments.stylegan import layers_title

    module: Any = load(arguments)
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
    write_picture(picture, Path(arguments.out))
    say(f"{arguments.layers} styles of the top row in the images at the left: {arguments.out}")


def add_commands(commands: Any) -> None:
    """Adds the commands to `zoo`'s."""
    add_release_commands(commands)
    command = drawing(commands, "sample", "images from a trained model", out=None, run=sample)
    command.add_argument("-n", type=positive, default=16, help="images (default: %(default)s)")
    command.add_argument("--labels", metavar="Y,Y,...", help="classes, gone through again and again (default: drawn)")
    command.add_argument("--truncation", type=float, metavar="PSI", help="for models with the truncation trick")
    command.add_argument("--files", action="store_true", help="a PNG file each, in the folder --out (default: samples)")
    command = drawing(commands, "interpolate", "images between latents", out="interpolation.png", run=interpolate)
    command.add_argument("--rows", type=positive, default=4)
    command.add_argument("--steps", type=positive, default=10)
    command = drawing(commands, "traverse", "InfoGAN's codes varied one by one", out="codes", run=traverse)
    command.add_argument("--rows", type=positive, default=5)
    command = drawing(commands, "mix", "StyleGAN's style mixing", out="mixing.png", run=mix)
    command.add_argument("--layers", choices=("coarse", "middle", "fine"), default="coarse")
    command.add_argument("--rows", type=positive, default=4)
    command.add_argument("--columns", type=positive, default=6)


def add_release_commands(commands: Any) -> None:
    """Adds those that make, list and check releases."""
    command = commands.add_parser("releases", help="the trained models at hand (shipped, and at ZOO_RELEASES)")
    command.add_argument("--picture", metavar="FILE", help="also draw samples, a row of each (PNG)")
    command.set_defaults(run=releases)
    command = commands.add_parser("export", help="make a release of a finished run")
    command.add_argument("folder", metavar="RUN", help="the run's folder")
    command.add_argument("--out", default="releases", help="folder of releases (default: %(default)s)")
    command.add_argument("--checkpoint", choices=("last", "best"), default="last")
    command.add_argument("--name", help="default: PAPER.RECIPE")
    command.add_argument("--precision", choices=PRECISIONS, default="float16", help="of the weights; default: float16")
    command.add_argument("--data_dir", help="where the run's data lie now")
    command.set_defaults(run=export)
    command = commands.add_parser("pretrain", help="train, evaluate and export the releases that are missing")
    command.add_argument("names", nargs="*", metavar="RELEASE", help="these alone (default: all of the project)")
    command.add_argument("--data_dir", required=True, help="folder of the data sets")
    command.add_argument("--runs", default="runs/pretrained", help="folder of the runs (default: %(default)s)")
    command.add_argument("--out", default=str(SHIPPED), help="folder of releases (default: the package's own)")
    command.add_argument("--minutes", type=positive, help="time for each training (default: its own)")
    command.set_defaults(run=pretrain)
    command = commands.add_parser("verify", help="compute again what the cards of releases claim")
    command.add_argument("names", nargs="*", metavar="RELEASE", help="names or folders (default: all at hand)")
    command.add_argument("--data_dir", help="where the data lie (default: ZOO_DATA, else ./data)")
    command.add_argument("--quick", action="store_true", help="files, weights and grid; leave the figures out")
    command.set_defaults(run=verify)


def drawing(commands: Any, name: str, text: str, *, out: str | None, run: Any) -> argparse.ArgumentParser:
    """A command that draws pictures of a model."""
    command: argparse.ArgumentParser = commands.add_parser(name, help=text)
    command.add_argument("model", metavar="MODEL", help="a release (dcgan.mnist), a run's folder, or a checkpoint file")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--out", default=out, help=f"default: {out or 'samples.png'}")
    command.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, ...")
    command.set_defaults(run=run)
    return command
