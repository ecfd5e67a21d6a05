"""The conventions of the literature by name: the same model's FID differs by a factor of four between them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from zoo.errors import EvaluationError
from zoo.metrics.features import FeatureExtractor
from zoo.metrics.inception import InceptionExtractor
from zoo.metrics.resize import Dialect


@dataclass(frozen=True)
class Column:
    """One set of values: an extractor against a reference, with so many fakes.

    split: of the data set. n_real: the first so many of it, or all. n_fake: None for the evaluator's own number.
    """

    extractor: FeatureExtractor
    split: Literal["train", "validation", "test"] = "train"
    n_real: int | None = None
    n_fake: int | None = None


@dataclass(frozen=True)
class Preset:
    """What a part of the literature calls FID; the protocol stored beside a value spells it out."""

    split: Literal["train", "test"]
    n_fake: int
    dialect: Dialect
    used_by: str


PRESETS = {
    "train50k": Preset("train", 50_000, "tf1", "TTUR and most papers: all training images, TensorFlow 1's resize"),
    "test10k": Preset("test", 10_000, "tf1", "StudioGAN and others: 10,000 test images, TensorFlow 1's resize"),
    "clean": Preset("train", 50_000, "clean", "clean-fid: PIL's bicubic resize, training images"),
    "clean_test10k": Preset("test", 10_000, "clean", "clean-fid's CIFAR-10 leaderboard: 10,000 test images"),
    "torchmetrics": Preset("train", 50_000, "torchmetrics", "torchmetrics >= 1.8 as it comes: antialias"),
}


def preset_columns(
    names: Iterable[str], inception: InceptionExtractor, *, n_fake: int | None = None, splits: Iterable[str] = ()
) -> list[Column]:
    """Columns of several presets that share one network and one pass over the fakes.

    n_fake: fewer fakes than the presets ask for (the values' names say so). splits: those that the data set has; where
    given, a preset on another raises ValueError. ValueError for an unknown name, too.
    """
    speaking: dict[Dialect, FeatureExtractor] = {}
    columns, there = [], tuple(splits)
    for name in dict.fromkeys(names):
        if name not in PRESETS:
            raise EvaluationError(f"there is no preset {name!r}: choose from {', '.join(PRESETS)}")
        preset = PRESETS[name]
        if there and preset.split not in there:
            raise EvaluationError(f"the preset {name} compares with the split {preset.split}; there is {list(there)}")
        extractor = speaking.setdefault(preset.dialect, inception.in_dialect(preset.dialect))
        fakes = preset.n_fake if n_fake is None else min(n_fake, preset.n_fake)
        columns.append(Column(extractor, preset.split, n_fake=fakes))
    return columns
