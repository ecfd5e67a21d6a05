"""`zoo benchmark`: members run once, go on and are counted whatever became of them."""

import argparse
import json
import math
import shutil
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from made_runs import make_run, write_rows
from played_benchmark import PRESET, Place, column

from zoo.commands import benchmark
from zoo.commands.benchmark.members import CHANCE, COLLAPSED, other_settings
from zoo.commands.benchmark.record import FILE, of_folder, read_record, write_record
from zoo.commands.benchmark.running import BenchmarkRunner
from zoo.commands.benchmark.tables import as_text, reached
from zoo.errors import EvaluationError, Interrupted, RecordError, UsageError, ZooError
from zoo.metrics.quantize import to_uint8
from zoo.runs.folder import RunDir
from zoo.runs.lock import RunLock
from zoo.runs.record import read_metrics, read_result, write_result
from zoo.runs.state import state_without_record
from zoo.training.benchmark import drawn, entries, label, options_of, study_of
from zoo.training.members import commands_of
from zoo.training.scripts import papers, script_of
from zoo.training.words import Words

# Members.


def test_a_study_runs_one_seed_of_all_objectives_before_the_next() -> None:
    """Stopped at any time, it has as many runs of each; as `zoo benchmark` does it."""
    assert list(study_of(PRESET).members) == ["hinge-seed0", "wgan-seed0", "hinge-seed1", "wgan-seed1"]


def test_members_are_named_by_what_sets_them_apart() -> None:
    assert [entry.name for entry in entries(PRESET)] == ["hinge-seed0", "hinge-seed1", "wgan-seed0", "wgan-seed1"]
    few, many = entries(PRESET, seeds=1), entries(PRESET, seeds=3)
    assert set(map(repr, few)) < set(map(repr, many))  # members that are added leave the others as they were
    varied = entries(PRESET, objectives=["wgan"], seeds=1, vary={"lr": ["1e-3", "1e-4"]})
    assert [entry.name for entry in varied] == ["wgan-lr=1e-3-seed0", "wgan-lr=1e-4-seed0"]
    assert varied[0].label == "wgan, lr 1e-3, n_critic 5"
    assert options_of(varied[0], PRESET) == [
        *("--recipe=digits", "--model.objective=wgan", "--model.lr=1e-3", "--model.n_critic=5", "--seed_everything=0"),
    ]
    assert label("r1", {"lr": 2e-4, "beta1": 0.0}) == "r1, lr 0.0002, beta1 0"


def test_what_has_no_effect_on_an_objective_makes_no_members_of_it() -> None:
    vary = {"beta1": ["0", "0.5"], "weight": ["1"]}
    own = script_of("benchmark").presets["digits"]
    found = entries(own, objectives=["wgan", "hinge", "r1"], seeds=1, vary=vary)
    assert [entry.name for entry in found] == [
        *("wgan-seed0", "hinge-beta1=0-seed0", "hinge-beta1=0.5-seed0"),
        *("r1-beta1=0-weight=1-seed0", "r1-beta1=0.5-weight=1-seed0"),
    ]


def test_drawn_settings_follow_from_objective_and_number_alone() -> None:
    draws = script_of("benchmark").presets["robustness"].draws
    assert draws is not None
    first = drawn(draws, "r1", 0, {"weight": 1.0})
    assert first == drawn(draws, "r1", 0, {"weight": 1.0}) != drawn(draws, "r1", 1, {"weight": 1.0})
    assert set(first) == {"lr", "beta1", "n_critic", "weight"}  # R1 clips nothing
    assert "weight" not in drawn(draws, "hinge", 0, {})
    assert "beta1" not in drawn(draws, "wgan", 0, {"clip": 0.01, "optimizer": "rmsprop"})  # it has none
    many = [drawn(draws, "wgan", i, {"clip": 0.01}) for i in range(200)]
    assert all(1e-5 <= d["lr"] <= 1e-2 and 0 <= d["beta1"] < 1 and d["n_critic"] in (1, 5) for d in many)
    assert drawn(draws, "r1", 37, {})["beta1"] < 1  # 0.9998, which three digits would make 1
    assert 1.3e-4 < math.exp(sum(math.log(d["lr"]) for d in many) / 200) < 7.4e-4  # log-uniform about 3.2e-4


def test_presets_and_recipes_fit() -> None:
    script = script_of("benchmark")
    assert "benchmark" not in papers()
    for name, preset in script.presets.items():
        assert preset.recipe in script.recipes
        assert set(script.studies[name].members) == {entry.name for entry in entries(preset)}
    assert len(script.studies["mnist"].members) == 45
    assert len(script.studies["cifar10"].members) == 27
    assert len(script.studies["robustness"].members) >= 100
    r1 = script.presets["mnist"].objectives["r1"]
    assert (r1["lr"], r1["weight"]) == (1e-4, 10)  # lr_g, lr_d and reg_param of configs/default.yaml of its authors


def test_cifar10_is_measured_by_a_second_network_at_the_end_alone(tmp_path: Path) -> None:
    study = script_of("benchmark").studies["cifar10"]
    (folder := tmp_path / "hinge-seed0/checkpoints").mkdir(parents=True)
    fit, *rest = commands_of(study, "hinge-seed0", folder=tmp_path, paper="benchmark", options=[])
    assert not any("extractors" in word for word in fit)
    assert rest == []  # nothing trained yet
    (folder / "last.ckpt").touch()
    *_, test = commands_of(study, "hinge-seed0", folder=tmp_path, paper="benchmark", options=[])
    assert test[:5] == ("test", "benchmark", "--ckpt_path", "last", "--evaluation.extractors=[resnet,efficientnet]")


def test_figures_of_several_calls_of_test_stand_together(place: Place) -> None:
    member = place.run().members[0]
    assert member.record is not None
    more = [{**test, "values": {"kd_lenet": 3.0}, "protocols": {}} for test in member.record["tests"]]
    both = replace(member, record={**member.record, "tests": [*member.record["tests"], *more]})
    assert both.value("fd_lenet", "last") == member.value("fd_lenet", "last") == 10.0
    assert both.value("kd_lenet", "best") == 3.0


def test_bad_input(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no objective 'hing' here: choose from hinge, wgan"):
        entries(PRESET, objectives=["hing"])
    with pytest.raises(UsageError, match="leave --vary out"):
        entries(script_of("benchmark").presets["robustness"], vary={"lr": ["1"]})
    for words, text in (
        ([], "benchmark needs --preset; there are\n  digits"),
        (["--preset", "digits", "--vary", "lr"], "--vary 'lr' is not NAME=A,B"),
        (["--preset", "digits", "--members", "x"], "no member 'x': there are saturating-seed0"),
    ):
        parser = argparse.ArgumentParser()
        benchmark.add_arguments(parser)
        with pytest.raises(UsageError, match=text):
            benchmark.run(parser.parse_args([*words, "--run_dir", str(tmp_path)]))


# Running.


def test_every_member_is_trained_and_measured_once(place: Place) -> None:
    record = place.run()
    assert place.calls[:3] == ["fit hinge-seed0", "test hinge-seed0", "test hinge-seed0"]
    assert len(place.calls) == 12
    assert [member.state for member in record.members] == ["finished"] * 4
    assert as_text(place.run()) == as_text(record)
    assert len(place.calls) == 12  # nothing was left to do


def test_a_benchmark_that_was_stopped_gives_the_same_table(place: Place, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        whole = as_text(Place(tmp_path / "other", patch).run())
    untouched = Place.call

    def killed(self: Place, words: Sequence[str], *, log: Path) -> int:
        if words[0] == "test" and "wgan-seed0" in " ".join(words):
            raise Interrupted("stopped", number=signal.SIGTERM)
        return untouched(self, words, log=log)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Place, "call", killed)
        with pytest.raises(Interrupted):
            place.run()
    states = [member.state for member in place.record().members]
    assert states == ["finished", "finished", "stopped", "missing"]
    assert as_text(place.run()) == whole
    assert place.calls.count("fit wgan-seed0") == 1


def test_a_member_added_later_leaves_the_others_untouched(place: Place) -> None:
    place.run()
    before = {file: file.read_bytes() for file in place.folder.glob("*/*.json*")}
    record = place.run(members=entries(PRESET, seeds=3))
    assert len(record.groups["hinge, lr 0.0002, n_critic 1"]) == 3
    assert all(file.read_bytes() == content for file, content in before.items())


def test_members_of_an_earlier_record_are_not_run(place: Place, tmp_path: Path) -> None:
    place.broken = {"wgan-seed1": "there is no disk"}
    write_record(place.run(), file := tmp_path / "digits.json")
    shutil.rmtree(place.folder)
    place.broken, place.calls = {}, []
    members = entries(PRESET)
    earlier = benchmark.earlier_of(str(file), "digits", members)
    arguments = argparse.Namespace(members=None, jobs=1, options=[], again=False, data_dir=None)
    benchmark.run_members(members, PRESET, folder=place.folder, arguments=arguments, earlier=earlier)
    assert place.calls == ["fit wgan-seed1", "test wgan-seed1", "test wgan-seed1"]  # which had failed there
    with pytest.raises(UsageError, match="is of benchmark digits, not of mnist"):
        benchmark.earlier_of(str(file), "mnist", members)
    other = [replace(entry, settings={"lr": 1.0}) for entry in members]
    with pytest.raises(UsageError, match="its member hinge-seed0 has other settings"):
        benchmark.earlier_of(str(file), "digits", other)


ARGUMENTS = argparse.Namespace(members=None, jobs=1, options=[], again=False, data_dir=None)


def test_one_seed_of_all_objectives_comes_before_the_next(place: Place) -> None:
    """Stopped at any time, a benchmark has as many runs of each."""
    benchmark.run_members(entries(PRESET), PRESET, folder=place.folder, arguments=ARGUMENTS)
    fits = [call.removeprefix("fit ") for call in place.calls if call.startswith("fit")]
    assert fits == ["hinge-seed0", "wgan-seed0", "hinge-seed1", "wgan-seed1"]


def test_the_record_is_there_after_each_member(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that goes away takes with it no more than the members that it was at."""
    untouched = Place.call

    def killed(self: Place, words: Sequence[str], *, log: Path) -> int:
        if words[0] == "fit" and "hinge-seed1" in " ".join(words):
            raise Interrupted("stopped", number=signal.SIGTERM)
        return untouched(self, words, log=log)

    monkeypatch.setattr(Place, "call", killed)
    with pytest.raises(Interrupted):
        benchmark.run_members(entries(PRESET), PRESET, folder=place.folder, arguments=ARGUMENTS, name="digits")
    record = read_record(place.folder / FILE)
    assert list(record.ended) == ["hinge-seed0", "wgan-seed0"]
    assert set(record.grids) == {"hinge", "wgan"}  # beside it, so that it can be given as --earlier
    assert benchmark.earlier_of(str(place.folder / FILE), "digits", entries(PRESET)) == record


def test_what_failed_is_the_commands_status(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    script = SimpleNamespace(presets={"digits": PRESET}, recipes={"digits": SimpleNamespace(config={"images": 400})})
    monkeypatch.setattr("zoo.training.scripts.script_of", lambda paper: script)
    monkeypatch.setattr("zoo.commands.benchmark.page.draw", lambda record, folder: [])
    parser = argparse.ArgumentParser()
    benchmark.add_arguments(parser)
    words = ["--preset", "digits", "--run_dir", str(place.folder)]
    place.broken = {"wgan-seed1": "there is no disk", "hinge-seed0": "a loss became nan or infinite"}
    with pytest.raises(ZooError, match=r"not trained and measured to the end: wgan-seed1 \(failed\); the same command"):
        benchmark.run(parser.parse_args(words))
    assert set(read_record(place.folder / FILE).ended) == {"hinge-seed0", "hinge-seed1", "wgan-seed0"}
    benchmark.run(parser.parse_args([*words, "--status"]))  # which was to run nothing


def test_a_member_that_a_signal_ended_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Memory ran out, and the system killed it: without a word, it would seem to have ended."""
    monkeypatch.setattr(BenchmarkRunner, "call", lambda runner, words, log: -signal.SIGKILL)
    BenchmarkRunner(study_of(PRESET), folder=tmp_path, jobs=1, options=[]).run(["hinge-seed0"])
    assert "hinge-seed0: was ended by signal 9, see logs/hinge-seed0.log" in capsys.readouterr().out
    assert not (tmp_path / "failures").exists()


def test_an_earlier_record_loses_no_member(place: Place, tmp_path: Path) -> None:
    write_record(whole := place.run(), file := tmp_path / "digits.json")
    shutil.rmtree(place.folder)
    earlier = read_record(file)
    place.broken = {"wgan-seed1": "there is no disk"}
    place.run(members=entries(PRESET)[2:])  # tried here in vain, what another machine did
    place.calls = []
    benchmark.run_members(entries(PRESET), PRESET, folder=place.folder, arguments=ARGUMENTS, earlier=earlier)
    assert place.calls == []
    members = place.record().members
    assert members[3].state == "failed"
    assert as_text(of_folder(place.folder, "digits", PRESET, members, earlier=earlier)) == as_text(whole)
    wgan = place.record(PRESET, entries(PRESET, objectives=["wgan"], seeds=1)).members  # asked for alone
    assert as_text(of_folder(place.folder, "digits", PRESET, wgan, earlier=earlier)) == as_text(whole)


def test_members_of_another_training_are_not_joined(place: Place) -> None:
    record, run = place.run(), place.folder / "wgan-seed1"
    result = read_result(run)
    for change, text in (
        ({"budget": 6_400}, r"hinge-seed0 \(400 images\) and wgan-seed1 \(6400 images\) differ in budget"),
        ({"overrides": {"--model.width": "64"}}, r"the recipe's\) and wgan-seed1 \(64\) differ in --model.width"),
        ({"dataset": {**result["dataset"], "images": 50}}, "differ in data"),
        ({"recipe": "mnist"}, "differ in recipe"),
    ):
        write_result(RunDir(run), {**result, **change})
        with pytest.raises(RecordError, match=text):
            place.record()
    own = {"--model.lr": "5e-05", "--model.objective": "wgan", "--matmul_precision": "high"}
    write_result(RunDir(run), {**result, "overrides": own})
    assert as_text(place.record()) == as_text(record)  # its own settings, and what rounds otherwise
    with pytest.raises(UsageError, match=r"hinge-seed0 is there already, of 400 images, where members have 64,000 now"):
        benchmark.run_members(entries(PRESET), PRESET, folder=place.folder, arguments=ARGUMENTS, budget=64_000)


def test_protocols_of_curves_and_other_measures_are_one_each(place: Place) -> None:
    place.run()
    run = RunDir(place.folder / "wgan-seed1")
    result = read_result(run.path)
    other = {**result["protocols"], "0" * 12: {"version": 2}}
    curve = {**result["measures"]["fd_lenet2k"], "protocol": "0" * 12}
    text = json.dumps({**result, "protocols": other, "measures": {"fd_lenet2k": curve}})
    run.result.write_text(text)
    with pytest.raises(RecordError, match=r"fd_lenet2k while training of hinge-seed0 .* cannot be compared: train"):
        place.record()
    tests = [{**t, "protocols": {**t["protocols"], "is_lenet": "0" * 12}} for t in result["tests"]]
    run.result.write_text(json.dumps({**result, "protocols": other, "tests": tests}))
    with pytest.raises(RecordError, match=r"is_lenet of hinge-seed0 .* cannot be compared: `zoo test`"):
        place.record()


def test_best_and_last_of_one_run_have_one_protocol_too(place: Place) -> None:
    place.run()
    run = RunDir(place.folder / "wgan-seed1")
    result = read_result(run.path)
    best, last = result["tests"]
    best = {**best, "protocols": {**best["protocols"], "is_lenet": "0" * 12}}
    protocols = {**result["protocols"], "0" * 12: {"version": 2}}
    run.result.write_text(json.dumps({**result, "protocols": protocols, "tests": [best, last]}))
    with pytest.raises(RecordError, match=r"is_lenet of hinge-seed0 .* and wgan-seed1 .* cannot be compared"):
        place.record()


def test_a_folder_with_other_settings_is_refused_and_shown(place: Place) -> None:
    place.run()
    config = place.folder / "hinge-seed0/config.yaml"
    settings = yaml.safe_load(config.read_text())
    config.write_text(yaml.safe_dump({**settings, "model": {**settings["model"], "lr": 1e-3}}))
    assert place.record().members[0].state == "other settings"
    assert "1 finished, 1 other settings" in as_text(place.record())
    arguments = argparse.Namespace(members=None, jobs=1, options=[], again=False, data_dir=None)
    with pytest.raises(UsageError, match="holds a run with another lr"):
        benchmark.run_members(entries(PRESET), PRESET, folder=place.folder, arguments=arguments)


def test_settings_that_are_varied_are_texts_of_a_command_line(tmp_path: Path) -> None:
    varied = {"lr": ["1e-3"], "clip": ["1"], "batchnorm_D": ["true"]}
    (member,) = entries(PRESET, objectives=["wgan"], seeds=1, vary=varied)
    model = {"objective": "wgan", "lr": 1e-3, "n_critic": 5, "clip": 1.0, "batchnorm_D": True}
    make_run(tmp_path / "run", model=model)
    assert other_settings(RunDir(tmp_path / "run"), member) == []
    make_run(tmp_path / "other", model={**model, "lr": 2e-3, "batchnorm_D": False})
    assert other_settings(RunDir(tmp_path / "other"), member) == ["lr", "batchnorm_D"]


def test_failed_and_diverged_members_stop_no_other_and_are_counted(place: Place) -> None:
    nan = "a loss became nan or infinite at or shortly before images_seen=640"
    place.broken = {"hinge-seed1": nan, "wgan-seed0": "there is no disk"}
    record = place.run()
    assert [member.state for member in record.members] == ["finished", "diverged", "failed", "finished"]
    assert record.members[1].why == nan
    table = reached(record)
    assert column(table, "runs") == ["1 finished, 1 diverged", "1 finished, 1 failed"]
    assert column(table, "last") == ["10", "31"]  # the mean of those with a value, the count beside it
    assert column(table, "IQM of last")[0] == "not finite [10, not finite]"  # of two, one as bad as can be
    assert column(table, "rank") == ["2 [1, 2]", "1"]
    place.broken = {}
    place.run()
    assert place.calls[-3:] == ["fit wgan-seed0", "test wgan-seed0", "test wgan-seed0"]  # the failed one alone
    assert [m.state for m in place.run(again=True).members] == ["finished"] * 4


def test_what_runs_or_is_missing_or_collapsed_is_said(place: Place) -> None:
    assert {member.state for member in place.record().members} == {"missing"}
    assert "2 missing" in as_text(place.record())
    place.run()
    log = place.folder / "hinge-seed0/metrics.jsonl"
    rows = read_metrics(log)
    write_rows(log, [{**row, **({"variety": COLLAPSED / 2} if "variety" in row else {})} for row in rows])
    assert place.record().members[0].state == "finished"  # 40 updates of an untrained G
    result = read_result(place.folder / "hinge-seed0")
    write_result(RunDir(place.folder / "hinge-seed0"), {**result, "generator_steps": CHANCE})
    (place.folder / "wgan-seed1/result.json").unlink()
    lock = RunLock(place.folder / "wgan-seed1")
    lock.take()
    try:
        states = [member.state for member in place.record().members]
    finally:
        lock.free()
    assert states == ["collapsed", "finished", "finished", "running"]
    assert column(reached(place.record()), "last")[0] == "10.5 +/- 0.71"  # a collapsed run has its value


def test_the_thresholds_of_collapse_are_the_watchs() -> None:
    from zoo.training.callbacks import health

    assert (health.COLLAPSED, health.CHANCE) == (COLLAPSED, CHANCE)


def test_samples_that_are_not_finite_are_a_divergence_too(place: Place) -> None:
    """Weights that became nan in the update before an evaluation: no loss has told of it yet."""
    with pytest.raises(EvaluationError) as found:
        to_uint8(torch.tensor([math.nan]))
    place.broken = {"hinge-seed1": str(found.value)}
    assert place.run().members[1].state == "diverged"
    assert state_without_record(RunDir(place.folder / "hinge-seed1")) == "diverged"
    place.broken, place.calls = {}, []
    assert place.run().members[1].state == "diverged"
    assert not place.calls  # on this machine it would diverge again


def test_commands_are_processes_whose_output_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.runs.children.PROGRAM", ("-S", "-c", "import sys; print(sys.argv[1:]); sys.exit(3)"))
    BenchmarkRunner(study_of(PRESET), folder=tmp_path, jobs=2, options=["--images", "7"]).run(
        ["hinge-seed0", "hinge-seed1"]
    )
    log = (tmp_path / "logs/hinge-seed1.log").read_text()
    assert "'fit', 'benchmark'" in log
    assert "'--seed_everything=1', '--images', '7'" in log
    assert (tmp_path / "failures/hinge-seed0.txt").read_text() == "ended with status 3, see logs/hinge-seed0.log\n"


def test_a_members_command_line_is_read_as_it_is_written() -> None:
    words = Words.of(["fit", *options_of(entries(PRESET)[0], PRESET), "--run_dir", "x"])
    assert words.taken == {"recipe": "digits", "run_dir": "x"}
    assert words.given["model.lr"] == "0.0002"
