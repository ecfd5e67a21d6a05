"""From generated floats to the uint8 images that every value is computed on: once, in one place."""

import torch
from torch import Tensor

from zoo.errors import EvaluationError


def to_uint8(x: Tensor) -> Tensor:
    """Images in [-1, 1] to uint8 in 0..255 by rounding to the nearest grey level; values outside are clamped.

    Truncation would darken every fake by half a level (PEERS section 4). Level v, mapped to v / 127.5 - 1,
    returns as v. Raises TypeError if x is not floating point, ValueError if it holds NaN or infinities (clamping would
    make them a colour).
    """
    if not x.is_floating_point():
        raise TypeError(f"to_uint8 expects floats in [-1, 1], got {x.dtype}")
    bad = int((~x.isfinite()).sum())
    if bad:
        raise EvaluationError(f"{bad} of {x.numel()} generated values are NaN or infinite: nothing to evaluate")
    return rounded(x)


def rounded(x: Tensor) -> Tensor:
    """The arithmetic of `to_uint8` alone, which looks at no value: for graphs that are traced."""
    return ((x.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
