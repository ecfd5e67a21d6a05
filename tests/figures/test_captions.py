"""Captions stand beside the images, never on them, and the images keep their pixels."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from zoo.experiments.pictures.captions import captioned, width_of, wrapped, write_picture


def random_images(rows: int, columns: int, *, side: int, channels: int = 3) -> torch.Tensor:
    levels = torch.randint(256, (rows, columns, channels, side, side), generator=torch.Generator().manual_seed(0))
    return levels / 127.5 - 1


def place(tile: np.ndarray, picture: np.ndarray) -> tuple[int, int]:
    """Row and column of the only place where the picture shows the tile pixel by pixel."""
    height, width = tile.shape[:2]
    corners = np.argwhere((picture == tile[0, 0]).all(-1))
    (found,) = [(int(y), int(x)) for y, x in corners if np.array_equal(picture[y : y + height, x : x + width], tile)]
    return found


@pytest.mark.parametrize(("side", "times"), [(16, 4), (28, 2), (33, 1), (80, 1)])
@pytest.mark.parametrize("channels", [1, 3])
def test_each_image_is_there_pixel_by_pixel_or_enlarged_by_a_whole_number(side: int, times: int, channels: int) -> None:
    images = random_images(2, 3, side=side, channels=channels)
    texts = {"title": "what it is " * 20, "columns": ["one", "a second one", "3"], "rows": ["upper", "lower"]}
    picture = np.asarray(captioned(images, **texts, cells=[["0.12", "", "7"], ["a", "b", "wide below"]]))
    levels = ((images + 1) * 127.5).round().byte().expand(-1, -1, 3, -1, -1).permute(0, 1, 3, 4, 2).numpy()
    places = [[place(tile.repeat(times, 0).repeat(times, 1), picture) for tile in row] for row in levels]
    assert len({y for row in places for y, _ in row}) == 2  # a row is a row
    assert len({x for row in places for _, x in row}) == 3
    assert places[0][0][0] < places[1][0][0]
    assert places[0][0][1] < places[0][1][1] < places[0][2][1]


def ink(picture: np.ndarray) -> np.ndarray:
    """Where a white picture of white images is not white, bool [H, W]: its texts."""
    return (picture < 255).any(-1)


def test_a_text_stands_where_it_belongs() -> None:
    white = torch.ones(2, 2, 1, 100, 100)
    blank = np.asarray(captioned(white))
    assert not ink(blank).any()
    above = ink(np.asarray(captioned(white, columns=["", "mm"])))
    ys, xs = np.nonzero(above)
    assert ys.max() < 30  # above the images, and in the middle of the second column
    assert xs.mean() == pytest.approx(8 + 104 + 50, abs=2)
    before = ink(np.asarray(captioned(white, rows=["mm", ""])))
    ys, xs = np.nonzero(before)
    assert xs.max() < 8 + width_of("mm") + 2
    assert ys.mean() == pytest.approx(8 + 50, abs=4)
    below = ink(np.asarray(captioned(white, cells=[["", ""], ["mm", ""]])))
    ys, xs = np.nonzero(below)
    assert ys.min() >= 8 + 2 * 100 + 4 + 16  # below the second row: two images, a gap and the first row's line
    assert xs.mean() == pytest.approx(8 + 50, abs=2)


def test_columns_make_way_for_their_texts() -> None:
    images = torch.ones(1, 3, 1, 32, 32)
    picture = captioned(images, columns=["mmmmmmmmmmmmmm"] * 3)
    columns = np.flatnonzero(ink(np.asarray(picture)).any(0))
    assert picture.width >= 3 * width_of("mmmmmmmmmmmmmm")
    assert int(np.diff(columns).max()) >= 4  # white between them
    assert columns.min() > 0
    assert columns.max() < picture.width - 1


def test_a_long_title_becomes_lines_not_a_wide_picture() -> None:
    images, title = torch.ones(1, 2, 1, 64, 64), "each row is a way from one latent to another " * 4
    plain, long = captioned(images), captioned(images, title=title)
    assert long.width == plain.width
    assert long.height > plain.height + 2 * 16
    lines = wrapped(title, 300)
    assert " ".join(lines).split() == title.split()
    assert all(width_of(line) <= 300 for line in lines)
    assert all(width_of(f"{a} {b.split()[0]}") > 300 for a, b in pairwise(lines))
    assert wrapped("", 300) == []


def test_a_picture_is_written_in_one_step(tmp_path: Path) -> None:
    picture = captioned(random_images(1, 1, side=16), title="one")
    write_picture(picture, tmp_path / "new" / "one.png")
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["one.png"]
    with Image.open(tmp_path / "new" / "one.png") as written:
        assert np.array_equal(np.asarray(written), np.asarray(picture))
