"""Finds and reads runs. What is damaged becomes a note where the rest can be compared."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.commands.compare.runs import ComparedRun
from zoo.errors import CheckpointError, RecordError, ZooError
from zoo.runs.folder import CONFIG_FILE, METRICS_FILE, RESULT_FILE, RunDir, of_wandb
from zoo.runs.plain import read_settings
from zoo.runs.record import read_metrics, read_result
from zoo.runs.study import is_study, read_study
from zoo.training.benchmark import PAPER

SECTIONS = ("model", "data", "evaluation", "keep", "trainer")  # settings that are groups of settings
UNKNOWN = "unknown paper"  # of a run without a record and without a checkpoint
RUN_FILES = (CONFIG_FILE, METRICS_FILE, RESULT_FILE)
LARGEST = 1e300  # of numbers that are drawn


def read_runs(paths: Sequence[Path]) -> tuple[list[ComparedRun], list[str]]:
    """Every run at or below the paths, and notes on those that were left out.

    Args:
        paths: folders of runs, folders that hold some, or records (.json).

    Raises:
        ZooError: no run that can be read.
    """
    runs: list[ComparedRun] = []
    notes: list[str] = []
    seen: set[Path] = set()
    for path in paths:
        found = list(runs_at(path))
        if not found:
            raise ZooError(
                f"there is no run at {path}: a run is a folder with config.yaml, metrics.jsonl or result.json"
                " (a folder of such folders will do), or a record such as reproductions/records/*.json"
            )
        for place in found:
            if place.resolve() in seen:
                notes.append(f"{place} was named twice; it is compared once")
                continue
            seen.add(place.resolve())
            try:
                runs += read_record_file(place) if place.is_file() else [read_run(place)]
            except RecordError as error:
                notes.append(f"{place} is left out: {error}")
    if not runs:
        raise ZooError("no run can be compared:\n" + "\n".join(notes))
    return each_once(runs, notes), notes


def each_once(runs: Sequence[ComparedRun], notes: list[str]) -> list[ComparedRun]:
    """Without the records alone of runs whose folders are there, too: two of one run would count as two."""
    folders = [run for run in runs if run.path.is_dir() and run.record]
    kept = []
    for run in runs:
        alone = {} if run.path.is_dir() else run.record or {}
        same = [other for other in folders if alone and one_run(alone, other.record or {})]
        if same:
            notes.append(f"{run.path} is the record of {same[0].path}; it is compared once, with its curves")
        else:
            kept.append(run)
    return kept


def one_run(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """Whether two records are of one training, whatever `test` has added to one of them since."""
    added, without_folders = ("tests", "protocols"), ("commands", "overrides", "finetune")  # the latter where committed
    return all(a.get(name) == b.get(name) for name in {*a, *b}.difference(added, without_folders))


def runs_at(path: Path) -> Iterator[Path]:
    """The run at a path, or the runs below it."""
    if path.is_file():
        beside = path.name == RESULT_FILE and (path.parent / METRICS_FILE).is_file()  # then its curves count, too
        yield path.parent if beside else path
        return
    if any((path / name).is_file() for name in RUN_FILES):
        yield path
        return
    found = {file.parent for name in RUN_FILES for file in path.glob(f"**/{name}") if not of_wandb(file)}
    yield from sorted(found or path.glob("*.json"))


def read_record_file(path: Path) -> list[ComparedRun]:
    """The run of a committed record, or the members of a study's or of a benchmark's, as far as they were measured."""
    from zoo.commands.benchmark import record as benchmark  # which reads runs by this package's means
    from zoo.commands.benchmark.members import MEASURED

    if benchmark.is_benchmark(path):
        members = [m for m in benchmark.read_record(path).members if m.record is not None and m.state in MEASURED]
        return [ComparedRun(path.parent / path.stem / m.name, PAPER, dict(m.record or {})) for m in members]
    if is_study(path):
        records = read_study(path)["records"]
        return [ComparedRun(path.parent / path.stem / name, r["paper"], r) for name, r in records.items()]
    record = read_result(path)
    png = path.with_suffix(".png")
    grids = {record["images_seen"]: png} if png.is_file() else {}
    return [ComparedRun(path, record["paper"], record, grids=grids, notes=("a record alone: no curves",))]


def read_run(path: Path) -> ComparedRun:
    """A run's folder; what is damaged becomes a note where the rest can be compared.

    Raises:
        RecordError: neither numbers nor a record that can be read.
    """
    run = RunDir(path)
    notes: list[str] = []
    rows = read_rows(run, notes)
    record = read_record(run, notes)
    if record is None and not rows:
        raise RecordError("; ".join(notes))
    if record and record["interruptions"] and not any("resumed" in row for row in rows):
        notes.append("its log does not say when it was resumed: curves over wall time include the pauses")
    if record and rows and (reached := max(row["images_seen"] for row in rows)) > record["images_seen"]:
        told = f"it was gone on with: its curves reach {reached:,} images"
        notes.append(f"{told}, its figures are of its record, of {record['images_seen']:,}")
    config = read_config(run, notes)
    grids = run.all_grids()
    return ComparedRun(path, paper_of(run, record=record, config=config), record, config, rows, grids, tuple(notes))


def read_rows(run: RunDir, notes: list[str]) -> list[dict[str, Any]]:
    """The lines that training wrote; where they are damaged, a note and what can be read."""
    try:
        rows = read_metrics(run.metrics)
    except RecordError as error:
        notes.append(f"no curves: {error}")
        return []
    if not run.metrics.read_bytes().endswith(b"\n"):
        notes.append(f"the last line of {METRICS_FILE} is unfinished (a killed run) and was passed over")
    usable = [row for row in map(plain_row, rows) if row]
    if usable != rows:
        notes.append(f"values of {METRICS_FILE} that are no finite numbers were passed over")
    return [row for row in usable if not any(name.startswith("test/") for name in row)]


def plain_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row's finite numbers, its nulls, and the texts that say what these were; {} without images seen."""
    kept = {
        name: value
        for name, value in row.items()
        if usable(value) or (isinstance(value, str) and name.endswith("_nonfinite"))
    }
    return kept if usable(row["images_seen"]) and row["images_seen"] >= 0 else {}


def usable(value: Any) -> bool:
    """Whether a value can be drawn: null, or a number that a float holds."""
    return value is None or (isinstance(value, int | float) and abs(value) <= LARGEST)


def read_record(run: RunDir, notes: list[str]) -> dict[str, Any] | None:
    """result.json; where there is none that can be used, None and a note."""
    if not run.result.is_file():
        notes.append("training has not ended: no record, and protocols are not known")
        return None
    try:
        return read_result(run.path)
    except RecordError as error:
        notes.append(f"its record cannot be used: {error}")
        return None


def read_config(run: RunDir, notes: list[str]) -> dict[str, Any]:
    """config.yaml; where it is no mapping, {} and a note."""
    with contextlib.suppress(OSError, RecordError):
        config = read_settings(run.config)
        wrong = [name for name in SECTIONS if not isinstance(config.get(name), dict | None)]
        if wrong:
            notes.append(f"{run.config.name}: {', '.join(wrong)} cannot be used and is not compared")
        return {name: value for name, value in config.items() if isinstance(name, str) and name not in wrong}
    notes.append(f"{run.config.name} is absent or damaged: its settings are not compared")
    return {}


def paper_of(run: RunDir, *, record: Mapping[str, Any] | None, config: Mapping[str, Any]) -> str:
    """Whose paper a run is of: its record says so, or else its last checkpoint."""
    if record or "paper" in config:
        return str(record["paper"] if record else config["paper"])
    if not run.last_checkpoint.is_file():
        return UNKNOWN
    from zoo.runs.checkpoints import read_checkpoint

    try:
        return str(read_checkpoint(run.last_checkpoint)["zoo"]["paper"])
    except CheckpointError:
        return UNKNOWN
