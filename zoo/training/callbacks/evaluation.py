"""Measures samples every N images while training, and on `test`."""

import sys
from collections.abc import Callable
from typing import Any, cast

import torch
from lightning.pytorch import LightningModule, Trainer

from zoo.models.base.module import AdversarialModule
from zoo.runs import schema
from zoo.training.callbacks.base import ZooCallback
from zoo.training.callbacks.budget import Every
from zoo.training.callbacks.checkpoint import CounterCheckpoint

Measure = Callable[[AdversarialModule], dict[str, float]]


def share_buffers(module: AdversarialModule) -> None:
    """Gives every rank the first one's buffers, as DDP does at the beginning of each batch: after an update each rank
    has BatchNorm averages of its own, and checkpoints those of the first."""
    for buffer in module.buffers():
        torch.distributed.broadcast(buffer, src=0)


class Evaluation(ZooCallback):
    """Runs `measure` before training, every N images and at the end; on `test`, runs it once.

    Values go to every logger at `images_seen` (those of `test` as `test/NAME`: they follow another protocol than the
    ones taken while training), and the monitored one to the checkpoint callback.

    Args:
        measure: called on every rank with the module, and the first rank's buffers. The first rank's values count. It
            draws from generators of its own, so that training goes on as if it had not run.
        every: images between two evaluations, or None for none while training.
        recorded: images at which the run came to an end before, and so has its figures; None where it did not.

    Attributes:
        latest: the values last taken by this process.
        taken_at: images seen by then, or by the last evaluation before the checkpoint that training goes on from.
    """

    def __init__(self, measure: Measure, *, every: int | None = None, recorded: int | None = None) -> None:
        self.measure, self.recorded = measure, recorded
        self.due = Every(every)
        self.latest: dict[str, float] = {}
        self.taken_at: int | None = None
        self.noted = False

    def begin(self, trainer: Trainer, module: AdversarialModule) -> None:
        taken = self.taken_at == module.images_seen  # the checkpoint was written by this very evaluation
        self.due.last = module.images_seen
        if self.taken_at is None:  # of a checkpoint that does not know
            self.taken_at = module.images_seen
        if module.images_seen == 0 and self.due.images is not None and not taken:
            self.run(trainer, module)

    def after_batch(self, trainer: Trainer, module: AdversarialModule) -> None:
        if self.due.due(module.images_seen) or (trainer.should_stop and self.due.images is not None):
            self.run(trainer, module)

    def end(self, trainer: Trainer, module: AdversarialModule) -> None:
        """A limit of the trainer's own was met, or nothing was left to do after an interruption."""
        there = self.taken_at == module.images_seen and (self.latest or self.recorded == module.images_seen)
        if self.due.images is not None and not there:
            self.run(trainer, module)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.run(trainer, cast(AdversarialModule, pl_module))

    def run(self, trainer: Trainer, module: AdversarialModule) -> None:
        """Measures now."""
        module.assert_finite()
        if trainer.world_size > 1:
            share_buffers(module)
        self.latest = trainer.strategy.broadcast(self.measure(module))  # processors differ in the last digits
        self.taken_at = module.images_seen
        if trainer.is_global_zero:
            prefix = "test/" if trainer.testing else ""
            for logger in trainer.loggers:
                values = {prefix + name: value for name, value in self.latest.items()}
                logger.log_metrics(values, step=module.images_seen)
        if not trainer.testing:
            for callback in trainer.checkpoint_callbacks:
                if isinstance(callback, CounterCheckpoint) and callback.monitor is not None:
                    self.offer(callback, trainer=trainer, module=module)

    def state_dict(self) -> dict[str, Any]:
        return {"taken_at": self.taken_at}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        schema.check("", state_dict, schema={"taken_at": schema.or_null(schema.count)})
        self.taken_at = state_dict["taken_at"]

    def offer(self, checkpoint: CounterCheckpoint, *, trainer: Trainer, module: AdversarialModule) -> None:
        """Lets it keep the best; says once where what it monitors is not measured."""
        if checkpoint.monitor in self.latest:
            checkpoint.offer(trainer, module, self.latest[checkpoint.monitor])
        elif trainer.is_global_zero and not self.noted:
            self.noted = True
            sys.stderr.write(
                f"note: no best checkpoint is chosen, since {checkpoint.monitor} (keep.monitor) is not measured here: "
                f"choose from {', '.join(self.latest)}\n"
            )
