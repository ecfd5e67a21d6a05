"""The arguments of commands that draw pictures of one trained model, and that model. No torch at import."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from zoo.commands.output import FILMS
from zoo.runs.text import seed

if TYPE_CHECKING:
    from zoo.models.base.module import AdversarialModule


def add_model(parser: argparse.ArgumentParser) -> None:
    """The model alone."""
    help = "a release (dcgan.mnist, hf://OWNER/NAME), a run's folder, or a checkpoint file"
    parser.add_argument("model", metavar="MODEL", help=help)


def add_model_arguments(parser: argparse.ArgumentParser, *, out: str | None, film: bool = False) -> None:
    """Model, seed, device, and where the picture goes (`out` by default; None: samples.png); or the `film`."""
    add_model(parser)
    parser.add_argument("--seed", type=seed, default=0, help="of the latents (default: %(default)s)")
    formats = f"; {', '.join(FILMS)} are films" if film else ""
    parser.add_argument("--out", default=out, help=f"default: {out or 'samples.png'}{formats}")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, ...")


def load(arguments: argparse.Namespace) -> AdversarialModule:
    """The model that a command names, where it is to run."""
    from zoo.commands.evaluate.command import device_of
    from zoo.releases.weights import load_model

    device = device_of(arguments)
    return load_model(arguments.model).to(device)
