"""A Style-Based Generator Architecture for Generative Adversarial Networks.

T. Karras, S. Laine, T. Aila. CVPR 2019, arXiv 1812.04948. Authors' code: github.com/NVlabs/stylegan (not for commercial
use; nothing here is copied from it).

Here: the style-based generator (figure 1b) and every row of table 1, style mixing (section 3.1, table 2), the
truncation trick (appendix B) and both losses (appendix C). The networks are in networks/stylegan.py, what draws figures
2 to 5 and 8 in networks/stylegan_sampling.py, progressive growing in zoo/models/base/growing.py.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, cast

import torch
from torch import Tensor, nn

from zoo.models.base.growing import averaged_copy
from zoo.models.networks.stylegan import Config, Discriminator, StyleGenerator
from zoo.models.networks.stylegan_sampling import StyleSampling
from zoo.nn.losses import (
    bce_discriminator_loss,
    gradient_penalty,
    non_saturating_generator_loss,
    r1_penalty,
    wasserstein_critic_loss,
    wasserstein_generator_loss,
)
from zoo.nn.reference import Reference
from zoo.nn.schedules import RELEASED_BATCH_SIZES, GrowthSchedule, by_resolution

#: Learning rate from a resolution on (appendix C; CelebA-HQ stops at 2e-3).
LEARNING_RATES: Mapping[int, float] = {4: 1e-3, 128: 1.5e-3, 256: 2e-3, 512: 3e-3}


class StyleGAN(StyleSampling):
    """Generator whose layers are each controlled by a style (figure 1b), grown progressively.

    Args:
        resolution: R, side of the images, a power of two from 4 to 1024.
        channels: of the images.
        config: row of table 1, "A" to "F"; see networks/stylegan.py. Losses and phases are set apart from it.
        z_dim: dimension of z.
        w_dim: dimension of w.
        mapping_layers: depth of the mapping network (table 4); None takes 8, before row C 0. With 0, w is z.
        fmap_base: the width at a resolution r is fmap_base / (r / 2) ...
        fmap_max: ... but no more than this.
        group_size: images over which the minibatch standard deviation is taken.
        loss: "r1", non-saturating with R1, or "wgan_gp".
        r1_gamma: R1 has the weight r1_gamma / 2.
        gp_weight: lambda of the gradient penalty ("wgan_gp").
        drift: weight of E D(x)^2 ("wgan_gp").
        mixing_prob: share of the passes with two styles (table 2); None takes 0.9 for row F, else 0.
        w_average_beta: decay of the running average of w per pass of G in training.
        truncation_cutoff: layers that truncation acts on, counted from 4x4.
        start_resolution: that training begins at; None takes 8, for row A 4, and never more than R.
        stabilise_images: real images shown at a resolution before the next one fades in.
        fade_images: real images of a fade.
        devices: number of GPUs (1, 2, 4 or 8) whose released batch sizes are taken where `batch_sizes` is None.
        batch_sizes: real images per update, over all devices, from a resolution on.
        lrs: Adam's learning rate from a resolution on; None takes the paper's for FFHQ.
        beta1: Adam's first moment decay.
        beta2: Adam's second moment decay.
        ema_half_life: of the average of G's weights, in real images.

    Raises:
        ValueError: w_dim other than z_dim without a mapping network; devices without a released table; what
            GrowthSchedule refuses.
    """

    paper = "stylegan"
    reference = Reference(
        title="A Style-Based Generator Architecture for Generative Adversarial Networks",
        authors=("Karras, Tero", "Laine, Samuli", "Aila, Timo"),
        year=2019,
        venue="IEEE/CVF Conference on Computer Vision and Pattern Recognition",
        arxiv="1812.04948",
        code="https://github.com/NVlabs/stylegan",
        networks="FFHQ, CelebA-HQ, Table 1 (A) to (F); CelebA, CIFAR-10, MNIST, own folders",
    )
    remedies = MappingProxyType(
        {"divergence": "a learning rate of 2e-3 instead of 3e-3 at 512x512 and above, as for CelebA-HQ (appendix C)"}
    )
    G: StyleGenerator
    G_ema: StyleGenerator

    def __init__(
        self,
        *,
        resolution: int = 1024,
        channels: int = 3,
        config: Config = "F",
        z_dim: int = 512,
        w_dim: int = 512,
        mapping_layers: int | None = None,
        fmap_base: int = 8192,
        fmap_max: int = 512,
        group_size: int = 4,
        loss: Literal["r1", "wgan_gp"] = "r1",
        r1_gamma: float = 10.0,
        gp_weight: float = 10.0,
        drift: float = 0.001,
        mixing_prob: float | None = None,
        w_average_beta: float = 0.995,
        truncation_cutoff: int = 8,
        start_resolution: int | None = None,
        stabilise_images: int = 600_000,
        fade_images: int = 600_000,
        devices: int = 8,
        batch_sizes: dict[int, int] | None = None,
        lrs: dict[int, float] | None = None,
        beta1: float = 0.0,
        beta2: float = 0.99,
        ema_half_life: float = 10_000,
    ) -> None:
        depth = mapping_layers if mapping_layers is not None else 8 if config >= "C" else 0
        if depth == 0 and w_dim != z_dim:
            raise ValueError(f"without mapping layers w is z: w_dim={w_dim} must be z_dim={z_dim}")
        if devices not in RELEASED_BATCH_SIZES:
            raise ValueError(f"devices={devices}: batch sizes are released for 1, 2, 4 and 8; set batch_sizes")
        growth = GrowthSchedule(
            final=resolution,
            start=start_resolution or min(resolution, 4 if config == "A" else 8),
            stabilise_images=stabilise_images,
            fade_images=fade_images,
            batch_sizes=by_resolution(batch_sizes) or RELEASED_BATCH_SIZES[devices],
            lrs=by_resolution(lrs) or LEARNING_RATES,
        )
        super().__init__(
            image_shape=(channels, resolution, resolution), z_dim=z_dim, growth=growth, ema_half_life=ema_half_life
        )
        self.save_hyperparameters()
        self.config, self.loss = config, loss
        self.scores_are_logits = loss == "r1"  # type: ignore[misc]
        self.r1_gamma, self.gp_weight, self.drift = r1_gamma, gp_weight, drift
        self.mixing_prob = mixing_prob if mixing_prob is not None else 0.9 if config == "F" else 0.0
        self.w_average_beta, self.truncation_cutoff = w_average_beta, truncation_cutoff
        self.betas = (float(beta1), float(beta2))  # Adam refuses integers
        self.G = StyleGenerator(
            resolution,
            channels=channels,
            z_dim=z_dim,
            w_dim=w_dim,
            mapping_layers=depth,
            fmap_base=fmap_base,
            fmap_max=fmap_max,
            config=config,
        )
        self.D = Discriminator(
            resolution, channels=channels, fmap_base=fmap_base, fmap_max=fmap_max, group_size=group_size, config=config
        )
        self.to(memory_format=torch.channels_last)  # same values, faster convolutions
        self.G_ema = cast(StyleGenerator, averaged_copy(self.G))

    # The losses (appendix C). D step, then G step, each with latents, noise and style mixing of its own.

    def uses_remedy(self, symptom: str) -> bool:
        return self.growth.final < 512 or max(self.growth.lrs.values()) <= 2e-3

    def discriminator_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        """softplus(D(G(z))) + softplus(-D(x)) + gamma / 2 E ||grad D(x)||^2, or the critic's of WGAN-GP with drift."""
        with torch.no_grad():
            fake = self.fakes(len(x))
        real_scores, fake_scores = self.score(x), self.score(fake)
        self.note_scores(real_scores, fake_scores)
        if self.loss == "r1":
            penalty = self.gradient_scale**2 * r1_penalty(self.score, x)
            self.log_extra(r1_penalty=penalty)
            return bce_discriminator_loss(real_scores, fake_scores) + self.r1_gamma / 2 * penalty
        unit = 1 / self.gradient_scale  # a norm of 1 with respect to full-size images
        penalty = gradient_penalty(self.score, x, fake, target=unit) / unit**2
        self.log_extra(gradient_penalty=penalty)
        drift = real_scores.square().mean()
        return wasserstein_critic_loss(real_scores, fake_scores) + self.gp_weight * penalty + self.drift * drift

    def generator_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        """softplus(-D(G(z))), or -D(G(z))."""
        scores = self.score(self.fakes(len(x)))
        return non_saturating_generator_loss(scores) if self.loss == "r1" else wasserstein_generator_loss(scores)

    def score(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """D(x) at the stage's alpha, [N, 1]."""
        scores: Tensor = self.D(x, alpha=self.alpha)
        return scores

    def fakes(self, n: int) -> Tensor:
        """n images [n, C, r, r] of G in training: w is tracked, styles are mixed, noise is fresh."""
        w = self.G.mapping(self.sample_z(n))  # [n, w_dim]
        self.track(w)
        resolution, alpha = self.stage.resolution, self.alpha
        noise = self.G.synthesis.noise_maps(n, resolution=resolution)
        images: Tensor = self.G.synthesis(self.mix(w, layers=len(noise)), noise, resolution=resolution, alpha=alpha)
        return images

    @torch.no_grad()
    def track(self, w: Tensor) -> None:
        """Moves the running average of w towards the mean of this batch on all devices."""
        mean = w.float().mean(0)
        if self._trainer is not None and self.trainer.world_size > 1:
            mean = self.trainer.strategy.reduce(mean, reduce_op="mean")
        self.G.w_average.lerp_(mean, 1 - self.w_average_beta)

    def mix(self, w: Tensor, *, layers: int) -> Tensor:
        """Mixing regularisation (section 3.1): w [N, w_dim] to styles [N, layers, w_dim].

        With probability `mixing_prob`, the layers from a random crossover on get the styles of a second z. There is
        one decision and one crossover, uniform over 1 .. layers - 1, for the batch of a device.
        """
        crossover = layers
        if self.mixing_prob > 0 and torch.rand((), generator=self.latent_generator).item() < self.mixing_prob:
            crossover = int(torch.randint(1, layers, (), generator=self.latent_generator))
        styles = w[:, None].expand(-1, crossover, -1)
        if crossover < layers:
            second: Tensor = self.G.mapping(self.sample_z(len(w)))
            styles = torch.cat([styles, second[:, None].expand(-1, layers - crossover, -1)], 1)
        return styles

    @property
    def sampling(self) -> str:
        return f"{super().sampling}; no truncation, random noise"

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        lr = self.growth.at(0).lr
        fused = self.device.type in ("cpu", "cuda")  # one pass over the weights instead of several
        return [
            torch.optim.Adam(net.parameters(), lr=lr, betas=self.betas, eps=1e-8, fused=fused)
            for net in (self.D, self.G)
        ]

    @property
    def trained_parts(self) -> tuple[nn.Module, ...]:
        """f, g and D: G itself is never called in training."""
        return self.G.mapping, self.G.synthesis, self.D
