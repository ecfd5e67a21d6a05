"""What a run has measured is recorded, whatever became of its files, of its checkpoints and of the clock meanwhile."""

import json
import os
import shutil
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import torch

from zoo.models import MODELS
from zoo.models.trained import FinishedRun
from zoo.runs.clock import Clock, end_in_words
from zoo.runs.folder import set_aside
from zoo.runs.record import read_metrics, read_result
from zoo.training import reproduce
from zoo.training.loggers import JsonlLogger
from zoo.training.scripts import script_of

pytestmark = pytest.mark.usefixtures("few_draws")
TINY = ["--model.width", "2", "--data.batch_size", "16", "--keep.monitor", "null", "--evaluation.every", "null"]
FEW = ["--evaluation.test_samples", "100", "--evaluation.real_images", "100", "--evaluation.extractors", "[lenet]"]


def zoo(*arguments: str, paper: str = "dcgan") -> None:
    """As `python reproductions/<paper>.py ARGUMENTS`."""
    reproduce(paper, script_of(paper).recipes, arguments=list(arguments))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Path:
    """A run of two batches."""
    run = tmp_path_factory.mktemp("runs") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOO_CACHE", str(shared_cache))
        zoo("fit", "--recipe", "digits", *TINY, "--images", "32", "--run_dir", str(run))
    return run


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of that run that a test may damage."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def changed(run: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Changes the last checkpoint."""
    file = run / "checkpoints/last.ckpt"
    checkpoint = torch.load(file, weights_only=True)
    change(checkpoint)
    torch.save(checkpoint, file)


class TestClock:
    """It is set back by ten years: no time lies before another that was earlier."""

    def test_never_back(self, monkeypatch: pytest.MonkeyPatch) -> None:
        wall, passed = iter([1000.0, 1001.0, 500.0, 501.0, 1010.0]), iter([0.0, 1.0, 3.0, 4.0, 5.0])
        monkeypatch.setattr(time, "time", lambda: next(wall))
        monkeypatch.setattr(time, "monotonic", lambda: next(passed))
        clock = Clock()
        assert [clock.now() for _ in range(4)] == [1001.0, 1003.0, 1004.0, 1010.0]

    def test_rows_of_a_resumed_run(self, tmp_path: Path) -> None:
        ahead = time.time() + 3600
        rows = [{"images_seen": 8, "time": ahead, "loss": 1.0}, {"images_seen": 16, "time": "noon"}]
        (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        logger = JsonlLogger(tmp_path)
        logger.resume_at(16)
        logger.log_metrics({"loss": 2.0}, step=24)
        last = read_metrics(tmp_path / "metrics.jsonl")[-1]
        assert ahead - 0.001 <= last["resumed"] <= last["time"] < ahead + 60

    def test_a_run_does_not_end_before_it_began(self, run: Path) -> None:
        """Nor does a damaged best.ckpt cost more than what was measured of it."""
        record = read_result(run)
        taken = {"images_seen": 32, "values": {"fd": 1.0}, "protocols": {}}
        record["tests"] = [{"checkpoint": f"{name}.ckpt", **taken} for name in ("best", "last")]
        (run / "result.json").write_text(json.dumps(record))
        (run / "checkpoints/best.ckpt").write_bytes(b"torn")
        began = datetime.now(timezone.utc).replace(year=2100).isoformat(timespec="seconds")
        changed(run, lambda c: c["callbacks"]["RunReport"].update(started=began, seconds=3601.0))
        zoo("fit", "--run_dir", str(run), "--ckpt_path", "last")
        record = read_result(run)
        took = datetime.fromisoformat(record["finished"]) - datetime.fromisoformat(record["started"])
        assert (record["started"], took.total_seconds() >= 3601) == (began, True)
        assert [test["checkpoint"] for test in record["tests"]] == ["last.ckpt"]
        usual = datetime.fromisoformat(end_in_words("2020-01-01T00:00:00+00:00", seconds=5))
        assert abs(usual.timestamp() - time.time()) < 60


def test_figures_are_not_taken_where_they_cannot_be_recorded(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They were measured first, which may take an hour."""
    access = os.access
    monkeypatch.setattr(
        "os.access", lambda path, mode, **o: access(path, mode, **o) and (Path(path), mode) != (run, os.W_OK)
    )
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with pytest.raises(SystemExit):
        zoo("test", "--run_dir", str(run), *FEW)
    out = capsys.readouterr()
    assert f"{run} cannot be written to, and `test` records its figures there" in out.err
    assert "fd_lenet" not in out.out
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("way", "content"), [("last", b"\xff"), ("auto", b'{"schema": 2}')])
def test_a_damaged_record_is_set_aside(run: Path, content: bytes, way: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The run goes on from its last checkpoint, and what lay there is kept under another name."""
    before = read_result(run)
    (run / "result.json").write_bytes(content)
    zoo("fit", "--run_dir", str(run), "--ckpt_path", way, "--images", "32")
    after = read_result(run)
    assert (after["images_seen"], after["measures"]) == (32, before["measures"])
    assert (run / "result.json.damaged-1").read_bytes() == content
    assert "result.json.damaged-1: " in capsys.readouterr().out


def test_what_is_set_aside_takes_nobodys_place(tmp_path: Path) -> None:
    for i in (1, 2):
        (tmp_path / "a.json").write_text(str(i))
        assert set_aside(tmp_path / "a.json").name == f"a.json.damaged-{i}"
    assert [(tmp_path / f"a.json.damaged-{i}").read_text() for i in (1, 2)] == ["1", "2"]


def test_test_measures_nothing_that_it_could_not_record(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "result.json").write_text("{")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with pytest.raises(SystemExit) as stop:
        zoo("test", "--run_dir", str(run), *FEW)
    said = capsys.readouterr().err
    assert (stop.value.code, said.count("error:")) == (1, 1)
    assert "result.json cannot be read as JSON" in said
    assert f"--run_dir {run} --ckpt_path last` writes it anew" in said
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


def test_figures_outlast_a_damaged_log(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of `test`, which reads the log for figures, and of the record at the end of a training."""
    log = run / "metrics.jsonl"
    log.write_text('{"images_seen": 0, "time": 1.0, "loss_generator": 1.0}\nnonsense\n{"images_seen": 32}\n')
    with pytest.warns(UserWarning, match=r"metrics\.jsonl: line 2 is no JSON .* passed over \(1 in all\)"):
        assert [row["images_seen"] for row in FinishedRun(run, models=MODELS).rows] == [0, 32]
    zoo("test", "--run_dir", str(run), *FEW)
    assert "fd_lenet100" in read_result(run)["tests"][0]["values"]
    assert log.read_text().splitlines()[1] == "nonsense"  # nothing is taken away
    with pytest.raises(SystemExit):
        zoo("fit", "--run_dir", str(run), "--ckpt_path", "last")  # which would write the log anew
    assert "metrics.jsonl, line 2 is no JSON" in capsys.readouterr().err
