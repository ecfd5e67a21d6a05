"""Runs found and read: whole, unfinished, damaged, resumed."""

import argparse
import json
import shutil
from pathlib import Path

import pytest
from made_runs import START, make_run, write_rows

from zoo.commands import records
from zoo.commands.compare.comparison import Comparison
from zoo.commands.compare.groups import grouped
from zoo.commands.compare.page import write_page
from zoo.commands.compare.reading import read_run, read_runs
from zoo.commands.compare.runs import training_seconds
from zoo.commands.compare.text import as_text
from zoo.errors import ZooError
from zoo.runs.record import read_metrics


def test_a_finished_run(tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path / "a", paper="wgan", seed=3, tests={"best": 40.0, "last": 70.0}))
    assert (run.paper, run.recipe, run.seed, run.dataset) == ("wgan", "digits", 3, "Digits (5,000)")
    assert (run.images_seen, run.wall_time, run.images_per_second) == (400, 40.0, 10.0)
    points = [(0, 0, 600, 1, 0), (200, 20, 50, 1, 20), (400, 40, 60, 1, 40)]
    assert [tuple(point) for point in run.points("fd_lenet2k")] == points
    assert run.measures["fd_lenet2k"]["best"] == {"value": 50.0, "images_seen": 200}
    assert run.traces == ["loss_generator"]  # a measure is none, nor is its error
    assert run.tests["last"]["values"] == {"fd_lenet": 70.0}
    assert sorted(run.grids) == [0, 200, 400]
    assert run.notes == ()


def test_what_describes_has_no_best_whatever_an_older_version_took_for_better(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Records of 0.1 have the gradient norm of the untrained critic as the best."""
    record = json.loads((Path(__file__).parents[2] / "reproductions/records/wgan_gp-mnist-seed0.json").read_text())
    norm = record["measures"]["critic_gradient_norm"]
    norm |= {"better": "lower", "best": norm["first"]}
    file = tmp_path / "wgan_gp-mnist-seed0.json"
    file.write_text(json.dumps(record))
    text = as_text(Comparison(*read_runs([file])))
    assert "critic_gradient_norm while training (a description, not a score)" in text
    assert text.count(f"{norm['first']['value']:.4g}") == 1  # before training
    records.tell(file)
    assert f"  critic_gradient_norm     last {norm['last']['value']:.5g}" in capsys.readouterr().out.splitlines()


def test_a_run_that_goes_on_after_its_record_is_said_to(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a")
    assert not read_runs([run])[0][0].notes
    with (run / "metrics.jsonl").open("a") as log:
        log.write(json.dumps({"images_seen": 900, "fd_lenet2k": 3.0, "time": 1_700_000_090.0}) + "\n")
    ((found,), _) = read_runs([run])
    assert found.notes == ("it was gone on with: its curves reach 900 images, its figures are of its record, of 400",)
    assert found.measures["fd_lenet2k"]["best"]["value"] == 50


@pytest.mark.parametrize("seed", ["'3'", "[1]", "true"])
def test_a_seed_that_is_none_is_not_known(tmp_path: Path, seed: str) -> None:
    """As someone wrote it into a config.yaml."""
    runs = [make_run(tmp_path / name, seed=i, finished=False) for i, name in enumerate("ab")]
    text = (runs[1] / "config.yaml").read_text()
    (runs[1] / "config.yaml").write_text(text.replace("seed_everything: 1", f"seed_everything: {seed}"))
    found, _ = read_runs(runs)
    assert [run.seed for run in found] == [0, None]
    (group,) = grouped(found)
    assert [member.seed for member in group.averaged] == [None, 0]


def test_several_calls_of_test_on_one_checkpoint(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a", tests={"last": 70.0})
    record = json.loads((folder / "result.json").read_text())
    first = record["tests"][0]
    record["tests"].append(
        {**first, "values": {"fid50k": 9.0}, "protocols": {"fid50k": first["protocols"]["fd_lenet"]}}
    )
    (folder / "result.json").write_text(json.dumps(record))
    assert read_run(folder).tests["last"]["values"] == {"fd_lenet": 70.0, "fid50k": 9.0}
    record["tests"][1]["images_seen"] = 800  # training went on in between
    (folder / "result.json").write_text(json.dumps(record))
    assert read_run(folder).tests["last"]["values"] == {"fid50k": 9.0}


def test_a_value_logged_with_the_losses_and_by_evaluations(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a")
    rows = read_metrics(folder / "metrics.jsonl")
    write_rows(
        folder / "metrics.jsonl", [row | {"fd_lenet2k": 7.0} if "loss_generator" in row else row for row in rows]
    )
    run = read_run(folder)
    assert [point.value for point in run.points("fd_lenet2k")] == [600, 50, 60]
    assert [point.value for point in run.trace("fd_lenet2k")] == [7.0] * 4
    assert [point.value for point in run.trace("loss_generator")] == [1.1, 1.2, 1.3, 1.4]
    assert run.traces == ["fd_lenet2k", "loss_generator"]


def test_a_run_that_has_not_ended(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a", finished=False)
    run = read_run(folder)
    assert (run.paper, run.dataset, run.images_seen, run.wall_time) == ("unknown paper", "Digits", 400, 40.0)
    assert run.measures["fd_lenet2k"]["last"] == {"value": 60.0, "images_seen": 400}
    assert run.measures["fd_lenet2k"]["protocol"] is None
    assert run.notes == ("training has not ended: no record, and protocols are not known",)


def test_a_line_that_a_killed_run_left_unfinished(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a")
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"images_seen": 500, "fd_le')
    run = read_run(folder)
    assert run.points("fd_lenet2k")[-1].images_seen == 400
    assert run.notes == ("the last line of metrics.jsonl is unfinished (a killed run) and was passed over",)


def test_a_line_damaged_in_the_middle_costs_the_curves_alone(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a")
    text = (folder / "metrics.jsonl").read_text()
    (folder / "metrics.jsonl").write_text(text.replace('"time"', "time", 1))
    run = read_run(folder)
    assert run.points("fd_lenet2k") == []
    assert run.measures["fd_lenet2k"]["best"]["value"] == 50.0  # out of the record
    assert len(run.notes) == 1
    assert "no curves: " in run.notes[0]
    assert "line 1 is no JSON" in run.notes[0]


def test_a_record_of_an_older_schema_is_said_to_be_one(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a")
    record = json.loads((folder / "result.json").read_text())
    old = {"schema": 0, **{name: record[name] for name in ("paper", "recipe", "measures")}}  # before the rest was there
    (folder / "result.json").write_text(json.dumps(old))
    run = read_run(folder)
    assert len(run.notes) == 1
    assert "its record cannot be used: " in run.notes[0]
    assert "result.json: schema must be 1 (this zoo's), it is 0" in run.notes[0]
    assert run.points("fd_lenet2k")[-1].value == 60.0  # the log can be used
    alone = Path(shutil.copy(folder / "result.json", tmp_path / "gan-digits-seed0.json"))
    with pytest.raises(
        ZooError, match=r"(?s)no run can be compared:.*gan-digits-seed0.json is left out: .*schema must"
    ):
        read_runs([alone])
    runs, notes = read_runs([alone, folder])
    assert (len(runs), len(notes)) == (1, 1)


def test_settings_that_cannot_be_read(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a")
    for text in ("", "[1, 2]", "a: [", "\x00"):
        (folder / "config.yaml").write_text(text)
        run = read_run(folder)
        assert run.config == {}
        assert run.notes == ("config.yaml is absent or damaged: its settings are not compared",)


def test_no_runs(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "absent"):
        with pytest.raises(ZooError, match=rf"there is no run at {place}: a run is a folder with config.yaml"):
            read_runs([place])


def test_runs_are_found_below_a_folder_and_once(tmp_path: Path) -> None:
    for name in ("gan/digits/b", "gan/digits/a", "wgan/digits/a"):
        make_run(tmp_path / name)
    runs, notes = read_runs([tmp_path, tmp_path / "gan/digits/a"])
    assert [run.path.relative_to(tmp_path).as_posix() for run in runs] == [
        "gan/digits/a", "gan/digits/b", "wgan/digits/a",
    ]  # fmt: skip
    assert notes == [f"{tmp_path / 'gan/digits/a'} was named twice; it is compared once"]


def test_committed_records_and_studies(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a")
    records = tmp_path / "records"
    records.mkdir()
    shutil.copy(folder / "result.json", records / "gan-digits-seed0.json")
    shutil.copy(folder / "grids/images-000000400.png", records / "gan-digits-seed0.png")
    record = json.loads((folder / "result.json").read_text())
    study = {"schema": 1, "paper": "gan", "study": "seeds", "summary": "two seeds", "findings": {}}
    study |= {"groups": {"a": "GAN", "b": "GAN"}, "records": {"a": record, "b": record | {"seed": 1}}}
    (records / "gan-study-seeds.json").write_text(json.dumps(study))
    (records / "list.json").write_text("[]")
    runs, notes = read_runs([records])
    assert [run.seed for run in runs] == [0, 0, 1]
    assert list(runs[0].grids) == [400]
    assert runs[0].notes == ("a record alone: no curves",)
    assert len(notes) == 1
    assert "list.json is left out" in notes[0]


def test_training_time_leaves_pauses_out() -> None:
    rows = [
        {"images_seen": 0, "time": START},
        {"images_seen": 100, "time": START + 10},
        {"images_seen": 150, "time": START + 5_000, "resumed": START + 4_990},
        {"images_seen": 250, "time": START + 5_010},
    ]
    assert training_seconds(rows) == [0, 10, 20, 30]
    assert training_seconds(rows[1:2] + rows[3:]) == pytest.approx(
        [5_000 / 1.5, 5_000 / 1.5 + 5_000]
    )  # 0 to 100 images
    assert training_seconds([{"images_seen": 100}, {"images_seen": 200}]) == [0, 0]  # no clock was logged
    assert training_seconds([]) == []


ROW = '{"images_seen": 401, "time": 41.0, "fd_lenet2k": 3.0}\n'
BAD_ROWS = {
    "text": ROW.replace("3.0", '"bad"'),
    "time": ROW.replace("41.0", '"x"'),
    "resumed": ROW.replace('"time": 41.0', '"time": 41.0, "resumed": "x"'),
    "huge": ROW.replace("3.0", "1" + "0" * 400),
    "huge time": ROW.replace("41.0", "1" + "0" * 400),
    "huge images": ROW.replace("401", "1" + "0" * 400),
    "nan": ROW.replace("3.0", "NaN"),
    "list": ROW.replace("3.0", "[1]"),
    "negative": ROW.replace("401", "-5"),
    "nested": "[" * 100_000 + "\n" + ROW,
}


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize("bad", BAD_ROWS)
def test_rows_that_hold_no_numbers_are_passed_over_with_a_note(tmp_path: Path, bad: str, finished: bool) -> None:
    folder = make_run(tmp_path / "a", finished=finished)
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(BAD_ROWS[bad])
    if bad == "nested" and not finished:  # nothing of it can be read
        with pytest.raises(ZooError, match="line"):
            read_runs([folder])
        return
    runs, _ = read_runs([folder])
    comparison = Comparison(runs, [])
    assert write_page(comparison, tmp_path / "page.html").is_file()
    assert as_text(comparison)
    assert any("metrics.jsonl" in note for note in runs[0].notes)


BAD_RECORDS = {
    "nested": "[" * 100_000,
    "digits": "1" * 10_000,
    "empty": "",
    "text": '"x"',
    "huge": "HUGE",
}


@pytest.mark.parametrize("bad", BAD_RECORDS)
def test_records_that_are_none_are_one_error(tmp_path: Path, bad: str) -> None:
    folder = make_run(tmp_path / "a")
    record = (folder / "result.json").read_text()
    huge = record.replace('"wall_time_s": 40.0', '"wall_time_s": 1' + "0" * 400)
    (folder / "result.json").write_text(huge if bad == "huge" else BAD_RECORDS[bad])
    with pytest.raises(ZooError, match=r"result\.json"):
        records.run(argparse.Namespace(folder=str(folder)))
    runs, _ = read_runs([folder])
    assert any("cannot be used" in note for note in runs[0].notes)


def test_a_file_that_is_no_record_costs_the_others_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Such as the figures of `zoo evaluate --json`, kept beside the runs."""
    for name in ("a", "z"):
        make_run(tmp_path / name)
    (tmp_path / "figures.json").write_text('{"schema": 1, "subject": {}, "values": {}}')
    with pytest.raises(ZooError, match=r"figures\.json"):
        records.run(argparse.Namespace(folder=str(tmp_path)))
    printed = capsys.readouterr().out
    assert all(f"{name}/result.json: gan digits" in printed for name in ("a", "z"))


def test_a_value_that_was_not_finite_stands_in_the_list_of_records(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_run(tmp_path / "a")
    record = json.loads((folder / "result.json").read_text())
    record["measures"]["fd_lenet2k"]["last"]["value"] = None
    (folder / "result.json").write_text(json.dumps(record))
    records.run(argparse.Namespace(folder=str(folder)))
    assert "last not finite" in capsys.readouterr().out
    record["measures"]["fd_lenet2k"]["better"] = "neither"
    (folder / "result.json").write_text(json.dumps(record))
    records.run(argparse.Namespace(folder=str(folder)))
    assert "best" not in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"hello", b"", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_a_damaged_grid_is_named(tmp_path: Path, content: bytes) -> None:
    folder = make_run(tmp_path / "a")
    (folder / "grids/images-x.png").write_bytes(b"no grid of a run")
    (folder / "grids/images-000000200.png").write_bytes(content)
    runs, _ = read_runs([folder])
    with pytest.raises(ZooError, match=r"images-000000200\.png cannot be read as a picture"):
        write_page(Comparison(runs, []), tmp_path / "page.html")


def test_settings_of_another_shape_are_not_compared(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a")
    (folder / "config.yaml").write_text("paper: gan\nrecipe: {a: 1}\ndata: 3\nmodel: [1]\nkeep: 1\ninit_from: [1]\n")
    runs, _ = read_runs([folder])
    assert any("cannot be used and is not compared" in note for note in runs[0].notes)
    assert write_page(Comparison(runs, []), tmp_path / "page.html").is_file()


def copy_of_wandb(run: Path) -> None:
    """What W&B keeps beside a run that it mirrors: copies of its record and settings, and files of its own."""
    files = run / "wandb/offline-run-20250131_120000-ab12cd34/files"
    files.mkdir(parents=True)
    shutil.copy(run / "result.json", files / "result.json")
    (files / "config.yaml").write_text("_wandb:\n  value: {}\n")
    (files / "wandb-summary.json").write_text("{}")
    (run / "wandb_pushed.json").write_text("{}")


def test_a_run_that_is_mirrored_to_wandb_is_one_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = tmp_path / "runs"
    copy_of_wandb(make_run(runs / "a"))
    (runs / "a/transfer.json").write_text("{}")
    found, notes = read_runs([runs])
    assert ([run.path for run in found], notes) == ([runs / "a"], [])
    records.run(argparse.Namespace(folder=str(runs)))
    assert capsys.readouterr().out.count("fd_lenet2k") == 1


def test_runs_that_lost_a_file_are_found_below_a_folder_beside_whole_ones(tmp_path: Path) -> None:
    whole, without, begun = (make_run(tmp_path / name, finished=name != "c") for name in "abc")
    (without / "config.yaml").unlink()
    (begun / "config.yaml").unlink()
    found, _ = read_runs([tmp_path])
    assert [run.path for run in found] == [whole, without, begun]


def test_a_run_and_its_record_are_one(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a")
    found, notes = read_runs([run, run / "result.json"])
    assert len(found) == len(notes) == 1
    (alone,) = read_runs([run / "result.json"])[0]
    assert alone.points("fd_lenet2k")


def test_a_run_and_its_committed_record_are_one(tmp_path: Path) -> None:
    """The record was committed, without folders, before a second checkpoint was measured."""
    run = make_run(tmp_path / "runs/a", tests={"last": 60.0})
    other = make_run(tmp_path / "runs/b", seed=1)
    record = json.loads((run / "result.json").read_text())
    tuned = {"init_from": "/home/me/source", "freeze_d": 0, "lr_scale": 1.0, "augment": None, "tensors": None}
    (run / "result.json").write_text(json.dumps(record | {"finetune": tuned}))
    record |= {"commands": [["zoo", "fit", "gan", "--data_dir", "DIR"]], "finetune": {**tuned, "init_from": "source"}}
    committed = tmp_path / "gan-digits-seed0.json"
    committed.write_text(json.dumps(record | {"tests": [], "protocols": record["protocols"]}))
    for paths in ([tmp_path / "runs", committed], [committed, tmp_path / "runs"]):
        runs, notes = read_runs(paths)
        assert [found.path for found in runs] == [run, other]
        assert notes == [f"{committed} is the record of {run}; it is compared once, with its curves"]
    assert read_runs([committed, other])[1] == []
