"""What is logged of a training: losses, values that a paper adds, and how far each player is pushed and moves."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import ClassVar, cast

import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor
from torch.nn.utils import get_total_norm

from zoo.errors import NonFiniteLossError
from zoo.models.base.state import ResumableModule


@contextmanager
def measured_step(optimizer: torch.optim.Optimizer, *, player: str, into: dict[str, Tensor]) -> Iterator[None]:
    """Measures the optimizer step inside it.

    Puts into `into`: `gradient_norm_PLAYER`, the L2 norm of all gradients together; `update_ratio_PLAYER`, the L2 norm
    of the change of the weights over that of the weights.

    Args:
        optimizer: whose gradients are there already.
        player: "D" or "G".
        into: where the 0-dimensional float tensors go.
    """
    weights = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    into[f"gradient_norm_{player}"] = get_total_norm([p.grad for p in weights if p.grad is not None])
    before = [p.detach().clone() for p in weights]
    size = get_total_norm(before)
    yield
    with torch.no_grad():
        for kept, weight in zip(before, weights, strict=True):
            kept.sub_(weight)  # in place: fresh memory costs more than all the rest
        into[f"update_ratio_{player}"] = get_total_norm(before) / size


class MonitoredModule(ResumableModule):
    """The logging half of a module: it sends losses to the loggers and stops a run that has become nan.

    Attributes:
        scores_are_logits: whether D's outputs are logits; False for critics and regressors.
        log_every: discriminator steps between two logged points; a Trainer's log_every_n_steps takes its place, unless
            that is Lightning's own 50.
        latest: the values logged last.
        reported_at: `images_seen` when they were logged; -1 before.
    """

    scores_are_logits: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        self.log_every = 50
        self.latest: dict[str, float] = {}
        self.reported_at = -1
        self.extra: dict[str, Tensor | float] = {}  # see log_extra
        self.diagnostics: dict[str, Tensor] = {}  # of this step, logged with its losses
        self._diagnosing = False
        self._watch: Tensor | None = None  # 0 while all losses were finite

    def log_extra(self, **values: Tensor | float) -> None:
        """Papers name further scalars to log with the losses; each stands until it is given again."""
        self.extra |= {name: value.detach() if isinstance(value, Tensor) else value for name, value in values.items()}

    def note_scores(self, real: Tensor, fake: Tensor) -> None:
        """Papers hand over D's outputs (logits or scores, any shape) on reals and samples; their means are logged."""
        if self._diagnosing:
            self.diagnostics |= {"score_real": real.detach().mean(), "score_fake": fake.detach().mean()}

    def on_train_batch_start(self, batch: object, batch_idx: int) -> None:
        self._diagnosing = (self.discriminator_steps + 1) % self.log_every == 0

    def measured(self, optimizer: LightningOptimizer) -> AbstractContextManager[None]:
        """`measured_step` around an optimizer step whose losses will be logged; nothing around the others."""
        if not self._diagnosing:
            return nullcontext()
        optimizer_D, _ = cast(list[LightningOptimizer], self.optimizers())
        player = "D" if optimizer is optimizer_D else "G"
        return measured_step(optimizer.optimizer, player=player, into=self.diagnostics)

    def report(self, losses: dict[str, Tensor]) -> None:
        """Keeps watch over losses and extra values; when `report_due`, sends them to the loggers at `images_seen`.

        The loggers are called directly: `self.log` costs a third of a millisecond a call even when nothing is logged.
        """
        values = losses | self.extra
        for value in values.values():
            if isinstance(value, Tensor):
                zero = value * 0  # stays nan once a loss was nan or infinite, at the cost of two small sums
                self._watch = zero if self._watch is None else self._watch + zero
        if not self.report_due(losses):
            return
        self.assert_finite()
        values |= self.diagnostics
        self.diagnostics = {}
        scalars = [torch.as_tensor(value, dtype=torch.float32, device=self.device) for value in values.values()]
        means = self.trainer.strategy.reduce(torch.stack(scalars), reduce_op="mean")
        self.latest, self.reported_at = dict(zip(values, means.tolist(), strict=True)), self.images_seen
        for logger in self.trainer.loggers:
            logger.log_metrics(self.latest, step=self.images_seen)

    def report_due(self, losses: dict[str, Tensor]) -> bool:
        """Whether this step's losses go to the loggers; a paper whose curve is of G's updates asks for those."""
        return self.discriminator_steps % self.log_every == 0

    def assert_finite(self, *, weights: bool = False) -> None:
        """Raises NonFiniteLossError, on every rank, if a loss of any rank was nan or infinite since the last call.

        With `weights` also if a weight is: the last update may have made it so, from a loss that was finite.
        """
        finite = self._watch is None or bool(self._watch == 0)
        lost = "a loss"
        if finite and weights:
            tensors = [tensor for tensor in self.state_dict().values() if tensor.is_floating_point()]
            finite, lost = all(bool(tensor.isfinite().all()) for tensor in tensors), "a weight"
        if not self.trainer.strategy.reduce_boolean_decision(finite, all=True):
            callback = self.trainer.checkpoint_callback
            last = getattr(callback, "last_path", None) or "none was written yet"
            raise NonFiniteLossError(
                f"{lost} became nan or infinite at or shortly before images_seen={self.images_seen} "
                f"(discriminator step {self.discriminator_steps}); last good checkpoint: {last}"
            )
        self._watch = None


@torch.no_grad()
def mean_pairwise_distance(images: Tensor) -> float:
    """Mean Euclidean distance between two images of a batch [N, C, H, W] (or points [N, d]), N >= 2."""
    return float(torch.pdist(images.flatten(1).float()).mean())
