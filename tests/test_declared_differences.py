"""What a script's list of differences says of the code, against the code."""

import math

import pytest
import torch
from pages import ROOT
from torch import nn

from reproductions.benchmark import OBJECTIVES as SETTINGS
from zoo.models import TRAINED
from zoo.models.base.build import outline
from zoo.models.benchmark import Benchmark
from zoo.models.infogan import InfoGAN
from zoo.models.objectives import OBJECTIVES
from zoo.nn.layers import FUSED_FROM
from zoo.training.forecast import updates_within
from zoo.training.scripts import script_of


def differences(paper: str) -> str:
    """The list in one line."""
    text = (ROOT / f"reproductions/{paper}.py").read_text().partition("\nDifferences from the paper")[2]
    return " ".join(text.partition('"""')[0].split())


def test_from_which_side_on_stylegan_fuses_its_convolutions() -> None:
    assert f"one transposed convolution from {FUSED_FROM}x{FUSED_FROM} on (the authors'" in differences("stylegan")
    assert f"| from {FUSED_FROM}x{FUSED_FROM} on: the same maps |" in (ROOT / "docs/stylegan.md").read_text()


def test_which_objective_of_the_benchmark_has_batchnorm_in_d_all_the_same() -> None:
    def normalised(name: str) -> bool:
        D = outline(TRAINED["benchmark"], {"objective": name}).D
        return any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in D.modules())

    assert [name for name in OBJECTIVES if normalised(name)] == ["infogan"]
    assert "The head by which InfoGAN's Q reads the codes has its paper's BatchNorm in either" in differences(
        "benchmark"
    )


def test_that_r1_is_halved_as_in_its_paper() -> None:
    module = Benchmark(objective="r1", width=1, resolution=8)
    x = torch.randn(4, 1, 8, 8)
    penalty = module.objective.weight * module.objective.penalty(lambda image: 3 * image.flatten(1)[:, :1], x, x)
    assert float(penalty) == pytest.approx(SETTINGS["r1"]["weight"] / 2 * 9)  # the gradient's squared norm is 9
    assert f"gamma / 2 with gamma = {SETTINGS['r1']['weight']:g}, as in their paper" in differences("benchmark")


def test_that_infogans_rate_of_g_is_not_its_papers_in_the_benchmark() -> None:
    own = InfoGAN(network="celeba", width=1).lr_G
    assert own != SETTINGS["infogan"]["lr"]
    assert f"InfoGAN's paper moves G at {own:.0e}".replace("e-0", "e-") in differences("benchmark")


@pytest.mark.parametrize("paper", ["infogan", "lsgan", "wgan_gp", "pggan", "stylegan"])
def test_authors_with_another_adam_are_said_to_have_one(paper: str) -> None:
    """TensorFlow's and Lasagne's add epsilon to a root that is not bias-corrected."""
    said = differences(paper)
    assert "Adam add" in said
    assert "bias-corrected" in said


@pytest.mark.parametrize("paper", ["gan", "dcgan", "infogan", "lsgan", "wgan_gp", "pggan", "stylegan"])
def test_the_order_of_images_is_told_beside_the_authors(paper: str) -> None:
    assert "Batches run through a fresh permutation of" in differences(paper)


def test_how_many_updates_dcgans_recipes_are() -> None:
    said, recipes = differences("dcgan"), script_of("dcgan").recipes
    for recipe, images, epochs in (("faces", 350_000, 25), ("mnist_conditional", 50_000, 200)):
        ours = updates_within(recipes[recipe].config["images"], None, batch=128)
        theirs = math.ceil(epochs * math.ceil(images / 128) / 2)  # G begins
        assert f"{ours:,} (`{recipe}`; theirs {theirs:,})" in said


def test_the_part_of_a_face_that_dcgans_authors_train_on() -> None:
    data = script_of("dcgan").recipes["faces"].config["data"]
    assert "crop" not in data["init_args"]  # ImageFolder's central square, resized
    assert "`faces` resizes the central square of each image" in differences("dcgan")
