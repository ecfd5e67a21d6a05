"""The networks of WGAN-GP's experiments (Gulrajani et al. 2017): those of the authors' scripts, and random ones.

Authors' code: github.com/igul222/improved_wgan_training. `players` gives a generator and a critic by name.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.layers import SameConv2d, SameConvTranspose2d
from zoo.resume import mix_seed

Network = Literal["toy", "toy_deep", "mnist", "cifar10", "cifar10_resnet", "resnet64", "random"]
Method = Literal["wgan-gp", "wgan", "gan", "lsgan"]
Normalisation = Literal["none", "batch", "layer"]


class Pair(NamedTuple):
    """A generator [N, z_dim] -> samples and a critic of samples -> scores [N, 1] (then class logits, if any)."""

    G: nn.Module
    D: nn.Module


def players(
    network: Network,
    *,
    method: Method,
    z_dim: int,
    width: int,
    num_classes: int | None = None,
    channels: int = 3,
    architecture: "RandomArchitecture | None" = None,
) -> Pair:
    """The networks, freshly initialised.

    Args:
        network: which script; "toy_deep" is figure 1b's, "random" needs an architecture (section 5.1).
        method: decides on the normalisation, as the scripts do: the MNIST and CIFAR-10 critics have BatchNorm for
            "wgan" alone, the MNIST generator likewise; where "wgan-gp" has layer norm, the others have BatchNorm.
        z_dim: dimension of z.
        width: units of the MLPs, or filters next to the image; `random` has its own.
        num_classes: for "cifar10_resnet": labels condition the generator, and the critic classifies.
        channels: of the images of "random".
        architecture: of "random".
    """
    clipped: Normalisation = "batch" if method == "wgan" else "none"
    drop_in: Normalisation = "layer" if method == "wgan-gp" else "batch"
    if network in ("toy", "toy_deep"):
        return plane_networks(z_dim=z_dim, width=width, depth=3 if network == "toy" else 12)
    if network == "mnist":
        return mnist_networks(z_dim=z_dim, width=width, normalisation=clipped)
    if network == "cifar10":
        return cifar10_networks(z_dim=z_dim, width=width, normalisation_D=clipped)
    if network == "cifar10_resnet":
        return cifar10_resnets(z_dim=z_dim, width=width, num_classes=num_classes)
    if network == "resnet64":
        return resnets64(z_dim=z_dim, width=width, normalisation_D=drop_in)
    assert architecture is not None
    return random_networks(architecture, z_dim=z_dim, channels=channels, normalisation_D=drop_in)


# Layers with the authors' initial weights: uniform with a given standard deviation, biases 0.


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


def deconvolution(inputs: int, outputs: int) -> SameConvTranspose2d:
    """5x5 kernels, stride 2: [N, inputs, H, W] to [N, outputs, 2H, 2W]."""
    layer = SameConvTranspose2d(inputs, outputs, 5, stride=2)
    uniform_(layer.weight, std=(4 / (25 * (inputs / 4 + outputs))) ** 0.5)
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


# Points in the plane.


def plane_networks(*, z_dim: int, width: int, depth: int) -> Pair:
    """gan_toy.py: `depth` layers of ReLU units and a linear one in both."""

    def mlp(inputs: int, outputs: int) -> nn.Sequential:
        sizes = [inputs] + [width] * depth
        hidden = [layer for a, b in pairwise(sizes) for layer in (linear(a, b, he=True), Rectifier())]
        return nn.Sequential(*hidden, linear(width, outputs))

    return Pair(mlp(z_dim, 2), mlp(2, 1))


# Convolutions with a stride.


def strided_critic(channels: int, width: int, *, normalisation: Normalisation) -> nn.Sequential:
    """gan_mnist.py and gan_cifar.py: three 5x5 convolutions with stride 2 down to 4x4; the first is not normalised."""
    D: list[nn.Module] = [convolution(channels, width, 5, stride=2), Rectifier(0.2)]
    for inputs, outputs in ((width, 2 * width), (2 * width, 4 * width)):
        D += [convolution(inputs, outputs, 5, stride=2), *normalise(outputs, normalisation), Rectifier(0.2)]
    return nn.Sequential(*D, nn.Flatten(), linear(64 * width, 1))


def strided_input(z_dim: int, width: int, *, normalisation: Normalisation) -> list[nn.Module]:
    """z to [N, width, 4, 4]; BatchNorm with a gain for each unit, not for each map."""
    norm = [nn.BatchNorm1d(16 * width)] if normalisation == "batch" else []
    return [linear(z_dim, 16 * width), *norm, nn.ReLU(), nn.Unflatten(1, (width, 4, 4))]


def mnist_networks(*, z_dim: int, width: int, normalisation: Normalisation) -> Pair:
    """gan_mnist.py: 4 -> 8, cropped to 7 -> 14 -> 28; pixels in [0, 1]."""
    G = nn.Sequential(
        *strided_input(z_dim, 4 * width, normalisation=normalisation),
        *(deconvolution(4 * width, 2 * width), *normalise(2 * width, normalisation), nn.ReLU(), Crop(7)),
        *(deconvolution(2 * width, width), *normalise(width, normalisation), nn.ReLU()),
        *(deconvolution(width, 1), nn.Sigmoid()),
    )
    return Pair(G, strided_critic(1, width, normalisation=normalisation))


def cifar10_networks(*, z_dim: int, width: int, normalisation_D: Normalisation) -> Pair:
    """gan_cifar.py: 4 -> 8 -> 16 -> 32, BatchNorm in the generator."""
    G = nn.Sequential(
        *strided_input(z_dim, 4 * width, normalisation="batch"),
        *(deconvolution(4 * width, 2 * width), nn.BatchNorm2d(2 * width), nn.ReLU()),
        *(deconvolution(2 * width, width), nn.BatchNorm2d(width), nn.ReLU()),
        *(deconvolution(width, 3), nn.Tanh()),
    )
    return Pair(G, strided_critic(3, width, normalisation=normalisation_D))


# Residual networks.


class UpBlock(nn.Module):
    """Residual block of the generators: [N, inputs, H, W] to [N, outputs, 2H, 2W], nearest neighbours doubled."""

    def __init__(self, inputs: int, outputs: int, *, num_classes: int | None, bias: bool) -> None:
        super().__init__()
        self.norm1 = ClassBatchNorm2d(inputs, num_classes=num_classes)
        self.conv1 = convolution(inputs, outputs, 3, bias=bias)
        self.norm2 = ClassBatchNorm2d(outputs, num_classes=num_classes)
        self.conv2 = convolution(outputs, outputs, 3)
        self.shortcut = convolution(inputs, outputs, 1, he=False)
        self.up = nn.Upsample(scale_factor=2)

    def forward(self, x: Tensor, y: Tensor | None) -> Tensor:
        h = self.conv1(self.up(F.relu(self.norm1(x, y))))
        h = self.conv2(F.relu(self.norm2(h, y)))
        return h + self.up(self.shortcut(x))  # type: ignore[no-any-return]  # 1x1: doubled before or after, the same


class CriticBlock(nn.Module):
    """Residual block of the critics: [N, inputs, H, W] to [N, outputs, H/2, W/2], or of one shape where not `down`.

    `first` is the block next to the image, without the activation before its first convolution.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        down: bool = True,
        first: bool = False,
        normalisation: Normalisation = "none",
    ) -> None:
        super().__init__()
        hidden = outputs if first else inputs
        self.norm1 = nn.Sequential(*normalise(inputs, normalisation))
        self.relu1 = nn.Identity() if first else Rectifier()
        self.conv1 = convolution(inputs, hidden, 3, bias=normalisation == "none")
        self.norm2 = nn.Sequential(*normalise(hidden, normalisation))
        self.relu2 = Rectifier()
        self.conv2 = convolution(hidden, outputs, 3)
        self.shortcut = convolution(inputs, outputs, 1, he=False) if down else nn.Identity()
        self.pool = nn.AvgPool2d(2) if down else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(self.relu1(self.norm1(x)))
        h = self.pool(self.conv2(self.relu2(self.norm2(h))))
        return h + self.shortcut(self.pool(x))  # type: ignore[no-any-return]  # 1x1: pooled before or after, the same


class ResNetGenerator(nn.Module):
    """z [N, z_dim] and labels [N] or None to images [N, 3, 4 * 2^k, ...] in [-1, 1]; widths[0] filters at 4x4."""

    def __init__(
        self, z_dim: int, widths: list[int], *, num_classes: int | None = None, bias: bool, he_output: bool
    ) -> None:
        super().__init__()
        self.input = nn.Sequential(linear(z_dim, widths[0] * 16), nn.Unflatten(1, (widths[0], 4, 4)))
        self.blocks = nn.ModuleList(UpBlock(a, b, num_classes=num_classes, bias=bias) for a, b in pairwise(widths))
        self.norm = ClassBatchNorm2d(widths[-1], num_classes=None)
        self.output = convolution(widths[-1], 3, 3, he=he_output)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        h = self.input(z)
        for block in self.blocks:
            h = block(h, y)
        return torch.tanh(self.output(F.relu(self.norm(h))))


def cifar10_resnets(*, z_dim: int, width: int, num_classes: int | None) -> Pair:
    """gan_cifar_resnet.py: `width` filters throughout; the critic ends in the mean over 8x8."""
    D = nn.Sequential(
        CriticBlock(3, width, first=True),
        CriticBlock(width, width),
        CriticBlock(width, width, down=False),
        CriticBlock(width, width, down=False),
        *(Rectifier(), MeanPool()),
        linear(width, 1) if num_classes is None else Heads(width, num_classes=num_classes),
    )
    return Pair(ResNetGenerator(z_dim, [width] * 4, num_classes=num_classes, bias=True, he_output=False), D)


def resnets64(*, z_dim: int, width: int, normalisation_D: Normalisation) -> Pair:
    """gan_64x64.py, "Good": no bias in the first convolution of a block."""
    steps = ((1, 2), (2, 4), (4, 8), (8, 8))
    D = nn.Sequential(
        convolution(3, width, 3, he=False),
        *(CriticBlock(a * width, b * width, normalisation=normalisation_D) for a, b in steps),
        *(nn.Flatten(), linear(8 * width * 16, 1)),
    )
    widths = [8 * width, 8 * width, 4 * width, 2 * width, width]
    return Pair(ResNetGenerator(z_dim, widths, bias=False, he_output=True), D)


# Random architectures (section 5.1, table 1).

Nonlinearity = Literal["relu", "leaky_relu", "softplus", "tanh"]
NONLINEARITIES: tuple[Nonlinearity, ...] = ("relu", "leaky_relu", "softplus", "tanh")
DEPTHS = (4, 8, 12, 20)


class PlayerSettings(NamedTuple):
    """One player's row of table 1.

    Attributes:
        nonlinearity: one of NONLINEARITIES; "softplus" is softplus(2x + 2) / 2 - 1, a smooth ELU.
        depth: layers with weights, one of DEPTHS.
        normalisation: BatchNorm; layer norm in WGAN-GP's critic.
        filters: next to the image; twice and four times as many at 8x8 and 4x4.
    """

    nonlinearity: Nonlinearity
    depth: int
    normalisation: bool
    filters: int


class RandomArchitecture(NamedTuple):
    """Settings of both players."""

    G: PlayerSettings
    D: PlayerSettings


def draw_architecture(seed: int, filters: Sequence[int] = (32, 64, 128)) -> RandomArchitecture:
    """Architecture number `seed`: each setting of each player is drawn uniformly and independently of the others.

    A pure function of its arguments, the same on every machine.

    Args:
        seed: number of the architecture.
        filters: choices for the base filters; the paper's by default.
    """

    def player(name: str) -> PlayerSettings:
        def pick(setting: str, choices: Sequence[Any]) -> Any:
            return choices[mix_seed("architecture", seed, name, setting) % len(choices)]

        return PlayerSettings(
            nonlinearity=pick("nonlinearity", NONLINEARITIES),
            depth=pick("depth", DEPTHS),
            normalisation=pick("normalisation", (True, False)),
            filters=pick("filters", filters),
        )

    return RandomArchitecture(player("G"), player("D"))


class SmoothELU(nn.Module):
    """softplus(2x + 2) / 2 - 1 (appendix D)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.softplus(2 * x + 2) / 2 - 1


def nonlinearity(name: Nonlinearity) -> nn.Module:
    """By name; the leaky ReLU has the scripts' slope of 0.2."""
    if name == "relu":
        return Rectifier()
    if name == "leaky_relu":
        return Rectifier(0.2)
    return SmoothELU() if name == "softplus" else nn.Tanh()


def extra_layers(depth: int) -> tuple[int, int, int]:
    """How many 3x3 layers at 4x4, 8x8 and 16x16 make the four layers of a DCGAN `depth` layers, evenly spread."""
    extra = depth - 4
    return ((extra + 2) // 3, (extra + 1) // 3, extra // 3)


def random_networks(
    architecture: RandomArchitecture, *, z_dim: int, channels: int, normalisation_D: Normalisation
) -> Pair:
    """DCGAN for 32x32 images in [-1, 1] with the settings of table 1; see reproductions/wgan_gp.py for the choices."""
    return Pair(
        random_generator(architecture.G, z_dim=z_dim, channels=channels),
        random_critic(
            architecture.D,
            channels=channels,
            normalisation=normalisation_D if architecture.D.normalisation else "none",
        ),
    )


def random_generator(settings: PlayerSettings, *, z_dim: int, channels: int) -> nn.Sequential:
    """4 -> 8 -> 16 -> 32 by 5x5 transposed convolutions; more layers of 3x3 at 4x4, 8x8 and 16x16."""
    kind: Normalisation = "batch" if settings.normalisation else "none"
    widths = [4 * settings.filters, 2 * settings.filters, settings.filters]

    def block(layer: nn.Module, width: int) -> list[nn.Module]:
        return [layer, *normalise(width, kind), nonlinearity(settings.nonlinearity)]

    G: list[nn.Module] = [linear(z_dim, 16 * widths[0]), *block(nn.Unflatten(1, (widths[0], 4, 4)), widths[0])]
    for i, extra in enumerate(extra_layers(settings.depth)):
        for _ in range(extra):
            G += block(convolution(widths[i], widths[i], 3), widths[i])
        if i < 2:
            G += block(deconvolution(widths[i], widths[i + 1]), widths[i + 1])
    return nn.Sequential(*G, deconvolution(widths[-1], channels), nn.Tanh())


def random_critic(settings: PlayerSettings, *, channels: int, normalisation: Normalisation) -> nn.Sequential:
    """32 -> 16 -> 8 -> 4 by 5x5 convolutions, the first not normalised; more layers of 3x3 at 16x16, 8x8 and 4x4."""
    widths = [settings.filters, 2 * settings.filters, 4 * settings.filters]

    def block(layer: nn.Module, width: int) -> list[nn.Module]:
        return [layer, *normalise(width, normalisation), nonlinearity(settings.nonlinearity)]

    D: list[nn.Module] = [convolution(channels, widths[0], 5, stride=2), nonlinearity(settings.nonlinearity)]
    for i, extra in enumerate(reversed(extra_layers(settings.depth))):
        if i > 0:
            D += block(convolution(widths[i - 1], widths[i], 5, stride=2), widths[i])
        for _ in range(extra):
            D += block(convolution(widths[i], widths[i], 3), widths[i])
    return nn.Sequential(*D, nn.Flatten(), linear(16 * widths[-1], 1))
