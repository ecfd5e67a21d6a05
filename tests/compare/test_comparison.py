"""Runs lined up: what they are called, what may be compared, where they differ."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from made_runs import PROTOCOL, make_run, write_rows

from zoo.commands.compare.comparison import Comparison
from zoo.commands.compare.labels import flatten, short_paths
from zoo.commands.compare.page import write_page
from zoo.commands.compare.protocols import differing_fields, groups_of
from zoo.commands.compare.reading import read_runs
from zoo.commands.compare.text import as_text, write_tables
from zoo.runs.record import read_metrics
from zoo.runs.text import lined_up, number

OTHER = {**PROTOCOL, "n_fake": 5000, "labels": "uniform"}


def comparison(*folders: Path) -> Comparison:
    return Comparison(*read_runs(list(folders)))


def test_labels_tell_runs_apart_by_seed_or_by_folder(tmp_path: Path) -> None:
    wgan = make_run(tmp_path / "wgan/x", paper="wgan")
    seeds = [make_run(tmp_path / f"gan/{seed}", seed=seed) for seed in (0, 1)]
    assert comparison(wgan, *seeds).labels == ["wgan digits", "gan digits seed 0", "gan digits seed 1"]
    again = make_run(tmp_path / "again/0", seed=0)  # two runs of one name
    assert comparison(wgan, seeds[0], again).labels == ["wgan digits", "gan digits (gan/0)", "gan digits (again/0)"]


def test_short_paths_are_as_short_as_they_can_be() -> None:
    assert short_paths([Path("/a/b/run"), Path("/a/c/run")]) == ["b/run", "c/run"]
    assert short_paths([Path("/a/b/run"), Path("/a/b/other")]) == ["run", "other"]
    assert short_paths([Path("/a/run"), Path("/a/run")]) == ["/a/run #1", "/a/run #2"]


def test_figures_groups_and_winners(tmp_path: Path) -> None:
    compared = comparison(
        make_run(tmp_path / "a", paper="gan", values={0: 600.0, 200: 50.0, 400: 60.0}),
        make_run(tmp_path / "b", paper="wgan", values={0: 500.0, 400: 40.0}),
        make_run(tmp_path / "c", paper="lsgan", values={0: 700.0, 400: 30.0}, protocol=OTHER),
        make_run(tmp_path / "d", paper="dcgan", values={200: 20.0}, finished=False),
    )
    figures = compared.figures("fd_lenet2k")
    assert [figure.group for figure in figures] == [0, 0, 1, -1]
    assert [figure.cells["best"] for figure in figures] == ["50", "40", "30", "20"]
    assert [figure.cells["last"] for figure in figures] == ["60", "40", "30", "20"]
    assert [figure.cells["at images"] for figure in figures] == ["200", "400", "400", "200"]
    assert [figure.cells["before training"] for figure in figures] == ["600", "500", "700", ""]
    assert figures[3].cells["protocol"] == "not recorded yet"
    assert figures[0].protocol == figures[1].protocol != figures[2].protocol
    assert compared.winners("fd_lenet2k") == {1}  # alone under a protocol, a run wins nothing
    ((measures, reason),) = compared.conflicts
    assert measures == ["fd_lenet2k"]
    assert [runs for _, runs in reason.protocols] == ["gan digits, wgan digits", "lsgan digits"]
    assert reason.difference == "They differ in n_fake (2000 / 5000), labels (absent / uniform)"


def test_runs_that_share_the_best_value_all_win(tmp_path: Path) -> None:
    values = {0: 600.0, 400: 40.0}
    runs = [make_run(tmp_path / name, seed=i, values=values) for i, name in enumerate("ab")]
    assert comparison(*runs, make_run(tmp_path / "c", seed=2)).winners("fd_lenet2k") == {0, 1}


def test_higher_is_better_turns_the_winner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compared = comparison(
        make_run(tmp_path / "a", paper="gan", values={400: 60.0}),
        make_run(tmp_path / "b", paper="wgan", values={400: 40.0}),
    )
    assert compared.winners("fd_lenet2k") == {1}
    for run in compared.runs:
        monkeypatch.setitem(run.measures["fd_lenet2k"], "better", "higher")
    assert compared.winners("fd_lenet2k") == {0}


def test_one_protocol_makes_no_conflict(tmp_path: Path) -> None:
    assert comparison(make_run(tmp_path / "a"), make_run(tmp_path / "b", paper="wgan")).conflicts == []


def test_protocols_are_equal_in_content() -> None:
    assert groups_of([{"a": 1, "b": 2}, None, {"b": 2, "a": 1}, {"a": 2, "b": 2}]) == [0, -1, 0, 1]
    long = "x" * 50
    assert differing_fields([{"m": long + "1", "n": 1}, {"m": long + "2", "n": 1}]) == {"m": ["x" * 37 + "..."] * 2}
    assert differing_fields([{"sha": "a" * 64}, {}]) == {"sha": ["aaaaaaaa", "absent"]}


def test_reported_stands_beside_reached(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a", recipe="mnist", tests={"best": 170.25, "last": 160.5}, tested="parzen_ll")
    record = (folder / "result.json").read_text()
    (folder / "result.json").write_text(record.replace('"Digits"', '"MNIST"'))  # the recipe's data
    (figure,) = comparison(folder).tested["parzen_ll"]
    cells = {name: figure.cells[name] for name in ("reported", "best", "last")}
    assert cells == {"reported": "225 +/- 2", "best": "170.2 at 400", "last": "160.5 at 400"}
    elsewhere = make_run(tmp_path / "b", recipe="digits", tests={"last": 170.0}, tested="parzen_ll")
    (figure,) = comparison(elsewhere).tested["parzen_ll"]
    assert (figure.cells["reported"], figure.cells["best"]) == ("not reported", "")


def test_what_a_paper_reports_does_not_stand_beside_a_run_on_other_data(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", recipe="mnist", tests={"last": 160.5}, tested="parzen_ll")
    record = json.loads((run / "result.json").read_text())
    for name, text in {"Digits": "not reported", "MNIST": "225 +/- 2"}.items():
        record["dataset"]["name"] = name
        (run / "result.json").write_text(json.dumps(record))
        (figure,) = comparison(run).tested["parzen_ll"]
        assert figure.cells["reported"] == text


def test_best_and_last_of_two_protocols_are_said_to_be(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", tests={"best": 3.0, "last": 4.0})
    record = json.loads((run / "result.json").read_text())
    key = record["tests"][0]["protocols"]["fd_lenet"]
    record["tests"][1]["protocols"]["fd_lenet"] = "o" * 12
    record["protocols"]["o" * 12] = OTHER
    (run / "result.json").write_text(json.dumps(record))
    compared = comparison(run)
    assert compared.tested["fd_lenet"][0].cells["protocol"] == f"best: {key}, last: {'o' * 12}"
    note = "gan digits: fd_lenet of test: best and last were taken under different protocols"
    assert compared.run_notes == [note]


def test_figures_of_other_checkpoints_are_said_to_stand_in_the_csv(tmp_path: Path) -> None:
    """They have no column, and made rows without a value."""
    own = make_run(tmp_path / "a", tests={"images-000000200": 3.0})
    both = make_run(tmp_path / "b", seed=1, tests={"last": 2.0, "images-000000200": 3.0})
    compared = comparison(own, both)
    assert [(f.run, f.cells["last"]) for f in compared.tested["fd_lenet"]] == [(1, "2 at 400")]
    assert comparison(own).tested == {}
    told = [note for note in compared.run_notes if "images-000000200" in note]
    assert told == [f"gan digits seed {i}: was tested at images-000000200, too: --csv has the figures" for i in (0, 1)]
    (file,) = write_tables(compared, {"csv": str(tmp_path / "t.csv")})
    assert file.read_text().count("images-000000200") == 2


def test_equal_tests_of_the_best_and_last_checkpoint_are_both_shown(tmp_path: Path) -> None:
    (figure,) = comparison(make_run(tmp_path / "a", tests={"best": 3.0, "last": 3.0})).tested["fd_lenet"]
    assert (figure.cells["best"], figure.cells["last"]) == ("3 at 400", "3 at 400")


@pytest.mark.parametrize("name", [os.fsdecode(b"caf\xe9"), "red \x1b[31m"])
def test_names_that_no_terminal_and_no_file_can_hold(name: str, tmp_path: Path) -> None:
    runs = [make_run(tmp_path / name), make_run(tmp_path / "other")]
    compared = Comparison(*read_runs([*runs, runs[0]]))
    files = {form: str(tmp_path / form) for form in ("csv", "latex", "markdown")}
    written = [*write_tables(compared, files), write_page(compared, tmp_path / "page.html")]
    assert all("\x1b" not in file.read_text(encoding="utf-8") for file in written)
    assert "\x1b" not in as_text(compared)
    as_text(compared).encode()


def test_settings_and_circumstances_that_differ(tmp_path: Path) -> None:
    model: dict[str, Any] = {"lr": 0.1, "width": None}
    compared = comparison(
        make_run(tmp_path / "a", model=model, seed=0),
        make_run(tmp_path / "b", model=model | {"lr": 0.2, "dropout": 0.5}, seed=1),
        make_run(tmp_path / "c", model=model, seed=0, finished=False),
    )
    assert compared.settings == [
        ("seed_everything", ["0", "1", "0"]),
        ("model.lr", ["0.1", "0.2", "0.1"]),
        ("model.dropout", ["", "0.5", ""]),
    ]  # not the folder of the data, which says where and not what
    made = dict(compared.circumstances)
    assert made["hardware"] == ["abacus, 1 core", "abacus, 1 core", ""]
    assert made["commit"] == ["ccccccc", "ccccccc", ""]
    assert list(flatten({"a": {"b": {"c": None}, "d": {}}, "e": [1]})) == [
        ("a.b.c", "none"),
        ("a.d", "{}"),
        ("e", "[1]"),
    ]


def test_a_record_alone_has_no_settings_to_differ_in(tmp_path: Path) -> None:
    """All of the others' settings stood there as what it lacks."""
    runs = [make_run(tmp_path / name, model={"n_critic": i, "lr": 1}) for i, name in enumerate("ab")]
    record = json.loads((runs[0] / "result.json").read_text()) | {"started": "2025-01-31T11:00:00+00:00"}
    (tmp_path / "kept.json").write_text(json.dumps(record))
    assert comparison(runs[0], tmp_path / "kept.json").settings == []
    assert comparison(*runs, tmp_path / "kept.json").settings == [("model.n_critic", ["0", "1", "not known"])]


def test_the_text(tmp_path: Path) -> None:
    text = as_text(
        comparison(
            make_run(tmp_path / "a", tests={"best": 44.0, "last": 66.0}),
            make_run(tmp_path / "b", paper="wgan", values={0: 600.0, 100: 12345.678}, protocol=OTHER, finished=True),
            make_run(tmp_path / "c", paper="lsgan", finished=False),
        )
    )
    lines = text.splitlines()
    assert " ".join(lines[0].split()) == "run data images seen updates of G wall time images/s seed state"
    assert lines[1].split() == ["gan", "digits", "Digits", "(5,000)", "400", "40", "0:00:40", "10", "0", "finished"]
    assert lines[3].split()[-1] == "stopped"
    assert "fd_lenet2k while training (lower is better)" in lines
    assert "fd_lenet by `test`, beside what the paper reports" in lines
    assert any(line.split()[:8] == ["gan", "digits", "not", "reported", "44", "at", "400", "66"] for line in lines)
    assert "warning: fd_lenet2k: not all of these figures may be compared, their protocols differ" in lines
    assert "  They differ in n_fake (2000 / 5000), labels (absent / uniform)" in lines
    assert "note: unknown paper digits: training has not ended: no record, and protocols are not known" in lines


def test_numbers_and_columns() -> None:
    values = (12.34567, 0.000123456, 9999.4, 10752.0, -1234567.4, 1e20, None, float("nan"))
    assert [number(v) for v in values] == [
        "12.35", "0.0001235", "9999", "10,752", "-1,234,567", "1e+20", "not finite", "not finite",
    ]  # fmt: skip
    assert number(8.4612, 0.1234) == "8.461 +/- 0.12"
    assert number(538.71, 229.8) == "538.7 +/- 230"
    assert lined_up([["a", "n"], ["x", "1"], ["long", "200"]]) == "a       n\nx       1\nlong  200"


def test_a_run_on_other_data_than_the_recipes_is_not_called_by_the_recipe(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / name, paper="dcgan", recipe="mnist", finished=name != "b") for name in "abc"]
    for run, kind, source in zip(runs[1:], ("ImageFolder", "MNIST"), ("dcgan.mnist", None), strict=True):
        config = yaml.safe_load((run / "config.yaml").read_text())
        config["data"] = {"class_path": f"zoo.data.{kind}", "init_args": {"root": "/home/me/icons"}}
        (run / "config.yaml").write_text(yaml.safe_dump({**config, "paper": "dcgan", "init_from": source}))
    record = json.loads((runs[2] / "result.json").read_text())
    record["dataset"]["name"] = "MNIST"
    (runs[2] / "result.json").write_text(json.dumps(record))
    assert comparison(*runs).labels == ["dcgan on Digits", "dcgan on icons, from dcgan.mnist", "dcgan mnist"]


def test_settings_that_are_not_the_recipes_stand_in_the_label(tmp_path: Path) -> None:
    paper: dict[str, Any] = {"n_critic": 5, "lr": 5e-5}  # as WGAN's class has them
    runs = [
        make_run(tmp_path / "a", paper="wgan", model=paper),
        make_run(tmp_path / "b", paper="wgan", model={**paper, "n_critic": 1}),
        make_run(tmp_path / "c", paper="wgan", model={**paper, "lr": 1e-4, "clip": 0.1, "width_G": 8, "width_D": 8}),
        make_run(tmp_path / "d", paper="wgan", model={**paper, "n_critic": 1}, seed=1),
    ]
    one = "wgan digits, n_critic 1"
    many = "wgan digits, clip 0.1, lr 0.0001, width_D 8, ..."
    assert comparison(*runs).labels == ["wgan digits", f"{one} seed 0", many, f"{one} seed 1"]
    record = json.loads((runs[1] / "result.json").read_text()) | {"started": "2025-01-31T11:00:00+00:00"}
    record["commands"][0] += ["--model.n_critic=1", "--images", "9", "--keep.monitor", "x"]
    (tmp_path / "kept.json").write_text(json.dumps(record))
    assert comparison(tmp_path / "kept.json", runs[0]).labels == [one, "wgan digits"]  # a record alone: its commands


def test_a_seed_stands_in_a_label_where_it_is_all_that_differs(tmp_path: Path) -> None:
    def run(name: str, seed: int, **settings: Any) -> Path:
        made = make_run(tmp_path / name, seed=seed)
        config = yaml.safe_load((made / "config.yaml").read_text())
        (made / "config.yaml").write_text(yaml.safe_dump({**config, **settings}))
        return made

    def named(*runs: Path) -> list[str]:
        return comparison(*runs).labels

    plain = run("plain", 0)
    tuned = run("tuned", 1, init_from="/home/me/runs/dcgan.mnist", freeze_d=0, augment="color")
    assert named(plain, tuned) == ["gan digits", "gan digits, augment color, init_from dcgan.mnist"]
    longer = run("longer", 1, images=9_000)
    assert named(plain, longer) == ["gan digits (plain)", "gan digits (longer)"]
    looked_at = run("looked_at", 2, evaluation={"every": 7}, wandb="x")
    assert named(plain, looked_at) == ["gan digits seed 0", "gan digits seed 2"]
    record = json.loads((looked_at / "result.json").read_text())
    record["dataset"]["fingerprint"] = "0" * 64  # other images
    (looked_at / "result.json").write_text(json.dumps(record))
    assert named(plain, looked_at) == ["gan digits (plain)", "gan digits (looked_at)"]
    for name, seed, images in (("one", 0, "200"), ("two", 1, "400"), ("three", 2, "200")):
        own = {**record, "seed": seed, "overrides": {"--images": images, "--model.note": "a --b"}}
        (tmp_path / f"{name}.json").write_text(json.dumps(own))
    one, two, three = (tmp_path / f"{name}.json" for name in ("one", "two", "three"))
    assert named(one, three) == ["gan digits, note a --b seed 0", "gan digits, note a --b seed 2"]
    assert named(one, two) == ["gan digits, note a --b (one.json)", "gan digits, note a --b (two.json)"]


def test_updates_of_G_are_the_records_the_logs_or_in_proportion(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", paper="wgan")
    (old,) = comparison(run).runs
    assert (old.generator_steps, [point.updates for point in old.points("fd_lenet2k")]) == (40, [0, 20, 40])
    rows = [{**row, "generator_steps": row["images_seen"] // 50} for row in read_metrics(run / "metrics.jsonl")]
    write_rows(run / "metrics.jsonl", rows)
    (run / "result.json").unlink()
    (new,) = comparison(run).runs
    assert (new.generator_steps, [point.updates for point in new.points("fd_lenet2k")]) == (8, [0, 4, 8])
