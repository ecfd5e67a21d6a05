"""What a card claims and anyone can compute again: the grid of seed 0, and the values under their protocols."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo.data import DATASETS, ImageDataModule
from zoo.errors import ReleaseError
from zoo.experiments.pictures.grids import save_png
from zoo.experiments.suite import EvaluationSettings, Measurement
from zoo.metrics.quantize import to_uint8
from zoo.models.base.module import AdversarialModule

GRID_IMAGES, GRID_SEED = 32, 0
COLUMNS = 8
NEWER = "another version may have made it (pip install -U lightning-gan-zoo), else fetch or export the release again"


def settings_for(data: ImageDataModule) -> EvaluationSettings:
    """The full protocol, in colour by both networks that install with the package."""
    return EvaluationSettings(extractors=[data.extractor, *["resnet"] * (data.extractor == "efficientnet")])


def settings_of(entry: Mapping[str, Any]) -> EvaluationSettings:
    """The settings that a card's figures were taken with.

    Raises:
        ReleaseError: one that this version does not know, or of another type.
    """
    fields = {field.name: field.default for field in dataclasses.fields(EvaluationSettings)}
    if unknown := entry.keys() - fields.keys():
        raise ReleaseError(f"the card's evaluation has the setting {sorted(unknown)[0]!r}, unknown here; {NEWER}")
    for name, value in entry.items():
        if name in ("real_images", "test_samples", "samples", "every"):
            fits = value is None or (type(value) is int and value > 0)
        elif name == "extractors":
            fits = value is None or (isinstance(value, list) and all(isinstance(part, str) for part in value))
        else:
            fits = type(value) is type(fields[name])
        if not fits or (value is None and fields[name] is not None):
            raise ReleaseError(f"the card's evaluation has {value!r} as {name}; {NEWER}")
    return EvaluationSettings(**entry)


def measure(module: AdversarialModule, data: ImageDataModule, settings: EvaluationSettings) -> Measurement:
    """Takes the measures of `test`, on a GPU where there is one.

    They lie in the measurement's `latest`, `hashes` and `protocols`. The module is on the CPU afterwards.
    """
    measurement = Measurement(data, settings=settings, testing=True)
    with torch.random.fork_rng(devices=[]):
        measurement(module.to("cuda" if torch.cuda.is_available() else "cpu"))
    module.to("cpu")
    return measurement


def open_data(entry: dict[str, Any], root: str | None) -> ImageDataModule:
    """The data set of a card.

    Raises:
        ReleaseError: a class that is no data set of this zoo, arguments that it does not take, or other images than the
            card's.
        DataNotFoundError: it does not lie at `root`.
    """
    kind = DATASETS.get(entry["class"])
    if kind is None:
        raise ReleaseError(f"the card's data set {entry['class']!r} is none of {', '.join(DATASETS)}")
    arguments = {**entry["arguments"], "root": root}
    if "download" in arguments:
        arguments["download"] = False  # whoever checks a card did not ask for a data set
    try:
        data = kind(**arguments)
    except TypeError as error:
        raise ReleaseError(f"the card's data set {kind.__name__} takes other arguments ({error}); {NEWER}") from error
    fingerprint = data.split("train").fingerprint
    if fingerprint != entry["fingerprint"]:
        raise ReleaseError(
            f"{data.name} at {data.root} holds other images than those of the card (fingerprint {fingerprint[:16]}..., "
            f"the card says {entry['fingerprint'][:16]}...)"
        )
    return data


def draw_grid(module: AdversarialModule, path: Path) -> None:
    """The grid of a release: what seed 0 gives."""
    save_png(module.sample(GRID_IMAGES, seed=GRID_SEED), path, columns=COLUMNS)


def grid_difference(module: AdversarialModule, path: Path, *, images: int, seed: int) -> int:
    """The largest difference, in grey levels, between a stored grid and the one that the module gives now."""
    import numpy as np
    from PIL import Image
    from torchvision.utils import make_grid

    now = make_grid(to_uint8(module.sample(images, seed=seed).cpu()), nrow=COLUMNS, padding=2)  # [3, H, W]
    try:
        with Image.open(path, formats=("PNG",)) as picture:
            stored = torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)
    except Exception as error:  # a file that was made to be wrong raises nearly anything
        raise ReleaseError(f"{path} cannot be read as a picture ({error}): do not trust this release") from error
    if stored.shape != now.shape:
        return 255
    return int((stored.int() - now.int()).abs().max())


def grey_levels(a: Tensor, b: Tensor) -> tuple[float, float]:
    """Largest and mean difference of two lots of images [N, C, H, W] in [-1, 1], in grey levels of 0..255."""
    difference = (to_uint8(a).int() - to_uint8(b).int()).abs().float()
    return float(difference.max()), float(difference.mean())
