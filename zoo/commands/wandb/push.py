"""`zoo wandb-push`: rebuilds a W&B run from the local record.

The record in the run's folder is the truth; W&B holds a mirror. What was pushed is kept in the folder
(`wandb_pushed.json`), so that a second push sends only what has been added since, which is mostly nothing.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.commands.compare.reading import read_run
from zoo.commands.compare.runs import ComparedRun
from zoo.errors import RecordError
from zoo.runs.folder import RunDir, write_atomically
from zoo.runs.plain import read_json
from zoo.runs.record import OWN_FIELDS, read_metrics

if TYPE_CHECKING:
    from zoo.training.mirror import WandbMirror

PUSHED_FILE = "wandb_pushed.json"
GRID = "grid"


def push(path: Path, *, project: str = "lightning-gan-zoo", again: bool = False, artifacts: bool = False) -> str:
    """Sends a run's numbers, grids, figures, table and record to W&B, or what has been added since the last push.

    So are its checkpoints with `artifacts`, also those of a run that was mirrored while training.

    Online with an API key, else into `wandb/` of the run for `wandb sync`. The run's id is that of its mirror
    (`wandb_id`), so that a later training with `--wandb` goes on in the same W&B run.

    Args:
        path: the run's folder.
        project: W&B project.
        again: push all of it as a new W&B run.
        artifacts: send best.ckpt and last.ckpt as artifacts, too.

    Returns:
        a line that says what was done.

    Raises:
        RecordError: W&B holds the run already (it was mirrored while training), or W&B is not installed.
        RecordError: no run that can be read.
    """
    run = RunDir(path)
    if not run.holds_run:
        raise RecordError(f"there is no run at {path}: name the folder of one (runs/PAPER/RECIPE/NAME)")
    content = Content(path)
    require_wandb()
    state = {} if again else pushed_before(run)
    if again:
        run.wandb_id.unlink(missing_ok=True)
    elif mirrored(run, content.run.config):
        if artifacts:
            own = project_of(content.run.config, project)
            where = send(content, Added([], [], end=False), project=own, artifacts=True)
            return f"{path}: its checkpoints to W&B run {run.wandb_id.read_text().strip()}, {where}"
        raise RecordError(
            f"{path} was mirrored to W&B while training: there is nothing to push. A mirror that is still offline is"
            f" sent by `wandb sync {run.path / 'wandb'}/offline-run-*`; --again pushes the run a second time"
        )
    note, project = "", state.get("project", project)
    if state and not content.goes_on_from(state):
        why = "the run was resumed from before what it holds" if state["rows"] is not None else "that push broke off"
        note = f" ({why}: W&B run {state['id']} may be deleted)"
        run.wandb_id.unlink(missing_ok=True)
        state = {}
    added = content.since(state)
    if not added and not artifacts:
        return f"{path}: W&B run {state['id']} holds all of it; nothing was sent"
    from zoo.training.mirror import stored_run_id

    run_id = stored_run_id(run.wandb_id)
    begun: dict[str, Any] = {"id": run_id, "project": project, "rows": None, "digest": "", "grids": [], "end": ""}
    write_atomically(run.path / PUSHED_FILE, json.dumps(begun, indent=1) + "\n")  # stays if this push breaks off
    where = send(content, added, project=project, artifacts=artifacts)
    write_atomically(run.path / PUSHED_FILE, json.dumps(begun | content.state(), indent=1) + "\n")
    return f"{path}: {added.summary} to W&B run {run_id}, {where}{note}"


def require_wandb() -> None:
    """Raises RecordError where W&B is not installed."""
    try:
        from wandb import init  # noqa: F401 - a mere folder named wandb imports too, as an empty package
    except ImportError as error:
        raise RecordError("wandb is not installed: pip install wandb") from error


def pushed_before(run: RunDir) -> dict[str, Any]:
    """What the last push left behind; {} before the first."""
    path = run.path / PUSHED_FILE
    if not path.is_file():
        return {}
    try:
        state = read_json(path)
        return {name: state[name] for name in ("id", "project", "rows", "digest", "grids", "end")}
    except (RecordError, KeyError, TypeError) as error:
        raise RecordError(f"{path} is damaged ({error!r}): remove it and push with --again") from error


def mirrored(run: RunDir, config: Mapping[str, Any]) -> bool:
    """Whether it was trained with a mirror: its settings say so, or W&B's files lie in what was never pushed."""
    own_files = run.wandb_id.is_file() and any((run.path / "wandb").glob("*run-*-*"))
    return bool(config.get("wandb")) or (own_files and not (run.path / PUSHED_FILE).is_file())


class Added:
    """What a push sends."""

    def __init__(self, rows: list[dict[str, Any]], grids: list[int], *, end: bool) -> None:
        self.rows, self.grids, self.end = rows, grids, end

    def __bool__(self) -> bool:
        return bool(self.rows or self.grids or self.end)

    @property
    def summary(self) -> str:
        """ "1,506 points, 9 grids and the record" """
        parts = [f"{len(self.rows):,} points", f"{len(self.grids)} grids"] + ["the record"] * self.end
        return " and ".join([", ".join(parts[:-1]), parts[-1]])


class Content:
    """All of a run that belongs in W&B.

    Args:
        path: the run's folder.

    Raises:
        RecordError: a run without numbers, or a damaged record.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run: ComparedRun = read_run(path)
        if self.run.record is None and RunDir(path).result.is_file():
            raise RecordError(f"{path}: {'; '.join(self.run.notes)}")
        self.rows = read_metrics(RunDir(path).metrics)  # those of `test` too
        self.figures = sorted(RunDir(path).figures.glob("*.png"))

    def state(self) -> dict[str, Any]:
        """What a push of all of it is remembered by."""
        return {
            "rows": len(self.rows),
            "digest": digest(self.rows),
            "grids": sorted(self.run.grids),
            "end": self.digest_of_end(),
        }

    def digest_of_end(self) -> str:
        """Of the record and the figures; "" while training has not ended."""
        if self.run.record is None:
            return ""
        pictures = [[file.name, hashlib.sha256(file.read_bytes()).hexdigest()] for file in self.figures]
        return digest([self.run.record, pictures])

    def goes_on_from(self, state: Mapping[str, Any]) -> bool:
        """Whether all that was pushed still stands in the record: W&B takes no points back."""
        if state["rows"] is None:  # a push that broke off
            return False
        return digest(self.rows[: state["rows"]]) == state["digest"] and set(state["grids"]) <= self.run.grids.keys()

    def since(self, state: Mapping[str, Any]) -> Added:
        """What is new."""
        rows = self.rows[state.get("rows", 0) :]
        grids = sorted(self.run.grids.keys() - set(state.get("grids", [])))
        return Added(rows, grids, end=self.digest_of_end() not in ("", state.get("end")))


def digest(content: Any) -> str:
    """sha256 of plain JSON values."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def project_of(config: Mapping[str, Any], project: str) -> str:
    """The project that a run was mirrored to while training, by its settings."""
    named = config.get("wandb")
    return named if isinstance(named, str) else project


def project_at(path: Path, *, project: str, again: bool) -> str:
    """The project that holds a run, or will hold it once it is pushed to `project`."""
    run, config = RunDir(path), read_run(path).config
    if mirrored(run, config):
        return project_of(config, project)
    return project if again else str(pushed_before(run).get("project", project))


def send(content: Content, added: Added, *, project: str, artifacts: bool = False) -> str:
    """Logs in the order of images seen; where the W&B run is."""
    from zoo.training.mirror import WandbMirror
    from zoo.training.telling import tell_checkpoints, tell_data, without_loggers

    run = content.run
    if artifacts and run.record is None:
        raise RecordError(f"{content.path} has no record yet, which artifacts are described by: finish the training")
    mirror = WandbMirror(
        content.path,
        project=project,
        name=f"{run.paper}-{run.recipe}-{content.path.absolute().name}",
        group=run.paper,
        tags=[run.recipe, run.dataset.partition(" ")[0]],
        config={**without_loggers(run.config), "paper": run.paper},
    )
    for row, grid in in_order(added):
        if row is not None:
            mirror.log_metrics(as_logged(row), step=row["images_seen"])
        if grid is not None:
            mirror.log_image(GRID, content.run.grids[grid], grid)
    if run.record is not None:
        if added.end:
            tell_data(mirror, run.record["dataset"])
            mirror.log_result(run.record, content.figures)
        if artifacts:
            tell_checkpoints(mirror, RunDir(content.path), run.record)
    return closed(mirror)


def closed(mirror: "WandbMirror") -> str:
    """Ends a W&B run when all is written; where it is."""
    import wandb

    run_id = str(mirror.experiment.id)
    offline = f"offline: `wandb sync {mirror.run_dir / 'wandb'}/offline-run-*{run_id}*`"
    where = offline if mirror.experiment.offline else str(mirror.experiment.url)
    mirror.experiment.finish()
    wandb.teardown()
    return where


def in_order(added: Added) -> Iterator[tuple[dict[str, Any] | None, int | None]]:
    """Rows and grids by images seen, each in a call of its own, rows in the order of the file."""
    waiting = list(added.grids)
    for row in added.rows:
        while waiting and waiting[0] < row["images_seen"]:
            yield None, waiting.pop(0)
        yield row, None
    for grid in waiting:
        yield None, grid


def as_logged(row: Mapping[str, Any]) -> dict[str, Any]:
    """A line of metrics.jsonl as it was given to the logger, with its time as W&B's own."""
    values = {k: v for k, v in row.items() if k not in OWN_FIELDS and not k.endswith("_nonfinite")}
    kinds = {
        name: row[f"{name}_nonfinite"] for name, value in values.items() if value is None and f"{name}_nonfinite" in row
    }
    own = {"_timestamp": row["time"]} if "time" in row else {}  # else W&B takes the time of the push
    return values | {name: float(kind) for name, kind in kinds.items()} | own
