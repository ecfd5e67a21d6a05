"""When to act, and when to stop, by the module's own counters."""

from lightning.pytorch import Trainer

from zoo.models.base.module import AdversarialModule
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
    """Stops training once `images` real images were seen or `generator_steps` updates of G were made."""

    def __init__(self, *, images: int | None = None, generator_steps: int | None = None) -> None:
        self.images = images
        self.generator_steps = generator_steps

    def spent(self, module: AdversarialModule) -> bool:
        """Whether the budget is used up."""
        return (self.images is not None and module.images_seen >= self.images) or (
            self.generator_steps is not None and module.generator_steps >= self.generator_steps
        )

    def begin(self, trainer: Trainer, module: AdversarialModule) -> None:
        if self.spent(module):  # a finished run that is resumed makes no further update
            trainer.should_stop = True

    def after_batch(self, trainer: Trainer, module: AdversarialModule) -> None:
        if self.spent(module):
            trainer.should_stop = True
