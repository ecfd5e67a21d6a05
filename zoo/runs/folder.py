"""The names of what lies in a run's folder, and how a file of it is written. No torch at import."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import RecordError, ZooError

CONFIG_FILE = "config.yaml"
METRICS_FILE = "metrics.jsonl"
RESULT_FILE = "result.json"
WANDB_ID_FILE = "wandb_id"


class RunDirError(ZooError):
    """A folder that cannot take a new run."""


@dataclass(frozen=True)
class RunDir:
    """The names of what lies in a run's folder. Making one touches no file; `create` makes the folders."""

    path: Path

    @classmethod
    def create(cls, path: str | os.PathLike[str], *, resume: bool = False) -> RunDir:
        """Make the folders of a run at `path`; figures and samples have theirs when they are written.

        Raises:
            RunDirError: a run lies there already (unless `resume`), or `path` is no folder that can be made.
        """
        run = cls(Path(path))
        if not resume:
            run.refuse_second_run()
        try:
            for folder in (run.grids, run.checkpoints):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunDirError(f"cannot make the run's folder {run.path}: {error}; choose another --run_dir") from error
        return run

    @property
    def holds_run(self) -> bool:
        """Whether a configuration, a metrics file or a checkpoint lies here. Never changes anything."""
        return bool(self._traces())

    def refuse_second_run(self) -> None:
        """Raises RunDirError if a run lies here already."""
        if self.holds_run:
            if any(self.checkpoints.glob("*.ckpt")):
                way = "resume with --ckpt_path last"
            else:
                way = "no checkpoint of it is there to resume from, so remove the folder"
            traces = ", ".join(self._traces())
            raise RunDirError(f"{self.path} holds a run already ({traces}): {way}, or choose another --run_dir/--name")

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

    def checkpoint_at(self, images_seen: int) -> Path:
        """Name of the kept checkpoint at `images_seen`; nine digits, so that names sort as numbers."""
        return self.checkpoints / f"images-{images_seen:09d}.ckpt"


def write_atomically(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` (UTF-8) to a temporary name in the same folder, then rename.

    Raises:
        RecordError: it could not be written; what lay at `path` before is untouched.
    """
    path = Path(path)
    temporary = path.with_name(f"{path.name}.tmp-{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise RecordError(f"could not write {path}: {error}; what lay there before is untouched") from error
    finally:
        if temporary.exists():
            temporary.unlink()
