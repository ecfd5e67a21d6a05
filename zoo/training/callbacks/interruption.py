"""Ctrl-C and SIGTERM end training with a checkpoint, between two updates."""

import signal
import sys
import threading
from types import FrameType

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Checkpoint

from zoo.errors import ZooError
from zoo.models.base.module import AdversarialModule
from zoo.training.callbacks.base import ZooCallback
from zoo.training.callbacks.checkpoint import CounterCheckpoint

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(ZooError):
    """Training ended because it was asked to.

    Attributes:
        status: exit status of the command, 128 + the signal's number.
    """

    def __init__(self, text: str, *, number: int) -> None:
        super().__init__(text)
        self.status = 128 + number


class SignalListener(ZooCallback):
    """Takes note of the first SIGINT or SIGTERM while training runs, the measurement before it included.

    It replaces Lightning's own handlers, which broadcast in the midst of other collectives and can wait for ever; so it
    must stand first in the list of callbacks.

    Attributes:
        received: number of the signal, or None.
    """

    def __init__(self) -> None:
        self.received: int | None = None

    def begin(self, trainer: Trainer, module: AdversarialModule) -> None:
        if threading.current_thread() is threading.main_thread():  # elsewhere Python takes no handlers
            for number in SIGNALS:
                signal.signal(number, self.receive)  # Lightning's teardown puts back what was there before

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Notes a first signal; raises Interrupted at a second one."""
        if self.received is not None:
            raise Interrupted("stopped at once", number=number)
        self.received = number
        sys.stderr.write("\nstopping as soon as this update or measurement is over; once more: at once\n")


class StopOnSignal(ZooCallback, Checkpoint):
    """After a signal, writes `last.ckpt` at the end of the batch and raises Interrupted.

    Of several processes one signalled is enough: they agree every `agree_every` batches. It is a Checkpoint, so that
    Lightning calls it after all other callbacks: nothing that is due at the batch is left out.

    Args:
        listener: hears the signals.
        keeper: writes the checkpoint; stands before this one in the list of callbacks.
        agree_every: batches between two agreements of several processes.
    """

    def __init__(self, listener: SignalListener, keeper: CounterCheckpoint, *, agree_every: int = 10) -> None:
        self.listener = listener
        self.keeper = keeper
        self.agree_every = agree_every

    def after_batch(self, trainer: Trainer, module: AdversarialModule) -> None:
        if not trainer.should_stop and self.agreed(trainer, module):
            self.keeper.save(trainer, module)
            number = self.listener.received or signal.SIGTERM
            raise Interrupted(f"stopped at {module.images_seen:,} images", number=number)

    def agreed(self, trainer: Trainer, module: AdversarialModule) -> bool:
        """Whether any process was signalled, the same answer on each."""
        heard = self.listener.received is not None
        if trainer.world_size == 1:
            return heard
        if module.discriminator_steps % self.agree_every:
            return False
        return bool(trainer.strategy.reduce_boolean_decision(heard, all=False))
