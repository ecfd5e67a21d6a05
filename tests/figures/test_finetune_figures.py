"""The study of fine-tuning: what it draws and what it finds."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from zoo.errors import RecordError
from zoo.experiments.finetune import arms_figures, arms_findings, over_seeds, study_figures, study_findings
from zoo.experiments.pictures.grids import save_grid
from zoo.models.trained import FinishedRun
from zoo.runs.folder import RunDir


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
    (ax,) = figure.axes
    assert name == "distances"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "scratch",
        "where scratch ends",
        "finetuned",
        "freeze-1",
    ]
    assert ax.lines[0].get_ydata().tolist() == [90.0, 50.0, 30.0, 10.0, 20.0]
    assert set(ax.lines[1].get_ydata()) == {20.0}


def test_without_a_distance_from_scratch_there_is_nothing_to_compare_with() -> None:
    """All of its distances were not finite."""
    runs = {**RUNS, "scratch": run()}
    assert study_findings(runs) == {}
    ((_, figure),) = study_figures(runs)
    assert "where scratch ends" not in [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def arm(folder: Path, *values: float) -> Any:
    """A run with a distance at each 100 images, and grids of 3x3 grey images before and after."""
    made = run(*values)
    for row in made.rows[:-1]:
        row |= {"fd_resnet250": row.pop("fd"), "kd_resnet250": 0.5, "kd_resnet250_std": 0.1, "is_resnet250": 1.0}
    made.config["keep"]["monitor"] = "fd_resnet250"
    (folder / "grids").mkdir(parents=True)
    for seen in (0, 100):
        save_grid(torch.zeros(16, 3, 8, 8), folder / f"grids/images-{seen:09}.png", columns=4)
    reals = SimpleNamespace(images=torch.zeros(12, 3, 8, 8, dtype=torch.uint8))
    return SimpleNamespace(**vars(made), dir=RunDir(folder), data=SimpleNamespace(split=lambda name: reals))


def test_arms_are_drawn_with_their_deviation_over_seeds_and_samples_of_the_first(tmp_path: Path) -> None:
    runs = {
        "scratch-seed0": arm(tmp_path / "a", 90.0, 40.0, 20.0),
        "freeze-1-seed0": arm(tmp_path / "b", 50.0, 20.0, 10.0),
        "scratch-seed1": arm(tmp_path / "c", 70.0, 60.0, 30.0),
        "freeze-1-seed1": arm(tmp_path / "d", 50.0, 30.0, 20.0),
    }
    assert arms_findings(runs) == {"share_of_images_freeze-1": pytest.approx(0.5)}  # 25 is reached at 100 of 200
    (first, figure), (second, samples) = arms_figures(runs)
    assert (first, second) == ("distances", "samples")
    distance, kernel = figure.axes
    assert [ax.get_title() for ax in (distance, kernel)] == [
        f"{name}_resnet250 (lower is better)" for name in ("fd", "kd")
    ]
    assert [line.get_ydata().tolist() for line in distance.lines] == [[80.0, 50.0, 25.0], [50.0, 25.0, 15.0]]
    band = distance.collections[0].get_paths()[0].get_extents()
    assert band.y1 == pytest.approx(80 + 200**0.5)  # of 90 and 70, n - 1
    assert samples.height > 5 * 8


def test_a_value_that_was_not_finite_leaves_its_point_out_for_all_seeds() -> None:
    def fd(*values: float | None) -> Any:
        rows = [{"images_seen": 100 * i, "fd": value} for i, value in enumerate(values)]
        return SimpleNamespace(config={"keep": {"monitor": "fd"}}, rows=rows)

    runs = {"scratch-seed0": fd(90.0, 40.0, 20.0), "finetuned-seed0": fd(50.0, None, 10.0)}
    runs["finetuned-seed1"] = fd(40.0, 20.0, 20.0)
    images, mean, _ = over_seeds([runs["finetuned-seed0"], runs["finetuned-seed1"]], "fd")
    assert (images.tolist(), mean.tolist()) == ([0, 200], [45, 15])
    assert arms_findings(runs) == {"share_of_images_finetuned": pytest.approx(1)}
    assert arms_findings({**runs, "scratch-seed0": fd(None, None, None)}) == {}


@pytest.mark.parametrize("alone", ["scratch-seed0", "finetuned-seed1"])
def test_a_seed_whose_record_alone_is_there_is_not_drawn_as_nothing(tmp_path: Path, alone: str) -> None:
    """As `--earlier` leaves it: the mean would be of other seeds than the table's."""
    runs = {f"{name}-seed{seed}": run(3.0, 2.0) for name in ("scratch", "finetuned") for seed in range(2)}
    (tmp_path / "result.json").touch()
    runs[alone] = FinishedRun(tmp_path, models={})
    for drawn in (arms_findings, lambda runs: [*arms_figures(runs)]):
        with pytest.raises(RecordError, match="holds a record alone"):
            drawn(runs)


def test_arms_are_drawn_before_there_is_one_from_scratch(tmp_path: Path) -> None:
    """As `--members finetuned-seed0` of a study that grows leaves them."""
    runs = {"finetuned-seed0": arm(tmp_path / "a", 50.0, 20.0, 10.0)}
    assert arms_findings(runs) == {}
    assert [name for name, _ in arms_figures(runs)] == ["distances", "samples"]
