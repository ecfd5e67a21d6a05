"""Where a run's numbers go: `metrics.jsonl` is the record, Weights & Biases a mirror of it.

Both are Lightning loggers whose `step` is `images_seen` (real images, summed over devices): the trainer's own
step counts optimizer steps of both players and its batches restart every epoch, so neither can be an axis.
"""

from __future__ import annotations

import inspect
import json
import os
import secrets
import shutil
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.fabric.utilities.rank_zero import rank_zero_only, rank_zero_warn
from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.loggers.wandb import WandbLogger

from zoo.errors import RecordError, UsageError
from zoo.runs.clock import Clock
from zoo.runs.folder import METRICS_FILE, RESULT_FILE, WANDB_ID_FILE, end_last_line, write_atomically
from zoo.runs.record import OWN_FIELDS, fields_of, read_metrics
from zoo.runs.text import say

if TYPE_CHECKING:
    from wandb import Run
    from wandb.sdk.lib import RunDisabled

Mode = Literal["online", "offline", "disabled"]
WANDB_MODES = ("online", "offline", "disabled", "shared", "dryrun", "run", "")  # what WANDB_MODE may say

__all__ = ["JsonlLogger", "WandbMirror", "read_metrics"]

TABLE_COLUMNS = ("measure", "point", "value", "images_seen", "protocol")


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

    def log_result(self, record: Mapping[str, Any], figures: Sequence[Path] = ()) -> None:
        """Nothing: result.json and the figures lie in the run already."""


def true_counter(step: int | None, clock: Callable[[], int] | None) -> int:
    """images_seen: the clock's where there is one, else the step; ValueError without either."""
    if clock is not None:
        return clock()
    if step is None:
        raise ValueError("log_metrics needs `step`, the number of real images seen")
    return int(step)


class WandbMirror(WandbLogger):
    """Mirrors the record to Weights & Biases, with images_seen as the axis of every chart.

    Online where an API key is configured and WANDB_MODE does not say otherwise; else offline, for `wandb sync`
    later. It never prompts; a server that cannot be reached costs a warning, not the run. Checkpoints stay here.
    A resume continues the same W&B run (its id is kept in `run_dir/wandb_id`). W&B takes no points back: those
    between the checkpoint and the interruption appear twice there, in metrics.jsonl once.

    Args:
        run_dir: the run's folder; W&B's own files go to `run_dir/wandb`.
        project: W&B project.
        name: display name of the run.
        group: the paper, so that runs of one paper stand together.
        tags: labels of the run.
        config: what config.yaml holds, as plain types.
        clock: tells images_seen, as for JsonlLogger.

    Raises:
        ModuleNotFoundError: wandb is not installed.
    """

    def __init__(
        self,
        run_dir: Path,
        *,
        project: str,
        name: str,
        group: str,
        tags: Sequence[str] = (),
        config: dict[str, Any],
        clock: Callable[[], int] | None = None,
    ) -> None:
        _require_wandb()
        _wanted_mode()
        self.clock = clock
        self.run_dir = Path(run_dir)
        super().__init__(name=name, save_dir=str(self.run_dir), project=project, log_model=False)
        self._wandb_init = {
            "project": project,
            "name": name,
            "group": group,
            "tags": list(tags),
            "config": config,
            "dir": str(self.run_dir),
            "resume": "allow",
        }

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_experiment": None, "clock": None}

    @property
    @rank_zero_experiment
    def experiment(self) -> Run | RunDisabled:
        """The W&B run, opened at the first use; an earlier run of this process is finished first."""
        if self._experiment is None:
            import wandb

            if wandb.run is not None:
                wandb.finish()
            self.run_dir.mkdir(parents=True, exist_ok=True)
            self._id = stored_run_id(self.run_dir / WANDB_ID_FILE)
            self._experiment = self._open(_mode())
            self._experiment.define_metric("images_seen")
            self._experiment.define_metric("*", step_metric="images_seen")
        return self._experiment

    def _open(self, mode: Mode) -> Run | RunDisabled:
        import wandb

        settings = wandb.Settings(silent=mode != "online")
        try:
            return wandb.init(**self._wandb_init, id=self._id, mode=mode, settings=settings)
        except wandb.Error as error:
            if mode != "online":
                raise
            rank_zero_warn(
                f"W&B cannot be used ({error}); the run is mirrored offline in {self.run_dir / 'wandb'}:"
                " `wandb sync` uploads it later"
            )
            wandb.teardown()  # the failed attempt would hold on to the run's id
            return self._open("offline")

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """One W&B `log` call holding the metrics and images_seen (= step).

        Raises:
            ValueError: no step.
        """
        self.experiment.log({**metrics, "images_seen": true_counter(step, self.clock)})

    def log_hyperparams(self, params: dict[str, Any] | Namespace) -> None:
        """Nothing: the constructor's `config` holds them all."""

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Says where a run that was mirrored offline lies, and how it is sent."""
        super().finalize(status)
        folder = Path(getattr(self._experiment, "dir", None) or ".").parent
        if folder.name.startswith("offline-run-"):
            say(f"W&B          {folder}, offline; `wandb sync {folder}` sends it")

    @rank_zero_only
    def log_image(self, name: str, path: Path, images_seen: int) -> None:  # type: ignore[override]
        """Send the PNG at `path` under `name`, its caption naming images_seen."""
        import wandb

        image = wandb.Image(str(path), caption=f"images_seen = {images_seen:,}")
        self.experiment.log({name: image, "images_seen": int(images_seen)})

    @rank_zero_only
    def log_result(self, record: Mapping[str, Any], figures: Sequence[Path] = ()) -> None:
        """Send what stands at the end: the table of measures, the figures, and result.json as a file of the run.

        Best and last of each measure also go to the summary, as `best/NAME` and `last/NAME`, where runs are sorted by
        them.

        Args:
            record: of `zoo.runs.record.read_result`.
            figures: PNG files, each sent under `figures/` and its name.
        """
        import wandb

        content: dict[str, Any] = {"result": wandb.Table(columns=list(TABLE_COLUMNS), data=result_rows(record))}
        for path in figures:
            content[f"figures/{path.stem}"] = wandb.Image(str(path))
        self.experiment.log(content | {"images_seen": int(record["images_seen"])})
        for name, measure in record["measures"].items():
            for point in ("best", "last"):
                self.experiment.summary[f"{point}/{name}"] = measure[point]["value"]
        if (self.run_dir / RESULT_FILE).is_file() and self.experiment.dir:  # no folder: W&B is disabled
            copy = Path(self.experiment.dir) / RESULT_FILE  # a link would break when the run is moved
            shutil.copyfile(self.run_dir / RESULT_FILE, copy)
            self.experiment.save(str(copy), base_path=self.experiment.dir, policy="now")


def result_rows(record: Mapping[str, Any]) -> list[list[Any]]:
    """The rows of the closing table, in the order of TABLE_COLUMNS: measures while training, then those of `test`."""
    rows = []
    for name, measure in record["measures"].items():
        for point in ("first", "best", "last"):
            at = measure[point]
            rows.append([name, point, at["value"], at["images_seen"], measure["protocol"]])
    for test in record["tests"]:
        for name, key in test["protocols"].items():
            where = f"test of {test['checkpoint']}"
            rows.append([name, where, test["values"].get(name), test["images_seen"], key])
    return rows


def _require_wandb() -> None:
    try:
        from wandb import init  # noqa: F401 - a mere folder named wandb imports too, as an empty package
    except ImportError as error:
        raise ModuleNotFoundError(
            "wandb is not installed: pip install wandb, or train without the W&B mirror"
            " (metrics.jsonl in the run is the record either way)"
        ) from error


def _wanted_mode() -> str:
    """What WANDB_MODE says. Raises UsageError where W&B does not know it."""
    wanted = os.environ.get("WANDB_MODE", "online").lower()
    if wanted not in WANDB_MODES:
        raise UsageError(f"the environment variable WANDB_MODE is {wanted!r}: W&B knows {', '.join(WANDB_MODES[:-1])}")
    return wanted


def _mode() -> Mode:
    """Mode for `wandb.init`: "online" only with an API key, so that it has nothing to ask for."""
    if (wanted := _wanted_mode()) == "disabled":
        return "disabled"
    return "online" if wanted in ("online", "run", "") and _api_key_configured() else "offline"


def _api_key_configured() -> bool:
    import wandb

    if os.environ.get("WANDB_API_KEY"):
        return True
    if "prompt" in inspect.signature(wandb.login).parameters:  # since then wandb.api is deprecated
        return bool(wandb.login(prompt=False, verify=False))
    return bool(wandb.api.api_key)


def stored_run_id(path: Path) -> str:
    """The id kept at `path`; a new one is drawn and kept where there is none."""
    if path.exists() and (run_id := path.read_text().strip()):
        return run_id
    run_id = secrets.token_hex(6)  # not `random`: that stream belongs to the training
    write_atomically(path, run_id + "\n")
    return run_id
