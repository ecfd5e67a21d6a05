"""Wall time of a benchmark: what else ran beside a run does not count against its objective."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from played_benchmark import benchmark_of, played

from zoo.commands.benchmark.figures import curves
from zoo.commands.benchmark.members import Outcome
from zoo.commands.benchmark.pace import on_one_gpu, pace, paced
from zoo.commands.benchmark.tables import at_equal_cost, shared_gpu


def timed(objective: str, *seconds: list[float | None], state: str = "finished") -> list[Outcome]:
    """Runs of 400 images, measured every 100, with these times."""
    images = [0, 100, 200, 300, 400]
    made = zip(played(objective, [5.0] * len(seconds)), seconds, strict=True)
    values = [700.0, 70.0, 60.0, 50.0, 40.0]
    columns = {"images_seen": images, "generator_steps": images, "fd_lenet2k": values}
    return [replace(run, curve={**columns, "seconds": own}, state=state) for run, own in made]


IDLE: list[float | None] = [0, 10, 20, 30, 40]
BESIDE: list[float | None] = [0, 30, 60, 70, 80]  # others ran until half of it was over
BUSY: list[float | None] = [0, 30, 60, 90, 120]


def test_a_pace_is_of_the_least_disturbed_run() -> None:
    assert pace(timed("r1", IDLE)) == pytest.approx(0.1)
    assert pace(timed("r1", BESIDE)) == pytest.approx(0.1)
    assert pace(timed("r1", BUSY)) == pytest.approx(0.3)
    assert pace(timed("r1", BUSY, BESIDE, BUSY)) == pytest.approx(0.1)
    assert pace(timed("r1", [0, None, 20, 30, 40])) == pytest.approx(0.1)
    assert pace(timed("r1", IDLE, state="stopped")) is None
    assert pace(timed("r1", [None] * 5)) is None


def test_what_ran_beside_a_run_is_in_no_comparison_at_equal_time() -> None:
    """Two objectives of the same speed, one of them on a busy machine: at equal time they are level."""
    quiet, busy = timed("r1", IDLE, IDLE), timed("hinge", BESIDE, BUSY)
    table = at_equal_cost(benchmark_of(*quiet, *busy))
    assert table.head[3] == "at 0:00:40"
    assert [row[3] for row in table.rows] == ["40 +/- 0", "40 +/- 0"]
    assert "fastest run" in table.note
    line = curves(benchmark_of(*quiet, *busy)).axes[2].lines[1]
    assert line.get_xdata()[-1] == pytest.approx(40)


def test_a_slower_objective_stays_slower() -> None:
    table = at_equal_cost(benchmark_of(*timed("r1", IDLE), *timed("hinge", BUSY)))
    assert [row[3] for row in table.rows] == ["40", f"{70 - 10 / 3:.4g}"]  # hinge had 133 images in 40 s


def test_the_members_of_a_search_keep_their_times() -> None:
    """They differ in what an image costs."""
    members = [replace(m, settings={"n_critic": i}) for i, m in enumerate(timed("r1", IDLE, BUSY))]
    assert list(paced(benchmark_of(*members)).members) == members


def at(start: str, end: str, *, gpus: Sequence[str] = ("A GPU",), interruptions: int = 0) -> Outcome:
    """A run of a day between two times."""
    (run,) = timed("r1", IDLE)
    times = {"started": f"2026-01-31T{start}:00+00:00", "finished": f"2026-01-31T{end}:00+00:00"}
    hardware = {"cpu": "abacus", "cores": 1, "gpus": [*gpus]}
    return replace(run, record={**(run.record or {}), **times, "hardware": hardware, "interruptions": interruptions})


def test_the_tables_say_how_many_runs_shared_a_gpu() -> None:
    together = [at("10:00", "10:05"), at("10:01", "10:03"), at("10:02", "10:09"), at("10:05", "10:06")]
    record = benchmark_of(*together)
    assert on_one_gpu(record) == 3
    told = "Up to 3 runs had the GPU at a time: alone, each is faster."
    assert told in at_equal_cost(record).note
    assert told in shared_gpu(record)


@pytest.mark.parametrize(
    ("runs", "count"),
    [
        ([at("10:00", "10:05"), at("10:05", "10:09")], 1),
        ([at("10:00", "10:05", gpus=()), at("10:01", "10:09", gpus=())], 0),
        ([at("10:00", "20:00", interruptions=1), at("12:00", "12:05"), at("12:01", "12:02")], 2),
        ([], 0),
    ],
)
def test_runs_that_did_not_share_a_gpu_are_not_said_to(runs: list[Outcome], count: int) -> None:
    record = benchmark_of(*runs)
    assert on_one_gpu(record) == count
    assert ("had the GPU" in at_equal_cost(record).note) == (count > 1)
