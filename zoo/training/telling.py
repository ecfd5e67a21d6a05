"""What loggers are told beside numbers, which all are given at images_seen: settings, sample grids, and the end.

Lightning's own loggers have the settings, and the grids where they can show them; the mirror at W&B has all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger, MLFlowLogger, TensorBoardLogger, WandbLogger
from lightning.pytorch.loggers.logger import Logger

from zoo.data import ImageDataModule
from zoo.errors import RecordError
from zoo.experiments.measures import MEASURES
from zoo.runs.checkpoints import read_checkpoint
from zoo.runs.command_lines import without_folders
from zoo.runs.folder import RunDir
from zoo.runs.record import read_metrics, read_result
from zoo.training.loggers import JsonlLogger
from zoo.training.mirror import WandbMirror


def tell_beginning(loggers: Sequence[Logger], settings: Mapping[str, Any], data: ImageDataModule) -> None:
    """Gives every setting to the loggers of the user's own (but what is None, and those of loggers), and the data set's
    facts to the mirror.

    Args:
        loggers: the trainer's.
        settings: as in config.yaml, nested. `trainer.enable_autolog_hparams` false keeps them back.
        data: of the training.
    """
    for logger in loggers:
        if isinstance(logger, WandbMirror):
            train = data.split("train")
            tell_data(logger, {"name": data.name, "fingerprint": train.fingerprint, "images": len(train.images)})
        elif not isinstance(logger, JsonlLogger) and (settings["trainer"] or {}).get("enable_autolog_hparams", True):
            logger.log_hyperparams(without_none(without_loggers(settings)))


def keep_to_images(logger: Logger, clock: Callable[[], int]) -> None:
    """From now on a logger has all numbers at the images seen: Lightning's callbacks give theirs at batches."""
    log = logger.log_metrics
    logger.log_metrics = lambda metrics, step=None: log(metrics, step=clock())  # type: ignore[method-assign]


def tell_data(mirror: WandbMirror, dataset: Mapping[str, Any]) -> None:
    """Declares a data set, as records describe it, as what a W&B run used."""
    mirror.log_data(dataset["name"], fingerprint=dataset["fingerprint"], images=dataset["images"])


def tell_end(loggers: Sequence[Logger], run: RunDir, *, artifacts: bool) -> None:
    """Gives the mirror at W&B the record, if there is one, the figures and, where asked for, the checkpoints."""
    for logger in loggers:
        if isinstance(logger, WandbMirror) and run.result.exists():
            try:
                record = read_result(run.result)
            except RecordError:  # `test` has said so
                return
            logger.log_result(record, sorted(run.figures.glob("*.png")))
            if artifacts:
                tell_checkpoints(logger, run, record)


def tell_checkpoints(mirror: WandbMirror, run: RunDir, record: Mapping[str, Any]) -> None:
    """Sends best.ckpt and last.ckpt as versions of one artifact, which is named by paper, recipe and run.

    The metadata of a version say what a release's card does of a checkpoint: where it comes from, and its figures.
    """
    by_images: dict[int, list[str]] = {}
    for alias, path in (("best", run.best_checkpoint), ("last", run.last_checkpoint)):
        if path.is_file():
            by_images.setdefault(int(read_checkpoint(path)["state_dict"]["images_seen"]), []).append(alias)
    rows = read_metrics(run.metrics)
    for seen, aliases in by_images.items():
        points = [(name, value) for row in rows if row["images_seen"] == seen for name, value in row.items()]
        about = {name: record[name] for name in ("paper", "recipe", "dataset", "seed", "commit", "versions")}
        about["commands"] = [without_folders(command) for command in record["commands"]]
        about |= {
            "images_seen": seen,
            "measures": {name: value for name, value in points if value is not None and MEASURES.find(name)},
            "tests": {test["checkpoint"]: test["values"] for test in record["tests"] if test["images_seen"] == seen},
            "protocols": {name: measure["protocol"] for name, measure in record["measures"].items()},
        }
        file = run.checkpoints / f"{aliases[0]}.ckpt"
        name = f"{record['paper']}-{record['recipe']}-{run.path.absolute().name}"
        mirror.log_model(name, {"model.ckpt": file}, metadata=about, aliases=aliases)


def without_none(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that were set."""
    return {
        name: without_none(value) if isinstance(value, Mapping) else value
        for name, value in settings.items()
        if value is not None
    }


def without_loggers(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings but those of loggers, which may hold a key, and which others than they need not know."""
    trainer = settings.get("trainer")
    if not isinstance(trainer, Mapping):
        return dict(settings)
    return {**settings, "trainer": {name: value for name, value in trainer.items() if name != "logger"}}


def show_image(loggers: Sequence[Logger], name: str, path: Path, images_seen: int) -> None:
    """Gives a PNG to each logger that has a place for pictures."""
    for logger in loggers:
        if isinstance(logger, JsonlLogger | WandbMirror):
            logger.log_image(name, path, images_seen)
        elif isinstance(logger, WandbLogger):
            logger.log_image(name, [str(path)], step=images_seen, caption=[f"images_seen = {images_seen:,}"])
        elif isinstance(logger, TensorBoardLogger):
            logger.experiment.add_image(name, pixels(path), images_seen, dataformats="HWC")
        elif isinstance(logger, MLFlowLogger):
            logger.experiment.log_image(logger.run_id, pixels(path), key=name, step=images_seen)
        elif isinstance(logger, CSVLogger):
            logger.save()  # no place for it; but its numbers would else wait in memory until the end


def pixels(path: Path) -> Any:
    """A PNG as an array of bytes [H, W, 3]."""
    import numpy as np
    from PIL import Image

    with Image.open(path, formats=("PNG",)) as image:
        return np.array(image.convert("RGB"))
