"""Improved Training of Wasserstein GANs.

I. Gulrajani, F. Ahmed, M. Arjovsky, V. Dumoulin, A. Courville. NIPS 2017, arXiv 1704.00028.
Authors' code: github.com/igul222/improved_wgan_training.

Here: Algorithm 1 (the gradient penalty of section 4 in place of weight clipping) with the constants of the authors'
scripts for points in the plane (figure 1), MNIST, CIFAR-10 (figure 3), the CIFAR-10 ResNets of table 3 with and without
labels, and 64x64 images; the methods it is compared with (weight clipping, GAN, LSGAN); the random architectures of
section 5.1. The networks are in networks/wgan_gp.py, random ones in networks/wgan_gp_random.py.
"""

import copy
import sys
from collections.abc import Callable
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.models.base.module import AdversarialModule, PaperMeasures
from zoo.models.networks.wgan_gp import Method, Network, players
from zoo.models.networks.wgan_gp_random import draw_architecture
from zoo.nn.losses import (
    bce_discriminator_loss,
    gradient_penalty,
    non_saturating_generator_loss,
    wasserstein_critic_loss,
    wasserstein_generator_loss,
)
from zoo.nn.modes import in_eval_mode
from zoo.nn.reference import Reference
from zoo.nn.seeds import mix_seed

if TYPE_CHECKING:
    from zoo.data.base import ImageDataModule, Split

Optimizer = Literal["adam", "rmsprop"]


class Constants(NamedTuple):
    """What a network's script fixes; lr and beta1 are those of Adam with the penalty."""

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
    "toy_deep": Constants((2,), z_dim=2, width=512, lr=1e-4, beta1=0.5, gp_weight=10.0),
    "mnist": Constants((1, 28, 28), z_dim=128, width=64, lr=1e-4, beta1=0.5, gp_weight=10.0),
    "cifar10": Constants((3, 32, 32), z_dim=128, width=128, lr=1e-4, beta1=0.5, gp_weight=10.0),
    "cifar10_resnet": Constants(
        (3, 32, 32), z_dim=128, width=128, lr=2e-4, beta1=0.0, gp_weight=10.0, generator_batch=2, decay_steps=100_000
    ),
    "resnet64": Constants((3, 64, 64), z_dim=128, width=64, lr=1e-4, beta1=0.5, gp_weight=10.0),
    "random": Constants((3, 32, 32), z_dim=128, width=0, lr=1e-4, beta1=0.0, gp_weight=10.0),
}


class Objective(NamedTuple):
    """What D (of scores of reals and of samples) and G (of scores of samples) minimise, with recommended constants."""

    D: Callable[[Tensor, Tensor], Tensor]
    G: Callable[[Tensor], Tensor]
    optimizer: Optimizer
    lr: float
    beta1: float
    beta2: float
    n_critic: int


def mean_bce_loss(real: Tensor, fake: Tensor) -> Tensor:
    """The scripts' "dcgan" mode averages the two terms of D's loss."""
    return bce_discriminator_loss(real, fake) / 2


def least_squares_loss(real: Tensor, fake: Tensor) -> Tensor:
    """0-1 coding: (E (D(x) - 1)^2 + E D(G(z))^2) / 2."""
    return ((real - 1).square().mean() + fake.square().mean()) / 2


def least_squares_generator_loss(fake: Tensor) -> Tensor:
    """E (D(G(z)) - 1)^2."""
    return (fake - 1).square().mean()


OBJECTIVES: dict[Method, Objective] = {  # appendix E, the scripts, and for RMSProp with the penalty figure 3
    "wgan-gp": Objective(wasserstein_critic_loss, wasserstein_generator_loss, "adam", 5e-5, 0.5, 0.9, n_critic=5),
    "wgan": Objective(wasserstein_critic_loss, wasserstein_generator_loss, "rmsprop", 5e-5, 0.5, 0.9, n_critic=5),
    "gan": Objective(mean_bce_loss, non_saturating_generator_loss, "adam", 2e-4, 0.5, 0.999, n_critic=1),
    "lsgan": Objective(least_squares_loss, least_squares_generator_loss, "rmsprop", 1e-4, 0.5, 0.999, n_critic=1),
}


class WGANGP(AdversarialModule):
    """Wasserstein GAN whose critic is held to unit gradient norm by a penalty (Algorithm 1).

    Args:
        network: which of the authors' scripts; "toy_deep", figure 1b's two MLPs of 12 ReLU layers for points in the
            plane (512 units: our choice); or "random", architecture number `architecture_seed` of section 5.1. It
            fixes the constants that are None below.
        method: "wgan-gp", or what the paper compares it with: "wgan" (weight clipping), "gan" (the scripts' "dcgan"),
            "lsgan". It fixes the constants that are None below, and where the networks have BatchNorm.
        num_classes: labels condition the generator's BatchNorm, and the critic classifies (AC-GAN; `cifar10_resnet`
            only). None is unconditional.
        channels: of the images of `random`.
        architecture_seed: of `random`: the architecture's number.
        filters: of `random`: choices for the base filters; None takes the paper's 32, 64, 128.
        width: filters next to the image, or units of the MLP; None takes 512 (plane), 64, 128, 128, 64.
        optimizer: "adam" or "rmsprop"; None takes Adam, for `wgan` and `lsgan` RMSProp.
        lr: learning rate of both players; None takes the method's: 1e-4 (`cifar10_resnet` 2e-4; with RMSProp 5e-5) for
            `wgan-gp`, else 5e-5, 2e-4, 1e-4.
        beta1: Adam's first moment decay; None takes 0.5, with the penalty 0 for `cifar10_resnet` and `random`.
        beta2: Adam's second moment decay; None takes 0.9, for `gan` and `lsgan` 0.999.
        weight_decay: of D; None takes 1e-3 for `random` where D is normalised (appendix B), else 0.
        gp_weight: lambda; None takes 10, for `toy` 0.1.
        one_sided: penalise gradient norms above 1 only.
        clip: of `wgan`: bound on the absolute value of every parameter of the critic, after each of its updates.
        n_critic: critic updates for each generator update; None takes 5, for `gan` and `lsgan` 1.
        generator_batch: samples of a generator update, as a multiple of the critic's reals; None takes 1, for
            `cifar10_resnet` 2.
        decay_steps: generator updates in which the learning rate falls linearly to 0; None takes no decay, for
            `cifar10_resnet` 100,000; 0 is no decay.
        acgan_weight_D: weight of the cross-entropy on the labels of reals in the critic's loss.
        acgan_weight_G: weight of the cross-entropy on the labels of samples in the generator's loss.
        fixed_generator: in the plane: the critic is trained against reals plus N(0, I) and G never moves (figure 1a).

    Raises:
        ValueError: labels or a fixed generator for a network that has none.
    """

    paper = "wgan_gp"
    reference = Reference(
        title="Improved Training of Wasserstein GANs",
        authors=("Gulrajani, Ishaan", "Ahmed, Faruk", "Arjovsky, Martin", "Dumoulin, Vincent", "Courville, Aaron"),
        year=2017,
        venue="Advances in Neural Information Processing Systems",
        arxiv="1704.00028",
        code="https://github.com/igul222/improved_wgan_training",
        networks="toy, MNIST, CIFAR-10 DCGAN-like and ResNet (AC-GAN too), 64x64 ResNet",
    )
    scores_are_logits = False
    remedies = MappingProxyType(
        {
            "collapse": "method wgan-gp, which trained architectures that collapsed with the others (section 5.2)",
            "divergence": "method wgan-gp: under clipping gradients explode or vanish with depth (section 3.2)",
        }
    )

    def __init__(
        self,
        *,
        network: Network = "cifar10_resnet",
        method: Method = "wgan-gp",
        num_classes: int | None = None,
        channels: int = 3,
        architecture_seed: int = 0,
        filters: list[int] | None = None,
        width: int | None = None,
        optimizer: Optimizer | None = None,
        lr: float | None = None,
        beta1: float | None = None,
        beta2: float | None = None,
        weight_decay: float | None = None,
        gp_weight: float | None = None,
        one_sided: bool = False,
        clip: float = 0.01,
        n_critic: int | None = None,
        generator_batch: int | None = None,
        decay_steps: int | None = None,
        acgan_weight_D: float = 1.0,
        acgan_weight_G: float = 0.1,
        fixed_generator: bool = False,
    ) -> None:
        in_plane = network in ("toy", "toy_deep")
        if num_classes is not None and network != "cifar10_resnet":
            raise ValueError(f"network {network} takes no labels: leave num_classes out, or use cifar10_resnet")
        if fixed_generator and not in_plane:
            raise ValueError("fixed_generator is an experiment in the plane: use network=toy")
        own, objective = CONSTANTS[network], OBJECTIVES[method]
        n_critic = objective.n_critic if n_critic is None else n_critic
        super().__init__(
            image_shape=(channels, 32, 32) if network == "random" else own.image_shape,
            z_dim=own.z_dim,
            n_critic=sys.maxsize if fixed_generator else n_critic,  # G's turn never comes
            num_classes=num_classes,
        )
        self.save_hyperparameters()
        self.network, self.method, self.objective, self.in_plane = network, method, objective, in_plane
        self.scores_are_logits = method == "gan"  # type: ignore[misc]
        self.optimizer: Optimizer = optimizer or objective.optimizer
        recommended: Constants | Objective = own if (method, self.optimizer) == ("wgan-gp", "adam") else objective
        self.lr = recommended.lr if lr is None else lr
        self.beta1 = recommended.beta1 if beta1 is None else beta1
        self.beta2 = objective.beta2 if beta2 is None else beta2
        self.gp_weight = own.gp_weight if gp_weight is None else gp_weight
        self.one_sided, self.clip, self.fixed_generator = one_sided, clip, fixed_generator
        self.generator_batch = generator_batch or own.generator_batch
        self.decay_steps = own.decay_steps if decay_steps is None else decay_steps
        self.acgan_weight_D, self.acgan_weight_G = acgan_weight_D, acgan_weight_G
        self.beside: dict[str, Tensor] = {}  # what is reported beside the losses
        drawn = draw_architecture(architecture_seed, filters or (32, 64, 128))
        self.architecture = drawn if network == "random" else None
        self.G, self.D = players(
            network,
            method=method,
            z_dim=self.z_dim,
            width=width or own.width,
            num_classes=num_classes,
            channels=channels,
            architecture=self.architecture,
        )
        self.batchnorm_D = any(isinstance(layer, nn.BatchNorm2d) for layer in self.D.modules())
        decay = 1e-3 if self.architecture is not None and self.architecture.D.normalisation else 0.0
        self.weight_decay = decay if weight_decay is None else weight_decay
        if not in_plane:
            self.to(memory_format=torch.channels_last)  # same values, faster convolutions

    # Algorithm 1.

    def discriminator_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        """E D(G(z)) - E D(x) + lambda E (||grad D(x_hat)|| - 1)^2 (line 7), and AC-GAN's cross-entropy on the reals.

        The other methods have their own objective in the place of the first two terms, and no penalty.
        """
        y = self.labels_of(y)
        fake = self.fakes(x, y)
        real_out, fake_out = self.outputs(x, fake)
        real, samples = real_out[:, 0], fake_out[:, 0]
        self.note_scores(real, samples)
        loss = self.objective.D(real, samples)
        self.beside = {"wasserstein_estimate": -loss.detach()} if self.method in ("wgan-gp", "wgan") else {}
        if self.method == "wgan-gp":
            penalty = gradient_penalty(self.score, x, fake, one_sided=self.one_sided)
            self.beside["gradient_penalty"] = penalty.detach()
            loss = loss + self.gp_weight * penalty
        if y is not None:
            loss = loss + self.acgan_weight_D * F.cross_entropy(real_out[:, 1:], y)
        return loss

    def after_discriminator_update(self) -> None:
        """w <- clip(w, -c, c) for every parameter of the critic: what the penalty replaces."""
        if self.method == "wgan":
            for parameter in self.D.parameters():
                if parameter.requires_grad:  # not so if frozen
                    parameter.clamp_(-self.clip, self.clip)

    def generator_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        """-E D(G(z)) (line 12) or another method's, and AC-GAN's cross-entropy on labels drawn uniformly."""
        n = self.generator_batch * len(x)
        if self.num_classes is None:
            return self.objective.G(self.score(self.samples(self.sample_z(n), None)))
        labels = torch.randint(self.num_classes, (n,), generator=self.latent_generator).to(x.device)
        out = self.D(self.samples(self.sample_z(n), labels))
        return self.objective.G(out[:, 0]) + self.acgan_weight_G * F.cross_entropy(out[:, 1:], labels)

    def outputs(self, x: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """D of reals and of samples: two passes where BatchNorm would mix them, otherwise in one."""
        if self.batchnorm_D:
            return self.D(x), self.D(fake)
        real_out, fake_out = self.D(torch.cat([x, fake])).chunk(2)
        return real_out, fake_out

    def samples(self, z: Tensor, y: Tensor | None) -> Tensor:
        """G(z) or G(z, y) in the scale of D."""
        fake: Tensor = self.G(z) if self.num_classes is None else self.G(z, y)
        return fake

    def fakes(self, x: Tensor, y: Tensor | None) -> Tensor:
        """What the critic is shown against the reals x: samples with the labels of the reals."""
        return x + torch.randn_like(x) if self.fixed_generator else self.samples(self.sample_z(len(x)), y)

    def score(self, x: Tensor, y: Tensor | None = None) -> Tensor:
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
        return [self.make_optimizer(self.D, weight_decay=self.weight_decay), self.make_optimizer(self.G)]

    def make_optimizer(self, net: nn.Module, *, weight_decay: float = 0.0) -> torch.optim.Optimizer:
        """RMSProp with TensorFlow's constants (its 1e-10 stands inside the root), or Adam."""
        if self.optimizer == "rmsprop":
            return torch.optim.RMSprop(net.parameters(), lr=self.lr, alpha=0.9, eps=1e-5, weight_decay=weight_decay)
        fused = self.device.type in ("cpu", "cuda")  # one pass over the weights instead of several
        betas = (self.beta1, self.beta2)
        return torch.optim.Adam(net.parameters(), lr=self.lr, betas=betas, weight_decay=weight_decay, fused=fused)

    # The scale each script is trained in, and back.

    def preprocess(self, x: Tensor) -> Tensor:
        """Points as they are; MNIST in [0, 1]; for `cifar10_resnet` pixel v uniform in v/128 - 1 + [0, 1/128)."""
        if self.in_plane:
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

    # Figure 1.

    @torch.no_grad()
    def critic_surface(self, *, side: int = 128, extent: float = 3.0) -> Tensor:
        """D on a grid over [-extent, extent]^2, [side, side] with x along the rows: the contours of figure 1a."""
        line = torch.linspace(-extent, extent, side, device=self.device)
        return self.score(torch.cartesian_prod(line, line)).view(side, side)

    def gradient_norms_by_layer(self, x: Tensor, fake: Tensor) -> Tensor:
        """Norms of the gradient of E D(fake) - E D(x) with respect to the layers' activations (figure 1b, left).

        The norm is taken over the whole batch, [2N, units]. The penalty's own gradient is left out, so that methods
        are compared by one quantity. In float64, for what vanishes in a clipped critic underflows in float32.

        Args:
            x: reals [N, 2].
            fake: samples [N, 2].

        Returns:
            float64 [layers], from the layer next to the points to the critic's output: 4 for `toy`, 13 for `toy_deep`.

        Raises:
            ValueError: a network of images.
        """
        if not self.in_plane:
            raise ValueError("gradient_norms_by_layer is of the MLPs in the plane: use network=toy or toy_deep")
        activations: list[Tensor] = []
        with torch.inference_mode(False), torch.enable_grad():
            h = torch.cat([x, fake]).detach().double()
            for layer in copy.deepcopy(self.D).double().children():
                h = layer(h)
                if not isinstance(layer, nn.Linear):
                    activations.append(h)
            real, samples = h[:, 0].chunk(2)
            gradients = torch.autograd.grad(wasserstein_critic_loss(real, samples), [*activations, h])
        return torch.stack([gradient.norm() for gradient in gradients])

    @torch.no_grad()
    def critic_weights(self) -> Tensor:
        """All weights of the critic without biases and gains, [n]: the histograms of figure 1b, right."""
        return torch.cat([parameter.flatten() for parameter in self.D.parameters() if parameter.dim() > 1])

    # The paper's own measures.

    def paper_measures(self, data: "ImageDataModule", *, seed: int) -> PaperMeasures:
        """Gradient norms along interpolates; in the plane, distances of samples; with a validation split, overfitting.

        On the first 1,000 images or points of each split, and as many samples.
        """
        splits: list[Split] = ["test" if "test" in data.splits else "train"]
        if "validation" in data.splits:
            splits += ["train", "validation"]
        with in_eval_mode(self), torch.random.fork_rng():
            torch.manual_seed(mix_seed(seed, "dequantise"))
            reals = {name: self.preprocess(data.split(name).images[:1_000].to(self.device)) for name in splits}
            fake = self.fixed_samples(seed=seed)
            values = self.gradient_measures(reals[splits[0]], fake, seed=seed)
            if self.in_plane and not self.fixed_generator:
                values |= self.plane_measures(reals["test"], fake, data)
            if "validation" in reals:
                values |= self.overfitting_measures(reals["train"], reals["validation"], fake)
        protocol = {
            "measure": "norm of grad D along interpolates; exact W1; modes within 3 sigma; E D(x) - E D(G(z))",
            "n_real": {name: len(x) for name, x in reals.items()},
            "n_fake": len(fake),
            "dataset_fingerprint": data.split(splits[0]).fingerprint,
        }
        return PaperMeasures(values, {**protocol, "seed": seed})

    @torch.no_grad()
    def fixed_samples(self, *, seed: int) -> Tensor:
        """1,000 samples in the scale of D, with labels drawn uniformly where there are any."""
        generator = torch.Generator().manual_seed(mix_seed(seed, "samples"))
        z = self.latents(1_000, generator=generator).to(self.device)
        y = torch.randint(self.num_classes or 1, (1_000,), generator=generator).to(self.device)
        return torch.cat([self.samples(z[i : i + 250], y[i : i + 250]) for i in range(0, 1_000, 250)])

    def gradient_measures(self, x: Tensor, fake: Tensor, *, seed: int) -> dict[str, float]:
        """Mean and standard deviation of ||grad D(x_hat)|| over pairs of reals and what the critic is shown."""
        generator = torch.Generator().manual_seed(mix_seed(seed, "interpolates"))
        epsilon = torch.rand(len(x), generator=generator).to(x.device)
        if self.fixed_generator:
            fake = x + torch.randn(x.shape, generator=generator).to(x.device)
        norms = self.gradient_norms(x, fake[: len(x)], epsilon=epsilon)
        return {"critic_gradient_norm": float(norms.mean()), "critic_gradient_norm_std": float(norms.std())}

    def gradient_norms(self, x: Tensor, fake: Tensor, *, epsilon: Tensor) -> Tensor:
        """||grad D(x_hat)|| at x_hat = epsilon x + (1 - epsilon) fake for each pair, [N]; blocks of 100 at a time."""
        norms = []
        with torch.inference_mode(False), torch.enable_grad():
            for a, b, e in zip(*(torch.split(part, 100) for part in (x, fake, epsilon)), strict=True):
                e = e.view(-1, *[1] * (x.dim() - 1))  # [N, 1, 1, 1]
                x_hat = (e * a + (1 - e) * b).detach().requires_grad_()
                (gradient,) = torch.autograd.grad(self.score(x_hat).sum(), x_hat)
                norms.append(gradient.flatten(1).norm(dim=1))
        return torch.cat(norms)

    def plane_measures(self, x: Tensor, fake: Tensor, data: "ImageDataModule") -> dict[str, float]:
        """Exact Wasserstein distance of samples to test points; shares of modes found (ours)."""
        from zoo.metrics.points import exact_wasserstein, mode_shares

        values = {"wasserstein_exact": exact_wasserstein(fake, x)}
        modes: Any = getattr(data, "modes", None)
        if modes is not None:
            shares = mode_shares(fake, modes, std=data.mode_std)  # type: ignore[attr-defined]
            values |= {"share_modes_covered": shares.covered, "share_high_quality": shares.high_quality}
        return values

    @torch.no_grad()
    def overfitting_measures(self, train: Tensor, validation: Tensor, fake: Tensor) -> dict[str, float]:
        """E D(x) - E D(G(z)) on training and on held-out images (figure 5b)."""
        baseline = self.mean_score(fake)
        return {
            "critic_gap_train": self.mean_score(train) - baseline,
            "critic_gap_validation": self.mean_score(validation) - baseline,
        }

    def mean_score(self, x: Tensor) -> float:
        """Mean of D over x, in blocks of 250."""
        return float(torch.cat([self.score(block) for block in torch.split(x, 250)]).mean())
