"""Sample grids: their names, their latents, their pixels."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from toys import ToyGAN, fit

from zoo.experiments.pictures.grids import save_png
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


@pytest.mark.parametrize("lr", [0.0, 0.05])
def test_grids_differ_by_training_alone(tmp_path: Path, lr: float) -> None:
    fit(ToyGAN(lr=lr), SampleGrid(tmp_path, n=4), images=40)
    first, last = (path.read_bytes() for path in sorted(tmp_path.iterdir()))
    assert (first == last) is (lr == 0)


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
    module = ToyGAN(lr=0.0)
    fit(module, SampleGrid(tmp_path, n=4, seed=7), images=8)
    samples = module.sample(4, seed=7)
    pixels = np.asarray(Image.open(tmp_path / "images-000000000.png"))  # 2 x 2 images of 8x8, 2 pixels between
    assert pixels.shape[:2] == (22, 22)
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
