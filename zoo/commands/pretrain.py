"""`zoo pretrain`: trains, evaluates and exports the releases of this project that are missing, within a time each.

Every step is a command of `zoo`, in a process of its own; a run that was cut off goes on where it
stopped, and a run that is out of time is released as far as it came.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import ReleaseError
from zoo.releases.find import SHIPPED, read_index
from zoo.runs.folder import RunDir
from zoo.runs.record import read_result
from zoo.runs.text import positive, say

Run = Callable[[Sequence[str]], None]


@dataclass(frozen=True)
class Target:
    """A release to be made.

    Args:
        paper: of the reproduction script.
        recipe: of the paper.
        minutes: most time that its training may take.
        options: of `fit`, beside the recipe's settings.
        precision: of the release; matrices of fully connected networks go to int8, to stay small.
    """

    paper: str
    recipe: str
    minutes: int
    options: tuple[str, ...] = ()
    precision: str = "float16"

    @property
    def name(self) -> str:
        """Of the release."""
        return f"{self.paper}.{self.recipe}"


FAST = ("--trainer.precision=bf16-mixed",)

#: Minutes and images are for one core of a CPU that has bf16 instructions.
TARGETS = (
    Target("gan", "mnist", 120, ("--images=7500000", "--evaluation.every=2500000"), "int8"),
    Target("dcgan", "mnist", 60, ("--images=650000", *FAST)),
    Target("cgan", "mnist", 120, ("--images=6000000", "--evaluation.every=500000"), "int8"),
    Target("infogan", "mnist", 60, FAST, "int8"),
    Target("lsgan", "mnist", 60, ("--images=650000", "--model.width=32", *FAST)),
    Target("wgan", "mnist", 90, ("--model.width_G=32", "--model.width_D=32", *FAST)),
    Target("wgan_gp", "mnist", 90, ("--images=2000000", "--model.width=32", "--evaluation.every=100000", *FAST)),
    Target("pggan", "mnist", 90),
    Target("stylegan", "mnist", 90),
)


def pretrain(
    *,
    data_dir: str,
    runs: Path,
    out: Path,
    names: Sequence[str] = (),
    minutes: int | None = None,
    run: Run | None = None,
) -> list[str]:
    """Makes the releases that `out` lacks.

    Args:
        data_dir: where the data sets lie.
        runs: folder of the runs, one for each release.
        out: folder of releases.
        names: of those to be made; none takes all.
        minutes: time for each training instead of the table's.
        run: runs a command of `zoo`; None starts a process of this Python and fails with it.

    Returns:
        the names that were made.

    Raises:
        ReleaseError: an unknown name, or a command that failed.
    """
    known = {target.name: target for target in TARGETS}
    if unknown := [name for name in names if name not in known]:
        raise ReleaseError(f"there is no recipe for a release {unknown[0]!r}: there are {', '.join(known)}")
    there = read_index(str(out)) if (out / "index.json").is_file() else {}
    made = []
    for name in names or known:
        if name not in there:
            for command in steps(known[name], data_dir=data_dir, folder=runs / name, out=out, minutes=minutes):
                (run or start)(command)
            made.append(name)
    return made


def steps(target: Target, *, data_dir: str, folder: Path, out: Path, minutes: int | None) -> list[list[str]]:
    """The commands of `zoo` that are left to do for a release."""
    run = RunDir(folder)
    hours, rest = divmod(minutes or target.minutes, 60)
    limit = f"--trainer.max_time=00:{hours:02}:{rest:02}:00"  # days, hours, minutes, seconds
    commands = []
    if not run.result.is_file():
        if run.last_checkpoint.is_file():
            commands.append(["fit", target.paper, f"--run_dir={folder}", "--ckpt_path=last"])
        else:
            start = ["fit", target.paper, f"--recipe={target.recipe}", f"--data_dir={data_dir}", f"--run_dir={folder}"]
            commands.append([*start, limit, *target.options])
    tested = {test["checkpoint"] for test in read_result(folder)["tests"]} if run.result.is_file() else set()
    for checkpoint in ("best", "last"):
        if f"{checkpoint}.ckpt" not in tested:
            commands.append(["test", target.paper, f"--run_dir={folder}", f"--ckpt_path={checkpoint}"])
    export = ["export", str(folder), f"--out={out}", f"--precision={target.precision}"]
    commands.append([*export, "--checkpoint=best", f"--data_dir={data_dir}"])
    return commands


def start(command: Sequence[str]) -> None:
    """Runs a command of `zoo` and waits for it."""
    say(f"\n$ zoo {' '.join(command)}")
    status = subprocess.run([sys.executable, "-m", "zoo", *command], check=False).returncode
    if status != 0:
        raise ReleaseError(f"`zoo {' '.join(command)}` ended with status {status}; the same command goes on from there")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument
    add("names", nargs="*", metavar="RELEASE", help="these alone (default: all of the project)")
    add("--data_dir", required=True, help="folder of the data sets")
    add("--runs", default="runs/pretrained", help="folder of the runs (default: %(default)s)")
    add("--out", default=str(SHIPPED), help="folder of releases (default: the package's own)")
    add("--minutes", type=positive, help="time for each training (default: its own)")


def run(arguments: argparse.Namespace) -> None:
    """Trains, evaluates and exports what is missing."""
    out = Path(arguments.out)
    made = pretrain(
        data_dir=arguments.data_dir,
        runs=Path(arguments.runs),
        out=out,
        names=arguments.names,
        minutes=arguments.minutes,
    )
    say(f"made: {', '.join(made) or 'nothing, all are there'} ({out})")
