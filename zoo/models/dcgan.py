"""Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks.

A. Radford, L. Metz, S. Chintala. ICLR 2016, arXiv 1511.06434. Authors' code: github.com/Newmu/dcgan_code.

Here: the guidelines of section 3 (strided convolutions, batch normalisation but at G's output and D's input, no hidden
fully connected layers, ReLU in G and leaky ReLU in D) in four networks, each named as what it is:

- `faces64`: the authors' network of the faces experiment (5x5 kernels, 128 filters, uniform z);
- `imagenet32`: the authors' network of the ImageNet-1k experiment whose features are tested on CIFAR-10 (section 5.1);
- `mnist_conditional`: the authors' network of the appendix's MNIST experiment (section 8.1), label at every layer;
- `community`: the variant most implementations mean by DCGAN (4x4 kernels, 64 filters, normal z), from the Torch port.
"""

from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.adversarial import AdversarialModule, PaperMeasures
from zoo.losses import bce_discriminator_loss, non_saturating_generator_loss
from zoo.resume import mix_seed

if TYPE_CHECKING:
    from zoo.data.base import ImageDataModule

Network = Literal["faces64", "imagenet32", "mnist_conditional", "community"]


class Pair(NamedTuple):
    """A generator [N, z_dim] -> [N, C, H, W] in [-1, 1] and a discriminator [N, C, H, W] -> logits [N, 1]."""

    G: nn.Module
    D: nn.Module


def upsample(inputs: int, outputs: int, *, kernel: int) -> nn.ConvTranspose2d:
    """Fractionally strided convolution that doubles height and width; odd kernels mirror a padded strided one."""
    odd = kernel % 2
    return nn.ConvTranspose2d(
        inputs, outputs, kernel, stride=2, padding=(kernel - 1) // 2, output_padding=odd, bias=False
    )


def convolution(inputs: int, outputs: int, *, kernel: int, stride: int) -> nn.Conv2d:
    """Convolution without bias that keeps (stride 1) or halves (stride 2) height and width."""
    return nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=(kernel - 1) // 2, bias=False)


def faces_networks(*, z_dim: int, width: int, channels: int) -> Pair:
    """The authors' 64x64 networks: a projection of z to 4x4 with one BatchNorm gain for each unit, then 5x5 kernels."""
    widths = [8 * width, 4 * width, 2 * width, width]
    G: list[nn.Module] = [
        nn.Linear(z_dim, widths[0] * 16, bias=False),
        nn.BatchNorm1d(widths[0] * 16, eps=1e-8),
        nn.ReLU(),
        nn.Unflatten(1, (widths[0], 4, 4)),
    ]
    for inputs, outputs in pairwise(widths):
        G += [upsample(inputs, outputs, kernel=5), nn.BatchNorm2d(outputs, eps=1e-8), nn.ReLU()]
    G += [upsample(width, channels, kernel=5), nn.Tanh()]
    widths.reverse()
    D: list[nn.Module] = [convolution(channels, width, kernel=5, stride=2), nn.LeakyReLU(0.2)]
    for inputs, outputs in pairwise(widths):
        D += [
            convolution(inputs, outputs, kernel=5, stride=2),
            nn.BatchNorm2d(outputs, eps=1e-8),
            nn.LeakyReLU(0.2),
        ]
    D += [nn.Flatten(), nn.Linear(widths[-1] * 16, 1, bias=False)]
    return Pair(nn.Sequential(*G), nn.Sequential(*D))


def imagenet_networks(*, z_dim: int, width: int, channels: int) -> Pair:
    """The authors' 32x32 networks: 3x3 kernels, two convolutions for each resolution (width 128 gives their sizes)."""
    G: list[nn.Module] = [
        nn.Linear(z_dim, 4 * width * 16, bias=False),
        nn.BatchNorm1d(4 * width * 16, eps=1e-8),
        nn.ReLU(),
        nn.Unflatten(1, (4 * width, 4, 4)),
    ]
    inputs = 4 * width
    for outputs, up in [
        (4, True),
        (2, False),
        (2, True),
        (1, False),
        (1, True),
    ]:  # 4 -> 8 -> 8 -> 16 -> 16 -> 32
        layer: nn.Module
        if up:
            layer = upsample(inputs, outputs * width, kernel=3)
        else:
            layer = convolution(inputs, outputs * width, kernel=3, stride=1)
        G += [layer, nn.BatchNorm2d(outputs * width, eps=1e-8), nn.ReLU()]
        inputs = outputs * width
    G += [convolution(inputs, channels, kernel=3, stride=1), nn.Tanh()]
    D: list[nn.Module] = [convolution(channels, width, kernel=3, stride=1), nn.LeakyReLU(0.2)]
    inputs = width
    for outputs, stride in [(1, 2), (2, 1), (2, 2), (4, 1), (4, 2)]:  # 32 -> 16 -> 16 -> 8 -> 8 -> 4
        D += [
            convolution(inputs, outputs * width, kernel=3, stride=stride),
            nn.BatchNorm2d(outputs * width, eps=1e-8),
            nn.LeakyReLU(0.2),
        ]
        inputs = outputs * width
    D += [nn.Flatten(), nn.Linear(inputs * 16, 1, bias=False)]
    return Pair(nn.Sequential(*G), nn.Sequential(*D))


def community_networks(*, z_dim: int, width: int, channels: int, resolution: int) -> Pair:
    """The Torch port's networks: 4x4 kernels throughout, 1x1 -> 4x4 -> ... -> resolution (a power of two)."""
    doublings = resolution.bit_length() - 3  # from 4x4
    widths = [width * 2**i for i in reversed(range(doublings))]
    G: list[nn.Module] = [
        nn.Unflatten(1, (z_dim, 1, 1)),
        nn.ConvTranspose2d(z_dim, widths[0], 4, bias=False),
        nn.BatchNorm2d(widths[0]),
        nn.ReLU(),
    ]
    for inputs, outputs in pairwise(widths):
        G += [upsample(inputs, outputs, kernel=4), nn.BatchNorm2d(outputs), nn.ReLU()]
    G += [upsample(width, channels, kernel=4), nn.Tanh()]
    widths.reverse()
    D: list[nn.Module] = [convolution(channels, width, kernel=4, stride=2), nn.LeakyReLU(0.2)]
    for inputs, outputs in pairwise(widths):
        D += [convolution(inputs, outputs, kernel=4, stride=2), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)]
    D += [nn.Conv2d(widths[-1], 1, 4, bias=False), nn.Flatten()]
    return Pair(nn.Sequential(*G), nn.Sequential(*D))


class ConditionalGenerator(nn.Module):
    """z [N, z_dim] and labels [N] to digits [N, 1, 28, 28] in [0, 1]; the label joins every layer's input."""

    def __init__(self, *, z_dim: int, num_classes: int) -> None:
        super().__init__()
        k = self.num_classes = num_classes
        self.fc1 = nn.Linear(z_dim + k, 1024, bias=False)
        self.fc2 = nn.Linear(1024 + k, 128 * 7 * 7, bias=False)
        self.up1 = upsample(128 + k, 64, kernel=5)
        self.up2 = upsample(64 + k, 1, kernel=5)
        self.bn1 = nn.BatchNorm1d(1024, eps=1e-8, affine=False)
        self.bn2 = nn.BatchNorm1d(128 * 7 * 7, eps=1e-8, affine=False)
        self.bn3 = nn.BatchNorm2d(64, eps=1e-8, affine=False)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        label = F.one_hot(y, self.num_classes).to(z.dtype)
        h = self.bn1(self.fc1(torch.cat([z, label], dim=1))).relu()
        h = self.bn2(self.fc2(torch.cat([h, label], dim=1))).relu().unflatten(1, (128, 7, 7))
        h = self.bn3(self.up1(with_maps(h, label))).relu()  # [N, 64, 14, 14]
        return self.up2(with_maps(h, label)).sigmoid()  # type: ignore[no-any-return]


class ConditionalDiscriminator(nn.Module):
    """Digits [N, 1, 28, 28] in [0, 1] and labels [N] to logits [N, 1]; the label joins every layer's input."""

    def __init__(self, *, num_classes: int) -> None:
        super().__init__()
        k = self.num_classes = num_classes
        self.conv1 = convolution(1 + k, 64, kernel=5, stride=2)
        self.conv2 = convolution(64 + k, 128, kernel=5, stride=2)
        self.fc1 = nn.Linear(128 * 7 * 7 + k, 1024, bias=False)
        self.fc2 = nn.Linear(1024 + k, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(128, eps=1e-8, affine=False)
        self.bn3 = nn.BatchNorm1d(1024, eps=1e-8, affine=False)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        label = F.one_hot(y, self.num_classes).to(x.dtype)
        h = F.leaky_relu(self.conv1(with_maps(x, label)), 0.2)  # [N, 64, 14, 14]
        h = F.leaky_relu(self.bn2(self.conv2(with_maps(h, label))), 0.2)  # [N, 128, 7, 7]
        h = F.leaky_relu(self.bn3(self.fc1(torch.cat([h.flatten(1), label], dim=1))), 0.2)
        return self.fc2(torch.cat([h, label], dim=1))  # type: ignore[no-any-return]


def with_maps(x: Tensor, label: Tensor) -> Tensor:
    """x [N, C, H, W] and one constant map for each entry of label [N, K]: [N, C + K, H, W]."""
    maps = label.to(x.dtype)[:, :, None, None].expand(-1, -1, *x.shape[2:])
    return torch.cat([x, maps], dim=1)


def initialise(net: nn.Module) -> None:
    """Weights N(0, 0.02), BatchNorm gains N(1, 0.02), BatchNorm biases 0 (section 4 and the authors' code)."""
    for module in net.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and module.affine:
            nn.init.normal_(module.weight, 1.0, 0.02)
            nn.init.zeros_(module.bias)


class DCGAN(AdversarialModule):
    """Convolutional GAN with the non-saturating loss and Adam (section 4).

    Args:
        network: which networks, see the head of this file.
        channels: of the images.
        resolution: height and width. `faces64` is 64 and `imagenet32` is 32; `community` takes any power of two
            from 8 on (default 64).
        width: filters of the layer next to the image; None takes the network's own (128, 128, 64).
        z_dim: None takes the network's own (100, 256, 100).
        lr: Adam's learning rate, of both players.
        beta1: Adam's first moment decay.
        beta2: Adam's second moment decay.
        l2: added to the gradient times the weight; 0 as in the paper's text, 1e-5 in the authors' faces script and
            2.5e-5 in their MNIST script.
        constant_images: images after which the learning rate falls linearly; None keeps it constant.
        decay_images: images that it takes to fall to 0.

    Raises:
        ValueError: a resolution that the network does not have.
    """

    paper = "dcgan"
    remedies = MappingProxyType(
        {
            "collapse": "BatchNorm in both players, which keeps G from mapping all z to one point (section 3)",
            "divergence": "a learning rate of 0.0002 and beta1 of 0.5: 0.001 was too high, 0.9 unstable (section 4)",
        }
    )

    def __init__(
        self,
        *,
        network: Network = "faces64",
        channels: int = 3,
        resolution: int | None = None,
        width: int | None = None,
        z_dim: int | None = None,
        lr: float = 2e-4,
        beta1: float = 0.5,
        beta2: float = 0.999,
        l2: float = 0.0,
        constant_images: int | None = None,
        decay_images: int = 5_000_000,
    ) -> None:
        own = {"faces64": 64, "imagenet32": 32, "mnist_conditional": 28}.get(network)
        resolution = resolution or own or 64
        if own is not None and resolution != own:
            raise ValueError(f"network {network} makes {own}x{own} images; for {resolution} use network=community")
        conditional = network == "mnist_conditional"
        if not conditional and (resolution < 8 or resolution & (resolution - 1)):
            raise ValueError(f"resolution must be a power of two from 8 on, not {resolution}")
        z_dim = z_dim or (256 if network == "imagenet32" else 100)
        channels = 1 if conditional else channels
        shape = (channels, resolution, resolution)
        super().__init__(image_shape=shape, z_dim=z_dim, num_classes=10 if conditional else None)
        self.save_hyperparameters()
        self.network = network
        self.constant_images, self.decay_images = constant_images, decay_images
        self.lr, self.betas, self.l2 = lr, (beta1, beta2), l2
        width = width or (64 if network == "community" else 128)
        if network == "faces64":
            self.G, self.D = faces_networks(z_dim=z_dim, width=width, channels=channels)
        elif network == "imagenet32":
            self.G, self.D = imagenet_networks(z_dim=z_dim, width=width, channels=channels)
        elif conditional:
            self.G = ConditionalGenerator(z_dim=z_dim, num_classes=10)
            self.D = ConditionalDiscriminator(num_classes=10)
        else:
            self.G, self.D = community_networks(z_dim=z_dim, width=width, channels=channels, resolution=resolution)
        initialise(self)
        self.to(memory_format=torch.channels_last)  # same values, faster convolutions

    def latents(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """U(-1, 1) in the authors' networks, N(0, 1) in the community variant. [n, z_dim]."""
        if self.network == "community":
            return super().latents(n, generator=generator)
        return torch.rand(n, self.z_dim, generator=generator) * 2 - 1

    def discriminator_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        """Reals and fakes pass through D separately: a joint batch would mix BatchNorm's statistics."""
        label = () if self.num_classes is None else (y,)  # fakes take the labels of the reals
        fake = self.G(self.sample_z(len(x)), *label)
        real_logits, fake_logits = self.D(x, *label), self.D(fake, *label)
        self.note_scores(real_logits, fake_logits)
        return bce_discriminator_loss(real_logits, fake_logits)

    def generator_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        label = () if self.num_classes is None else (y,)
        return non_saturating_generator_loss(self.D(self.G(self.sample_z(len(x)), *label), *label))

    def preprocess(self, x: Tensor) -> Tensor:
        """uint8 to [-1, 1]; to [0, 1] for the conditional network, whose images end in a sigmoid."""
        return x.float().div_(255) if self.num_classes is not None else super().preprocess(x)

    def generate(self, z: Tensor, y: Tensor | None) -> Tensor:
        """Images [N, C, H, W] in [-1, 1]."""
        if self.num_classes is None:
            return super().generate(z, y)
        images: Tensor = self.G(z, y)
        return images * 2 - 1

    def before_update(self) -> None:
        """The learning rate of the authors' MNIST script: constant, then linear to 0."""
        if self.constant_images is None:
            return
        share = 1 - max(0, self.images_seen - self.constant_images) / self.decay_images
        for optimizer in self.both_optimizers():
            optimizer.param_groups[0]["lr"] = self.lr * max(0.0, share)

    def paper_measures(self, data: "ImageDataModule", *, seed: int) -> PaperMeasures:
        """The appendix's measure: error of a 1-nearest-neighbour classifier fitted to 50,000 labelled samples.

        Euclidean distance in pixel space, scored on the real test digits; the conditional network only.
        """
        if self.num_classes is None or "test" not in data.splits:
            return PaperMeasures({}, {})
        labels = torch.arange(500) % 10
        samples = [self.sample(500, labels=labels, seed=mix_seed(seed, "1nn", i)).cpu() for i in range(100)]
        test = data.split("test")
        assert test.labels is not None
        real = test.images.float().div(127.5).sub(1).flatten(1)
        nearest = nearest_rows(real, torch.cat(samples).flatten(1))
        error = (labels.repeat(100)[nearest] != test.labels).double().mean()
        protocol = {"measure": "1-NN error", "n_fake": 50_000, "n_test": len(test), "seed": seed}
        return PaperMeasures(
            {"error_1nn50k": float(error)},
            {**protocol, "batchnorm": "running", "dataset_fingerprint": test.fingerprint},
        )

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [
            torch.optim.Adam(net.parameters(), lr=self.lr, betas=self.betas, weight_decay=self.l2)
            for net in (self.D, self.G)
        ]


def nearest_rows(x: Tensor, points: Tensor) -> Tensor:
    """For each row of x [N, D], the number of the nearest of points [M, D] by Euclidean distance: int64 [N]."""
    norms = points.square().sum(1)
    return torch.cat([(norms - 2 * part @ points.T).argmin(1) for part in torch.split(x, 500)])
