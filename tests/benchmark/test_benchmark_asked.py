"""What `zoo benchmark` is asked for: members that exist once, that differ in what they are called by, and are kept."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import pytest
from made_runs import make_run
from played_benchmark import PRESET, Place

from zoo.commands import benchmark
from zoo.commands.benchmark.members import other_settings
from zoo.commands.benchmark.record import FILE, PLACE, read_record, write_record
from zoo.commands.benchmark.running import BenchmarkRunner
from zoo.errors import UsageError
from zoo.runs.folder import RunDir
from zoo.runs.state import failure_of
from zoo.training.benchmark import entries, options_of
from zoo.training.scripts import script_of


def asked(*options: str, members: str | None = None) -> argparse.Namespace:
    return argparse.Namespace(members=members, jobs=1, options=options, again=False, data_dir=None)


def test_what_is_named_twice_is_one(place: Place) -> None:
    """Each run of it would count twice in every mean, and two jobs would meet in its folder."""
    once = entries(PRESET, objectives=["wgan"])
    assert entries(PRESET, objectives=["wgan", "wgan"]) == once
    begun = benchmark.run_members(
        once, PRESET, folder=place.folder, arguments=asked(members="wgan-seed0,wgan-seed1,wgan-seed0")
    )
    assert begun == ["wgan-seed0", "wgan-seed1"]


def test_a_setting_may_be_varied_in_several_options() -> None:
    assert benchmark.varied(["lr=1", "clip=3", "lr=2,4"]) == {"lr": ["1", "2", "4"], "clip": ["3"]}
    for text in ("lr=1,", "lr=", "=1"):
        with pytest.raises(UsageError, match="is not NAME=A,B"):
            benchmark.varied([text])


@pytest.mark.parametrize("name", ["learning_rate", "model.lr", "objective"])
def test_what_is_varied_is_a_setting_of_the_model(name: str) -> None:
    """Else each member would fail by itself."""
    with pytest.raises(UsageError, match=f"--vary {name}: there is no such setting; choose from channels, resolution"):
        entries(PRESET, vary={name: ["wgan"]})


def test_settings_of_an_objective_that_do_nothing_under_what_is_varied_are_none_of_its_members() -> None:
    """`fit` refuses an RMSProp's beta2, and the label would have one."""
    preset = script_of("benchmark").presets["digits"]
    adam, rmsprop = entries(preset, objectives=["wgan-gp"], seeds=1, vary={"optimizer": ["adam", "rmsprop"]})
    assert "beta2 0.9" in adam.label
    assert (rmsprop.name, rmsprop.label) == (
        "wgan-gp-optimizer=rmsprop-seed0",
        "wgan-gp, lr 0.0001, n_critic 5, weight 10, optimizer rmsprop",
    )
    assert not any("beta" in option for option in options_of(rmsprop, preset))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--model.lr=1e-3"], "--model.lr is each member's own, such as hinge-seed0's: --vary lr=A,B makes members"),
        (["--images", "9", "--model.n_critic", "1"], "--model.n_critic is each member's own"),
        (["--seed_everything", "3"], "--seed_everything is each member's own: --preset, --seeds"),
        (["--model.objective=r1"], "--model.objective is each member's own"),
        (["hinge"], "'hinge' is no option: those of `zoo fit`, for every member, follow --"),
    ],
)
def test_options_that_members_have_values_of_their_own_for_are_refused(
    place: Place, options: Sequence[str], text: str
) -> None:
    """They would be trained to their end under names and labels that are not so, and be in no number."""
    with pytest.raises(UsageError, match=text):
        benchmark.run_members(entries(PRESET), PRESET, folder=place.folder, arguments=asked(*options))
    assert place.calls == []
    benchmark.refuse_own(["--model.width", "4", "--keep.monitor", "lr"], entries(PRESET), PRESET)


def test_none_that_is_varied_is_null_of_a_command_line(tmp_path: Path) -> None:
    (member,) = entries(PRESET, objectives=["hinge"], seeds=1, vary={"batchnorm_D": ["null"]})
    make_run(tmp_path / "run", model={"objective": "hinge", "lr": 2e-4, "n_critic": 1, "batchnorm_D": None})
    assert other_settings(RunDir(tmp_path / "run"), member) == []


def test_an_earlier_record_is_kept_where_nothing_was_run(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoo.commands.benchmark.page.draw", lambda record, folder: [])
    monkeypatch.chdir(tmp_path)
    write_record(place.run(), file := tmp_path / "digits.json")
    members, new = entries(PRESET), tmp_path / "new"
    with pytest.raises(UsageError, match=r"nothing to keep: no member in .*new was trained"):
        benchmark.show(new, "digits", PRESET, members, keeping=True)
    assert not new.exists()
    benchmark.show(new, "digits", PRESET, members, keeping=True, earlier=read_record(file))
    assert [len(read_record(kept).ended) for kept in (new / FILE, tmp_path / PLACE / "digits.json")] == [4, 4]


def test_why_a_member_failed_is_not_what_its_log_has_of_an_attempt_before(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.broken = {"hinge-seed0": "a loss became nan or infinite"}
    place.run()
    log = place.folder / "logs/hinge-seed0.log"

    def crash(runner: BenchmarkRunner, words: Sequence[str], log: Path) -> int:
        with log.open("a") as file:
            file.write("Traceback (most recent call last):\nTypeError: of a fault in the zoo\n")
        return 1

    monkeypatch.setattr(BenchmarkRunner, "call", crash)
    assert [member.state for member in place.run(again=True).members[:2]] == ["failed", "finished"]
    assert failure_of(place.folder, "hinge-seed0") == "ended with status 1, see logs/hinge-seed0.log"
    assert log.read_text().startswith("error: a loss became nan")


def test_what_the_first_is_refused_for_is_every_members(place: Place) -> None:
    """A misspelt option would otherwise be told once for each member, in as many files."""
    place.broken = dict.fromkeys(("hinge-seed0", "wgan-seed0"), "unknown option --model.widht")
    with pytest.raises(UsageError, match=r"no member was begun, the first was refused: unknown option --model\.widht"):
        place.run()
    assert place.calls == ["fit hinge-seed0"]
    assert not (place.folder / "failures").exists()
    place.broken = {"wgan-seed0": "there is no disk"}  # nor does it keep one from going on
    assert [member.state for member in place.run().members] == ["finished", "finished", "failed", "finished"]
