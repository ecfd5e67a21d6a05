"""`zoo train-lenet`: trains the LeNet behind fd_lenet, is_lenet and kd_lenet (training.py)."""

from __future__ import annotations

import argparse

from zoo.commands.output import output_file
from zoo.runs.text import say, seed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("--data_dir", required=True, help="folder that holds MNIST/raw")
    parser.add_argument("--out", default="lenet.safetensors", help="file for the weights; the card goes beside it")
    parser.add_argument("--seed", type=seed, default=0, help="of weights and order (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=8, help="default: %(default)s")


def run(arguments: argparse.Namespace) -> None:
    """Trains the LeNet."""
    from zoo.commands.train_lenet.training import train_lenet

    out = output_file(arguments.out, suffixes=(".safetensors",))
    accuracy = train_lenet(arguments.data_dir, seed=arguments.seed, out=out, epochs=arguments.epochs)
    say(f"{accuracy:.2%} of the test images are classified correctly; weights and card: {out}")
