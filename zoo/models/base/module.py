"""The two-player game as a LightningModule: the alternating loop, latents, sampling, and nothing else.

A paper subclasses `AdversarialModule`, sets `G` and `D`, and writes `discriminator_loss`, `generator_loss` and
`configure_optimizers` (discriminator first). A paper whose loop is not "k times D, once G" overrides
`training_step` whole.
"""

from collections.abc import Mapping
from typing import ClassVar, cast

import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, nn

from zoo.errors import NonFiniteLossError, UnsupportedSettingError
from zoo.models.base.monitor import measured_step
from zoo.models.base.state import ResumableModule
from zoo.nn.modes import in_eval_mode

Batch = tuple[Tensor, Tensor | None]


class AdversarialModule(ResumableModule):
    """Generator against discriminator under manual optimization.

    Every batch is one update of D on fresh reals; every `n_critic`-th update of D is followed by one of G
    (Goodfellow et al. 2014, Algorithm 1, with k = `n_critic`).

    Args:
        image_shape: (C, H, W) of the images that G makes, or (2,) for points in the plane.
        z_dim: dimension of the latent z.
        n_critic: discriminator updates for each generator update.
        num_classes: number of classes if G is conditional on a label, else None.
    """

    G: nn.Module
    D: nn.Module
    scores_are_logits: ClassVar[bool] = True  # of D; False for critics and regressors
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
        self.automatic_optimization = False
        self.image_shape = image_shape
        self.z_dim = z_dim
        self.n_critic = n_critic
        self.num_classes = num_classes
        self.log_every = 50  # discriminator steps between two logged points
        self.latest: dict[str, float] = {}  # the values logged last, at reported_at
        self.reported_at = -1
        self.diagnostics: dict[str, Tensor] = {}  # of this step, logged with its losses
        self._diagnosing = False
        self._watch: Tensor | None = None  # 0 while all losses were finite

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

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        x, y = batch
        optimizer_D, optimizer_G = self.both_optimizers()
        self.before_update()
        with self.toggled_optimizer(optimizer_D):
            loss_D = self.discriminator_loss(x, y)
            self.descend(optimizer_D, loss_D)
        self.count_discriminator_step(x)
        losses = {"loss_discriminator": loss_D.detach()}
        if self.discriminator_steps % self.n_critic == 0:
            with self.toggled_optimizer(optimizer_G):
                loss_G = self.generator_loss(x, y)
                self.descend(optimizer_G, loss_G)
            self.count_generator_step()
            losses["loss_generator"] = loss_G.detach()
        self.report(losses)

    def both_optimizers(self) -> tuple[LightningOptimizer, LightningOptimizer]:
        """The optimizers of D and of G, as `configure_optimizers` returned them."""
        return tuple(cast(list[LightningOptimizer], self.optimizers()))  # type: ignore[return-value]

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
        if not self._diagnosing:
            optimizer.step()
            return
        player = "D" if optimizer is self.both_optimizers()[0] else "G"
        with measured_step(optimizer.optimizer, player=player, into=self.diagnostics):
            optimizer.step()

    def note_scores(self, real: Tensor, fake: Tensor) -> None:
        """Papers hand over D's outputs (logits or scores, any shape) on reals and samples; their means are logged."""
        if self._diagnosing:
            self.diagnostics |= {"score_real": real.detach().mean(), "score_fake": fake.detach().mean()}

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        self._diagnosing = (self.discriminator_steps + 1) % self.log_every == 0

    @torch.no_grad()
    def count_discriminator_step(self, x: Tensor) -> None:
        """Advances the clock by one update of D on the local reals x, and runs the paper's hook."""
        self.discriminator_steps += 1
        self.images_seen += x.shape[0] * self.trainer.world_size
        self.after_discriminator_update()

    @torch.no_grad()
    def count_generator_step(self) -> None:
        """Advances the clock by one update of G, and runs the paper's hook."""
        self.generator_steps += 1
        self.after_generator_update()

    def report(self, losses: dict[str, Tensor]) -> None:
        """Keeps watch over the losses; when `report_due`, sends them to the loggers at `images_seen`.

        The loggers are called directly: `self.log` costs a third of a millisecond a call even when nothing is logged.
        """
        for value in losses.values():
            zero = value * 0  # stays nan once a loss was nan or infinite, at the cost of two small sums
            self._watch = zero if self._watch is None else self._watch + zero
        if not self.report_due(losses):
            return
        self.assert_finite()
        shown = losses | self.diagnostics
        self.diagnostics = {}
        values = torch.stack([value.float() for value in shown.values()])
        values = self.trainer.strategy.reduce(values, reduce_op="mean")
        self.latest, self.reported_at = dict(zip(shown, values.tolist(), strict=True)), self.images_seen
        for logger in self.trainer.loggers:
            logger.log_metrics(self.latest, step=self.images_seen)

    def report_due(self, losses: dict[str, Tensor]) -> bool:
        """Whether this step's losses go to the loggers; a paper whose curve is of G's updates asks for those."""
        return self.discriminator_steps % self.log_every == 0

    def assert_finite(self) -> None:
        """Raises NonFiniteLossError, on every rank, if a loss of any rank was nan or infinite since the last call."""
        finite = self._watch is None or bool(self._watch == 0)
        if not self.trainer.strategy.reduce_boolean_decision(finite, all=True):
            callback = self.trainer.checkpoint_callback
            last = getattr(callback, "last_path", None) or "none was written yet"
            raise NonFiniteLossError(
                f"a loss became nan or infinite at or shortly before images_seen={self.images_seen} "
                f"(discriminator step {self.discriminator_steps}); last good checkpoint: {last}"
            )
        self._watch = None

    def latents(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """n draws of the prior p(z), [n, z_dim] on the CPU: standard normal unless the paper says otherwise."""
        return torch.randn(n, self.z_dim, generator=generator)

    def sample_z(self, n: int) -> Tensor:
        """n latents of this rank's training stream, [n, z_dim] on the module's device.

        Drawn on the CPU: the stream is the same whatever the device, and its state fits every checkpoint.
        """
        return self.latents(n, generator=self.latent_generator).to(self.device, non_blocking=True)

    def score(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """D's outputs, [N] or [N, 1], on images x in the scale of `preprocess` and labels y where it takes them."""
        scores: Tensor = self.D(x)
        return scores

    def generate(self, z: Tensor, y: Tensor | None) -> Tensor:
        """Images [N, C, H, W] in [-1, 1] from latents z and labels y; papers with another scale convert here."""
        images: Tensor = self.G(z)
        return images

    def preprocess(self, x: Tensor) -> Tensor:
        """uint8 images [N, C, H, W] to what D is trained on: float32 in [-1, 1] unless the paper says otherwise."""
        return x.float().div_(127.5).sub_(1.0)

    @torch.no_grad()
    def sample(
        self,
        n: int,
        *,
        labels: Tensor | None = None,
        seed: int | None = None,
        truncation_psi: float | None = None,
    ) -> Tensor:
        """n images from a bare module: no trainer, no data set, no logger.

        Args:
            n: number of images.
            labels: int64 [n] for conditional papers (default: drawn uniformly); unconditional papers refuse them.
            seed: makes the result a function of weights, n and seed; None draws from torch's global generator.
            truncation_psi: for the papers that have the truncation trick; the others refuse it.

        Returns:
            float32 [n, C, H, W] in [-1, 1] on the module's device.

        Raises:
            ValueError: labels or truncation for a paper that has none.
        """
        if truncation_psi is not None:
            raise ValueError(f"{type(self).__name__} has no truncation trick: leave truncation_psi out")
        if labels is not None and self.num_classes is None:
            raise ValueError(f"{type(self).__name__} is unconditional: leave labels out")
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        z = self.latents(n, generator=generator).to(self.device)
        if labels is None and self.num_classes is not None:
            labels = torch.randint(self.num_classes, (n,), generator=generator)
        with in_eval_mode(self):
            return self.generate(z, None if labels is None else labels.to(self.device)).float()

    def predict_step(self, batch: tuple[int, int], batch_idx: int) -> Tensor:
        """`Trainer.predict` over pairs (number of images, seed): images [n, C, H, W] in [-1, 1]."""
        n, seed = batch
        return self.sample(n, seed=seed)

    def test_step(self, batch: object, batch_idx: int) -> None:
        """Nothing: the evaluation callback measures samples, which no test set feeds."""

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        if not self.trainer.training:
            return batch
        x, y = batch
        return self.preprocess(x), y

    def setup(self, stage: str) -> None:
        if stage == "fit":
            refuse_unusable_settings(self)

    def compile_networks(self) -> None:
        """torch.compile of G and D in place, never of the module: its loop toggles gradients and counts."""
        self.G.compile()
        self.D.compile()


def refuse_unusable_settings(module: AdversarialModule) -> None:
    """Raises UnsupportedSettingError for trainer settings that manual optimization ignores or that give nan."""
    trainer = module.trainer
    refuse_float16(trainer.precision)
    strategy = trainer.strategy
    if isinstance(strategy, DDPStrategy) and not strategy._ddp_kwargs.get("find_unused_parameters"):
        raise UnsupportedSettingError(
            "plain ddp fails on a two-player module, since each loss leaves the other player's parameters unused: "
            "use --trainer.strategy ddp_find_unused_parameters_true"
        )


def refuse_float16(precision: object) -> None:
    """Raises UnsupportedSettingError for "16-mixed" and its like."""
    if str(precision).startswith("16"):
        raise UnsupportedSettingError(
            f"precision {precision} is not supported: float16 gradient penalties overflow to nan, and one loss "
            "scale cannot serve two optimizers. Use --trainer.precision bf16-mixed (penalties then run in float32)"
        )
