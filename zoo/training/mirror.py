"""The mirror of a run's record at Weights & Biases."""

from __future__ import annotations

import inspect
import json
import os
import re
import secrets
import shutil
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.fabric.utilities.rank_zero import rank_zero_only, rank_zero_warn
from lightning.pytorch.loggers.wandb import WandbLogger

from zoo.errors import UsageError
from zoo.runs.folder import RESULT_FILE, WANDB_ID_FILE, write_atomically
from zoo.runs.text import say
from zoo.training.loggers import true_counter

if TYPE_CHECKING:
    from wandb import Run
    from wandb.sdk.lib import RunDisabled

Mode = Literal["online", "offline", "disabled"]
WANDB_MODES = ("online", "offline", "disabled", "shared", "dryrun", "run", "")  # what WANDB_MODE may say

TABLE_COLUMNS = ("measure", "point", "value", "images_seen", "protocol")


class WandbMirror(WandbLogger):
    """Mirrors the record to Weights & Biases, with images_seen as the axis of every chart.

    Online where an API key is configured and WANDB_MODE does not say otherwise; else offline, for `wandb sync`
    later. It never prompts; a server that cannot be reached costs a warning, not the run. Checkpoints stay here, unless
    `log_model` is called. A resume continues the same W&B run (its id is kept in `run_dir/wandb_id`). W&B takes no
    points back: those between the checkpoint and the interruption appear twice there, in metrics.jsonl once.

    Args:
        run_dir: the run's folder; W&B's own files go to `run_dir/wandb`.
        project: W&B project.
        name: display name of the run.
        group: the paper, so that runs of one paper stand together.
        tags: labels of the run.
        config: what config.yaml holds, as plain types.
        clock: tells images_seen, as for JsonlLogger.
        run_id: that somebody else has chosen for the W&B run, such as the agent of a sweep (WANDB_RUN_ID).

    Raises:
        ModuleNotFoundError: wandb is not installed.
        UsageError: a `run_id` other than that which the folder has.
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
        run_id: str | None = None,
    ) -> None:
        _require_wandb()
        _wanted_mode()
        self.clock = clock
        self.run_dir = Path(run_dir)
        self.chosen_id = run_id
        if run_id and run_id != (kept := kept_run_id(self.run_dir / WANDB_ID_FILE) or run_id):
            raise UsageError(
                f"{run_dir} is W&B run {kept}, and WANDB_RUN_ID={run_id} is another: give it a folder of its own (each "
                "trial of a sweep needs one: leave --run_dir out), or unset WANDB_RUN_ID"
            )
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
            self._id = stored_run_id(self.run_dir / WANDB_ID_FILE, chosen=self.chosen_id)
            self._experiment = self._open(mode())
            self._experiment.define_metric("images_seen")
            self._experiment.define_metric("*", step_metric="images_seen")
        return self._experiment

    def _open(self, mode: Mode) -> Run | RunDisabled:
        import wandb

        settings = wandb.Settings(silent=mode != "online")
        place = {"id": self._id, "project": self._wandb_init["project"]}
        if os.environ.get("WANDB_SWEEP_ID"):  # then the agent has chosen both
            place = {"id": None, "project": None}
        try:
            return wandb.init(**self._wandb_init | place, mode=mode, settings=settings)
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
        """Says where a run that was mirrored offline lies, and how it is sent: in parts, where it was resumed."""
        super().finalize(status)
        folder = Path(getattr(self._experiment, "dir", None) or ".").parent
        if folder.name.startswith("offline-run-"):
            pattern = f"offline-run-*-{self._id}*"  # in one second, W&B makes a second name of it: ID-1
            several = len(list(folder.parent.glob(pattern))) > 1
            parts = f"{folder.parent}/{pattern}" if several else folder
            say(f"W&B          {folder}, offline; `wandb sync {parts}` sends it" + " whole" * several)

    @rank_zero_only
    def log_image(self, name: str, path: Path, images_seen: int) -> None:  # type: ignore[override]
        """Send the PNG at `path` under `name`, its caption naming images_seen."""
        import wandb

        image = wandb.Image(str(path), caption=f"images_seen = {images_seen:,}")
        self.experiment.log({name: image, "images_seen": int(images_seen)})

    @rank_zero_only
    def log_data(self, name: str, **facts: Any) -> None:
        """Declares the data set as what the run used: an artifact of type `dataset` that holds these facts, no images.

        Args:
            name: of the data set.
            facts: its fingerprint, number of images and the like; the same facts are the same version of the artifact.
        """
        import wandb

        run, artifact = self.experiment, wandb.Artifact(artifact_name(name), type="dataset", metadata=facts)
        with artifact.new_file("data.json") as file:
            file.write(json.dumps({"name": name, **facts}, indent=1, sort_keys=True))
        if hasattr(run, "_log_artifact"):  # what use_artifact does, which waits for the server and refuses to offline
            run._log_artifact(artifact, aliases=[], is_user_created=True, use_after_commit=True)
        else:
            run.use_artifact(artifact)

    @rank_zero_only
    def log_model(
        self, name: str, files: Mapping[str, Path], *, metadata: Mapping[str, Any], aliases: Sequence[str]
    ) -> None:
        """Sends files as one version of an artifact of type `model`.

        Args:
            name: of the artifact.
            files: by their names in it.
            metadata: what they are, as plain types.
            aliases: of the version, such as "best" and "last".
        """
        import wandb

        artifact = wandb.Artifact(artifact_name(name), type="model", metadata=dict(metadata))
        for inside, file in files.items():
            artifact.add_file(str(file), name=inside)
        self.experiment.log_artifact(artifact, aliases=list(aliases))

    @rank_zero_only
    def log_result(self, record: Mapping[str, Any], figures: Sequence[Path]) -> None:
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


def mode() -> Mode:
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


def kept_run_id(path: Path) -> str | None:
    """The id kept at `path`, if any."""
    return (path.read_text().strip() or None) if path.exists() else None


def stored_run_id(path: Path, *, chosen: str | None = None) -> str:
    """The id kept at `path`; where there is none, the chosen one or a new one is kept there."""
    if (run_id := kept_run_id(path)) is not None:
        return run_id
    run_id = chosen or secrets.token_hex(6)  # not `random`: that stream belongs to the training
    write_atomically(path, run_id + "\n")
    return run_id


def artifact_name(text: str) -> str:
    """A name that W&B takes: letters, digits, dashes, underscores and dots, at most 128."""
    return re.sub(r"[^\w.-]+", "-", text, flags=re.ASCII).strip("-")[:128] or "unnamed"
