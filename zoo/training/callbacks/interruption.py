"""Ctrl-C and SIGTERM end training with a checkpoint, between two updates."""

import signal
import sys
import threading
import time
from types import FrameType

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Checkpoint

from zoo.errors import Interrupted
from zoo.models.base.module import AdversarialModule
from zoo.runs.environment import process_rank
from zoo.runs.process import JOB_SIGNALS, SAME_SIGNAL, ending
from zoo.training.callbacks.base import ZooCallback
from zoo.training.callbacks.checkpoint import CounterCheckpoint
from zoo.training.slurm import current_job, requeue


class SignalListener(ZooCallback):
    """Takes note of the first SIGINT, SIGTERM or SIGHUP while training runs, the measurement before it included.

    In a job of SLURM also of SIGUSR1 and SIGUSR2, which say that its time is nearly up.

    It replaces Lightning's own handlers, which broadcast in the midst of other collectives and can wait for ever; so it
    must stand first in the list of callbacks.

    Attributes:
        received: number of the signal, or None.
        obeyed: whether training is being ended already: further signals change nothing.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.received_at = 0.0
        self.obeyed = False

    def begin(self, trainer: Trainer, module: AdversarialModule) -> None:
        if threading.current_thread() is not threading.main_thread():  # there Python takes no handlers
            return
        for number in ending():
            if number in (signal.SIGINT, signal.SIGTERM) or signal.getsignal(number) != signal.SIG_IGN:  # nohup's
                signal.signal(number, self.receive)  # Lightning's teardown puts back what was there before

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Notes a first signal; raises Interrupted at a second one, unless that is the same."""
        if self.obeyed:
            return
        if self.received is not None:
            if time.monotonic() < self.received_at + SAME_SIGNAL:
                return
            raise Interrupted("stopped at once", number=number)
        self.received, self.received_at = number, time.monotonic()
        if process_rank() == 0:
            sys.stderr.write("\nstopping as soon as this update or measurement is over; once more: at once\n")


class StopOnSignal(ZooCallback, Checkpoint):
    """After a signal, writes `last.ckpt` at the end of the batch and raises Interrupted; requeues a job of SLURM first.

    Of several processes one signalled is enough: they agree every `agree_every` batches. It is a Checkpoint, so that
    Lightning calls it after all other callbacks: nothing that is due at the batch is left out.

    Args:
        listener: hears the signals.
        keeper: writes the checkpoint into the folder `checkpoints` of a run; stands before this one in the list of
            callbacks.
        agree_every: batches between two agreements of several processes.
    """

    def __init__(self, listener: SignalListener, keeper: CounterCheckpoint, *, agree_every: int = 10) -> None:
        self.listener = listener
        self.keeper = keeper
        self.agree_every = agree_every

    def after_batch(self, trainer: Trainer, module: AdversarialModule) -> None:
        if not trainer.should_stop and self.agreed(trainer, module):
            self.keeper.save(trainer, module)
            self.listener.obeyed = True
            number = self.listener.received or signal.SIGTERM
            requeued = self.requeue(trainer)
            raise Interrupted(f"stopped at {module.images_seen:,} images", number=number, requeued=requeued)

    def requeue(self, trainer: Trainer) -> str | None:
        """Requeues the job, once, if any process was told that its time is up; all wait until that is done."""
        told = current_job() is not None and self.listener.received in JOB_SIGNALS
        if trainer.world_size > 1:
            told = bool(trainer.strategy.reduce_boolean_decision(told, all=False))
        if not told:
            return None
        done = requeue(self.keeper.folder.parent) if trainer.is_global_zero else ""
        trainer.strategy.barrier("requeued")  # a process that ended before would take the first with it
        return done

    def agreed(self, trainer: Trainer, module: AdversarialModule) -> bool:
        """Whether any process was signalled, the same answer on each."""
        heard = self.listener.received is not None
        if trainer.world_size == 1:
            return heard
        if module.discriminator_steps % self.agree_every:
            return False
        return bool(trainer.strategy.reduce_boolean_decision(heard, all=False))
