"""Lightning's own loggers beside the record: settings and sample grids, each where it can hold them."""

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from command_line import zoo
from lightning.pytorch.loggers import CSVLogger, MLFlowLogger, TensorBoardLogger, WandbLogger
from lightning.pytorch.loggers.logger import Logger
from PIL import Image

from zoo.errors import UsageError
from zoo.training.checks import in_its_own_words
from zoo.training.loggers import JsonlLogger
from zoo.training.telling import show_image, tell_beginning, without_loggers

SETTINGS = {"recipe": "digits", "model": {"lr": 2e-4, "l2": None}, "data": None, "trainer": None}
DATA: Any = None  # asked for by the mirror alone


@pytest.fixture
def png(tmp_path: Path) -> Path:
    path = tmp_path / "grid.png"
    Image.new("RGB", (6, 4), (10, 20, 30)).save(path)
    return path


def test_settings_are_told_unless_they_are_not_wanted(tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path)
    tell_beginning([logger], SETTINGS | {"trainer": {"enable_autolog_hparams": False}}, DATA)
    assert not logger.experiment.hparams
    tell_beginning([JsonlLogger(tmp_path), logger], SETTINGS, DATA)
    logger.save()
    (file,) = tmp_path.glob("**/hparams.yaml")
    assert yaml.safe_load(file.read_text()) == {"recipe": "digits", "model": {"lr": 2e-4}}


def test_the_key_of_a_logger_is_no_hyperparameter(tmp_path: Path) -> None:
    """Whoever saw the experiment saw the key that it was sent with."""
    key = {"class_path": "lightning.pytorch.loggers.CometLogger", "init_args": {"api_key": "secret"}}
    for loggers in (key, [key, key]):
        logger = CSVLogger(tmp_path, version=0)
        tell_beginning([logger], SETTINGS | {"trainer": {"precision": "32-true", "logger": loggers}}, DATA)
        logger.save()
        text = (tmp_path / "lightning_logs/version_0/hparams.yaml").read_text()
        assert "secret" not in text
        assert yaml.safe_load(text)["trainer"] == {"precision": "32-true"}
    assert without_loggers(SETTINGS) == SETTINGS


def test_a_table_is_written_when_a_grid_is_drawn(tmp_path: Path, png: Path) -> None:
    """Lightning writes it at steps that end with 99, which images seen hardly do, or at the end."""
    logger = CSVLogger(tmp_path)
    logger.log_metrics({"loss": 1.5}, step=128)
    assert not list(tmp_path.glob("**/metrics.csv"))
    show_image([logger], "grid", png, 128)
    (file,) = tmp_path.glob("**/metrics.csv")
    assert file.read_text().splitlines() == ["loss,step", "1.5,128"]


def test_what_lightnings_callbacks_log_is_at_the_images_seen_too(tmp_path: Path) -> None:
    """It stood at batches, beside losses at images: the rate of 64 images above the loss of the first."""
    look_on = ["--trainer.callbacks", "LearningRateMonitor", "--trainer.log_every_n_steps", "1"]
    table = ["--trainer.logger", "CSVLogger", "--trainer.logger.save_dir", str(tmp_path)]
    few = ["--images", "32", "--data.batch_size", "8", "--model.width", "2"]
    none = ["--evaluation.every", "null", "--keep.monitor", "null"]
    zoo("dcgan", "fit", "--recipe", "digits", *few, *none, *look_on, *table, "--run_dir", str(tmp_path / "run"))
    (file,) = tmp_path.glob("lightning_logs/version_0/metrics.csv")
    with file.open() as text:
        rows = list(csv.DictReader(text))
    assert [int(row["step"]) for row in rows if row["loss_discriminator"]] == [8, 16, 24, 32]
    rates = {int(row["step"]) for row in rows if any(value for name, value in row.items() if name.startswith("lr-"))}
    assert rates == {0, 8, 16, 24}  # before each update


def test_tensorboard_has_numbers_settings_and_grids(tmp_path: Path, png: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logger = TensorBoardLogger(str(tmp_path))
    tell_beginning([logger], SETTINGS, DATA)
    logger.log_metrics({"loss": 1.5}, step=128)
    show_image([logger], "grid", png, 128)
    logger.finalize("success")
    events = EventAccumulator(logger.log_dir).Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(128, 1.5)]
    (image,) = events.Images("grid")
    assert (image.step, image.width, image.height) == (128, 6, 4)
    assert "_hparams_/session_start_info" in events.summary_metadata


def test_mlflow_has_numbers_settings_and_grids(tmp_path: Path, png: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow", reason="mlflow is not installed")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    logger = MLFlowLogger(save_dir=str(tmp_path / "ml"), experiment_name="gan")
    tell_beginning([logger], SETTINGS, DATA)
    logger.log_metrics({"loss": 1.5}, step=128)
    show_image([logger], "grid", png, 128)
    run = logger.experiment.get_run(logger.run_id)
    assert run.data.params == {"recipe": "digits", "model/lr": "0.0002"}
    assert run.data.metrics == {"loss": 1.5}
    assert [path.suffix for path in (tmp_path / "ml").glob("**/images/grid*step*128*")].count(".png") == 1


def test_wandbs_logger_of_ones_own_is_given_what_it_takes(png: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists of images: it used to end the training, as the mirror's own method has the same name."""
    pytest.importorskip("wandb")
    logged: list[dict[str, Any]] = []
    run = SimpleNamespace(log=logged.append)
    monkeypatch.setattr(WandbLogger, "experiment", run)
    show_image([WandbLogger(offline=True)], "grid", png, 128)
    (point,) = logged
    assert point["trainer/global_step"] == 128
    assert "128" in json.dumps(point["grid"][0]._caption)


class Refusing(CSVLogger):
    """Cannot be made, as one whose server is away."""

    def __init__(self) -> None:
        raise OSError("no server there")


def test_a_logger_that_cannot_be_made_says_why_in_a_list_too(tmp_path: Path) -> None:
    """And not that a list of loggers is no logger."""
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--logger", type=Logger | Iterable[Logger] | bool | None)
    kinds = ["lightning.pytorch.loggers.CSVLogger", f"{__name__}.Refusing"]
    loggers = [{"class_path": kinds[0], "init_args": {"save_dir": str(tmp_path)}}, {"class_path": kinds[1]}]
    parsed = parser.parse_args([f"--logger={json.dumps(loggers)}"])
    with pytest.raises(UsageError) as refused, in_its_own_words():
        parser.instantiate(parsed)
    assert str(refused.value) == "no server there"
