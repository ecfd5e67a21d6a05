"""Every paper on MNIST, CIFAR-10 and CelebA, by its own recipes, for a few batches of the real data."""

import os
from pathlib import Path

import pytest

from zoo.models import MODELS
from zoo.runs.record import read_result
from zoo.training import reproduce
from zoo.training.scripts import script_of

RECIPES = {paper: script_of(paper).recipes for paper in MODELS}
DATA = {"MNIST", "CIFAR10", "CelebA"}


def data_of(paper: str, recipe: str) -> str:
    """Name of the data module's class."""
    return str(RECIPES[paper][recipe].config["data"]["class_path"]).rpartition(".")[2]


CASES = [(paper, name) for paper, recipes in RECIPES.items() for name in recipes if data_of(paper, name) in DATA]


def test_every_paper_has_a_recipe_on_each() -> None:
    found = {paper: {data_of(paper, name) for other, name in CASES if other == paper} for paper in MODELS}
    assert all(names == DATA for names in found.values()), found


@pytest.mark.slow
@pytest.mark.skipif("ZOO_DATA" not in os.environ, reason="needs ZOO_DATA, a folder with the real data")
@pytest.mark.parametrize(("paper", "recipe"), CASES, ids=map("-".join, CASES))
def test_a_recipe_trains_on_its_data(paper: str, recipe: str, tmp_path: Path) -> None:
    """Two batches of fit from the files to the record, without a figure."""
    # networks that grow have their sizes of batches in the model: at most 64 images at 4x4
    images = 2 * RECIPES[paper][recipe].config["data"]["init_args"].get("batch_size", 64)
    options = ["--recipe", recipe, "--data_dir", os.environ["ZOO_DATA"], "--images", str(images)]
    less = ["--evaluation.every", "null", "--keep.monitor", "null", "--run_dir", str(tmp_path / "run")]
    reproduce(MODELS[paper], RECIPES[paper], arguments=["fit", *options, *less])
    assert read_result(tmp_path / "run")["images_seen"] >= images
    assert list((tmp_path / "run/grids").glob("*.png"))
