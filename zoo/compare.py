"""Runs side by side: what each reached, under which protocol, and where their settings differ. No torch.

A run is its folder (finished, stopped or still training), or a committed record. Figures stand beside each other only
with the hash of their protocol; where protocols differ, what differs in them is said.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from zoo.errors import ZooError
from zoo.record import METRICS_FILE, RESULT_FILE, RecordError, RunDir, read_metrics, read_result, summarise_measures
from zoo.study_record import HIDDEN, is_study, read_study

Row = Mapping[str, Any]
LOGGED = ("images_seen", "time", "resumed")  # fields of a line that are no values
PLACES = ("data.init_args.root", "data_dir", "trainer.default_root_dir", "wandb")  # where, not what
SPREADS = ("_std", "_error")


class Point(NamedTuple):
    """A value at a moment of training."""

    images_seen: int
    seconds: float  # of training until then, pauses between resumes left out
    value: float | None  # None: not finite
    spread: float | None = None  # standard deviation or error, where one was taken


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
        return self.record["seed"] if self.record else self.config.get("seed_everything")

    @property
    def dataset(self) -> str:
        """Name and, of a finished run, size of the training set."""
        if self.record:
            return f"{self.record['dataset']['name']} ({self.record['dataset']['images']:,})"
        return str((self.config.get("data") or {}).get("class_path", "unknown data")).rpartition(".")[2]

    @property
    def images_seen(self) -> int:
        return int(self.record["images_seen"]) if self.record else max((r["images_seen"] for r in self.rows), default=0)

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
        """The curve of a value; of a measure that is also logged with the losses, the evaluations alone."""
        found = [(i, row) for i, row in enumerate(self.rows) if name in row]
        evaluations = [(i, row) for i, row in found if not is_step(row)]
        return [
            Point(row["images_seen"], self.seconds[i], row[name], spread_in(row, name))
            for i, row in evaluations or found
        ]

    @cached_property
    def measures(self) -> dict[str, dict[str, Any]]:
        """{name: {"first", "best", "last", "better", "protocol"}}; the protocol of an unfinished run is None."""
        if self.record:
            return {name: dict(measure) for name, measure in self.record["measures"].items()}
        rows = [row for row in self.rows if not is_step(row)]
        names = dict.fromkeys(name for row in rows for name in row if name not in LOGGED and is_figure(name))
        names.pop("variety", None)  # a diagnostic
        found = summarise_measures(rows, {name: better(name) for name in names})  # type: ignore[misc]
        return {name: {**measure, "protocol": None} for name, measure in found.items()}

    @property
    def traces(self) -> list[str]:
        """Names of what is logged while training beside measures: losses and diagnostics."""
        names = dict.fromkeys(name for row in self.rows for name in row)
        return [n for n in names if n not in LOGGED and is_figure(n) and (n not in self.measures or self.is_both(n))]

    def is_both(self, name: str) -> bool:
        """Whether a measure is also logged with the losses (of training batches)."""
        return any(name in row for row in self.rows if is_step(row))

    def protocol(self, key: str | None) -> dict[str, Any] | None:
        """The protocol behind a hash."""
        return self.record["protocols"].get(key) if self.record and key else None

    @property
    def tests(self) -> dict[str, dict[str, Any]]:
        """Figures of `test` by checkpoint: "best", "last"."""
        return {Path(test["checkpoint"]).stem: test for test in (self.record or {}).get("tests", [])}


def is_step(row: Row) -> bool:
    """Whether a line is of a training step (and not of an evaluation)."""
    return any(name.startswith("loss_") for name in row)


def is_figure(name: str) -> bool:
    """Whether a field is a value of its own, not the spread or the kind of another."""
    return not name.endswith((*HIDDEN, "_nonfinite")) or name.endswith("_validation")


def spread_in(row: Row, name: str) -> float | None:
    """Standard deviation or error of a value, from the same line."""
    return next((row[name + suffix] for suffix in SPREADS if row.get(name + suffix) is not None), None)


def better(name: str) -> str:
    """Whether lower or higher values of a measure are better."""
    from zoo.report import direction  # brings torch: only for runs that have no record yet

    return direction(name)


def training_seconds(rows: Sequence[Row]) -> list[float]:
    """Seconds of training until each row; what lies before a row's "resumed" was no training.

    The clock starts where the log does; a log that does not start at 0 images starts as much later as it took, at the
    speed of its first two rows.
    """
    seconds: list[float] = []
    for i, row in enumerate(rows):
        since = row.get("resumed", rows[i - 1]["time"] if i else row["time"])
        seconds.append((seconds[-1] if seconds else 0.0) + max(0.0, row["time"] - since))
    if len(rows) > 1 and rows[0]["images_seen"]:
        images = rows[1]["images_seen"] - rows[0]["images_seen"]
        before = rows[0]["images_seen"] * seconds[1] / images if images else 0.0
        seconds = [value + before for value in seconds]
    return seconds


# --- finding and reading runs ---


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
    return runs, notes


def runs_at(path: Path) -> Iterator[Path]:
    """The run at a path, or the runs below it."""
    if path.is_file():
        yield path
        return
    files = (path / name for name in ("config.yaml", METRICS_FILE, RESULT_FILE))
    if any(file.is_file() for file in files):
        yield path
        return
    for name in ("config.yaml", RESULT_FILE):
        if found := sorted(file.parent for file in path.glob(f"**/{name}")):
            yield from found
            return
    yield from sorted(path.glob("*.json"))


def read_record_file(path: Path) -> list[ComparedRun]:
    """The run of a committed record, or the members of a study's."""
    try:
        study = is_study(path)
    except ValueError as error:
        raise RecordError(f"it is no JSON ({error})") from error
    if study:
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
    rows, record = [], None
    try:
        rows = [row for row in read_metrics(run.metrics) if not any(name.startswith("test/") for name in row)]
        if not run.metrics.read_bytes().endswith(b"\n"):
            notes.append(f"the last line of {METRICS_FILE} is unfinished (a killed run) and was passed over")
    except RecordError as error:
        notes.append(f"no curves: {error}")
    if run.result.is_file():
        try:
            record = read_result(path)
        except RecordError as error:
            notes.append(f"its record cannot be used: {error}")
    else:
        notes.append("training has not ended: no record, and protocols are not known")
    if record is None and not rows:
        raise RecordError("; ".join(notes))
    if record and record["interruptions"] and not any("resumed" in row for row in rows):
        notes.append("its log does not say when it was resumed: curves over wall time include the pauses")
    config = read_config(run.config, notes)
    grids = {int(file.stem.removeprefix("images-")): file for file in sorted(run.grids.glob("images-*.png"))}
    return ComparedRun(path, paper_of(run, record=record, config=config), record, config, rows, grids, tuple(notes))


def read_config(path: Path, notes: list[str]) -> dict[str, Any]:
    """config.yaml; where it is no mapping, {} and a note."""
    try:
        config = yaml.safe_load(path.read_text())
    except (OSError, ValueError, yaml.YAMLError):
        config = None
    if isinstance(config, dict):
        return config
    notes.append(f"{path.name} is absent or damaged: its settings are not compared")
    return {}


def paper_of(run: RunDir, *, record: Row | None, config: Row) -> str:
    """Whose paper a run is of: its record says so, or else its last checkpoint."""
    if record or "paper" in config:
        return str(record["paper"] if record else config["paper"])
    from zoo.checkpoints import CheckpointError, read_checkpoint  # brings torch

    try:
        return str(read_checkpoint(run.last_checkpoint)["zoo"]["paper"])
    except CheckpointError:
        return "unknown paper"


# --- side by side ---


@dataclass(frozen=True)
class Figure:
    """One measure of one run, beside those of the others."""

    run: int  # index into Comparison.runs
    name: str
    cells: dict[str, str]
    group: int  # runs of one group were measured under one protocol; -1: not known
    protocol: str  # hash, or ""


@dataclass(frozen=True)
class Comparison:
    """Several runs, each with a label of its own."""

    runs: list[ComparedRun]
    notes: list[str]

    @cached_property
    def labels(self) -> list[str]:
        """Paper and recipe; runs that share them are told apart by seed, or else by folder."""
        names = [f"{run.paper} {run.recipe}" for run in self.runs]
        seeds = [f"{name} seed {run.seed}" for name, run in zip(names, self.runs, strict=True)]
        places = [f"{n} ({p})" for n, p in zip(names, short_paths([run.path for run in self.runs]), strict=True)]
        labels = []
        for i, name in enumerate(names):
            alike = [j for j, other in enumerate(names) if other == name]
            told_apart = len({seeds[j] for j in alike}) == len(alike)
            labels.append(name if len(alike) == 1 else seeds[i] if told_apart else places[i])
        return labels

    @cached_property
    def measures(self) -> list[str]:
        """Names of the measures, those of most runs first."""
        names = dict.fromkeys(name for run in self.runs for name in run.measures)
        return sorted(names, key=lambda name: -sum(name in run.measures for run in self.runs))

    def figures(self, measure: str) -> list[Figure]:
        """A measure while training, run by run: before training, best, last."""
        found = [(i, run, run.measures[measure]) for i, run in enumerate(self.runs) if measure in run.measures]
        groups = alike([run.protocol(m["protocol"]) for _, run, m in found])
        return [
            Figure(
                i,
                measure,
                {
                    "before training": number(m["first"]["value"]) if m["first"]["images_seen"] == 0 else "",
                    "best": number(m["best"]["value"]),
                    "at images": f"{m['best']['images_seen']:,}",
                    "last": number(m["last"]["value"]),
                    "protocol": m["protocol"] or "not recorded yet",
                },
                group,
                m["protocol"] or "",
            )
            for (i, run, m), group in zip(found, groups, strict=True)
        ]

    @cached_property
    def tested(self) -> list[Figure]:
        """Figures of `test` beside what the paper reports, measure by measure."""
        names = dict.fromkeys(
            name for run in self.runs for t in run.tests.values() for name in t["values"] if not name.endswith(HIDDEN)
        )
        return [figure for name in names for figure in self.tests_of(name)]

    def tests_of(self, name: str) -> list[Figure]:
        """The rows of one measure of `test`."""
        found = []
        for i, run in enumerate(self.runs):
            taken = {at: test for at, test in run.tests.items() if name in test["values"]}
            if taken:
                key = next((t["protocols"][name] for t in taken.values() if name in t["protocols"]), None)
                found.append((i, run, taken, key))
        groups = alike([run.protocol(key) for _, run, _, key in found])
        return [
            Figure(
                i,
                name,
                {
                    "measure": name,
                    "reported": reported(run).get(name, "not reported"),
                    **{at: tested_value(taken.get(at), name) for at in ("best", "last")},
                    "protocol": key or "",
                },
                group,
                key or "",
            )
            for (i, run, taken, key), group in zip(found, groups, strict=True)
        ]

    @cached_property
    def warnings(self) -> list[str]:
        """Where figures of one name may not be compared, and why."""
        found: dict[str, list[str]] = {}
        for name in self.measures:
            for text in self.protocol_warnings(self.figures(name)):
                found.setdefault(text, []).append(name)
        for name in dict.fromkeys(figure.name for figure in self.tested):
            for text in self.protocol_warnings([figure for figure in self.tested if figure.name == name]):
                found.setdefault(text, []).append(f"{name} of test")
        return [f"{', '.join(names)}: {text}" for text, names in found.items()]

    def protocol_warnings(self, figures: Sequence[Figure]) -> list[str]:
        """One text where the protocols of these figures differ, naming the fields."""
        groups = {figure.group: figure for figure in reversed(figures)}
        known = [groups[key] for key in sorted(groups) if key >= 0]
        if len(known) < 2:
            return []
        protocols = [self.runs[f.run].protocol(f.protocol) or {} for f in known]
        fields = differing_fields(protocols)
        who = "; ".join(
            f"{f.protocol}: " + ", ".join(self.labels[g.run] for g in figures if g.group == f.group) for f in known
        )
        return [f"protocols differ, figures may not be compared ({who}). {differences_text(fields, len(known))}"]

    @cached_property
    def settings(self) -> list[tuple[str, list[str]]]:
        """The settings in which runs differ: name, and the value of each run ("" where it has no such setting)."""
        flat = [dict(flatten(run.config)) | dict(circumstances(run)) for run in self.runs]
        names = dict.fromkeys(name for settings in flat for name in settings if name not in PLACES)
        rows = [(name, [settings.get(name, "") for settings in flat]) for name in names]
        return [(name, values) for name, values in rows if len(set(values)) > 1]

    @cached_property
    def run_notes(self) -> list[str]:
        """Notes on single runs, and on what was left out."""
        own = [f"{label}: {note}" for label, run in zip(self.labels, self.runs, strict=True) for note in run.notes]
        return [*self.notes, *own]


def alike(protocols: Sequence[Row | None]) -> list[int]:
    """A number for each protocol, equal where its content is; -1 where there is none."""
    texts = [None if p is None else json.dumps(p, sort_keys=True) for p in protocols]
    order = list(dict.fromkeys(text for text in texts if text is not None))
    return [-1 if text is None else order.index(text) for text in texts]


def differing_fields(protocols: Sequence[Row]) -> dict[str, list[str]]:
    """Fields that are not the same in all protocols, and their values."""
    names = dict.fromkeys(name for protocol in protocols for name in protocol)
    shown = {name: [short(p[name]) if name in p else "absent" for p in protocols] for name in names}
    return {name: values for name, values in shown.items() if len(set(values)) > 1}


def differences_text(fields: Mapping[str, Sequence[str]], n: int) -> str:
    """ "They differ in n_fake (2000 / 5000), ...", values in the order of the protocols."""
    if not fields:
        return "Their contents are not recorded."
    return "They differ in " + ", ".join(f"{name} ({' / '.join(values)})" for name, values in fields.items())


def short(value: Any) -> str:
    """A protocol's value; hashes cut to eight digits, long texts to forty letters."""
    text = str(value)
    return text[:8] if len(text) == 64 and " " not in text else text if len(text) <= 40 else text[:37] + "..."


def short_paths(paths: Sequence[Path]) -> list[str]:
    """Each path's last parts, as many as tell all paths apart."""
    parts = [path.absolute().parts for path in paths]
    for n in range(1, max(len(p) for p in parts) + 1):
        ends = [str(Path(*p[-n:])) for p in parts]
        if len(set(ends)) == len(ends):
            return ends
    return [f"{path} #{i}" for i, path in enumerate(paths, start=1)]


def flatten(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as (dotted name, value)."""
    for name, value in settings.items():
        if isinstance(value, dict) and value:
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", "none" if value is None else str(value)


def circumstances(run: ComparedRun) -> Iterator[tuple[str, str]]:
    """What a run was made with, beside its settings."""
    if not run.record:
        return
    hardware = run.record["hardware"]
    yield "precision", run.record["precision"]
    yield "hardware", ", ".join(hardware["gpus"]) or f"{hardware['cpu']}, {hardware['cores']} cores"
    yield "commit", (run.record["commit"] or "unknown")[:7] + ("+dirty" if "+" in (run.record["commit"] or "") else "")
    for package, version in run.record["versions"].items():
        yield f"version of {package}", version


def reported(run: ComparedRun) -> Mapping[str, str]:
    """What the paper reports for a run's recipe, out of its reproduction script; {} outside a checkout."""
    return reported_in(run.paper).get(run.recipe, {})


def reported_in(paper: str) -> dict[str, Mapping[str, str]]:
    """{recipe: {measure: what the paper reports}}."""
    if paper not in _REPORTED:
        script = reproductions() / f"{paper}.py"
        from zoo.reached import recipes_of

        recipes = recipes_of(script) if script.is_file() else {}  # brings torch
        _REPORTED[paper] = {name: recipe.reported for name, recipe in recipes.items()}
    return _REPORTED[paper]


_REPORTED: dict[str, dict[str, Mapping[str, str]]] = {}


def reproductions() -> Path:
    """The folder of reproduction scripts of this checkout."""
    return Path(__file__).parents[1] / "reproductions"


def tested_value(test: Row | None, name: str) -> str:
    """A value of `test` with its spread, and at how many images seen."""
    if test is None:
        return ""
    spread = spread_in(test["values"], name)
    return f"{number(test['values'][name], spread)} at {test['images_seen']:,}"


def number(value: float | None, spread: float | None = None) -> str:
    """Four significant digits, with a spread if there is one."""
    if value is None or not math.isfinite(value):
        return "not finite"
    return f"{value:.4g}" + ("" if spread is None else f" +/- {spread:.2g}")


def duration(seconds: float) -> str:
    """1:06:29."""
    minutes, s = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{s:02}"


# --- the terminal ---

OVERVIEW = ("run", "data", "images seen", "wall time", "images/s", "seed", "state")


def overview(comparison: Comparison) -> list[list[str]]:
    """One row a run, in the order of OVERVIEW."""
    return [
        [
            label,
            run.dataset,
            f"{run.images_seen:,}",
            duration(run.wall_time),
            f"{run.images_per_second:,.0f}",
            "" if run.seed is None else str(run.seed),
            "finished" if run.record else "not ended",
        ]
        for label, run in zip(comparison.labels, comparison.runs, strict=True)
    ]


def as_text(comparison: Comparison) -> str:
    """The comparison for a terminal."""
    parts = [lined_up([list(OVERVIEW), *overview(comparison)])]
    for measure in comparison.measures:
        figures = comparison.figures(measure)
        direction = comparison.runs[figures[0].run].measures[measure]["better"]
        rows = [["run", *figures[0].cells]] + [[comparison.labels[f.run], *f.cells.values()] for f in figures]
        parts.append(f"{measure} while training ({direction} is better)\n{lined_up(rows)}")
    if comparison.tested:
        rows = [["run", *comparison.tested[0].cells]]
        rows += [[comparison.labels[f.run], *f.cells.values()] for f in comparison.tested]
        parts.append(f"measured by test, beside what the paper reports\n{lined_up(rows)}")
    parts += [f"warning: {text}" for text in comparison.warnings]
    parts += ["\n".join(f"note: {text}" for text in comparison.run_notes)] if comparison.run_notes else []
    return "\n\n".join(parts) + "\n"


def lined_up(rows: Sequence[Sequence[str]]) -> str:
    """Columns lined up by spaces: numbers to the right, all else to the left."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    right = [all(is_number(row[i]) for row in rows[1:]) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(row, widths, right, strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def is_number(text: str) -> bool:
    """Whether a cell reads as a number (or is empty)."""
    return text == "not finite" or all(letter in "0123456789.,:+-e/ " for letter in text)
