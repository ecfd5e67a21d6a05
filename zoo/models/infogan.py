"""InfoGAN: Interpretable Representation Learning by Information Maximizing Generative Adversarial Nets.

X. Chen, Y. Duan, R. Houthooft, J. Schulman, I. Sutskever, P. Abbeel. NIPS 2016, arXiv 1606.03657.
Authors' code: github.com/openai/InfoGAN.

Here: the game of equation 6, min over G and Q, max over D of V(D, G) - lambda L_I(G, Q), with Q on D's trunk, and the
networks of appendix C.1 (MNIST, as in the authors' code) and C.3 (CelebA at 32x32; also used for SVHN, C.2). Both
players minimise -lambda L_I: D's optimizer moves the trunk and the heads of D and Q, G's moves G.
"""

import math
from typing import Literal

import torch
from torch import Tensor

from zoo.models.base.module import AdversarialModule
from zoo.models.base.sampling import Columns
from zoo.models.networks.infogan import (
    LAYOUTS,
    CodeLayout,
    Codes,
    Discriminator,
    celeba_generator,
    celeba_trunk,
    initialise,
    mnist_generator,
    mnist_trunk,
)
from zoo.nn.losses import bce_discriminator_loss, non_saturating_generator_loss
from zoo.nn.reference import Reference

Network = Literal["mnist", "celeba"]


def categorical_information(logits: Tensor, c: Tensor) -> Tensor:
    """H(c) + E[log Q(c|x)] in nats, summed over codes (eq. 5): 0 for uniform Q, M ln K where Q is certain and right.

    Args:
        logits: of Q, [N, M, K].
        c: one-hot codes under a uniform prior, [N, M, K].
    """
    log_q = (c * logits.log_softmax(2)).sum((1, 2))  # [N]
    return c.shape[1] * math.log(c.shape[2]) + log_q.mean()


def continuous_information(mean: Tensor, log_variance: Tensor, c: Tensor) -> Tensor:
    """H(c) + E[log N(c; mean, sigma^2)] in nats, summed over codes (equation 5), with H(c) = ln 2 for c ~ U(-1, 1).

    With sigma = 1 it is -(c - mean)^2 / 2 + ln 2 - ln(2 pi) / 2: a loose bound, below 0 even where Q is right.

    Args:
        mean: of Q, [N, C].
        log_variance: ln sigma^2 of Q, [N, C].
        c: codes, [N, C].
    """
    squared = (c - mean).square() * (-log_variance).exp()
    log_q = -0.5 * (squared + log_variance + math.log(2 * math.pi)).sum(1)  # [N]
    return c.shape[1] * math.log(2) + log_q.mean()


class InfoGAN(AdversarialModule):
    """GAN whose generator keeps part of its latent readable from its images (equation 6).

    Args:
        network: "mnist" (28x28 grey, images in [0, 1]) or "celeba" (Table 3; SVHN has the same shapes).
        channels: of the images of "celeba"; None is the network's own (1, 3).
        resolution: height and width; None is the network's own (28, 32). "celeba" takes any multiple of 16, as an
            extension: the maps grow, the layers stay.
        width: filters of the layers next to the image of "celeba"; None is Table 3's 64. All others are in proportion.
        noise: values of incompressible noise; None is the network's own (62, 128).
        codes: number M of categorical codes; None is the network's own (1, 10).
        categories: K of each categorical code.
        continuous: number C of continuous codes; None is the network's own (2, 0).
        information_weight: lambda of equation 6, for all codes.
        learn_sigma: whether Q learns sigma of the continuous codes; otherwise sigma = 1, as in the authors' MNIST code.
        maximise_information: False gives the control of figure 1, a plain GAN with an auxiliary Q: Q's own head alone
            learns from the information term, which reaches neither the trunk nor G.
        slope: of the leaky ReLUs: 0.1 in appendix C, 0.01 in the authors' code.
        lr_D: Adam's learning rate of D and Q.
        lr_G: Adam's learning rate of G.
        beta1: Adam's first moment decay.

    Raises:
        ValueError: an image shape that the network does not have, or no code at all.
    """

    paper = "infogan"
    reference = Reference(
        title="InfoGAN: Interpretable Representation Learning by Information Maximizing Generative Adversarial Nets",
        authors=("Chen, Xi", "Duan, Yan", "Houthooft, Rein", "Schulman, John", "Sutskever, Ilya", "Abbeel, Pieter"),
        year=2016,
        venue="Advances in Neural Information Processing Systems",
        arxiv="1606.03657",
        code="https://github.com/openai/InfoGAN",
        networks="MNIST, CelebA/SVHN 32x32",
    )
    D: Discriminator

    def __init__(
        self,
        *,
        network: Network = "mnist",
        channels: int | None = None,
        resolution: int | None = None,
        width: int | None = None,
        noise: int | None = None,
        codes: int | None = None,
        categories: int = 10,
        continuous: int | None = None,
        information_weight: float = 1.0,
        learn_sigma: bool = False,
        maximise_information: bool = True,
        slope: float = 0.1,
        lr_D: float = 2e-4,
        lr_G: float = 1e-3,
        beta1: float = 0.5,
    ) -> None:
        mnist, own = network == "mnist", LAYOUTS[network]
        channels = channels or (1 if mnist else 3)
        resolution = resolution or (28 if mnist else 32)
        layout = CodeLayout(
            own.noise if noise is None else noise,
            own.codes if codes is None else codes,
            categories,
            own.continuous if continuous is None else continuous,
        )
        if layout.parameters == 0:
            raise ValueError("InfoGAN needs a code: set codes or continuous to 1 or more")
        if mnist and (channels, resolution) != (1, 28):
            raise ValueError(f"network mnist takes 28x28 grey images, not {resolution}x{resolution}x{channels}")
        if mnist and width is not None:
            raise ValueError("network mnist has no width: leave it out, or use network=celeba")
        if not mnist and resolution % 16:
            raise ValueError(f"resolution must be a multiple of 16 for network celeba, not {resolution}")
        super().__init__(image_shape=(channels, resolution, resolution), z_dim=layout.z_dim)
        self.save_hyperparameters()
        self.network, self.layout = network, layout
        self.information_weight, self.maximise_information = information_weight, maximise_information
        self.learn_sigma = learn_sigma
        self.lr_D, self.lr_G, self.beta1 = lr_D, lr_G, beta1
        if mnist:
            self.G = mnist_generator(self.z_dim)
            trunk, features = mnist_trunk(slope), 1024
        else:
            width = width or 64  # after the settings are saved: a checkpoint is built again from them
            self.G = celeba_generator(self.z_dim, channels=channels, resolution=resolution, width=width)
            trunk = celeba_trunk(slope, channels=channels, width=width)
            features = 4 * width * (resolution // 8) ** 2
        self.D = Discriminator(trunk, features=features, layout=layout, slope=slope)
        initialise(self)

    def latents(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """[noise | one-hot categorical codes | continuous codes], [n, z_dim]."""
        return self.layout.draw(n, generator=generator)

    @property
    def prior(self) -> tuple[Columns, ...]:
        return self.layout.prior

    # Equations 5 and 6, with the non-saturating loss for G as in the authors' code.

    def mutual_information(self, c: Codes, q: Codes) -> dict[str, Tensor]:
        """L_I in nats (equation 5): `mutual_information`, and the part of the categorical codes alone.

        Args:
            c: the codes that G was given.
            q: what Q says of G's images.
        """
        assert q.log_variance is not None
        log_variance = q.log_variance if self.learn_sigma else torch.zeros_like(q.log_variance)
        categorical = categorical_information(q.categorical, c.categorical)
        continuous = continuous_information(q.continuous, log_variance, c.continuous)
        return {"mutual_information": categorical + continuous, "mutual_information_categorical": categorical}

    def discriminator_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        """V(D, G) negated, minus lambda L_I: trains the trunk, D and Q. Q sees fakes only."""
        z = self.sample_z(len(x))
        fake_logits, q = self.D.with_codes(self.G(z), detach_trunk=not self.maximise_information)
        information = self.mutual_information(self.layout.codes_of(z), q)["mutual_information"]
        real_logits = self.D(x)
        self.note_scores(real_logits, fake_logits)
        return bce_discriminator_loss(real_logits, fake_logits) - self.information_weight * information

    def generator_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        """The non-saturating loss minus lambda L_I, whose gradient reaches G through its images."""
        z = self.sample_z(len(x))
        fake_logits, q = self.D.with_codes(self.G(z))
        information = self.mutual_information(self.layout.codes_of(z), q)
        self.log_extra(**information)
        loss = non_saturating_generator_loss(fake_logits)
        if self.maximise_information:
            loss = loss - self.information_weight * information["mutual_information"]
        return loss

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """No third optimizer: Q belongs to D's."""
        return [
            torch.optim.Adam(net.parameters(), lr=lr, betas=(self.beta1, 0.999))
            for net, lr in ((self.D, self.lr_D), (self.G, self.lr_G))
        ]

    # The scale each network is trained in, and back.

    def preprocess(self, x: Tensor) -> Tensor:
        """uint8 [N, C, H, W] to [0, 1] for "mnist", to [-1, 1] for "celeba"."""
        return x.float().div_(255.0) if self.network == "mnist" else super().preprocess(x)

    def generate(self, z: Tensor, y: Tensor | None) -> Tensor:
        """G(z) as images [N, C, H, W] in [-1, 1]."""
        images: Tensor = self.G(z)
        return images * 2 - 1 if self.network == "mnist" else images
