"""One run as it is compared: its curves, measures and figures of `test`. No torch, unless a run has not ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from zoo.experiments.measures import MEASURES, while_training
from zoo.runs.folder import RunDir
from zoo.runs.record import OWN_FIELDS, is_step, summarise_measures, tests_of
from zoo.runs.state import state_without_record

Row = Mapping[str, Any]


class Point(NamedTuple):
    """A value at a moment of training."""

    images_seen: int
    seconds: float  # of training until then, pauses between resumes left out
    value: float | None  # None: not finite
    error: float | None = None  # standard deviation or error, where one was taken
    updates: int | None = None  # of G until then; None where it is not known


@dataclass(frozen=True)
class ComparedRun:
    """What is known of one run.

    Attributes:
        path: its folder, or the file of its record.
        paper: as in `zoo.models.MODELS`.
        record: result.json, or None of a run that has not ended.
        config: config.yaml, or {} for a record alone.
        rows: the training lines of metrics.jsonl (those of `test` are in the record).
        grids: file of the sample grid by images seen.
        notes: what is missing or damaged.
    """

    path: Path
    paper: str
    record: dict[str, Any] | None
    config: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    grids: dict[int, Path] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def recipe(self) -> str:
        return str(self.record["recipe"] if self.record else self.config.get("recipe", "unknown recipe"))

    @property
    def seed(self) -> int | None:
        seed = self.record["seed"] if self.record else self.config.get("seed_everything")
        return seed if type(seed) is int else None

    @property
    def dataset(self) -> str:
        """Name and, of a finished run, size of the training set."""
        if self.record:
            return f"{self.record['dataset']['name']} ({self.record['dataset']['images']:,})"
        return str((self.config.get("data") or {}).get("class_path", "unknown data")).rpartition(".")[2]

    @property
    def data_class(self) -> str:
        """The data set's name in zoo.data; "" where it is not known."""
        if self.record:
            return str(self.record["dataset"]["name"])
        data = self.config.get("data")
        return str(data.get("class_path", "") if isinstance(data, dict) else "").rpartition(".")[2]

    @property
    def data_name(self) -> str:
        """That; of a folder of one's own its name, where the run's settings tell it."""
        data = self.config.get("data")
        arguments = data.get("init_args") if isinstance(data, dict) else None
        root = arguments.get("root") if isinstance(arguments, dict) else None
        if self.data_class != "ImageFolder":
            return self.data_class
        return Path(root).name if isinstance(root, str) and Path(root).name else "own images"

    @property
    def images_seen(self) -> int:
        return int(self.record["images_seen"]) if self.record else max((r["images_seen"] for r in self.rows), default=0)

    @property
    def averaged(self) -> "list[ComparedRun]":
        """The runs that its figures are of: itself."""
        return [self]

    @property
    def seeds(self) -> str:
        return "" if self.seed is None else str(self.seed)

    @cached_property
    def state(self) -> str:
        """ "finished", or what became of it; a run that was pulled from elsewhere may go on there."""
        if self.record:
            return "finished"
        return "not ended" if "paper" in self.config else state_without_record(RunDir(self.path))

    @property
    def generator_steps(self) -> int | None:
        """Updates of G; None of a run that has not ended and does not log them."""
        if self.record:
            return int(self.record["generator_steps"])
        return max((int(row["generator_steps"]) for row in self.rows if row.get("generator_steps")), default=None)

    def updates_at(self, row: Row) -> int | None:
        """Updates of G until a row; in proportion to images where a log from before they were logged lacks them."""
        if row.get("generator_steps") is not None:
            return int(row["generator_steps"])
        if not self.record or not self.images_seen:
            return None
        share: float = row["images_seen"] / self.images_seen
        return round(share * int(self.record["generator_steps"]))

    @property
    def wall_time(self) -> float:
        """Seconds of training, summed over resumes."""
        return float(self.record["wall_time_s"]) if self.record else (self.seconds[-1] if self.seconds else 0.0)

    @property
    def images_per_second(self) -> float:
        if self.record:
            return float(self.record["images_per_second"])
        return self.images_seen / self.wall_time if self.wall_time else 0.0

    @cached_property
    def seconds(self) -> list[float]:
        """Seconds of training until each row."""
        return training_seconds(self.rows)

    def points(self, name: str) -> list[Point]:
        """The curve of a value: its evaluations, where there are any, else what the training steps logged."""
        return self._points(name, of_steps=False) or self._points(name, of_steps=True)

    def trace(self, name: str) -> list[Point]:
        """The curve of what training steps logged under a name, where there is any, else its evaluations."""
        return self._points(name, of_steps=True) or self._points(name, of_steps=False)

    def _points(self, name: str, *, of_steps: bool) -> list[Point]:
        return [
            Point(row["images_seen"], seconds, row[name], MEASURES.error(name, row), self.updates_at(row))
            for row, seconds in zip(self.rows, self.seconds, strict=True)
            if name in row and is_step(row) == of_steps
        ]

    @cached_property
    def measures(self) -> dict[str, dict[str, Any]]:
        """{name: {"first", "best", "last", "better", "protocol"}}; the protocol of an unfinished run is None."""
        if self.record:
            return while_training(self.record)
        rows = [row for row in self.rows if not is_step(row)]
        names = [name for name in dict.fromkeys(name for row in rows for name in row) if is_value(name)]
        declared = {name: better for name in names if (better := MEASURES.better(name)) is not None}
        found = summarise_measures(rows, declared)
        return {name: {**measure, "protocol": None} for name, measure in found.items()}

    @cached_property
    def traces(self) -> list[str]:
        """Names of what is logged while training beside measures: losses and diagnostics."""
        names = dict.fromkeys(name for row in self.rows for name in row)
        in_steps = {name for row in self.rows if is_step(row) for name in row}
        return [n for n in names if is_value(n) and (n not in self.measures or n in in_steps)]

    def protocol(self, key: str | None) -> dict[str, Any] | None:
        """The protocol behind a hash."""
        return self.record["protocols"].get(key) if self.record and key else None

    @cached_property
    def tests(self) -> dict[str, dict[str, Any]]:
        """Figures of `test` by checkpoint."""
        return tests_of(self.record or {})


def is_value(name: str) -> bool:
    """Whether a field is a value of its own: not the error of a measure, and not the logger's."""
    return not (name in OWN_FIELDS or MEASURES.is_attached(name) or name.endswith("_nonfinite"))


def training_seconds(rows: Sequence[Row]) -> list[float]:
    """Seconds of training until each row; what lies before a row's "resumed" was no training.

    The clock starts where the log does; a log that does not start at 0 images starts as much later as it took, at the
    speed of its first two rows.
    """
    seconds: list[float] = []
    last = None
    for row in rows:
        now = row.get("time", last)
        since = row.get("resumed", now if last is None else last)
        seconds.append((seconds[-1] if seconds else 0.0) + (max(0.0, now - since) if now is not None else 0.0))
        last = now
    if len(rows) > 1 and rows[0]["images_seen"]:
        images = rows[1]["images_seen"] - rows[0]["images_seen"]
        before = rows[0]["images_seen"] * seconds[1] / images if images else 0.0
        seconds = [value + before for value in seconds]
    return seconds
