"""Improved Training of Wasserstein GANs.

I. Gulrajani, F. Ahmed, M. Arjovsky, V. Dumoulin, A. Courville. NIPS 2017, arXiv 1704.00028.
Authors' code: github.com/igul222/improved_wgan_training.

Here: Algorithm 1 (the gradient penalty of section 4 in place of weight clipping) on points in the plane (figure 1),
MNIST, CIFAR-10 (figure 3; ResNets with and without labels, table 3), 64x64 images and the random architectures of
section 5.1. The networks and what the authors' scripts fix with them are in networks/wgan_gp.py, random ones in
networks/wgan_gp_random.py, figure 2's in networks/wgan_gp_figure2.py; what the paper compares with is in
wgan_gp_baselines.py, and so is AC-GAN.
"""

from types import MappingProxyType

import torch
from torch import Tensor, nn

from zoo.models.base.module import AdversarialModule
from zoo.models.networks.wgan_gp import SCRIPTS, Method, Network, Script, build_networks
from zoo.models.networks.wgan_gp_random import draw_architecture
from zoo.models.wgan_gp_baselines import CONSTANTS, Constants, Optimizer, baseline_of, classes_of
from zoo.nn.losses import gradient_penalty, wasserstein_critic_loss, wasserstein_generator_loss
from zoo.nn.reference import Reference


class WGANGP(AdversarialModule):
    """Wasserstein GAN whose critic is held to unit gradient norm by a penalty (Algorithm 1).

    Args:
        network: which of the authors' scripts; "toy_deep", figure 1b's two MLPs of 12 ReLU layers for points in the
            plane (512 units: our choice); "dcgan64" to "resnet101", a row of figure 2 (networks/wgan_gp_figure2.py);
            or "random", architecture number `architecture_seed` of section 5.1.
        method: "wgan-gp", or what the paper compares it with: "wgan" (weight clipping), "gan" (the scripts' "dcgan"),
            "lsgan". It also fixes where the networks have BatchNorm.
        num_classes: labels condition the generator's BatchNorm, and the critic classifies (AC-GAN; `cifar10_resnet`
            only). None is unconditional.
        channels: of the images of `random`.
        architecture_seed: of `random`: the architecture's number.
        filters: of `random`: choices for the base filters; None takes the paper's 32, 64, 128.
        width: filters next to the image, or units of the MLP; None takes 512 (plane), 128 (CIFAR-10), else 64. Not of
            `random`, whose widths are drawn from `filters`.
        batchnorm_D: of `cifar10`: BatchNorm in D's second and third convolution; None takes the script's, which has it
            with every method but `wgan-gp`.
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
        ValueError: labels, a width, a fixed generator or batchnorm_D for a network that has none, or no filters.
    """

    paper = "wgan_gp"
    reference = Reference(
        title="Improved Training of Wasserstein GANs",
        authors=("Gulrajani, Ishaan", "Ahmed, Faruk", "Arjovsky, Martin", "Dumoulin, Vincent", "Courville, Aaron"),
        year=2017,
        venue="Advances in Neural Information Processing Systems",
        arxiv="1704.00028",
        code="https://github.com/igul222/improved_wgan_training",
        networks="toy, MNIST, CIFAR-10 DCGAN-like and ResNet (AC-GAN too), 64x64 ResNet and figure 2's",
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
        batchnorm_D: bool | None = None,
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
        if batchnorm_D is not None and network != "cifar10":
            raise ValueError(f"where network {network} has BatchNorm is settled by the method: leave batchnorm_D out")
        if width is not None and network == "random":
            raise ValueError("the widths of network random are drawn from filters: leave width out, or set filters")
        if filters is not None and not (filters and min(filters) > 0):
            raise ValueError(f"filters={filters} must be whole numbers above 0, one or more")
        script, constants = SCRIPTS[network], CONSTANTS[method]
        super().__init__(
            image_shape=(channels, 32, 32) if network == "random" else script.image_shape,
            z_dim=script.z_dim,
            n_critic=constants.n_critic if n_critic is None else n_critic,
            num_classes=num_classes,
        )
        self.save_hyperparameters()
        self.network, self.in_plane, self.fixed_generator = network, in_plane, fixed_generator
        self.baseline = baseline_of(method, clip=clip)  # None: Algorithm 1
        self.classes = classes_of(num_classes, weight_D=acgan_weight_D, weight_G=acgan_weight_G)
        self.scores_are_logits = method == "gan"  # type: ignore[misc]
        self.optimizer: Optimizer = optimizer or constants.optimizer
        own: Script | Constants = script if (method, self.optimizer) == ("wgan-gp", "adam") else constants
        self.lr = own.lr if lr is None else lr
        self.beta1 = own.beta1 if beta1 is None else beta1
        self.beta2 = constants.beta2 if beta2 is None else beta2
        self.gp_weight = script.gp_weight if gp_weight is None else gp_weight
        self.one_sided = one_sided
        self.generator_batch = generator_batch or script.generator_batch
        self.decay_steps = script.decay_steps if decay_steps is None else decay_steps
        drawn = draw_architecture(architecture_seed, filters or (32, 64, 128))
        self.architecture = drawn if network == "random" else None
        self.G, self.D = build_networks(
            network,
            method=method,
            z_dim=self.z_dim,
            width=width or script.width,
            num_classes=num_classes,
            channels=channels,
            architecture=self.architecture,
            batchnorm_D=batchnorm_D,
        )
        decay = 1e-3 if self.architecture is not None and self.architecture.D.normalisation else 0.0
        self.weight_decay = decay if weight_decay is None else weight_decay
        if not in_plane:
            self.to(memory_format=torch.channels_last)  # same values, faster convolutions

    # Algorithm 1. A baseline has an objective of its own and no penalty; `classes` adds AC-GAN's terms.

    def uses_remedy(self, symptom: str) -> bool:
        return bool(self.hparams["method"] == "wgan-gp")

    def discriminator_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        """E D(G(z)) - E D(x) + lambda E (||grad D(x_hat)|| - 1)^2 (line 7)."""
        y = self.classes.of_reals(y)
        fake = self.fakes(x, y)
        real_out, fake_out = self.outputs(x, fake)
        real, samples = real_out[:, 0], fake_out[:, 0]
        self.note_scores(real, samples)
        if self.baseline is not None:
            return self.classes.discriminator_loss(self.baseline.discriminator_loss(self, real, samples), real_out, y)
        loss = wasserstein_critic_loss(real, samples)
        penalty = gradient_penalty(self.score, x, fake, one_sided=self.one_sided)
        self.log_extra(wasserstein_estimate=-loss, gradient_penalty=penalty)
        return self.classes.discriminator_loss(loss + self.gp_weight * penalty, real_out, y)

    def generator_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        """-E D(G(z)) (line 12)."""
        n = self.generator_batch * len(x)
        labels = self.classes.draw(n, generator=self.latent_generator, device=x.device)
        out = self.D(self.samples(self.sample_z(n), labels))
        minimised = wasserstein_generator_loss if self.baseline is None else self.baseline.generator_loss
        return self.classes.generator_loss(minimised(out[:, 0]), out, labels)

    def after_discriminator_update(self) -> None:
        if self.baseline is not None:
            self.baseline.after_discriminator_update(self.D)

    def generator_is_due(self) -> bool:
        """Never, where the generator is fixed."""
        return not self.fixed_generator and super().generator_is_due()

    @property
    def batchnorm_D(self) -> bool:
        """Whether D, or another that was put in its place, normalises by the images of its batch."""
        return any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in self.D.modules())

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

    def before_update(self) -> None:
        """Linear decay; the authors count an iteration as one generator update, then the critic's."""
        if self.decay_steps:
            optimizer_D, optimizer_G = self.both_optimizers()
            for optimizer, iteration in ((optimizer_D, self.generator_steps), (optimizer_G, self.generator_steps + 1)):
                for group in optimizer.param_groups:
                    group["lr"] = self.lr * max(0.0, 1 - iteration / self.decay_steps)

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
