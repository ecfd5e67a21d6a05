"""How the weights of a release are stored: rounded to fewer bits where the images stay the same, exact elsewhere."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

SCALE = ":scale"  # beside an int8 matrix: the value of one step, for each row


def pack(tensors: Mapping[str, Tensor], precision: str) -> dict[str, Tensor]:
    """Tensors as a file holds them.

    Args:
        tensors: by name, as a module's state_dict holds them.
        precision: "float32"; "float16" rounds weights of two or more dimensions; "int8" rounds matrices to 255 steps
            of each row's largest magnitude, and kernels to float16. Biases, gains, statistics and integers stay exact.
    """
    packed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        weights = tensor.is_floating_point() and tensor.ndim >= 2
        if precision == "int8" and weights and tensor.ndim == 2:
            scale = tensor.abs().amax(1, keepdim=True).clamp(min=torch.finfo(tensor.dtype).tiny) / 127
            packed[name] = (tensor / scale).round().to(torch.int8)
            packed[name + SCALE] = scale
        else:
            packed[name] = tensor.half() if precision != "float32" and weights else tensor.clone()
    return packed


def unpack(packed: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors that `pack` stored, in float32."""
    tensors: dict[str, Tensor] = {}
    for name, tensor in packed.items():
        if name.endswith(SCALE):
            continue
        if name + SCALE in packed:
            tensors[name] = tensor.float() * packed[name + SCALE]
        else:
            tensors[name] = tensor.float() if tensor.is_floating_point() else tensor
    return tensors
