"""`result.json`, the record of a run that a claim is generated from, and the rows of its metrics.jsonl.

No torch at import: the `zoo` command reads records without it.
"""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

from zoo.errors import RecordError
from zoo.runs import schema
from zoo.runs.environment import PACKAGES
from zoo.runs.folder import RESULT_FILE, RunDir, write_atomically
from zoo.runs.measures import Better
from zoo.runs.plain import read_json

SCHEMA_VERSION = 1
#: Fields of a line of metrics.jsonl that are no logged values.
OWN_FIELDS = frozenset({"images_seen", "time", "resumed", "generator_steps"})
BETTER: tuple[Better, ...] = get_args(Better)


def read_metrics(path: str | os.PathLike[str], *, damaged: list[str] | None = None) -> list[dict[str, Any]]:
    """The rows of a metrics.jsonl, in file order; a last line that a killed run left unfinished is passed over.

    Args:
        path: of the file.
        damaged: takes what is wrong with lines before the last, which are passed over then too.

    Raises:
        RecordError: no such file, or (where nothing takes it) a line before the last that is no JSON object with an
            integer images_seen.
    """
    path = Path(path)
    if not path.is_file():
        raise RecordError(f"there is no metrics file {path}: name the folder of a run, or train one first")
    rows: list[dict[str, Any]] = []
    lines = path.read_bytes().rstrip(b"\n").split(b"\n")
    for number, line in enumerate(lines, start=1):
        try:
            row, problem = json.loads(line), "has no integer images_seen"
        except (ValueError, RecursionError) as error:  # JSON and UTF-8 errors are both the former
            if number == len(lines):
                break
            row, problem = None, f"is no JSON ({error})"
        if isinstance(row, dict) and type(row.get("images_seen")) is int:
            rows.append(row)
        elif damaged is None:
            raise RecordError(f"{path}, line {number} {problem}; remove the line")
        else:
            damaged.append(f"line {number} {problem}")
    return rows


def rows_at_hand(path: Path) -> list[dict[str, Any]]:
    """The rows of a metrics.jsonl that can be read, none without a file; a warning says what is passed over.

    For what must not be lost for a damaged line: the figures of `test`, the record at the end of a training.
    """
    damaged: list[str] = []
    rows = read_metrics(path, damaged=damaged) if path.is_file() else []
    if damaged:
        warnings.warn(f"{path}: {'; '.join(damaged[:3])}: passed over ({len(damaged)} in all)", stacklevel=2)
    return rows


def fields_of(name: str, value: Any) -> dict[str, Any]:
    """A value as the JSON fields of a line of metrics.jsonl: one, or two where it is not finite."""
    if hasattr(value, "item"):
        if getattr(value, "size", None) is not None and math.prod(getattr(value, "shape", ())) != 1:
            raise TypeError(f"metric {name!r} has shape {tuple(value.shape)}; log scalars")
        value = value.item()
    if not isinstance(value, bool | int | float | str | None):
        raise TypeError(f"metric {name!r} is a {type(value).__name__}; log scalars")
    if isinstance(value, float) and not math.isfinite(value):
        return {name: None, f"{name}_nonfinite": str(value)}
    return {name: value}


def is_step(row: Mapping[str, Any]) -> bool:
    """Whether a line of metrics.jsonl is of a training step (and not of an evaluation)."""
    return any(name.startswith("loss_") for name in row)


def which_is_better(better: str) -> str:
    """ "lower is better" and the like, for a heading."""
    return "a description, not a score" if better == "neither" else f"{better} is better"


def summarise_measures(
    rows: Sequence[Mapping[str, Any]],
    better: Mapping[str, Better],
    *,
    protocols: Mapping[str, str] | None = None,
) -> dict[str, dict[str, Any]]:
    """First, best and last point of each measure, of the evaluations alone.

    Args:
        rows: of `read_metrics`; those of training steps, where a value of one batch may go by the same name, are passed
            over.
        better: {measure: "lower" | "higher" | "neither"}; other keys of the rows are no measures.
        protocols: {measure: hash of its EvalProtocol}, put in as "protocol" where given.

    Returns:
        {measure: {"first", "best", "last": {"value", "images_seen"}, "better", "protocol"}} of the measures that
        were taken. A value that was not finite stands as None and is never the best while a finite one exists;
        of equal values the earliest is the best. Where neither is better, the last stands as the best.
    """
    rows = [row for row in rows if not is_step(row)]
    measures: dict[str, dict[str, Any]] = {}
    for name, direction in better.items():
        if direction not in BETTER:
            raise RecordError(f"better[{name!r}] is {direction!r}; it must be one of {', '.join(map(repr, BETTER))}")
        points = [{"value": row[name], "images_seen": row["images_seen"]} for row in rows if name in row]
        points.sort(key=lambda point: point["images_seen"])
        if not points:
            continue
        finite = [point for point in points if point["value"] is not None] or points[-1:]
        if direction == "neither":
            finite = points[-1:]
        pick = min if direction == "lower" else max
        best = finite[0] if len(finite) == 1 else pick(finite, key=lambda point: point["value"])
        measures[name] = {"first": points[0], "best": best, "last": points[-1], "better": direction}
        if protocols is not None and name in protocols:
            measures[name]["protocol"] = protocols[name]
    return measures


# --- the schema of result.json ---


def _direction(field: str, value: Any) -> None:
    schema.require(value in BETTER, field=field, wants=f"one of {', '.join(map(repr, BETTER))}", value=value)


def _schema_version(field: str, value: Any) -> None:
    schema.require(value == SCHEMA_VERSION, field=field, wants=f"{SCHEMA_VERSION} (this zoo's)", value=value)


_POINT = {"value": schema.or_null(schema.number), "images_seen": schema.count}

# Figures of `test` under the full protocol, at one checkpoint.
_TEST = {
    "checkpoint": schema.text,
    "images_seen": schema.count,
    "values": schema.map_of(schema.number),
    "protocols": schema.map_of(schema.text),
}

RESULT_SCHEMA: dict[str, Any] = {
    "schema": _schema_version,
    "paper": schema.text,
    "recipe": schema.text,
    "dataset": {"name": schema.text, "fingerprint": schema.text, "split": schema.text, "images": schema.count},
    "budget": schema.count,  # real images that were to be seen
    "images_seen": schema.count,
    "discriminator_steps": schema.count,
    "generator_steps": schema.count,
    "measures": schema.map_of(
        {"first": _POINT, "best": _POINT, "last": _POINT, "better": _direction, "protocol": schema.text}
    ),
    "tests": schema.list_of(lambda field, value: schema.check(field, value, schema=_TEST)),
    "protocols": schema.map_of(schema.json_object),  # {hash: protocol}
    "seed": schema.integer,
    "commit": schema.or_null(schema.commit),
    "versions": dict.fromkeys(("python", *PACKAGES, "zoo"), schema.text),
    "hardware": {
        "cpu": schema.text,
        "cores": schema.count,
        "memory_gib": schema.or_null(schema.amount),
        "gpus": schema.list_of(schema.text),
    },
    "precision": schema.text,
    "wall_time_s": schema.amount,  # training only, summed over resumes
    "images_per_second": schema.amount,
    "commands": schema.list_of(schema.list_of(schema.string)),  # of the first start and of every resume
    "started": schema.time,
    "finished": schema.time,
    "interruptions": schema.count,  # how often the run was resumed
}

#: Of runs that start from trained weights or augment what D sees; the records of others have no field "finetune".
_FINETUNE = {
    "init_from": schema.or_null(schema.text),
    "freeze_d": schema.count,
    "lr_scale": schema.amount,
    "augment": schema.or_null(schema.text),
    "tensors": schema.or_null(schema.map_of(schema.count)),  # matched, adapted, new; unused of the source's
}


#: What a run on images of one's own found on disk, as one line, and the names of its classes by number.
_FOUND = {"summary": schema.text, "class_names": schema.or_null(schema.list_of(schema.text))}

#: Fields that a record has or has not: `overrides` came later, `found` is of images of one's own.
_OPTIONAL = {"finetune": _FINETUNE, "overrides": schema.map_of(schema.string), "found": _FOUND}


def validate_result(record: Any) -> None:
    """Check a result record against `RESULT_SCHEMA`, and that its parts agree.

    Raises:
        RecordError: naming the field, as in "measures.fid5k.best.value must be a finite number, it is 'x'".
    """
    if isinstance(record, dict) and "schema" in record:
        _schema_version("schema", record["schema"])  # first: another schema has other fields
    optional = {name: part for name, part in _OPTIONAL.items() if isinstance(record, dict) and name in record}
    schema.check("", record, schema=RESULT_SCHEMA | optional)
    for name, measure in record["measures"].items():
        if measure["protocol"] not in record["protocols"]:
            raise RecordError(f"measures.{name}.protocol {measure['protocol']!r} is not among protocols")
        sign = 1 if measure["better"] == "lower" else -1
        for other in () if measure["better"] == "neither" else ("first", "last"):
            value, best = measure[other]["value"], measure["best"]["value"]
            if value is not None and (best is None or sign * value < sign * best):
                raise RecordError(
                    f"measures.{name}.best is {best}, but its {other} value {value} is better"
                    f" ({measure['better']} is better)"
                )
    if datetime.fromisoformat(record["finished"]) < datetime.fromisoformat(record["started"]):
        raise RecordError(f"finished ({record['finished']}) lies before started ({record['started']})")


def write_result(run_dir: RunDir | str | os.PathLike[str], record: Mapping[str, Any]) -> None:
    """Validate `record` and write it to the run's result.json in one step.

    Raises:
        RecordError: a field that is missing, unknown or wrong, or a file that cannot be written.
    """
    path = (run_dir if isinstance(run_dir, RunDir) else RunDir(Path(run_dir))).result
    try:
        validate_result(dict(record))
    except RecordError as error:
        raise RecordError(f"not written to {path}: {error}") from error
    write_atomically(path, json.dumps(record, indent=2, allow_nan=False) + "\n")


def read_result(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read and validate a result.json; `path` is the file, or the run's folder.

    Raises:
        RecordError: no such file, no JSON, or a field that is missing, unknown or wrong.
    """
    path = Path(path)
    path = path / RESULT_FILE if path.is_dir() else path
    try:
        record: dict[str, Any] = read_json(path)
    except FileNotFoundError as error:
        raise RecordError(f"there is no result {path}: it is written when a run ends") from error
    try:
        validate_result(record)
    except RecordError as error:
        raise RecordError(f"{path}: {error}") from error
    return record


def images_recorded(run: RunDir) -> int | None:
    """Images that a run had seen when its record was written; None without one, or where it cannot be read."""
    try:
        return int(read_result(run.result)["images_seen"])
    except RecordError:
        return None


def tests_of(record: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Figures of `test` by checkpoint ("best", "last"); those of several calls on one checkpoint together."""
    found: dict[str, dict[str, Any]] = {}
    for test in record.get("tests", []):
        name = Path(test["checkpoint"]).stem
        old = found.get(name, test)
        if old["images_seen"] != test["images_seen"]:  # the run went on, and this is another checkpoint
            old = test
        found[name] = {**test, **{part: old[part] | test[part] for part in ("values", "protocols")}}
    return found


#: What says where and how a run was made, or looks on, and so overrides nothing of its recipe.
NO_OVERRIDES = (
    *("--recipe", "--data_dir", "--data.root", "--data.init_args.root", "--run_dir", "--name", "--ckpt_path"),
    *("--seed_everything", "--devices", "--wandb", "--wandb_artifacts", "--dry_run"),
)
LOOKING_ON = (
    *("--evaluation.", "--keep.", "--trainer.max_time", "--trainer.devices", "--trainer.logger"),
    *("--trainer.num_nodes", "--trainer.accelerator", "--trainer.strategy", "--trainer.log_every_n_steps"),
    *("--trainer.enable_", "--trainer.profiler"),
)


def overrides(record: Mapping[str, Any], *, leave_out: Sequence[str] = ()) -> str:
    """What a run overrides of its recipe: " --images 200 --model.width 32", without the options in `leave_out`."""
    return "".join(f" {name} {value}" for name, value in set_by(record).items() if name not in leave_out)


def set_by(record: Mapping[str, Any]) -> Mapping[str, str]:
    """{option: value} of what a run sets otherwise than its recipe."""
    # the record of a run from before this field was there has its commands alone
    found: Mapping[str, str] = record["overrides"] if "overrides" in record else overridden(record["commands"])
    return found


def overridden(commands: Iterable[Sequence[str]]) -> dict[str, str]:
    """{option: value}, all `fit` commands of a run together, the last one counting; for the record's `overrides`.

    Folders, time limits and what only looks on (evaluations, checkpoints, loggers) are left out.
    """
    found: dict[str, str] = {}
    for arguments in map(fit_arguments, commands):
        for argument, following in pairwise([*arguments, ""]):
            name, is_set, value = argument.partition("=")
            if name.startswith("--"):
                found[name] = value if is_set else following
    return {k: value for k, value in found.items() if k not in NO_OVERRIDES and not k.startswith(LOOKING_ON)}


def fit_arguments(command: Sequence[str]) -> Sequence[str]:
    """The options of a recorded `fit`, `python reproductions/dcgan.py fit ...` or `zoo fit dcgan ...`; else none."""
    return command[3:] if "fit" in command[1:3] else ()


def hardware(record: Mapping[str, Any]) -> str:
    """The GPUs of a run; without any, its processor."""
    from zoo.runs.text import cores

    there = record["hardware"]
    return ", ".join(there["gpus"]) or f"{there['cpu']}, {cores(there['cores'])}"
