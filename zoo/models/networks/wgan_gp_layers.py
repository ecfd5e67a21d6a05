"""The layers of WGAN-GP's networks. Initial weights are those of the authors' scripts: uniform, biases 0."""

from typing import Any, Literal, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.nn.layers import SameConv2d, SameConvTranspose2d

Normalisation = Literal["none", "batch", "layer"]


class Pair(NamedTuple):
    """A generator [N, z_dim] -> samples and a critic of samples -> scores [N, 1] (then class logits, if any)."""

    G: nn.Module
    D: nn.Module


def uniform_(weight: Tensor, *, std: float) -> None:
    """Fills from U(-sqrt(3) std, sqrt(3) std), whose standard deviation is std."""
    nn.init.uniform_(weight, -(3**0.5) * std, 3**0.5 * std)


def linear(inputs: int, outputs: int, *, he: bool = False) -> nn.Linear:
    """Glorot weights, or He's where `he`."""
    layer = nn.Linear(inputs, outputs)
    uniform_(layer.weight, std=(2 / inputs if he else 2 / (inputs + outputs)) ** 0.5)
    nn.init.zeros_(layer.bias)
    return layer


def convolution(
    inputs: int, outputs: int, kernel: int, *, stride: int = 1, he: bool = True, bias: bool = True
) -> SameConv2d:
    """Fans are averaged and, with a stride, the outgoing one is smaller; `he` doubles the variance for ReLU."""
    layer = SameConv2d(inputs, outputs, kernel, stride=stride, bias=bias)
    uniform_(layer.weight, std=((4 if he else 2) / (kernel**2 * (inputs + outputs / stride**2))) ** 0.5)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def deconvolution(inputs: int, outputs: int, *, kernel: int = 5) -> SameConvTranspose2d:
    """Stride 2: [N, inputs, H, W] to [N, outputs, 2H, 2W]."""
    layer = SameConvTranspose2d(inputs, outputs, kernel, stride=2)
    uniform_(layer.weight, std=(4 / (kernel**2 * (inputs / 4 + outputs))) ** 0.5)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


def normalise(channels: int, kind: Normalisation) -> list[nn.Module]:
    """Over [N, C, H, W], a gain and a bias for each channel: BatchNorm, or layer norm over (C, H, W) of a sample."""
    layers: dict[Normalisation, list[Any]] = {"none": [], "batch": [nn.BatchNorm2d], "layer": [layer_norm]}
    return [layer(channels) for layer in layers[kind]]


def layer_norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(1, channels)


class Rectify(torch.autograd.Function):
    """max(x, slope x), whose derivative is a constant where it is differentiated again.

    PyTorch's own second derivative is a tensor of zeros, which the gradient penalty would carry back through all
    layers below: a sixth of a critic update's arithmetic, for nothing.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: float) -> Tensor:
        y = F.leaky_relu(x, slope) if slope else F.relu(x)
        ctx.save_for_backward(y)
        ctx.slope = slope
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (y,) = ctx.saved_tensors
        y = y.detach()  # of the sign of x
        if ctx.slope:
            return torch.ops.aten.leaky_relu_backward(gradient, y, ctx.slope, True), None
        return torch.ops.aten.threshold_backward(gradient, y, 0), None


class Rectifier(nn.Module):
    """ReLU, or leaky ReLU with a slope, for critics that are differentiated twice."""

    def __init__(self, slope: float = 0.0) -> None:
        super().__init__()
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, Rectify.apply(x, self.slope))

    def extra_repr(self) -> str:
        return f"slope={self.slope}"


class Crop(nn.Module):
    """The upper left corner [N, C, side, side]."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, x: Tensor) -> Tensor:
        return x[..., : self.side, : self.side]


class ClassBatchNorm2d(nn.Module):
    """BatchNorm with a gain and a bias for each class (Dumoulin et al. 2016); for all alike if num_classes is None."""

    def __init__(self, channels: int, *, num_classes: int | None) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, eps=1e-5, affine=False)
        self.gain = nn.Parameter(torch.ones(num_classes or 1, channels))
        self.bias = nn.Parameter(torch.zeros(num_classes or 1, channels))

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        gain, bias = (self.gain, self.bias) if y is None else (self.gain[y], self.bias[y])  # [1 or N, C]
        normalised: Tensor = self.norm(x)
        return normalised * gain[..., None, None] + bias[..., None, None]


class MeanPool(nn.Module):
    """[N, C, H, W] to [N, C], the mean of each map."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


class Heads(nn.Module):
    """Features [N, inputs] to a score and class logits (AC-GAN), [N, 1 + num_classes]."""

    def __init__(self, inputs: int, *, num_classes: int) -> None:
        super().__init__()
        self.score, self.classes = linear(inputs, 1), linear(inputs, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.score(x), self.classes(x)], 1)
