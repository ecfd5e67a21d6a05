"""Checkpoints keyed on `images_seen`: the last, one every N images, and the best by a measure."""

import math
import os
import shutil
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from zoo.errors import CheckpointError
from zoo.models.base.module import AdversarialModule
from zoo.runs import schema
from zoo.runs.checkpoints import read_checkpoint
from zoo.runs.folder import at_images, name_at, replacing, set_aside
from zoo.runs.text import say
from zoo.training.callbacks.base import ZooCallback
from zoo.training.callbacks.budget import Every


class CounterCheckpoint(ZooCallback, Checkpoint):
    """Writes `last.ckpt` every N images and at the end; `images-XXXXXXXXX.ckpt` where asked for; `best.ckpt`.

    Lightning's own callback counts optimizer steps and skips points when two optimizers step
    (`every_n_train_steps=7` misses step 35); this one compares the module's counter with a border.

    Args:
        folder: where the files go; created when needed.
        every: images between two writings of `last.ckpt`.
        keep_every: images between two checkpoints that are kept for good, or None.
        monitor: name of the measure that decides what is best, or None.
        better: whether a "lower" or a "higher" value of `monitor` is better.
        goes_on: whether what was best in the checkpoint that training goes on from was measured likewise.
    """

    def __init__(
        self,
        folder: Path,
        *,
        every: int | None = None,
        keep_every: int | None = None,
        monitor: str | None = None,
        better: str = "lower",
        goes_on: bool = True,
    ) -> None:
        self.folder = folder
        self.goes_on = goes_on
        self.last_due = Every(every)
        self.keep_due = Every(keep_every)
        self.monitor = monitor
        self.sign = 1.0 if better == "lower" else -1.0
        self.best_value: float | None = None
        self.last_saved: int | None = None

    @property
    def last_path(self) -> str:
        """The newest checkpoint, or "" if there is none."""
        path = self.folder / "last.ckpt"
        return str(path) if path.exists() else ""

    def begin(self, trainer: Trainer, module: AdversarialModule) -> None:
        self.last_due.last = self.keep_due.last = module.images_seen
        if module.images_seen and self.best_value is not None and not trainer.strategy.broadcast(self.has_best(module)):
            self.best_value = None
        self.give_up_later(module)

    @rank_zero_only
    def give_up_later(self, module: AdversarialModule) -> None:
        """Renames kept checkpoints beyond an earlier one that training goes on from: figures over the checkpoints of a
        run would show two trainings. One beyond `last.ckpt`, of a run that was killed, is made again as it was."""
        later = [file for at, file in at_images(self.folder, ".ckpt").items() if at > module.images_seen]
        if module.images_seen and later and self.images_of("last.ckpt") != module.images_seen:
            aside = [set_aside(file, for_being="given_up").name for file in later]
            say(f"note: kept of a training that is given up, in {self.folder}: {', '.join(aside)}")

    def images_of(self, name: str) -> int | None:
        """What a checkpoint of the folder has seen; None where there is none, or a damaged one."""
        try:
            return int(read_checkpoint(self.folder / name)["state_dict"].get("images_seen", 0))
        except CheckpointError:
            return None

    @rank_zero_only
    def has_best(self, module: AdversarialModule) -> bool:
        """Whether `best.ckpt` is of this training: not of another folder, nor of a future that is not gone on with."""
        best = self.images_of("best.ckpt")
        return best is not None and best <= module.images_seen

    def after_batch(self, trainer: Trainer, module: AdversarialModule) -> None:
        due = self.last_due.due(module.images_seen)
        if due or self.keep_due.crossed(module.images_seen) or trainer.should_stop:
            self.save(trainer, module)
        self.keep_due.last = module.images_seen

    def end(self, trainer: Trainer, module: AdversarialModule) -> None:
        if self.last_saved != module.images_seen:
            self.save(trainer, module)

    def offer(self, trainer: Trainer, module: AdversarialModule, value: float) -> None:
        """Takes a new value of the monitored measure; keeps `best.ckpt` if none before was better.

        Called by the evaluation callback on every rank with the same value.
        """
        if math.isfinite(value) and (self.best_value is None or self.sign * (value - self.best_value) < 0):
            self.best_value = value
            self.last_saved = None  # what was saved at this point does not know the new best value
            self.save(trainer, module, best=True)

    def save(self, trainer: Trainer, module: AdversarialModule, *, best: bool = False) -> None:
        """Writes `last.ckpt`, unless it is there already; a module of losses or weights not finite is not saved.

        Its other names come before: a run that is killed between two of them is resumed from the `last.ckpt` of
        before, and makes them again.
        """
        if self.last_saved == module.images_seen:
            return
        module.assert_finite(weights=True)
        names = ["best.ckpt"] * best
        names += [f"{name_at(module.images_seen)}.ckpt"] * self.keep_due.crossed(module.images_seen)
        first, *others = (*names, "last.ckpt")
        trainer.save_checkpoint(self.folder / first, weights_only=False)
        for name in others:
            self.name_again(first, name)
        self.last_saved = module.images_seen

    @rank_zero_only
    def name_again(self, written: str, name: str) -> None:
        """Gives the checkpoint just written another name, in one step."""
        with replacing(self.folder / name) as temporary:
            try:
                os.link(self.folder / written, temporary)
            except OSError:  # a file system without hard links
                shutil.copyfile(self.folder / written, temporary)

    def state_dict(self) -> dict[str, Any]:
        return {"best_value": self.best_value}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        schema.check("", state_dict, schema={"best_value": schema.or_null(schema.number)})
        self.best_value = state_dict["best_value"] if self.goes_on else None
