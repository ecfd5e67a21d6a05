"""The objectives that the benchmark compares: each is a paper's loss code, on networks that all share.

A new one is a class with the two losses, or a line of settings of one that is there, in `OBJECTIVES`; and its settings
in those of reproductions/benchmark.py, without which `zoo benchmark` does not know it. What a paper has beyond its
objective (its optimizer, its prior, its networks) is not here: the benchmark holds all of that equal, or names it in a
member's label.
"""

from collections.abc import Callable
from typing import ClassVar, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.errors import UnsupportedSettingError
from zoo.models.base.sampling import Columns
from zoo.models.cgan import ConvolutionalDiscriminator, ConvolutionalGenerator
from zoo.models.infogan import categorical_information, continuous_information
from zoo.models.lsgan import (
    PEARSON,
    ZERO_ONE,
    Coding,
    least_squares_discriminator_loss,
    least_squares_generator_loss,
)
from zoo.models.networks.dcgan import Pair, community_networks
from zoo.models.networks.infogan import CodeLayout, Discriminator
from zoo.nn.losses import (
    bce_discriminator_loss,
    gradient_penalty,
    hinge_discriminator_loss,
    non_saturating_generator_loss,
    r1_penalty,
    relativistic_loss,
    saturating_generator_loss,
    wasserstein_critic_loss,
    wasserstein_generator_loss,
)


class Networks(Protocol):
    """What a loss may ask of a module: its networks, latents [n, z_dim] of the training stream, and where to log."""

    G: nn.Module
    D: nn.Module

    def sample_z(self, n: int) -> Tensor: ...
    def note_scores(self, real: Tensor, fake: Tensor) -> None: ...
    def log_extra(self, **values: Tensor | float) -> None: ...


class Objective:
    """What the players minimise. Losses get scores, [N, 1], of D on reals and on samples, each passed separately.

    Args:
        weight: of the penalty, in the paper's letter: lambda of WGAN-GP, gamma of R1 and R2 (halved there), lambda of
            InfoGAN's information; None takes `usual_weight`.
        clip: bound on the critic's weights, of WGAN.

    Attributes:
        logits: whether D's outputs are logits.
        forbids_batchnorm: whether its penalty is of single images, which BatchNorm in D would mix.
        num_classes: number of labels that the networks see, or None.
        usual_weight: of the penalty, where none is asked for; 0 of objectives that have none.
    """

    logits: ClassVar[bool] = True
    forbids_batchnorm: ClassVar[bool] = False
    num_classes: ClassVar[int | None] = None
    usual_weight: ClassVar[float] = 0.0

    def __init__(self, *, weight: float | None = None, clip: float = 0.01) -> None:
        self.weight, self.clip = self.usual_weight if weight is None else weight, clip

    def of_discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """What D minimises, without a penalty."""
        raise NotImplementedError

    def of_generator(self, fake: Tensor, real: Callable[[], Tensor]) -> Tensor:
        """What G minimises; `real` gives D's scores of the reals, for those that compare."""
        raise NotImplementedError

    def penalty(self, D: Callable[[Tensor], Tensor], x: Tensor, fake: Tensor) -> Tensor | None:
        """What is added for D, with its weight; `fake` are samples [N, C, H, W] of the same number as the reals x."""
        return None

    def after_discriminator_update(self, D: nn.Module) -> None:
        """Runs under no_grad."""

    # What the variants with more inputs change.

    def networks(self, *, z_dim: int, width: int, channels: int, resolution: int, batchnorm_D: bool) -> Pair:
        """DCGAN's in its community variant; a D without BatchNorm has biases instead."""
        sizes = {"z_dim": z_dim, "width": width, "channels": channels, "resolution": resolution}
        return community_networks(**sizes, batchnorm_D=batchnorm_D, bias_D=not batchnorm_D)

    def latents(self, n: int, z_dim: int, *, generator: torch.Generator | None) -> Tensor:
        """N(0, I), [n, z_dim]."""
        return torch.randn(n, z_dim, generator=generator)

    def prior(self, z_dim: int) -> tuple[Columns, ...]:
        """What `latents` draws, from the first column to the last."""
        return (Columns(z_dim),)

    def condition(self, y: Tensor | None) -> tuple[Tensor, ...]:
        """What both networks take besides."""
        return ()

    def discriminator_loss(self, module: Networks, x: Tensor, y: Tensor | None) -> Tensor:
        """On reals x [N, C, H, W] with labels y [N], and fresh samples."""
        label = self.condition(y)
        fake = module.G(module.sample_z(len(x)), *label)
        real_scores, fake_scores = module.D(x, *label), module.D(fake, *label)
        module.note_scores(real_scores, fake_scores)
        loss = self.of_discriminator(real_scores, fake_scores)
        penalty = self.penalty(module.D, x, fake)
        if penalty is None:
            return loss
        module.log_extra(gradient_penalty=penalty)
        return loss + self.weight * penalty

    def generator_loss(self, module: Networks, x: Tensor, y: Tensor | None) -> Tensor:
        """On fresh samples, as many as the reals."""
        label = self.condition(y)
        fake = module.D(module.G(module.sample_z(len(x)), *label), *label)
        return self.of_generator(fake, lambda: module.D(x, *label))


class NonSaturating(Objective):
    """The first GAN's with its loss for practice (Goodfellow et al. 2014, section 3), as DCGAN has it."""

    def of_discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return bce_discriminator_loss(real, fake)

    def of_generator(self, fake: Tensor, real: Callable[[], Tensor]) -> Tensor:
        return non_saturating_generator_loss(fake)


class Saturating(NonSaturating):
    """The first GAN's minimax game (Goodfellow et al. 2014, Algorithm 1)."""

    def of_generator(self, fake: Tensor, real: Callable[[], Tensor]) -> Tensor:
        return saturating_generator_loss(fake)


class LeastSquares(Objective):
    """LSGAN's with 0-1 coding (Mao et al. 2017, eq. 9)."""

    logits = False
    coding: ClassVar[Coding] = ZERO_ONE

    def of_discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return least_squares_discriminator_loss(real, fake, a=self.coding.a, b=self.coding.b)

    def of_generator(self, fake: Tensor, real: Callable[[], Tensor]) -> Tensor:
        return least_squares_generator_loss(fake, c=self.coding.c)


class Pearson(LeastSquares):
    """LSGAN's with the coding of the Pearson chi-square (Mao et al. 2017, eq. 8)."""

    coding = PEARSON


class Wasserstein(Objective):
    """WGAN's, weights clipped after each update of the critic (Arjovsky et al. 2017, Algorithm 1)."""

    logits = False

    def of_discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return wasserstein_critic_loss(real, fake)

    def of_generator(self, fake: Tensor, real: Callable[[], Tensor]) -> Tensor:
        return wasserstein_generator_loss(fake)

    def after_discriminator_update(self, D: nn.Module) -> None:
        for parameter in D.parameters():
            if parameter.requires_grad:  # not so if frozen
                parameter.clamp_(-self.clip, self.clip)


class WassersteinPenalty(Wasserstein):
    """WGAN-GP's (Gulrajani et al. 2017, Algorithm 1)."""

    forbids_batchnorm = True
    usual_weight = 10.0

    def penalty(self, D: Callable[[Tensor], Tensor], x: Tensor, fake: Tensor) -> Tensor:
        return gradient_penalty(D, x, fake)

    def after_discriminator_update(self, D: nn.Module) -> None:
        """Nothing: the penalty takes the place of clipping."""


class R1(NonSaturating):
    """Non-saturating with gamma / 2 times R1 (Mescheder et al. 2018, eq. 9)."""

    forbids_batchnorm = True
    usual_weight = 10.0

    def penalty(self, D: Callable[[Tensor], Tensor], x: Tensor, fake: Tensor) -> Tensor:
        return r1_penalty(D, x) / 2


class Hinge(Objective):
    """The hinge loss of Lim & Ye 2017 and of SN-GAN (Miyato et al. 2018, eqs. 16 and 17), without spectral norm."""

    logits = False

    def of_discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return hinge_discriminator_loss(real, fake)

    def of_generator(self, fake: Tensor, real: Callable[[], Tensor]) -> Tensor:
        return wasserstein_generator_loss(fake)


class Relativistic(Objective):
    """R3GAN's: relativistic pairs with gamma / 2 times (R1 on reals + R2 on samples) (Huang et al. 2024, section 2).

    Checked against the authors' code (https://github.com/brownvc/R3GAN): D minimises softplus(D(G(z)) - D(x)) and
    G softplus(D(x) - D(G(z))), each on pairs; both penalties are squared norms of the gradient over all pixels.
    """

    logits = False  # only differences mean something
    forbids_batchnorm = True
    usual_weight = 1.0  # no value of the authors' (reproductions/benchmark.py)

    def of_discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return relativistic_loss(winner=real, loser=fake)

    def of_generator(self, fake: Tensor, real: Callable[[], Tensor]) -> Tensor:
        return relativistic_loss(winner=fake, loser=real())

    def penalty(self, D: Callable[[Tensor], Tensor], x: Tensor, fake: Tensor) -> Tensor:
        return (r1_penalty(D, x) + r1_penalty(D, fake)) / 2


class Conditional(NonSaturating):
    """cGAN's (Mirza & Osindero 2014, eq. 2): both networks see the label, D's loss is halved as in the first code."""

    num_classes = 10

    def networks(self, *, z_dim: int, width: int, channels: int, resolution: int, batchnorm_D: bool) -> Pair:
        widths = [width * 2**i for i in range(resolution.bit_length() - 3)]
        sizes = {"num_classes": self.num_classes, "channels": channels, "base": 4}
        G = ConvolutionalGenerator(z_dim=z_dim, widths=widths, **sizes)
        return Pair(G, ConvolutionalDiscriminator(widths=widths, batchnorm=batchnorm_D, bias=not batchnorm_D, **sizes))

    def condition(self, y: Tensor | None) -> tuple[Tensor, ...]:
        """Labels y [N] as one-hot vectors [N, 10]."""
        assert y is not None  # data without labels are refused before
        return (F.one_hot(y, self.num_classes).float(),)

    def of_discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return 0.5 * bce_discriminator_loss(real, fake)


class Information(NonSaturating):
    """InfoGAN's (Chen et al. 2016, eq. 6): a tenfold code and two continuous ones are part of z, and Q reads them."""

    usual_weight = 1.0

    def layout(self, z_dim: int) -> CodeLayout:
        """The codes of the paper's MNIST experiment; the rest of z is noise.

        Raises:
            UnsupportedSettingError: z has no room for the codes.
        """
        if z_dim < 12:
            raise UnsupportedSettingError(
                f"z_dim={z_dim}: the codes of infogan take 12 of it, so it must be 12 or more"
            )
        return CodeLayout(noise=z_dim - 12, codes=1, categories=10, continuous=2)

    def networks(self, *, z_dim: int, width: int, channels: int, resolution: int, batchnorm_D: bool) -> Pair:
        """D's last convolution becomes a linear layer on the same features, which Q's head shares."""
        G, D = super().networks(
            z_dim=z_dim, width=width, channels=channels, resolution=resolution, batchnorm_D=batchnorm_D
        )
        *trunk, last, flatten = D.children()
        assert isinstance(last, nn.Conv2d)
        features = last.weight[0].numel()
        head = Discriminator(nn.Sequential(*trunk, flatten), features=features, layout=self.layout(z_dim), slope=0.1)
        return Pair(G, head)

    def latents(self, n: int, z_dim: int, *, generator: torch.Generator | None) -> Tensor:
        """[noise U(-1, 1) | one-hot code | continuous codes U(-1, 1)], [n, z_dim], as the paper draws them."""
        return self.layout(z_dim).draw(n, generator=generator)

    def prior(self, z_dim: int) -> tuple[Columns, ...]:
        return self.layout(z_dim).prior

    def information(self, z: Tensor, D: Discriminator, images: Tensor) -> tuple[Tensor, Tensor]:
        """D's scores of samples, and L_I in nats (eq. 5) with sigma = 1."""
        scores, q = D.with_codes(images)
        c = self.layout(z.shape[1]).codes_of(z)
        unit = torch.zeros_like(q.continuous)
        continuous = continuous_information(q.continuous, unit, c.continuous)
        return scores, categorical_information(q.categorical, c.categorical) + continuous

    def discriminator_loss(self, module: Networks, x: Tensor, y: Tensor | None) -> Tensor:
        assert isinstance(module.D, Discriminator)
        z = module.sample_z(len(x))
        fake, information = self.information(z, module.D, module.G(z))
        real = module.D(x)
        module.note_scores(real, fake)
        return self.of_discriminator(real, fake) - self.weight * information

    def generator_loss(self, module: Networks, x: Tensor, y: Tensor | None) -> Tensor:
        assert isinstance(module.D, Discriminator)
        z = module.sample_z(len(x))
        fake, information = self.information(z, module.D, module.G(z))
        module.log_extra(mutual_information=information)
        return non_saturating_generator_loss(fake) - self.weight * information


OBJECTIVES: dict[str, type[Objective]] = {
    "saturating": Saturating,
    "non-saturating": NonSaturating,
    "lsgan": LeastSquares,
    "lsgan-pearson": Pearson,
    "wgan": Wasserstein,
    "wgan-gp": WassersteinPenalty,
    "r1": R1,
    "hinge": Hinge,
    "relativistic": Relativistic,
    "cgan": Conditional,
    "infogan": Information,
}
