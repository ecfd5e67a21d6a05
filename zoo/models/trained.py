"""A finished run, opened again: its settings, its log, its record, its data and its networks at a checkpoint."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from zoo.data import ImageDataModule
from zoo.data.named import dataset_of
from zoo.errors import CheckpointError, DataError, RecordError, UnsupportedSettingError, UsageError
from zoo.models.base.build import build, outline
from zoo.models.base.module import AdversarialModule
from zoo.models.improved_gan import Switches
from zoo.runs.checkpoints import check_compatible, read_checkpoint
from zoo.runs.folder import RunDir
from zoo.runs.plain import read_settings
from zoo.runs.record import read_result, rows_at_hand


def current_settings(paper: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Constructor arguments of a paper's module as they are today, whichever version wrote them.

    DCGAN's techniques (zoo/models/improved_gan.py) used to be arguments of their own. WGAN-GP's CIFAR-10 critic had
    BatchNorm with "wgan" alone.
    """
    known = {
        name: value for name, value in settings.items() if not str(name).startswith("_")
    }  # those are Lightning's own
    if paper == "wgan_gp" and known.get("network") == "cifar10" and known.get("method") in ("gan", "lsgan"):
        return {"batchnorm_D": False, **known}
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
    origin = content.get("zoo")
    paper = origin.get("paper") if isinstance(origin, Mapping) else None
    if not isinstance(paper, str) or paper not in models:
        raise CheckpointError(f"{path} is of no model of this zoo ({paper!r}): choose from {', '.join(models)}")
    settings = content.get("hyper_parameters")
    if not isinstance(settings, Mapping):
        raise CheckpointError(
            f"{path} has no hyper_parameters, and so there is no telling what it is of: copy it again"
        )
    try:
        settings = current_settings(paper, settings)
        check_compatible(content, outline(models[paper], settings), path)  # sizes are compared before any is made
        with torch.random.fork_rng(devices=[]):  # the initial weights are overwritten, but drawing them counts
            module = build(models[paper], settings)
    except UnsupportedSettingError as error:
        raise CheckpointError(f"{path}: {models[paper].__name__} refuses its hyper_parameters: {error}") from error
    module.load_state_dict(content["state_dict"])
    return module


def at_hand(runs: "Mapping[str, FinishedRun]") -> "dict[str, FinishedRun]":
    """Those runs of which more than the record lies here."""
    return {name: run for name, run in runs.items() if not run.record_alone}


class FinishedRun:
    """What a run left in its folder.

    Args:
        path: the run's folder.
        models: modules by paper (`zoo.models.MODELS`).
        data: the data module it was trained on, where that is at hand; None makes it from the settings.

    Raises:
        UsageError: no run lies there.
    """

    def __init__(
        self, path: Path, *, models: Mapping[str, type[AdversarialModule]], data: ImageDataModule | None = None
    ) -> None:
        self.dir = RunDir(path)
        self.models = models
        self._data = data
        if not self.dir.config.is_file() and not self.dir.result.is_file():
            raise UsageError(f"{path} holds no run (no config.yaml): name the folder of a run")

    @property
    def record_alone(self) -> bool:
        """Whether the folder holds the record and not the run itself: no settings, log or networks."""
        return not self.dir.config.is_file()

    @cached_property
    def config(self) -> dict[str, Any]:
        """The settings in config.yaml; RecordError where the folder holds nothing but a record."""
        if self.record_alone:
            raise RecordError(f"{self.dir.path} holds a record alone (no config.yaml): its figures need the run itself")
        return read_settings(self.dir.config)

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl; none where nothing was logged (a short run without evaluations)."""
        return rows_at_hand(self.dir.metrics)

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
        module.seed = self.config.get("seed_everything")  # type: ignore[assignment]
        if type(module.seed) is not int:
            raise RecordError(f"{self.dir.config}: seed_everything is {module.seed!r}, not a whole number")
        return module

    @cached_property
    def data(self) -> ImageDataModule:
        """The data module that the run was trained on: of a data set of this package.

        Raises:
            DataError: another class, of which nothing is imported, or arguments that it does not take.
            RecordError: the settings name no data set.
        """
        if self._data is not None:
            return self._data
        data, file = self.data_settings, self.dir.config
        kind = dataset_of(data.get("class_path"), where=file)
        try:
            return kind(**data["init_args"])
        except TypeError as error:
            raise DataError(f"{file}: {kind.__name__} does not take its data.init_args: {error}") from error

    @cached_property
    def data_settings(self) -> dict[str, Any]:
        """The settings `data` in config.yaml, checked to be of their form; RecordError where they are not."""
        data = self.config.get("data")
        if not isinstance(data, dict) or not isinstance(data.setdefault("init_args", {}), dict):
            raise RecordError(f"{self.dir.config} names no data set (data.class_path, data.init_args)")
        return data
