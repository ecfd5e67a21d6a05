"""`fit --dry_run`: what a training would take, before anything of it is written.

Some updates, a sample grid, a checkpoint and two evaluations are made in earnest, in a temporary folder that is
removed; time, memory and disk of the whole budget follow from them. A growing network is measured in each of its
phases. No image is decoded but those that this takes, and nothing is downloaded.
"""

import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer

from zoo.data import ImageArray, ImageDataModule, cache_dir
from zoo.data.growing import GrowingStream
from zoo.data.lazy import is_lazy, without_decoding
from zoo.data.stream import Batch, ImageStream
from zoo.errors import DataError, DataNotFoundError, UsageError
from zoo.experiments.pictures.grids import save_png
from zoo.models.base.module import AdversarialModule
from zoo.runs.environment import environment_variables
from zoo.runs.text import say
from zoo.training.callbacks import TimeLimit
from zoo.training.callbacks.base import ZooCallback
from zoo.training.cli import ReproductionCLI
from zoo.training.finetune.learning_rate import ScaledLearningRate
from zoo.training.forecast import (
    Forecast,
    Phase,
    Turns,
    cache_lines,
    images_after,
    levels,
    memory_line,
    phases_of,
    size,
    timed,
    times,
)
from zoo.training.loggers import JsonlLogger
from zoo.training.outlook import outlook
from zoo.training.trainer import processes

IMAGES = 2_048  # at most so many of the training images are used
WARM_UP = 2  # batches of a phase that are not counted
LEAST, SECONDS = 6, 4.0  # batches of a phase, and seconds
PATIENCE = 60.0  # seconds after which no turn of G is awaited any more
ROW = 350  # bytes of a logged point, where none was logged here


class Probe(ZooCallback):
    """Measures updates phase by phase.

    Args:
        phases: to measure, in this order; what was measured is put into them.
        turns: of G; measuring begins behind a warm start.
        batch: makes the batch that begins at an image of the run.
        folder: for the grids.
        at_end: called in the last phase.
    """

    def __init__(
        self,
        phases: list[Phase],
        *,
        turns: Turns,
        batch: Callable[[int], Batch],
        folder: Path,
        at_end: Callable[[Trainer, AdversarialModule], None],
    ) -> None:
        self.phases, self.turns, self.batch, self.folder, self.at_end = phases, turns, batch, folder, at_end
        self.now = self.taken = self.moved = 0
        self.fetched: deque[Phase] = deque()
        self.began = self.mark = 0.0

    def __iter__(self) -> Iterator[Batch]:
        """Batches of the phase at hand, without end: the trainer's loader."""
        while True:
            self.fetched.append(self.phase)  # the trainer fetches a batch ahead
            yield self.batch(self.phase.middle)

    @property
    def phase(self) -> Phase:
        """The phase at hand."""
        return self.phases[self.now]

    def begin(self, trainer: Trainer, module: AdversarialModule) -> None:
        module.discriminator_steps, module.generator_steps = self.turns.steady
        self.enter(module)
        module.images_seen = self.phase.middle

    def enter(self, module: AdversarialModule) -> None:
        """A phase begins."""
        self.taken, self.moved = 0, module.generator_steps
        self.began = self.mark = time.monotonic()

    def after_batch(self, trainer: Trainer, module: AdversarialModule) -> None:
        if module.device.type == "cuda":
            torch.cuda.synchronize(module.device)
        if self.fetched.popleft() is self.phase:
            self.count(module, seconds=time.monotonic() - self.mark)
            if self.enough():
                self.leave(trainer, module)
        module.images_seen = (self.fetched[0] if self.fetched else self.phase).middle
        self.moved, self.mark = module.generator_steps, time.monotonic()

    def count(self, module: AdversarialModule, *, seconds: float) -> None:
        """A batch of the phase at hand took so long."""
        self.taken += 1
        if self.taken == 1:
            self.phase.first = seconds
        elif self.taken > WARM_UP:
            moved = module.generator_steps > self.moved
            (self.phase.with_G if moved else self.phase.without_G).append(seconds)

    def enough(self) -> bool:
        """Whether the phase was measured long enough."""
        lasted, counted = time.monotonic() - self.began, self.taken - WARM_UP
        turns = len(self.phase.with_G) >= 2 or not self.turns.at or lasted > PATIENCE
        return turns and counted >= LEAST and lasted > SECONDS

    def leave(self, trainer: Trainer, module: AdversarialModule) -> None:
        """Draws a grid; goes on to the next phase, or ends."""
        began = time.monotonic()
        if len(module.image_shape) == 3:
            with torch.no_grad():
                save_png(module.sample(64, seed=0), self.folder / "grid.png")
        self.phase.grid = time.monotonic() - began
        if self.phase is self.phases[-1]:
            self.at_end(trainer, module)
            trainer.should_stop = True
        else:
            self.now += 1
            self.enter(module)


class DryRun(ReproductionCLI):
    """`fit` up to its first update; then it measures and tells instead of training."""

    def before_instantiate_classes(self) -> None:
        super().before_instantiate_classes()
        trainer = self.settings.trainer
        self.devices = processes(trainer)
        trainer.devices, trainer.num_nodes, trainer.strategy = 1, 1, "auto"  # one of them, with its share

    def loggers(self) -> list[Any]:
        return []

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.cache = cache_dir()
        with tempfile.TemporaryDirectory(prefix="zoo-dry-run-") as folder, ExitStack() as stack:
            self.folder = Path(folder)
            stack.enter_context(environment_variables(ZOO_CACHE=str(self.folder / "cache")))
            stack.enter_context(without_decoding())
            super().__init__(*arguments, **options)

    def _run_subcommand(self, subcommand: str) -> None:
        if self.plan.checkpoint is not None:
            raise UsageError("--dry_run tells of a training from its beginning: leave --ckpt_path out")
        self.measure(self.folder, cache=self.cache)

    def measure(self, folder: Path, *, cache: Path) -> None:
        """A short training, and what follows from it."""
        module, settings, data = self.model, self.settings, self.datamodule
        whole = training_images(data)
        began = time.monotonic()
        some = replace(whole, images=whole.images[:IMAGES], fingerprint="dry run")
        some = replace(some, labels=None if whole.labels is None else whole.labels[:IMAGES])
        lazy = is_lazy(whole)
        decoding = (time.monotonic() - began) * len(whole) / len(some) if lazy else 0.0
        data._splits["train"] = data._splits[settings.evaluation.split] = some
        turns = Turns.of(module)
        steps, batch = settings.generator_steps, data.batch_size
        of_steps = steps and images_after(turns.updates_of_D(steps), module.growth, batch=batch)
        passes = max(0, settings.trainer.max_epochs or 0)
        of_passes = passes * (len(whole) if module.growth is not None else max(1, len(whole) // batch) * batch)
        budget = min([b for b in (settings.images, of_steps, of_passes) if b] or [0])
        phases = phases_of(module.growth, budget=budget or batch, batch=batch)
        updates = sum(phase.images / phase.batch for phase in phases)
        forecast = Forecast(phases, share=min(1.0, turns.updates_of_G(round(updates)) / updates), decoding=decoding)
        probe = Probe(
            phases,
            turns=turns,
            batch=batches(data, some, module=module, devices=self.devices),
            folder=folder,
            at_end=lambda trainer, module: self.at_end(forecast, folder, n_real=len(whole)),
        )
        if settings.compile:
            module.compile_networks()
        self.trainer.callbacks = [*(c for c in self.trainer.callbacks if stays(c)), probe]  # type: ignore[attr-defined]
        self.trainer.loggers = [JsonlLogger(folder)]
        say(f"measuring {'a phase' if len(phases) == 1 else f'{len(phases)} phases'}, a checkpoint, evaluations ...")
        self.trainer.fit(module, train_dataloaders=probe)
        self.count(forecast, budget=budget)
        self.tell(forecast, budget=budget, updates=updates, generator_updates=turns.updates_of_G(round(updates)))
        growing = [] if module.growth is None else list(levels(module.growth.start, module.growth.final))
        image = whole.images.shape[1:].numel()
        lower = [image * side**2 // module.image_shape[-1] ** 2 for side in growing]
        fly = lazy and bool(getattr(data, "on_the_fly", False))
        say(memory_line(module, [] if fly else [image, *lower] if lazy else lower, n=len(whole), used=len(some)))
        for line in cache_lines(len(whole) * (image * lazy + sum(lower)), cache, lazy=lazy, fly=fly):
            say(line)
        say(self.disk_line(forecast, folder, updates=updates))
        say(f"nothing was written; without --dry_run the run goes to {self.plan.run_dir}")

    def count(self, forecast: Forecast, *, budget: int) -> None:
        """How often each thing is done."""
        keep, every = self.settings.keep, self.settings.evaluation.every
        batch = forecast.phases[-1].batch

        def of(every: int | None, *, at_start: bool) -> int:
            return times(every, budget=budget, batch=batch, at_start=at_start)

        forecast.evaluations = of(every, at_start=True) if every else 0
        forecast.grids = of(keep.grid_every, at_start=True)
        forecast.checkpoints = of(keep.checkpoint_every, at_start=False) + forecast.evaluations * bool(keep.monitor)
        forecast.archived = budget // keep.archive_every if keep.archive_every else 0

    def tell(self, forecast: Forecast, *, budget: int, updates: float, generator_updates: int) -> None:
        """Parameters, budget and time."""
        module, data, limit = self.model, self.datamodule, self.settings.trainer.max_time
        sizes = [sum(p.numel() for p in net.parameters()) for net in (module.G, module.D)]
        say(f"\n{type(module).__name__}, recipe {self.plan.recipe}, on {device_name(module)}")
        say(f"network  G {sizes[0]:,} and D {sizes[1]:,} parameters")
        count = f"{len(data._load('train')) if data.train_images is None else data.train_images:,}"
        say(f"data     {data.name}, {count} training images of {' x '.join(map(str, data.image_shape))}")
        if not budget:
            update = 1000 * forecast.phases[0].update(forecast.share)
            end = "no budget: set --images" if limit is None else f"until --trainer.max_time {limit}"
            say(f"time     {update:,.1f} ms an update of {data.batch_size} images; {end}")
            return
        say(f"budget   {budget:,} images: {round(updates):,} updates of D, {generator_updates:,} of G")
        every = self.settings.evaluation.every
        advice = [line for line in [forecast.advice(every) if every else ""] if line]
        for line in [
            *forecast.lines(),
            *advice,
            *outlook(module, recipe=self.plan.recipe, settings=self.plain_settings()),
        ]:
            say(line)
        if limit is not None and (TimeLimit(duration=limit).time_remaining() or 0.0) < forecast.training:
            say(f"         --trainer.max_time {limit} ends it before that")
        if self.devices > 1:
            say(f"         measured on one device with its share, one of {self.devices}")

    def disk_line(self, forecast: Forecast, folder: Path, *, updates: float) -> str:
        """What the run's folder will hold."""
        one = (folder / "last.ckpt").stat().st_size
        kept = 1 + bool(self.settings.keep.monitor) + forecast.archived
        grid = folder / "grid.png"
        grids = forecast.grids * (grid.stat().st_size if grid.is_file() else 0)
        log = folder / "metrics.jsonl"
        rows = log.read_bytes().splitlines() if log.is_file() else []
        measured = sum(len(phase.with_G) + len(phase.without_G) + WARM_UP for phase in forecast.phases)
        each = sum(map(len, rows)) / measured if rows else ROW / self.model.log_every  # bytes an update of D
        records = updates * each
        text = f"{kept} {'checkpoint' if kept == 1 else 'checkpoints'} of {size(one)}, grids {size(grids)}"
        return f"disk     {size(kept * one + grids + records)} in the run: {text}, records {size(records)}"

    def at_end(self, forecast: Forecast, folder: Path, *, n_real: int) -> None:
        """Times a checkpoint and, where the run has some, evaluations."""
        began = time.monotonic()
        self.trainer.save_checkpoint(folder / "last.ckpt", weights_only=False)
        forecast.checkpoint = time.monotonic() - began
        if self.settings.evaluation.every is None:
            return
        of_reals: list[float] = []
        wanted, self.measurement.settings.real_images = self.settings.evaluation.real_images or n_real, None
        for evaluator in self.measurement.prepare(self.model):
            evaluator.n_real = None  # all that there are here
            evaluator.columns = [replace(column, n_real=None) for column in evaluator.columns]
            evaluator.real_statistics = timed(evaluator.real_statistics, into=of_reals)  # type: ignore[method-assign]
        first, again = (self.seconds_of(self.evaluation.measure) for _ in range(2))
        forecast.samples, forecast.evaluation = self.settings.evaluation.samples, again
        once = sum(of_reals) * wanted / min(n_real, IMAGES)
        forecast.reals = once + max(0.0, first - sum(of_reals) - again)

    def seconds_of(self, measure: Callable[[AdversarialModule], Any]) -> float:
        """How long a call takes."""
        began = time.monotonic()
        measure(self.model)
        return time.monotonic() - began


def stays(callback: Any) -> bool:
    """Whether a callback takes part: the user's own, and what changes the updates."""
    return isinstance(callback, ScaledLearningRate) or not type(callback).__module__.startswith(("zoo.", "lightning."))


def training_images(data: ImageDataModule) -> ImageArray:
    """The training split, neither decoded nor downloaded.

    Raises:
        DataError: its files are not there yet.
    """
    downloads = getattr(data, "download", False)
    if downloads:
        data.download = False  # type: ignore[attr-defined]
    try:
        return data.split("train")
    except DataNotFoundError as error:
        if not downloads:
            raise
        raise DataError(f"{data.name} is not there yet, and a dry run downloads nothing: {error}") from None


def batches(
    data: ImageDataModule, some: ImageArray, *, module: AdversarialModule, devices: int
) -> Callable[[int], Batch]:
    """Makes the first device's share of the batch that begins at an image of the run."""
    growth = module.growth
    if growth is None:
        streams = {0: ImageStream(some, batch_size=data.batch_size, horizontal_flip=data.horizontal_flip)}
    else:
        streams = GrowingStream(some, growth=growth, horizontal_flip=data.horizontal_flip).streams

    def batch(at: int) -> Batch:
        x, y = streams[0 if growth is None else growth.at(at).resolution].batch(at)
        return x[::devices], None if y is None else y[::devices]

    return batch


def device_name(module: AdversarialModule) -> str:
    """The GPU's name, or "the CPU"."""
    kind = module.device.type
    return torch.cuda.get_device_name(module.device) if kind == "cuda" else "the CPU" if kind == "cpu" else kind
