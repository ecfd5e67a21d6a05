"""`zoo demo`: a local page to play with a model: seed, labels, codes, directions, truncation, styles.

state.py reads what the page asks for, scene.py makes the pictures, server.py hands them out, on this machine alone;
assets/ holds the page.
"""

from __future__ import annotations

import argparse

from zoo.commands import model_argument
from zoo.runs.text import say


def port(text: str) -> int:
    """An option's number of a port; argparse names the option in its error."""
    if not (text.isascii() and text.isdecimal() and int(text) < 2**16):
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 to 65535, not {text!r}")
    return int(text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    model_argument.add_model(parser)
    parser.add_argument("--port", type=port, default=0, help="of 127.0.0.1 (default: 0, a free one)")


def run(arguments: argparse.Namespace) -> None:
    """Serves the page until it is interrupted."""
    from zoo.commands.demo.scene import Scene
    from zoo.commands.demo.server import Server
    from zoo.releases.weights import class_names, load_model

    module = load_model(arguments.model)
    labels = [] if module.num_classes is None else class_names(arguments.model)
    with Server(Scene(arguments.model, module, labels=labels), port=arguments.port) as server:
        say(f"{arguments.model}: {server.address} (Ctrl-C ends it)")
        server.serve_forever()
