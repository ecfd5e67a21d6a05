"""A study runs what is missing, and keeps what is there."""

import dataclasses
from pathlib import Path

import pytest
from played_study import Place

from zoo.errors import UsageError, ZooError
from zoo.runs.command_lines import without_folders
from zoo.runs.lock import RunLock
from zoo.runs.record import overridden
from zoo.training.members import next_of, set_aside
from zoo.training.recipes import Lazy
from zoo.training.scripts import script_of
from zoo.training.study import Member, Study, fit_command, otherwise


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr("zoo.runs.children.PROGRAM", (str(tmp_path / "program.py"),))
    return Place(tmp_path)


def test_a_member_can_name_the_folder_of_another(place: Place) -> None:
    place.study = Study("two runs", {"a": Member("A", []), "b": Member("B", ["--init_from", "{study}/a"])}, place.draw)
    place.run("--members", "b")
    assert f"--init_from {place.folder}/a" in place.log[0]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("zoo.experiments.towers.figures", r"zoo/experiments/towers\.py, and there is no such file"),
        ("zoo.experiments.finetune.towers", r"zoo/experiments/finetune\.py, and nothing there is called towers"),
    ],
)
def test_figures_that_are_not_there_are_said_before_the_training(place: Place, name: str, text: str) -> None:
    """The last member's end is hours away, and a traceback told there."""
    place.study = dataclasses.replace(place.study, findings=Lazy(name))
    with pytest.raises(UsageError, match=text):
        place.run()
    assert not (place.folder / "log").exists()
    with pytest.raises(UsageError, match=text):
        Lazy(name)({})


def test_members_are_alike_though_their_records_name_no_folders() -> None:
    options = ["--init_from", "/home/me/source", "--data", '{"init_args": {"root": "/home/me/faces"}}', "--images=7"]
    had = overridden([without_folders(fit_command(options))])
    assert "/home" not in str(had)
    assert otherwise(had, options) == "the study's options alone"
    assert otherwise(had, [*options, "--images=8"]) == "--images 7"


def test_every_member_is_trained_and_measured_once(place: Place) -> None:
    place.run("--images", "7")
    commands = [line.split(" --run_dir")[0] for line in place.log]
    assert commands[:3] == [
        "fit a0 --seed_everything 0 --images 7",
        "test a0 --ckpt_path best",
        "test a0 --ckpt_path last",
    ]
    assert len(commands) == 9
    assert place.drawn == [["a0", "a3", "b"]]
    place.run("--images", "7")
    assert len(place.log) == 9  # nothing was left to do
    assert len(place.drawn) == 2


def test_a_study_that_was_stopped_goes_on(place: Place) -> None:
    place.run("--members", "a0")
    assert place.drawn == []
    (place.folder / "power cut").touch()
    with pytest.raises(ZooError, match="member a3"):
        place.run()
    (place.folder / "power cut").unlink()
    place.run()
    assert [line.split()[:4] for line in place.log if line.startswith("fit a3")] == [
        ["fit", "a3", "--seed_everything", "3"],
        ["fit", "a3", "--ckpt_path", "last"],
    ]
    assert len([line for line in place.log if " a0 " in line]) == 3
    assert len(place.drawn) == 1


def test_a_member_that_was_stopped_goes_on_with_what_is_asked_for_now(place: Place) -> None:
    """It trained to the number of images that it began with, whatever the second command said."""
    (place.folder / "power cut").touch()
    with pytest.raises(ZooError, match="member a0"):
        place.run("--members", "a0", "--images", "9")
    (place.folder / "power cut").unlink()
    place.run("--members", "a0", "--images", "7")
    assert place.log[1].startswith("fit a0 --ckpt_path last --images 7 --run_dir")


@pytest.mark.parametrize("grows", [True, False])
def test_the_others_go_on_where_one_member_diverges(
    place: Place, capsys: pytest.CaptureFixture[str], *, grows: bool
) -> None:
    place.study = dataclasses.replace(place.study, grows=grows)
    (place.folder / "a0 diverges").touch()
    with pytest.raises(ZooError, match="member a0 of the study stopped"):
        place.run()
    assert [line.split()[:2] for line in place.log if line.startswith("fit")] == [["fit", m] for m in ("a0", "a3", "b")]
    assert place.drawn == ([["a3", "b"]] if grows else [])
    told = capsys.readouterr().out
    assert "begun and not trained and measured to the end, and so in no number: a0" in told
    assert "not run yet" not in told


def test_what_no_member_can_begin_with_is_tried_once(place: Place) -> None:
    """An option that is refused, data that are not there: such a `fit` leaves no run behind."""
    (place.folder / "senseless").touch()
    with pytest.raises(ZooError, match="member a0"):
        place.run()
    assert len(place.log) == 1


def test_several_members_at_once(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    (place.folder / "b diverges").touch()
    with pytest.raises(ZooError, match="member b of the study stopped"):
        place.run("--jobs", "3")
    assert sorted(line.split()[1] for line in place.log) == ["a0", "a0", "a0", "a3", "a3", "a3", "b"]
    assert {path.name for path in (place.folder / "logs").iterdir()} == {"a0.log", "a3.log", "b.log"}
    told = capsys.readouterr().out
    assert f"b: ended with status 1, see {place.folder / 'logs/b'}.log" in told
    (place.folder / "b diverges").unlink()
    place.run("--jobs", "3")
    assert place.drawn == [["a0", "a3", "b"]]
    with pytest.raises(UsageError, match="--jobs must be a whole number of 1 or more"):
        place.run("--jobs", "0")


def test_of_many_that_are_missing_some_are_named(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.study = dataclasses.replace(place.study, members={f"a{i}": Member("A", []) for i in range(15)})
    place.run("--members", "a0")
    assert "not run yet: a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12 and 2 more\n" in capsys.readouterr().out


def test_members_wait_for_those_that_they_begin_with(place: Place) -> None:
    tuned = {name: Member("B", ["--init_from", f"{{study}}/{source}"]) for name, source in (("b", "a"), ("c", "b"))}
    study = dataclasses.replace(place.study, members={**tuned, "a": Member("A", [])})
    assert next_of(study, ["b", "c", "a"], []) == "a"
    assert next_of(study, ["b", "c"], ["a"]) is None
    assert next_of(study, ["c", "b"], []) == "b"
    assert next_of(study, ["c", "a"], []) == "c"  # b is not to be run now
    tune = script_of("dcgan").studies["finetune"]
    others = [name for name in tune.members if name not in ("source", "scratch")]
    assert next_of(tune, ["scratch", *others], ["source"]) == "scratch"
    assert next_of(tune, others, ["source", "scratch"]) is None
    assert next_of(tune, others, ["scratch"]) == others[0]  # at once, not only when both have ended


def test_those_that_wait_for_each_other_are_begun(place: Place) -> None:
    """`fit` says that there is no such run, where a loop would say nothing."""
    around = {name: Member("B", ["--init_from", f"{{study}}/{other}"]) for name, other in (("b", "c"), ("c", "b"))}
    assert next_of(dataclasses.replace(place.study, members=around), ["b", "c"], []) == "b"


def test_what_several_cannot_begin_with_is_told(place: Place) -> None:
    (place.folder / "senseless").write_text("error: no such data")
    with pytest.raises(ZooError, match=r"member a0 of the study stopped \(no such data\), see .*a0\.log"):
        place.run("--jobs", "2", "--members", "a0")


def test_a_member_killed_before_its_first_checkpoint_begins_anew(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    for i in (1, 2):
        (place.folder / "a0/checkpoints").mkdir(parents=True)
        (place.folder / "a0/metrics.jsonl").write_text(f"{i}")
        place.run("--members", "a0")
        assert f"a0.stopped-{i}" in capsys.readouterr().out
        assert (place.folder / f"a0.stopped-{i}/metrics.jsonl").read_text() == f"{i}"
        assert not (place.folder / "a0/metrics.jsonl").exists()
        (place.folder / "a0").rename(place.folder / f"done-{i}")
    assert all(line.startswith("fit a0 --seed_everything 0") for line in place.log if line.startswith("fit"))


def test_a_member_that_another_process_trains_is_not_moved_away(tmp_path: Path) -> None:
    run = tmp_path / "a0"
    run.mkdir()
    (run / "metrics.jsonl").touch()
    other = RunLock(run)
    other.take()
    set_aside(run)
    assert run.is_dir()
    other.free()
    set_aside(run)
    assert not run.exists()
