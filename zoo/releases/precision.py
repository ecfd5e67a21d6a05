"""How the weights of a release are stored: rounded to fewer bits where the images stay the same, exact elsewhere."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

SCALE = ":scale"  # beside a matrix of 8 or 4 bits: the value of one step, for each group of a row or for all of it
OF_8, GROUP, LARGE = 96, 64, 1 << 20  # weights that share a scale of 8 bits, of 4; entries from which a matrix has 4


def pack(tensors: Mapping[str, Tensor], precision: str) -> dict[str, Tensor]:
    """Tensors as a file holds them.

    Args:
        tensors: by name, as a module's state_dict holds them.
        precision: "float32"; "float16" rounds weights of two or more dimensions; "int8" rounds matrices to 255 steps
            of the largest magnitude of every 96 in a row (of the row, where it has no such groups), and kernels to
            float16; "int4" is the same, but for matrices of a million weights and more: 15 steps of the largest
            magnitude of every 64 in a row. Biases, gains, statistics and integers stay exact.
    """
    packed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        weights = tensor.is_floating_point() and tensor.ndim >= 2
        matrix = weights and tensor.ndim == 2
        if precision == "int4" and matrix and tensor.numel() >= LARGE and tensor.shape[1] % GROUP == 0:
            packed[name], packed[name + SCALE] = to_nibbles(tensor)
        elif precision in ("int8", "int4") and matrix:
            packed[name], packed[name + SCALE] = to_bytes(tensor)
        else:
            packed[name] = tensor.half() if precision != "float32" and weights else tensor.clone()
    return packed


def unpack(packed: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors that `pack` stored, in float32; ValueError or torch's own errors for what it never stores."""
    tensors: dict[str, Tensor] = {}
    for name, tensor in packed.items():
        if name.endswith(SCALE):
            continue
        if name + SCALE in packed and tensor.dtype == torch.uint8:
            tensors[name] = from_nibbles(tensor, packed[name + SCALE])
        elif name + SCALE in packed:
            scale = packed[name + SCALE]
            if tensor.ndim != 2 or scale.shape not in ((len(tensor), 1), (len(tensor), tensor.shape[1] // OF_8)):
                raise ValueError(f"{name + SCALE} has shape {[*scale.shape]}")  # others may stand for more numbers
            groups = tensor.float().reshape(*scale.shape, -1)
            tensors[name] = (groups * scale[..., None].float()).flatten(1)
        else:
            tensors[name] = tensor.float() if tensor.is_floating_point() else tensor
    return tensors


def to_bytes(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """A matrix [R, C] as int8 [R, C], and the value of a step: float16 [R, C / OF_8], or [R, 1] in its own type."""
    if matrix.shape[1] % OF_8:
        scale = matrix.abs().amax(1, keepdim=True).clamp(min=torch.finfo(matrix.dtype).tiny) / 127
        return (matrix / scale).round().to(torch.int8), scale
    groups = matrix.reshape(len(matrix), -1, OF_8)
    scale = (groups.abs().amax(2) / 127).half().clamp(min=2**-24)  # half precision's smallest
    return (groups / scale[..., None].float()).round().clamp(-127, 127).to(torch.int8).flatten(1), scale


def to_nibbles(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """A matrix [R, C] as uint8 [R, C / 2], two weights a byte, and the value of a step, float16 [R, C / GROUP]."""
    groups = matrix.reshape(len(matrix), -1, GROUP)
    scale = (groups.abs().amax(2) / 7).half().clamp(min=2**-24)  # half precision's smallest
    steps = (groups / scale[..., None].float()).round().clamp(-7, 7).add(8).to(torch.uint8).flatten(1)
    return steps[:, ::2] | steps[:, 1::2] << 4, scale


def from_nibbles(packed: Tensor, scale: Tensor) -> Tensor:
    """The float32 matrix [R, C] that `to_nibbles` stored."""
    steps = torch.stack([packed & 15, packed >> 4], dim=2).flatten(1).float() - 8
    groups = steps.reshape(*scale.shape, -1)
    return (groups * scale[..., None].float()).flatten(1)
