"""Where a run's numbers go: `metrics.jsonl` is the record; `zoo.training.mirror` is a mirror of it at Weights & Biases.

Both are Lightning loggers whose `step` is `images_seen` (real images, summed over devices): the trainer's own
step counts optimizer steps of both players and its batches restart every epoch, so neither can be an axis.
"""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.loggers.logger import Logger

from zoo.errors import RecordError
from zoo.runs.clock import Clock
from zoo.runs.folder import METRICS_FILE, end_last_line, write_atomically
from zoo.runs.record import OWN_FIELDS, fields_of, read_metrics

__all__ = ["JsonlLogger", "read_metrics"]


class JsonlLogger(Logger):
    """Appends one JSON line per `log_metrics` call to `run_dir/metrics.jsonl`, on rank zero only.

    The file is opened anew for each line: no handle goes stale when `resume_at` replaces it; the logger can be pickled.

    Args:
        run_dir: the run's folder.
        clock: tells images_seen. Callbacks that are not of this project log at steps of another kind (Lightning's
            LearningRateMonitor at batches); with a clock every line has the true counter.
        updates: tells the updates of G, which then stand in every line, too.
    """

    def __init__(
        self, run_dir: Path, *, clock: Callable[[], int] | None = None, updates: Callable[[], int] | None = None
    ) -> None:
        super().__init__()
        self.clock, self.updates = clock, updates
        self.time = Clock()
        self.run_dir = Path(run_dir)
        self.path = self.run_dir / METRICS_FILE
        self._resumed: float | None = None  # when, until the next line has told it
        self._told: set[tuple[int, frozenset[str]]] = set()  # the lines of the point that was resumed at

    @property
    def name(self) -> str:
        return ""

    @property
    def version(self) -> str:
        return ""

    @property
    def save_dir(self) -> str:
        return str(self.run_dir)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Write {"images_seen": step, "time": seconds since the epoch, **metrics} as one line.

        With `updates` also {"generator_steps": updates of G}.

        The first line after `resume_at` also holds {"resumed": when that was}: what lies between the line before it
        and that moment was no training.

        Args:
            metrics: numbers, one-element tensors, strings or None. A value that is not finite is written as null,
                its kind beside it: {"loss": null, "loss_nonfinite": "nan" | "inf" | "-inf"}.
            step: images_seen, where the logger has no clock.

        Raises:
            ValueError: neither step nor clock, or a metric named as one of the fields that the logger adds.
            TypeError: a value that is no scalar.
            RecordError: the line could not be written (a full disk).
        """
        step = true_counter(step, self.clock)
        if taken := OWN_FIELDS & metrics.keys():
            raise ValueError(f"metrics may not be named {sorted(taken)}: the logger writes these itself")
        if (step, frozenset(metrics)) in self._told:
            return
        row: dict[str, Any] = {"images_seen": step, "time": self.time.now()}
        if self.updates is not None:
            row["generator_steps"] = self.updates()
        if self._resumed is not None:
            row["resumed"], self._resumed = self._resumed, None
        for name, value in metrics.items():
            row |= fields_of(name, value)
        line = json.dumps(row, allow_nan=False) + "\n"
        try:
            self.run_dir.mkdir(parents=True, exist_ok=True)
            end_last_line(self.path)
            with self.path.open("ab") as file:
                file.write(line.encode())
        except OSError as error:
            raise RecordError(f"could not append to {self.path}: {error}") from error

    @rank_zero_only
    def resume_at(self, images_seen: int) -> None:
        """Forget every line after `images_seen`, and a last line that a killed run left unfinished.

        A run resumed from a checkpoint logs these points again; what the lines at `images_seen` itself tell is not
        written twice. The file is replaced in one step.

        Raises:
            RecordError: a line before the last is no JSON object, or a line has no images_seen.
        """
        if not self.path.exists():
            return
        kept = [row for row in read_metrics(self.path) if row["images_seen"] <= images_seen]
        for row in kept:
            self.time.follow(row.get("time"))
        self._resumed = self.time.now()
        self._told = {
            (images_seen, frozenset(n for n in row if n not in OWN_FIELDS and not n.endswith("_nonfinite")))
            for row in kept
            if row["images_seen"] == images_seen
        }
        write_atomically(self.path, "".join(json.dumps(row, allow_nan=False) + "\n" for row in kept))

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Nothing: hyperparameters are in the run's config.yaml (the signature is Lightning's)."""

    def log_image(self, name: str, path: Path, images_seen: int) -> None:
        """Nothing: the PNG lies in the run already. Here so that every logger can be told."""


def true_counter(step: int | None, clock: Callable[[], int] | None) -> int:
    """images_seen: the clock's where there is one, else the step; ValueError without either."""
    if clock is not None:
        return clock()
    if step is None:
        raise ValueError("log_metrics needs `step`, the number of real images seen")
    return int(step)
