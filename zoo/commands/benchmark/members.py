"""What became of each member of a benchmark, out of its folder or of a committed record. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from zoo.commands.compare.labels import alike
from zoo.commands.compare.runs import training_seconds
from zoo.errors import RecordError
from zoo.experiments.measures import MEASURES
from zoo.runs.folder import RunDir
from zoo.runs.plain import read_settings
from zoo.runs.record import read_metrics, read_result, tests_of
from zoo.runs.state import diverged, failure_of, in_use
from zoo.training.benchmark import Entry, Preset
from zoo.training.members import finished

#: "collapsed" members were trained and measured, too; "other settings" is a run of the same name under other ones.
State = Literal["finished", "collapsed", "diverged", "failed", "running", "stopped", "missing", "other settings"]
STATES: tuple[State, ...] = get_args(State)
MEASURED: tuple[State, ...] = ("finished", "collapsed")
#: A run is collapsed where zoo.training.callbacks.health warns of it: its variety is below this share of the reals',
#: after so many updates of G; before them samples look alike because G is untrained.
COLLAPSED, CHANCE = 0.25, 500
CLOCKS = ("images_seen", "generator_steps", "seconds")


@dataclass(frozen=True)
class Outcome:
    """A member, and what became of it.

    Attributes:
        name: of the member.
        objective: of the model.
        label: of its group.
        seed: of the run.
        settings: of the model.
        state: see STATES.
        why: the error of one that diverged or failed.
        record: its result.json, if training ended.
        curve: columns of equal length by name: the clocks, the measures while training, and "variety".
    """

    name: str
    objective: str
    label: str
    seed: int
    settings: Mapping[str, Any]
    state: State
    why: str = ""
    record: Mapping[str, Any] | None = None
    curve: Mapping[str, Sequence[float | None]] = field(default_factory=dict)

    def value(self, measure: str, checkpoint: str) -> float | None:
        """A measure of `test` at "best" or "last"; the worst there is of one that diverged, None of one without."""
        if self.state == "diverged":
            return worst(measure)
        if self.state not in MEASURED or self.record is None:
            return None
        tests = tests_of(self.record)
        value = tests.get(checkpoint, tests.get("last", {"values": {}}))["values"].get(measure)
        return None if value is None else float(value)

    def untrained(self, measure: str) -> float | None:
        """A measure while training before the first update; None of a run that did not take it."""
        points = zip(self.curve.get("images_seen", ()), self.curve.get(measure, ()), strict=False)
        return next((value for images, value in points if images == 0), None)


def worst(measure: str) -> float:
    """What is worse than any value of a measure."""
    return float("-inf") if MEASURES.better(measure) == "higher" else float("inf")


def outcomes(folder: Path, members: Sequence[Entry], preset: Preset) -> list[Outcome]:
    """All members, in their order."""
    return [outcome(folder, entry, preset) for entry in members]


def outcome(folder: Path, entry: Entry, preset: Preset) -> Outcome:
    """One member, as its folder has it."""
    run = RunDir(folder / entry.name)
    own = (entry.name, entry.objective, entry.label, entry.seed, entry.settings)
    if run.config.is_file() and other_settings(run, entry):
        return Outcome(*own, "other settings")
    curve = curve_of(run, [preset.curve])
    if finished(run.path):
        record = read_result(run.path)
        return Outcome(*own, "collapsed" if collapsed(record, curve) else "finished", record=record, curve=curve)
    if in_use(run):
        return Outcome(*own, "running", curve=curve)
    if why := failure_of(folder, entry.name):
        return Outcome(*own, "diverged" if diverged(why) else "failed", why, curve=curve)
    return Outcome(*own, "stopped" if run.holds_run else "missing", curve=curve)


def collapsed(record: Mapping[str, Any], curve: Mapping[str, Sequence[float | None]]) -> bool:
    """Whether a run's last samples look alike, though G had a chance."""
    last = next((v for v in reversed(curve.get("variety", ())) if v is not None), None)
    return last is not None and last < COLLAPSED and record["generator_steps"] >= CHANCE


def other_settings(run: RunDir, entry: Entry) -> list[str]:
    """Names of the settings in which a run is not the member that its folder is named after.

    Values that are varied are texts of a command line: 1e-3 is 0.001 of config.yaml, true is True, null is None.
    """
    config = read_settings(run.config)
    model = config.get("model") or {}
    wanted = {"objective": entry.objective, **entry.settings}
    texts = {name: "none" if value == "null" else str(value).lower() for name, value in wanted.items()}
    wrong = [name for name, text in texts.items() if not alike(str(model.get(name)).lower(), text)]
    return wrong + ([] if config.get("seed_everything") == entry.seed else ["seed_everything"])


def curve_of(run: RunDir, measures: Sequence[str]) -> dict[str, list[float | None]]:
    """What was measured while training, as columns; {} of a run without a log."""
    try:
        rows = read_metrics(run.metrics)
    except RecordError:
        return {}
    names = (*measures, "variety")
    points: dict[int, dict[str, Any]] = {}
    for row, seconds in zip(rows, training_seconds(rows), strict=True):
        if any(name in row for name in names):
            point = points.setdefault(row["images_seen"], {"generator_steps": row.get("generator_steps")})
            point |= {"seconds": round(seconds, 1)} | {name: row[name] for name in names if name in row}
    found: dict[str, list[float | None]] = {"images_seen": list(points)}
    for name in ("generator_steps", "seconds", *names):
        found[name] = [digits(point.get(name)) for point in points.values()]
    return found


def digits(value: float | None) -> float | None:
    """Six significant digits; counts as they are."""
    return float(f"{value:.6g}") if isinstance(value, float) else value
