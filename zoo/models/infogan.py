"""InfoGAN: Interpretable Representation Learning by Information Maximizing Generative Adversarial Nets.

X. Chen, Y. Duan, R. Houthooft, J. Schulman, I. Sutskever, P. Abbeel. NIPS 2016, arXiv 1606.03657.
Authors' code: github.com/openai/InfoGAN.

Here: the game of equation 6, min over G and Q, max over D of V(D, G) - lambda L_I(G, Q), with Q on D's trunk, and the
networks of appendix C.1 (MNIST, as in the authors' code) and C.3 (CelebA at 32x32; also used for SVHN, C.2). Both
players minimise -lambda L_I: D's optimizer moves the trunk and the heads of D and Q, G's moves G.
"""

import math
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from zoo.models.base.module import AdversarialModule, PaperMeasures
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
from zoo.nn.modes import in_eval_mode
from zoo.nn.reference import Reference
from zoo.nn.seeds import mix_seed

if TYPE_CHECKING:
    from zoo.data.base import ImageDataModule

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
        if not mnist and resolution % 16:
            raise ValueError(f"resolution must be a multiple of 16 for network celeba, not {resolution}")
        super().__init__(image_shape=(channels, resolution, resolution), z_dim=layout.z_dim)
        self.save_hyperparameters()
        self.network, self.layout = network, layout
        self.information_weight, self.maximise_information = information_weight, maximise_information
        self.learn_sigma = learn_sigma
        self.lr_D, self.lr_G, self.beta1 = lr_D, lr_G, beta1
        self.information: dict[str, Tensor] = {}
        if mnist:
            self.G = mnist_generator(self.z_dim)
            trunk, features = mnist_trunk(slope), 1024
        else:
            self.G = celeba_generator(self.z_dim, channels=channels, resolution=resolution)
            trunk, features = celeba_trunk(slope, channels=channels), 256 * (resolution // 8) ** 2
        self.D = Discriminator(trunk, features=features, layout=layout, slope=slope)
        initialise(self)

    def latents(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """[noise | one-hot categorical codes | continuous codes], [n, z_dim]."""
        return self.layout.draw(n, generator=generator)

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
        self.information = {name: value.detach() for name, value in information.items()}
        loss = non_saturating_generator_loss(fake_logits)
        if self.maximise_information:
            loss = loss - self.information_weight * information["mutual_information"]
        return loss

    def report(self, losses: dict[str, Tensor]) -> None:
        """The losses, and L_I as it was in G's step."""
        super().report({**losses, **self.information})

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

    # Section 7.

    def paper_measures(self, data: "ImageDataModule", *, seed: int) -> PaperMeasures:
        """L_I of 10,000 fakes in nats (section 7.1), and the error of the first categorical code (section 7.2).

        `code_error` matches categories and classes one to one, as well as can be; `code_error_majority` gives each
        category its most frequent class. On the labelled test images (training images where there is no test split):
        the labels serve the matching alone. BatchNorm statistics are re-estimated on fakes for L_I and on training
        images for the errors, which D and Q saw in batches of their own.
        """
        values = self.estimate_information(seed=seed)
        protocol = {"measure": "L_I of fakes, nats", "n_fake": 10_000, "seed": seed, "batchnorm": "reestimated(2000)"}
        if data.num_classes and self.layout.codes:
            split = data.split("test" if "test" in data.splits else "train")
            assert split.labels is not None
            predicted = self.predict_codes(split.images, reference=data.split("train").images)
            one_to_one, majority = code_errors(
                predicted, split.labels, categories=self.layout.categories, classes=data.num_classes
            )
            values |= {"code_error": one_to_one, "code_error_majority": majority}
            protocol["measure"] = "L_I of fakes, nats; errors of argmax Q(c1|x) on real images"
            protocol |= {"n_real": len(split.images), "dataset_fingerprint": split.fingerprint}
        return PaperMeasures(values, protocol)

    @torch.no_grad()
    def estimate_information(self, *, seed: int, n: int = 10_000, block: int = 500) -> dict[str, float]:
        """L_I in nats over n fakes, and its categorical part; latents are a function of the seed and n."""
        from zoo.metrics.batchnorm import batchnorm_statistics

        def measure(k: int) -> dict[str, Tensor]:
            generator = torch.Generator().manual_seed(mix_seed(seed, "information", k))
            z = self.latents(block, generator=generator).to(self.device)
            return self.mutual_information(self.layout.codes_of(z), self.D.with_codes(self.G(z))[1])

        blocks = n // block
        with in_eval_mode(self), batchnorm_statistics(self, "reestimated", lambda k: measure(blocks + k), draws=4):
            parts = [measure(k) for k in range(blocks)]
        return {name: float(torch.stack([part[name] for part in parts]).mean()) for name in parts[0]}

    @torch.no_grad()
    def predict_codes(self, images: Tensor, *, reference: Tensor, block: int = 500) -> Tensor:
        """argmax Q(c1|x) [N] of uint8 images [N, C, H, W]; BatchNorm statistics come from `reference`'s first 2,000."""
        from zoo.metrics.batchnorm import batchnorm_statistics

        def logits(part: Tensor) -> Tensor:
            return self.D.with_codes(self.preprocess(part.to(self.device)))[1].categorical  # [n, M, K]

        draws: tuple[Tensor, ...] = reference[:2_000].split(block)  # type: ignore[no-untyped-call]
        with (
            in_eval_mode(self),
            batchnorm_statistics(self.D, "reestimated", lambda k: logits(draws[k]), draws=len(draws)),
        ):
            parts = images.split(block)  # type: ignore[no-untyped-call]
            return torch.cat([logits(part)[:, 0].argmax(1) for part in parts]).cpu()

    @torch.no_grad()
    def traversals(self, *, rows: int = 5, columns: int = 10, seed: int = 0) -> dict[str, Tensor]:
        """Figure 2: each code varies from left to right, all else is fixed in a row.

        Returns:
            `c1`, `c2`, ... as images [rows, columns, C, H, W] in [-1, 1]: the categorical codes over their K categories
            (K columns), then the continuous ones over [-2, 2].
        """
        start = self.latents(rows, generator=torch.Generator().manual_seed(seed))  # [rows, z_dim]
        layout, grids = self.layout, []
        for m in range(layout.codes):
            at = layout.noise + m * layout.categories
            z = start.repeat_interleave(layout.categories, dim=0)
            z[:, at : at + layout.categories] = torch.eye(layout.categories).repeat(rows, 1)
            grids.append(z)
        for i in range(layout.continuous):
            z = start.repeat_interleave(columns, dim=0)
            z[:, layout.z_dim - layout.continuous + i] = torch.linspace(-2, 2, columns).repeat(rows)
            grids.append(z)
        with in_eval_mode(self):
            images = [self.generate(z.to(self.device), None).float().cpu() for z in grids]
        return {f"c{i + 1}": image.unflatten(0, (rows, -1)) for i, image in enumerate(images)}  # type: ignore[no-untyped-call]

    def figures(self) -> dict[str, Tensor]:
        """The traversals of figure 2, each [5, 10, C, H, W] in [-1, 1]."""
        return self.traversals()


def code_errors(predicted: Tensor, labels: Tensor, *, categories: int, classes: int) -> tuple[float, float]:
    """Share of images whose category is not matched to their class: best one-to-one matching, and majority vote.

    Args:
        predicted: category of each image, int64 [N].
        labels: class of each image, int64 [N].
        categories: number of categories.
        classes: number of classes.
    """
    from scipy.optimize import linear_sum_assignment

    counts = torch.bincount(predicted * classes + labels, minlength=categories * classes).view(categories, classes)
    matched = counts.numpy()[linear_sum_assignment(counts.numpy(), maximize=True)].sum()
    n = len(labels)
    return 1 - float(matched) / n, 1 - float(counts.amax(1).sum()) / n
