"""What WGAN-GP is compared with, weight clipping, GAN and LSGAN; and AC-GAN, which table 3 adds to it.

Each takes the place of terms in the losses of `zoo.models.wgan_gp.WGANGP`, or adds one. They are objects that its
arguments `method` and `num_classes` pick, not subclasses of it: one class stands for the paper in configurations,
checkpoints, cards and on the command line.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.models.base.module import AdversarialModule
from zoo.models.networks.wgan_gp import Method
from zoo.nn.losses import (
    bce_discriminator_loss,
    non_saturating_generator_loss,
    wasserstein_critic_loss,
    wasserstein_generator_loss,
)

Optimizer = Literal["adam", "rmsprop"]


class Constants(NamedTuple):
    """What is recommended with a method."""

    optimizer: Optimizer
    lr: float
    beta1: float
    beta2: float
    n_critic: int


#: Appendix E and the scripts; lr and beta1 of "wgan-gp" are figure 3's for RMSProp: with Adam each script has its own.
CONSTANTS: dict[Method, Constants] = {
    "wgan-gp": Constants("adam", 5e-5, 0.5, 0.9, n_critic=5),
    "wgan": Constants("rmsprop", 5e-5, 0.5, 0.9, n_critic=5),
    "gan": Constants("adam", 2e-4, 0.5, 0.999, n_critic=1),
    "lsgan": Constants("rmsprop", 1e-4, 0.5, 0.999, n_critic=1),
}


class Baseline:
    """A method without the penalty; all that it is given are scores [N] of D, on reals and on samples."""

    def discriminator_loss(self, module: AdversarialModule, real: Tensor, fake: Tensor) -> Tensor:
        """What D minimises; `module` is there to log with."""
        raise NotImplementedError

    def generator_loss(self, fake: Tensor) -> Tensor:
        """What G minimises."""
        raise NotImplementedError

    def after_discriminator_update(self, D: nn.Module) -> None:
        """Runs under no_grad."""


class WeightClipping(Baseline):
    """WGAN: w <- clip(w, -c, c) for every parameter of the critic, which is what the penalty replaces.

    Args:
        clip: c.
    """

    def __init__(self, clip: float) -> None:
        self.clip = clip

    def discriminator_loss(self, module: AdversarialModule, real: Tensor, fake: Tensor) -> Tensor:
        loss = wasserstein_critic_loss(real, fake)
        module.log_extra(wasserstein_estimate=-loss)
        return loss

    def generator_loss(self, fake: Tensor) -> Tensor:
        return wasserstein_generator_loss(fake)

    def after_discriminator_update(self, D: nn.Module) -> None:
        for parameter in D.parameters():
            if parameter.requires_grad:  # not so if frozen
                parameter.clamp_(-self.clip, self.clip)


class CrossEntropy(Baseline):
    """GAN: the scripts' "dcgan" mode, which averages the two terms of D's loss."""

    def discriminator_loss(self, module: AdversarialModule, real: Tensor, fake: Tensor) -> Tensor:
        return bce_discriminator_loss(real, fake) / 2

    def generator_loss(self, fake: Tensor) -> Tensor:
        return non_saturating_generator_loss(fake)


class LeastSquares(Baseline):
    """LSGAN with 0-1 coding: D minimises (E (D(x) - 1)^2 + E D(G(z))^2) / 2, G minimises E (D(G(z)) - 1)^2."""

    def discriminator_loss(self, module: AdversarialModule, real: Tensor, fake: Tensor) -> Tensor:
        return ((real - 1).square().mean() + fake.square().mean()) / 2

    def generator_loss(self, fake: Tensor) -> Tensor:
        return (fake - 1).square().mean()


def baseline_of(method: Method, *, clip: float) -> Baseline | None:
    """The method's, or None for "wgan-gp"; `clip` is that of "wgan"."""
    if method == "wgan":
        return WeightClipping(clip)
    return {"gan": CrossEntropy, "lsgan": LeastSquares}[method]() if method != "wgan-gp" else None


class Unlabelled:
    """Images without labels, or whose labels nobody looks at."""

    def of_reals(self, y: Tensor | None) -> Tensor | None:
        """The labels [N] that samples and reals are given."""
        return None

    def draw(self, n: int, *, generator: torch.Generator, device: torch.device) -> Tensor | None:
        """Labels [n] of samples in G's turn."""
        return None

    def discriminator_loss(self, loss: Tensor, out: Tensor, y: Tensor | None) -> Tensor:
        """D's loss with its term on reals, of D's outputs on them, [N, 1 + classes], the score first."""
        return loss

    def generator_loss(self, loss: Tensor, out: Tensor, y: Tensor | None) -> Tensor:
        """G's loss with its term on samples, likewise."""
        return loss


class AuxiliaryClassifier(Unlabelled):
    """AC-GAN: D also classifies, reals in its own turn and samples in G's.

    Args:
        num_classes: labels are 0 .. num_classes - 1.
        weight_D: of the cross-entropy in D's loss.
        weight_G: of the cross-entropy in G's loss.
    """

    def __init__(self, num_classes: int, *, weight_D: float, weight_G: float) -> None:
        self.num_classes, self.weight_D, self.weight_G = num_classes, weight_D, weight_G

    def of_reals(self, y: Tensor | None) -> Tensor | None:
        """The labels of the data; ValueError where there are none."""
        if y is None:
            raise ValueError("num_classes is set, but the data has no labels: leave model.num_classes out")
        return y

    def draw(self, n: int, *, generator: torch.Generator, device: torch.device) -> Tensor | None:
        """Uniform labels, drawn on the CPU."""
        return torch.randint(self.num_classes, (n,), generator=generator).to(device)

    def discriminator_loss(self, loss: Tensor, out: Tensor, y: Tensor | None) -> Tensor:
        assert y is not None
        return loss + self.weight_D * F.cross_entropy(out[:, 1:], y)

    def generator_loss(self, loss: Tensor, out: Tensor, y: Tensor | None) -> Tensor:
        assert y is not None
        return loss + self.weight_G * F.cross_entropy(out[:, 1:], y)


def classes_of(num_classes: int | None, *, weight_D: float, weight_G: float) -> Unlabelled:
    """AC-GAN's terms, or none where `num_classes` is None."""
    if num_classes is None:
        return Unlabelled()
    return AuxiliaryClassifier(num_classes, weight_D=weight_D, weight_G=weight_G)
