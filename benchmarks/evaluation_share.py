"""What evaluations take of the training time of the colour targets of `zoo pretrain`: it should be below a tenth.

    python benchmarks/evaluation_share.py --data_dir DIR [--only dcgan.cifar10,wgan.celeba64] [--write PAGE]

Each target's command line, as on this machine (one core or a GPU), with --dry_run: a few updates and two evaluations
are measured, the rest is counted; the reals' features, which the cache keeps, are not. Run it where nothing else runs.
The time is that of all of a recipe's images, before which `zoo pretrain` ends some targets.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

import torch
from pages import write_between

from zoo.commands.targets import TARGETS, Target
from zoo.runs.environment import describe_hardware

BEGIN, END = "<!-- written by benchmarks/evaluation_share.py -->", "<!-- end of evaluation_share.py -->"
TIME = re.compile(r"^time +(\S+) of training: updates (\S+?)(?:, (\d+) evaluations (\S+?))?(?:,| \(|$)", re.MULTILINE)


def seconds(text: str) -> int:
    """Of "1:02:03"."""
    total = 0
    for part in text.split(":"):
        total = 60 * total + int(part)
    return total


def row(target: Target, data_dir: str) -> str:
    """A line of Markdown: evaluations, their time and their share of the training's."""
    options, _ = target.training(cuda=torch.cuda.is_available())
    words = [sys.executable, "-m", "zoo", "fit", target.paper, f"--data_dir={data_dir}", *options, "--dry_run"]
    ended = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    found = TIME.search(ended.stdout)
    if found is None:
        raise SystemExit(f"{target.name}: no line of its time in\n{ended.stdout}")
    whole, _, evaluations, taken = found.groups()
    share = seconds(taken or "0") / max(1, seconds(whole))
    return f"| {target.name} | {whole} | {evaluations or 0} | {taken or 0} | {share:.1%} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir", required=True)
    parser.add_argument("--only", help="targets, with commas between (default: all in colour)")
    parser.add_argument("--write", type=Path, help="a page with the marks between which the table stands")
    arguments = parser.parse_args()
    colour = {target.name: target for target in TARGETS if target.data != "mnist"}
    names = arguments.only.split(",") if arguments.only else list(colour)
    on = torch.cuda.get_device_name() if torch.cuda.is_available() else f"a core of {describe_hardware()['cpu']}"
    lines = [
        f"On {on}, torch {torch.__version__}:",
        "",
        "| target | time of all its images | evaluations | their time | share |",
        "|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    for name in names:
        lines.append(row(colour[name], arguments.data_dir))
        print(lines[-1], flush=True)
    if arguments.write is not None:
        write_between(arguments.write, lines, begin=BEGIN, end=END)


if __name__ == "__main__":
    main()
