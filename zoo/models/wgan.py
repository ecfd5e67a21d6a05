"""Wasserstein GAN.

M. Arjovsky, S. Chintala, L. Bottou. ICML 2017, arXiv 1701.07875.
Authors' code: github.com/martinarjovsky/WassersteinGAN.

Here: Algorithm 1 (RMSProp, weight clipping, five critic updates for one of the generator) with the authors' warm start,
and the generators and critics of figures 3 and 5 to 7: DCGAN, DCGAN without BatchNorm and of constant width, and MLP.
The critic's estimate of the Wasserstein distance, the curve of figure 3, is logged as `wasserstein_estimate`.
"""

from itertools import pairwise
from types import MappingProxyType
from typing import Any, Literal

import torch
from torch import Tensor, nn

from zoo.models.base.module import AdversarialModule
from zoo.nn.losses import wasserstein_critic_loss, wasserstein_generator_loss
from zoo.nn.reference import Reference

Generator = Literal["dcgan", "dcgan_nobn", "dcgan_nobn_constant", "mlp"]
Critic = Literal["dcgan", "dcgan_nobn", "mlp"]


def block(layer: nn.Module, channels: int, activation: nn.Module, *, batchnorm: bool) -> list[nn.Module]:
    """A layer, BatchNorm if wanted, an activation."""
    return [layer, nn.BatchNorm2d(channels), activation] if batchnorm else [layer, activation]


def convolutional_generator(
    image_shape: tuple[int, ...], *, z_dim: int, widths: list[int], extra_layers: int, batchnorm: bool
) -> nn.Sequential:
    """z [N, z_dim] to images [N, C, H, W] in [-1, 1]; `widths` are the filters at 4x4, 8x8, ... H/2 x H/2."""
    first = nn.ConvTranspose2d(z_dim, widths[0], 4, bias=False)
    G: list[nn.Module] = [nn.Unflatten(1, (z_dim, 1, 1)), *block(first, widths[0], nn.ReLU(), batchnorm=batchnorm)]
    for inputs, outputs in pairwise(widths):
        layer = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False)
        G += block(layer, outputs, nn.ReLU(), batchnorm=batchnorm)
    for _ in range(extra_layers):
        layer = nn.Conv2d(widths[-1], widths[-1], 3, padding=1, bias=False)  # type: ignore[assignment]
        G += block(layer, widths[-1], nn.ReLU(), batchnorm=batchnorm)
    G += [nn.ConvTranspose2d(widths[-1], image_shape[0], 4, stride=2, padding=1, bias=False), nn.Tanh()]
    return nn.Sequential(*G)


def convolutional_critic(
    image_shape: tuple[int, ...], *, widths: list[int], extra_layers: int, batchnorm: bool
) -> nn.Sequential:
    """Images [N, C, H, W] to scores [N, 1]; `widths` are the filters at H/2 x H/2, ... 4x4."""
    D: list[nn.Module] = [
        nn.Conv2d(image_shape[0], widths[0], 4, stride=2, padding=1, bias=False),
        nn.LeakyReLU(0.2),
    ]
    for _ in range(extra_layers):
        layer = nn.Conv2d(widths[0], widths[0], 3, padding=1, bias=False)
        D += block(layer, widths[0], nn.LeakyReLU(0.2), batchnorm=batchnorm)
    for inputs, outputs in pairwise(widths):
        layer = nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=False)
        D += block(layer, outputs, nn.LeakyReLU(0.2), batchnorm=batchnorm)
    D += [nn.Conv2d(widths[-1], 1, 4, bias=False), nn.Flatten()]
    return nn.Sequential(*D)


def mlp(inputs: int, outputs: int, *, width: int) -> list[nn.Module]:
    """Four linear layers with ReLU between them; nothing after the last."""
    sizes = [inputs, width, width, width]
    layers = [layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), nn.ReLU())]
    return [*layers, nn.Linear(width, outputs)]


def initialise(net: nn.Module) -> None:
    """Convolutions N(0, 0.02), BatchNorm gains N(1, 0.02) and biases 0; linear layers keep PyTorch's default."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
            nn.init.zeros_(module.bias)


class WGAN(AdversarialModule):
    """Critic of clipped weights that estimates the Wasserstein-1 distance up to a factor (Algorithm 1).

    Args:
        generator: "dcgan"; "dcgan_nobn", the same without BatchNorm (released code); "dcgan_nobn_constant", without
            BatchNorm and with the same number of filters at every resolution (section 4.3, figure 6); "mlp", four
            linear layers with ReLU, no output nonlinearity (figure 7).
        critic: "dcgan", "dcgan_nobn" or "mlp".
        channels: of the images.
        resolution: height and width, a power of two from 16 on.
        width_G: filters next to the image, or units of the MLP; None takes 64 or 512.
        width_D: likewise for the critic.
        extra_layers: 3x3 convolutions with stride 1 next to the image in the DCGAN networks.
        z_dim: dimension of z ~ N(0, I).
        optimizer: "rmsprop" as in Algorithm 1, or "adam", the option of the authors' script.
        lr: learning rate of both players.
        beta1: Adam's first moment decay.
        n_critic: critic updates for each generator update.
        clip: bound c on the absolute value of every critic parameter, BatchNorm's gains and biases included.
        clip_when: "before" each critic update (the authors' code), or "after" it (Algorithm 1, line 7).
        warm_start: 100 critic updates instead of `n_critic` before each of the first 25 generator updates and before
            every 500th (the authors' code; not in the paper).

    Raises:
        ValueError: a resolution that the networks do not have.
    """

    paper = "wgan"
    reference = Reference(
        title="Wasserstein Generative Adversarial Networks",
        authors=("Arjovsky, Martin", "Chintala, Soumith", "Bottou, Léon"),
        year=2017,
        venue="International Conference on Machine Learning",
        arxiv="1701.07875",
        code="https://github.com/martinarjovsky/WassersteinGAN",
        networks="DCGAN and MLP generators and critics, with and without BatchNorm",
    )
    scores_are_logits = False
    remedies = MappingProxyType(
        {
            "collapse": "train the critic closer to its optimum: more critic updates (n_critic, warm_start; section 3)",
            "divergence": "RMSProp and a lower learning rate: Adam's momentum made training unstable (section 4)",
        }
    )

    def __init__(
        self,
        *,
        generator: Generator = "dcgan",
        critic: Critic = "dcgan",
        channels: int = 3,
        resolution: int = 64,
        width_G: int | None = None,
        width_D: int | None = None,
        extra_layers: int = 0,
        z_dim: int = 100,
        optimizer: Literal["rmsprop", "adam"] = "rmsprop",
        lr: float = 5e-5,
        beta1: float = 0.5,
        n_critic: int = 5,
        clip: float = 0.01,
        clip_when: Literal["before", "after"] = "before",
        warm_start: bool = True,
    ) -> None:
        if resolution < 16 or resolution & (resolution - 1):
            raise ValueError(f"resolution must be a power of two from 16 on, not {resolution}")
        super().__init__(image_shape=(channels, resolution, resolution), z_dim=z_dim, n_critic=n_critic)
        self.save_hyperparameters()
        self.optimizer, self.lr, self.betas = optimizer, lr, (beta1, 0.999)
        self.clip, self.clip_when, self.warm_start = clip, clip_when, warm_start
        self.turns_from = (0, 0)  # updates of the critic and of G when these n_critic and warm_start began to hold
        self.G = self.make_generator(generator, width=width_G, extra_layers=extra_layers)
        self.D = self.make_critic(critic, width=width_D, extra_layers=extra_layers)
        initialise(self)
        self.to(memory_format=torch.channels_last)  # same values, faster convolutions

    def make_generator(self, name: Generator, *, width: int | None, extra_layers: int) -> nn.Sequential:
        """z [N, z_dim] to images; those of the MLP are not bounded."""
        pixels = torch.Size(self.image_shape).numel()
        if name == "mlp":
            return nn.Sequential(*mlp(self.z_dim, pixels, width=width or 512), nn.Unflatten(1, self.image_shape))
        widths = self.pyramid(width or 64, growth=1 if name == "dcgan_nobn_constant" else 2)
        return convolutional_generator(
            self.image_shape,
            z_dim=self.z_dim,
            widths=widths[::-1],
            extra_layers=extra_layers,
            batchnorm=name == "dcgan",
        )

    def make_critic(self, name: Critic, *, width: int | None, extra_layers: int) -> nn.Sequential:
        """Images to scores [N, 1]."""
        pixels = torch.Size(self.image_shape).numel()
        if name == "mlp":
            return nn.Sequential(nn.Flatten(), *mlp(pixels, 1, width=width or 512))
        widths = self.pyramid(width or 64, growth=2)
        return convolutional_critic(
            self.image_shape, widths=widths, extra_layers=extra_layers, batchnorm=name == "dcgan"
        )

    def pyramid(self, width: int, *, growth: int) -> list[int]:
        """Filters at half the resolution, a quarter, ... down to 4x4."""
        return [width * growth**i for i in range(self.image_shape[1].bit_length() - 3)]

    def uses_remedy(self, symptom: str) -> bool:
        return symptom == "divergence" and self.optimizer == "rmsprop" and self.lr <= 5e-5

    def discriminator_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        """-(E f(x) - E f(G(z))): line 5 ascends its negative. Each half passes through BatchNorm separately."""
        real, fake = self.D(x), self.D(self.G(self.sample_z(len(x))))
        self.note_scores(real, fake)
        loss = wasserstein_critic_loss(real, fake)
        self.log_extra(wasserstein_estimate=-loss)
        return loss

    def generator_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        """-E f(G(z)), line 10."""
        return wasserstein_generator_loss(self.D(self.G(self.sample_z(len(x)))))

    def generator_is_due(self) -> bool:
        """After as many critic updates as the warm start and `n_critic` ask for (line 2)."""
        return self.discriminator_steps >= self.critic_steps_before(self.generator_steps)

    def report_due(self, losses: dict[str, Tensor]) -> bool:
        """At each generator update, as in the authors' script: their curve is of these, through a median filter."""
        return "loss_generator" in losses

    def critic_steps_before(self, g: int) -> int:
        """Critic updates of the whole run before generator update number g (counted from 0).

        A closed form of the two persistent counters, so that a resumed run needs no counter of its own.
        """
        critic, generator = self.turns_from
        return critic + self.critic_steps_of(g) - self.critic_steps_of(generator - 1)

    def critic_steps_of(self, g: int) -> int:
        """As above, of a run that had these `n_critic` and `warm_start` from the beginning; 0 for g = -1."""
        warm = min(g + 1, 25) + max(g, 0) // 500 if self.warm_start else 0  # blocks of 100 among blocks 0 .. g
        return self.n_critic * (g + 1 - warm) + 100 * warm

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        if self.turns_from != (0, 0):
            checkpoint["zoo"]["turns_from"] = self.turns_from

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """A run that goes on with another `n_critic` or warm start counts from here.

        Otherwise G would wait, or move, until its updates were as many as if that had held from the beginning.
        """
        super().on_load_checkpoint(checkpoint)
        before, weights = checkpoint.get("hyper_parameters") or {}, checkpoint["state_dict"]
        self.turns_from = tuple(checkpoint.get("zoo", {}).get("turns_from", (0, 0)))
        if any(name in before and before[name] != getattr(self, name) for name in ("n_critic", "warm_start")):
            self.turns_from = int(weights["discriminator_steps"]), int(weights["generator_steps"])

    @torch.no_grad()
    def clip_weights(self) -> None:
        """w <- clip(w, -c, c) for every parameter of the critic that is trained (line 7)."""
        for parameter in self.D.parameters():
            if parameter.requires_grad:  # not so if frozen
                parameter.clamp_(-self.clip, self.clip)

    def before_update(self) -> None:
        if self.clip_when == "before":
            self.clip_weights()

    def after_discriminator_update(self) -> None:
        if self.clip_when == "after":
            self.clip_weights()

    def generate(self, z: Tensor, y: Tensor | None) -> Tensor:
        """G(z), cut to [-1, 1] (the MLP's images are not bounded)."""
        images: Tensor = self.G(z)
        return images.clamp(-1, 1)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        players = (self.D, self.G)
        if self.optimizer == "adam":
            return [torch.optim.Adam(net.parameters(), lr=self.lr, betas=self.betas) for net in players]
        return [torch.optim.RMSprop(net.parameters(), lr=self.lr, alpha=0.99, eps=1e-8) for net in players]
