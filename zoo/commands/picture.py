"""Samples of several releases in one picture."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.errors import ZooError
from zoo.experiments.pictures.drawing import write
from zoo.experiments.pictures.growing import labelled
from zoo.models import MODELS
from zoo.releases.release import Release

COLUMNS, SEED = 16, 0


def draw_rows(releases: Sequence[Release], path: Path) -> None:
    """Writes a PNG with a row of samples of each release, labelled with paper and year; conditional ones by class.

    Raises:
        ZooError: no release.
    """
    if not releases:
        raise ZooError("there is no release to draw: `zoo pretrain` makes them")
    releases = sorted(releases, key=lambda release: [*MODELS].index(release.card["paper"]))  # as the papers came
    rows = [samples(release) for release in releases]
    side, channels = max(row.shape[-1] for row in rows), max(row.shape[1] for row in rows)
    grid = torch.stack([framed(row, side=side, channels=channels) for row in rows])  # [releases, columns, C, H, W]
    names = [f"{release.card['paper']}, {MODELS[release.card['paper']].reference.year}" for release in releases]
    write([(path.stem, labelled(grid, rows=names))], path.parent)


def samples(release: Release) -> Tensor:
    """[columns, C, H, W] in [-1, 1]."""
    module = release.module()
    labels = None if module.num_classes is None else torch.arange(COLUMNS) % module.num_classes
    return module.sample(COLUMNS, labels=labels, seed=SEED)


def framed(images: Tensor, *, side: int, channels: int) -> Tensor:
    """Images in the middle of black squares of `side` pixels, grey ones in as many channels as the others have."""
    height, width = images.shape[-2:]
    top, left = (side - height) // 2, (side - width) // 2
    padded = F.pad(images, (left, side - width - left, top, side - height - top), value=-1.0)
    return padded.expand(-1, channels, -1, -1)
