"""Warns when a training shows one of the known ways to fail, with the remedy that its paper names."""

import statistics
import sys
from collections import deque

import torch
from lightning.pytorch import Trainer

from zoo.models.base.module import AdversarialModule
from zoo.models.base.monitor import mean_pairwise_distance
from zoo.training.callbacks.base import ZooCallback, data_of
from zoo.training.callbacks.budget import Every

PATIENCE = 10  # logged points in a row
SURE = 4.0  # a mean logit: D(x) = 0.98
CHANCE = 500  # updates of G before which it has had no chance to make anything
COLLAPSED = 0.25  # of the variety of reals
DIVERGED = 1e3  # times the median so far

SYMPTOMS = {
    "collapse": "samples of different latents look alike (mode collapse)",
    "saturation": "D tells every image, and G's gradient vanishes (saturation)",
    "divergence": "gradients grow without end (divergence)",
}


class HealthWatch(ZooCallback):
    """Looks at what was logged, and now and then at a fixed batch of samples; prints each warning once.

    - collapse: the mean distance between two of 64 samples of fixed latents is below a quarter of that of reals;
    - saturation: D's mean logits stay above 4 on reals and below -4 on samples (not for critics, whose scores have no
      scale);
    - divergence: a gradient norm stays above a thousand times its median so far.

    The ratio of varieties is logged as `variety` (1: as varied as reals). A paper names its remedies in
    `AdversarialModule.remedies`.

    Args:
        every: images between two looks at samples, or None for none. The first is after two intervals.
        n: samples looked at.
        chance: updates of G before which samples that look alike are no collapse: an untrained G makes nothing else.
    """

    def __init__(self, *, every: int | None, n: int = 64, chance: int = CHANCE) -> None:
        self.due = Every(every)
        self.n = n
        self.chance = chance
        self.real_variety: float | None = None
        self.streaks = {"saturation": 0, "divergence": 0}
        self.norms: dict[str, deque[float]] = {}
        self.warned: set[str] = set()

    def begin(self, trainer: Trainer, module: AdversarialModule) -> None:
        self.due.last = module.images_seen
        if self.due.images is not None:
            data_of(trainer)  # there is one, to compare with

    def after_batch(self, trainer: Trainer, module: AdversarialModule) -> None:
        if not trainer.is_global_zero:
            return
        if module.reported_at == module.images_seen:
            self.look_at_log(module)
        if self.due.due(module.images_seen):
            self.look_at_samples(trainer, module)

    def look_at_log(self, module: AdversarialModule) -> None:
        """Saturation and divergence, of the values just logged."""
        values = module.latest
        if "score_real" not in values:
            return
        shown = {"divergence": False}
        if module.scores_are_logits:
            shown["saturation"] = values["score_real"] > SURE and values["score_fake"] < -SURE
        for name in (name for name in values if name.startswith("gradient_norm")):
            past = self.norms.setdefault(name, deque(maxlen=1_000))
            shown["divergence"] |= len(past) >= PATIENCE and values[name] > DIVERGED * statistics.median(past)
            past.append(values[name])
        for symptom, seen in shown.items():
            self.streaks[symptom] = self.streaks[symptom] + 1 if seen else 0
            if self.streaks[symptom] >= PATIENCE:
                self.warn(symptom, module)

    @torch.no_grad()
    def look_at_samples(self, trainer: Trainer, module: AdversarialModule) -> None:
        """Collapse, of samples of the same latents each time."""
        if self.real_variety is None:
            data = data_of(trainer)
            train = data.split("train")
            n = min(self.n, len(train))
            reals = (train.slice(0, n) if data.mixed else train.sample(n)).images[:n]
            self.real_variety = mean_pairwise_distance(reals if reals.is_floating_point() else reals / 127.5)
        if not self.real_variety > 0:  # one image, or the same over and over: nothing to compare with
            return
        ratio = mean_pairwise_distance(module.sample(self.n, seed=0)) / self.real_variety
        for logger in trainer.loggers:
            logger.log_metrics({"variety": ratio}, step=module.images_seen)
        early = self.due.images is None or module.images_seen < 2 * self.due.images
        early |= module.generator_steps < self.chance
        if ratio < COLLAPSED and not early:
            self.warn("collapse", module)

    def warn(self, symptom: str, module: AdversarialModule) -> None:
        """One line on standard error, once a run."""
        if symptom in self.warned:
            return
        self.warned.add(symptom)
        remedy = None if module.uses_remedy(symptom) else module.remedies.get(symptom)
        advice = f". Its paper's remedy: {remedy}" if remedy else ""
        sys.stderr.write(f"\nwarning at {module.images_seen:,} images: {SYMPTOMS[symptom]}{advice}\n")
