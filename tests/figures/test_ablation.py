"""Ablations: steps from row to row, whichever way is better, by hand."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL.Image import Image

from zoo.experiments import pggan
from zoo.experiments.ablation import row_figures, row_samples, search_figures, step_findings, values_by_row
from zoo.experiments.pictures.grids import save_grid
from zoo.runs.folder import RunDir
from zoo.training.scripts import script_of


def member(**values: float) -> Any:
    return SimpleNamespace(
        record_alone=True,
        record={"tests": [{"checkpoint": "last.ckpt", "values": values, "protocols": {}, "images_seen": 9}]},
    )


ROWS = ("a", "b", "d", "e*", "e", "f")
RUNS = {
    "a-seed0": member(swd10k_avg=9.0, is_x=1.0),
    "a-seed1": member(swd10k_avg=11.0, is_x=3.0),
    "b-seed0": member(swd10k_avg=4.0, is_x=1.0),
    "e*-seed0": member(swd10k_avg=6.0, is_x=5.0),
}


def test_steps_are_of_means_and_of_the_way_that_is_better() -> None:
    findings = step_findings(values_by_row(RUNS, rows=ROWS, families=("swd", "is")))
    assert findings == {
        "swd10k_avg, row b minus row a": -6.0,
        "swd10k_avg, row e* minus row b": 2.0,
        "swd10k_avg, steps of 2 that improve it": 1.0,
        "is_x, row b minus row a": -1.0,
        "is_x, row e* minus row b": 4.0,
        "is_x, steps of 2 that improve it": 1.0,
    }
    assert pggan.table1_findings(RUNS)["swd10k_avg, steps of 2 that improve it"] == 1
    assert step_findings(values_by_row({"a-seed0": RUNS["a-seed0"]}, rows=ROWS, families=("swd",))) == {}


def test_the_row_that_undoes_another_stands_against_the_one_before_both() -> None:
    """Table 1 of PGGAN: e* and e are two answers to d."""
    averages = {"d": 8.0, "e*": 10.0, "e": 7.0, "f": 4.0}
    findings = pggan.table1_findings({f"{row}-seed0": member(swd10k_avg=value) for row, value in averages.items()})
    assert findings == {
        "swd10k_avg, row e* minus row d": 2.0,
        "swd10k_avg, row e minus row d": -1.0,
        "swd10k_avg, row f minus row e": -3.0,
        "swd10k_avg, steps of 3 that improve it": 2.0,
    }


def test_the_findings_of_table_1_are_of_the_mean_over_the_levels() -> None:
    """Those of each level as well were 32 lines of a page."""
    runs = {
        f"{row}-seed0": member(swd10k_avg=x, swd10k_16=x + 1, ms_ssim10k=0.2) for row, x in (("a", 3.0), ("b", 2.0))
    }
    findings = pggan.table1_findings(runs)
    assert sorted({name.partition(",")[0] for name in findings}) == ["ms_ssim10k", "swd10k_avg"]
    ((_, figure),) = pggan.table1_figures(runs)
    assert [ax.get_title().partition(" ")[0] for ax in figure.axes] == ["swd10k_avg", "swd10k_16", "ms_ssim10k"]


def test_rows_are_in_the_order_of_the_table_whichever_members_are_finished() -> None:
    """The second seed of b is there before the first, behind e*."""
    runs = {**RUNS, "b-seed1": RUNS["b-seed0"]}
    del runs["b-seed0"]
    values = values_by_row(runs, rows=ROWS, families=("swd",))
    assert values == {"swd10k_avg": {"a": [9, 11], "b": [4], "e*": [6]}}
    assert [*values["swd10k_avg"]] == ["a", "b", "e*"]
    assert pggan.table1_findings(runs) == pggan.table1_findings(RUNS)


def test_a_measure_of_the_best_checkpoint_alone_is_in_no_row() -> None:
    """As a second `test` of best.ckpt with other features leaves it."""
    (test,) = RUNS["b-seed0"].record["tests"]
    more = {**test, "checkpoint": "best.ckpt", "values": {"swd2k_avg": 1.0}}
    runs = {**RUNS, "b-seed0": SimpleNamespace(record_alone=True, record={"tests": [test, more]})}
    values = values_by_row(runs, rows=ROWS, families=("swd",))
    assert values == values_by_row(RUNS, rows=ROWS, families=("swd",))
    assert pggan.table1_findings(runs) == pggan.table1_findings(RUNS)


def test_rows_under_other_protocols_are_not_compared(capsys: pytest.CaptureFixture[str]) -> None:
    """But for what follows from the rows themselves: some have BatchNorm, which is estimated again."""

    def under(run: Any, **protocol: Any) -> Any:
        (test,) = run.record["tests"]
        taken = {**test, "protocols": {"swd10k_avg": "p"}}
        record = {"tests": [taken], "protocols": {"p": {"n_real": 9, **protocol}}}
        return SimpleNamespace(record_alone=True, record=record)

    runs = {
        "a-seed0": under(RUNS["a-seed0"], dataset_fingerprint="full", batchnorm="reestimated"),
        "a-seed1": under(RUNS["a-seed1"], dataset_fingerprint="full", batchnorm="running"),
        "b-seed0": under(RUNS["b-seed0"], dataset_fingerprint="full", batchnorm="running"),
    }
    assert pggan.table1_findings(runs)["swd10k_avg, row b minus row a"] == -6
    assert capsys.readouterr().out == ""
    runs["b-seed0"] = under(RUNS["b-seed0"], dataset_fingerprint="official split")
    assert "is_x" in values_by_row(runs, rows=ROWS, families=("swd", "is"))
    assert pggan.table1_findings(runs) == {}
    assert [*pggan.table1_figures(runs)] == []
    assert "swd10k_avg is not compared: members were measured under protocols that differ in dataset_fingerprint" in (
        capsys.readouterr().out
    )


def test_rows_stand_from_left_to_right() -> None:
    ((name, figure),) = row_figures(values_by_row(RUNS, rows=ROWS, families=("swd",)))
    (ax,) = figure.axes
    assert name == "rows"
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["a", "b", "e*"]
    assert list(ax.lines[0].get_ydata()) == [10, 4, 6]


def test_samples_of_each_row_are_those_of_its_end(tmp_path: Path) -> None:
    """Grey in a, black in b, white before; none while a row ran elsewhere."""
    runs: dict[str, Any] = {}
    for row, shades in (("a", (1.0, 0.0)), ("b", (1.0, -1.0))):
        run = RunDir(tmp_path / row)
        run.grids.mkdir(parents=True)
        for seen, shade in zip((8, 16), shades, strict=True):
            save_grid(torch.full((16, 3, 8, 8), shade), run.grids / f"images-{seen:09}.png", columns=4)
        config = {"data": {"init_args": {"resolution": 8}}}
        runs[f"{row}-seed0"] = SimpleNamespace(record_alone=False, dir=run, config=config)
    ((name, picture),) = row_samples(runs, rows=ROWS)
    assert name == "samples"
    assert isinstance(picture, Image)
    column = [picture.getpixel((picture.width // 2, y)) for y in range(picture.height // 4, picture.height)]
    assert column.index((128, 128, 128)) < column.index((0, 0, 0))
    assert [*row_samples({**runs, "c-seed0": member()}, rows=("a", "b", "c"))] == []
    assert [*row_samples({}, rows=ROWS)] == []


@pytest.mark.parametrize(("paper", "study"), [("pggan", "table1_small"), ("stylegan", "table1_small")])
def test_the_scaled_tables_have_every_row_with_one_budget(paper: str, study: str) -> None:
    script = script_of(paper)
    members = script.studies[study].members
    rows = [name.rpartition("-seed")[0] for name in members if name.endswith("-seed0")]
    assert rows == [*"abcd", "e*", *"efgh"] if paper == "pggan" else [*"ABCDEF"]
    words = [[*script.studies[study].options, *entry.options] for entry in members.values()]
    assert len({tuple(word for word in own if word.startswith("--images")) for own in words}) == 1


def test_a_search_draws_members_of_an_earlier_record_by_the_points_that_it_has() -> None:
    """It ended in an error, so that a member could not join those whose folders were gone."""
    rows = [{"images_seen": seen, "fd": value} for seen, value in ((0, 90.0), (10, 30.0), (20, 20.0))]
    here = SimpleNamespace(record_alone=False, rows=rows, config={"keep": {"monitor": "fd"}})
    kept = {"best": {"images_seen": 10, "value": 40.0}, "last": {"images_seen": 20, "value": 50.0}}
    gone = SimpleNamespace(record_alone=True, record={"measures": {"fd": kept, "kd": kept}})
    ((name, figure),) = search_figures({"gone": gone, "here": here})  # type: ignore[dict-item]
    (ax,) = figure.axes
    assert (name, ax.get_ylabel()) == ("search", "fd")
    drawn = {str(line.get_label()): (line.get_linestyle(), line.get_xydata().tolist()) for line in ax.lines}
    assert drawn == {
        "gone (best, last)": ("None", [[10, 40], [20, 50]]),
        "here": ("-", [[10, 30], [20, 20]]),
    }
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["gone (best, last)", "here"]
    assert [*search_figures({"gone": gone})] == []  # type: ignore[dict-item]
