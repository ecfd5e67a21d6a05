"""The command line of a fine-tuning run: whose settings it starts from, and how model and data are made to agree."""

import dataclasses
import inspect
import sys
from collections.abc import Collection
from importlib import import_module
from typing import Any

import torch

from zoo.data import ImageDataModule, ImageFolder
from zoo.data.named import dataset_of, is_dataset
from zoo.errors import UnsupportedSettingError, UsageError
from zoo.models.base.module import AdversarialModule
from zoo.releases.weights import Weights, open_weights
from zoo.training.finetune.adapt import Source, rebuild
from zoo.training.finetune.origin import source_name
from zoo.training.outlook import monitored
from zoo.training.plan import Plan
from zoo.training.words import Words


def open_source(words: Words, *, paper: str) -> Weights | None:
    """The weights that a `fit` is to start from, or None.

    Raises:
        UsageError: weights of another paper.
        CheckpointError: nothing of that name, or a damaged file.
    """
    init_from = source_name(words)
    if init_from is None:
        return None
    weights = open_weights(init_from)
    if weights.paper != paper:
        raise UsageError(
            f"{weights.origin} is of {weights.paper}, this is {paper}: fine-tune it with "
            f"reproductions/{weights.paper}.py"
        )
    return weights


def with_source(plan: Plan, weights: Weights) -> tuple[Plan, Source]:
    """The plan with the source's constructor arguments in the place of the recipe's, and the source's module.

    A network that grows begins at the resolution that its source has grown to.
    """
    source = rebuild(weights)
    model = dict(weights.hyperparameters)
    if source.resolution is not None:
        model["start_resolution"] = source.resolution
    return dataclasses.replace(plan, base={**plan.base, "model": model}), source


def match_data(config: Any, source: Source, *, given: Collection[str]) -> None:
    """Makes the settings of model, data and evaluation agree, in place.

    Of channels and resolution, model and data follow whichever the command line sets; if it sets neither, the data
    follow the model, or where they cannot (CIFAR-10 is in colour) or would lose their colours (a folder of
    photographs), the model follows them. The number of classes is the data's, if the source is conditional.

    Args:
        config: the parsed settings.
        source: the weights to start from.
        given: names of the options on the command line.

    Raises:
        UnsupportedSettingError: classes that the model cannot be changed to.
        UsageError: what the data module refuses.
    """
    model, data = config.model, config.data.init_args
    kind = data_class(config)
    if len(source.module.image_shape) == 3:
        channels, side, _ = source.module.image_shape
        adopt_setting(model, data, "resolution", value=side, given=given)
        colours = channels == 1 and holds_colours(kind, data, given=given)
        if colours and has_colour_form(source.module):
            model.channels = data.channels = 3
        else:
            adopt_setting(model, data, "channels", value=channels, given=given)
            if colours:
                sys.stderr.write("note: your images are in colour, this network is grey: they are made grey\n")
        if "channels" not in data and "channels" in model and "model.channels" not in given:
            model.channels = kind.channels
    if "start_resolution" in model and "model.start_resolution" not in given:
        model.start_resolution = min(model.start_resolution, model.resolution)
    classes = kind(**data.as_dict()).num_classes  # looks for the files: their absence is said before anything is made
    if source.module.num_classes is not None and "model.num_classes" not in given:
        match_classes(model, source, classes)
    match_evaluation(config, given=given)


def data_class(config: Any) -> type[ImageDataModule]:
    """The class of the data set that is set; of one's own, where the command line names it."""
    if is_dataset(config.data.class_path):
        return dataset_of(config.data.class_path, where="--data")
    where, _, name = config.data.class_path.rpartition(".")
    kind: type[ImageDataModule] = getattr(import_module(where), name)  # the parser has imported it
    return kind


def adopt_setting(model: Any, data: Any, name: str, *, value: int, given: Collection[str]) -> None:
    """One of model and data takes over the other's setting `name`; `value` is the source's."""
    if f"model.{name}" in given:
        value = model[name]
    elif (f"data.{name}" in given or f"data.init_args.{name}" in given) and name in model:
        model[name] = data[name]
        return
    if name in data and not (f"data.{name}" in given or f"data.init_args.{name}" in given):
        data[name] = value


def holds_colours(kind: type[ImageDataModule], data: Any, *, given: Collection[str]) -> bool:
    """Whether these are files of one's own with colours, and the command line does not say what becomes of them."""
    said = any(name in given for name in ("model.channels", "data.channels", "data.init_args.channels"))
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


def match_classes(model: Any, source: Source, classes: int | None) -> None:
    """Gives a conditional model the data's number of classes; without labels none, or one where it must have some."""
    if "num_classes" in model:
        default = inspect.signature(type(source.module)).parameters["num_classes"].default
        model.num_classes = classes or (None if default is None else 1)
    elif classes != source.module.num_classes:
        raise UnsupportedSettingError(
            f"the data have {classes or 'no'} classes, and this network is made for {source.module.num_classes}: "
            "choose data with as many, or a source that takes no labels"
        )


def match_evaluation(config: Any, *, given: Collection[str]) -> None:
    """Monitors the new data by the network that measures them, where the source was measured by that of the digits."""
    monitor: str | None = config.keep.monitor
    own = data_class(config).extractor
    asked = config.evaluation.extractors is not None or "keep.monitor" in given
    if monitor is not None and monitor.startswith("fd_lenet") and own != "lenet" and not asked:
        config.keep.monitor = monitored(f"fd_{own}", samples=config.evaluation.samples)
