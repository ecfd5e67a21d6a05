"""Progressive Growing of GANs for Improved Quality, Stability, and Variation.

T. Karras, T. Aila, S. Laine, J. Lehtinen. ICLR 2018, arXiv 1710.10196.
Authors' code: github.com/tkarras/progressive_growing_of_gans (the branch original-theano-version made the figures).

Here: the growing networks of Table 2 with every row (a) to (h) of the ablation in Table 1, the WGAN-GP loss with drift
term (appendix A.1; with gamma = 750 and a joint update for CIFAR-10, section 6.5), and the schedules of CelebA-HQ,
LSUN, Table 1, CIFAR-10 and of the released TensorFlow code. The networks are in networks/pggan.py.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.models.base.growing import GrowingModule, averaged_copy
from zoo.models.base.module import Batch
from zoo.models.networks.pggan import ROWS, Config, Discriminator, Generator
from zoo.nn.interpolation import slerp
from zoo.nn.layers import feature_maps, update_average
from zoo.nn.losses import gradient_penalty, wasserstein_critic_loss, wasserstein_generator_loss
from zoo.nn.modes import in_eval_mode
from zoo.nn.reference import Reference
from zoo.nn.schedules import RELEASED_BATCH_SIZES, GrowthSchedule, by_resolution

IMAGES_AT_A_TIME = 64  # when sampling along a path

Schedule = Literal["celebahq", "lsun", "table1", "cifar10", "released_1", "released_2", "released_4", "released_8"]

RELEASED_LRS: Mapping[int, Mapping[int, float]] = {
    1: {4: 1e-3, 1024: 1.5e-3},
    2: {4: 1e-3, 512: 1.5e-3, 1024: 2e-3},
    4: {4: 1e-3, 256: 1.5e-3, 512: 2e-3, 1024: 3e-3},
    8: {4: 1e-3, 128: 1.5e-3, 256: 2e-3, 512: 3e-3},
}


def schedule_of(name: Schedule, *, resolution: int, config: Config = "h") -> GrowthSchedule:
    """The authors' schedule for an experiment, ending at `resolution`; the rows of Table 1 differ from one another."""
    phase: dict[str, Any] = {"stabilise_images": 800_000, "fade_images": 800_000}
    if name == "celebahq":  # appendix A.1
        table = {4: 16, 256: 14, 512: 6, 1024: 3}
        return GrowthSchedule(resolution, batch_sizes=table, ramp_up_images=40_000, **phase)
    if name == "lsun":
        return GrowthSchedule(resolution, ramp_up_images=40_000, **phase)
    if name == "cifar10":  # section 6.5
        return GrowthSchedule(resolution, stabilise_images=400_000, fade_images=400_000)
    if name == "table1":  # section 6.1
        return GrowthSchedule(
            resolution,
            start=resolution if config == "a" else 4,
            batch_sizes={4: 64 if config in "ab" else 16},
            lrs={4: 1e-3 if config in "fgh" else 1e-4},
            **phase,
        )
    devices = int(name.removeprefix("released_"))
    return GrowthSchedule(
        resolution,
        stabilise_images=600_000,
        fade_images=600_000,
        batch_sizes=RELEASED_BATCH_SIZES[devices],
        lrs=RELEASED_LRS[devices],
    )


def smooth_latents(z: Tensor, *, sigma: float) -> Tensor:
    """Latents [frames, z_dim] blurred along a closed time axis by a Gaussian, brought back to unit mean square."""
    time = torch.arange(len(z), dtype=torch.float64)
    distance = torch.minimum(time, len(z) - time)
    kernel = torch.exp(-0.5 * (distance / sigma) ** 2)  # [frames], 1 at no distance
    spectrum = torch.fft.rfft(z.double(), dim=0) * torch.fft.rfft(kernel)[:, None]
    blurred = torch.fft.irfft(spectrum, n=len(z), dim=0)
    unit: Tensor = blurred / blurred.square().mean().sqrt()
    return unit.to(z.dtype)


class PGGAN(GrowingModule):
    """Progressive growing with WGAN-GP (or without growing: row a).

    Args:
        resolution: of the fully grown images, a power of two.
        channels: of the images.
        schedule: phases, batches and learning rates of which experiment; `released_K` is the TensorFlow code's for K
            devices.
        config: row of Table 1.
        fmap_base: feature maps are fmap_base / (resolution / 2), at most fmap_max.
        fmap_max: see fmap_base.
        z_dim: dimension of the latent; None takes 128 for rows a to c, else the width of the dense layers.
        num_classes: labels are fed to G, and D classifies (AC-GAN); None is unconditional.
        acgan_weight: of the cross-entropies.
        gp_weight: lambda.
        gp_target: gamma.
        drift_weight: epsilon_drift; None takes 0.001, for rows a to c 0.
        joint_update: update both players from the same samples and the same weights (CIFAR-10).
        group_size: of the minibatch standard deviation; None is the batch of a device, as for the paper's figures.
        beta2: Adam's second moment decay; None takes 0.99, for rows a to c 0.9.
        ema_beta: decay of the generator's average per update of G; None takes 0.999, for rows a to c less.
        start_resolution: that training begins at; None takes the schedule's, as for the following.
        stabilise_images: real images at each resolution.
        fade_images: real images while a resolution fades in.
        batch_sizes: batch over all devices from a resolution on, such as {4: 16, 256: 14}.
        lrs: learning rate from a resolution on, likewise.
        truncate_faded: reals of a fade are cut off to whole grey levels, as by the Theano code (of the paper's figures)
            and not by the TensorFlow code.
        fused_scale: D halves the maps of a block before its last leaky ReLU, as the TensorFlow code does by default,
            and not after it (Table 2, Theano code).

    Raises:
        ValueError: a resolution that is no power of two, or a joint update with n_critic > 1.
    """

    paper = "pggan"
    reference = Reference(
        title="Progressive Growing of GANs for Improved Quality, Stability, and Variation",
        authors=("Karras, Tero", "Aila, Timo", "Laine, Samuli", "Lehtinen, Jaakko"),
        year=2018,
        venue="International Conference on Learning Representations",
        arxiv="1710.10196",
        code="https://github.com/tkarras/progressive_growing_of_gans",
        networks="CelebA-HQ, Table 1 (a) to (h), CIFAR-10; CelebA, MNIST, own folders",
    )
    scores_are_logits = False

    def __init__(
        self,
        *,
        resolution: int = 1024,
        channels: int = 3,
        schedule: Schedule = "celebahq",
        config: Config = "h",
        fmap_base: int = 8192,
        fmap_max: int = 512,
        z_dim: int | None = None,
        num_classes: int | None = None,
        acgan_weight: float = 1.0,
        gp_weight: float = 10.0,
        gp_target: float = 1.0,
        drift_weight: float | None = None,
        joint_update: bool = False,
        group_size: int | None = None,
        beta2: float | None = None,
        ema_beta: float | None = None,
        start_resolution: int | None = None,
        stabilise_images: int | None = None,
        fade_images: int | None = None,
        batch_sizes: dict[int, int] | None = None,
        lrs: dict[int, float] | None = None,
        truncate_faded: bool = False,
        fused_scale: bool = False,
    ) -> None:
        row = ROWS[config]
        if joint_update and row.n_critic > 1:
            raise ValueError(f"config {config} updates D {row.n_critic} times for each update of G: no joint_update")
        width = (fmap_base, fmap_max)
        growth = schedule_of(schedule, resolution=resolution, config=config)
        own: dict[str, Any] = {
            "start": start_resolution,
            "stabilise_images": stabilise_images,
            "fade_images": fade_images,
            "batch_sizes": by_resolution(batch_sizes),
            "lrs": by_resolution(lrs),
        }
        growth = dataclasses.replace(growth, **{key: value for key, value in own.items() if value is not None})
        super().__init__(
            image_shape=(channels, resolution, resolution),
            z_dim=z_dim or (128 if row.batchnorm else feature_maps(2, fmap_base=fmap_base, fmap_max=fmap_max)),
            growth=growth,
            n_critic=row.n_critic,
            num_classes=num_classes,
        )
        self.save_hyperparameters()
        self.acgan_weight, self.gp_weight, self.gp_target = acgan_weight, gp_weight, gp_target
        self.drift_weight = row.drift_weight if drift_weight is None else drift_weight
        self.beta2 = row.beta2 if beta2 is None else beta2
        self.ema_beta = row.ema_beta if ema_beta is None else ema_beta
        self.joint_update, self.truncate_faded = joint_update, truncate_faded
        self.G = Generator(
            resolution, channels=channels, z_dim=self.z_dim, width=width, row=row, num_classes=num_classes
        )
        self.D = Discriminator(
            resolution,
            channels=channels,
            width=width,
            row=row,
            group_size=group_size,
            num_classes=num_classes,
            fused_scale=fused_scale,
        )
        self.to(memory_format=torch.channels_last)  # same values, faster convolutions and up- and downscaling
        self.G_ema = averaged_copy(self.G)

    # The losses (appendix A.1).

    def discriminator_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        return self.critic_loss(x, y, *self.fakes(len(x)))

    def generator_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        return self.adversary_loss(*self.fakes(len(x)))

    def critic_loss(self, x: Tensor, y: Tensor | None, fake: Tensor, fake_labels: Tensor | None) -> Tensor:
        """E D(fake) - E D(x) + lambda / gamma^2 E (||grad D(x_hat)|| - gamma)^2 + epsilon_drift E D(x)^2.

        With labels also the cross-entropies of reals and samples. The gradient is that with respect to images of the
        final size (see `gradient_scale`), which is a factor on its norm.
        """
        real_out, fake_out = self.D(x, alpha=self.alpha), self.D(fake, alpha=self.alpha)
        scores = real_out[:, 0]
        self.note_scores(scores, fake_out[:, 0])
        scale, gamma = self.gradient_scale, self.gp_target
        penalty = scale**2 * gradient_penalty(self.score, x, fake, target=gamma / scale)
        loss: Tensor = wasserstein_critic_loss(scores, fake_out[:, 0])
        self.log_extra(wasserstein_estimate=-loss, gradient_penalty=penalty / gamma**2)
        loss = loss + self.gp_weight / gamma**2 * penalty + self.drift_weight * scores.square().mean()
        if fake_labels is not None:
            if y is None:
                raise ValueError("num_classes is set, but the data has no labels: leave model.num_classes out")
            error = F.cross_entropy(real_out[:, 1:], y) + F.cross_entropy(fake_out[:, 1:], fake_labels)
            loss = loss + self.acgan_weight * error
        return loss

    def adversary_loss(self, fake: Tensor, fake_labels: Tensor | None) -> Tensor:
        """-E D(fake), and with labels the cross-entropy of the samples."""
        out = self.D(fake, alpha=self.alpha)
        loss = wasserstein_generator_loss(out[:, 0])
        if fake_labels is not None:
            loss = loss + self.acgan_weight * F.cross_entropy(out[:, 1:], fake_labels)
        return loss

    def score(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """D(x) without class logits, [N]."""
        out: Tensor = self.D(x, alpha=self.alpha)
        return out[:, 0]

    def fakes(self, n: int) -> tuple[Tensor, Tensor | None]:
        """n fresh samples at the stage's resolution, and their labels, drawn uniformly."""
        labels = None
        if self.num_classes is not None:
            labels = torch.randint(self.num_classes, (n,), generator=self.latent_generator).to(self.device)
        return self.synthesise(self.G, self.sample_z(n), labels), labels

    def synthesise(self, G: nn.Module, z: Tensor, y: Tensor | None) -> Tensor:
        images: Tensor = G(z, y, resolution=self.stage.resolution, alpha=self.alpha)
        return images

    # Sampling, with the averaged weights unless ema=False.

    @torch.no_grad()
    def interpolate(
        self, a: Tensor, b: Tensor, *, steps: int, labels: Tensor | None = None, ema: bool = True
    ) -> Tensor:
        """Images on great circles from a to b, both ends included.

        Args:
            a: latents [N, z_dim].
            b: latents [N, z_dim].
            steps: images on each way.
            labels: of each way, int64 [N]; conditional networks need them.
            ema: use the averaged weights.

        Returns:
            [N, steps, C, R, R] in [-1, 1].
        """
        t = torch.linspace(0, 1, steps, device=a.device)[:, None]  # [steps, 1]
        z = slerp(a[:, None], b[:, None], t).flatten(0, 1) * self.z_dim**0.5  # as long as a latent is
        y = None if labels is None else labels.repeat_interleave(steps).to(self.device)
        images = self.images_from(z, y, ema=ema)
        return images.view(len(a), steps, *images.shape[1:])

    @torch.no_grad()
    def walk(
        self, frames: int, *, every: int = 1, sigma: float = 45.0, seed: int = 0, label: int | None = None
    ) -> Tensor:
        """Frames of the authors' videos: latents of each frame drawn apart, then blurred over time.

        Args:
            frames: of the video, which is closed: its last frame leads to its first.
            every: only each so many-th frame is drawn.
            sigma: standard deviation of the Gaussian filter in frames, above 0; the authors' 45 at 60 frames a second.
            seed: of the latents.
            label: the class of all frames; conditional networks need one.

        Returns:
            [frames / every, rounded up, C, R, R] in [-1, 1].
        """
        if not min(frames, every, sigma) > 0:
            raise ValueError(f"frames, every and sigma must be above 0, not {frames}, {every} and {sigma}")
        draws = self.latents(frames, generator=torch.Generator().manual_seed(seed))
        z = smooth_latents(draws, sigma=sigma)[::every].to(self.device)
        return self.images_from(z, None if label is None else torch.full((len(z),), label, device=self.device))

    def images_from(self, z: Tensor, y: Tensor | None, *, ema: bool = True) -> Tensor:
        """Images [N, C, R, R] in [-1, 1] of latents z [N, z_dim] and labels y [N], some at a time."""
        if (y is None) != (self.num_classes is None):
            raise ValueError("labels are for networks with num_classes, and those need them")
        parts = range(0, len(z), IMAGES_AT_A_TIME)
        with in_eval_mode(self):
            blocks = [
                self.generate(z[i : i + IMAGES_AT_A_TIME], None if y is None else y[i : i + IMAGES_AT_A_TIME], ema=ema)
                for i in parts
            ]
        return torch.cat(blocks).float()

    # The training.

    def preprocess(self, x: Tensor) -> Tensor:
        faded = super().preprocess(x)
        if not self.truncate_faded or self.stage.alpha == 1:
            return faded
        grey = faded.add(1).mul(127.5).add(1e-3).floor()  # float32 may be a little below a whole grey level
        return grey.div(127.5).sub(1)

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        if self.joint_update:
            with self.one_stage():
                self.update_jointly(*batch)
        else:
            super().training_step(batch, batch_idx)

    def update_jointly(self, x: Tensor, y: Tensor | None) -> None:
        """Both gradients at the weights before either update, from the same samples."""
        optimizer_D, optimizer_G = self.both_optimizers()
        self.before_update()
        with self.toggled_optimizer(optimizer_G):
            fake, labels = self.fakes(len(x))
            loss_G = self.adversary_loss(fake, labels)
            optimizer_G.zero_grad()
            self.manual_backward(loss_G)
        with self.toggled_optimizer(optimizer_D):
            loss_D = self.critic_loss(x, y, fake.detach(), labels)
            optimizer_D.zero_grad()
            self.manual_backward(loss_D)
        optimizer_D.step()
        optimizer_G.step()
        self.count_discriminator_step(x)
        self.count_generator_step()
        self.report({"loss_discriminator": loss_D.detach(), "loss_generator": loss_G.detach()})

    def after_generator_update(self) -> None:
        """The average has a decay per update, whatever the batch (unlike what `ema_half_life` gives)."""
        update_average(self.G_ema, self.G, beta=self.ema_beta)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        lr, betas = self.growth.at(0).lr, (0.0, self.beta2)
        fused = self.device.type in ("cpu", "cuda")  # one pass over the weights instead of several
        return [
            torch.optim.Adam(net.parameters(), lr=lr, betas=betas, eps=1e-8, fused=fused) for net in (self.D, self.G)
        ]
