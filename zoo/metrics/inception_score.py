"""Inception Score (Salimans et al. 2016, arXiv 1606.03498, section 4), on logits of any classifier."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric

from zoo.metrics.pairs import refuse
from zoo.metrics.processes import in_float64


class MeanStd(NamedTuple):
    """A mean with its standard deviation, each float64 []."""

    mean: Tensor
    std: Tensor


class InceptionScore(Metric):
    """exp(mean_x KL(p(y|x) || p(y))) per split; mean and population standard deviation over the splits.

    The splits are contiguous in the samples' global index i = 0 .. num_samples - 1 (split s starts at
    s * num_samples // splits), so the value does not depend on which process saw a sample, nor when.
    """

    higher_is_better = True
    is_differentiable = False
    full_state_update = False

    count: Tensor  # int64 [splits]
    p_sum: Tensor  # float64 [splits, K]: sum of p(y|x)
    plogp_sum: Tensor  # float64 [splits]: sum of sum_y p(y|x) log p(y|x)

    def __init__(self, *, num_samples: int, num_classes: int, splits: int = 10) -> None:
        super().__init__()
        if not 1 <= splits <= num_samples:
            raise ValueError(f"{num_samples} samples cannot be cut into {splits} splits")
        self.num_samples, self.num_classes, self.splits = num_samples, num_classes, splits
        self.add_state("count", torch.zeros(splits, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("p_sum", torch.zeros(splits, num_classes, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("plogp_sum", torch.zeros(splits, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, logits: Tensor, *, index: Tensor) -> None:
        """Count logits [n, K] of the samples with these global indices, int64 [n]. Raises ValueError outside
        the range, and for a logit that is NaN or infinite (-inf says that there is none of the class)."""
        if logits.ndim != 2 or logits.shape != (len(index), self.num_classes):
            raise ValueError(f"logits must be [{len(index)}, {self.num_classes}], got {list(logits.shape)}")
        refuse(~(logits < torch.inf), "logits")
        if len(index) and not 0 <= int(index.min()) <= int(index.max()) < self.num_samples:
            raise ValueError(f"sample indices must be in 0..{self.num_samples - 1}")
        starts = torch.arange(1, self.splits, device=index.device) * self.num_samples // self.splits
        split = torch.bucketize(index, starts, right=True)  # [n]
        log_p = in_float64(logits).log_softmax(dim=1)
        p = log_p.exp()
        # A class of probability 0 adds 0 log 0 = 0, also where its logit is -inf.
        plogp = torch.special.entr(p).sum(dim=1).neg()
        self.count = self.count + torch.bincount(split, minlength=self.splits)
        self.p_sum = self.p_sum.index_add(0, split, p)
        self.plogp_sum = self.plogp_sum.index_add(0, split, plogp)

    def compute(self) -> MeanStd:
        """Mean and population std over the splits. Raises ValueError unless every sample was counted once."""
        edges = torch.arange(self.splits + 1, device=self.count.device) * self.num_samples // self.splits
        if not torch.equal(self.count, edges.diff()):
            raise ValueError(f"expected {edges.diff().tolist()} samples per split, got {self.count.tolist()}")
        q = self.p_sum / self.count[:, None]  # p(y) within each split
        kl = self.plogp_sum / self.count + torch.special.entr(q).sum(dim=1)
        scores = kl.exp()
        return MeanStd(scores.mean(), scores.std(correction=0))
