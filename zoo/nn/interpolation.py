"""Ways from one latent to another."""

import torch.nn.functional as F
from torch import Tensor


def lerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """The straight line from a to b."""
    return a + (b - a) * t


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """The great circle from a to b, both brought to unit length first; [n, d], t [n, 1]."""
    a, b = F.normalize(a, dim=-1), F.normalize(b, dim=-1)
    dot = (a * b).sum(dim=-1, keepdim=True).clamp(-1, 1)
    angle = t * dot.acos()
    across = F.normalize(b - dot * a, dim=-1)
    return F.normalize(a * angle.cos() + across * angle.sin(), dim=-1)
