"""The names of what lies in a run's folder, and how a file is written in one step. No torch at import."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, pairwise
from pathlib import Path

from zoo.errors import RecordError

CONFIG_FILE = "config.yaml"
DAY_S = 86_400.0  # longer than anything is written into a cache, or among releases
METRICS_FILE = "metrics.jsonl"
RESULT_FILE = "result.json"
WANDB_ID_FILE = "wandb_id"


@dataclass(frozen=True)
class RunDir:
    """The names of what lies in a run's folder. Making one touches no file; `create` makes the folders."""

    path: Path

    @classmethod
    def create(cls, path: str | os.PathLike[str], *, resume: bool = False) -> RunDir:
        """Make the folders of a run at `path`; figures and samples have theirs when they are written.

        Raises:
            RecordError: a run lies there already (unless `resume`), or `path` is no folder that can be made.
        """
        run = cls(Path(path))
        if not resume:
            run.refuse_second_run()
        try:
            for folder in (run.grids, run.checkpoints):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RecordError(f"cannot make the run's folder {run.path}: {error}; choose another --run_dir") from error
        return run

    @property
    def holds_run(self) -> bool:
        """Whether a configuration, a metrics file or a checkpoint lies here. Never changes anything."""
        return bool(self._traces())

    def refuse_second_run(self) -> None:
        """Raises RecordError if a run lies here already."""
        if self.holds_run:
            if self.last_checkpoint.is_file():
                way = "resume with --ckpt_path last"
            else:
                way = "it has no last.ckpt to resume from, so begin it anew with --ckpt_path auto, remove the folder"
            traces = ", ".join(self._traces())
            raise RecordError(f"{self.path} holds a run already ({traces}): {way}, or choose another --run_dir/--name")

    def _traces(self) -> list[str]:
        files = [file.name for file in (self.config, self.metrics) if file.exists()]
        return files + [f"checkpoints/{file.name}" for file in sorted(self.checkpoints.glob("*.ckpt"))[:3]]

    @property
    def config(self) -> Path:
        return self.path / CONFIG_FILE

    @property
    def metrics(self) -> Path:
        return self.path / METRICS_FILE

    @property
    def result(self) -> Path:
        return self.path / RESULT_FILE

    @property
    def wandb_id(self) -> Path:
        return self.path / WANDB_ID_FILE

    @property
    def grids(self) -> Path:
        return self.path / "grids"

    @property
    def figures(self) -> Path:
        return self.path / "figures"

    @property
    def samples(self) -> Path:
        return self.path / "samples"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def last_checkpoint(self) -> Path:
        return self.checkpoints / "last.ckpt"

    @property
    def best_checkpoint(self) -> Path:
        return self.checkpoints / "best.ckpt"

    def keeps(self, checkpoint: Path) -> bool:
        """Whether a file lies among the checkpoints of this run."""
        return checkpoint.absolute().parent.resolve() == self.checkpoints.resolve()

    def grid_at(self, images_seen: int) -> Path:
        """The sample grid at `images_seen`."""
        return self.grids / f"{name_at(images_seen)}.png"

    def all_grids(self) -> dict[int, Path]:
        """Files of sample grids by images seen, in this order."""
        return at_images(self.grids, ".png")

    def all_checkpoints(self) -> dict[int, Path]:
        """Kept checkpoints by images seen, in this order; last.ckpt and best.ckpt are not among them."""
        return at_images(self.checkpoints, ".ckpt")


def of_wandb(file: Path) -> bool:
    """Whether a file is W&B's own copy beside a run, as of its config.yaml and result.json, and no run by itself."""
    return any(a == "wandb" and "run-" in b for a, b in pairwise(file.parts))


def name_at(images_seen: int) -> str:
    """images-000001000: of nine digits, so that names sort as numbers."""
    return f"images-{images_seen:09d}"


def at_images(folder: Path, suffix: str) -> dict[int, Path]:
    """The files of a folder that are named by `name_at`, by images seen, in this order."""
    files = {file.name.removeprefix("images-").removesuffix(suffix): file for file in folder.glob(f"images-*{suffix}")}
    return {int(number): files[number] for number in sorted(files) if number.isdecimal() and len(number) < 19}


def temporary_name(path: Path) -> Path:
    """A name beside `path` that says which process writes there; `sweep` knows it."""
    return path.with_name(f"{path.name}.tmp-{os.getpid()}-{uuid.uuid4().hex[:8]}")


@contextlib.contextmanager
def replacing(path: Path, *, sync: bool = True) -> Iterator[Path]:
    """Yields a temporary name in the folder of `path`; what was written there then stands at `path`, as a whole.

    Where that fails, or is interrupted, what lay at `path` before is untouched and nothing is left behind.

    Args:
        path: the file, in a folder that exists.
        sync: wait until it is on the disk, so that a power failure leaves no empty file; pictures can be drawn again.

    Raises:
        OSError: as the body, the disk or the folder has it.
    """
    temporary = temporary_name(path)
    try:
        yield temporary
        if sync:
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.filename is None and error.errno is not None:  # of a write or a flush: a full disk
            error.filename = str(path)
        raise
    finally:
        with contextlib.suppress(OSError):  # the folder is gone or read-only: the error that led here says more
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def moved_aside(folder: Path) -> Iterator[None]:
    """Inside, an earlier folder of that name is out of the way; then it is gone, or, where anything failed, back."""
    aside = temporary_name(folder.with_name(f".{folder.name}"))
    with contextlib.suppress(FileNotFoundError):
        folder.rename(aside)
    try:
        yield
    except BaseException:
        if aside.exists():
            shutil.rmtree(folder, ignore_errors=True)
            aside.rename(folder)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def set_aside(path: Path, *, for_being: str = "damaged") -> Path:
    """Renames what cannot be used, so that it is not lost where another is written: result.json.damaged-1.

    Raises:
        RecordError: it cannot be renamed.
    """
    aside = next(aside for i in count(1) if not (aside := path.with_name(f"{path.name}.{for_being}-{i}")).exists())
    try:
        return path.rename(aside)
    except OSError as error:
        raise RecordError(f"{path} is {for_being} and cannot be renamed to {aside.name}: {error}") from error


def end_last_line(path: Path) -> None:
    """Ends the last line of a file of JSON lines, or takes it away where a killed process left it unfinished.

    What is appended afterwards would otherwise become part of it, and the file could not be read.
    """
    if not path.is_file() or path.stat().st_size == 0:
        return
    with path.open("rb+") as file:
        file.seek(-1, os.SEEK_END)
        if file.read() == b"\n":
            return
        file.seek(0)
        before, _, last = file.read().rpartition(b"\n")
        try:
            json.loads(last)
        except ValueError:
            file.truncate(len(before) + 1 if before else 0)
        else:
            file.write(b"\n")


def sweep(folder: Path, *, older_s: float = 0.0) -> None:
    """Removes the temporary files and folders that processes left which died while they wrote into a folder or its own.

    What a process that lives on this machine writes stays.

    Args:
        folder: of a run, whose lock the caller holds; or one that other machines may write into at the same time.
        older_s: seconds since it was last changed; for folders without a lock a time that no writing takes.
    """
    for file in (*folder.glob("*.tmp-*"), *folder.glob("*/*.tmp-*")):
        process = file.name.rpartition(".tmp-")[2].partition("-")[0]
        if Path(f"/proc/{process}").exists() if process.isdigit() else older_s:  # who knows whose such a name is
            continue
        with contextlib.suppress(OSError):
            if file.lstat().st_mtime <= time.time() - older_s:
                shutil.rmtree(file) if file.is_dir() and not file.is_symlink() else file.unlink()


def write_atomically(path: str | os.PathLike[str], text: str) -> None:
    """Writes `text` (UTF-8) to a file in one step.

    Raises:
        RecordError: it could not be written; what lay at `path` before is untouched.
    """
    try:
        with replacing(Path(path)) as temporary:
            temporary.write_bytes(text.encode())
    except OSError as error:
        raise RecordError(f"could not write {path}: {error}; what lay there before is untouched") from error
