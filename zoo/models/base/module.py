"""The two-player game as a LightningModule: the alternating loop, and nothing else.

A paper subclasses `AdversarialModule`, sets `G` and `D`, and writes `discriminator_loss`, `generator_loss` and
`configure_optimizers` (discriminator first). Its contract, hook by hook, is README.md of zoo/models.
"""

import inspect
from collections.abc import Mapping
from types import FrameType
from typing import Any, ClassVar, cast

import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from torch import Tensor, nn

from zoo.data.base import ImageDataModule
from zoo.errors import UnsupportedSettingError
from zoo.models.base.monitor import MonitoredModule
from zoo.models.base.ranges import refuse_wrong
from zoo.models.base.refusals import (
    refuse_foreign_stream,
    refuse_swapped_players,
    refuse_unusable_module,
    refuse_unusable_settings,
)
from zoo.models.base.sampling import SamplingModule
from zoo.nn.schedules import GrowthSchedule

Batch = tuple[Tensor, Tensor | None]


class AdversarialModule(MonitoredModule, SamplingModule):
    """Generator against discriminator under manual optimization.

    Every batch is one update of D on fresh reals; every `n_critic`-th update of D is followed by one of G
    (Goodfellow et al. 2014, Algorithm 1, with k = `n_critic`).

    Args:
        image_shape: (C, H, W) of the images that G makes, or (2,) for points in the plane.
        z_dim: dimension of the latent z.
        n_critic: discriminator updates for each generator update.
        num_classes: number of classes if G is conditional on a label, else None.

    Attributes:
        G: the generator.
        D: the discriminator or critic.
        G_ema: the average of G's weights, of the papers that sample with it; else None.
        growth: the schedule, of the papers whose networks grow; else None.
        batch_images: reals of D's last update, over all devices.
    """

    D: nn.Module
    growth: GrowthSchedule | None
    remedies: ClassVar[Mapping[str, str]] = {}  # the paper's, for "collapse", "saturation", "divergence"

    def __init__(
        self,
        *,
        image_shape: tuple[int, ...],
        z_dim: int,
        n_critic: int = 1,
        num_classes: int | None = None,
    ) -> None:
        super().__init__()
        refuse_wrong({"z_dim": z_dim, "n_critic": n_critic, "num_classes": num_classes})
        if not image_shape or min(image_shape) < 1:
            raise UnsupportedSettingError(f"images of shape {image_shape} have no pixels")
        self.automatic_optimization = False
        self.image_shape = image_shape
        self.z_dim = z_dim
        self.n_critic = n_critic
        self.num_classes = num_classes
        self.G_ema = None
        self.growth = None
        self.batch_images = 0

    def uses_remedy(self, symptom: str) -> bool:
        """Whether what `remedies` names against a symptom is done already: then nobody is told to."""
        return False

    def save_hyperparameters(
        self, *args: Any, ignore: Any = None, frame: FrameType | None = None, logger: bool = True
    ) -> None:
        """Lightning's own, called in a paper's constructor; then the settings are looked at.

        Raises:
            UnsupportedSettingError: one that makes no sense for any paper, see `zoo.models.base.ranges`.
        """
        here = inspect.currentframe()
        frame = frame or (here.f_back if here else None)
        super().save_hyperparameters(*args, ignore=ignore, frame=frame, logger=logger)
        refuse_wrong(self.hparams)

    def discriminator_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        """Scalar that D minimises, on reals x [N, C, H, W] in the paper's own scale and labels y [N] or None."""
        raise NotImplementedError

    def generator_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        """Scalar that G minimises; the reals are there for their number and for the papers that compare with them."""
        raise NotImplementedError

    def after_discriminator_update(self) -> None:
        """Runs under no_grad after each update of D (WGAN clips here)."""

    def after_generator_update(self) -> None:
        """Runs under no_grad after each update of G (the moving average of the weights is kept here)."""

    def before_update(self) -> None:
        """Runs at the start of each training step; schedules set their learning rates here, from the counters."""

    def generator_is_due(self) -> bool:
        """Whether G's turn has come, after an update of D; a function of the counters, so that resuming is exact."""
        return self.discriminator_steps % self.n_critic == 0

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        x, y = batch
        optimizer_D, optimizer_G = self.both_optimizers()
        self.before_update()
        with self.toggled_optimizer(optimizer_D):
            loss_D = self.discriminator_loss(x, y)
            self.descend(optimizer_D, loss_D)
        self.count_discriminator_step(x)
        losses = {"loss_discriminator": loss_D.detach()}
        if self.generator_is_due():
            with self.toggled_optimizer(optimizer_G):
                loss_G = self.generator_loss(x, y)
                self.descend(optimizer_G, loss_G)
            self.count_generator_step()
            losses["loss_generator"] = loss_G.detach()
        self.report(losses)

    def both_optimizers(self) -> tuple[LightningOptimizer, LightningOptimizer]:
        """The optimizers of D and of G, as `configure_optimizers` returned them.

        Raises:
            UnsupportedSettingError: it returned one, or more than two.
        """
        optimizers = self.optimizers()
        if not isinstance(optimizers, list) or len(optimizers) != 2:
            raise UnsupportedSettingError(
                f"{type(self).__name__}.configure_optimizers must return two optimizers: D's, then G's"
            )
        return optimizers[0], optimizers[1]

    def descend(
        self,
        optimizer: LightningOptimizer,
        loss: Tensor,
        *,
        gradient: Tensor | None = None,
        inputs: list[Tensor] | None = None,
    ) -> None:
        """One gradient step.

        Args:
            optimizer: of the player that moves.
            loss: a scalar; or any tensor, if its gradient is known already.
            gradient: of what is minimised with respect to `loss`, in its shape.
            inputs: tensors that the gradients go to, and to no others; None for all that need them.
        """
        optimizer.zero_grad()
        if gradient is None and inputs is None:
            self.manual_backward(loss)
        else:
            self.manual_backward(loss, gradient=gradient, inputs=inputs)
        with self.measured(optimizer):
            optimizer.step()

    @torch.no_grad()
    def count_discriminator_step(self, x: Tensor) -> None:
        """Advances the clock by one update of D on the local reals x, and runs the paper's hook."""
        self.discriminator_steps += 1
        self.batch_images = x.shape[0] * self.trainer.world_size
        self.images_seen += self.batch_images
        self.after_discriminator_update()

    @torch.no_grad()
    def count_generator_step(self) -> None:
        """Advances the clock by one update of G, and runs the paper's hook."""
        self.generator_steps += 1
        self.after_generator_update()

    def score(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """D's outputs, [N] or [N, 1], on images x in the scale of `preprocess` and labels y where it takes them."""
        scores: Tensor = self.D(x)
        return scores

    def preprocess(self, x: Tensor) -> Tensor:
        """uint8 images [N, C, H, W] to what D is trained on: float32 in [-1, 1] unless the paper says otherwise."""
        return x.float().div_(127.5).sub_(1.0)

    def test_step(self, batch: object, batch_idx: int) -> None:
        """Nothing: the evaluation callback measures samples, which no test set feeds."""

    def on_after_batch_transfer(self, batch: object, dataloader_idx: int) -> object:
        """In training, a batch of any loader becomes (x in the paper's scale, labels or None)."""
        if not self.trainer.training:
            return batch
        x, y = self.taken_apart(batch)
        if y is None and (self.num_classes or 1) > 1:
            raise UnsupportedSettingError(f"num_classes is {self.num_classes}, and the data have no labels")
        return self.preprocess(x), y

    def taken_apart(self, batch: object) -> Batch:
        """Images and labels of a batch: (x, y), (x,) or x alone, with x uint8 [N, C, H, W] (points: float32 [N, 2]).

        Raises:
            UnsupportedSettingError: another form, type or shape, which would train on something else in silence.
        """
        parts = (batch,) if isinstance(batch, Tensor) else batch
        kind, dtype = type(self).__name__, torch.float32 if len(self.image_shape) == 1 else torch.uint8
        if not isinstance(parts, list | tuple) or len(parts) not in (1, 2) or not isinstance(parts[0], Tensor):
            raise UnsupportedSettingError(
                f"{kind} takes batches (images, labels) or images alone, not {type(batch).__name__}"
            )
        x, y = (*parts, None)[:2]
        if x.dtype != dtype:
            scaled = " and scales them itself: leave ToTensor and Normalize out" if dtype == torch.uint8 else ""
            raise UnsupportedSettingError(f"{kind} takes {dtype}{scaled}, and the loader gives {x.dtype}")
        if not self.suits(x.shape[1:]):
            raise UnsupportedSettingError(
                f"{kind} takes images of shape {self.image_shape} (channels, height, width), and the loader gives "
                f"{tuple(x.shape[1:])}"
            )
        if len(x) == 1 and self.compares_images:
            raise UnsupportedSettingError(
                f"the BatchNorm of this {kind} compares the images of a batch, and the loader gives a batch of 1: set "
                "its drop_last"
            )
        return x, y

    def suits(self, shape: tuple[int, ...]) -> bool:
        """Whether a real of this shape may be trained on."""
        return tuple(shape) == tuple(self.image_shape)

    @property
    def compares_images(self) -> bool:
        """Whether a layer needs two images in a batch."""
        return any(isinstance(layer, nn.BatchNorm1d) for layer in self.modules())

    def setup(self, stage: str) -> None:
        trainer = cast(Any, self.trainer)
        if stage == "fit":
            refuse_unusable_settings(trainer)
            refuse_unusable_module(self)
            data = getattr(trainer, "datamodule", None)
            self.refuse_absent_classes(data)
            if isinstance(data, ImageDataModule):
                self.check_data(
                    data.name,
                    image_shape=data.image_shape,
                    num_classes=data.num_classes,
                    devices=trainer.world_size,
                    batch_size=data.batch_size,
                )
            if trainer.log_every_n_steps not in (0, 50):  # 50 is Lightning's own, which nobody asked for
                self.log_every = trainer.log_every_n_steps
        if stage == "test" and all(type(one).__module__.startswith("lightning.") for one in trainer.callbacks):
            rank_zero_warn(
                "nothing is measured: samples are, by the callback Evaluation of zoo.training.callbacks, by `zoo test` "
                "and by `zoo evaluate`"
            )

    def on_fit_start(self) -> None:
        super().on_fit_start()
        refuse_swapped_players(self.trainer.optimizers, D=self.D, G=self.G)
        if self.trainer.lr_scheduler_configs:
            rank_zero_warn(
                "the loop steps no learning rate scheduler: do it in a hook, or set the rates in before_update, as a "
                "function of the counters"
            )

    def on_train_start(self) -> None:
        super().on_train_start()
        refuse_foreign_stream(self.trainer)

    def refuse_absent_classes(self, data: ImageDataModule | None) -> None:
        """Raises UnsupportedSettingError where samples would be drawn of classes that the data leave out."""
        kept = getattr(data, "classes", None)
        if data is not None and isinstance(kept, list | tuple) and len(set(kept)) < (self.num_classes or 1):
            name = getattr(data, "name", type(data).__name__)
            raise UnsupportedSettingError(
                f"{name} is cut down to the classes {list(kept)}, and this {type(self).__name__} draws samples of "
                f"all {self.num_classes}, which measures would count: leave data.classes out, take a model without "
                "labels, or put the images of these classes into folders (--data ImageFolder)"
            )

    def check_data(
        self,
        name: str,
        *,
        image_shape: tuple[int, ...],
        num_classes: int | None,
        devices: int = 1,
        batch_size: int | None = None,
    ) -> None:
        """Raises UnsupportedSettingError if these data, in batches of so many on so many devices, do not suit."""
        kind = type(self).__name__
        alone = batch_size is not None and batch_size // devices == 1
        if alone and self.compares_images:
            raise UnsupportedSettingError(
                f"the BatchNorm of this {kind} compares the images of a batch, and a device's has 1: set "
                f"data.batch_size to {2 * devices} or more"
            )
        if image_shape != self.image_shape:
            raise UnsupportedSettingError(
                f"{name} gives images of shape {image_shape}, {kind} takes {self.image_shape} (channels, height, "
                "width): set data.resolution, or model.resolution and model.channels, so that they agree"
            )
        if self.num_classes is not None and num_classes != self.num_classes:  # of fewer, some would have no image
            raise UnsupportedSettingError(
                f"{name} has {num_classes or 'no'} classes, {kind} is made for {self.num_classes}: set "
                "model.num_classes to the number of the data's classes, or choose labelled data"
            )

    @property
    def trained_parts(self) -> tuple[nn.Module, ...]:
        """What a training step calls of the two players."""
        return self.G, self.D

    def compile_networks(self) -> None:
        """torch.compile of G and D in place, never of the module: its loop toggles gradients and counts.

        For the shapes they get: the compiler takes all networks for one function, and after the latents of G it would
        make D for images of any size (which it had not done after twenty minutes for LSGAN's, on a CPU).
        """
        for net in self.trained_parts:
            net.compile(dynamic=False)
