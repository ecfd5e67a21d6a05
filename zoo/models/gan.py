"""Generative Adversarial Nets.

I. Goodfellow, J. Pouget-Abadie, M. Mirza, B. Xu, D. Warde-Farley, S. Ozair, A. Courville, Y. Bengio.
NIPS 2014, arXiv 1406.2661. Authors' code: github.com/goodfeli/adversarial.

Here: Algorithm 1 with k = 1, the networks and constants of the authors' configuration files for MNIST and CIFAR-10
(mnist.yaml, cifar10_fully_connected.yaml, cifar10_convolutional.yaml), and the Parzen-window log-likelihood of Table 1.
As extensions, narrower networks, and MNIST's for images in colour.
"""

import math
from types import MappingProxyType
from typing import Literal

import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from torch import Tensor, nn

from zoo.data.base import ImageDataModule
from zoo.errors import UnsupportedSettingError
from zoo.models.base.module import AdversarialModule, Batch
from zoo.models.base.sampling import Columns
from zoo.models.networks.gan import RGB32, SHAPES, Network, networks_of
from zoo.nn.losses import bce_discriminator_loss, non_saturating_generator_loss
from zoo.nn.reference import Reference
from zoo.nn.schedules import SGDSchedule

NORM = 55.0  # L2 norm of a contrast-normalised image
LEARNING_RATES = {"cifar10_fully_connected": 0.025, "cifar10_convolutional": 0.004}  # at the start; of the others 0.1
ADAM_LEARNING_RATE = 2e-4


class GAN(AdversarialModule):
    """The first GAN: maxout discriminator with dropout, SGD with growing momentum, both players updated at once.

    Args:
        network: which of the authors' three configurations, or (an extension) MNIST's with as many outputs as images
            of 32x32 or 64x64 in colour have values. MNIST's work on [0, 1] images with z ~ U(-sqrt 3, sqrt 3),
            CIFAR-10's on globally contrast-normalised images (mean 0, L2 norm 55) with z ~ N(0, 1).
        update: "simultaneous" computes both gradients on the same minibatch, z and dropout mask before either player
            moves (the authors' code); "alternating" is Algorithm 1 of the paper with fresh latents for G.
        optimizer: "sgd" is the authors', with momentum and the schedule below. "adam" (an extension) has a constant
            rate: Algorithm 1 leaves the gradient-based rule open, and SGD moves D's first layer with the square of the
            image's norm, which is far larger for photographs than for digits.
        betas: coefficients of Adam's moving averages.
        lr: initial learning rate of both players; None takes the configuration's (0.1; CIFAR-10's 0.025 and 0.004),
            or 2e-4 for Adam.
        lr_decay: the learning rate is divided by this at every update.
        lr_min: floor of the learning rate.
        momentum_start: momentum up to and including epoch `momentum_first_epoch`.
        momentum_end: momentum from epoch `momentum_epochs` on; linear in epochs between.
        momentum_epochs: epoch at which the momentum saturates, counted from 0; the authors' is 249.
        images_per_epoch: what the momentum schedule calls an epoch (50,000 MNIST or 40,000 CIFAR-10 images).
        momentum_first_epoch: epoch after which the momentum grows, counted from 0; the authors' is 0.
        width: units of G's two hidden layers, at least 16 (a multiple of 100 for the convolutional network); D's scale
            with them. None takes the authors' (1,200 and, for CIFAR-10's configurations, 8,000).
    """

    paper = "gan"
    reference = Reference(
        title="Generative Adversarial Nets",
        authors=(
            "Goodfellow, Ian",
            "Pouget-Abadie, Jean",
            "Mirza, Mehdi",
            "Xu, Bing",
            "Warde-Farley, David",
            "Ozair, Sherjil",
            "Courville, Aaron",
            "Bengio, Yoshua",
        ),
        year=2014,
        venue="Advances in Neural Information Processing Systems",
        arxiv="1406.2661",
        code="https://github.com/goodfeli/adversarial",
        networks="MNIST, CIFAR-10 fully connected and convolutional, as in the authors' configurations",
    )
    remedies = MappingProxyType(
        {
            "collapse": "keep D in step with G, which must not be trained too much without updating D (section 6)",
        }
    )

    def __init__(
        self,
        *,
        network: Network = "mnist",
        update: Literal["simultaneous", "alternating"] = "simultaneous",
        optimizer: Literal["sgd", "adam"] = "sgd",
        betas: tuple[float, float] = (0.5, 0.999),
        lr: float | None = None,
        lr_decay: float = 1.000004,
        lr_min: float = 1e-6,
        momentum_start: float = 0.5,
        momentum_end: float = 0.7,
        momentum_epochs: int = 250,
        images_per_epoch: int | None = None,
        momentum_first_epoch: int = 1,
        width: int | None = None,
    ) -> None:
        if not all(0 <= beta < 1 for beta in betas):
            raise UnsupportedSettingError(f"betas={betas} must be 0 or more and below 1")
        super().__init__(image_shape=SHAPES.get(network, RGB32), z_dim=100)
        self.save_hyperparameters()
        self.network = network
        self.normalised = network.startswith("cifar10")
        epoch = 40_000 if self.normalised else 50_000  # images of the authors' training sets
        self.update = update
        self.optimizer, self.betas = optimizer, betas
        usual = ADAM_LEARNING_RATE if optimizer == "adam" else LEARNING_RATES.get(network, 0.1)
        self.lr = usual if lr is None else lr
        self.schedule = SGDSchedule(
            lr=self.lr,
            lr_decay=lr_decay,
            lr_min=lr_min,
            momentum_start=momentum_start,
            momentum_end=momentum_end,
            momentum_epochs=momentum_epochs,
            images_per_epoch=images_per_epoch if images_per_epoch is not None else epoch,
            momentum_first_epoch=momentum_first_epoch,
        )
        # What undoes the contrast normalisation for display, in [-1, 1] units: the mean per-image brightness and
        # contrast of 10,000 training images, measured when training starts.
        self.brightness: Tensor
        self.contrast: Tensor
        self.register_buffer("brightness", torch.tensor(0.0))
        self.register_buffer("contrast", torch.tensor(0.5))
        self.G, self.D = networks_of(network, width=width or (8000 if self.normalised else 1200), z_dim=self.z_dim)

    def latents(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """MNIST's: U(-sqrt 3, sqrt 3), which has unit variance; CIFAR-10's: N(0, 1). [n, 100]."""
        if self.normalised:
            return super().latents(n, generator=generator)
        return (torch.rand(n, self.z_dim, generator=generator) * 2 - 1) * 3**0.5

    @property
    def prior(self) -> tuple[Columns, ...]:
        return super().prior if self.normalised else (Columns(self.z_dim, "uniform", -(3**0.5), 3**0.5),)

    # Algorithm 1, with the non-saturating loss of section 3 for G.

    def discriminator_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        """Half the binary cross-entropy: the authors' code averages the real and the generated term."""
        real_logits, fake_logits = self.D(x), self.D(self.G(self.sample_z(len(x))))
        self.note_scores(real_logits, fake_logits)
        return 0.5 * bce_discriminator_loss(real_logits, fake_logits)

    def generator_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        return non_saturating_generator_loss(self.D(self.G(self.sample_z(len(x)))))

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        if self.update == "alternating":
            return super().training_step(batch, batch_idx)
        x, _ = batch
        optimizer_D, optimizer_G = self.both_optimizers()
        self.before_update()
        fake = self.G(self.sample_z(len(x)))
        seen = fake.detach().requires_grad_()  # D's view of the fakes: the two players' graphs meet here
        fake_logits = self.D(seen)
        loss_G = non_saturating_generator_loss(fake_logits)
        (to_fake,) = torch.autograd.grad(loss_G, seen, retain_graph=True)  # through the same dropout mask
        real_logits = self.D(x)
        self.note_scores(real_logits, fake_logits)
        loss_D = 0.5 * bce_discriminator_loss(real_logits, fake_logits)
        self.descend(optimizer_D, loss_D, inputs=[p for p in self.D.parameters() if p.requires_grad])
        self.descend(optimizer_G, fake, gradient=to_fake)
        self.count_discriminator_step(x)
        self.count_generator_step()
        self.report({"loss_discriminator": loss_D.detach(), "loss_generator": loss_G.detach()})

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        fused = self.device.type in ("cpu", "cuda")  # one pass over the weights instead of several
        if self.optimizer == "adam":
            return [
                torch.optim.Adam(net.parameters(), lr=self.lr, betas=self.betas, fused=fused)
                for net in (self.D, self.G)
            ]
        return [
            torch.optim.SGD(net.parameters(), lr=self.schedule.lr, momentum=self.schedule.momentum_start, fused=fused)
            for net in (self.D, self.G)
        ]

    def before_update(self) -> None:
        """Learning rate exponential in updates, momentum linear in epochs; Adam's rate is constant."""
        if self.optimizer == "sgd":
            self.schedule.set(self.both_optimizers(), updates=self.discriminator_steps, images_seen=self.images_seen)

    # The scale each configuration is trained in, and back.

    def preprocess(self, x: Tensor) -> Tensor:
        """uint8 to vectors in [0, 1] for MNIST's networks, to contrast-normalised images for CIFAR-10's."""
        x = contrast_normalise(x.float(), scale=NORM) if self.normalised else x.float().div_(255.0)
        return x.flatten(1) if self.flat else x

    def generate(self, z: Tensor, y: Tensor | None) -> Tensor:
        """G(z) as images [N, C, H, W] in [-1, 1]; contrast normalisation is undone with the training set's averages."""
        images: Tensor = self.G(z).unflatten(1, self.image_shape) if self.flat else self.G(z)
        if self.normalised:
            return (images * self.contrast + self.brightness).clamp(-1, 1)
        return images * 2 - 1

    @property
    def flat(self) -> bool:
        """Whether the networks see images as vectors."""
        return self.network != "cifar10_convolutional"

    def before_first_image(self) -> None:
        data = getattr(self.trainer, "datamodule", None)
        if isinstance(data, ImageDataModule):
            self.start_from(data.split("train").images)
        elif not self.started():
            rank_zero_warn(
                "GAN takes its generator's first bias, or the contrast that samples are shown with, from the training "
                "images, and the loader is none of zoo.data's: call start_from(images) of the module before training"
            )

    @torch.no_grad()
    def start_from(self, images: Tensor) -> None:
        """Sets what the authors take from the training images (uint8 [N, C, H, W]) before the first update.

        MNIST's: the output bias of G is the logit of the mean image, so that training starts from the right marginals;
        one that was learnt already (fine-tuning) stays.
        CIFAR-10's: the brightness and contrast with which `generate` undoes the contrast normalisation.
        """
        if self.normalised:
            x = images[:10_000].float().div(127.5).sub(1).flatten(1)
            self.brightness.copy_(x.mean())
            self.contrast.copy_((x - x.mean(1, keepdim=True)).norm(dim=1).mean() / NORM)
        else:
            decoded = images[:]  # also those that are decoded on the fly
            mean = decoded.float().mean(0).div(255).clamp(1e-7, 1 - 1e-7).flatten()
            output = self.output
            if output is not None and not output.bias.any():
                output.bias.copy_(torch.logit(mean))

    def started(self) -> bool:
        """Whether `start_from` has nothing to set, or has set it."""
        if self.normalised:
            return bool(self.brightness.any())
        return self.output is None or bool(self.output.bias.any())

    @property
    def output(self) -> nn.Linear | None:
        """G's last layer, of MNIST's networks; None of another G that somebody put in their place."""
        last = self.G[-2] if isinstance(self.G, nn.Sequential) and len(self.G) > 1 else None
        return last if isinstance(last, nn.Linear) and last.out_features == math.prod(self.image_shape) else None


def contrast_normalise(x: Tensor, *, scale: float = NORM) -> Tensor:
    """Global contrast normalisation: each image [C, H, W] gets mean 0 and L2 norm `scale` (pylearn2's, s = 55)."""
    x = x - x.mean((1, 2, 3), keepdim=True)
    norm = x.flatten(1).norm(dim=1).clamp_min(1e-8)
    normalised: Tensor = x * (scale / norm)[:, None, None, None]
    return normalised
