"""A finished run, opened again: its settings, its log, its record, its data and its networks at a checkpoint."""

from collections.abc import Mapping
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from zoo.data import ImageDataModule
from zoo.errors import CheckpointError, UsageError
from zoo.models.base.module import AdversarialModule
from zoo.models.improved_gan import Switches
from zoo.runs.checkpoints import check_compatible, read_checkpoint
from zoo.runs.folder import RunDir
from zoo.runs.record import read_metrics, read_result


def current_settings(paper: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Constructor arguments of a paper's module as they are today, whichever version wrote them.

    DCGAN's techniques (zoo/models/improved_gan.py) used to be arguments of their own.
    """
    known = {name: value for name, value in settings.items() if not name.startswith("_")}  # those are Lightning's own
    if paper != "dcgan":
        return known
    switches = {name: known.pop(name) for name in Switches.__annotations__ if name in known}
    if any(value for name, value in switches.items() if name != "instance_noise_images"):
        known["techniques"] = switches
    return known


def load_module(path: Path, *, models: Mapping[str, type[AdversarialModule]]) -> AdversarialModule:
    """The module with the weights of a checkpoint file, on the CPU; the file says what it was made with.

    Raises:
        CheckpointError: an absent or damaged file, or one of another model.
    """
    content = read_checkpoint(path)
    paper = content.get("zoo", {}).get("paper")
    if paper not in models:
        raise CheckpointError(f"{path} is of no model of this zoo ({paper!r}): choose from {', '.join(models)}")
    kind = models[paper]
    module = kind(**current_settings(paper, content["hyper_parameters"]))
    check_compatible(content, module, path)
    module.load_state_dict(content["state_dict"])
    return module


class FinishedRun:
    """What a run left in its folder.

    Args:
        path: the run's folder.
        models: modules by paper (`zoo.models.MODELS`).

    Raises:
        UsageError: no run lies there.
    """

    def __init__(self, path: Path, *, models: Mapping[str, type[AdversarialModule]]) -> None:
        self.dir = RunDir(path)
        self.models = models
        if not self.dir.config.is_file():
            raise UsageError(f"{path} holds no run (no config.yaml): name the folder of a run with --run_dir")

    @cached_property
    def config(self) -> dict[str, Any]:
        """The settings in config.yaml."""
        return dict(yaml.safe_load(self.dir.config.read_text()))

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl; none where nothing was logged (a short run without evaluations)."""
        return read_metrics(self.dir.metrics) if self.dir.metrics.is_file() else []

    @property
    def record(self) -> dict[str, Any]:
        """result.json, as it is now."""
        return read_result(self.dir.path)

    @property
    def finished(self) -> bool:
        """Whether training reached its end."""
        return self.dir.result.is_file()

    def checkpoint(self, name: str = "last") -> Path:
        """The file of "last", "best" or "images-XXXXXXXXX"."""
        return self.dir.checkpoints / f"{name}.ckpt"

    def archived(self) -> list[Path]:
        """The checkpoints that were kept on the way (`--keep.archive_every`), earliest first."""
        return list(self.dir.all_checkpoints().values())

    def module(self, checkpoint: Path | str = "last") -> AdversarialModule:
        """The module with the weights of a checkpoint ("last", "best", or a file), on the CPU.

        Raises:
            CheckpointError: an absent or damaged file, or one of another model.
        """
        path = checkpoint if isinstance(checkpoint, Path) else self.checkpoint(checkpoint)
        module = load_module(path, models=self.models)
        module.seed = self.config["seed_everything"]
        return module

    @cached_property
    def data(self) -> ImageDataModule:
        """The data module that the run was trained on."""
        where, _, name = self.config["data"]["class_path"].rpartition(".")
        kind: type[ImageDataModule] = getattr(import_module(where), name)
        return kind(**self.config["data"]["init_args"])
