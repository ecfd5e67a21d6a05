"""`zoo pretrain`: trains, evaluates and exports the releases of this project that are missing, within a time each.

Every step is a command of `zoo`, in a process of its own; a run that was cut off goes on where it stopped, and a run
that is out of time is released as far as it came. `--processes 2` makes two releases at once, on a thread each, their
output in files beside the runs; `--status` says how far each is.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from zoo.commands.targets import TARGETS, Target
from zoo.errors import ReleaseError, UsageError
from zoo.releases.card import CARD_FILE, INDEX_FILE
from zoo.releases.find import SHIPPED, read_index
from zoo.runs.children import Children
from zoo.runs.folder import RunDir
from zoo.runs.record import read_metrics
from zoo.runs.text import lined_up, positive, say
from zoo.training.members import was_tested

Run = Callable[[Sequence[str]], None]


def pretrain(
    *,
    data_dir: str,
    runs: Path,
    out: Path,
    names: Sequence[str] = (),
    minutes: int | None = None,
    processes: int = 1,
    run: Run | None = None,
) -> list[str]:
    """Makes the releases that `out` lacks.

    Args:
        data_dir: where the data sets lie.
        runs: folder of the runs, one for each release.
        out: folder of releases.
        names: of those to be made; none takes all.
        minutes: time for each training instead of the table's.
        processes: releases that are made at once.
        run: runs a command of `zoo`; None starts a process of this Python and fails with it.

    Returns:
        the names that were made.

    Raises:
        ReleaseError: an unknown name, or a command that failed.
    """
    missing = [target for target in chosen(names) if target.name not in released(out)]

    children = Children()

    def make(target: Target) -> str:
        log = runs / f"{target.name}.log" if processes > 1 else None
        do = run or partial(start, children=children, log=log)
        for command in steps(target, data_dir=data_dir, folder=runs / target.name, out=out, minutes=minutes):
            do(command)
        return target.name

    with ThreadPoolExecutor(max_workers=processes) as pool, children:
        return list(pool.map(make, missing))


def chosen(names: Sequence[str]) -> list[Target]:
    """The targets of these names, or all. Raises ReleaseError for an unknown one."""
    known = {target.name: target for target in TARGETS}
    if unknown := [name for name in names if name not in known]:
        raise ReleaseError(f"there is no recipe for a release {unknown[0]!r}: there are {', '.join(known)}")
    return [known[name] for name in names or known]


def released(out: Path) -> Collection[str]:
    """Names of the releases that a folder holds, not those of which its index alone knows."""
    index = read_index(str(out)) if (out / INDEX_FILE).is_file() else ()
    return [name for name in index if (out / name / CARD_FILE).is_file()]


def state_of(target: Target, *, runs: Path, out: Path) -> str:
    """How far a release is, in words."""
    run = RunDir(runs / target.name)
    if target.name in released(out):
        return "released"
    if run.result.is_file():
        return "trained"
    rows = read_metrics(run.metrics) if run.metrics.is_file() else []
    return f"in training, {rows[-1]['images_seen']:,} images" if rows else "not begun"


def steps(target: Target, *, data_dir: str, folder: Path, out: Path, minutes: int | None) -> Iterator[list[str]]:
    """The commands of `zoo` that are left to do for a release, each to be run before the next is asked for."""
    import torch

    run = RunDir(folder)
    options, most = target.training(cuda=torch.cuda.is_available())
    hours, rest = divmod(minutes or most, 60)
    days, hours = divmod(hours, 24)
    limit = f"--trainer.max_time={days:02}:{hours:02}:{rest:02}:00"
    if not run.result.is_file():
        if run.last_checkpoint.is_file():
            longer = [limit] if minutes else []  # else as it began
            yield ["fit", target.paper, f"--run_dir={folder}", "--ckpt_path=last", *longer]
        else:
            start = ["fit", target.paper, f"--data_dir={data_dir}", f"--run_dir={folder}"]
            yield [*start, limit, *options]
    for checkpoint in ("best", "last"):
        if not was_tested(folder, checkpoint):  # where the last is the best, one call measures both
            yield ["test", target.paper, f"--run_dir={folder}", f"--ckpt_path={checkpoint}"]
    export = ["export", str(folder), f"--out={out}", f"--precision={target.precision}", f"--name={target.name}"]
    yield [*export, "--checkpoint=best", f"--data_dir={data_dir}"]


def start(command: Sequence[str], *, children: Children, log: Path | None = None) -> None:
    """Runs a command of `zoo` and waits for it; with `log`, on one thread, and its output goes to that file's end."""
    line = f"zoo {' '.join(command)}"
    say(f"\n$ {line}")
    if status := children.call(command, log=log, one_thread=log is not None):
        where = "" if log is None else f" (see {log})"
        raise ReleaseError(f"`{line}` ended with status {status}{where}; the same command goes on from there")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument
    add("names", nargs="*", metavar="RELEASE", help="these alone (default: all of the project)")
    add("--data_dir", help="folder of the data sets")
    add("--runs", default="runs/pretrained", help="folder of the runs (default: %(default)s)")
    add("--out", default=str(SHIPPED), help="folder of releases (default: the package's own)")
    add("--minutes", type=positive, help="time for each training (default: its own)")
    add("--processes", type=positive, default=1, help="releases that are made at once, on a thread each (default: 1)")
    add("--status", action="store_true", help="only say how far each is")


def run(arguments: argparse.Namespace) -> None:
    """Trains, evaluates and exports what is missing."""
    out, runs = Path(arguments.out).expanduser(), Path(arguments.runs).expanduser()
    if arguments.status:
        say(lined_up([(target.name, state_of(target, runs=runs, out=out)) for target in chosen(arguments.names)]))
        return
    if arguments.data_dir is None:
        raise UsageError("--data_dir is missing: the folder of the data sets")
    made = pretrain(
        data_dir=arguments.data_dir,
        runs=runs,
        out=out,
        names=arguments.names,
        minutes=arguments.minutes,
        processes=arguments.processes,
    )
    say(f"made: {', '.join(made) or 'nothing, all are there'} ({out})")
