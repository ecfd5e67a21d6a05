"""Progressive growing (Karras et al. 2018, section 2): the schedule, and the module that follows it.

A network grows from 4x4 by phases: it trains at a resolution ("stabilise"), then the layers of the next one are faded
in while alpha rises from 0 to 1, and so on. All of this is a function of the real images seen so far, and nothing
else is stored: a run resumed inside a fade goes on with the alpha it would have had.
"""

import copy
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from zoo.models.base.module import AdversarialModule, Batch, in_eval_mode
from zoo.nn.layers import downscale2d, fade, resolutions, update_average, upscale2d

Value = TypeVar("Value", int, float)

#: Global batch by resolution and number of devices in the authors' released configurations; the entry of the largest
#: resolution that is not above the stage's holds.
RELEASED_BATCH_SIZES: Mapping[int, Mapping[int, int]] = {
    1: {4: 128, 32: 64, 64: 32, 128: 16, 256: 8, 512: 4},
    2: {4: 256, 16: 128, 32: 64, 64: 32, 128: 16, 256: 8},
    4: {4: 512, 8: 256, 16: 128, 32: 64, 64: 32, 128: 16},
    8: {4: 512, 8: 256, 16: 128, 32: 64, 64: 32},
}


class Stage(NamedTuple):
    """What holds for one batch.

    Attributes:
        resolution: side of reals and samples in pixels.
        alpha: weight of the newest layers, in (0, 1]; 1 while nothing fades.
        batch_size: real images per update of D, over all devices.
        lr: learning rate of both players.
    """

    resolution: int
    alpha: float
    batch_size: int
    lr: float


@dataclass(frozen=True)
class GrowthSchedule:
    """Resolution, alpha, batch and learning rate as a function of the real images seen.

    Args:
        final: the resolution that is grown to, a power of two.
        start: the resolution that is begun with; equal to `final`, nothing grows.
        stabilise_images: real images shown at each resolution before the next one fades in.
        fade_images: real images shown while a resolution fades in.
        batch_sizes: global batch from a resolution on: {4: 16, 256: 14} is 16 up to 128x128 and 14 above.
        lrs: learning rate from a resolution on, likewise.
        ramp_up_images: the learning rate is multiplied by exp(-5 (1 - t)^2) while t = images seen / this is below 1.

    Raises:
        ValueError: resolutions that are no powers of two, a phase without images, a table without an entry for
            `start`, or a value out of range.
    """

    final: int
    start: int = 4
    stabilise_images: int = 800_000
    fade_images: int = 800_000
    batch_sizes: Mapping[int, int] = field(default_factory=lambda: {4: 16})
    lrs: Mapping[int, float] = field(default_factory=lambda: {4: 1e-3})
    ramp_up_images: int = 0

    def __post_init__(self) -> None:
        resolutions(self.final, start=self.start)
        if min(self.stabilise_images, self.fade_images, self.ramp_up_images) < 0:
            raise ValueError("stabilise_images, fade_images and ramp_up_images must not be negative")
        if self.doublings and self.stabilise_images + self.fade_images < 1:
            raise ValueError("stabilise_images and fade_images are both 0: growing takes images")
        tables: dict[str, Mapping[int, float]] = {"batch_sizes": self.batch_sizes, "lrs": self.lrs}
        for name, table in tables.items():
            if not table or min(table) > self.start:
                raise ValueError(f"{name}={dict(table)} has no entry for the resolution {self.start} or below")
            if min(table.values()) <= 0:
                raise ValueError(f"{name}={dict(table)} must be positive")

    @property
    def doublings(self) -> int:
        """How often the resolution doubles."""
        return (self.final // self.start).bit_length() - 1

    @property
    def grown_at(self) -> int:
        """Images seen when the final resolution is fully in."""
        return self.doublings * (self.stabilise_images + self.fade_images)

    def at(self, images_seen: int) -> Stage:
        """The stage of the batch whose first image is number `images_seen` of the run."""
        doubled, faded = self._progress(images_seen)
        resolution = self.start << (doubled + (faded > 0))
        lr = _entry(self.lrs, resolution)
        if images_seen < self.ramp_up_images:
            lr *= math.exp(-5 * (1 - images_seen / self.ramp_up_images) ** 2)
        return Stage(resolution, faded or 1.0, self.batch_size(resolution), lr)

    def batch_size(self, resolution: int) -> int:
        """Real images per update of D at a resolution, over all devices."""
        return _entry(self.batch_sizes, resolution)

    def phase(self, images_seen: int) -> int:
        """2k while the resolution start * 2^k stabilises, 2k + 1 while the next one fades in."""
        doubled, faded = self._progress(images_seen)
        return 2 * doubled + (faded > 0)

    def _progress(self, images_seen: int) -> tuple[int, float]:
        """Doublings completed, and the alpha of the next one in [0, 1)."""
        if images_seen >= self.grown_at:
            return self.doublings, 0.0
        doubled, within = divmod(images_seen, self.stabilise_images + self.fade_images)
        return doubled, max(0, within - self.stabilise_images) / max(1, self.fade_images)


def _entry(table: Mapping[int, Value], resolution: int) -> Value:
    return table[max(key for key in table if key <= resolution)]


def by_resolution(table: Mapping[int, Value] | None) -> dict[int, Value] | None:
    """A table of settings with whole numbers as keys: checkpoints of the command line keep those as text."""
    return None if table is None else {int(resolution): value for resolution, value in table.items()}


class GrowingModule(AdversarialModule):
    """Two players that grow: what follows from the schedule alone, whatever their layers and losses are.

    A paper sets `G`, `D` and `G_ema = averaged_copy(G)`, and writes `synthesise` and the losses, all of which read
    `stage`. It gives every resolution its parameters from the start; those above the stage's get no gradient.

    Args:
        image_shape: (C, R, R) of the fully grown images.
        z_dim: dimension of the latent z.
        growth: the schedule.
        n_critic: discriminator updates for each generator update.
        num_classes: number of classes if the paper uses labels, else None.
        ema_half_life: real images in which a generator's weight in the average `G_ema` falls by half.

    Raises:
        ValueError: the schedule ends at another resolution than `image_shape`.
    """

    G_ema: nn.Module

    def __init__(
        self,
        *,
        image_shape: tuple[int, ...],
        z_dim: int,
        growth: GrowthSchedule,
        n_critic: int = 1,
        num_classes: int | None = None,
        ema_half_life: float = 10_000,
    ) -> None:
        super().__init__(image_shape=image_shape, z_dim=z_dim, n_critic=n_critic, num_classes=num_classes)
        if image_shape[1:] != (growth.final, growth.final):
            raise ValueError(f"the schedule ends at {growth.final}x{growth.final}, the images have shape {image_shape}")
        self.growth = growth
        if growth.final >= 16:  # what both measures need
            self.pixel_measures = ("swd", "ms_ssim")
        self.ema_half_life = ema_half_life
        self._pinned: Stage | None = None

    @property
    def stage(self) -> Stage:
        """The stage of the step at hand; between steps, of the next one."""
        return self._pinned or self.growth.at(self.images_seen)

    @property
    def gradient_scale(self) -> float:
        """Norm of a gradient with respect to images enlarged to the final resolution, over that at the stage's own.

        The authors' D takes full-size images at every stage and shrinks them by 2x2 means itself, so that their
        penalties are on this smaller gradient: r / R of the one with respect to the images [N, C, r, r].
        """
        return self.stage.resolution / self.growth.final

    @property
    def sampling(self) -> str:
        """For the protocols of evaluations: what is done to samples of another size than the data's."""
        return f"samples below {self.growth.final}x{self.growth.final} enlarged by nearest neighbours"

    def synthesise(self, G: nn.Module, z: Tensor, y: Tensor | None) -> Tensor:
        """Images [N, C, r, r] of a generator (`G` or `G_ema`) at the stage's resolution r and alpha, not clamped."""
        raise NotImplementedError

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        with self.one_stage():
            super().training_step(batch, batch_idx)

    @contextmanager
    def one_stage(self) -> Iterator[None]:
        """Holds the stage while the counters advance; both Adams start anew when a fade begins or ends.

        They are emptied at the end of the last step before the border, so that a checkpoint written there is the
        state after it.
        """
        phase = self.growth.phase(self.images_seen)
        self._pinned = self.stage
        try:
            yield
        finally:
            self._pinned = None
        if self.growth.phase(self.images_seen) != phase:
            for optimizer in self.both_optimizers():
                optimizer.optimizer.state.clear()

    def before_update(self) -> None:
        for optimizer in self.both_optimizers():
            for group in optimizer.param_groups:
                group["lr"] = self.stage.lr

    def after_generator_update(self) -> None:
        images = self.stage.batch_size * self.n_critic
        update_average(self.G_ema, self.G, beta=0.5 ** (images / self.ema_half_life))

    def preprocess(self, x: Tensor) -> Tensor:
        """uint8 [N, C, H, W] to float [N, C, r, r] in [-1, 1], as sharp as the layers that are in (section 2).

        Larger images than the stage's are brought to its resolution by 2x2 means.
        """
        x = super().preprocess(x)
        while x.shape[3] > self.stage.resolution:
            x = downscale2d(x)
        if self.stage.alpha == 1:
            return x
        return fade(upscale2d(downscale2d(x)), x, alpha=self.stage.alpha)

    def report(self, losses: dict[str, Tensor]) -> None:
        if self.report_due(losses):
            stage = torch.tensor([self.stage.resolution, self.stage.alpha], device=self.device)
            losses = {**losses, "resolution": stage[0], "alpha": stage[1]}
        super().report(losses)

    def generate(self, z: Tensor, y: Tensor | None, *, ema: bool = True, upscale: bool = True) -> Tensor:
        """Images in [-1, 1] from latents z [N, z_dim] and labels y.

        Args:
            z: latents.
            y: labels [N], or None.
            ema: use the averaged weights.
            upscale: [N, C, R, R], nearest neighbours repeated; else [N, C, r, r], the stage's own resolution.
        """
        images = self.synthesise(self.G_ema if ema else self.G, z, y).clamp(-1, 1)
        while upscale and images.shape[3] < self.growth.final:
            images = upscale2d(images)
        return images

    @torch.no_grad()
    def sample(
        self,
        n: int,
        *,
        labels: Tensor | None = None,
        seed: int | None = None,
        truncation_psi: float | None = None,
        ema: bool = True,
        upscale: bool = True,
    ) -> Tensor:
        """n images from a bare module; see AdversarialModule.sample, and for `ema` and `upscale`, `generate`."""
        if truncation_psi is not None:
            raise ValueError(f"{type(self).__name__} has no truncation trick: leave truncation_psi out")
        z, y = self.draw(n, labels=labels, seed=seed)
        with in_eval_mode(self):
            return self.generate(z, y, ema=ema, upscale=upscale).float()

    def draw(self, n: int, *, labels: Tensor | None, seed: int | None) -> tuple[Tensor, Tensor | None]:
        """Latents [n, z_dim] and labels [n] (drawn uniformly where not given; None if unconditional) of `sample`."""
        if labels is not None and self.num_classes is None:
            raise ValueError(f"{type(self).__name__} is unconditional: leave labels out")
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        z = self.latents(n, generator=generator)
        if labels is None and self.num_classes is not None:
            labels = torch.randint(self.num_classes, (n,), generator=generator)
        return z.to(self.device), None if labels is None else labels.to(self.device)


def averaged_copy(G: nn.Module) -> nn.Module:
    """A copy of G to average its weights in: no gradients, never trained."""
    return copy.deepcopy(G).requires_grad_(False)
