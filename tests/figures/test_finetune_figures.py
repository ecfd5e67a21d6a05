"""The study of fine-tuning: what it draws and what it finds."""

from types import SimpleNamespace
from typing import Any

import pytest

from zoo.experiments.finetune import study_figures, study_findings


def run(*values: float) -> Any:
    rows: list[dict[str, float]] = [{"images_seen": 100 * i, "fd": value} for i, value in enumerate(values)]
    return SimpleNamespace(config={"keep": {"monitor": "fd"}}, rows=[*rows, {"images_seen": 50, "loss": 0.0}])


RUNS = {
    "source": run(1.0, 1.0),
    "scratch": run(90.0, 50.0, 30.0, 10.0, 20.0),
    "finetuned": run(60.0, 20.0, 25.0, 8.0, 7.0),  # as near as 20 after 100 of 400 images
    "freeze-1": run(60.0, 40.0, 30.0, 22.0, 21.0),  # never
}


def test_findings_are_shares_of_the_scratch_runs_images() -> None:
    assert study_findings(RUNS) == {"share_of_images_finetuned": pytest.approx(0.25)}


def test_one_curve_a_member_but_the_source() -> None:
    ((name, figure),) = study_figures(RUNS)
    (ax,) = figure.axes  # type: ignore[union-attr]
    assert name == "distances"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "scratch",
        "where scratch ends",
        "finetuned",
        "freeze-1",
    ]
    assert ax.lines[0].get_ydata().tolist() == [90.0, 50.0, 30.0, 10.0, 20.0]
    assert set(ax.lines[1].get_ydata()) == {20.0}
