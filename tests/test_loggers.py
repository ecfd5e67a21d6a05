"""The record of a run's numbers, and its W&B mirror read back out of the file that W&B itself would upload."""

from __future__ import annotations

import json
import math
import pickle
import re
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.fabric.utilities.rank_zero import rank_zero_only
from wandb_files import close, history, wandb_records, without_account

from zoo.errors import RecordError
from zoo.training.loggers import JsonlLogger, read_metrics
from zoo.training.mirror import WandbMirror


def lines(run_dir: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]


def test_each_call_is_one_line_with_images_seen_and_time(tmp_path: Path) -> None:
    logger = JsonlLogger(tmp_path / "run")
    before = time.time()
    logger.log_metrics({"d_loss": 1.5, "n": 3, "g_loss": torch.tensor(0.25), "kind": "raw"}, step=64)
    assert len(lines(tmp_path / "run")) == 1  # written at once, not when the run ends
    logger.log_metrics({"d_loss": torch.tensor([1.0])}, 128)
    first, second = lines(tmp_path / "run")
    assert {k: v for k, v in first.items() if k != "time"} == {
        "images_seen": 64,
        "d_loss": 1.5,
        "n": 3,
        "g_loss": 0.25,
        "kind": "raw",
    }
    assert list(first)[:2] == ["images_seen", "time"]
    for row in (first, second):  # of the system's clock, which may be set back by a little at any time
        assert abs(row["time"] - before) < 60
    assert first["time"] == round(first["time"], 3)
    assert (second["images_seen"], second["d_loss"]) == (128, 1.0)


@pytest.mark.parametrize("kind", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("wrap", [float, lambda kind: torch.tensor(float(kind))])
def test_what_is_not_finite_is_null_with_its_kind_beside_it(tmp_path: Path, kind: str, wrap: Any) -> None:
    JsonlLogger(tmp_path).log_metrics({"loss": wrap(kind), "fine": 1.0}, step=1)
    text = (tmp_path / "metrics.jsonl").read_text()
    assert "NaN" not in text  # NaN and Infinity are no JSON
    assert "Infinity" not in text
    row = json.loads(text)
    assert row["loss"] is None
    assert row["loss_nonfinite"] == kind
    assert "fine_nonfinite" not in row


def test_large_counts_stay_exact(tmp_path: Path) -> None:
    JsonlLogger(tmp_path).log_metrics({"loss": 0.1}, step=25_000_001)  # float32 would give 25,000,000
    assert lines(tmp_path)[0]["images_seen"] == 25_000_001


def test_other_ranks_write_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rank_zero_only, "rank", 1, raising=False)
    logger = JsonlLogger(tmp_path)
    logger.log_metrics({"loss": 1.0}, step=1)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(rank_zero_only, "rank", 0)
    logger.log_metrics({"loss": 1.0}, step=1)
    assert len(lines(tmp_path)) == 1


def test_bad_metrics_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    logger = JsonlLogger(tmp_path)
    with pytest.raises(ValueError, match="images seen"):
        logger.log_metrics({"loss": 1.0})
    with pytest.raises(ValueError, match=r"\['time'\]"):
        logger.log_metrics({"time": 1.0}, step=1)
    with pytest.raises(TypeError, match=r"'w' has shape \(2,\)"):
        logger.log_metrics({"w": torch.zeros(2)}, step=1)
    with pytest.raises(TypeError, match="'w' is a list"):
        logger.log_metrics({"w": [1.0]}, step=1)
    logger.log_hyperparams({"lr": 0.1})
    logger.log_image("grid", tmp_path / "x.png", 1)
    assert list(tmp_path.iterdir()) == []


def test_a_line_that_cannot_be_written_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(RecordError, match=r"metrics\.jsonl"):
        JsonlLogger(tmp_path).log_metrics({"loss": 1.0}, step=1)


def test_resume_drops_later_points_and_the_unfinished_line(tmp_path: Path) -> None:
    logger = JsonlLogger(tmp_path)
    for n in (10, 20, 30, 40):
        logger.log_metrics({"loss": n / 10}, step=n)
    before = lines(tmp_path)
    with logger.path.open("a") as file:
        file.write('{"images_seen": 15, "lo')
    logger.resume_at(20)
    assert lines(tmp_path) == before[:2]  # 20 itself stays, its time and values unchanged
    logger.log_metrics({"loss": 3.0}, step=30)
    assert [row["images_seen"] for row in lines(tmp_path)] == [10, 20, 30]
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


@pytest.mark.parametrize(
    ("torn", "kept"),
    [('{"images_seen": 64}\n{"images_s', 1), ('{"images_seen": 64}\n{"images_seen": 128}', 2), ("{", 0)],
)
def test_what_comes_after_an_unfinished_line_is_a_line_of_its_own(tmp_path: Path, torn: str, kept: int) -> None:
    """Two `test`s of a run that was killed while it wrote."""
    (tmp_path / "metrics.jsonl").write_text(torn)
    for _ in range(2):
        JsonlLogger(tmp_path).log_metrics({"test/fd": 1.0}, 192)
    assert [row["images_seen"] for row in read_metrics(tmp_path / "metrics.jsonl")] == [*[64, 128][:kept], 192, 192]


def test_resume_completes_a_last_line_without_newline(tmp_path: Path) -> None:
    logger = JsonlLogger(tmp_path)
    logger.path.write_text('{"images_seen": 10}')
    logger.resume_at(10)
    logger.log_metrics({}, step=20)
    assert [row["images_seen"] for row in lines(tmp_path)] == [10, 20]


def test_resume_without_a_file_makes_none(tmp_path: Path) -> None:
    JsonlLogger(tmp_path).resume_at(10)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_resume_leaves_the_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logger = JsonlLogger(tmp_path)
    for n in (10, 20):
        logger.log_metrics({}, step=n)
    before = logger.path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(RecordError, match="No space left"):
        logger.resume_at(10)
    assert logger.path.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_only_the_last_line_may_be_unfinished(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    whole = '{"images_seen": 1}\n{"images_seen": 2, "name": "é"}\n'.encode()
    for cut in range(20, len(whole)):  # cuts within the two bytes of "é" too
        path.write_bytes(whole[:cut])
        assert len(read_metrics(path)) == (2 if cut == len(whole) - 1 else 1), cut
    path.write_bytes(b"")
    assert read_metrics(path) == []
    path.write_bytes(b'{"images_seen": 1}\n{"images_se\n{"images_seen": 3}\n')
    with pytest.raises(RecordError, match="line 2 is no JSON"):
        read_metrics(path)
    path.write_bytes(b'{"images_seen": 1}\n{"loss": 2}\n')
    with pytest.raises(RecordError, match="line 2 has no integer images_seen"):
        read_metrics(path)
    with pytest.raises(RecordError, match=r"there is no metrics file .*absent\.jsonl"):
        read_metrics(tmp_path / "absent.jsonl")


def test_the_logger_can_be_pickled(tmp_path: Path) -> None:
    logger = pickle.loads(pickle.dumps(JsonlLogger(tmp_path)))
    logger.log_metrics({"loss": 1.0}, step=5)
    assert lines(tmp_path)[0]["images_seen"] == 5
    assert logger.save_dir == str(tmp_path)


# --- the mirror ---


def mirror(run_dir: Path, name: str = "seed 0") -> WandbMirror:
    config = {"model": {"lr": 0.0002}, "seed": 0}
    return WandbMirror(run_dir, project="zoo", name=name, group="dcgan", tags=["cifar10"], config=config)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without_account(monkeypatch, tmp_path)


@pytest.mark.usefixtures("offline")
def test_an_offline_mirror_holds_every_point_once_with_images_seen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    run_dir, png = tmp_path / "run", tmp_path / "grid.png"
    Image.new("RGB", (8, 8)).save(png)
    logger = mirror(run_dir)
    logger.log_hyperparams({"lr": 1})
    assert not run_dir.exists()  # nothing before the first point: another rank, or --help, opens no run
    logger.log_metrics({"d_loss": 1.25, "fid5k": 80.0}, step=25_000_001)
    logger.log_metrics({"d_loss": math.nan}, step=25_000_065)
    logger.log_image("grid", png, 25_000_065)
    logger.finalize("success")
    close(logger)

    (place,) = (run_dir / "wandb").glob("offline-run-*")
    assert f"{place}, offline; `wandb sync {place}` sends it" in capsys.readouterr().out
    records = wandb_records(run_dir)
    rows = history(records)
    assert [row["images_seen"] for row in rows] == [25_000_001, 25_000_065, 25_000_065]
    assert (rows[0]["d_loss"], rows[0]["fid5k"]) == (1.25, 80.0)
    assert not any(name.startswith("trainer/") for row in rows for name in row)  # Lightning's axis
    assert "25,000,065" in json.dumps(rows[2])  # the caption

    axes = [record.metric for record in records if record.WhichOneof("record_type") == "metric"]
    assert {(axis.name or axis.glob_name): axis.step_metric for axis in axes} == {"images_seen": "", "*": "images_seen"}
    run = next(record.run for record in records if record.WhichOneof("record_type") == "run")
    assert (run.project, run.display_name, run.run_group, list(run.tags)) == ("zoo", "seed 0", "dcgan", ["cifar10"])
    config = {item.key: json.loads(item.value_json) for item in run.config.update}
    assert config["model"] == {"lr": 0.0002}
    assert run.run_id == (run_dir / "wandb_id").read_text().strip()
    media = list((run_dir / "wandb").glob("offline-run-*/files/media/images/*.png"))
    assert [file.read_bytes() for file in media] == [png.read_bytes()]
    assert not any(record.WhichOneof("record_type") == "artifact" for record in records)


@pytest.mark.usefixtures("offline")
def test_a_resume_continues_the_run_and_another_run_gets_its_own_id(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mirror(tmp_path / "a").log_metrics({"loss": 1.0}, step=1)
    resumed = mirror(tmp_path / "a")
    resumed.log_metrics({"loss": 2.0}, step=2)  # the first is still open, as in a notebook
    resumed.finalize("success")
    (pattern,) = re.findall(r"`wandb sync (\S+)` sends it whole", capsys.readouterr().out)
    parts = list((tmp_path / "a/wandb").glob("offline-run-*"))
    assert sorted(parts) == sorted(Path("/").glob(pattern.lstrip("/")))  # what a shell makes of it: both
    assert len(parts) == 2
    other = mirror(tmp_path / "b", name="other")
    other.log_metrics({"loss": 9.0}, step=9)
    close(other)
    ids = {
        name: {r.run.run_id for r in wandb_records(tmp_path / name) if r.WhichOneof("record_type") == "run"}
        for name in "ab"
    }
    assert ids["a"] == {(tmp_path / "a" / "wandb_id").read_text().strip()}
    assert len(ids["b"]) == 1
    assert ids["a"] != ids["b"]
    points = {
        name: [(row["images_seen"], row["loss"]) for row in history(wandb_records(tmp_path / name))] for name in "ab"
    }
    assert points == {"a": [(1, 1.0), (2, 2.0)], "b": [(9, 9.0)]}


@pytest.mark.usefixtures("offline")
def test_mode_follows_key_and_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    from zoo.training.mirror import mode

    assert mode() == "offline"
    monkeypatch.setenv("WANDB_MODE", "online")
    assert mode() == "offline"  # without a key, W&B would prompt
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    assert mode() == "online"
    monkeypatch.delenv("WANDB_MODE")
    assert mode() == "online"
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert mode() == "offline"
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert mode() == "disabled"


@pytest.mark.usefixtures("offline")
def test_a_refused_key_costs_a_warning_and_the_run_goes_on_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "too-short")
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    logger = mirror(tmp_path)
    with pytest.warns(UserWarning, match="W&B cannot be used .*wandb sync"):
        logger.log_metrics({"loss": 1.0}, step=1)
    close(logger)
    assert [row["loss"] for row in history(wandb_records(tmp_path))] == [1.0]


@pytest.mark.slow  # W&B tries for some ten seconds
@pytest.mark.usefixtures("offline")
def test_a_server_that_cannot_be_reached_costs_a_warning_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_INIT_TIMEOUT", "2")
    logger = mirror(tmp_path)
    with pytest.warns(UserWarning, match="W&B cannot be used "):
        logger.log_metrics({"loss": 1.0}, step=1)
    close(logger)
    assert [row["loss"] for row in history(wandb_records(tmp_path))] == [1.0]


def test_other_ranks_open_no_wandb_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setattr(rank_zero_only, "rank", 1, raising=False)
    logger = mirror(tmp_path / "run")
    logger.log_metrics({"loss": 1.0}, step=1)
    logger.log_image("grid", tmp_path / "absent.png", 1)
    logger.experiment.log({"loss": 1.0})
    logger.finalize("success")
    assert list(tmp_path.iterdir()) == []


def test_without_wandb_the_error_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install wandb"):
        mirror(tmp_path)


def test_a_folder_named_wandb_is_not_taken_for_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wandb").mkdir()
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])  # what `python script.py` sees where wandb is not installed
    with pytest.raises(ModuleNotFoundError, match="wandb is not installed"):
        mirror(tmp_path)
