"""When to act, and when to stop, by the module's own counters."""

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Timer

from zoo.models.base.module import AdversarialModule
from zoo.runs import schema
from zoo.runs.text import duration, say
from zoo.training.callbacks.base import ZooCallback


class Every:
    """Tells when `images_seen` has crossed a multiple of `images`.

    The counter moves in steps of a batch and may jump over a multiple, so borders are compared by floor division.
    """

    def __init__(self, images: int | None, *, start: int = 0) -> None:
        if images is not None and images < 1:
            raise ValueError(f"an interval must be at least 1 image, not {images}")
        self.images = images
        self.last = start

    def due(self, images_seen: int) -> bool:
        """Whether a multiple lies in (last call's images_seen, images_seen]; never if there is no interval."""
        crossed = self.crossed(images_seen)
        self.last = images_seen
        return crossed

    def crossed(self, images_seen: int) -> bool:
        """What `due` would answer, without taking note of the call."""
        return self.images is not None and images_seen // self.images > self.last // self.images


class StopAtBudget(ZooCallback):
    """Stops training once `images` real images were seen, `generator_steps` updates of G or `epochs` passes were made.

    Where a resumed run has no pass of its `max_epochs` left, Lightning ends it before any callback hears of it, as with
    a time that is up (see `TimeLimit`). So passes are counted here, and Lightning has no limit of them.
    """

    def __init__(
        self, *, images: int | None = None, generator_steps: int | None = None, epochs: int | None = None
    ) -> None:
        self.images = images
        self.generator_steps = generator_steps
        self.epochs = epochs

    def spent(self, module: AdversarialModule) -> bool:
        """Whether the budget is used up."""
        return (self.images is not None and module.images_seen >= self.images) or (
            self.generator_steps is not None and module.generator_steps >= self.generator_steps
        )

    def passed(self, trainer: Trainer) -> bool:
        """Whether all passes were made; until its end, the last one is not."""
        passes: Any = trainer.fit_loop.epoch_progress.current
        return self.epochs is not None and bool(passes.processed >= self.epochs)

    def begin(self, trainer: Trainer, module: AdversarialModule) -> None:
        if self.spent(module) or self.passed(trainer):  # a finished run that is resumed makes no further update
            trainer.should_stop = True

    def after_batch(self, trainer: Trainer, module: AdversarialModule) -> None:
        if self.spent(module):
            trainer.should_stop = True

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """After the last pass nothing begins."""
        if self.passed(trainer):
            trainer.should_stop = True


class TimeLimit(ZooCallback, Timer):
    """Stops training after `--trainer.max_time`, counted over all parts of a run together.

    Lightning's own Timer finds before training starts that a resumed run has no time left, and then no callback hears
    of it: nothing is measured, and the run ends without figures. This one looks when training starts.
    """

    @property
    def state_key(self) -> str:
        """As Lightning's own, whose states are in checkpoints."""
        return Timer.__qualname__

    @property
    def spent(self) -> bool:
        """Whether the time is up."""
        return self._duration is not None and self.time_elapsed() >= self._duration

    def on_fit_start(self, trainer: Trainer, *_: Any, **__: Any) -> None:
        """Nothing, see above."""

    def begin(self, trainer: Trainer, module: AdversarialModule) -> None:
        before = self.time_elapsed()
        if trainer.is_global_zero and self._duration is not None and (before > 0 or self.spent):
            left = "is up: a longer one goes on" if self.spent else f"has {duration(self._duration - before)} left"
            say(f"the time of --trainer.max_time, which counts all parts of a run, {left}")
        Timer.on_train_start(self, trainer, module)
        self._check_time_remaining(trainer)

    def after_batch(self, trainer: Trainer, module: AdversarialModule) -> None:
        Timer.on_train_batch_end(self, trainer)

    def end(self, trainer: Trainer, module: AdversarialModule) -> None:
        Timer.on_train_end(self, trainer, module)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        schema.check("", state_dict, schema={"time_elapsed": schema.map_of(schema.amount)})
        Timer.load_state_dict(self, state_dict)
