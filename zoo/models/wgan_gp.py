"""Improved Training of Wasserstein GANs.

I. Gulrajani, F. Ahmed, M. Arjovsky, V. Dumoulin, A. Courville. NIPS 2017, arXiv 1704.00028.
Authors' code: github.com/igul222/improved_wgan_training.

Here: Algorithm 1 (the gradient penalty of section 4 in place of weight clipping) with the networks and constants of the
authors' scripts for points in the plane (figure 1), MNIST, CIFAR-10 (figure 3), the CIFAR-10 ResNets of table 3 with
and without labels, and the 64x64 ResNet of the LSUN experiments.
"""

import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.adversarial import AdversarialModule, PaperMeasures, in_eval_mode
from zoo.layers import SameConv2d, SameConvTranspose2d
from zoo.losses import gradient_penalty, wasserstein_critic_loss, wasserstein_generator_loss
from zoo.resume import mix_seed

if TYPE_CHECKING:
    from zoo.data.base import ImageDataModule

Network = Literal["toy", "mnist", "cifar10", "cifar10_resnet", "resnet64"]


class Constants(NamedTuple):
    """What an authors' script fixes."""

    image_shape: tuple[int, ...]
    z_dim: int
    width: int
    lr: float
    beta1: float
    gp_weight: float
    generator_batch: int = 1
    decay_steps: int | None = None


CONSTANTS: dict[Network, Constants] = {
    "toy": Constants((2,), z_dim=2, width=512, lr=1e-4, beta1=0.5, gp_weight=0.1),
    "mnist": Constants((1, 28, 28), z_dim=128, width=64, lr=1e-4, beta1=0.5, gp_weight=10.0),
    "cifar10": Constants((3, 32, 32), z_dim=128, width=128, lr=1e-4, beta1=0.5, gp_weight=10.0),
    "cifar10_resnet": Constants(
        (3, 32, 32), z_dim=128, width=128, lr=2e-4, beta1=0.0, gp_weight=10.0, generator_batch=2, decay_steps=100_000
    ),
    "resnet64": Constants((3, 64, 64), z_dim=128, width=64, lr=1e-4, beta1=0.5, gp_weight=10.0),
}


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
        self, inputs: int, outputs: int, *, down: bool = True, first: bool = False, layer_norm: bool = False
    ) -> None:
        super().__init__()
        hidden = outputs if first else inputs
        self.norm1 = nn.GroupNorm(1, inputs) if layer_norm else nn.Identity()  # over C, H, W; a gain for each channel
        self.relu1 = nn.Identity() if first else nn.ReLU()
        self.conv1 = convolution(inputs, hidden, 3, bias=not layer_norm)
        self.norm2 = nn.GroupNorm(1, hidden) if layer_norm else nn.Identity()
        self.conv2 = convolution(hidden, outputs, 3)
        self.shortcut = convolution(inputs, outputs, 1, he=False) if down else nn.Identity()
        self.pool = nn.AvgPool2d(2) if down else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(self.relu1(self.norm1(x)))
        h = self.pool(self.conv2(F.relu(self.norm2(h))))
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


# The players of each script.


class Pair(NamedTuple):
    """A generator [N, z_dim] -> samples and a critic of samples -> scores [N, 1] (then class logits, if any)."""

    G: nn.Module
    D: nn.Module


def toy_networks(*, z_dim: int, width: int) -> Pair:
    """gan_toy.py: three layers of ReLU units in both."""

    def mlp(inputs: int, outputs: int) -> nn.Sequential:
        sizes = [inputs, width, width, width]
        hidden = [layer for a, b in pairwise(sizes) for layer in (linear(a, b, he=True), nn.ReLU())]
        return nn.Sequential(*hidden, linear(width, outputs))

    return Pair(mlp(z_dim, 2), mlp(2, 1))


def strided_critic(channels: int, width: int) -> nn.Sequential:
    """gan_mnist.py and gan_cifar.py: three 5x5 convolutions with stride 2 down to 4x4, no normalisation."""
    widths = [channels, width, 2 * width, 4 * width]
    layers: list[nn.Module] = []
    for a, b in pairwise(widths):
        layers += [convolution(a, b, 5, stride=2), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Flatten(), linear(64 * width, 1))


def mnist_networks(*, z_dim: int, width: int) -> Pair:
    """gan_mnist.py: 4 -> 8, cropped to 7 -> 14 -> 28; pixels in [0, 1]; no BatchNorm."""
    G = nn.Sequential(
        *(linear(z_dim, 64 * width), nn.ReLU(), nn.Unflatten(1, (4 * width, 4, 4))),
        *(deconvolution(4 * width, 2 * width), nn.ReLU(), Crop(7)),
        *(deconvolution(2 * width, width), nn.ReLU()),
        *(deconvolution(width, 1), nn.Sigmoid()),
    )
    return Pair(G, strided_critic(1, width))


def cifar10_networks(*, z_dim: int, width: int) -> Pair:
    """gan_cifar.py: 4 -> 8 -> 16 -> 32 with BatchNorm, the first with a gain for each unit."""
    G = nn.Sequential(
        *(linear(z_dim, 64 * width), nn.BatchNorm1d(64 * width), nn.ReLU(), nn.Unflatten(1, (4 * width, 4, 4))),
        *(deconvolution(4 * width, 2 * width), nn.BatchNorm2d(2 * width), nn.ReLU()),
        *(deconvolution(2 * width, width), nn.BatchNorm2d(width), nn.ReLU()),
        *(deconvolution(width, 3), nn.Tanh()),
    )
    return Pair(G, strided_critic(3, width))


def cifar10_resnets(*, z_dim: int, width: int, num_classes: int | None) -> Pair:
    """gan_cifar_resnet.py: `width` filters throughout; the critic ends in the mean over 8x8."""
    D = nn.Sequential(
        CriticBlock(3, width, first=True),
        CriticBlock(width, width),
        CriticBlock(width, width, down=False),
        CriticBlock(width, width, down=False),
        *(nn.ReLU(), MeanPool()),
        linear(width, 1) if num_classes is None else Heads(width, num_classes=num_classes),
    )
    return Pair(ResNetGenerator(z_dim, [width] * 4, num_classes=num_classes, bias=True, he_output=False), D)


def resnets64(*, z_dim: int, width: int) -> Pair:
    """gan_64x64.py, "Good": layer norm in the critic; no bias in the first convolution of a block."""
    D = nn.Sequential(
        convolution(3, width, 3, he=False),
        *(CriticBlock(a * width, b * width, layer_norm=True) for a, b in ((1, 2), (2, 4), (4, 8), (8, 8))),
        *(nn.Flatten(), linear(8 * width * 16, 1)),
    )
    return Pair(
        ResNetGenerator(z_dim, [8 * width, 8 * width, 4 * width, 2 * width, width], bias=False, he_output=True), D
    )


class WGANGP(AdversarialModule):
    """Wasserstein GAN whose critic is held to unit gradient norm by a penalty (Algorithm 1).

    Args:
        network: which of the authors' scripts; it fixes the constants that are None below.
        num_classes: labels condition the generator's BatchNorm, and the critic classifies (AC-GAN; `cifar10_resnet`
            only). None is unconditional.
        width: filters next to the image, or units of the MLP; None takes 512, 64, 128, 128, 64.
        lr: Adam's learning rate of both players; None takes 1e-4, for `cifar10_resnet` 2e-4.
        beta1: Adam's first moment decay; None takes 0.5, for `cifar10_resnet` 0.
        beta2: Adam's second moment decay.
        gp_weight: lambda; None takes 10, for `toy` 0.1.
        one_sided: penalise gradient norms above 1 only.
        n_critic: critic updates for each generator update.
        generator_batch: samples of a generator update, as a multiple of the critic's reals; None takes 1, for
            `cifar10_resnet` 2.
        decay_steps: generator updates in which the learning rate falls linearly to 0; None takes no decay, for
            `cifar10_resnet` 100,000; 0 is no decay.
        acgan_weight_D: weight of the cross-entropy on the labels of reals in the critic's loss.
        acgan_weight_G: weight of the cross-entropy on the labels of samples in the generator's loss.
        fixed_generator: for `toy`: the critic is trained against reals plus N(0, I) and G never moves (figure 1).

    Raises:
        ValueError: labels or a fixed generator for a network that has none.
    """

    paper = "wgan_gp"

    def __init__(
        self,
        *,
        network: Network = "cifar10_resnet",
        num_classes: int | None = None,
        width: int | None = None,
        lr: float | None = None,
        beta1: float | None = None,
        beta2: float = 0.9,
        gp_weight: float | None = None,
        one_sided: bool = False,
        n_critic: int = 5,
        generator_batch: int | None = None,
        decay_steps: int | None = None,
        acgan_weight_D: float = 1.0,
        acgan_weight_G: float = 0.1,
        fixed_generator: bool = False,
    ) -> None:
        if num_classes is not None and network != "cifar10_resnet":
            raise ValueError(f"network {network} takes no labels: leave num_classes out, or use cifar10_resnet")
        if fixed_generator and network != "toy":
            raise ValueError("fixed_generator is an experiment in the plane: use network=toy")
        own = CONSTANTS[network]
        super().__init__(
            image_shape=own.image_shape,
            z_dim=own.z_dim,
            n_critic=sys.maxsize if fixed_generator else n_critic,  # G's turn never comes
            num_classes=num_classes,
        )
        self.save_hyperparameters()
        self.network = network
        self.lr = own.lr if lr is None else lr
        self.betas = (own.beta1 if beta1 is None else beta1, beta2)
        self.gp_weight = own.gp_weight if gp_weight is None else gp_weight
        self.one_sided, self.fixed_generator = one_sided, fixed_generator
        self.generator_batch = generator_batch or own.generator_batch
        self.decay_steps = own.decay_steps if decay_steps is None else decay_steps
        self.acgan_weight_D, self.acgan_weight_G = acgan_weight_D, acgan_weight_G
        self.beside: dict[str, Tensor] = {}  # what is reported beside the losses
        self.G, self.D = self.players(width or own.width)
        if network != "toy":
            self.to(memory_format=torch.channels_last)  # same values, faster convolutions

    def players(self, width: int) -> Pair:
        """The networks, freshly initialised."""
        if self.network == "toy":
            return toy_networks(z_dim=self.z_dim, width=width)
        if self.network == "mnist":
            return mnist_networks(z_dim=self.z_dim, width=width)
        if self.network == "cifar10":
            return cifar10_networks(z_dim=self.z_dim, width=width)
        if self.network == "cifar10_resnet":
            return cifar10_resnets(z_dim=self.z_dim, width=width, num_classes=self.num_classes)
        return resnets64(z_dim=self.z_dim, width=width)

    # Algorithm 1.

    def discriminator_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        """E D(G(z)) - E D(x) + lambda E (||grad D(x_hat)|| - 1)^2 (line 7), and AC-GAN's cross-entropy on the reals."""
        y = self.labels_of(y)
        fake = self.fakes(x, y)
        out = self.D(torch.cat([x, fake]))  # no normalisation over the batch in D: one pass is two
        scores = out[:, 0].chunk(2)
        loss = wasserstein_critic_loss(*scores)
        penalty = gradient_penalty(self.score, x, fake, one_sided=self.one_sided)
        self.beside = {"wasserstein_estimate": -loss.detach(), "gradient_penalty": penalty.detach()}
        loss = loss + self.gp_weight * penalty
        if y is not None:
            loss = loss + self.acgan_weight_D * F.cross_entropy(out[: len(x), 1:], y)
        return loss

    def generator_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        """-E D(G(z)) (line 12), and AC-GAN's cross-entropy on labels drawn uniformly."""
        n = self.generator_batch * len(x)
        if self.num_classes is None:
            return wasserstein_generator_loss(self.score(self.samples(self.sample_z(n), None)))
        labels = torch.randint(self.num_classes, (n,), generator=self.latent_generator).to(x.device)
        out = self.D(self.samples(self.sample_z(n), labels))
        return wasserstein_generator_loss(out[:, 0]) + self.acgan_weight_G * F.cross_entropy(out[:, 1:], labels)

    def samples(self, z: Tensor, y: Tensor | None) -> Tensor:
        """G(z) or G(z, y) in the scale of D."""
        fake: Tensor = self.G(z) if self.num_classes is None else self.G(z, y)
        return fake

    def fakes(self, x: Tensor, y: Tensor | None) -> Tensor:
        """What the critic is shown against the reals x: samples with the labels of the reals."""
        return x + torch.randn_like(x) if self.fixed_generator else self.samples(self.sample_z(len(x)), y)

    def score(self, x: Tensor) -> Tensor:
        """D(x) without class logits, [N]."""
        out: Tensor = self.D(x)
        return out[:, 0]

    def labels_of(self, y: Tensor | None) -> Tensor | None:
        """The labels where they are used; ValueError where they are needed and absent."""
        if self.num_classes is not None and y is None:
            raise ValueError("num_classes is set, but the data has no labels: leave model.num_classes out")
        return None if self.num_classes is None else y

    def before_update(self) -> None:
        """Linear decay; the authors count an iteration as one generator update, then the critic's."""
        if self.decay_steps:
            optimizer_D, optimizer_G = self.both_optimizers()
            for optimizer, iteration in ((optimizer_D, self.generator_steps), (optimizer_G, self.generator_steps + 1)):
                for group in optimizer.param_groups:
                    group["lr"] = self.lr * max(0.0, 1 - iteration / self.decay_steps)

    def report(self, losses: dict[str, Tensor]) -> None:
        super().report({**losses, **self.beside})

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [torch.optim.Adam(net.parameters(), lr=self.lr, betas=self.betas) for net in (self.D, self.G)]

    # The scale each script is trained in, and back.

    def preprocess(self, x: Tensor) -> Tensor:
        """Points as they are; MNIST in [0, 1]; for `cifar10_resnet` pixel v uniform in v/128 - 1 + [0, 1/128)."""
        if self.network == "toy":
            return x
        if self.network == "mnist":
            return x.float().div_(255)
        if self.network == "cifar10_resnet":
            x = x.float().div_(128).sub_(1)
            return x.add_(torch.rand_like(x), alpha=1 / 128)
        return super().preprocess(x)

    def generate(self, z: Tensor, y: Tensor | None) -> Tensor:
        """Points [N, 2] as they are, images [N, C, H, W] in [-1, 1]; dequantised cells go to their grey level."""
        samples = self.samples(z, y)
        if self.network == "mnist":
            return samples * 2 - 1
        if self.network == "cifar10_resnet":  # rounding (x + 1) * 127.5 afterwards is cutting off (samples + 1) * 128
            return samples.add(1).mul(128).sub(0.5).div(127.5).sub(1).clamp(-1, 1)
        return samples

    # The paper's own measures.

    @torch.no_grad()
    def critic_surface(self, *, side: int = 128, extent: float = 3.0) -> Tensor:
        """D on a grid over [-extent, extent]^2, [side, side] with x along the rows: the contours of figure 1."""
        line = torch.linspace(-extent, extent, side, device=self.device)
        return self.score(torch.cartesian_prod(line, line)).view(side, side)

    def paper_measures(self, data: "ImageDataModule", *, seed: int) -> PaperMeasures:
        """In the plane, distances of samples; with a validation split, the critic's overfitting."""
        if self.network == "toy":
            return self.plane_measures(data, seed=seed)
        if "validation" not in data.splits:
            return PaperMeasures({}, {})
        sets = {name: data.split(name).images[:1_000] for name in ("train", "validation")}
        with torch.no_grad(), in_eval_mode(self), torch.random.fork_rng():
            torch.manual_seed(mix_seed(seed, "dequantise"))
            generator = torch.Generator().manual_seed(mix_seed(seed, "overfitting"))
            z = self.latents(1_000, generator=generator)
            y = None if self.num_classes is None else torch.randint(self.num_classes, (1_000,), generator=generator)
            fake = self.mean_score(self.samples(z.to(self.device), None if y is None else y.to(self.device)))
            gaps = {name: self.mean_score(self.preprocess(x.to(self.device))) - fake for name, x in sets.items()}
        values = {f"critic_gap_{name}": gap for name, gap in gaps.items()}
        protocol = {"measure": "E D(x) - E D(G(z))", "n_real": {name: len(x) for name, x in sets.items()}}
        return PaperMeasures(values, {**protocol, "n_fake": 1_000, "seed": seed})

    def mean_score(self, x: Tensor) -> float:
        """Mean of D over x, in blocks of 250."""
        return float(torch.cat([self.score(block) for block in torch.split(x, 250)]).mean())

    def plane_measures(self, data: "ImageDataModule", *, seed: int) -> PaperMeasures:
        """Exact Wasserstein distance of 1,000 samples to 1,000 test points; shares of modes found (ours)."""
        from zoo.metrics.points import exact_wasserstein, mode_shares

        samples = self.sample(1_000, seed=mix_seed(seed, "points"))
        values = {"wasserstein_exact": exact_wasserstein(samples, data.split("test").images[:1_000])}
        modes: Any = getattr(data, "modes", None)
        if modes is not None:
            shares = mode_shares(samples, modes, std=data.mode_std)  # type: ignore[attr-defined]
            values |= {"share_modes_covered": shares.covered, "share_high_quality": shares.high_quality}
        protocol = {"measure": "exact W1; share of modes and of samples within 3 sigma", "n_real": 1_000}
        fingerprint = data.split("test").fingerprint
        return PaperMeasures(values, {**protocol, "n_fake": 1_000, "dataset_fingerprint": fingerprint, "seed": seed})
