"""A benchmark whose members are played: what `zoo benchmark` runs, counts and shows, without a training."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from made_runs import make_run, write_rows

from zoo.commands.benchmark.members import Outcome, outcomes
from zoo.commands.benchmark.record import BenchmarkRecord, of_folder
from zoo.commands.benchmark.running import BenchmarkRunner
from zoo.commands.benchmark.tables import Table
from zoo.runs.folder import RunDir
from zoo.runs.record import read_metrics, read_result, write_result
from zoo.training.benchmark import Entry, Preset, entries, study_of

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
        patch.setattr(BenchmarkRunner, "call", lambda runner, words, log: self.call(words, log=log))

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
        BenchmarkRunner(study_of(preset, chosen), folder=self.folder, jobs=1, options=[], again=again).run(
            [e.name for e in chosen]
        )
        return self.record(preset, chosen)

    def record(self, preset: Preset = PRESET, members: Sequence[Entry] = ()) -> BenchmarkRecord:
        chosen = members or entries(preset)
        return of_folder(self.folder, "digits", preset, outcomes(self.folder, chosen, preset))


def played(objective: str, values: Sequence[float | None], *, settings: bool = False) -> list[Outcome]:
    """Members with these values of fd_lenet, and 100 over them as is_lenet; None has diverged halfway."""
    members = []
    for i, value in enumerate(values):
        taken = {} if value is None else {"fd_lenet": value, "is_lenet": 100 / value}
        test = {"checkpoint": "last.ckpt", "images_seen": 1, "values": taken, "protocols": {}}
        record = {"tests": [test], "hardware": {"cpu": "abacus", "cores": 1, "gpus": []}}
        seen = [100.0, 200.0, 400.0, 800.0][: 3 if value is None else 4]
        curve = dict.fromkeys(("images_seen", "generator_steps", "seconds"), seen) | {"fd_lenet2k": seen}
        state, own = ("diverged", None) if value is None else ("finished", record)
        lr = {"lr": i} if settings else {}
        members.append(Outcome(f"{objective}-{i}", objective, objective, i, lr, state, record=own, curve=curve))
    return members


def benchmark_of(*members: Outcome) -> BenchmarkRecord:
    return BenchmarkRecord("made", "made", "fd_lenet", "fd_lenet2k", members, {})


def column(table: Table, name: str) -> list[str]:
    return [row[table.head.index(name)] for row in table.rows]
