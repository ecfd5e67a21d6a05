"""Commands of a checkout in processes of their own, and what they leave, as something that can be compared.

A checkout is a folder of this project with a Python that has its dependencies. Its commands run on one thread of the
CPU, with its own cache, and write no byte-code: the checkout's folder stays as it is.
"""

from __future__ import annotations

import hashlib
import json
import os
import runpy
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, NamedTuple

import torch
from torch import Tensor

PARTS = ("state_dict", "optimizer_states", "random_states")  # of a checkpoint: what decides how a run goes on
TIMES = ("time", "resumed")  # of a row in metrics.jsonl
OF_THIS_RUN = ("commit", "versions", "hardware", "wall_time_s", "images_per_second", "commands", "started", "finished")

#: How `fit` ended once where a run was too short for a row in its log, and a figure was to be drawn of it.
NOTHING_TO_DRAW = "error: there is no metrics file"


class CommandError(Exception):
    """A command that failed; the text ends with what it printed."""


class Done(NamedTuple):
    """A command that ended: its exit status and what it printed."""

    status: int
    out: str
    err: str


class Checkout:
    """Runs the commands of one checkout, one after the other.

    PyTorch and Lightning are imported once, in a process that forks for each command: an import of several seconds is
    saved, and each command still has the state of a new process.

    Args:
        folder: of the checkout.
        python: that runs it; None takes the checkout's own .venv.
        work: folder for its cache and for what the commands print; made where it is missing.
        settings: further variables of the environment.
    """

    def __init__(
        self, folder: Path, *, python: Path | None, work: Path, settings: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self.folder, self.work = folder.resolve(), work.resolve()
        self.work.mkdir(parents=True, exist_ok=True)
        self.python = folder.absolute() / ".venv/bin/python" if python is None else python.absolute()
        environment = {key: value for key, value in os.environ.items() if not key.startswith("ZOO_")}
        environment |= {"PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
        environment |= {"ZOO_CACHE": str(self.work / "cache"), "CUDA_VISIBLE_DEVICES": "", **settings}
        command = [str(self.python), str(Path(__file__).resolve())]
        self.server = subprocess.Popen(
            command, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def __enter__(self) -> Checkout:
        where = self.zoo("--version", module="zoo_is_here")
        if not Path(where.out.strip()).is_relative_to(self.folder):
            raise CommandError(f"{self.python} takes zoo from {where.out.strip() or where.err}, not from {self.folder}")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.server.communicate("")

    def script(self, paper: str, *arguments: str) -> Done:
        """`python reproductions/PAPER.py ARGUMENTS`."""
        return self.run([str(self.folder / "reproductions" / f"{paper}.py"), *arguments])

    def zoo(self, *arguments: str, module: str = "zoo") -> Done:
        """`python -m zoo ARGUMENTS`."""
        return self.run(["-m", module, *arguments])

    def run(self, argv: list[str]) -> Done:
        """A command of Python.

        Raises:
            CommandError: it ended with another status than 0, and not because a short run's log is empty.
        """
        job = {"argv": argv, "cwd": str(self.work), "out": str(self.work / "out"), "err": str(self.work / "err")}
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.write(json.dumps(job) + "\n")
        self.server.stdin.flush()
        status = self.server.stdout.readline()
        if not status:
            raise CommandError(f"{self.python} cannot run the commands of {self.folder}: see above")
        done = Done(int(status), *(Path(job[stream]).read_text(errors="replace") for stream in ("out", "err")))
        if done.status and NOTHING_TO_DRAW not in done.err:
            raise CommandError(f"{self.folder}: {' '.join(argv)} ended with {done.status}:\n{done.err[-2000:]}")
        return done


def serve() -> None:
    """Runs the commands that come from standard input, a JSON object a line, and answers with their exit status."""
    import lightning.pytorch.cli  # noqa: F401 - what every command imports

    for line in sys.stdin:
        child = os.fork()
        if not child:
            os._exit(run_as_main(**json.loads(line)))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def run_as_main(argv: list[str], *, cwd: str, out: str, err: str) -> int:
    """Runs `python ARGV` in this process; what it prints goes to two files. Its exit status."""
    os.chdir(cwd)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for stream, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    status = 0
    try:
        if argv[:2] == ["-m", "zoo_is_here"]:
            sys.path[0] = cwd
            import zoo

            print(zoo.__file__)
        elif argv[0] == "-m":
            sys.argv, sys.path[0] = argv[1:], cwd
            runpy.run_module(argv[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv, sys.path[0] = argv, str(Path(argv[0]).resolve().parent)
            runpy.run_path(argv[0], run_name="__main__")
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return status


def state_of(checkpoint: Path) -> dict[str, Any]:
    """Weights, optimizers and random states of a checkpoint, read without executing anything."""
    content = torch.load(checkpoint, map_location="cpu", weights_only=True)
    return {name: content["zoo"][name] if name == "random_states" else content[name] for name in PARTS}


def rows_of(run: Path) -> list[dict[str, Any]]:
    """The rows of a run's metrics.jsonl without the times of day; none where there is no such file."""
    file = run / "metrics.jsonl"
    lines = file.read_text().splitlines() if file.is_file() else []
    return [{name: value for name, value in json.loads(line).items() if name not in TIMES} for line in lines]


def record_of(run: Path) -> dict[str, Any]:
    """A run's result.json without what is another in every run."""
    record = json.loads((run / "result.json").read_text())
    return {name: value for name, value in record.items() if name not in OF_THIS_RUN}


def leaves(value: Any, *, name: str = "") -> Iterator[tuple[str, Any]]:
    """The tensors and plain values of a nest of mappings and sequences with their places, mappings sorted by key."""
    if isinstance(value, Mapping):
        for key in sorted(value, key=str):
            yield from leaves(value[key], name=f"{name}.{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from leaves(item, name=f"{name}.{index}")
    else:
        yield name.removeprefix("."), value


def as_bytes(leaf: Any) -> bytes:
    """Everything that makes a tensor or a plain value what it is."""
    if not isinstance(leaf, Tensor):
        return repr(leaf).encode()
    content = leaf.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes()
    return f"{leaf.dtype} {list(leaf.shape)} ".encode() + content


def digest(value: Any) -> str:
    """First 12 hex digits of the sha256 of a nest: of names, types, shapes and values."""
    sha = hashlib.sha256()
    for name, leaf in leaves(value):
        sha.update(name.encode() + b"\0" + as_bytes(leaf) + b"\0")
    return sha.hexdigest()[:12]


def differences(before: Any, after: Any, *, most: int = 4) -> list[str]:
    """The first places where two nests differ, and how."""
    old, new = dict(leaves(before)), dict(leaves(after))
    found = []
    for name in [*old, *(name for name in new if name not in old)]:
        if name not in old or name not in new:
            found.append(f"{name}: only {'after' if name in new else 'before'}")
        elif as_bytes(old[name]) != as_bytes(new[name]):
            found.append(f"{name}: {between(old[name], new[name])}")
    return found[:most] + [f"and {len(found) - most} more"] * (len(found) > most)


def between(old: Any, new: Any) -> str:
    """How two unequal leaves differ."""
    if isinstance(old, Tensor) and isinstance(new, Tensor):
        if (old.dtype, old.shape) != (new.dtype, new.shape):
            return f"{old.dtype} {list(old.shape)} before, {new.dtype} {list(new.shape)} after"
        return f"values differ by up to {(old.double() - new.double()).abs().max():.3g}"
    return f"{str(old)[:60]} before, {str(new)[:60]} after"


if __name__ == "__main__":
    serve()
