"""`zoo benchmark`: members run once, go on and are counted whatever became of them; tables, figures and the page."""

import argparse
import json
import math
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from made_runs import make_run, write_rows

from zoo.commands import benchmark
from zoo.commands.benchmark.figures import curves, expected, figures, standings
from zoo.commands.benchmark.members import CHANCE, COLLAPSED, Outcome, other_settings, outcomes
from zoo.commands.benchmark.page import findings, page, write
from zoo.commands.benchmark.record import PLACE, BenchmarkRecord, keep, of_folder, read_record, write_record
from zoo.commands.benchmark.running import Runner
from zoo.commands.benchmark.tables import Table, as_text, at_equal_cost, beats, costs, reached, searched, tables
from zoo.errors import EvaluationError, Interrupted, RecordError, UsageError
from zoo.metrics.quantize import to_uint8
from zoo.runs.folder import RunDir
from zoo.runs.lock import RunLock
from zoo.runs.record import read_metrics, read_result, write_result
from zoo.runs.state import state_without_record
from zoo.training.benchmark import Entry, Preset, drawn, entries, label, options_of, study_of
from zoo.training.scripts import papers, script_of
from zoo.training.study import commands_of
from zoo.training.words import Words

OBJECTIVES = {"hinge": {"lr": 2e-4, "n_critic": 1}, "wgan": {"lr": 5e-5, "n_critic": 5}}
PRESET = Preset("two objectives", "digits", OBJECTIVES, measure="fd_lenet", curve="fd_lenet2k", seeds=2)
SCALE = {"hinge": 10.0, "wgan": 30.0}


class Place:
    """A benchmark whose commands are played: `fit` leaves a run whose values tell objective and seed.

    Attributes:
        broken: what a member's `fit` says and ends with, instead of training.
    """

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder / "benchmark"
        self.calls: list[str] = []
        self.broken: dict[str, str] = {}
        patch.setattr(Runner, "call", lambda runner, words, log: self.call(words, log=log))

    def call(self, words: Sequence[str], *, log: Path) -> int:
        given = {**dict(w.removeprefix("--").split("=") for w in words if "=" in w)}
        run = Path(words[words.index("--run_dir") + 1])
        self.calls.append(f"{words[0]} {run.name}")
        if run.name in self.broken:
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_text(f"error: {self.broken[run.name]}\n")
            return 1
        if words[0] == "fit":
            self.fit(run, given)
        else:
            self.test(run, words[words.index("--ckpt_path") + 1])
        return 0

    def fit(self, run: Path, given: dict[str, str]) -> None:
        objective, seed = given["model.objective"], int(given["seed_everything"])
        model = {"objective": objective, **OBJECTIVES[objective]}
        end = SCALE[objective] + seed
        values = {0: 700.0, 200: 2 * end, 400: end}
        make_run(run, paper="benchmark", seed=seed, model=model, values=values)
        rows = [{**row, "generator_steps": row["images_seen"] // 10 // model["n_critic"]}
                for row in read_metrics(run / "metrics.jsonl")]  # fmt: skip
        write_rows(run / "metrics.jsonl", [*rows, {"images_seen": 400, "time": rows[-1]["time"], "variety": 0.9}])
        for name in ("best", "last"):
            (run / "checkpoints" / f"{name}.ckpt").touch()

    def test(self, run: Path, checkpoint: str) -> None:
        record = read_result(run)
        value = record["measures"]["fd_lenet2k"]["last"]["value"] - (0.5 if checkpoint == "best" else 0.0)
        key = next(iter(record["protocols"]))
        values = {"fd_lenet": value, "is_lenet": 100 / value}
        test = {"checkpoint": f"{checkpoint}.ckpt", "images_seen": 400, "values": values}
        record["tests"].append({**test, "protocols": dict.fromkeys(values, key)})
        write_result(RunDir(run), record)

    def run(self, preset: Preset = PRESET, *, members: Sequence[Entry] = (), again: bool = False) -> BenchmarkRecord:
        chosen = members or entries(preset)
        Runner(study_of(preset, chosen), folder=self.folder, jobs=1, options=[], again=again).run(
            [e.name for e in chosen]
        )
        return self.record(preset, chosen)

    def record(self, preset: Preset = PRESET, members: Sequence[Entry] = ()) -> BenchmarkRecord:
        chosen = members or entries(preset)
        return of_folder(self.folder, "digits", preset, outcomes(self.folder, chosen, preset))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(tmp_path, monkeypatch)


def column(table: Table, name: str) -> list[str]:
    return [row[table.head.index(name)] for row in table.rows]


# Members.


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
        assert list(script.studies[name].members) == [entry.name for entry in entries(preset)]
    assert len(script.studies["mnist"].members) == 45
    assert len(script.studies["cifar10"].members) == 27
    assert len(script.studies["robustness"].members) >= 100


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


def test_a_folder_with_other_settings_is_refused_and_shown(place: Place, tmp_path: Path) -> None:
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
    varied = {"lr": ["1e-3"], "weight": ["1"], "batchnorm_D": ["true"]}
    (member,) = entries(PRESET, objectives=["wgan"], seeds=1, vary=varied)
    model = {"objective": "wgan", "lr": 1e-3, "n_critic": 5, "weight": 1.0, "batchnorm_D": True}
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
    Runner(study_of(PRESET), folder=tmp_path, jobs=2, options=["--images", "7"]).run(["hinge-seed0", "hinge-seed1"])
    log = (tmp_path / "logs/hinge-seed1.log").read_text()
    assert "'fit', 'benchmark'" in log
    assert "'--seed_everything=1', '--images', '7'" in log
    assert (tmp_path / "failures/hinge-seed0.txt").read_text() == "ended with status 3, see logs/hinge-seed0.log\n"


def test_a_members_command_line_is_read_as_it_is_written() -> None:
    words = Words.of(["fit", *options_of(entries(PRESET)[0], PRESET), "--run_dir", "x"])
    assert words.taken == {"recipe": "digits", "run_dir": "x"}
    assert words.given["model.lr"] == "0.0002"


# Tables.


def test_tables_at_equal_cost(place: Place) -> None:
    table = at_equal_cost(place.run())
    assert table.head[1:] == ("at 400 images", "at 8 updates of G", "at 0:00:40")
    # at 8 of hinge's updates of G it had seen 80 images: on the line from 700 at 0 to 2 * 10 (2 * 11) at 200
    early = [700 + 0.4 * (2 * end - 700) for end in (10, 11)]
    assert table.rows[0][1:3] == ["10.5 +/- 0.71", f"{sum(early) / 2:.4g} +/- {0.8 / 2**0.5:.2g}"]
    assert table.rows[1][1:3] == ["30.5 +/- 0.71"] * 2


def test_the_other_tables(place: Place) -> None:
    record = place.run()
    assert [row[1:] for row in beats(record).rows] == [["", "1.00"], ["0.00", ""]]
    assert costs(record).rows[0][1:4] == ["400", "40", "40"]
    assert not searched(record).rows
    assert column(reached(record), "best") == ["10 +/- 0.71", "30 +/- 0.71"]
    assert [row[1:] for row in tables(record)[3].rows] == [["9.545 +/- 0.64"], ["3.28 +/- 0.076"]]


def test_the_table_of_a_search() -> None:
    members = []
    for i, value in enumerate([4.0, 1.0, 3.0, 2.0]):
        test = {"checkpoint": "last.ckpt", "images_seen": 1, "values": {"fd_lenet": value}, "protocols": {}}
        members.append(Outcome(f"r1-seed{i}", "r1", "r1", i, {"lr": i}, "finished", record={"tests": [test]}))
    members.append(Outcome("r1-seed4", "r1", "r1", 4, {"lr": 4}, "diverged"))
    table = searched(BenchmarkRecord("robustness", "", "fd_lenet", "fd_lenet2k", members, {}))
    (row,) = table.rows
    assert row[1] == "4 finished, 1 diverged"
    assert row[2].startswith("not finite")  # of one draw: it may diverge
    assert row[3].startswith("2 [")  # of two of five: (4 * 1 + 3 * 2 + 2 * 3 + 1 * 4) / 10


def played(objective: str, values: Sequence[float | None], *, settings: bool = False) -> list[Outcome]:
    """Members with these values of fd_lenet, and 100 over them as is_lenet; None has diverged halfway."""
    members = []
    for i, value in enumerate(values):
        taken = {} if value is None else {"fd_lenet": value, "is_lenet": 100 / value}
        record = {"tests": [{"checkpoint": "last.ckpt", "images_seen": 1, "values": taken, "protocols": {}}]}
        seen = [100.0, 200.0, 400.0, 800.0][: 3 if value is None else 4]
        curve = dict.fromkeys(("images_seen", "generator_steps", "seconds"), seen) | {"fd_lenet2k": seen}
        state, own = ("diverged", None) if value is None else ("finished", record)
        lr = {"lr": i} if settings else {}
        members.append(Outcome(f"{objective}-{i}", objective, objective, i, lr, state, record=own, curve=curve))  # type: ignore[arg-type]
    return members


def benchmark_of(*members: Outcome) -> BenchmarkRecord:
    return BenchmarkRecord("made", "made", "fd_lenet", "fd_lenet2k", members, {})


def test_a_search_of_which_half_diverged_is_shown_where_it_finds_something() -> None:
    record = benchmark_of(*played("wgan", [1.0, 2.0, None, None], settings=True))
    (row,) = searched(record).rows
    assert [cell.partition(" [")[0] for cell in row[2:]] == ["not finite", "not finite", "1", ""]
    assert [(k, best.value) for k, best in expected(record, "wgan")] == [(3, 1.25), (4, 1.0)]


def test_figures_of_a_benchmark_of_which_nothing_was_measured_yet() -> None:
    search = [replace(member, state="running", record=None) for member in played("r1", [1.0, 2.0], settings=True)]
    assert list(figures(benchmark_of(*search))) == []
    equal = [replace(member, settings={}) for member in search]
    assert [name for name, _ in figures(benchmark_of(*equal))] == ["curves"]


def test_a_mean_curve_goes_on_where_one_seed_diverged() -> None:
    figure = curves(benchmark_of(*played("r1", [5.0, 6.0, None])))
    (line,) = figure.axes[0].lines
    assert (line.get_xdata().min(), line.get_xdata().max()) == (100, 800)
    (line,) = curves(benchmark_of(*played("r1", [None]))).axes[0].lines  # of nothing else, what there is
    assert line.get_xdata().max() == 400


def test_the_heat_map_counts_runs_that_diverged_as_the_tables_do() -> None:
    members = [*played("wgan", [None, None]), *played("r1", [4.0, 6.0, 5.0]), *played("hinge", [1.0, None])]
    names, labels, means, places = standings(benchmark_of(*members))
    assert (names, labels) == (["fd_lenet", "is_lenet"], ["wgan", "r1", "hinge"])
    assert places.tolist() == [[2.5, 2.5], [1, 1], [2.5, 2.5]]
    assert means[0].tolist() == [math.inf, -math.inf]
    assert means[1].tolist() == pytest.approx([5.0, (25 + 100 / 6 + 20) / 3])


def test_what_is_said_of_the_first_place() -> None:
    def told(*members: Outcome) -> str:
        return next(findings(benchmark_of(*members)))

    three = [*played("r1", [1.0, 2.0, 3.0]), *played("hinge", [4.0, 5.0, 6.0]), *played("wgan", [2.0, 3.0, 4.5])]
    assert told(*three).endswith(
        "r1 comes first. At least 95 % of its pairs of runs beat hinge. "
        "Against wgan the runs overlap: that difference may be luck."
    )
    one = [*played("r1", [1.0]), *played("hinge", [2.0])]
    assert told(*one).endswith("r1 comes first. Against hinge there are too few runs to tell.")
    assert column(reached(benchmark_of(*one)), "rank") == ["1", "2"]  # one run tells of no interval
    assert told(*played("r1", [None, None]), *played("wgan", [None])).endswith("r1, wgan share the first place.")
    varied = [replace(m, label=f"r1, weight {m.seed // 3}") for m in played("r1", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0])]
    assert "r1, weight 0 comes first. At least 95 % of its pairs of runs beat r1, weight 1." in told(*varied)


def test_a_search_keeps_no_grids(place: Place) -> None:
    preset = replace(PRESET, draws={"lr": ("log", 1e-5, 1e-2)})
    record = place.run()
    assert set(record.grids) == {"hinge", "wgan"}
    assert of_folder(place.folder, "robustness", preset, record.members).grids == {}


# The record and the page.


def test_the_record_is_read_as_it_was_written(place: Place, tmp_path: Path) -> None:
    record = place.run()
    kept = keep(record, tmp_path)
    assert kept == tmp_path / PLACE / "digits.json"
    again = read_record(kept)
    assert as_text(again) == as_text(record)
    assert [m.curve for m in again.members] == [m.curve for m in record.members]
    assert {name: file.name for name, file in again.grids.items()} == {
        "hinge": "digits-hinge.png",
        "wgan": "digits-wgan.png",
    }
    assert "/home/me" not in kept.read_text()
    assert kept.stat().st_size < 4 * 4_000


def test_damaged_records_are_refused(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "b.json"
    write_record(place.run(), file)
    content = json.loads(file.read_text())
    with pytest.raises(RecordError, match="no record of a benchmark"):
        read_record(tmp_path / "absent.json")
    hinge = content["members"]["hinge-seed0"]
    for change, text in (
        ({"schema": 2}, "schema must be 1"),
        ({"measure": ""}, "measure must be a non-empty text"),
        ({"members": {"hinge-seed0": {**hinge, "state": "fine"}}}, "state must be finished or"),
        ({"members": {"hinge-seed0": {**hinge, "record": {}}}}, "member hinge-seed0: "),
        ({"protocols": {}}, "is not among protocols"),
    ):
        file.write_text(json.dumps(content | change))
        with pytest.raises(RecordError, match=text):
            read_record(file)


def test_the_page_is_written_from_the_records(place: Place, tmp_path: Path) -> None:
    keep(place.run(), tmp_path)
    written = write(tmp_path)
    assert {file.name for file in written} == {
        "benchmark.md",
        *(f"digits-{name}.png" for name in ("curves", "heat", "samples")),
    }
    text = (tmp_path / "docs/benchmark.md").read_text()
    assert "| hinge, lr 0.0002, n_critic 1 | 2 finished | 10 +/- 0.71 | 10.5 +/- 0.71 |" in text
    assert "hinge comes first" in text
    assert "4 of 4 runs were trained to their end." in text
    for link in ("digits-curves.png", "digits-heat.png", "digits-samples.png"):
        assert f"](../reproductions/records/benchmark/{link})" in text
        assert (tmp_path / PLACE / link).is_file()
    assert page([read_record(tmp_path / PLACE / "digits.json")]) == text
