"""Kills runs at chosen and random moments, resumes them, and compares each with the run that was never killed.

    python benchmarks/kills.py [--papers gan,dcgan] [--random 4] [--two 1] [--seed 0]

Each run is the command line of a paper, in small, given again and again with `--ckpt_path auto`. What it does is a list
of events: a batch, a row of metrics.jsonl, the inside of an evaluation, a file half written, before and after a file
gets its name. The process sends itself SIGKILL at an event: at the first row, inside an evaluation, at each stage of a
checkpoint, and at `--random` events drawn by the seed, some of them twice or three times in one run. `--two` does so on
either rank of two processes. Equal to the bit must be last.ckpt, best.ckpt, every kept checkpoint, every grid and every
row (but for its time); nothing temporary may stay. Processes are forked from one that has imported everything.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from registry import SMALL  # noqa: E402
from toys import same, state_of  # noqa: E402
from two_checkouts import rows_of  # noqa: E402

from zoo.models.base.module import AdversarialModule  # noqa: E402
from zoo.training import reproduce  # noqa: E402
from zoo.training.callbacks import Evaluation  # noqa: E402
from zoo.training.loggers import JsonlLogger  # noqa: E402
from zoo.training.process import train  # noqa: E402, F401 - imported before the fork
from zoo.training.scripts import script_of  # noqa: E402

STEADY = ("--evaluation.samples", "40", "--evaluation.real_images", "64", "--evaluation.extractors", "[lenet]")
STEADY += ("--evaluation.batchnorm", "running")  # no 2,000 samples for the statistics, of which InfoGAN's take minutes
DEADLINE_S = 900.0  # for two processes, of which one is killed: the other must not wait for ever


class Events:
    """Counts what a process does; kills it at one of them.

    Args:
        at: number of the event, or None for never.
        trace: file that the names of all events go to.
    """

    def __init__(self, at: int | None, trace: Path) -> None:
        self.at, self.trace, self.count = at, trace, 0

    def __call__(self, name: str) -> None:
        with self.trace.open("a") as file:
            file.write(name + "\n")
        if self.count == self.at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.count += 1

    def around(self, kind: Any, method: str, *, before: str = "", after: str = "") -> None:
        """Makes events of a method's calls."""
        original = getattr(kind, method)

        def called(*arguments: Any, **options: Any) -> Any:
            if before:
                self(before)
            result = original(*arguments, **options)
            if after:
                self(after)
            return result

        setattr(kind, method, called)

    def install(self) -> None:
        """Watches this process."""
        self.around(AdversarialModule, "on_train_batch_start", before="batch")
        self.around(JsonlLogger, "log_metrics", after="row")
        self.around(Evaluation, "run", before="evaluation", after="evaluated")
        self.around(os, "fsync", before="half")
        self.around(Path, "replace", before="unnamed", after="named")


def options_of(paper: str) -> list[str]:
    """The command line of a small run: nine batches, evaluations and kept checkpoints on the way."""
    small = SMALL[paper]
    words = ["fit", "--recipe", "digits", *STEADY, "--images", "72"]
    words += ["--data.batch_size", "8"] * ("batch_sizes" not in small.model)
    words += ["--evaluation.every", "24", "--keep.monitor", "fd_lenet40", "--keep.checkpoint_every", "16"]
    words += ["--keep.archive_every", "40", "--keep.grid_every", "32", "--trainer.log_every_n_steps", "2"]
    for prefix, settings in (("model", small.model), ("data", small.data)):
        for name, value in settings.items():
            words.append(f"--{prefix}.{name}={value if isinstance(value, str) else json.dumps(value)}")
    return words


def forked(work: Callable[[], None], log: Path) -> int:
    """Starts a function in a process of its own, its output in a file; returns its number."""
    child = os.fork()
    if child:
        return child
    status = 1
    with contextlib.suppress(BaseException):
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        try:
            work()
            status = 0
        except SystemExit as stop:
            status = int(stop.code or 0)
        except BaseException:
            import traceback

            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)


def fit(paper: str, run: Path, *, at: int | None, trace: Path, rank: int | None = None, port: int = 0) -> None:
    """What a process does."""
    sys.argv = ["reproductions/" + paper + ".py"]
    Events(at, trace).install()
    words = [*options_of(paper), "--run_dir", str(run), "--ckpt_path", "auto"]
    if rank is not None:
        os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
        os.environ |= {"GROUP_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        os.environ["TORCHELASTIC_RUN_ID"] = "kills"
        words += ["--devices", "2", "--trainer.accelerator", "cpu"]
    reproduce(paper, script_of(paper).recipes, arguments=words)


def attempt(paper: str, run: Path, *, kill: int | None, victim: int = 0, processes: int = 1) -> list[int]:
    """One try of the command, with one process or two, of which the victim is killed; their statuses as waitpid has."""
    log, port = run.with_suffix(".log"), free_port()
    children = []
    for rank in range(processes):
        at = kill if rank == victim else None
        trace = run.with_suffix(f".trace{rank}")
        trace.unlink(missing_ok=True)
        place = {"rank": rank, "port": port} if processes > 1 else {}
        children.append(forked(partial(fit, paper, run, at=at, trace=trace, **place), log))
    statuses, deadline = [], time.monotonic() + DEADLINE_S
    for child in children:
        while not (done := os.waitpid(child, os.WNOHANG))[0]:
            if processes > 1 and time.monotonic() > deadline:
                os.kill(child, signal.SIGKILL)
                raise SystemExit(f"{paper}: a process outlived its partner, see {log}")
            time.sleep(0.05)
        statuses.append(done[1])
    return statuses


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def differences(whole: Path, run: Path) -> list[str]:
    """What is not as in the run that was never killed."""
    found = [f"left behind: {path}" for path in (*run.rglob("*.tmp-*"), *run.rglob(".lock"))]
    names = {path.relative_to(whole) for folder in ("checkpoints", "grids") for path in (whole / folder).iterdir()}
    there = {path.relative_to(run) for folder in ("checkpoints", "grids") for path in (run / folder).iterdir()}
    found += [f"only in one: {name}" for name in sorted(names ^ there)]
    for name in sorted(names & there):
        equal = (
            same(state_of(whole / name), state_of(run / name))
            if name.suffix == ".ckpt"
            else (whole / name).read_bytes() == (run / name).read_bytes()
        )
        found += [] if equal else [f"differs: {name}"]
    if rows_of(whole) != rows_of(run):
        found.append("differs: metrics.jsonl")
    return found


def moments(trace: Sequence[str], *, drawn: int, draw: random.Random) -> list[list[int]]:
    """Numbers of events to be killed at, a list for each run: the chosen ones, then those that are drawn."""
    first = [[trace.index(name)] for name in ("row", "evaluated", "half", "unnamed", "named") if name in trace]
    last = [len(trace) - 1 - trace[::-1].index(name) for name in ("unnamed", "evaluation") if name in trace]
    plans = [*first, *([number] for number in last)]
    for number in range(drawn):
        plans.append([draw.randrange(len(trace)) for _ in range(1 + number % 3)])
    return plans


def check(paper: str, folder: Path, *, kills: Sequence[int], whole: Path, victim: int, processes: int) -> bool:
    """Kills a run so often, lets it end, and compares."""
    run = folder / "run"
    shutil.rmtree(run, ignore_errors=True)
    done = 0
    for kill in kills:
        statuses = attempt(paper, run, kill=kill, victim=victim, processes=processes)
        if not any(os.WIFSIGNALED(status) for status in statuses):
            break  # it ended before: fewer events were left after a resume
        done += 1
    statuses = attempt(paper, run, kill=None, processes=processes)
    found = [f"status {status}" for status in statuses if status] or differences(whole, run)
    where = f"killed {done} times at events {list(kills)}" + (f", rank {victim} of 2" if processes > 1 else "")
    sys.stdout.write(f"{'exact' if not found else 'NOT EXACT'}  {paper:9} {where}  {'; '.join(found)}\n")
    sys.stdout.flush()
    return not found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--papers", default=",".join(SMALL))
    parser.add_argument("--random", type=int, default=0, help="drawn kills of each paper, beside the chosen ones")
    parser.add_argument("--most", type=int, default=None, help="at most so many runs of each paper, drawn from all")
    parser.add_argument("--two", type=int, default=0, help="kills on each rank of two processes, for each paper")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    draw, exact = random.Random(asked.seed), []
    for paper in asked.papers.split(","):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for processes, number in ((1, asked.random), (2, asked.two)):
                if processes == 2 and not number:
                    continue
                whole = folder / f"whole{processes}"
                attempt(paper, whole, kill=None, processes=processes)  # fills the caches, which is no event of a run
                shutil.rmtree(whole, ignore_errors=True)
                if any(attempt(paper, whole, kill=None, processes=processes)):
                    raise SystemExit(f"{paper} does not train:\n{whole.with_suffix('.log').read_text()[-2000:]}")
                trace = whole.with_suffix(".trace0").read_text().split()
                plans = moments(trace, drawn=number, draw=draw) if processes == 1 else []
                plans = draw.sample(plans, min(asked.most or len(plans), len(plans)))
                for kills in plans:
                    exact.append(check(paper, folder, kills=kills, whole=whole, victim=0, processes=1))
                for victim in (0, 1) if processes == 2 else ():
                    events = whole.with_suffix(f".trace{victim}").read_text().split()
                    for _ in range(number):
                        kills = [draw.randrange(len(events))]
                        exact.append(check(paper, folder, kills=kills, whole=whole, victim=victim, processes=2))
    sys.stdout.write(f"{sum(exact)} of {len(exact)} exact\n")
    raise SystemExit(0 if all(exact) else 1)


if __name__ == "__main__":
    main()
