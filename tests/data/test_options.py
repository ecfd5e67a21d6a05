"""What the command line knows of a data set's arguments: type, default and help, the shared ones among them."""

from typing import Any

import pytest
from jsonargparse import ArgumentParser, Namespace

from zoo.data import DATASETS, ImageDataModule, ToyPoints
from zoo.errors import DataError

SHARED = {
    "root": None,
    "batch_size": 64,
    "resolution": None,
    "horizontal_flip": False,
    "train_images": None,
    "seed": 0,
    "interpolation": "lanczos",
}
OWN: dict[str, dict[str, Any]] = {
    "MNIST": {"download": True, "classes": None},
    "StackedMNIST": {"digits": "mnist", "stacks": 128_000, "download": True},
    "CIFAR10": {"download": True, "classes": None},
    "CelebA": {"resolution": 64, "crop": 108, "crop_top": None, "download": False},
    "ImageFolder": {"crop": "center", "channels": 3, "allow_upscale": False, "labelled": True, "on_the_fly": False},
}


def parser() -> ArgumentParser:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(ImageDataModule, "data")
    return parser


def options_of(name: str) -> dict[str, Any]:
    """{argument: its action} of the parser that jsonargparse makes for a data set."""
    own = ArgumentParser()
    own.add_class_arguments({**DATASETS, "ToyPoints": ToyPoints}[name])
    return {action.dest: action for action in own._actions if action.dest != "help"}


@pytest.mark.parametrize("name", [*DATASETS, "ToyPoints"])
def test_every_option_has_its_line_of_help(name: str) -> None:
    bare = [option for option, action in options_of(name).items() if not (action.help or "").strip(" %()s")]
    assert not bare, f"zoo.data.{name}: no text in the docstring's Args for {', '.join(bare)}"


@pytest.mark.parametrize("name", DATASETS)
def test_shared_arguments_reach_the_command_line_with_their_defaults(name: str) -> None:
    own = OWN.get(name, {})
    found = {option: action.default for option, action in options_of(name).items()}
    assert found == {**SHARED, **own}, f"arguments of {name} that are not shared, with their defaults, stand in OWN"
    parsed = parser().parse_args([f"--data=zoo.data.{name}", "--data.batch_size=7", "--data.train_images=9"])
    assert parsed.data.init_args == Namespace(**{**SHARED, **own, "batch_size": 7, "train_images": 9})
    data = DATASETS[name](**vars(parsed.data.init_args))
    assert (data.batch_size, data.train_images, data.resolution) == (7, 9, 64 if name == "CelebA" else None)


@pytest.mark.parametrize("name", DATASETS)
def test_shared_arguments_are_checked(name: str) -> None:
    with pytest.raises(DataError, match="interpolation='nearest': it is 'lanczos' or 'bilinear'"):
        DATASETS[name](interpolation="nearest")
    for wrong in ("--data.batch_size=x", "--data.horizontal_flip=2", "--data.bath_size=7"):
        with pytest.raises(Exception, match=r"(?s)data.*(batch_size|horizontal_flip|bath_size)"):
            parser().parse_args([f"--data=zoo.data.{name}", wrong])
    with pytest.raises(DataError, match="batch_size=0"):
        DATASETS[name](batch_size=0)
    with pytest.raises(TypeError, match="bath_size"):
        DATASETS[name](bath_size=7)
