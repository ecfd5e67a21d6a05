"""A Style-Based Generator Architecture for Generative Adversarial Networks.

T. Karras, S. Laine, T. Aila. CVPR 2019, arXiv 1812.04948. Authors' code: github.com/NVlabs/stylegan (not for commercial
use; nothing here is copied from it).

Here: the style-based generator (figure 1b) and every row of table 1, style mixing (section 3.1, table 2), the
truncation trick (appendix B), both losses (appendix C), and the tools that draw figures 2 to 5 and 8. The networks
themselves are in stylegan_networks.py, progressive growing in zoo/growing.py.
"""

from collections.abc import Callable, Container, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, cast

import torch
from torch import Tensor, nn

from zoo.adversarial import PaperMeasures, in_eval_mode
from zoo.growing import RELEASED_BATCH_SIZES, GrowingModule, GrowthSchedule, averaged_copy, by_resolution
from zoo.layers import upscale2d
from zoo.losses import (
    bce_discriminator_loss,
    gradient_penalty,
    non_saturating_generator_loss,
    r1_penalty,
    wasserstein_critic_loss,
    wasserstein_generator_loss,
)
from zoo.models.stylegan_networks import Config, Discriminator, Noise, StyleGenerator
from zoo.resume import mix_seed

if TYPE_CHECKING:
    from zoo.data.base import ImageDataModule

#: Learning rate from a resolution on (appendix C; CelebA-HQ stops at 2e-3).
LEARNING_RATES: Mapping[int, float] = {4: 1e-3, 128: 1.5e-3, 256: 2e-3, 512: 3e-3}

PATHS = 10_000  # of a path length on `test`
PIXELS_AT_A_TIME = 2**23  # of one map, when sampling: 8 images of 1024x1024, 8,192 of 32x32


class StyleGAN(GrowingModule):
    """Generator whose layers are each controlled by a style (figure 1b), grown progressively.

    Args:
        resolution: R, side of the images, a power of two from 4 to 1024.
        channels: of the images.
        config: row of table 1, "A" to "F"; see stylegan_networks. Losses and phases are set apart from it.
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
        self.beside: dict[str, Tensor] = {}  # what is reported beside the losses
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

    def discriminator_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        """softplus(D(G(z))) + softplus(-D(x)) + gamma / 2 E ||grad D(x)||^2, or the critic's of WGAN-GP with drift."""
        with torch.no_grad():
            fake = self.fakes(len(x))
        real_scores, fake_scores = self.score(x), self.score(fake)
        self.note_scores(real_scores, fake_scores)
        if self.loss == "r1":
            penalty = self.gradient_scale**2 * r1_penalty(self.score, x)
            self.beside = {"r1_penalty": penalty.detach()}
            return bce_discriminator_loss(real_scores, fake_scores) + self.r1_gamma / 2 * penalty
        unit = 1 / self.gradient_scale  # a norm of 1 with respect to full-size images
        penalty = gradient_penalty(self.score, x, fake, target=unit) / unit**2
        self.beside = {"gradient_penalty": penalty.detach()}
        drift = real_scores.square().mean()
        return wasserstein_critic_loss(real_scores, fake_scores) + self.gp_weight * penalty + self.drift * drift

    def generator_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        """softplus(-D(G(z))), or -D(G(z))."""
        scores = self.score(self.fakes(len(x)))
        return non_saturating_generator_loss(scores) if self.loss == "r1" else wasserstein_generator_loss(scores)

    def score(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """D(x) at the stage's alpha, [N, 1]."""
        scores: Tensor = self.D(x, alpha=self.stage.alpha)
        return scores

    def fakes(self, n: int) -> Tensor:
        """n images [n, C, r, r] of G in training: w is tracked, styles are mixed, noise is fresh."""
        w = self.G.mapping(self.sample_z(n))  # [n, w_dim]
        self.track(w)
        resolution, alpha = self.stage.resolution, self.stage.alpha
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

    def report(self, losses: dict[str, Tensor]) -> None:
        super().report({**losses, **self.beside})

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

    def compile_networks(self) -> None:
        """torch.compile of f, g and D in place; G itself is never called in training.

        A network has a graph for each resolution, with and without fade, with and without gradients, of one or of two
        styles: more than torch.compile keeps by default before it falls back to eager.
        """
        limit = 8 * (self.growth.doublings + 1)
        torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, limit)
        for net in (self.G.mapping, self.G.synthesis, self.D):
            net.compile()

    # Sampling, with the averaged weights unless ema=False, at the resolution that training has reached.

    @torch.no_grad()
    def styles(
        self,
        z: Tensor,
        *,
        truncation_psi: float | None = None,
        truncation_cutoff: int | None = None,
        ema: bool = True,
    ) -> Tensor:
        """z [N, z_dim] to one w in all layers, [N, layers, w_dim], truncated (appendix B): w_avg + psi (w - w_avg).

        Args:
            z: latents.
            truncation_psi: psi; None does not truncate.
            truncation_cutoff: number of layers, from 4x4, that are truncated; None takes the model's.
            ema: use the averaged weights.

        Raises:
            ValueError: truncation in rows A and B, which have no styles.
        """
        G = self.G_ema if ema else self.G
        with in_eval_mode(self):
            w: Tensor = G.mapping(z).float()[:, None].repeat(1, G.synthesis.layers, 1)
        if truncation_psi is not None:
            self.needs_styles("truncation_psi")
            cutoff = self.truncation_cutoff if truncation_cutoff is None else truncation_cutoff
            w[:, :cutoff] = torch.lerp(G.w_average, w[:, :cutoff], truncation_psi)
        return w

    @torch.no_grad()
    def render(
        self,
        w: Tensor,
        *,
        noise: Noise = "random",
        noise_layers: Container[int] | None = None,
        seed: int | None = None,
        ema: bool = True,
        upscale: bool = True,
    ) -> Tensor:
        """Styles [N, layers, w_dim] to float32 images, not cut off at -1 and 1.

        Args:
            w: a style for each layer.
            noise: "random" for each image, "const" the fixed maps, "none".
            noise_layers: numbers of the layers that get noise; None: all.
            seed: of random noise; None draws from torch's global generator.
            ema: use the averaged weights.
            upscale: [N, C, R, R], nearest neighbours repeated; else [N, C, r, r], the stage's own resolution.
        """
        synthesis, stage = (self.G_ema if ema else self.G).synthesis, self.stage
        generator = None if seed is None else torch.Generator().manual_seed(mix_seed(seed, "noise"))
        blocks = []
        with in_eval_mode(self):
            for block in torch.split(w, max(1, PIXELS_AT_A_TIME // stage.resolution**2)):
                maps = synthesis.noise_maps(
                    len(block), resolution=stage.resolution, kind=noise, layers=noise_layers, generator=generator
                )
                blocks.append(synthesis(block, maps, resolution=stage.resolution, alpha=stage.alpha).float())
        images = torch.cat(blocks)
        while upscale and images.shape[3] < self.growth.final:
            images = upscale2d(images)
        return images

    def synthesise(self, G: nn.Module, z: Tensor, y: Tensor | None) -> Tensor:
        """Images [N, C, r, r] of `G` or `G_ema` with one style and random noise."""
        maps = cast(StyleGenerator, G).synthesis.noise_maps(len(z), resolution=self.stage.resolution)
        images: Tensor = G(z, maps, resolution=self.stage.resolution, alpha=self.stage.alpha)
        return images

    def images_from(
        self,
        z: Tensor,
        *,
        truncation_psi: float | None = None,
        truncation_cutoff: int | None = None,
        noise: Noise = "random",
        noise_layers: Container[int] | None = None,
        seed: int | None = None,
        ema: bool = True,
        upscale: bool = True,
    ) -> Tensor:
        """Images [N, C, R, R] in [-1, 1] of latents z [N, z_dim]; arguments as for `styles` and `render`."""
        w = self.styles(z, truncation_psi=truncation_psi, truncation_cutoff=truncation_cutoff, ema=ema)
        images = self.render(w, noise=noise, noise_layers=noise_layers, seed=seed, ema=ema, upscale=upscale)
        return images.clamp(-1, 1)

    def sample(
        self,
        n: int,
        *,
        labels: Tensor | None = None,
        seed: int | None = None,
        truncation_psi: float | None = None,
        noise: Noise = "random",
        noise_layers: Container[int] | None = None,
        ema: bool = True,
        upscale: bool = True,
    ) -> Tensor:
        """n images [n, C, R, R] in [-1, 1] from a bare module.

        Args:
            n: number of images.
            labels: refused, the paper is unconditional.
            seed: makes the result a function of weights, n and seed; None draws from torch's global generator.
            truncation_psi: psi of the truncation trick; None (as for all figures of merit) does not truncate.
            noise: see `render`; likewise `noise_layers`, `ema` and `upscale`.
            noise_layers: of the ablation.
            ema: use the averaged weights.
            upscale: to the final resolution.
        """
        z, _ = self.draw(n, labels=labels, seed=seed)
        return self.images_from(
            z,
            truncation_psi=truncation_psi,
            noise=noise,
            noise_layers=noise_layers,
            seed=seed,
            ema=ema,
            upscale=upscale,
        )

    def style_mix(
        self,
        rows: Tensor,
        columns: Tensor,
        layers: Container[int],
        *,
        truncation_psi: float | None = None,
        noise: Noise = "const",
        ema: bool = True,
    ) -> Tensor:
        """Figure 3: image (i, j) has the styles of rows[i], but those of columns[j] in `layers`.

        Args:
            rows: latents [I, z_dim], the destinations.
            columns: latents [J, z_dim], the sources.
            layers: numbers of the synthesis layers, counted from 0; 2k and 2k + 1 are those of 4 * 2^k pixels.
            truncation_psi: as for `sample`.
            noise: see `render`.
            ema: use the averaged weights.

        Returns:
            [I, J, C, R, R] in [-1, 1].
        """
        self.needs_styles("style mixing")
        w_rows, w_columns = (self.styles(z, truncation_psi=truncation_psi, ema=ema) for z in (rows, columns))
        chosen = torch.tensor([layer in layers for layer in range(w_rows.shape[1])], device=w_rows.device)
        w = torch.where(chosen[:, None], w_columns[None], w_rows[:, None])  # [I, J, layers, w_dim]
        images = self.render(w.flatten(0, 1), noise=noise, ema=ema).clamp(-1, 1)
        return images.unflatten(0, (len(rows), len(columns)))  # type: ignore[no-any-return, no-untyped-call]

    def interpolate(
        self,
        a: Tensor,
        b: Tensor,
        *,
        steps: int,
        space: Literal["w", "z"] = "w",
        truncation_psi: float | None = None,
        noise: Noise = "const",
        ema: bool = True,
    ) -> Tensor:
        """Images on the way from a to b, both ends included: a line in W, a great circle in Z (section 4.1).

        Args:
            a: latents [N, z_dim].
            b: latents [N, z_dim].
            steps: images on each way.
            space: where the way is straight.
            truncation_psi: as for `sample`.
            noise: see `render`.
            ema: use the averaged weights.

        Returns:
            [N, steps, C, R, R] in [-1, 1].
        """
        from zoo.metrics.path_length import slerp

        t = torch.linspace(0, 1, steps, device=a.device)[:, None]  # [steps, 1]
        if space == "z":
            z = slerp(a[:, None], b[:, None], t).flatten(0, 1)  # [N * steps, z_dim]
            images = self.images_from(z, truncation_psi=truncation_psi, noise=noise, ema=ema)
        else:
            w_a, w_b = (self.styles(z, truncation_psi=truncation_psi, ema=ema)[:, None] for z in (a, b))
            w = torch.lerp(w_a, w_b, t[..., None])  # [N, steps, layers, w_dim]
            images = self.render(w.flatten(0, 1), noise=noise, ema=ema).clamp(-1, 1)
        return images.unflatten(0, (len(a), steps))  # type: ignore[no-any-return, no-untyped-call]

    def path_length(
        self,
        distance: Callable[[Tensor, Tensor], Tensor],
        *,
        space: Literal["w", "z"] = "w",
        sampling: Literal["full", "end"] = "full",
        pairs: int = 100_000,
        face_crop: bool = False,
        seed: int = 0,
    ) -> float:
        """Perceptual path length (section 4.1), without truncation and with the constant noise.

        Args:
            distance: `VGG16LPIPS` for the paper's figure; see zoo.metrics.path_length.
            space: where the paths run.
            sampling: "full" takes points anywhere on a path, "end" at its beginning.
            pairs: number of paths.
            face_crop: compare the centre of the face only, as the paper does.
            seed: of the paths.
        """
        from zoo.metrics.path_length import perceptual_path_length

        def synthesize(points: Tensor) -> Tensor:
            return self.render(points if space == "w" else self.styles(points), noise="const")

        value = perceptual_path_length(
            synthesize,
            distance,
            latents=lambda n, generator: self.latents(n, generator=generator).to(self.device),
            mapping=self.styles if space == "w" else None,
            sampling=sampling,
            pairs=pairs,
            face_crop=face_crop,
            seed=seed,
        )
        return float(value)

    def test_measures(self, data: "ImageDataModule", *, seed: int) -> PaperMeasures:
        """Path lengths of digits by the project's LeNet, full and end, in W (without mapping layers: in Z).

        They are figures of that network alone. The paper's, by VGG-16 with LPIPS' weights, are `path_length`'s.
        """
        from zoo.metrics.lenet import LeNetExtractor
        from zoo.metrics.path_length import ExtractorDistance

        if data.name not in ("MNIST", "Digits"):
            return PaperMeasures({}, {})
        lenet = LeNetExtractor().to(self.device)
        distance = ExtractorDistance(lenet)
        space: Literal["w", "z"] = "w" if len(self.G.mapping) > 1 else "z"
        values = {
            f"ppl_{sampling}_{space}_lenet{PATHS // 1000}k": self.path_length(
                distance, space=space, sampling=sampling, pairs=PATHS, seed=seed
            )
            for sampling in ("full", "end")
        }
        protocol = {"measure": "perceptual path length, epsilon 1e-4", "n_pairs": PATHS, "weights": "ema"}
        protocol |= {
            "extractor": lenet.name,
            "extractor_sha256": lenet.sha256,
            "sampling": "no truncation, const noise",
        }
        return PaperMeasures(values, {**protocol, "seed": seed})

    def needs_styles(self, what: str) -> None:
        """Raises ValueError in rows A and B."""
        if self.config < "C":
            raise ValueError(f"{what} needs styles, and row {self.config} of table 1 has none: take config C to F")
