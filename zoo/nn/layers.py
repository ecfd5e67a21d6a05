"""Layers and weight rules that several papers share."""

import torch
from torch import Tensor, nn

from zoo.nn.precision import at_least_float32


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


class EqualizedLinear(nn.Module):
    """Affine map with an equalized learning rate (Karras et al. 2018, section 4.1).

    Maps [N, inputs] to [N, outputs]. The stored weights start as N(0, 1 / lr_multiplier) and are multiplied by
    gain / sqrt(inputs) * lr_multiplier in each pass, so that Adam's step is the same share of every layer's range.

    Args:
        inputs: features in.
        outputs: features out.
        gain: He's factor of the nonlinearity that follows: sqrt(2) for a (leaky) ReLU, 1 for a linear output.
        lr_multiplier: learning rate of this layer as a multiple of the optimizer's.
        bias: whether there is a bias; stored biases are multiplied by lr_multiplier.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        gain: float = 2**0.5,
        lr_multiplier: float = 1.0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr_multiplier)
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.scale = gain / inputs**0.5 * lr_multiplier
        self.lr_multiplier = lr_multiplier

    def forward(self, x: Tensor) -> Tensor:
        bias = self.bias if self.bias is None or self.lr_multiplier == 1.0 else self.bias * self.lr_multiplier
        return nn.functional.linear(x, self.weight * self.scale, bias)


class EqualizedConv2d(nn.Module):
    """Convolution with an equalized learning rate (Karras et al. 2018, section 4.1): stride 1, the side is kept.

    Maps [N, inputs, H, W] to [N, outputs, H, W]; `gain` and `bias` as in EqualizedLinear; the fan-in is
    inputs * kernel^2, `kernel` odd.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        gain: float = 2**0.5,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"kernel={kernel} must be odd: an even one cannot keep the side at stride 1")
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.scale = gain / (inputs * kernel**2) ** 0.5
        self.padding = kernel // 2

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.conv2d(x, self.weight * self.scale, self.bias, padding=self.padding)


class PixelNorm(nn.Module):
    """x / sqrt(mean over channels of x^2 + eps), at each pixel (Karras et al. 2018, section 4.2).

    Maps [N, C] or [N, C, H, W] to the same shape.
    """

    def __init__(self, eps: float = 1e-8) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        power = x.square().mean(1, keepdim=True, dtype=torch.float32)  # [N, 1, H, W]
        return x * torch.rsqrt(power + self.eps).to(x.dtype)


class MinibatchStddev(nn.Module):
    """One more feature map: how much the images of a group differ (Karras et al. 2018, section 3).

    Maps [N, C, H, W] to [N, C + 1, H, W]. The standard deviation over the group of each feature at each pixel,
    sqrt(var + 1e-8) with var divided by the group's size, is averaged over C, H, W to one number per group. With M
    groups, image i belongs to group i mod M.

    Args:
        group_size: images of a group; a smaller batch is one group. None: always the whole batch.

    Raises:
        ValueError: in `forward`, if the batch cannot be cut into such groups.
    """

    def __init__(self, group_size: int | None = 4) -> None:
        super().__init__()
        if group_size is not None and group_size < 1:
            raise ValueError(f"group_size={group_size} must be at least 1, or None for the whole batch")
        self.group_size = group_size

    def forward(self, x: Tensor) -> Tensor:
        n, _, height, width = x.shape
        group = n if self.group_size is None else min(self.group_size, n)
        if n % group:
            raise ValueError(
                f"a batch of {n} images on this device cannot be cut into groups of {group} (MinibatchStddev): choose "
                "a batch size that the group size divides, or group_size=None"
            )
        groups = at_least_float32(x).view(group, n // group, *x.shape[1:])  # [G, M, C, H, W]
        stddev = (groups.var(0, correction=0) + 1e-8).sqrt().mean((1, 2, 3))  # [M]
        stddev = stddev.repeat(group).view(n, 1, 1, 1).expand(n, 1, height, width)
        return torch.cat([x, stddev.to(x.dtype)], 1)


def upscale2d(x: Tensor) -> Tensor:
    """Each pixel twice in both directions: [N, C, H, W] to [N, C, 2H, 2W]."""
    return nn.functional.interpolate(x, scale_factor=2, mode="nearest")


def downscale2d(x: Tensor) -> Tensor:
    """Means of 2x2 pixels: [N, C, H, W] to [N, C, H / 2, W / 2]."""
    return nn.functional.avg_pool2d(x, 2)


#: Side from which on the convolutions below take their fused form. Measured (`benchmarks/growing.py --only layers`, one
#: core, bf16, forward and backward, 64 to 512 maps): below it the plain form is up to 5 times faster, from it on the
#: fused one is 1.2 to 1.7 times faster. StyleGAN's authors have the fused form from 128 on, PGGAN's
#: TensorFlow code at every side.
FUSED_FROM = 32


class UpConv2d(EqualizedConv2d):
    """Nearest neighbours doubled, then a 3x3 convolution: [N, inputs, H, W] to [N, outputs, 2H, 2W].

    From 2H = FUSED_FROM on as one transposed convolution of stride 2 with the four sums of shifted kernels: 16 instead
    of 36 products a pixel. The same function up to rounding.
    """

    def forward(self, x: Tensor) -> Tensor:
        if 2 * x.shape[3] < FUSED_FROM:
            return super().forward(upscale2d(x))
        kernel = shifted_sum(self.weight * self.scale).transpose(0, 1).flip(2, 3)  # [inputs, outputs, 4, 4]
        return nn.functional.conv_transpose2d(x, kernel, self.bias, stride=2, padding=self.padding)


class DownConv2d(EqualizedConv2d):
    """A 3x3 convolution, then 2x2 means: [N, inputs, H, W] to [N, outputs, H / 2, W / 2].

    From H = FUSED_FROM on as one convolution of stride 2. The same function up to rounding.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[3] < FUSED_FROM:
            return downscale2d(super().forward(x))
        kernel = shifted_sum(self.weight * (self.scale / 4))  # [outputs, inputs, 4, 4]
        return nn.functional.conv2d(x, kernel, self.bias, stride=2, padding=self.padding)


def shifted_sum(weight: Tensor) -> Tensor:
    """The kernel [..., 4, 4] of a convolution with `weight` [..., 3, 3] followed by sums over 2x2 pixels."""
    w = nn.functional.pad(weight, (1, 1, 1, 1))
    return w[..., 1:, 1:] + w[..., :-1, 1:] + w[..., 1:, :-1] + w[..., :-1, :-1]


def fade(old: Tensor, new: Tensor, *, alpha: float | Tensor) -> Tensor:
    """(1 - alpha) * old + alpha * new, exactly `old` at alpha = 0 and exactly `new` at 1 (Karras et al. 2018, Fig. 2).

    Args:
        old: what the layers before the newest ones give, any shape.
        new: what the newest layers give, of the same shape.
        alpha: weight of the newest layers, in [0, 1]; compiled networks take it as a tensor [], see `is_fading`.
    """
    if not isinstance(alpha, Tensor):
        return torch.lerp(old, new, alpha)
    dtype = torch.promote_types(new.dtype, alpha.dtype)  # bfloat16 would round alpha to 8 bits
    return torch.lerp(old.to(dtype), new.to(dtype), alpha.to(dtype)).to(new.dtype)


def is_fading(alpha: float | Tensor) -> bool:
    """Whether the newest layers are not yet all there is: alpha below 1, or a tensor.

    A compiled network would have a graph for every number that alpha was, and has one for all values of a tensor.
    """
    return isinstance(alpha, Tensor) or alpha < 1


def feature_maps(resolution: int, *, fmap_base: int, fmap_max: int) -> int:
    """Feature maps of the layers at a resolution 2^k: min(fmap_base / 2^(k - 1), fmap_max), floored.

    (Karras et al. 2018, Table 2: fmap_base 8192 and fmap_max 512 give 512 up to 32x32, then 256, 128, ..., 16 at
    1024x1024.) `resolution` 2 gives the width of the dense layers, nf(0) in the authors' numbering.
    """
    stage = resolution.bit_length() - 2
    return max(1, min(int(fmap_base / 2**stage), fmap_max))


def resolutions(final: int, *, start: int = 4) -> list[int]:
    """start, 2 start, ..., final. ValueError unless both are powers of two, 4 <= start <= final <= 1024."""
    for name, value in (("resolution", final), ("start", start)):
        if value < 4 or value > 1024 or value & (value - 1):
            raise ValueError(f"{name}={value} must be a power of two from 4 to 1024")
    if start > final:
        raise ValueError(f"start={start} is above resolution={final}")
    return [2**k for k in range(start.bit_length() - 1, final.bit_length())]
