"""What measures of two sets keep that no sum can replace: the samples themselves, by their global index."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from zoo.errors import EvaluationError

Side = Literal["real", "fake"]


def refuse(bad: Tensor, what: str) -> None:
    """Raises EvaluationError where any of `bad`, bool, is true. Of a NaN no distance is smaller than another: it would
    pass for a sample of low precision."""
    if n := int(bad.sum()):
        raise EvaluationError(f"{n:,} of {bad.numel():,} {what} are NaN or infinite: nothing to measure")


class SamplePairs(Metric):
    """Base of the measures that compare two sets of features [N, d] or of images [N, C, H, W].

    Samples are sorted by their global index before anything is computed, so that a value depends neither on the
    number of processes nor on the batch size.
    """

    is_differentiable = False
    full_state_update = False

    real_samples: list[Tensor]
    real_index: list[Tensor]
    fake_samples: list[Tensor]
    fake_index: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        for name in ("real_samples", "real_index", "fake_samples", "fake_index"):
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, samples: Tensor, *, index: Tensor, side: Side) -> None:
        """Keep samples [n, ...] with these global indices, int64 [n].

        n may be 0, and under torch.distributed a process without samples must say so by such an update, which
        gives its state the shape that the others' have. Raises ValueError if the numbers differ, or one is not finite.
        """
        if samples.ndim < 2 or len(samples) != len(index):
            raise EvaluationError(f"{len(index)} indices for samples of shape {list(samples.shape)}")
        if samples.is_floating_point():
            refuse(~samples.isfinite(), "features")
        (self.real_samples if side == "real" else self.fake_samples).append(samples)
        (self.real_index if side == "real" else self.fake_index).append(index)

    def sorted_samples(self, side: Side) -> Tensor:
        """All samples [N, ...] of a side in the order of their global index. Raises ValueError for a repeated
        index, and where there is none."""
        kept = self.real_samples if side == "real" else self.fake_samples
        if isinstance(kept, list) and not kept:
            raise EvaluationError(f"there are no {side} samples")
        samples = dim_zero_cat(kept)
        index, order = dim_zero_cat(self.real_index if side == "real" else self.fake_index).sort()
        repeated = int((index.diff() == 0).sum())
        if repeated:
            raise EvaluationError(f"{repeated} {side} samples were counted more than once")
        # A side that came whole and in order is not copied: it may be hundreds of megabytes.
        return samples if torch.equal(order, torch.arange(len(order), device=order.device)) else samples[order]

    def both(self, *, least: int) -> tuple[Tensor, Tensor]:
        """The sorted real and fake samples. Raises ValueError with fewer than `least` on a side."""
        real, fake = self.sorted_samples("real"), self.sorted_samples("fake")
        if min(len(real), len(fake)) < least:
            raise EvaluationError(
                f"{type(self).__name__} needs {least} samples or more a side, got {len(real)} real and {len(fake)} fake"
            )
        return real, fake
