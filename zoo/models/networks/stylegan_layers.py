"""StyleGAN's operations on maps (Karras, Laine, Aila 2019): blur, and adaptive instance normalisation."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


class Blur(torch.autograd.Function):
    """See blur2d. The filter is symmetric, and so its own adjoint: the derivative of a blur is a blur.

    (Autograd's second derivative of a convolution, which R1 takes, goes through the maps one by one.)
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        row = x.new_tensor([1.0, 2.0, 1.0]) / 4
        kernel = (row[:, None] * row).expand(x.shape[1], 1, 3, 3)
        return F.conv2d(x, kernel, padding=1, groups=x.shape[1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return blur2d(gradients[0])


def blur2d(x: Tensor) -> Tensor:
    """Low-pass filter [1, 2, 1] x [1, 2, 1] / 16 on each map, zeros outside the image (appendix C, row B).

    Maps [N, C, H, W] to the same shape.
    """
    blurred: Tensor = Blur.apply(x)
    return blurred


def instance_norm(x: Tensor) -> Tensor:
    """Each map [H, W] of each image to mean 0 and variance 1; no affine part, which is the style's."""
    return F.instance_norm(x, eps=1e-8)


def adain(x: Tensor, style: Tensor) -> Tensor:
    """Adaptive instance normalisation (eq. 1): y_s * normalised x + y_b, for each map.

    Args:
        x: features [N, C, H, W].
        style: y_s - 1 (the first C: a style of zeros changes nothing) and y_b (the last C), [N, 2C].
    """
    scale, shift = style.to(x.dtype)[:, :, None, None].chunk(2, 1)  # [N, C, 1, 1]
    return torch.addcmul(shift, instance_norm(x), scale + 1)


def lrelu(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2)
