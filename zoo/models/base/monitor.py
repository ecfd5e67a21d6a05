"""What is logged beside the losses: how strongly each player is pushed, and how far it moves."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm


@contextmanager
def measured_step(optimizer: torch.optim.Optimizer, *, player: str, into: dict[str, Tensor]) -> Iterator[None]:
    """Measures the optimizer step inside it.

    Puts into `into`: `gradient_norm_PLAYER`, the L2 norm of all gradients together; `update_ratio_PLAYER`, the L2 norm
    of the change of the weights over that of the weights.

    Args:
        optimizer: whose gradients are there already.
        player: "D" or "G".
        into: where the 0-dimensional float tensors go.
    """
    weights = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    into[f"gradient_norm_{player}"] = get_total_norm([p.grad for p in weights if p.grad is not None])
    before = [p.detach().clone() for p in weights]
    size = get_total_norm(before)
    yield
    with torch.no_grad():
        for kept, weight in zip(before, weights, strict=True):
            kept.sub_(weight)  # in place: fresh memory costs more than all the rest
        into[f"update_ratio_{player}"] = get_total_norm(before) / size


@torch.no_grad()
def variety(images: Tensor) -> float:
    """Mean Euclidean distance between two images of a batch [N, C, H, W] (or points [N, d]), N >= 2."""
    return float(torch.pdist(images.flatten(1).float()).mean())
