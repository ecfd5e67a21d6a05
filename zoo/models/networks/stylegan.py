"""The networks of StyleGAN (Karras, Laine, Aila 2019): mapping, synthesis, discriminator, layer by layer.

`config` is a row of the paper's Table 1. The rows are cumulative, so that a network has a part if `config` is not
before the row that introduced it: "A" progressive GAN, "B" bilinear resampling, "C" mapping network and styles,
"D" learned constant, "E" noise inputs, "F" style mixing (which changes the training alone).

Networks have the layers of all resolutions 4, 8, ..., R from the start; those above the resolution asked for are not
run. Stage k is the resolution 2^(k + 2); it has the synthesis layers 2k and 2k + 1, each with a style of its own.
"""

from collections.abc import Container, Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from zoo.models.networks.stylegan_layers import adain, blur2d, lrelu
from zoo.nn.layers import (
    DownConv2d,
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

Config = Literal["A", "B", "C", "D", "E", "F"]
Noise = Literal["random", "const", "none"]
NoiseMaps = Sequence[Tensor | None]


def stage_of(resolution: int) -> int:
    """4 -> 0, 8 -> 1, 16 -> 2, ..."""
    return resolution.bit_length() - 3


class Mapping(nn.Sequential):
    """f: z [N, z_dim] to w [N, w_dim], fully connected layers at a hundredth of the learning rate (appendix C).

    z is first brought to unit mean square. With no layers, w is that z.
    """

    def __init__(self, z_dim: int, w_dim: int, *, layers: int = 8, lr_multiplier: float = 0.01) -> None:
        widths = [z_dim, *[w_dim] * layers]
        hidden: list[nn.Module] = []
        for a, b in pairwise(widths):
            hidden += [EqualizedLinear(a, b, lr_multiplier=lr_multiplier), nn.LeakyReLU(0.2)]
        super().__init__(PixelNorm(), *hidden)


class Epilogue(nn.Module):
    """What ends each synthesis layer: noise, bias, leaky ReLU, and AdaIN (before row C: pixel normalisation).

    Maps features [N, C, H, W], w [N, w_dim] and noise [N or 1, 1, H, W] (None: no noise) to features [N, C, H, W].
    """

    def __init__(self, channels: int, w_dim: int, *, config: Config) -> None:
        super().__init__()
        self.noise_scale = nn.Parameter(torch.zeros(channels)) if config >= "E" else None
        self.bias = nn.Parameter(torch.zeros(channels))
        self.style = EqualizedLinear(w_dim, 2 * channels, gain=1.0) if config >= "C" else None
        self.pixel_norm = None if config >= "C" else PixelNorm()

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None) -> Tensor:
        shift = self.bias[:, None, None]
        if noise is not None and self.noise_scale is not None:
            shift = torch.addcmul(shift, noise, self.noise_scale[:, None, None])  # [N, C, H, W]
        x = lrelu(x + shift.to(x.dtype))
        if self.style is not None:
            return adain(x, self.style(w))
        assert self.pixel_norm is not None
        normalised: Tensor = self.pixel_norm(x)
        return normalised


class ConstantInput(nn.Module):
    """The learned 4x4 constant that takes the latent's place (row D), [N, C, 4, 4] whatever w is."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.constant = nn.Parameter(torch.ones(1, channels, 4, 4))

    def forward(self, w: Tensor) -> Tensor:
        return self.constant.expand(w.shape[0], -1, -1, -1)  # len() would fix the batch of an exported graph


class DenseInput(nn.Module):
    """The traditional input layer (before row D): w [N, w_dim] to [N, C, 4, 4], its bias in the epilogue."""

    def __init__(self, w_dim: int, channels: int) -> None:
        super().__init__()
        self.linear = EqualizedLinear(w_dim, channels * 16, gain=2**0.5 / 4, bias=False)

    def forward(self, w: Tensor) -> Tensor:
        features: Tensor = self.linear(w)
        return features.view(w.shape[0], -1, 4, 4)


class SynthesisStage(nn.Module):
    """The two layers of a resolution: [N, inputs, H, W] to [N, outputs, 2H, 2W] (at 4x4: the side stays).

    The first is an upsampling convolution, whose result is blurred (from row B on); at 4x4 the input itself.
    """

    def __init__(self, inputs: int, outputs: int, *, w_dim: int, config: Config, first: bool) -> None:
        super().__init__()
        self.blurred = config >= "B"
        self.conv1 = None if first else UpConv2d(inputs, outputs, 3, bias=False)
        self.epilogue1 = Epilogue(outputs, w_dim, config=config)
        self.conv2 = EqualizedConv2d(outputs, outputs, 3, bias=False)
        self.epilogue2 = Epilogue(outputs, w_dim, config=config)

    def forward(self, x: Tensor, w: Tensor, noise: NoiseMaps) -> Tensor:
        """w [N, 2, w_dim] and two noise maps, one for each layer."""
        if self.conv1 is not None:
            x = self.conv1(x)
            x = blur2d(x) if self.blurred else x
        x = self.epilogue1(x, w[:, 0], noise[0])
        x = self.epilogue2(self.conv2(x), w[:, 1], noise[1])
        return x


class Synthesis(nn.Module):
    """g: w [N, layers, w_dim] to images [N, C, r, r], a style for each layer (figure 1b).

    Args:
        resolution: R, the final side.
        channels: of the images.
        w_dim: dimension of w.
        fmap_base, fmap_max: widths, see `feature_maps`.
        config: row of Table 1.
    """

    def __init__(
        self, resolution: int, *, channels: int, w_dim: int, fmap_base: int, fmap_max: int, config: Config
    ) -> None:
        super().__init__()
        self.sides = resolutions(resolution)
        widths = [feature_maps(side, fmap_base=fmap_base, fmap_max=fmap_max) for side in self.sides]
        self.input: nn.Module = ConstantInput(widths[0]) if config >= "D" else DenseInput(w_dim, widths[0])
        self.stages = nn.ModuleList(
            SynthesisStage(widths[max(0, k - 1)], widths[k], w_dim=w_dim, config=config, first=k == 0)
            for k in range(len(widths))
        )
        self.to_rgb = nn.ModuleList(EqualizedConv2d(width, channels, 1, gain=1.0) for width in widths)
        for layer, side in enumerate(side for side in self.sides for _ in range(2)):
            if config >= "E":
                self.register_buffer(f"noise{layer}", torch.randn(1, 1, side, side))

    @property
    def layers(self) -> int:
        """Synthesis layers at the final resolution, 2 log2 R - 2."""
        return 2 * len(self.sides)

    def const_noise(self, layer: int) -> Tensor | None:
        """The fixed noise map [1, 1, r, r] of a layer; None before row E."""
        return getattr(self, f"noise{layer}", None)

    def noise_maps(
        self,
        n: int,
        *,
        resolution: int,
        kind: Noise = "random",
        layers: Container[int] | None = None,
        generator: torch.Generator | None = None,
    ) -> list[Tensor | None]:
        """A noise map for each layer up to `resolution`.

        Args:
            n: number of images.
            resolution: side of the last layers.
            kind: "random" draws [n, 1, r, r] from N(0, 1), "const" takes the fixed [1, 1, r, r], "none" leaves it out.
            layers: numbers of the layers that get noise; None: all. The draws are the same whichever these are.
            generator: CPU generator of the draws; None draws on the device from its global stream.
        """
        maps: list[Tensor | None] = []
        for layer in range(2 * stage_of(resolution) + 2):
            noise = self.const_noise(layer)
            if noise is not None and kind == "random":
                device = noise.device if generator is None else "cpu"
                noise = torch.randn(n, *noise.shape[1:], generator=generator, device=device).to(noise)
            maps.append(noise if kind != "none" and (layers is None or layer in layers) else None)
        return maps

    def forward(self, w: Tensor, noise: NoiseMaps, *, resolution: int, alpha: float | Tensor = 1.0) -> Tensor:
        """Images at `resolution`, the newest stage mixed in with weight alpha.

        Args:
            w: a style for each layer that is run, or more, [N, layers, w_dim].
            noise: a map [N or 1, 1, r, r] for each layer that is run, or None where it gets no noise.
            resolution: r, the side of the images.
            alpha: weight in [0, 1] of the stage r against the images of the stage r / 2, doubled.
        """
        last = stage_of(resolution)
        x = previous = self.input(w[:, 0])
        for k in range(last + 1):
            previous = x
            x = self.stages[k](x, w[:, 2 * k : 2 * k + 2], noise[2 * k : 2 * k + 2])
        images: Tensor = self.to_rgb[last](x)
        if is_fading(alpha) and last > 0:
            images = fade(upscale2d(self.to_rgb[last - 1](previous)), images, alpha=alpha)
        return images


class StyleGenerator(nn.Module):
    """G = g(f(z)), with the running average of w that truncation pulls towards.

    Args:
        resolution: R, the final side.
        channels: of the images.
        z_dim: dimension of z.
        w_dim: dimension of w.
        mapping_layers: depth of f; 0 makes w the normalised z.
        fmap_base, fmap_max: widths, see `feature_maps`.
        config: row of Table 1.
    """

    w_average: Tensor

    def __init__(
        self,
        resolution: int,
        *,
        channels: int,
        z_dim: int,
        w_dim: int,
        mapping_layers: int,
        fmap_base: int,
        fmap_max: int,
        config: Config,
    ) -> None:
        super().__init__()
        self.mapping = Mapping(z_dim, w_dim, layers=mapping_layers)
        self.synthesis = Synthesis(
            resolution, channels=channels, w_dim=w_dim, fmap_base=fmap_base, fmap_max=fmap_max, config=config
        )
        self.register_buffer("w_average", torch.zeros(w_dim))

    def forward(self, z: Tensor, noise: NoiseMaps, *, resolution: int, alpha: float | Tensor = 1.0) -> Tensor:
        """Images [N, C, r, r] from z [N, z_dim], one w in all layers; the other arguments as for Synthesis."""
        w: Tensor = self.mapping(z)
        w = w[:, None].expand(-1, self.synthesis.layers, -1)
        images: Tensor = self.synthesis(w, noise, resolution=resolution, alpha=alpha)
        return images


class DiscriminatorStage(nn.Module):
    """[N, inputs, H, W] to [N, outputs, H / 2, W / 2]; blurred before the downsampling convolution (from row B on)."""

    def __init__(self, inputs: int, outputs: int, *, config: Config) -> None:
        super().__init__()
        self.blurred = config >= "B"
        self.conv1 = EqualizedConv2d(inputs, inputs, 3)
        self.conv2 = DownConv2d(inputs, outputs, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = lrelu(self.conv1(x))
        x = blur2d(x) if self.blurred else x
        return lrelu(self.conv2(x))


class Discriminator(nn.Module):
    """Images [N, C, r, r] to logits [N, 1]: that of progressive GAN, with blur.

    Args:
        resolution: R, the final side.
        channels: of the images.
        fmap_base, fmap_max: widths, see `feature_maps`.
        group_size: of the minibatch standard deviation.
        config: row of Table 1.
    """

    def __init__(
        self, resolution: int, *, channels: int, fmap_base: int, fmap_max: int, group_size: int, config: Config
    ) -> None:
        super().__init__()
        sides = resolutions(resolution)
        dense, *widths = (feature_maps(side, fmap_base=fmap_base, fmap_max=fmap_max) for side in (2, *sides))
        self.from_rgb = nn.ModuleList(EqualizedConv2d(channels, width, 1) for width in widths)
        self.stages = nn.ModuleList(  # stages[k - 1] leads from stage k to stage k - 1
            DiscriminatorStage(wide, narrow, config=config) for narrow, wide in pairwise(widths)
        )
        self.head = nn.Sequential(
            MinibatchStddev(group_size),
            EqualizedConv2d(widths[0] + 1, widths[0], 3),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            EqualizedLinear(16 * widths[0], dense),
            nn.LeakyReLU(0.2),
            EqualizedLinear(dense, 1, gain=1.0),
        )

    def forward(self, x: Tensor, *, alpha: float | Tensor = 1.0) -> Tensor:
        """Logits [N, 1]; the stage of the images' side is mixed with the images at half the side, weight alpha."""
        last = stage_of(x.shape[-1])
        features = lrelu(self.from_rgb[last](x))
        for k in range(last, 0, -1):
            features = self.stages[k - 1](features)
            if k == last and is_fading(alpha):
                old = lrelu(self.from_rgb[last - 1](downscale2d(x)))
                features = fade(old, features, alpha=alpha)
        logits: Tensor = self.head(features)
        return logits
