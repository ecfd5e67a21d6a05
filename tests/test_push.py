"""Runs pushed to W&B after an offline training, read back from the files that would be uploaded; and fetched again."""

import json
import math
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from made_runs import make_run
from wandb_files import history, ids, wandb_records, without_account

from zoo.commands.compare.reading import read_run
from zoo.commands.wandb.pull import pull
from zoo.commands.wandb.push import PUSHED_FILE, as_logged, push
from zoo.errors import RecordError, ZooError
from zoo.runs.record import read_metrics


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without_account(monkeypatch, tmp_path)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def add_row(folder: Path, row: dict[str, Any]) -> None:
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")


@pytest.mark.usefixtures("offline")
def test_a_push_holds_the_whole_record_and_a_second_changes_nothing(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "seed-0", paper="wgan", model={"lr": 5e-5}, tests={"last": 66.0})
    add_row(
        folder, {"images_seen": 400, "time": 1_700_000_050.0, "loss_generator": None, "loss_generator_nonfinite": "inf"}
    )
    line = push(folder, project="zoo")
    assert "8 points, 3 grids and the record to W&B run" in line

    records = wandb_records(folder)
    (run_id,) = ids(records)
    assert run_id == (folder / "wandb_id").read_text().strip()
    rows = history(records)
    points = [row for row in rows if "fd_lenet2k" in row or "loss_generator" in row]
    local = read_metrics(folder / "metrics.jsonl")
    assert [row["images_seen"] for row in points] == [row["images_seen"] for row in local]
    assert [row["_timestamp"] for row in points] == [row["time"] for row in local]
    assert [row.get("fd_lenet2k") for row in points] == [row.get("fd_lenet2k") for row in local]
    assert points[-1]["loss_generator"] in ("Infinity", math.inf)
    grids = [row["images_seen"] for row in rows if any(name.startswith("grid") for name in row)]
    assert grids == [0, 200, 400]
    assert [row["images_seen"] for row in rows] == sorted(row["images_seen"] for row in rows)

    run = next(record.run for record in records if record.WhichOneof("record_type") == "run")
    assert (run.project, run.display_name, run.run_group) == ("zoo", "wgan-digits-seed-0", "wgan")
    assert list(run.tags) == ["digits", "Digits"]
    config = {item.key: json.loads(item.value_json) for item in run.config.update}
    assert (config["paper"], config["model"]) == ("wgan", {"lr": 5e-5})
    summary = {
        item.key or "/".join(item.nested_key): json.loads(item.value_json)
        for record in records
        if record.WhichOneof("record_type") == "summary"
        for item in record.summary.update
    }
    assert (summary["best/fd_lenet2k"], summary["last/fd_lenet2k"]) == (50.0, 60.0)
    (table,) = folder.glob("wandb/offline-run-*/files/media/table/*.json")
    assert ["fd_lenet", "test of last.ckpt", 66.0, 400] in [row[:4] for row in json.loads(table.read_text())["data"]]
    (copy,) = folder.glob("wandb/offline-run-*/files/result.json")
    assert copy.read_bytes() == (folder / "result.json").read_bytes()

    before = files_of(folder)
    assert push(folder, project="zoo") == f"{folder}: W&B run {run_id} holds all of it; nothing was sent"
    assert files_of(folder) == before


@pytest.mark.usefixtures("offline")
def test_only_what_was_added_is_sent_and_a_rewritten_past_starts_anew(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", finished=False)
    assert "7 points and 3 grids to W&B run" in push(folder)
    (first,) = ids(wandb_records(folder))
    add_row(folder, {"images_seen": 500, "time": 1_700_000_060.0, "loss_generator": 1.5})
    assert "1 points and 0 grids" in push(folder)
    assert ids(wandb_records(folder)) == {first}
    assert [row["images_seen"] for row in history(wandb_records(folder)) if "loss_generator" in row] == [
        100, 200, 300, 400, 500,
    ]  # fmt: skip

    kept = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)[:4]  # resumed from 200 images
    (folder / "metrics.jsonl").write_text("".join(kept))
    add_row(folder, {"images_seen": 300, "time": 1_700_000_090.0, "loss_generator": 9.0})
    line = push(folder)
    assert f"resumed from before what it holds: W&B run {first} may be deleted" in line
    assert (folder / "wandb_id").read_text().strip() != first
    assert ids(wandb_records(folder)) == {first, (folder / "wandb_id").read_text().strip()}


@pytest.mark.usefixtures("offline")
def test_a_push_that_broke_off_is_done_again_as_a_new_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_run(tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr("zoo.commands.wandb.push.send", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            push(folder)
    first = (folder / "wandb_id").read_text()
    assert "that push broke off" in push(folder)
    assert (folder / "wandb_id").read_text() != first
    (folder / PUSHED_FILE).write_text("{}")
    with pytest.raises(RecordError, match=rf"{PUSHED_FILE} is damaged .*--again"):
        push(folder)


def test_what_cannot_be_pushed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RecordError, match=r"there is no run at .*absent"):
        push(tmp_path / "absent")
    assert not (tmp_path / "absent").exists()
    folder = make_run(tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setitem(__import__("sys").modules, "wandb", None)
        with pytest.raises(RecordError, match=r"pip install wandb"):
            push(folder)
    pytest.importorskip("wandb")
    (folder / "config.yaml").write_text((folder / "config.yaml").read_text().replace("wandb: false", "wandb: true"))
    before = files_of(folder)
    with pytest.raises(RecordError, match=r"was mirrored to W&B while training.*wandb sync.*--again"):
        push(folder)
    assert files_of(folder) == before


# --- from W&B ---


class FakeApi:
    """What `pull` uses of `wandb.Api`, over the folder of a run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def runs(self, project: str) -> list[Any]:
        if project != "me/zoo":
            raise ValueError("Could not find project")
        rows = read_metrics(self.folder / "metrics.jsonl")
        points = [
            {k: v for k, v in row.items() if k != "time"} | {"_timestamp": row["time"], "_step": 0} for row in rows
        ]
        grid = {
            "images_seen": 400,
            "_timestamp": 1.0,
            "grid": {"_type": "image-file", "path": "grids/images-000000400.png"},
        }
        empty = SimpleNamespace(name="empty", id="0", scan_history=lambda: [{"_step": 1}])
        whole = SimpleNamespace(
            name="gan/seed 0",
            id="1a",
            group="gan",
            config={"recipe": "digits", "seed_everything": 0},
            scan_history=lambda: [*points, grid],
            file=lambda path: SimpleNamespace(download=lambda root, replace: self.download(path, Path(root))),
            files=lambda: [SimpleNamespace(name="result.json")],
        )
        return [empty, whole]

    def download(self, path: str, root: Path) -> Any:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.folder / path, root / path)
        return (root / path).open()


def test_a_line_without_its_time_is_pushed_too() -> None:
    row = {"images_seen": 400, "fd": None, "fd_nonfinite": "-inf"}
    assert as_logged(row) == {"fd": -math.inf}
    assert as_logged({**row, "time": 3.0}) == {"fd": -math.inf, "_timestamp": 3.0}


def test_runs_are_fetched_as_folders_that_can_be_compared(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    local = make_run(tmp_path / "local")
    (folder,) = pull("me/zoo", tmp_path / "fetched", api=FakeApi(local))
    assert folder.name == "gan_seed_0-1a"
    fetched, wanted = read_run(folder), read_run(local)
    assert fetched.points("fd_lenet2k") == wanted.points("fd_lenet2k")
    assert fetched.points("loss_generator") == wanted.points("loss_generator")
    assert fetched.record == wanted.record
    assert list(fetched.grids) == [400]
    assert fetched.grids[400].read_bytes() == wanted.grids[400].read_bytes()


def test_points_that_lack_their_place_or_their_time_do_not_end_a_fetch(tmp_path: Path) -> None:
    wandb = pytest.importorskip("wandb")
    api = FakeApi(make_run(tmp_path / "local"))
    (run,) = api.runs("me/zoo")[1:]
    whole = run.scan_history()[:-1]
    run.scan_history = lambda: [{"images_seen": "NaN", "fd": 1.0}, *whole, {"images_seen": 500, "fd_lenet2k": 3.0}]
    api.runs = lambda project: [run]
    (folder,) = pull("me/zoo", tmp_path / "fetched", api=api)
    assert [(point.images_seen, point.seconds) for point in read_run(folder).points("fd_lenet2k")][-2:] == [
        (400, 40.0),
        (500, 40.0),
    ]

    def gone(path: str) -> None:
        raise wandb.errors.CommError("no such file")

    run.file = gone
    with pytest.raises(RecordError, match="the runs of me/zoo cannot be fetched from W&B: no such file"):
        pull("me/zoo", tmp_path / "again", api=api)


def test_what_a_resume_gave_up_is_not_fetched(tmp_path: Path) -> None:
    """A run that is killed at 500 images and goes on from its checkpoint at 300; W&B holds both futures."""
    pytest.importorskip("wandb")
    api = FakeApi(make_run(tmp_path / "local", finished=False))
    (run,) = api.runs("me/zoo")[1:]

    def point(at: int, **values: float) -> dict[str, Any]:
        return {"images_seen": at, "_timestamp": 1.0 + at, **values}

    before = [point(at, loss_generator=1.0) for at in (100, 200, 300, 400, 500)]
    before.insert(3, point(300, fd_lenet2k=50.0))
    before.append(point(500, fd_lenet2k=1.0))
    after = [point(at, loss_generator=2.0) for at in (400, 500)] + [point(500, fd_lenet2k=40.0)]
    test = [point(300, **{"test/fd_lenet": 60.0}), point(500, **{"test/fd_lenet": 45.0})]
    run.scan_history = lambda: [*before, *after, *test]
    api.runs = lambda project: [run]
    run.files = list
    (folder,) = pull("me/zoo", tmp_path / "fetched", api=api)
    fetched = read_run(folder)
    assert [(p.images_seen, p.value) for p in fetched.points("fd_lenet2k")] == [(300, 50.0), (500, 40.0)]
    losses = [(row["images_seen"], row["loss_generator"]) for row in fetched.rows if "loss_generator" in row]
    assert losses == [(100, 1.0), (200, 1.0), (300, 1.0), (400, 2.0), (500, 2.0)]
    tests = [row["test/fd_lenet"] for row in read_metrics(folder / "metrics.jsonl") if "test/fd_lenet" in row]
    assert tests == [60.0, 45.0]


def test_projects_that_cannot_be_fetched(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    api = FakeApi(make_run(tmp_path / "local"))
    with pytest.raises(RecordError, match="--wandb wants ENTITY/PROJECT, not 'zoo'"):
        pull("zoo", tmp_path / "fetched", api=api)
    with pytest.raises(ZooError, match="the runs of me/other cannot be read from W&B: Could not find project"):
        pull("me/other", tmp_path / "fetched", api=api)
    api.runs = lambda project: FakeApi.runs(api, "me/zoo")[:1]
    with pytest.raises(RecordError, match="no run of the W&B project me/zoo holds points"):
        pull("me/zoo", tmp_path / "fetched", api=api)
