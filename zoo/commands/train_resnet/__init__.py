"""`zoo train-resnet`: trains the ResNet behind fd_resnet, is_resnet and kd_resnet (training.py)."""

from __future__ import annotations

import argparse

from zoo.commands.output import output_file
from zoo.runs.text import say, seed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument
    add("--data_dir", required=True, help="folder that holds CIFAR-10")
    add("--out", default="resnet.safetensors", help="file for the weights; the card goes beside it")
    add("--seed", type=seed, default=0, help="of weights and order (default: %(default)s)")
    add("--epochs", type=int, help="default: 35, or 8 from trained weights")
    add("--start", metavar="FILE", help="trained weights to go on from, with a second, lower cycle")
    add("--width", type=int, default=32, help="of the first layer; time grows with its square")


def run(arguments: argparse.Namespace) -> None:
    """Trains the ResNet."""
    from zoo.commands.train_resnet.training import train_resnet

    out = output_file(arguments.out, suffixes=(".safetensors",))
    accuracy = train_resnet(
        arguments.data_dir,
        seed=arguments.seed,
        out=out,
        epochs=arguments.epochs,
        width=arguments.width,
        start=arguments.start,
    )
    say(f"{accuracy:.2%} of the test images are classified correctly; weights and card: {out}")
