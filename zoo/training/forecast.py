"""What a training will take, worked out from a few of its parts that were measured: time, memory and disk."""

import math
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

import torch

from zoo.data.arrays import MEMORY_MAP_ABOVE
from zoo.errors import UsageError
from zoo.models.base.module import AdversarialModule
from zoo.nn.schedules import GrowthSchedule
from zoo.runs.text import duration

LARGE = 20e9  # bytes of a cache above which decoding on the fly is offered
SIMULATED = 20_000  # updates of D from which the pace of G's is known


class Turns(NamedTuple):
    """When G moves, by the module's own rule.

    Attributes:
        at: updates of D so far at each update of G, within the first SIMULATED updates of D.
    """

    at: Sequence[int]

    @classmethod
    def of(cls, module: Any) -> "Turns":
        """Lets the counters of a module run without training, and puts them back."""
        before = module.discriminator_steps, module.generator_steps
        at = []
        module.generator_steps = 0
        for module.discriminator_steps in range(1, SIMULATED + 1):
            if module.generator_is_due():
                module.generator_steps += 1
                at.append(module.discriminator_steps)
        module.discriminator_steps, module.generator_steps = before
        return cls(at)

    @property
    def steady(self) -> tuple[int, int]:
        """(updates of D, of G) behind any warm start: where the counters are set to measure."""
        k = len(self.at) * 9 // 10
        return (self.at[k], k + 1) if self.at else (0, 0)

    def updates_of_D(self, updates_of_G: int) -> int:
        """Updates of D when G has made so many; beyond those simulated, at the pace of their second half.

        Raises:
            UsageError: G never moves.
        """
        if not self.at:
            raise UsageError("--generator_steps is no budget for a generator that never moves: set --images")
        if updates_of_G <= len(self.at):
            return self.at[updates_of_G - 1]
        return self.at[-1] + round((updates_of_G - len(self.at)) / self._pace)

    def updates_of_G(self, updates_of_D: int) -> int:
        """Updates of G when D has made so many, likewise."""
        if updates_of_D <= SIMULATED:
            return sum(at <= updates_of_D for at in self.at)
        return len(self.at) + int((updates_of_D - SIMULATED) * self._pace) if self.at else 0

    @property
    def _pace(self) -> float:
        """Updates of G for one of D, once the warm start is over."""
        half = len(self.at) // 2
        return (len(self.at) - 1 - half) / (self.at[-1] - self.at[half]) if half else 1 / self.at[-1]


@dataclass
class Phase:
    """A part of a training in which every update takes as long.

    Attributes:
        start: real images seen at its beginning.
        images: of it, within the budget.
        batch: real images per update of D, over all devices.
        title: what a growing network does in it.
        first: seconds of the first batch measured.
        with_G: seconds of further batches in which G moved.
        without_G: of those in which it did not.
        grid: seconds of a sample grid.
    """

    start: int
    images: int
    batch: int
    title: str = ""
    first: float = 0.0
    with_G: list[float] = field(default_factory=list)
    without_G: list[float] = field(default_factory=list)
    grid: float = 0.0

    @property
    def middle(self) -> int:
        """A place well inside."""
        return self.start + self.images // 2

    def update(self, share: float) -> float:
        """Seconds of an update of D and its share of G's."""
        if not self.with_G or not self.without_G:
            return mean(self.with_G or self.without_G)
        return share * mean(self.with_G) + (1 - share) * mean(self.without_G)

    def seconds(self, share: float) -> float:
        """Of all its updates; what its first batch takes longer is in them."""
        update = self.update(share)
        return self.images / self.batch * update + max(0.0, self.first - update)


def phases_of(growth: GrowthSchedule | None, *, budget: int, batch: int) -> list[Phase]:
    """The phases that a budget reaches: one, or those of a growing network.

    Args:
        growth: the schedule, or None.
        budget: real images.
        batch: real images per update of D; a schedule has its own.
    """
    if growth is None:
        return [Phase(0, budget, batch)]
    length = growth.stabilise_images + growth.fade_images
    borders = [k * length + part for k in range(growth.doublings) for part in (0, growth.stabilise_images)]
    borders = [at for at in dict.fromkeys([*borders, growth.grown_at]) if at < budget]
    found = []
    for start, stop in pairwise([*borders, budget]):
        stage = growth.at(start + (stop - start) // 2)
        title = f"{stage.resolution}x{stage.resolution}" + (" fading in" if stage.alpha < 1 else "")
        found.append(Phase(start, stop - start, stage.batch_size, title))
    return found


def updates_within(images: int, growth: GrowthSchedule | None, *, batch: int) -> int:
    """Updates of D until so many real images were seen; the arguments are those of `phases_of`."""
    seen = updates = 0
    for phase in phases_of(growth, budget=images, batch=batch):
        more = max(0, math.ceil((phase.start + phase.images - seen) / phase.batch))
        seen, updates = seen + more * phase.batch, updates + more
    return updates


def images_after(updates: int, growth: GrowthSchedule | None, *, batch: int) -> int:
    """Real images seen when D has made so many updates: a batch that begins in a phase is as large as all of it."""
    grown_at, largest = (0, batch) if growth is None else (growth.grown_at, max(growth.batch_sizes.values()))
    seen = 0
    for phase in phases_of(growth, budget=grown_at + updates * largest, batch=batch):
        more = min(updates, max(0, math.ceil((phase.start + phase.images - seen) / phase.batch)))
        seen, updates = seen + more * phase.batch, updates - more
    return seen


def times(every: int | None, *, budget: int, batch: int, at_start: bool) -> int:
    """How often something happens that is done every so many images, at the start and at the end of a run."""
    end = math.ceil(budget / batch) * batch
    crossings = end // every if every else 0
    last = bool(every) and end // (every or 1) > (end - batch) // (every or 1)
    return crossings + at_start + (not last)


MEASURED = 0.1  # of a training's time: as much as evaluations should take


@dataclass
class Forecast:
    """The whole budget.

    Attributes:
        phases: measured.
        share: updates of G for one of D.
        evaluations, grids, checkpoints, archived: how often.
        evaluation: seconds of one at the end, the reals' features being known.
        reals: seconds of those features, once for a data set, for they are cached; with what is loaded for the first
            evaluation.
        samples: fakes of an evaluation.
        checkpoint: seconds of one.
        decoding: seconds of decoding the images, once.
    """

    phases: list[Phase]
    share: float
    evaluations: int = 0
    grids: int = 0
    checkpoints: int = 0
    archived: int = 0
    evaluation: float = 0.0
    reals: float = 0.0
    samples: int = 0
    checkpoint: float = 0.0
    decoding: float = 0.0

    @property
    def updates(self) -> float:
        """Seconds of all updates."""
        return sum(phase.seconds(self.share) for phase in self.phases)

    @property
    def evaluating(self) -> float:
        """Seconds of all evaluations without the reals' features: those of smaller stages are as much faster as their
        samples are."""
        return self.evaluations * self.over_time(
            lambda phase: max(0.1 * self.evaluation, self.evaluation - self._saved(phase))
        )

    def _saved(self, phase: Phase) -> float:
        return max(0.0, self.phases[-1].grid - phase.grid) * self.samples / 64

    @property
    def drawing(self) -> float:
        """Seconds of all sample grids, and of the looks at samples that go with them."""
        return 2 * self.grids * self.over_time(lambda phase: phase.grid)

    @property
    def measured_share(self) -> float:
        """Of the time, what evaluations take."""
        return self.evaluating / self.training if self.training else 0.0

    def advice(self, every: int) -> str:
        """What would bring the evaluations, now every so many images, to `MEASURED` of the time; "" where they are."""
        rest, allowed = self.training - self.evaluating, MEASURED / (1 - MEASURED)
        if self.measured_share <= MEASURED:
            return ""
        rarer = math.ceil(every * self.evaluating / (allowed * rest) / 1000) * 1000
        remedy = f"--evaluation.every {rarer} or fewer --evaluation.samples"
        return f"         evaluations take {self.measured_share:.0%} of it: {remedy} for {MEASURED:.0%}"

    def over_time(self, value: Callable[[Phase], float]) -> float:
        """The mean over the budget."""
        whole = sum(phase.images for phase in self.phases)
        return sum(phase.images / whole * value(phase) for phase in self.phases)

    @property
    def training(self) -> float:
        """Seconds that the record of the run will call its time, where the reals' features are cached."""
        return self.updates + self.evaluating + self.drawing + self.checkpoints * self.checkpoint

    def lines(self) -> list[str]:
        """Time, part by part."""
        parts = {
            f"{self.evaluations} evaluations": self.evaluating,
            f"{self.grids} sample grids": self.drawing,
            f"{self.checkpoints} checkpoints": self.checkpoints * self.checkpoint,
        }
        beside = [f"{what} {duration(seconds)}" for what, seconds in parts.items() if seconds >= 0.5]
        named = ", ".join([f"updates {duration(self.updates)}", *beside])
        speeds = [f"{1000 * p.update(self.share):,.1f} ms an update of {p.batch} images" for p in self.phases]
        one = f" ({speeds[0]})" if len(speeds) == 1 else ""
        lines = [f"time     {duration(self.training)} of training: {named}{one}"]
        for phase, speed in zip(self.phases, speeds, strict=True) if len(speeds) > 1 else ():
            seconds = duration(phase.seconds(self.share))
            lines.append(f"         {phase.title:20} {phase.images:>12,} images  {speed}, {seconds}")
        if self.decoding >= 1:
            lines.append(f"         and {duration(self.decoding)} before it, once, to decode the images")
        if self.reals >= 1:
            lines.append(
                f"         and {duration(self.reals)} for the reals' features, unless the cache has them already"
            )
        return lines


def size(n: float) -> str:
    """Bytes as "94.4 GB"."""
    for unit in ("bytes", "kB", "MB"):
        if n < 1000:
            return f"{n:.0f} {unit}" if unit == "bytes" else f"{n:.3g} {unit}"
        n /= 1000
    return f"{n:,.1f} GB"


def levels(start: int, final: int) -> Iterator[int]:
    """start, 2 start, ..., final / 2."""
    while start < final:
        yield start
        start *= 2


def cache_lines(needed: int, cache: Path, *, lazy: bool, fly: bool) -> Iterator[str]:
    """The data cache: its size, whether the disk holds it, and what can be done about it.

    Args:
        needed: bytes.
        cache: its folder.
        lazy: whether the data set is one of image files.
        fly: whether they are decoded on the fly.
    """
    if fly:
        yield "cache    none: images are decoded on the fly"
        return
    yield f"cache    {size(needed)} of decoded images in {cache}, once" if needed else "cache    nothing to speak of"
    nearest = next(folder for folder in (cache, *cache.absolute().parents) if folder.is_dir())
    free = shutil.disk_usage(nearest).free
    if needed > free:
        yield f"         there is room for {size(free)} only: set ZOO_CACHE to a larger disk"
    if needed > min(LARGE, free) and lazy:
        yield "         or keep no decoded copy at all: --data.on_the_fly true (of --data ImageFolder)"


def timed(function: Callable[..., Any], *, into: list[float]) -> Callable[..., Any]:
    """A function that also keeps its seconds."""

    def call(*arguments: Any, **options: Any) -> Any:
        began = time.monotonic()
        try:
            return function(*arguments, **options)
        finally:
            into.append(time.monotonic() - began)

    return call


def memory_line(module: AdversarialModule, arrays: list[int], *, n: int, used: int) -> str:
    """Peak memory of the process, and of a GPU.

    Args:
        module: where it was trained.
        arrays: bytes an image of each array that a training holds whole and this one held in part.
        n: images of the training.
        used: images that were used here.
    """
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    more = sum(n * each - used * each for each in arrays if n * each <= MEMORY_MAP_ABOVE)
    mapped = sum(n * each for each in arrays if n * each > MEMORY_MAP_ABOVE)
    text = f"memory   {size(peak + more)} at most"
    if mapped:
        text += f", and the disk's cache as far as it goes for {size(mapped)} of mapped images"
    if module.device.type == "cuda":
        text += f"; {size(torch.cuda.max_memory_reserved(module.device))} of the GPU's"
    return text
