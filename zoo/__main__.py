"""The `zoo` command: a table of commands, each a module with `add_arguments` and `run`. It starts without torch."""

import argparse
import difflib
import sys
from importlib import import_module
from typing import NamedTuple

from zoo import __version__
from zoo.runs.environment import keep_freed_memory, shorten_waits
from zoo.runs.process import orderly


class Command(NamedTuple):
    """A command of `zoo`.

    Attributes:
        name: its first word.
        line: what it does.
        module: in `zoo.commands`, with `add_arguments(parser)` and `run(arguments)`; imports no torch.
        alias: an older name that goes on working.
    """

    name: str
    line: str
    module: str
    alias: str | None = None


TOGETHER = ("fit", "test", "predict")  # of several processes

COMMANDS = {
    "Train": (
        Command("fit", "train a recipe of a paper, go on with a run, or fine-tune", "train"),
        Command("test", "measure a run by the full protocol", "train"),
        Command("predict", "write images of a run", "train"),
        Command("study", "an experiment of a paper that is made of several runs", "train"),
    ),
    "Look": (
        Command("papers", "the papers, their recipes, reported beside reached", "papers"),
        Command("diff", "how two papers differ: objective, networks, optimizer, schedule", "diff"),
        Command("sample", "images from a trained model", "sample"),
        Command("interpolate", "images between latents", "interpolate"),
        Command("traverse", "InfoGAN's codes varied one by one", "traverse"),
        Command("mix", "StyleGAN's style mixing", "mix"),
        Command("directions", "what lies in a latent space: SeFA, PCA, towards classes and attributes", "directions"),
        Command("project", "the latents of given images", "project"),
        Command("neighbours", "samples beside their nearest training images", "neighbours"),
        Command("demo", "a local page to play with a model: seed, labels, codes, directions, styles", "demo"),
        Command("film", "the time-lapse of a run's sample grids, as GIF, WebP, APNG or MP4", "film"),
    ),
    "Measure": (
        Command("evaluate", "figures of a run or of two folders, with protocols", "evaluate"),
        Command("benchmark", "objectives on the same networks, data and budget: seeds, error bars, ranks", "benchmark"),
        Command("compare", "runs side by side: tables here, and one page with curves and samples", "compare"),
        Command("train-lenet", "train the feature network for digits (ships trained)", "train_lenet"),
        Command("train-resnet", "train the feature network for small colour images", "train_resnet"),
    ),
    "Releases": (
        Command("releases", "the trained models at hand (shipped, and at ZOO_RELEASES)", "releases"),
        Command("verify", "compute again what the cards of releases claim", "verify"),
        Command("export", "make a release of a finished run, or an ONNX or PyTorch file of any model", "export"),
        Command("push", "send a release or a run to the Hugging Face Hub", "push"),
        Command("pretrain", "train, evaluate and export the releases that are missing", "pretrain"),
    ),
    "Results": (
        Command("results", "reported beside reached, from the committed records", "results", alias="reached"),
        Command("records", "what the records under a folder reached", "records"),
    ),
    "W&B": (Command("wandb-push", "rebuild runs at W&B from their local records", "wandb"),),
}


def listing() -> str:
    """All commands by their groups."""
    parts = ["usage: zoo COMMAND ...", "The GAN papers as PyTorch Lightning modules. `zoo COMMAND --help` says more."]
    for group, commands in COMMANDS.items():
        parts.append("\n".join([group, *(f"  {command.name:14}{command.line}" for command in commands)]))
    return "\n\n".join(parts) + "\n"


def parser(name: str | None = None) -> argparse.ArgumentParser:
    """The command line of `zoo`; with a `name`, of that command alone, so that no other is imported."""
    top = argparse.ArgumentParser(prog="zoo", description="The GAN papers as PyTorch Lightning modules.")
    top.add_argument("--version", action="version", version=__version__)
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    for command in (command for group in COMMANDS.values() for command in group):
        if name in (None, command.name, command.alias):
            aliases = [command.alias] if command.alias else []
            own = commands.add_parser(command.name, help=command.line, aliases=aliases)
            module = import_module(f"zoo.commands.{command.module}")
            module.add_arguments(own)
            own.set_defaults(run=module.run, command=command.name, refuse=own.error)
    return top


def refuse_unknown(name: str) -> None:
    """Ends with status 2 if there is no command of that name."""
    names = [word for group in COMMANDS.values() for c in group for word in (c.name, c.alias) if word]
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        hint = f": did you mean {near[0]!r}?" if near else ""
        sys.stderr.write(f"error: there is no command {name!r}{hint} (`zoo` lists all)\n")
        raise SystemExit(2)


def main() -> None:
    """Runs the `zoo` command; expected errors are printed in one piece."""
    first = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if first in ("-h", "--help"):
        sys.stdout.write(listing())
        return
    if not first.startswith("-"):
        refuse_unknown(first)
    shorten_waits()
    keep_freed_memory()
    with orderly(alone=None if first in TOGETHER else f"zoo {first}"):
        arguments, unknown = parser(first).parse_known_args()
        if unknown:  # by the command itself, whose usage helps; argparse would show that of `zoo`
            arguments.refuse(f"unrecognized arguments: {' '.join(unknown)}")
        arguments.run(arguments)


if __name__ == "__main__":
    main()
