"""Layers and weight rules that several papers share."""

import torch
from torch import Tensor, nn


class Maxout(nn.Module):
    """Largest of `pieces` affine maps per unit (Goodfellow et al. 2013, arXiv 1302.4389, eq. 1).

    Maps [N, inputs] to [N, units]; each piece has its own bias.
    """

    def __init__(self, inputs: int, units: int, *, pieces: int) -> None:
        super().__init__()
        self.pieces = pieces
        self.linear = nn.Linear(inputs, units * pieces)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x).unflatten(1, (-1, self.pieces)).amax(2)  # type: ignore[no-any-return]


def uniform_(layer: nn.Module, *, bound: float) -> None:
    """Weights from U(-bound, bound) and biases 0 for every linear or convolutional layer below `layer`."""
    for module in layer.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.uniform_(module.weight, -bound, bound)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


@torch.no_grad()
def update_average(G_ema: nn.Module, G: nn.Module, *, beta: float) -> None:
    """Moves the parameters of G_ema to beta * G_ema + (1 - beta) * G; buffers (BatchNorm statistics) are copied.

    Args:
        G_ema: the averaged network, of the same architecture as G.
        G: the network under training.
        beta: decay per call, in [0, 1].
    """
    for average, parameter in zip(G_ema.parameters(), G.parameters(), strict=True):
        average.lerp_(parameter.to(average.dtype), 1.0 - beta)
    for copy, buffer in zip(G_ema.buffers(), G.buffers(), strict=True):
        copy.copy_(buffer)


class SameConv2d(nn.Conv2d):
    """Convolution with TensorFlow's SAME padding: output side = ceil(side / stride), the odd zero on the right.

    Maps [N, inputs, H, W] to [N, outputs, ceil(H / stride), ceil(W / stride)]; square kernels and strides.
    """

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        pad: list[int] = []
        for side in (x.shape[3], x.shape[2]):  # F.pad begins with the last dimension
            total = max(0, (-(-side // stride) - 1) * stride + kernel - side)
            pad += [total // 2, total - total // 2]
        return super().forward(nn.functional.pad(x, pad))


class SameConvTranspose2d(nn.ConvTranspose2d):
    """The transpose of SameConv2d from an even side: maps [N, inputs, H, W] to [N, outputs, H * stride, W * stride]."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int) -> None:
        super().__init__(inputs, outputs, kernel, stride=stride, padding=(kernel - stride) // 2)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        height, width = (side * self.stride[0] for side in x.shape[2:])
        return super().forward(x, output_size)[..., :height, :width]
