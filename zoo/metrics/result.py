"""What an evaluation gives."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from zoo.metrics.nearest import Neighbours
from zoo.metrics.protocol import EvalProtocol


@dataclass(frozen=True)
class EvalResult:
    """Values by name (fd_lenet, fid50k, is50k_std, ...), and the protocol behind each name.

    neighbours: for the measures "nn" and "nn_pixels", by the name of their number: which images of the reference are
    nearest to the first fakes.
    alike: whether all fakes (of process 0) are one and the same image.
    samples: the first fakes, uint8 [n, C, H, W] on the CPU, for a picture of these neighbours (on process 0).
    """

    values: dict[str, float]
    protocols: dict[str, EvalProtocol]
    neighbours: dict[str, Neighbours] = field(default_factory=dict, compare=False)
    alike: bool = field(default=False, compare=False)
    samples: Tensor | None = field(default=None, compare=False, repr=False)
