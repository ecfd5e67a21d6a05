"""Conditional Generative Adversarial Nets.

M. Mirza, S. Osindero. 2014, arXiv 1411.1784. The authors released no code.

Here: the two-player game of equation 2, in which both players see the label y, played by two pairs of networks:

- `mnist`: the paper's network for MNIST (section 4.1), with its Parzen-window log-likelihood of Table 1;
- `convolutional`: an extension for images of any kind and size, strided convolutions with the label concatenated to
  the input of both players. It is no network of the paper.
"""

from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.data.base import ImageDataModule
from zoo.errors import UnsupportedSettingError
from zoo.models.base.module import AdversarialModule
from zoo.models.base.sampling import Columns
from zoo.nn.layers import Maxout, uniform_
from zoo.nn.losses import bce_discriminator_loss, non_saturating_generator_loss
from zoo.nn.reference import Reference
from zoo.nn.schedules import SGDSchedule

Network = Literal["mnist", "convolutional"]


class MnistGenerator(nn.Module):
    """z [N, z_dim] and one-hot y [N, K] to images [N, 1, 28, 28] in [0, 1] (section 4.1).

    z and y have hidden layers of their own (200 and 1,000 rectified units) that meet in one of 1,200.

    Dropout follows every hidden layer, and what it drops is part of the input: behind its z_dim columns z may have
    2,400 more, u ~ U(0, 1), one for each hidden unit, which is dropped where u < `dropout`. Without them nothing is
    dropped. So a sample is a function of its latent even though dropout is the noise that this generator lives on.
    """

    UNITS = (200, 1000, 1200)

    def __init__(self, *, z_dim: int, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.z_dim, self.dropout = z_dim, dropout
        of_z, of_y, of_both = self.UNITS
        self.z_layer = nn.Sequential(nn.Linear(z_dim, of_z), nn.ReLU())
        self.y_layer = nn.Sequential(nn.Linear(num_classes, of_y), nn.ReLU())
        self.joint = nn.Sequential(nn.Linear(of_z + of_y, of_both), nn.ReLU())
        self.image = nn.Sequential(nn.Linear(of_both, 784), nn.Sigmoid(), nn.Unflatten(1, (1, 28, 28)))
        uniform_(self, bound=0.05)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        z, u = z[:, : self.z_dim], z[:, self.z_dim :]
        before_joint = self.UNITS[0] + self.UNITS[1]
        hidden = self.dropped(torch.cat([self.z_layer(z), self.y_layer(y)], dim=1), u[:, :before_joint])
        images: Tensor = self.image(self.dropped(self.joint(hidden), u[:, before_joint:]))
        return images

    def dropped(self, units: Tensor, u: Tensor) -> Tensor:
        """Units [N, n] with u [N, n] >= `dropout`, scaled to keep their mean; all as they are where u is [N, 0]."""
        return units * (u >= self.dropout).to(units.dtype) / (1 - self.dropout) if u.shape[1] else units


class MnistDiscriminator(nn.Module):
    """Images x [N, 1, 28, 28] in [0, 1] and one-hot y [N, K] to logits [N, 1] (section 4.1).

    Maxout layers of 240 units x 5 pieces for x and 50 x 5 for y meet in one of 240 x 4.
    """

    def __init__(self, *, num_classes: int, dropout: float, input_dropout: float) -> None:
        super().__init__()
        self.x_layer = nn.Sequential(
            nn.Flatten(), nn.Dropout(input_dropout), Maxout(784, 240, pieces=5), nn.Dropout(dropout)
        )
        self.y_layer = nn.Sequential(Maxout(num_classes, 50, pieces=5), nn.Dropout(dropout))
        self.joint = nn.Sequential(Maxout(290, 240, pieces=4), nn.Dropout(dropout), nn.Linear(240, 1))
        uniform_(self, bound=0.005)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.joint(torch.cat([self.x_layer(x), self.y_layer(y)], dim=1))  # type: ignore[no-any-return]


class ConvolutionalGenerator(nn.Module):
    """z [N, z_dim] and one-hot y [N, K], concatenated, to images [N, C, H, H] in [-1, 1]; 4x4 kernels as in DCGAN."""

    def __init__(self, *, z_dim: int, num_classes: int, channels: int, widths: list[int], base: int) -> None:
        super().__init__()
        inputs = z_dim + num_classes
        layers: list[nn.Module] = [
            nn.Unflatten(1, (inputs, 1, 1)),
            nn.ConvTranspose2d(inputs, widths[-1], base, bias=False),  # 1 -> base
            nn.BatchNorm2d(widths[-1]),
            nn.ReLU(),
        ]
        for wide, narrow in pairwise(reversed(widths)):
            up = nn.ConvTranspose2d(wide, narrow, 4, stride=2, padding=1, bias=False)
            layers += [up, nn.BatchNorm2d(narrow), nn.ReLU()]
        layers += [nn.ConvTranspose2d(widths[0], channels, 4, stride=2, padding=1, bias=False), nn.Tanh()]
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        return self.layers(torch.cat([z, y.to(z.dtype)], dim=1))  # type: ignore[no-any-return]


class ConvolutionalDiscriminator(nn.Module):
    """Images x [N, C, H, H] in [-1, 1] and one-hot y [N, K], joined as K constant maps, to logits [N, 1]."""

    def __init__(
        self,
        *,
        num_classes: int,
        channels: int,
        widths: list[int],
        base: int,
        batchnorm: bool = True,
        bias: bool = False,
    ) -> None:
        super().__init__()
        first = nn.Conv2d(channels + num_classes, widths[0], 4, stride=2, padding=1, bias=bias)
        layers: list[nn.Module] = [first, nn.LeakyReLU(0.2)]
        for narrow, wide in pairwise(widths):
            down = nn.Conv2d(narrow, wide, 4, stride=2, padding=1, bias=bias)
            norm = [nn.BatchNorm2d(wide)] if batchnorm else []
            layers += [down, *norm, nn.LeakyReLU(0.2)]
        layers += [nn.Conv2d(widths[-1], 1, base, bias=bias), nn.Flatten()]  # base -> 1
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        maps = y.to(x.dtype)[:, :, None, None].expand(-1, -1, *x.shape[2:])  # [N, K, H, H]
        return self.layers(torch.cat([x, maps], dim=1))  # type: ignore[no-any-return]


def initialise(net: nn.Module) -> None:
    """Weights N(0, 0.02), BatchNorm gains N(1, 0.02), BatchNorm biases 0 (as in DCGAN, for the extension)."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
            nn.init.zeros_(module.bias)


class CGAN(AdversarialModule):
    """GAN whose players are both told the label (equation 2), with the non-saturating loss for G.

    Args:
        network: "mnist" (the paper's) or "convolutional" (an extension), see the head of zoo/models/cgan.py.
        num_classes: number of labels. With 1 the label says nothing, and data without labels will do.
        channels: of the images; "mnist" takes 1.
        resolution: height and width; "mnist" takes 28, "convolutional" 4, 5, 6 or 7 times a power of two from 2 on.
        width: "convolutional": filters of the layer next to the image; doubled at each layer away from it.
        dropout: "mnist": rate on every hidden layer of both players (0.5 in section 4.1).
        sampling_dropout: "mnist": samples are drawn with G's dropout, as in training. Without it, each class of a
            trained model is a single image: G takes its noise from the dropout and hardly any from z.
        input_dropout: "mnist": rate on D's image; 0.2 is that of the first GAN's code, which the paper may have used.
        lr: initial learning rate of both players; None takes the network's own (0.1, 2e-4).
        lr_decay: "mnist": the learning rate is divided by this at every update.
        lr_min: "mnist": floor of the learning rate.
        momentum_start: "mnist": momentum up to and including epoch `momentum_first_epoch`.
        momentum_end: "mnist": momentum from epoch `momentum_epochs` on; linear in epochs between.
        momentum_epochs: "mnist": epoch at which the momentum saturates, counted from 0.
        images_per_epoch: "mnist": what the momentum schedule calls an epoch.
        momentum_first_epoch: "mnist": epoch after which the momentum grows, counted from 0.

    Raises:
        ValueError: an image shape that the network does not have.
    """

    paper = "cgan"
    reference = Reference(
        title="Conditional Generative Adversarial Nets",
        authors=("Mirza, Mehdi", "Osindero, Simon"),
        year=2014,
        venue=None,
        arxiv="1411.1784",
        code=None,
        networks="the paper's maxout network, a convolutional extension",
    )
    num_classes: int

    def __init__(
        self,
        *,
        network: Network = "mnist",
        num_classes: int = 10,
        channels: int = 1,
        resolution: int = 28,
        width: int = 64,
        dropout: float = 0.5,
        sampling_dropout: bool = True,
        input_dropout: float = 0.0,
        lr: float | None = None,
        lr_decay: float = 1.00004,
        lr_min: float = 1e-6,
        momentum_start: float = 0.5,
        momentum_end: float = 0.7,
        momentum_epochs: int = 250,
        images_per_epoch: int = 50_000,
        momentum_first_epoch: int = 1,
    ) -> None:
        super().__init__(image_shape=(channels, resolution, resolution), z_dim=100, num_classes=num_classes)
        self.save_hyperparameters()
        self.network, self.sampling_dropout = network, sampling_dropout
        self.lr = lr if lr is not None else 0.1 if network == "mnist" else 2e-4
        self.schedule = SGDSchedule(
            lr=self.lr,
            lr_decay=lr_decay,
            lr_min=lr_min,
            momentum_start=momentum_start,
            momentum_end=momentum_end,
            momentum_epochs=momentum_epochs,
            images_per_epoch=images_per_epoch,
            momentum_first_epoch=momentum_first_epoch,
        )
        if network == "mnist":
            if self.image_shape != (1, 28, 28):
                raise ValueError(f"network mnist takes 28x28 grey images, not {self.image_shape}: use convolutional")
            self.G = MnistGenerator(z_dim=self.z_dim, num_classes=num_classes, dropout=dropout)
            self.D = MnistDiscriminator(num_classes=num_classes, dropout=dropout, input_dropout=input_dropout)
        else:
            base, doublings = decompose(resolution)
            widths = [width * 2**i for i in range(doublings)]
            self.G = ConvolutionalGenerator(
                z_dim=self.z_dim, num_classes=num_classes, channels=channels, widths=widths, base=base
            )
            self.D = ConvolutionalDiscriminator(num_classes=num_classes, channels=channels, widths=widths, base=base)
            initialise(self)

    def latents(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Uniform in the unit hypercube (section 4.1), [n, 100], and in 2,400 more columns what dropout drops.

        The convolutional extension takes DCGAN's U(-1, 1), [n, 100].
        """
        if isinstance(self.G, MnistGenerator):
            return torch.rand(n, self.z_dim + sum(self.G.UNITS), generator=generator)
        return torch.rand(n, self.z_dim, generator=generator) * 2 - 1

    @property
    def prior(self) -> tuple[Columns, ...]:
        if isinstance(self.G, MnistGenerator):
            return (Columns(self.z_dim + sum(self.G.UNITS), "uniform", 0, 1),)
        return (Columns(self.z_dim, "uniform", -1, 1),)

    def one_hot(self, y: Tensor | None, *, n: int) -> Tensor:
        """Labels y [n] as one-hot vectors [n, K]; without labels all n belong to the only class.

        Shares of the classes, float [n, K], are what they are: images between two of them.

        Raises:
            UnsupportedSettingError: no labels, although there are several classes.
        """
        if self.num_classes == 1:
            return torch.ones(n, 1, device=self.device, dtype=self.dtype_G)
        if y is None:
            raise UnsupportedSettingError(f"no labels, and the model is conditional on {self.num_classes} classes")
        return (y if y.is_floating_point() else F.one_hot(y, self.num_classes)).to(self.dtype_G)

    def check_data(self, name: str, *, num_classes: int | None, **others: Any) -> None:
        """As of every paper; with one class, which says nothing, data without labels will do."""
        super().check_data(name, num_classes=num_classes or (1 if self.num_classes == 1 else None), **others)

    def setup(self, stage: str) -> None:
        data = getattr(self.trainer, "datamodule", None)
        if stage == "fit" and isinstance(data, ImageDataModule) and self.num_classes not in (1, data.num_classes):
            raise UnsupportedSettingError(
                f"{data.name} has {data.num_classes or 'no'} classes, the model is conditional on {self.num_classes}: "
                f"set --model.num_classes {data.num_classes or 1}"
            )
        super().setup(stage)

    # Equation 2. The fakes carry the labels of the reals they are shown with.

    def discriminator_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        """Half the binary cross-entropy, as in the code of the first GAN, whose learning rate the paper shares."""
        labels = self.one_hot(y, n=len(x))
        fake = self.G(self.sample_z(len(x)), labels)
        real_logits, fake_logits = self.D(x, labels), self.D(fake, labels)
        self.note_scores(real_logits, fake_logits)
        return 0.5 * bce_discriminator_loss(real_logits, fake_logits)

    def generator_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        labels = self.one_hot(y, n=len(x))
        return non_saturating_generator_loss(self.D(self.G(self.sample_z(len(x)), labels), labels))

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        if self.network == "mnist":
            fused = self.device.type in ("cpu", "cuda")  # one pass over the weights instead of several
            return [
                torch.optim.SGD(net.parameters(), lr=self.lr, momentum=self.schedule.momentum_start, fused=fused)
                for net in (self.D, self.G)
            ]
        return [torch.optim.Adam(net.parameters(), lr=self.lr, betas=(0.5, 0.999)) for net in (self.D, self.G)]

    def before_update(self) -> None:
        """Section 4.1: learning rate exponential in updates, momentum linear in epochs. The extension has neither."""
        if self.network == "mnist":
            self.schedule.set(self.both_optimizers(), updates=self.discriminator_steps, images_seen=self.images_seen)

    # The scale each network is trained in, and back.

    def preprocess(self, x: Tensor) -> Tensor:
        """uint8 [N, C, H, W] to [0, 1] for the paper's network, to [-1, 1] for the extension."""
        return x.float().div_(255.0) if self.network == "mnist" else super().preprocess(x)

    def score(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        scores: Tensor = self.D(x, self.one_hot(y, n=len(x)))
        return scores

    def generate(self, z: Tensor, y: Tensor | None) -> Tensor:
        """G(z|y) as images [N, C, H, W] in [-1, 1].

        Raises:
            ValueError: labels outside 0..K-1.
        """
        traced = torch.compiler.is_compiling()  # a graph that is compiled or exported has no place for the check
        if y is not None and not traced and ((y < 0) | (y >= self.num_classes)).any():
            raise ValueError(f"labels must lie in 0..{self.num_classes - 1}, got {sorted(set(y.tolist()))}")
        if not self.sampling_dropout:
            z = z[:, : self.z_dim]
        images: Tensor = self.G(z, self.one_hot(y, n=z.shape[0]))
        return images * 2 - 1 if self.network == "mnist" else images


def decompose(resolution: int) -> tuple[int, int]:
    """(base, doublings) with resolution = base * 2^doublings, base in 4..7 and at least one doubling."""
    base, doublings = resolution, 0
    while base % 2 == 0 and base > 7:
        base, doublings = base // 2, doublings + 1
    if not (4 <= base <= 7 and doublings):
        raise ValueError(f"resolution must be 4, 5, 6 or 7 times a power of two from 2 on, not {resolution}")
    return base, doublings
