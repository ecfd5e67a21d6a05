"""What the processes of an evaluation know of one another, and where they count."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor

WITHOUT_FLOAT64 = ("mps",)


def state_device(device: torch.device) -> torch.device:
    """Where metrics keep their states."""
    return torch.device("cpu") if device.type in WITHOUT_FLOAT64 else device


def in_float64(x: Tensor) -> Tensor:
    """The same numbers in float64; on the CPU, where the device knows none."""
    return x.to(state_device(x.device)).double()


def rank_and_world() -> tuple[int, int]:
    """This process's number, and how many there are."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def told_by_first(value: bool) -> bool:
    """Process 0's answer on every process: they must agree on whether the reals are computed together."""
    if rank_and_world()[1] == 1:
        return value
    answer = [value]
    dist.broadcast_object_list(answer, src=0)
    return answer[0]
