"""The networks of progressive growing: Table 2, in every row (a) to (h) of Table 1 (see zoo.models.pggan)."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.nn.layers import (
    EqualizedConv2d,
    EqualizedLinear,
    MinibatchStddev,
    PixelNorm,
    UpConv2d,
    downscale2d,
    fade,
    feature_maps,
    is_fading,
    resolutions,
    upscale2d,
)

Config = Literal["a", "b", "c", "d", "e*", "e", "f", "g", "h"]


class Row(NamedTuple):
    """A row of Table 1; the rows are cumulative but for e*, which is undone by e."""

    batchnorm: bool = False  # and ReLU and tanh in G, layer norm in D, a latent that is not normalised
    statistic: Literal["none", "discrimination", "stddev"] = "stddev"
    equalized: bool = True
    pixelnorm: bool = True
    n_critic: int = 1
    beta2: float = 0.99
    drift_weight: float = 0.001
    ema_beta: float = 0.999


BASELINE = Row(
    True, "none", equalized=False, pixelnorm=False, n_critic=5, beta2=0.9, drift_weight=0, ema_beta=0.999**20
)
REVISED = Row(statistic="none", equalized=False, pixelnorm=False)
ROWS: Mapping[Config, Row] = {
    "a": BASELINE,  # Gulrajani et al. 2017
    "b": BASELINE,  # + progressive growing
    "c": BASELINE._replace(ema_beta=0.999**5),  # + small minibatch
    "d": REVISED,  # + revised training parameters
    "e*": REVISED._replace(statistic="discrimination"),  # + minibatch discrimination
    "e": REVISED._replace(statistic="stddev"),  # minibatch standard deviation instead
    "f": Row(pixelnorm=False),  # + equalized learning rate
    "g": Row(),  # + pixelwise normalisation
    "h": Row(),  # converged, with the networks of Table 2
}


class MinibatchDiscrimination(nn.Module):
    """Row e*: Salimans et al. 2016, section 3.2, with weights of a learned norm.

    Maps features [N, C] to [N, C + kernels]: for each kernel, how near the other images' projections to `dimensions`
    numbers lie, sum_j exp(-L1 distance), plus a bias that starts at -1.
    """

    def __init__(self, inputs: int, *, kernels: int = 100, dimensions: int = 5) -> None:
        super().__init__()
        self.theta = nn.Parameter(0.05 * torch.randn(inputs, kernels, dimensions))
        self.log_scale = nn.Parameter(torch.zeros(kernels, dimensions))
        self.bias = nn.Parameter(torch.full((kernels,), -1.0))

    def forward(self, x: Tensor) -> Tensor:
        weight = self.theta * (self.log_scale.exp() / self.theta.norm(dim=0))
        m = torch.einsum("nc,ckd->nkd", x, weight)  # [N, kernels, dimensions]
        distance = (m[:, None] - m[None]).abs().sum(3)  # [N, N, kernels]
        others = 1 - torch.eye(len(x), device=x.device)[:, :, None]
        return torch.cat([x, ((-distance).exp() * others).sum(1) + self.bias], 1)


class LayerNorm(nn.Module):
    """Rows a to c: mean 0 and variance 1 over C, H, W of each image, one learned gain, a bias for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[1:], eps=1e-4) * self.gain + self.bias


class Generator(nn.Module):
    """z [N, z_dim] to images [N, channels, r, r] for any r = 4, 8, ..., R (Table 2, left).

    Args:
        resolution: R.
        channels: of the images.
        z_dim: dimension of the latent z.
        width: (fmap_base, fmap_max), see zoo.nn.layers.feature_maps.
        row: of Table 1.
        num_classes: labels are joined to z as one-hot vectors; None takes none.
    """

    def __init__(
        self,
        resolution: int,
        *,
        channels: int = 3,
        z_dim: int = 512,
        width: tuple[int, int] = (8192, 512),
        row: Row = ROWS["h"],
        num_classes: int | None = None,
    ) -> None:
        super().__init__()
        self.row, self.num_classes = row, num_classes
        self.normalise = PixelNorm()
        sides = resolutions(resolution)
        maps = [feature_maps(side, fmap_base=width[0], fmap_max=width[1]) for side in sides]
        # A dense layer is the 4x4 convolution of a 1x1 map padded on all sides; He's fan-in counts the 4x4 kernel.
        dense = EqualizedLinear(z_dim + (num_classes or 0), maps[0] * 16, gain=2**0.5 / 4, bias=False)
        self.input = nn.Sequential(dense, nn.Unflatten(1, (maps[0], 4, 4)))
        self.input_bias = None if row.batchnorm else nn.Parameter(torch.zeros(maps[0], 1, 1))  # one a map
        self.first = nn.Sequential(*self.after(maps[0]), self.conv(maps[0], maps[0]), *self.after(maps[0]))
        self.blocks = nn.ModuleList(
            nn.Sequential(self.conv(a, b, UpConv2d), *self.after(b), self.conv(b, b), *self.after(b))
            for a, b in pairwise(maps)
        )  # 8x8, 16x16, ...
        self.to_rgb = nn.ModuleList(EqualizedConv2d(m, channels, 1, gain=1.0) for m in maps)  # 4x4, 8x8, ...
        if not row.equalized:
            keep_scale_in_weights(self)

    def conv(self, inputs: int, outputs: int, kind: type[EqualizedConv2d] = EqualizedConv2d) -> EqualizedConv2d:
        """3x3; the bias is BatchNorm's where there is one."""
        return kind(inputs, outputs, 3, bias=not self.row.batchnorm)

    def after(self, maps: int) -> list[nn.Module]:
        """What follows a convolution."""
        if self.row.batchnorm:
            return [nn.BatchNorm2d(maps, eps=1e-4), nn.ReLU()]
        return [nn.LeakyReLU(0.2), *([PixelNorm()] if self.row.pixelnorm else [])]

    def forward(self, z: Tensor, y: Tensor | None = None, *, resolution: int, alpha: float | Tensor = 1.0) -> Tensor:
        if not self.row.batchnorm:
            z = self.normalise(z)
        if self.num_classes is not None:
            assert y is not None
            z = torch.cat([z, F.one_hot(y, self.num_classes).to(z.dtype)], 1)
        h = self.input(z)
        h = self.first(h if self.input_bias is None else h + self.input_bias)
        last = resolution.bit_length() - 3  # index of the stage: 0 for 4x4
        image: Tensor | None = None
        for stage, block in enumerate(self.blocks[:last], start=1):
            if stage == last and is_fading(alpha):
                image = upscale2d(self.to_rgb[stage - 1](h))  # what the layers before the newest give
            h = block(h)
        new = self.to_rgb[last](h)
        image = new if image is None else fade(image, new, alpha=alpha)
        return torch.tanh(image) if self.row.batchnorm else image


class Discriminator(nn.Module):
    """Images [N, channels, r, r] for any r = 4, 8, ..., R to scores [N, 1], then class logits if any (Table 2, right).

    `group_size` is that of the minibatch standard deviation, None for the whole batch; with `fused_scale`, maps are
    halved before the leaky ReLU of a block's last layer, else after it; the other arguments are G's.
    """

    def __init__(
        self,
        resolution: int,
        *,
        channels: int = 3,
        width: tuple[int, int] = (8192, 512),
        row: Row = ROWS["h"],
        group_size: int | None = None,
        num_classes: int | None = None,
        fused_scale: bool = False,
    ) -> None:
        super().__init__()
        self.row, self.fused_scale = row, fused_scale
        sides = resolutions(resolution)
        maps = [feature_maps(side, fmap_base=width[0], fmap_max=width[1]) for side in sides]
        dense = feature_maps(2, fmap_base=width[0], fmap_max=width[1])
        statistics = [MinibatchStddev(group_size)] if row.statistic == "stddev" else []
        discrimination = [MinibatchDiscrimination(dense)] if row.statistic == "discrimination" else []
        self.from_rgb = nn.ModuleList(
            nn.Sequential(EqualizedConv2d(channels, m, 1), nn.LeakyReLU(0.2)) for m in maps
        )  # 4x4, 8x8, ...
        self.blocks = nn.ModuleList(
            nn.Sequential(*self.conv(b, b), *self.conv(b, a)) for a, b in pairwise(maps)
        )  # 8x8 -> 4x4, 16x16 -> 8x8, ...
        self.last = nn.Sequential(
            *statistics,
            *self.conv(maps[0] + len(statistics), maps[0]),
            *(nn.Flatten(), EqualizedLinear(maps[0] * 16, dense, bias=not row.batchnorm)),
            *([nn.Unflatten(1, (dense, 1, 1)), LayerNorm(dense), nn.Flatten()] if row.batchnorm else []),
            nn.LeakyReLU(0.2),
            *discrimination,
        )
        features = dense + 100 * len(discrimination)
        self.score = EqualizedLinear(features, 1, gain=1.0)
        self.classes = None if num_classes is None else EqualizedLinear(features, num_classes, gain=1.0)
        if not row.equalized:
            keep_scale_in_weights(self)

    def conv(self, inputs: int, outputs: int) -> list[nn.Module]:
        """3x3, with layer norm before the activation where the row has it; the bias is then layer norm's."""
        norm = [LayerNorm(outputs)] if self.row.batchnorm else []
        return [EqualizedConv2d(inputs, outputs, 3, bias=not norm), *norm, nn.LeakyReLU(0.2)]

    def forward(self, x: Tensor, *, alpha: float | Tensor = 1.0) -> Tensor:
        last = x.shape[3].bit_length() - 3
        h = self.from_rgb[last](x)
        for stage in range(last, 0, -1):
            h = self.halved(self.blocks[stage - 1], h)
            if stage == last and is_fading(alpha):
                h = fade(self.from_rgb[last - 1](downscale2d(x)), h, alpha=alpha)
        h = self.last(h)
        score: Tensor = self.score(h)
        return score if self.classes is None else torch.cat([score, self.classes(h)], 1)

    def halved(self, block: nn.Module, h: Tensor) -> Tensor:
        """A block of maps [N, C, 2r, 2r] and the 2x2 means behind it, [N, C', r, r]."""
        if not self.fused_scale:
            return downscale2d(block(h))
        *layers, activation = block.children()
        for layer in layers:
            h = layer(h)
        means: Tensor = activation(downscale2d(h))
        return means


def keep_scale_in_weights(net: nn.Module) -> None:
    """Rows a to e: the same initial function, with He's factor in the stored weights and none at run time."""
    for layer in net.modules():
        if isinstance(layer, EqualizedConv2d | EqualizedLinear):
            layer.weight.data.mul_(layer.scale)
            layer.scale = 1.0
