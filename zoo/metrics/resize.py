"""The three ways in which people bring images to 299 x 299 before Inception, each as two matrix products.

On the same images they give different FIDs, and none is wrong: TensorFlow 1's bilinear (what the papers used), PIL's
bicubic without rounding (Parmar et al. 2022, "clean"), and bilinear with antialias (torchmetrics >= 1.8).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

Dialect = Literal["tf1", "clean", "torchmetrics"]

DESCRIPTIONS: dict[Dialect, str] = {
    "tf1": "TF1 bilinear to {0}x{0} (no antialias, no half-pixel shift), grey tiled; (x - 128) / 128",
    "clean": "PIL bicubic to {0}x{0} in float, clipped to 0..255, grey tiled; (x - 128) / 128",
    "torchmetrics": "bilinear with antialias to {0}x{0}, grey tiled; (x - 128) / 128",
}


def resize(x: Tensor, size: int, *, dialect: Dialect = "tf1") -> Tensor:
    """Float images [N, C, H, W] in 0..255 to [N, C, size, size]."""
    height, width = x.shape[-2:]
    rows, columns = (matrix(side, size, dialect).to(x) for side in (height, width))
    y = rows @ x @ columns.T
    return y.clamp(0, 255) if dialect == "clean" else y


def matrix(source: int, target: int, dialect: Dialect) -> Tensor:
    """Interpolation weights of a dialect, float32 [target, source]."""
    if dialect == "tf1":
        return tf1_matrix(source, target)
    kernel, support = (cubic, 2.0) if dialect == "clean" else (triangle, 1.0)
    return antialiased_matrix(source, target, kernel, support)


@functools.lru_cache(maxsize=16)
def tf1_matrix(source: int, target: int) -> Tensor:
    """Interpolation weights [target, source] of resize_bilinear(align_corners=False).

    The source position of output pixel i is i * source / target, without half-pixel centres, in float32.
    """
    position = torch.arange(target, dtype=torch.float32) * torch.tensor(source / target, dtype=torch.float32)
    low = position.long()
    high = (low + 1).clamp(max=source - 1)
    fraction = position - low
    weights = torch.zeros(target, source)
    rows = torch.arange(target)
    weights[rows, low] += 1 - fraction
    weights[rows, high] += fraction
    return weights


@functools.lru_cache(maxsize=16)
def antialiased_matrix(source: int, target: int, kernel: Callable[[Tensor], Tensor], support: float) -> Tensor:
    """Weights [target, source] of a kernel over half-pixel centres, widened where the image shrinks."""
    scale = source / target
    width = max(scale, 1.0)
    weights = torch.zeros(target, source, dtype=torch.float64)
    for i in range(target):
        centre = (i + 0.5) * scale
        first = max(math.floor(centre - support * width + 0.5), 0)
        last = min(math.floor(centre + support * width + 0.5), source)
        x = (torch.arange(first, last, dtype=torch.float64) - centre + 0.5) / width
        values = kernel(x)
        weights[i, first:last] = values / values.sum()
    return weights.float()


def triangle(x: Tensor) -> Tensor:
    """Bilinear interpolation's kernel."""
    return (1 - x.abs()).clamp(min=0)


def cubic(x: Tensor) -> Tensor:
    """Keys' cubic convolution kernel with a = -1/2, as PIL has it."""
    x = x.abs()
    inner = (1.5 * x - 2.5) * x.square() + 1
    outer = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x < 1, inner, torch.where(x < 2, outer, torch.zeros_like(x)))
