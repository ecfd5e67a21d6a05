"""Progressive growing (Karras et al. 2018, section 2): the schedule, and the module that follows it.

A network grows from 4x4 by phases: it trains at a resolution ("stabilise"), then the layers of the next one are faded
in while alpha rises from 0 to 1, and so on. All of this is a function of the real images seen so far, and nothing
else is stored: a run resumed inside a fade goes on with the alpha it would have had.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from zoo.errors import UnsupportedSettingError
from zoo.models.base.module import AdversarialModule, Batch
from zoo.nn.layers import MinibatchStddev, downscale2d, fade, resolutions, update_average, upscale2d
from zoo.nn.schedules import GrowthSchedule, Stage


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
    growth: GrowthSchedule

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
        self.ema_half_life = ema_half_life
        self._pinned: Stage | None = None
        self._compiled = False

    @property
    def stage(self) -> Stage:
        """The stage of the step at hand; between steps, of the next one."""
        return self._pinned or self.growth.at(self.images_seen)

    @property
    def alpha(self) -> float | Tensor:
        """The stage's alpha as the networks take it: see `is_fading`."""
        fades = self._compiled and self.stage.alpha < 1
        return torch.tensor(self.stage.alpha, device=self.device) if fades else self.stage.alpha

    def compile_networks(self) -> None:
        """As for all networks, with alpha as a tensor from here on.

        A network has a graph for each resolution, with and without fade, with and without gradients, and StyleGAN's of
        one or of two styles: more than torch.compile keeps by default before it falls back to eager.
        """
        limit = 8 * (self.growth.doublings + 1)
        torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, limit)
        super().compile_networks()
        self._compiled = True

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

    def check_data(
        self,
        name: str,
        *,
        image_shape: tuple[int, ...],
        num_classes: int | None,
        devices: int = 1,
        batch_size: int | None = None,  # the schedule has its own
    ) -> None:
        super().check_data(name, image_shape=image_shape, num_classes=num_classes, devices=devices)
        groups = [layer.group_size for layer in self.D.modules() if isinstance(layer, MinibatchStddev)]
        for resolution in resolutions(self.growth.final, start=self.growth.start):
            batch = max(1, self.growth.batch_size(resolution) // devices)
            for size in groups:
                if batch % min(size or batch, batch):
                    raise UnsupportedSettingError(
                        f"a device's batch of {batch} images at {resolution}x{resolution} cannot be cut into groups of "
                        f"group_size={size}: set model.batch_sizes, or a model.group_size that divides it"
                    )

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

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        stage = self.growth.at(self.images_seen)
        checkpoint["zoo"]["stage"] = {"resolution": stage.resolution, "alpha": stage.alpha}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuses phases that would put a run that goes on elsewhere: layers would be in that were never faded in."""
        super().on_load_checkpoint(checkpoint)
        stood = checkpoint.get("zoo", {}).get("stage")
        if stood is None or self._trainer is None or not self.trainer.training:
            return
        seen = int(checkpoint["state_dict"]["images_seen"])
        now = self.growth.at(seen)
        if (stood["resolution"], stood["alpha"]) != (now.resolution, now.alpha):
            was, would = (f"{r}x{r} with alpha {a:.4g}" for r, a in (stood.values(), (now.resolution, now.alpha)))
            raise UnsupportedSettingError(
                f"after {seen:,} images this run stands at {was}, and with these phases it would at {would}: leave "
                "start_resolution, stabilise_images and fade_images as they were, or begin anew"
            )

    def before_update(self) -> None:
        for optimizer in self.both_optimizers():
            for group in optimizer.param_groups:
                group["lr"] = self.stage.lr
        self.log_extra(resolution=self.stage.resolution, alpha=self.stage.alpha)

    def after_generator_update(self) -> None:
        images = (self.batch_images or self.stage.batch_size) * self.n_critic
        update_average(self.G_ema, self.G, beta=0.5 ** (images / self.ema_half_life))

    def suits(self, shape: tuple[int, ...]) -> bool:
        """Squares of the stage's resolution, or of the final one, which are brought to it."""
        sides = (self.stage.resolution, self.growth.final)
        return tuple(shape) in [(self.image_shape[0], side, side) for side in sides]

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

    def images_of(
        self, z: Tensor, y: Tensor | None, *, seed: int | None, truncation_psi: float | None, ema: bool
    ) -> Tensor:
        return self.some_at_a_time(partial(self.generate, ema=ema), z, y)


def averaged_copy(G: nn.Module) -> nn.Module:
    """A copy of G to average its weights in: no gradients, never trained."""
    return copy.deepcopy(G).requires_grad_(False)
