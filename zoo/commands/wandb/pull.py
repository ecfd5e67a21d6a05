"""W&B runs brought here as run folders, to be compared with others."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from zoo.commands.wandb.push import GRID, require_wandb
from zoo.errors import RecordError
from zoo.runs.folder import RESULT_FILE, RunDir, write_atomically
from zoo.runs.record import OWN_FIELDS


def pull(project: str, folder: Path, *, api: Any = None) -> list[Path]:
    """Fetches a W&B project's runs as run folders that `zoo compare` reads; numbers, settings, grids and records.

    Args:
        project: "ENTITY/PROJECT".
        folder: where the run folders go.
        api: a `wandb.Api`; None makes one.

    Returns:
        the folders, one a run.

    Raises:
        RecordError: wandb is not installed, there is no such project, W&B lacks a file of a run or breaks off, or none
            of the runs has points.
    """
    names = [(run, re.sub(r"[^-.=+\w]", "_", run.name)) for run in runs_of(project, api=api)]
    import wandb

    try:
        found = [write_run(run, folder / f"{name}-{run.id}") for run, name in names]
    except wandb.Error as error:
        raise RecordError(f"the runs of {project} cannot be fetched from W&B: {error}") from error
    folders = [path for path in found if path is not None]
    if not folders:
        raise RecordError(f"no run of the W&B project {project} holds points with images_seen")
    return folders


def runs_of(project: str, *, api: Any) -> list[Any]:
    """The runs of a W&B project."""
    if project.count("/") != 1:
        raise RecordError(f"--wandb wants ENTITY/PROJECT, not {project!r}")
    require_wandb()
    import wandb

    try:
        return list((api or wandb.Api()).runs(project))
    except (wandb.Error, ValueError) as error:
        raise RecordError(f"the runs of {project} cannot be read from W&B: {error}") from error


def write_run(run: Any, path: Path) -> Path | None:
    """One W&B run as a folder; None if it has no points."""
    history = [row for row in run.scan_history() if is_finite(row.get("images_seen"))]
    if not history:
        return None
    place = RunDir.create(path, resume=True)
    config = {**run.config, "paper": run.config.get("paper") or run.group or "unknown paper"}
    write_atomically(place.config, yaml.safe_dump(config, sort_keys=False))
    rows = sorted(each_once(filter(None, map(as_row, history))), key=lambda row: row["images_seen"])
    write_atomically(place.metrics, "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows))
    for row in history:
        if isinstance(row.get(GRID), Mapping):
            file = Path(run.file(row[GRID]["path"]).download(root=str(path), replace=True).name)
            file.replace(place.grid_at(int(row["images_seen"])))
    if any(file.name == RESULT_FILE for file in run.files()):
        run.file(RESULT_FILE).download(root=str(path), replace=True)
    return path


def each_once(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows in the order in which they were logged, without those of a future that a resume gave up.

    W&B takes no points back: where training goes on from fewer images, what it had logged of more stands there, too.
    """
    kept: list[dict[str, Any]] = []
    reached = -1
    for row in rows:
        at, names = row["images_seen"], row.keys() - OWN_FIELDS
        if not all(name.startswith("test/") for name in names):  # `test` looks at any checkpoint
            if at <= reached:
                kept = [r for r in kept if r["images_seen"] < at or (r["images_seen"] == at and names - r.keys())]
            reached = at
        kept.append(row)
    return kept


def as_row(point: Mapping[str, Any]) -> dict[str, Any] | None:
    """A point of W&B's history as a line of metrics.jsonl; None if it holds no number."""
    row: dict[str, Any] = {}
    for name, value in point.items():
        if name.startswith("_") or name == "images_seen":
            continue
        if isinstance(value, str) and value in ("NaN", "Infinity", "-Infinity"):
            value = float(value)
        if isinstance(value, float) and not math.isfinite(value):
            row |= {name: None, f"{name}_nonfinite": str(value)}
        elif isinstance(value, int | float):
            row[name] = value
    time = {"time": float(point["_timestamp"])} if is_finite(point.get("_timestamp")) else {}
    return {"images_seen": int(point["images_seen"]), **time, **row} if row else None


def is_finite(value: Any) -> bool:
    """Whether a value of W&B's history, which writes nan as a text, is a finite number."""
    return isinstance(value, int | float) and math.isfinite(value)
