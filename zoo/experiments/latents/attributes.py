"""What can be measured of images without labels: thickness and slant of strokes, brightness, contrast, hues."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


def attributes_of(images: Tensor) -> dict[str, Tensor]:
    """The attributes of images [N, C, H, W] in [-1, 1], each [N]: of strokes where they are grey, else of colours."""
    return stroke_attributes(images) if images.shape[1] == 1 else colour_attributes(images)


def stroke_attributes(images: Tensor) -> dict[str, Tensor]:
    """Of light strokes on black, [N, 1, H, W] in [-1, 1].

    thickness: pixels; twice the area of the ink over the length of its edge (total variation), as of a long bar.
    slant: horizontal pixels per vertical one, positive where the top leans to the right: -mu_11 / mu_02.
    width, height: pixels; standard deviations of the ink about its centre, times four.
    """
    ink = ((images[:, 0] + 1) / 2).clamp(0, 1).double()
    mass = ink.sum((1, 2)).clamp_min(1e-9)
    rows = torch.arange(ink.shape[1], dtype=ink.dtype)[:, None]
    columns = torch.arange(ink.shape[2], dtype=ink.dtype)[None]
    y = rows - ((ink * rows).sum((1, 2)) / mass)[:, None, None]
    x = columns - ((ink * columns).sum((1, 2)) / mass)[:, None, None]
    mu_xy, mu_yy, mu_xx = ((ink * product).sum((1, 2)) / mass for product in (x * y, y * y, x * x))
    padded = F.pad(ink, (1, 1, 1, 1))
    down, right = padded[:, 1:, :-1] - padded[:, :-1, :-1], padded[:, :-1, 1:] - padded[:, :-1, :-1]
    edge = (down.square() + right.square()).sqrt().sum((1, 2)).clamp_min(1e-9)
    return {
        "thickness": 2 * mass / edge,
        "slant": -mu_xy / mu_yy.clamp_min(1e-9),
        "width": 4 * mu_xx.clamp_min(0).sqrt(),
        "height": 4 * mu_yy.clamp_min(0).sqrt(),
    }


def colour_attributes(images: Tensor) -> dict[str, Tensor]:
    """Of colour images [N, 3, H, W] in [-1, 1], in shares of the full range.

    brightness: mean; contrast: deviation of the pixels' grey; warmth: red less blue; saturation: largest less smallest
    channel; light from the right: brightness of the right half less that of the left.
    """
    x = ((images + 1) / 2).double()
    grey = x.mean(1)  # [N, H, W]
    half = grey.shape[2] // 2
    return {
        "brightness": grey.mean((1, 2)),
        "contrast": grey.flatten(1).std(1),
        "warmth": (x[:, 0] - x[:, 2]).mean((1, 2)),
        "saturation": (x.amax(1) - x.amin(1)).mean((1, 2)),
        "light from the right": grey[:, :, -half:].mean((1, 2)) - grey[:, :, :half].mean((1, 2)),
    }


class Effect(NamedTuple):
    """What a direction does to an attribute.

    Attributes:
        change: of its mean from the first step to the last, in standard deviations over samples.
        monotone: whether the mean rises, or falls, at each step.
    """

    change: float
    monotone: bool


def effects(images: Tensor, samples: Mapping[str, Tensor]) -> dict[str, Effect]:
    """What moving does to attributes.

    Args:
        images: of points moved along one direction, [N, steps, C, H, W] in [-1, 1].
        samples: the attributes of samples, whose deviations are the unit.
    """
    n, steps = images.shape[:2]
    found = {}
    for name, values in attributes_of(images.flatten(0, 1)).items():
        course = values.view(n, steps).mean(0)  # [steps]
        rises = course.diff()
        change = float((course[-1] - course[0]) / samples[name].std().clamp_min(1e-9))
        found[name] = Effect(change, bool((rises > 0).all() or (rises < 0).all()))
    return found
