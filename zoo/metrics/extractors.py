"""The feature networks by name: a new one is a class, whose `name` is its key, and a line of EXTRACTORS.

Its name is also kept from users' networks (`RESERVED` in features.py), and stands in the help of
`--evaluation.extractors` (zoo/experiments/suite.py).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from zoo.errors import UsageError
from zoo.metrics.dinov2 import DinoV2Extractor
from zoo.metrics.efficientnet import EfficientNetExtractor
from zoo.metrics.features import FeatureExtractor
from zoo.metrics.inception import InceptionExtractor
from zoo.metrics.lenet import WEIGHTS as LENET
from zoo.metrics.lenet import LeNetExtractor
from zoo.metrics.resnet import WEIGHTS as RESNET
from zoo.metrics.resnet import ResNetExtractor


class Entry(NamedTuple):
    """One network.

    Attributes:
        load: the extractor, with the weights that come with it, or from a file of weights.
        samples: generated images of a value worth reporting.
    """

    load: Callable[[Path | str | None], FeatureExtractor]
    samples: int


EXTRACTORS: dict[str, Entry] = {
    "inception": Entry(InceptionExtractor, samples=50_000),
    "efficientnet": Entry(EfficientNetExtractor, samples=10_000),
    "dinov2": Entry(DinoV2Extractor, samples=10_000),
    "lenet": Entry(lambda weights: LeNetExtractor(weights or LENET), samples=10_000),
    "resnet": Entry(lambda weights: ResNetExtractor(weights or RESNET), samples=10_000),
}


def load_extractor(name: str, weights: Path | str | None = None) -> FeatureExtractor:
    """The network of this name.

    Raises:
        UsageError: there is no such network.
        WeightsError: its weights are missing or damaged.
    """
    if name not in EXTRACTORS:
        raise UsageError(f"there is no feature network {name!r}: choose from {', '.join(EXTRACTORS)}")
    return EXTRACTORS[name].load(weights)
