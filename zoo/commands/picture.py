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

COLUMNS, SEED = 6, 0  # images of a release
GAP = 1  # white columns between two data sets
WHITE = 1.0


def draw_blocks(releases: Sequence[Release], path: Path) -> Path:
    """Writes a PNG with a row for each paper and a block of columns for each data set, samples of a release where they
    meet; conditional ones by class. Small images are enlarged by a whole factor, to be as large as the others.

    Returns:
        the file.

    Raises:
        ZooError: no release.
    """
    if not releases:
        raise ZooError("there is no release to draw: `zoo pretrain` makes them")
    order = [*MODELS]
    papers = [release.card["paper"] for release in releases]
    order += [paper for paper in papers if paper not in order]  # of another version, which `samples` refuses
    releases = sorted(releases, key=lambda release: order.index(release.card["paper"]))  # as the papers came
    sets = sorted({data_of(release): release.card["image_shape"] for release in releases}.items(), key=lambda s: s[1])
    names = [name for name, _ in sets]
    images = [samples(release) for release in releases]
    side, channels = max(row.shape[-1] for row in images), max(row.shape[1] for row in images)
    rows: list[tuple[str, dict[str, Tensor]]] = []
    for release, row in zip(releases, images, strict=True):
        paper, data = release.card["paper"], data_of(release)
        label = f"{paper}, {MODELS[paper].reference.year}"
        if not rows or rows[-1][0] != label or data in rows[-1][1]:
            rows.append((label, {}))
        rows[-1][1][data] = framed(row, side=side, channels=channels)
    blank = torch.full((COLUMNS, channels, side, side), WHITE)
    gap = blank[:GAP]
    grid = torch.stack(
        [torch.cat([part for name in names for part in (cells.get(name, blank), gap)][:-1]) for _, cells in rows]
    )  # [rows, columns, C, H, W]
    heads = [""] * grid.shape[1]
    for i, name in enumerate(names):
        heads[i * (COLUMNS + GAP) + COLUMNS // 2] = name
    (written,) = write([(path.stem, labelled(grid, columns=heads, rows=[label for label, _ in rows]))], path.parent)
    return written


def data_of(release: Release) -> str:
    """Name of the data set that a release was trained on, whatever the size of its images."""
    return str(release.card["data"]["class"])


def samples(release: Release) -> Tensor:
    """[columns, C, H, W] in [-1, 1]."""
    module = release.module()
    labels = None if module.num_classes is None else torch.arange(COLUMNS) % module.num_classes
    return module.sample(COLUMNS, labels=labels, seed=SEED)


def framed(images: Tensor, *, side: int, channels: int) -> Tensor:
    """Images [N, C, H, W], enlarged by the largest whole factor, in the middle of black squares of `side` pixels.

    Grey ones get as many channels as the others have.
    """
    factor = max(1, side // max(images.shape[-2:]))
    images = images.repeat_interleave(factor, dim=-2).repeat_interleave(factor, dim=-1)
    height, width = images.shape[-2:]
    top, left = (side - height) // 2, (side - width) // 2
    padded = F.pad(images, (left, side - width - left, top, side - height - top), value=-1.0)
    return padded.expand(-1, channels, -1, -1)
