"""An alarm when D knows its training images by heart, which is how trainings on few images go wrong."""

import sys
from typing import NamedTuple

import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn

from zoo.data import ImageArray, ImageDataModule
from zoo.data.base import Split
from zoo.errors import DataNotFoundError
from zoo.models.base.module import AdversarialModule
from zoo.nn.modes import in_eval_mode
from zoo.training.callbacks.base import ZooCallback, data_of
from zoo.training.callbacks.budget import Every
from zoo.training.callbacks.checkpoint import CounterCheckpoint

ALARM = 0.5  # of r_v: half way from reals to samples
SURE = 3.0  # standard errors of the difference between training and held-out images
FEWEST = 16  # held-out images that a mean is taken of
BLOCK = 64  # images at a time


class Scores(NamedTuple):
    """D's outputs on training reals, on held-out reals and on samples, each [n]."""

    train: Tensor
    held_out: Tensor
    fake: Tensor

    @property
    def r_v(self) -> float:
        """(E D(train) - E D(held out)) / (E D(train) - E D(samples)) (Karras et al. 2020, arXiv 2006.06676, eq. 1).

        0: held-out reals are as real to D as those it trains on; 1: no more real than samples.
        """
        train, held_out, fake = (float(part.double().mean()) for part in self)
        return (train - held_out) / (train - fake) if train != fake else 0.0

    @property
    def certain(self) -> bool:
        """Whether training reals score higher than held-out ones by more than what chance gives."""
        gap = float(self.train.double().mean() - self.held_out.double().mean())
        variance = sum(float(part.double().var()) / len(part) for part in (self.train, self.held_out))
        return bool(gap > SURE * variance**0.5)


class MemorisationWatch(ZooCallback):
    """Logs `r_v` and the mean scores behind it, and warns once when r_v exceeds 0.5 beyond chance.

    Held-out reals are the validation split, or else the test split. D scores in evaluation mode, without augmentation,
    with BatchNorm (but for frozen layers) normalising by the batch as in training.

    Args:
        every: images between two looks, or None for none.
        n: training reals, held-out reals and samples looked at, at most; evenly spaced over each split.
    """

    def __init__(self, *, every: int | None, n: int = 512) -> None:
        self.due = Every(every)
        self.n = n
        self.warned = False
        self.looked_at = 0  # images seen by then
        self.reals: tuple[ImageArray, ImageArray] | None = None

    def begin(self, trainer: Trainer, module: AdversarialModule) -> None:
        self.due.last = self.looked_at = module.images_seen
        if not trainer.is_global_zero or self.due.images is None:
            return
        data = data_of(trainer)
        self.reals = self.compared(data)
        if self.reals is None:
            sys.stderr.write(
                f"note: {data.name} has no {FEWEST} held-out images here, so no warning comes when D memorises: "
                "keep some back with --data.train_images N\n"
            )

    def compared(self, data: ImageDataModule) -> tuple[ImageArray, ImageArray] | None:
        """As many training and held-out images; None where there are too few, or their files are not there."""
        names: tuple[Split, ...] = ("validation", "test")
        name = next((name for name in names if name in data.splits), None)
        if name is None:
            return None
        try:
            train, held_out = data.split("train"), data.split(name)
        except DataNotFoundError:  # of the test images: training itself needs none of them
            return None
        n = min(self.n, len(train), len(held_out))
        n -= n % (BLOCK if n >= BLOCK else FEWEST)  # groups of the minibatch statistic stay whole
        return (evenly_spaced(train, n), evenly_spaced(held_out, n)) if n else None

    def after_batch(self, trainer: Trainer, module: AdversarialModule) -> None:
        if (self.due.due(module.images_seen) or trainer.should_stop) and self.reals is not None:
            self.look(trainer, module, *self.reals)

    def end(self, trainer: Trainer, module: AdversarialModule) -> None:
        """A limit of time or of passes was met, which no batch told of."""
        if self.looked_at != module.images_seen and self.reals is not None:
            self.look(trainer, module, *self.reals)

    def look(self, trainer: Trainer, module: AdversarialModule, train: ImageArray, held_out: ImageArray) -> None:
        """Measures, logs, and warns where it is due."""
        self.looked_at = module.images_seen
        scores = score_sets(module, train, held_out)
        values = {"r_v": scores.r_v} | {
            f"score_of_{name}": float(part.mean()) for name, part in scores._asdict().items()
        }
        for logger in trainer.loggers:
            logger.log_metrics(values, step=module.images_seen)
        if self.warned or values["r_v"] <= ALARM or not scores.certain:
            return
        self.warned = True
        best = [c.folder / "best.ckpt" for c in trainer.checkpoint_callbacks if isinstance(c, CounterCheckpoint)]
        stop = f"stop here and take {best[0]}" if best and best[0].exists() else "stop early"
        sys.stderr.write(
            f"\nwarning at {module.images_seen:,} images: D memorises: r_v = {values['r_v']:.2f} is above {ALARM} "
            f"(0: held-out reals score as training ones, 1: as samples). Remedies: --augment color,translation,cutout; "
            f"--freeze_d K; a smaller --lr_scale; {stop}\n"
        )


def evenly_spaced(images: ImageArray, n: int) -> ImageArray:
    """n of the images, evenly spaced over the split."""
    chosen = torch.linspace(0, len(images) - 1, n).round().long()
    labels = None if images.labels is None else images.labels[chosen]
    return ImageArray(images.images[chosen], labels, images.class_names, images.fingerprint)


@torch.no_grad()
def score_sets(module: AdversarialModule, train: ImageArray, held_out: ImageArray) -> Scores:
    """D's outputs on both sets of reals, and on as many samples with the labels of the former; disturbs no stream."""
    from zoo.metrics.batchnorm import batchnorm_statistics
    from zoo.metrics.quantize import to_uint8
    from zoo.metrics.sampling import undisturbed

    training = nn.ModuleList(part for part in module.D.modules() if part.training and not list(part.children()))
    labels = train.labels if module.num_classes is not None else None
    with undisturbed(module), in_eval_mode(module), batchnorm_statistics(training, "batch", lambda k: None):
        samples = [
            to_uint8(module.sample(len(block), labels=None if labels is None else labels[block], seed=int(block[0])))
            for block in torch.arange(len(train)).split(BLOCK)  # type: ignore[no-untyped-call]
        ]
        fake = ImageArray(torch.cat(samples).cpu(), labels, None, "")
        return Scores(*(scores_of(module, images) for images in (train, held_out, fake)))


def scores_of(module: AdversarialModule, images: ImageArray) -> Tensor:
    """D's output on each image, [n] on the CPU."""
    parts = []
    for i in range(0, len(images), BLOCK):
        x = module.preprocess(images.images[i : i + BLOCK].to(module.device))
        y = None if images.labels is None else images.labels[i : i + BLOCK].to(module.device)
        parts.append(module.score(x, y).flatten().float().cpu())
    return torch.cat(parts)
