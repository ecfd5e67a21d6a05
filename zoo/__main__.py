"""The `zoo` command. It starts without torch: what needs torch imports it in its own function."""

import argparse
import sys
from pathlib import Path
from typing import Any

from zoo import __version__, evaluate
from zoo.errors import ZooError

PAPERS = {
    "gan": ("Generative Adversarial Nets", 2014, "1406.2661"),
    "dcgan": ("Unsupervised Representation Learning with Deep Convolutional GANs", 2016, "1511.06434"),
    "cgan": ("Conditional Generative Adversarial Nets", 2014, "1411.1784"),
    "infogan": ("InfoGAN: Interpretable Representation Learning by Information Maximizing GANs", 2016, "1606.03657"),
    "lsgan": ("Least Squares Generative Adversarial Networks", 2017, "1611.04076"),
    "wgan": ("Wasserstein Generative Adversarial Networks", 2017, "1701.07875"),
    "wgan_gp": ("Improved Training of Wasserstein GANs", 2017, "1704.00028"),
    "pggan": ("Progressive Growing of GANs for Improved Quality, Stability, and Variation", 2018, "1710.10196"),
    "stylegan": ("A Style-Based Generator Architecture for Generative Adversarial Networks", 2019, "1812.04948"),
}


def papers(arguments: argparse.Namespace) -> None:
    """Prints the papers and the scripts that reproduce them."""
    for name, (title, year, arxiv) in PAPERS.items():
        print(f"{name:8} {year}  arXiv {arxiv}  {title}\n{'':8} python reproductions/{name}.py fit --help")


def records(arguments: argparse.Namespace) -> None:
    """Prints what the records under a folder reached, one line for each measure."""
    from zoo.record import read_result
    from zoo.study_record import is_study, read_study, table

    files = sorted(Path(arguments.folder).glob("**/*.json"))
    if not files:
        raise ZooError(f"no records (*.json) under {arguments.folder}: name a folder of runs or reproductions/records")
    for file in files:
        if is_study(file):
            study = read_study(file)
            print(f"{file}: study {study['study']}, {len(study['records'])} runs")
            for group, name, best, last, runs in table(study):
                print(f"  {group:24} {name:24} best {best or '-'}, last {last} ({runs} runs)")
            continue
        record = read_result(file)
        print(f"{file}: {record['paper']} {record['recipe']}, {record['images_seen']:,} images of {dataset(record)}")
        for name, measure in record["measures"].items():
            best, last = measure["best"], measure["last"]
            print(f"  {name:24} best {best['value']:.5g} at {best['images_seen']:,}, last {last['value']:.5g}")


def reached(arguments: argparse.Namespace) -> None:
    """Prints the reached figures beside the reported ones; with --write, also into README and the scripts."""
    from zoo import reached

    root = Path(arguments.root)
    if not (root / "reproductions").is_dir():
        raise ZooError(f"{root.resolve()} has no folder reproductions: run this in a checkout, or name one with --root")
    if arguments.add is not None:
        print(f"written: {reached.keep(Path(arguments.add), root)}")
    print(reached.plain_table(list(reached.rows(root / "reproductions"))), end="")
    if arguments.write:
        for file in reached.write(root):
            print(f"written: {file}")


def dataset(record: dict[str, Any]) -> str:
    """Name and size of a record's training set."""
    return f"{record['dataset']['name']} ({record['dataset']['images']:,})"


def train_lenet(arguments: argparse.Namespace) -> None:
    """Trains the LeNet behind fd_lenet, is_lenet and kd_lenet."""
    from zoo.metrics.train_lenet import train_lenet

    out = Path(arguments.out)
    accuracy = train_lenet(arguments.data_dir, seed=arguments.seed, out=out, epochs=arguments.epochs)
    print(f"{accuracy:.2%} of the test images are classified correctly; weights and card: {out}")


def train_resnet(arguments: argparse.Namespace) -> None:
    """Trains the ResNet behind fd_resnet, is_resnet and kd_resnet."""
    from zoo.metrics.train_resnet import train_resnet

    out = Path(arguments.out)
    accuracy = train_resnet(
        arguments.data_dir, seed=arguments.seed, out=out, epochs=arguments.epochs, width=arguments.width
    )
    print(f"{accuracy:.2%} of the test images are classified correctly; weights and card: {out}")


def parser() -> argparse.ArgumentParser:
    """The command line of `zoo`."""
    top = argparse.ArgumentParser(prog="zoo", description="The GAN papers as PyTorch Lightning modules.")
    top.add_argument("--version", action="version", version=__version__)
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    command = commands.add_parser("papers", help="the papers and their scripts")
    command.set_defaults(run=papers)
    command = commands.add_parser("records", help="what the records under a folder reached")
    command.add_argument("folder", nargs="?", default="reproductions/records")
    command.set_defaults(run=records)
    command = commands.add_parser("reached", help="reported beside reached, from the committed records")
    command.add_argument("--root", default=".", help="a checkout of this project")
    command.add_argument("--add", metavar="RUN", help="first copy this run's result.json to the committed records")
    command.add_argument("--write", action="store_true", help="write the tables into README and the scripts")
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
    command.add_argument("--epochs", type=int, default=12)
    command.add_argument("--width", type=int, default=32, help="of the first layer; time grows with its square")
    command.set_defaults(run=train_resnet)
    command = commands.add_parser("evaluate", help="figures of a run or of two folders, with protocols")
    evaluate.add_arguments(command)
    command.set_defaults(run=evaluate.evaluate)
    return top


def main() -> None:
    """Runs the `zoo` command; expected errors are printed in one piece."""
    arguments = parser().parse_args()
    try:
        arguments.run(arguments)
    except ZooError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
