"""The command line of a fine-tuning run: whose settings it starts from, and how model and data are made to agree."""

import dataclasses
import inspect
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
import yaml

from zoo.data import ImageDataModule, ImageFolder
from zoo.errors import UnsupportedSettingError, UsageError
from zoo.models import MODELS
from zoo.models.base.module import AdversarialModule
from zoo.releases.weights import Weights, open_weights
from zoo.runs.folder import CONFIG_FILE
from zoo.training.finetune.adapt import Source, rebuild
from zoo.training.plan import Plan, take_option


def open_source(arguments: Sequence[str], *, paper: str) -> Weights | None:
    """The weights that a `fit` is to start from, or None.

    Raises:
        UsageError: --init_from of a resumed run, or weights of another paper.
        CheckpointError: nothing of that name, or a damaged file.
    """
    init_from, rest = take_option(list(arguments[1:]), "init_from")
    if arguments[0] != "fit" or init_from is None or init_from in ("null", "None"):
        return None
    if take_option(rest, "ckpt_path")[0] is not None:
        raise UsageError(
            "--init_from starts a new run, --ckpt_path goes on with one: a fine-tuning run is resumed by --ckpt_path "
            "last alone, and keeps its weights"
        )
    weights = open_weights(init_from)
    if weights.paper != paper:
        raise UsageError(
            f"{weights.origin} is of {weights.paper}, this is {paper}: fine-tune it with "
            f"reproductions/{weights.paper}.py"
        )
    return weights


def source_arguments(arguments: Sequence[str], *, known: Collection[str]) -> list[str]:
    """The command line with the source's recipe, where none is named and the source tells one that there is."""
    init_from, rest = take_option(list(arguments[1:]), "init_from")
    if init_from is None or take_option(rest, "recipe")[0] is not None:
        return list(arguments)
    recipe = recipe_of(init_from)
    return [*arguments, "--recipe", recipe] if recipe is not None and recipe in known else list(arguments)


def recipe_of(name_or_path: str) -> str | None:
    """What follows the paper in the name of a release; what the config.yaml of a run says; else None."""
    path = Path(name_or_path).expanduser()
    for folder in (path, path.parent.parent):
        config = folder / CONFIG_FILE
        if path.exists() and config.is_file():
            recipe = (yaml.safe_load(config.read_text()) or {}).get("recipe")
            return recipe if isinstance(recipe, str) else None
    paper, _, recipe = name_or_path.partition(".")
    return recipe if paper in MODELS and recipe else None


def with_source(plan: Plan, weights: Weights) -> tuple[Plan, Source]:
    """The plan with the source's constructor arguments in the place of the recipe's, and the source's module.

    A network that grows begins at the resolution that its source has grown to.
    """
    source = rebuild(weights)
    model = dict(weights.hyperparameters)
    if source.resolution is not None:
        model["start_resolution"] = source.resolution
    return dataclasses.replace(plan, base={**plan.base, "model": model}), source


def suit_data(config: Any, source: Source, *, arguments: Sequence[str]) -> None:
    """Makes the settings of model, data and evaluation agree, in place.

    Of channels and resolution, model and data follow whichever the command line sets; if it sets neither, the data
    follow the model, or where they cannot (CIFAR-10 is in colour) or would lose their colours (a folder of
    photographs), the model follows them. The number of classes is the data's, if the source is conditional.

    Args:
        config: the parsed settings.
        source: the weights to start from.
        arguments: of the command line.

    Raises:
        UnsupportedSettingError: classes that the model cannot be changed to.
        UsageError: what the data module refuses.
    """
    model, data = config.model, config.data.init_args
    kind = data_class(config)
    if len(source.module.image_shape) == 3:
        channels, side, _ = source.module.image_shape
        follow(model, data, "resolution", value=side, arguments=arguments)
        colours = channels == 1 and holds_colours(kind, data, arguments=arguments)
        if colours and has_colour_form(source.module):
            model.channels = data.channels = 3
        else:
            follow(model, data, "channels", value=channels, arguments=arguments)
            if colours:
                sys.stderr.write("note: your images are in colour, this network is grey: they are made grey\n")
        if "channels" not in data and "channels" in model and not given(arguments, "model.channels"):
            model.channels = kind.channels
    if "start_resolution" in model and not given(arguments, "model.start_resolution"):
        model.start_resolution = min(model.start_resolution, model.resolution)
    classes = kind(**data.as_dict()).num_classes  # looks for the files: their absence is said before anything is made
    if source.module.num_classes is not None and not given(arguments, "model.num_classes"):
        suit_classes(model, source, classes)
    suit_evaluation(config, arguments=arguments, colour=data.get("channels", kind.channels) == 3)


def data_class(config: Any) -> type[ImageDataModule]:
    """The class of the data set that is set."""
    where, _, name = config.data.class_path.rpartition(".")
    kind: type[ImageDataModule] = getattr(import_module(where), name)
    return kind


def follow(model: Any, data: Any, name: str, *, value: int, arguments: Sequence[str]) -> None:
    """One of model and data takes over the other's setting `name`; `value` is the source's."""
    if given(arguments, f"model.{name}"):
        value = model[name]
    elif (given(arguments, f"data.{name}") or given(arguments, f"data.init_args.{name}")) and name in model:
        model[name] = data[name]
        return
    if name in data and not (given(arguments, f"data.{name}") or given(arguments, f"data.init_args.{name}")):
        data[name] = value


def holds_colours(kind: type[ImageDataModule], data: Any, *, arguments: Sequence[str]) -> bool:
    """Whether these are files of one's own with colours, and the command line does not say what becomes of them."""
    said = any(given(arguments, name) for name in ("model.channels", "data.channels", "data.init_args.channels"))
    return not said and issubclass(kind, ImageFolder) and kind(**data.as_dict()).in_colour


def has_colour_form(module: AdversarialModule) -> bool:
    """Whether the same network can be made for three channels."""
    if "channels" not in inspect.signature(type(module)).parameters:
        return False
    try:
        with torch.device("meta"):
            other = type(module)(**{**module.hparams, "channels": 3})
    except ValueError:  # a network of grey images alone
        return False
    return other.image_shape[0] == 3


def suit_classes(model: Any, source: Source, classes: int | None) -> None:
    """Gives a conditional model the data's number of classes; without labels none, or one where it must have some."""
    if "num_classes" in model:
        default = inspect.signature(type(source.module)).parameters["num_classes"].default
        model.num_classes = classes or (None if default is None else 1)
    elif classes != source.module.num_classes:
        raise UnsupportedSettingError(
            f"the data have {classes or 'no'} classes, and this network is made for {source.module.num_classes}: "
            "choose data with as many, or a source that takes no labels"
        )


def suit_evaluation(config: Any, *, arguments: Sequence[str], colour: bool) -> None:
    """Where the source was measured by the project's LeNet because of its data, says what measures the new data.

    Grey images: LeNet still; colour: the project's ResNet. Inception has to be asked for, as it has to be downloaded.
    """
    monitor: str | None = config.keep.monitor
    if config.evaluation.extractors is not None or given(arguments, "evaluation.extractors"):
        return
    if monitor is None or not monitor.startswith("fd_lenet") or data_class(config).extractor == "lenet":
        return
    config.evaluation.extractors = ["resnet" if colour else "lenet"]
    if colour and not given(arguments, "keep.monitor"):
        config.keep.monitor = re.sub("^fd_lenet", "fd_resnet", monitor)


def given(arguments: Sequence[str], name: str) -> bool:
    """Whether the command line sets `--name`."""
    return any(argument == f"--{name}" or argument.startswith(f"--{name}=") for argument in arguments)


def refuse_without_source(settings: Mapping[str, Any]) -> None:
    """Raises UsageError for what makes sense only with trained weights, and for a scale that is none."""
    if settings["freeze_d"] < 0 or not settings["lr_scale"] > 0:
        raise UsageError("--freeze_d must be 0 or more, and --lr_scale above 0")
    if settings["freeze_d"] and settings["init_from"] is None:
        raise UsageError(
            "--freeze_d keeps what D has learnt, and this D has learnt nothing: name weights by --init_from"
        )
