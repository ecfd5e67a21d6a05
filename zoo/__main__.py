"""The `zoo` command. It starts without torch: what needs torch imports it in its own function."""

import argparse
import sys
from pathlib import Path
from typing import Any

from zoo import __version__
from zoo.commands import evaluate
from zoo.commands import releases as released
from zoo.errors import ZooError
from zoo.runs.text import plain_warnings


def papers(arguments: argparse.Namespace) -> None:
    """Prints each paper's recipes, what it reports for them and what has been reached here."""
    from zoo.commands.papers import as_text
    from zoo.commands.results.reported import reproductions

    print(as_text(reproductions(), names=arguments.papers), end="")


def diff(arguments: argparse.Namespace) -> None:
    """Prints how two papers differ, from the code's own defaults or from recipes."""
    from zoo.commands.diff import as_text

    print(as_text(arguments.first, arguments.second), end="")


def compare(arguments: argparse.Namespace) -> None:
    """Prints runs side by side and writes them as one page."""
    import tempfile

    from zoo.commands.compare.comparison import Comparison
    from zoo.commands.compare.page import write_page
    from zoo.commands.compare.reading import read_runs
    from zoo.commands.compare.text import as_text
    from zoo.commands.wandb.pull import pull

    paths = [Path(path) for path in arguments.runs]
    with tempfile.TemporaryDirectory() as folder:
        if arguments.wandb:
            paths += pull(arguments.wandb, Path(folder))
        runs, notes = read_runs(paths or [Path("runs")])
        comparison = Comparison(runs, [*arguments.note, *notes])
        print(as_text(comparison), end="")
        if arguments.page:
            print(f"page: {write_page(comparison, Path(arguments.page))}")


def wandb_push(arguments: argparse.Namespace) -> None:
    """Rebuilds runs at W&B from their local records."""
    from zoo.commands.wandb.push import push

    for path in arguments.runs:
        print(push(Path(path), project=arguments.project, again=arguments.again))


def records(arguments: argparse.Namespace) -> None:
    """Prints what the records under a folder reached, one line for each measure."""
    from zoo.experiments.measures import study_table
    from zoo.runs.record import read_result
    from zoo.runs.study import is_study, read_study

    files = sorted(Path(arguments.folder).glob("**/*.json"))
    if not files:
        raise ZooError(f"no records (*.json) under {arguments.folder}: name a folder of runs or reproductions/records")
    for file in files:
        if is_study(file):
            study = read_study(file)
            print(f"{file}: study {study['study']}, {len(study['records'])} runs")
            for group, name, best, last, runs in study_table(study):
                print(f"  {group:24} {name:24} best {best or '-'}, last {last} ({runs} runs)")
            continue
        record = read_result(file)
        print(f"{file}: {record['paper']} {record['recipe']}, {record['images_seen']:,} images of {dataset(record)}")
        for name, measure in record["measures"].items():
            best, last = measure["best"], measure["last"]
            print(f"  {name:24} best {best['value']:.5g} at {best['images_seen']:,}, last {last['value']:.5g}")


def reached(arguments: argparse.Namespace) -> None:
    """Prints the reached figures beside the reported ones; with --write, also into README, scripts and pages."""
    from zoo.commands.results import documents
    from zoo.commands.results.keep import keep
    from zoo.commands.results.results import results
    from zoo.commands.results.tables import by_paper

    root = Path(arguments.root)
    if not (root / "reproductions").is_dir():
        raise ZooError(f"{root.resolve()} has no folder reproductions: run this in a checkout, or name one with --root")
    if arguments.add is not None:
        print(f"written: {keep(Path(arguments.add), root)}")
    print(by_paper([(result,) for result in results(root / "reproductions")]), end="")
    if arguments.write:
        for file in documents.write(root):
            print(f"written: {file}")


def dataset(record: dict[str, Any]) -> str:
    """Name and size of a record's training set."""
    return f"{record['dataset']['name']} ({record['dataset']['images']:,})"


def train_lenet(arguments: argparse.Namespace) -> None:
    """Trains the LeNet behind fd_lenet, is_lenet and kd_lenet."""
    from zoo.commands.train_lenet import train_lenet

    out = Path(arguments.out)
    accuracy = train_lenet(arguments.data_dir, seed=arguments.seed, out=out, epochs=arguments.epochs)
    print(f"{accuracy:.2%} of the test images are classified correctly; weights and card: {out}")


def train_resnet(arguments: argparse.Namespace) -> None:
    """Trains the ResNet behind fd_resnet, is_resnet and kd_resnet."""
    from zoo.commands.train_resnet import train_resnet

    out = Path(arguments.out)
    accuracy = train_resnet(
        arguments.data_dir,
        seed=arguments.seed,
        out=out,
        epochs=arguments.epochs,
        width=arguments.width,
        start=arguments.start,
    )
    print(f"{accuracy:.2%} of the test images are classified correctly; weights and card: {out}")


def parser() -> argparse.ArgumentParser:
    """The command line of `zoo`."""
    top = argparse.ArgumentParser(prog="zoo", description="The GAN papers as PyTorch Lightning modules.")
    top.add_argument("--version", action="version", version=__version__)
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    command = commands.add_parser("papers", help="the papers, their recipes, reported beside reached")
    command.add_argument("papers", nargs="*", metavar="PAPER", help="these alone")
    command.set_defaults(run=papers)
    command = commands.add_parser("diff", help="how two papers differ: objective, networks, optimizer, schedule")
    command.add_argument("first", metavar="PAPER[:RECIPE]")
    command.add_argument("second", metavar="PAPER[:RECIPE]")
    command.set_defaults(run=diff)
    command = commands.add_parser(
        "compare", help="runs side by side: tables here, and one page with curves and samples"
    )
    command.add_argument("runs", nargs="*", metavar="RUN", help="run folders, folders of them, records (default: runs)")
    command.add_argument("--wandb", metavar="ENTITY/PROJECT", help="the runs of a W&B project, too")
    command.add_argument("--page", metavar="FILE", default="compare.html", help="default: %(default)s; '' for none")
    command.add_argument(
        "--note", action="append", default=[], metavar="TEXT", help="a note of your own, shown with both"
    )
    command.set_defaults(run=compare)
    command = commands.add_parser("wandb-push", help="rebuild runs at W&B from their local records")
    command.add_argument("runs", nargs="+", metavar="RUN", help="run folders")
    command.add_argument("--project", default="lightning-gan-zoo", help="default: %(default)s")
    command.add_argument("--again", action="store_true", help="push all of it as a new W&B run")
    command.set_defaults(run=wandb_push)
    command = commands.add_parser("records", help="what the records under a folder reached")
    command.add_argument("folder", nargs="?", default="reproductions/records")
    command.set_defaults(run=records)
    command = commands.add_parser(
        "results", aliases=["reached"], help="reported beside reached, from the committed records"
    )
    command.add_argument("--root", default=".", help="a checkout of this project")
    command.add_argument("--add", metavar="RUN", help="first copy this run's result.json to the committed records")
    command.add_argument("--write", action="store_true", help="write the tables into README, the scripts and docs")
    command.set_defaults(run=reached)
    command = commands.add_parser("train-lenet", help="train the feature network for digits (ships trained)")
    command.add_argument("--data_dir", required=True, help="folder that holds MNIST/raw")
    command.add_argument("--out", default="lenet.safetensors", help="file for the weights; the card goes beside it")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--epochs", type=int, default=8)
    command.set_defaults(run=train_lenet)
    command = commands.add_parser("train-resnet", help="train the feature network for small colour images")
    command.add_argument("--data_dir", required=True, help="folder that holds CIFAR-10")
    command.add_argument("--out", default="resnet.safetensors", help="file for the weights; the card goes beside it")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--epochs", type=int, help="default: 35, or 8 from trained weights")
    command.add_argument("--start", metavar="FILE", help="trained weights to go on from, with a second, lower cycle")
    command.add_argument("--width", type=int, default=32, help="of the first layer; time grows with its square")
    command.set_defaults(run=train_resnet)
    command = commands.add_parser("evaluate", help="figures of a run or of two folders, with protocols")
    evaluate.add_arguments(command)
    command.set_defaults(run=evaluate.evaluate)
    released.add_commands(commands)
    return top


def main() -> None:
    """Runs the `zoo` command; expected errors are printed in one piece."""
    arguments = parser().parse_args()
    try:
        with plain_warnings():
            arguments.run(arguments)
    except ZooError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
