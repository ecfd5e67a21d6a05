"""What the papers' figures share."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import multivariate_normal

from zoo.experiments.pictures.captions import captioned
from zoo.experiments.pictures.drawing import density, new_figure, series, write


def test_density_is_the_kernel_density_and_y_points_upwards() -> None:
    points = torch.randn(50, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([0.2, 0.6]) + 0.3
    values = density(points, extent=2.0, side=21, bandwidth=0.1)
    line = np.linspace(-2, 2, 21)
    slow = [[multivariate_normal((x, y), 0.01).pdf(points.numpy()).mean() for x in line] for y in line]
    np.testing.assert_allclose(values, slow, rtol=1e-4, atol=1e-9)
    assert values.sum() * (4 / 20) ** 2 == pytest.approx(1, abs=0.02)


def test_series_takes_the_rows_that_hold_a_finite_value() -> None:
    rows: list[Any] = [{"images_seen": 0, "a": 1.0}, {"images_seen": 5, "b": 2.0}]
    rows += [{"images_seen": 9, "a": None}, {"images_seen": 12, "a": 3.0}]
    images, values = series(rows, "a")
    assert images.tolist() == [0, 12]
    assert values.tolist() == [1, 3]
    assert [len(part) for part in series(rows, "none")] == [0, 0]


def test_images_and_figures_are_written_in_one_step(tmp_path: Path) -> None:
    images = torch.linspace(-1, 1, 6).view(2, 3, 1, 1, 1).expand(2, 3, 1, 4, 5)
    figure, [[ax]] = new_figure(1, 1, width=2, height=1)
    ax.plot([0, 1], [0, 1])
    picture = captioned(images, title="six grey levels")
    drawings = [("images", images), ("curve", figure), ("captioned", picture)]
    files = write(drawings, tmp_path / "figures", suffix="-000000007")
    assert [file.name for file in files] == [f"{name}-000000007.png" for name in ("images", "curve", "captioned")]
    assert sorted(file.name for file in (tmp_path / "figures").iterdir()) == sorted(file.name for file in files)
    grid = np.asarray(Image.open(files[0]).convert("L"))
    assert grid.shape == (2 * 6 + 2, 3 * 7 + 2)  # two rows of 4, three columns of 5, a border of 2
    assert [int(grid[3 + 6 * r, 3 + 7 * c]) for r in range(2) for c in range(3)] == [0, 51, 102, 153, 204, 255]
    assert Image.open(files[1]).size == (260, 130)
    assert np.array_equal(np.asarray(Image.open(files[2])), np.asarray(picture))
