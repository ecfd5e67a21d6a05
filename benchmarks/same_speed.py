"""Whether training is as fast in one checkout as in another: both train at once on one core, and their images are set
against the CPU seconds that each had.

    python benchmarks/same_speed.py OLD NEW [--only gan,dcgan] [--rounds 3] [--seconds 90] [--core 0]

Runs one after the other differ by a tenth on a machine whose clock or neighbours change; two that share a core meet the
same conditions second by second. Each round starts both anew, in turn the one or the other first. Only the time
between two rows of metrics.jsonl counts, from when both train. Linux only. Each checkout needs a Python of its own
(.venv, or --python for both).
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

QUIET = ("--evaluation.every", "null", "--keep.monitor", "null", "--keep.grid_every", "null")
ENDLESS = ("--images", "100000000", "--keep.checkpoint_every", "100000000")
#: The digits of each, DCGAN at its usual width; a small batch gives a row more often.
RUNS = {"gan": (), "dcgan": ("--data.batch_size", "16"), "dcgan of width 8": ("--model.width", "8")}
TICKS = os.sysconf("SC_CLK_TCK")  # a second of CPU time in /proc


class Training(NamedTuple):
    """A run that goes on until it is killed, and its CPU seconds by wall time."""

    process: subprocess.Popen[bytes]
    folder: Path
    used: list[tuple[float, float]]

    def rows(self, since: float = 0.0) -> list[tuple[float, int]]:
        """Time and images seen of each whole row of the log from `since` on."""
        log = self.folder / "metrics.jsonl"
        lines = log.read_text().splitlines(keepends=True) if log.is_file() else []
        rows = [json.loads(line) for line in lines if line.endswith("\n")]
        return [(row["time"], row["images_seen"]) for row in rows if row["time"] >= since]

    def look(self) -> None:
        """Takes down the CPU seconds so far. Raises CalledProcessError if the run has ended."""
        if self.process.poll() is not None:
            raise subprocess.CalledProcessError(self.process.returncode, self.process.args)
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        self.used.append((time.time(), (int(fields[11]) + int(fields[12])) / TICKS))

    def images_per_second(self, since: float) -> float:
        """Images for each CPU second, between the first row after `since` and the last one."""
        rows = self.rows(since)
        first, last = np.interp([rows[0][0], rows[-1][0]], *zip(*self.used, strict=True))
        return (rows[-1][1] - rows[0][1]) / float(last - first)


def begun(checkout: Path, python: Path, what: str, *, folder: Path, core: int) -> Training:
    """Starts a run of a checkout on a core."""
    script = checkout / "reproductions" / f"{what.split()[0]}.py"
    fit = [str(python), str(script), "fit", "--recipe", "digits", *RUNS[what], *QUIET, *ENDLESS]
    environment = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = ["taskset", "-c", str(core), *fit, "--run_dir", str(folder)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return Training(subprocess.Popen(command, env=environment, cwd=folder.parent, **quiet), folder, [])


def both_at_once(checkouts: list[tuple[Path, Path]], what: str, *, seconds: float, core: int) -> list[float]:
    """Images for each CPU second of both, which start in this order and have so many seconds together."""
    work = Path(tempfile.mkdtemp())
    runs = [begun(*pair, what, folder=work / str(at), core=core) for at, pair in enumerate(checkouts)]
    try:
        since = 0.0
        while not since or time.time() < since + seconds or any(len(run.rows(since)) < 3 for run in runs):
            time.sleep(0.5)
            for run in runs:
                run.look()
            if not since and all(run.rows() for run in runs):
                since = time.time()
        return [run.images_per_second(since) for run in runs]
    finally:
        for run in runs:
            run.process.kill()
            run.process.wait()
        shutil.rmtree(work)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--only", default=",".join(RUNS), help=f"of {', '.join(RUNS)}")
    parser.add_argument("--python", type=Path, help="of both (default: the .venv of each)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=90, help="of a round, for both together")
    parser.add_argument("--core", type=int, default=0)
    given = parser.parse_args()
    folders = [given.old.resolve(), given.new.resolve()]
    old, new = ((folder, given.python or folder / ".venv/bin/python") for folder in folders)
    for what in given.only.split(","):
        ratios = []
        for turn in range(given.rounds):
            order = [old, new] if turn % 2 == 0 else [new, old]
            rates = dict(zip(order, both_at_once(order, what, seconds=given.seconds, core=given.core), strict=True))
            ratios.append(rates[new] / rates[old])
            print(f"{what}: old {rates[old]:.1f}, new {rates[new]:.1f} images per CPU second", flush=True)
        print(f"{what}: new / old {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})", flush=True)


if __name__ == "__main__":
    main()
