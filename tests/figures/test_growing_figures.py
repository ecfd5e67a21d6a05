"""The figures that growing networks share: which grids make the film strip, and what is in them."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from zoo.experiments.pggan import run_figures
from zoo.experiments.pictures import growing as figures
from zoo.experiments.pictures.drawing import write
from zoo.experiments.pictures.grids import save_png
from zoo.models import MODELS
from zoo.models.pggan import PGGAN
from zoo.models.trained import FinishedRun
from zoo.nn.schedules import GrowthSchedule

#: 4x4 up to image 10, fading 8x8 up to 30, 8x8 up to 40, fading 16x16 up to 60
GROWTH = GrowthSchedule(16, stabilise_images=10, fade_images=20)


def tiny(**settings: Any) -> PGGAN:
    torch.manual_seed(0)
    growth = {"stabilise_images": 10, "fade_images": 20}
    module = PGGAN(resolution=16, channels=1, schedule="cifar10", fmap_base=32, fmap_max=8, **growth, **settings)
    module.images_seen = module.growth.grown_at
    return module


@pytest.fixture
def run(tmp_path: Path) -> FinishedRun:
    """Grids at these images; image i of the one at n has the grey level n + i."""
    folder = tmp_path / "run"
    for seen in (0, 8, 16, 24, 32, 48, 64, 80, 96):
        levels = torch.arange(9, dtype=torch.float).add(seen) / 127.5 - 1
        save_png(levels.view(9, 1, 1, 1).expand(9, 1, 16, 16), folder / f"grids/images-{seen:09d}.png")
    (folder / "config.yaml").write_text(yaml.safe_dump({"seed_everything": 0}))
    rows = [{"images_seen": n, "swd2k_avg": 90.0 - n, "swd2k_16": 90.0 - n, "fd_lenet2k": 9.0} for n in (0, 30, 60)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return FinishedRun(folder, models=MODELS)


def test_the_strip_shows_the_last_grid_of_each_phase(run: FinishedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """And, of the last phase, the first one, too."""
    drawn: dict[str, Any] = {}
    monkeypatch.setattr(figures, "labelled", lambda images, **texts: drawn.update(images=images, **texts))
    figures.growth_strip(run, GROWTH, images=5)
    assert drawn["images"].shape == (5, 6, 3, 16, 16)
    levels = ((drawn["images"] + 1) * 127.5).round()
    assert (levels == levels[:, :, :1, :1, :1]).all()
    expected = torch.tensor([8, 24, 32, 48, 64, 96]) + torch.arange(5)[:, None]
    assert torch.equal(levels[:, :, 0, 0, 0].long(), expected)
    titles = ["4x4\n8", "8x8\n$\\alpha$ 0.70\n24", "8x8\n32", "16x16\n$\\alpha$ 0.40\n48", "16x16\n64", "16x16\n96"]
    assert drawn["columns"] == titles


def test_the_measures_are_drawn_over_images_with_shaded_fades(run: FinishedRun) -> None:
    figure = figures.measures(run, GROWTH)
    levels, distances = figure.axes
    assert [line.get_label() for line in levels.lines] == ["swd2k_16", "swd2k_avg"]
    assert [line.get_label() for line in distances.lines] == ["fd_lenet2k"]
    assert levels.lines[0].get_xdata().tolist() == pytest.approx([0, 0.03, 0.06])
    assert levels.lines[0].get_ydata().tolist() == [90, 60, 30]
    spans = [patch.get_extents().transformed(levels.transData.inverted()) for patch in levels.patches]
    assert [(round(s.x0, 5), round(s.x1, 5)) for s in spans] == [(0.01, 0.03), (0.04, 0.06)]
    for ax in figure.axes:  # what the grey is stands on the picture, once
        legend = ax.get_legend()
        assert legend is not None
        assert [text.get_text() for text in legend.get_texts()].count("new layers fade in") == 1


def test_every_level_is_drawn(run: FinishedRun) -> None:
    """Those of 1024x1024, and their mean: eight lines, more than there are colours."""
    names = [f"swd2k_{side}" for side in (1024, 128, 16, 256, 32, 512, 64, "avg")]
    run.rows[:] = [{"images_seen": n, **dict.fromkeys(names, 9.0)} for n in (0, 30)]
    lines = figures.measures(run, GROWTH).axes[0].lines
    assert [line.get_label() for line in lines] == names
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == len(names)


@pytest.mark.parametrize("num_classes", [None, 3])
def test_all_figures_of_a_run(run: FinishedRun, tmp_path: Path, num_classes: int | None) -> None:
    files = write(run_figures(tiny(num_classes=num_classes), run), tmp_path / "figures")
    assert [file.stem for file in files] == ["growth", "measures", "resolutions", "interpolation", "walk"]


def test_multi_resolution() -> None:
    module = tiny()
    canvas = figures.multi_resolution(module, seed=5, rows=1, halvings=(0, 1, 2))[0, 0]
    assert canvas.shape == (1, 16, 16 + 8 + 4)
    images = module.sample(7, seed=5)
    assert torch.equal(canvas[:, :, :16], images[0])
    small = images[2].unfold(1, 2, 2).unfold(2, 2, 2).mean((3, 4))
    torch.testing.assert_close(canvas[:, 8:, 16:24], small)
    torch.testing.assert_close(canvas[:, 12:, 24:], images[6].unfold(1, 4, 4).unfold(2, 4, 4).mean((3, 4)))
