"""The figures of `fit --dry_run` against what then happens: time within 25 %, memory within 15 %.

    python benchmarks/dry_run.py [--images 40000] [--only dcgan,wgan]

Each recipe is first measured by a dry run, then trained. A machine that others use slows both, not always alike: beside
each time stands the share of a core that the process got, and the error is also given as if both had got the same.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from zoo.runs.record import read_result

#: Three loops: one update of each player, five of the critic for one of G, a network that grows.
RECIPES = {
    "dcgan": ["--recipe", "digits", "--model.width", "8"],
    "wgan": ["--recipe", "digits", "--model.width_G", "8", "--model.width_D", "8"],
    "pggan": ["--recipe", "digits", "--model.fmap_base", "64", "--model.fmap_max", "8"],
}


class Ended(NamedTuple):
    """A process that has ended: its output, seconds by the clock and of computing, and peak memory in bytes."""

    output: str
    wall: float
    cpu: float
    memory: float

    @property
    def share(self) -> float:
        """Of one core."""
        return self.cpu / self.wall


def command(*words: str) -> Ended:
    """Runs `zoo WORDS` to its end."""
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as file:
        process = subprocess.Popen([sys.executable, "-m", "zoo", *words], stdout=file, stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
        file.seek(0)
        if status:
            raise SystemExit(f"zoo {' '.join(words)} failed:\n{file.read()}")
        unit = 1 if sys.platform == "darwin" else 1024
        return Ended(file.read(), wall, used.ru_utime + used.ru_stime, used.ru_maxrss * unit)


def seconds(text: str) -> float:
    """The time that a dry run tells."""
    found = re.search(r"^time +(\d+):(\d+):(\d+) of training", text, re.MULTILINE)
    assert found is not None, text
    hours, minutes, rest = map(int, found.groups())
    return 3600 * hours + 60 * minutes + rest


def memory(text: str) -> float:
    """The bytes that a dry run tells."""
    found = re.search(r"^memory +([\d.,]+) (MB|GB) at most", text, re.MULTILINE)
    assert found is not None, text
    return float(found[1].replace(",", "")) * {"MB": 1e6, "GB": 1e9}[found[2]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=40_000)
    parser.add_argument("--only", default=",".join(RECIPES), metavar="PAPER,PAPER")
    arguments = parser.parse_args()
    beyond = []
    for paper in arguments.only.split(","):
        every = str(arguments.images // 4)
        budget = ["--images", str(arguments.images), "--evaluation.every", every, "--keep.grid_every", every]
        with tempfile.TemporaryDirectory() as folder:
            words = ["fit", paper, *RECIPES[paper], *budget, "--run_dir", f"{folder}/run"]
            foretold, happened = command(*words, "--dry_run"), command(*words)
            took = read_result(Path(folder) / "run")["wall_time_s"]
        time_error = seconds(foretold.output) / took - 1
        alike = seconds(foretold.output) * foretold.share / (took * happened.share) - 1
        memory_error = memory(foretold.output) / happened.memory - 1
        shares = f"shares of a core {foretold.share:.2f} and {happened.share:.2f}, at equal ones {alike:+.0%}"
        took_so = f"time {seconds(foretold.output):6.0f} s foretold, {took:6.0f} s taken ({time_error:+.0%}; {shares})"
        told, peak = memory(foretold.output) / 1e6, happened.memory / 1e6
        print(f"{paper:8} {took_so}; memory {told:,.0f} MB foretold, {peak:,.0f} MB ({memory_error:+.0%})", flush=True)
        if min(abs(time_error), abs(alike)) > 0.25 or abs(memory_error) > 0.15:
            beyond.append(paper)
    raise SystemExit(f"beyond 25 % of time or 15 % of memory: {', '.join(beyond)}" if beyond else 0)


if __name__ == "__main__":
    main()
