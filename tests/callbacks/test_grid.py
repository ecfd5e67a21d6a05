"""Sample grids: their names, their latents, their pixels."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from toys import ToyGAN, fit

from zoo.experiments.pictures.grids import save_grid, save_png
from zoo.experiments.pictures.layout import layout_of, plain, scale_for, tiles_of
from zoo.training.callbacks import SampleGrid


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_grids_are_named_by_the_images_seen(tmp_path: Path) -> None:
    fit(ToyGAN(), SampleGrid(tmp_path / "grids", every=20, n=4), images=56)
    assert names(tmp_path / "grids") == [f"images-{n:09d}.png" for n in (0, 24, 40, 56)]


def test_first_and_last_grid_without_an_interval(tmp_path: Path) -> None:
    fit(ToyGAN(), SampleGrid(tmp_path, n=4), images=16)
    assert names(tmp_path) == ["images-000000000.png", "images-000000016.png"]


def test_last_grid_where_the_trainer_stops_by_itself(tmp_path: Path) -> None:
    fit(ToyGAN(), SampleGrid(tmp_path, n=4), max_epochs=1)
    assert names(tmp_path) == ["images-000000000.png", "images-000000040.png"]


@pytest.mark.parametrize("lr", [1e-30, 0.05])  # the first moves nothing
def test_grids_differ_by_training_alone(tmp_path: Path, lr: float) -> None:
    fit(ToyGAN(lr=lr), SampleGrid(tmp_path, n=4), images=40)
    first, last = (path.read_bytes() for path in sorted(tmp_path.iterdir()))
    assert (first == last) is (lr < 0.05)


def test_a_grid_leaves_training_as_it_was(tmp_path: Path) -> None:
    states = []
    for callbacks in ([], [SampleGrid(tmp_path, every=8, n=4)]):
        torch.manual_seed(0)
        module = ToyGAN(dropout=0.5, batchnorm=True)
        fit(module, *callbacks, images=40)
        states.append(module.state_dict())
        assert module.G.training
    assert all(torch.equal(a, b) for a, b in zip(states[0].values(), states[1].values(), strict=True))


def test_the_grid_shows_the_samples_of_its_seed(tmp_path: Path) -> None:
    module = ToyGAN(lr=1e-30)
    fit(module, SampleGrid(tmp_path, n=4, seed=7), images=8)
    samples = module.sample(4, seed=7)
    picture = Image.open(tmp_path / "images-000000000.png")  # 2 x 2 images of 8x8, 2 pixels between, enlarged 8 times
    assert picture.size == (176, 176)
    pixels = np.asarray(plain(picture))
    assert pixels.shape[:2] == (22, 22)
    whole = np.asarray(picture)
    assert np.array_equal(pixels.repeat(8, 0).repeat(8, 1), whole)
    for i, (row, column) in enumerate([(2, 2), (2, 12), (12, 2), (12, 12)]):
        shown = pixels[row : row + 8, column : column + 8]
        shown = shown[..., 0] if shown.ndim == 3 else shown
        expected = (samples[i, 0].numpy() + 1) * 127.5
        assert np.abs(shown - expected).max() <= 0.5001


@pytest.mark.parametrize("channels", [1, 3])
def test_one_image_is_written_as_it_is(tmp_path: Path, channels: int) -> None:
    levels = torch.tensor([-1.0, 1.0, 0.0, -3.0, 2.0, 0.5]).view(1, 1, 2, 3).repeat(1, channels, 1, 1)
    save_png(levels, tmp_path / "deep" / "one.png")
    image = Image.open(tmp_path / "deep" / "one.png")
    assert image.mode == {1: "L", 3: "RGB"}[channels]
    assert np.asarray(image.convert("L")).tolist() == [[0, 255, 128], [0, 255, 191]]
    assert names(tmp_path / "deep") == ["one.png"]


class Conditional(ToyGAN):
    """An image that is as bright as its label."""

    def __init__(self) -> None:
        super().__init__(lr=1e-30)
        self.num_classes = 3

    def generate(self, z: torch.Tensor, y: torch.Tensor | None) -> torch.Tensor:
        assert y is not None
        return (y.float() - 1).view(-1, 1, 1, 1).expand(-1, 1, 8, 8)


def test_a_conditional_grid_has_a_column_for_each_class(tmp_path: Path) -> None:
    fit(Conditional(), SampleGrid(tmp_path, n=16), images=8)
    picture = Image.open(tmp_path / "images-000000008.png")
    layout = layout_of(picture)
    assert layout.scale == 8
    assert picture.size == (8 * (3 * 10 + 2), 8 * (4 * 10 + 2) + layout.top)  # four rows of three classes
    names = np.asarray(picture.convert("L"))[: layout.top]
    columns = np.array_split(names[:, 16:], 3, axis=1)  # a, b and c of the toy's data
    assert all((column < 128).any() for column in columns)
    tiles = tiles_of(picture, side=8, n=6)
    assert [int(tile.mean().round()) for tile in tiles] == [0, 128, 255, 0, 128, 255]


def test_small_images_are_enlarged_and_large_ones_are_not() -> None:
    assert [scale_for(side) for side in (8, 16, 28, 32, 48, 64, 256)] == [8, 8, 4, 4, 4, 1, 1]


def test_a_file_without_layout_or_with_a_wrong_one_is_taken_as_it_is(tmp_path: Path) -> None:
    save_png(torch.zeros(4, 1, 8, 8), tmp_path / "old.png")
    assert tiles_of(Image.open(tmp_path / "old.png"), side=8, n=9).shape[:3] == (4, 8, 8)
    save_grid(torch.zeros(4, 1, 8, 8), tmp_path / "new.png", columns=2)
    for text in ("{", "[]", '{"scale": 0, "top": 0}', '{"scale": "x", "top": 0}', '{"scale": 1, "top": 10000000}'):
        picture = Image.open(tmp_path / "new.png")
        picture.info["grid"] = text
        assert plain(picture) is picture
