"""Projection: the latent whose image is nearest to a given one, by gradient descent from several starts.

After the optimisation of StyleGAN's authors (T. Karras et al., Analyzing and Improving the Image Quality of StyleGAN,
CVPR 2020, arXiv 1912.04958, appendix D) and R. Abdal, Y. Qin, P. Wonka, Image2StyleGAN, ICCV 2019, arXiv 1904.03189
(w+), for any space: distances are in features of a classifier of this package and in pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from zoo.errors import EvaluationError
from zoo.experiments.latents.space import LatentSpace, Points, Space, continuous_columns
from zoo.metrics.features import FeatureExtractor

MUTATED, PROPOSALS = 0.05, 8  # share of what no gradient reaches that is drawn anew in a step, falling; tries


@dataclass(frozen=True)
class Settings:
    """How a projection is looked for.

    Attributes:
        starts: that each image is looked for from: those of `candidates` whose images are nearest to it.
        candidates: samples that the starts are chosen among.
        steps: of Adam.
        lr: its largest step, in standard deviations of a coordinate; it grows over the first twentieth and falls to 0
            as a cosine.
        truncation: weight of the penalty on the mean square of the coordinates' distance from their mean, in standard
            deviations: the larger, the more typical the result.
        seed: of the candidates.
    """

    starts: int = 4
    candidates: int = 500
    steps: int = 300
    lr: float = 0.1
    truncation: float = 0.001
    seed: int = 0


class Projection(NamedTuple):
    """Attributes: where the best start ended, its image and that of its start, and the distances of both.

    Distances [N] are means of those in features and in pixels, squared, in units of what a random sample has.
    """

    points: Points
    images: Tensor
    before: Tensor
    distance: Tensor
    distance_before: Tensor


class Distance:
    """Squared distance of images to targets in features and in pixels, each so that samples have 1 on average.

    Args:
        targets: [N, C, H, W] in [-1, 1].
        samples: images that are random, [M, C, H, W].
        extractor: of the features; None: pixels alone.

    Raises:
        EvaluationError: a network that lets no gradient through.
    """

    def __init__(self, targets: Tensor, samples: Tensor, extractor: FeatureExtractor | None) -> None:
        self.extractor = extractor
        self.targets = [view.detach() for view in self.views(targets)]
        self.units = [
            torch.stack([(view - target).square().sum(1).mean() for target in targets_of]).clamp_min(1e-12)
            for view, targets_of in zip(self.blocks(samples), self.targets, strict=True)
        ]  # [N] for each view

    def views(self, images: Tensor) -> list[Tensor]:
        """Images as features, where there is a network, and as pixels; each [N, d]."""
        pixels = [images.flatten(1)]
        if self.extractor is None:
            return pixels
        features = self.extractor.extract(((images + 1) * 127.5).clamp(0, 255)).features
        if images.requires_grad and not features.requires_grad:
            raise EvaluationError(f"no gradient passes through {self.extractor.name}: take lenet, resnet or pixels")
        return [features, *pixels]

    def blocks(self, images: Tensor, *, block: int = 100) -> list[Tensor]:
        """`views` of many images, without gradients."""
        with torch.no_grad():
            parts = [self.views(part) for part in images.split(block)]  # type: ignore[no-untyped-call]
        return [torch.cat(view) for view in zip(*parts, strict=True)]

    def __call__(self, images: Tensor, of: Tensor) -> Tensor:
        """Distances [M] of images [M, C, H, W] to the targets of the numbers `of` [M]."""
        parts = [
            (view - target[of]).square().sum(1) / unit[of]
            for view, target, unit in zip(self.views(images), self.targets, self.units, strict=True)
        ]
        return torch.stack(parts).mean(0)


def project(
    space: Space,
    targets: Tensor,
    *,
    extractor: FeatureExtractor | None,
    labels: Tensor | None = None,
    settings: Settings = Settings(),  # frozen
    tell: Callable[[int, float], None] = lambda step, distance: None,
) -> Projection:
    """The points whose images are nearest to targets [N, C, H, W] in [-1, 1].

    Args:
        space: that they are looked for in.
        targets: images of the model's shape.
        extractor: whose features are compared, beside the pixels; None: pixels alone.
        labels: of the targets, int64 [N], which the samples that are looked through have in turn; None: a conditional
            model's starts have whatever label fits best.
        settings: how.
        tell: called now and then with the step and the mean distance.
    """
    candidates = candidates_of(space, labels, settings=settings)
    pictures = space.pictures(candidates).to(targets)
    distance = Distance(targets, pictures, extractor)
    chosen = nearest(distance, pictures, len(targets), starts=settings.starts, allowed=of_label(candidates, labels))
    of = torch.arange(len(targets)).repeat_interleave(chosen.shape[1])
    start = Points(candidates.x[chosen.flatten()], None if candidates.y is None else candidates.y[chosen.flatten()])
    end = descend(space, start, lambda images: distance(images, of), settings=settings, tell=tell)
    after = distance_of(distance, space, end, of).view(len(targets), -1)  # [N, starts]
    best = torch.arange(len(targets), device=after.device) * after.shape[1] + after.argmin(1)
    points = Points(end.x[best], None if end.y is None else end.y[best])
    first = chosen[:, 0]
    before = pictures[first]
    numbers = torch.arange(len(targets))
    with torch.no_grad():
        at_start = distance(before, numbers)
    return Projection(points, space.pictures(points), before.cpu(), after.amin(1), at_start)


def candidates_of(space: Space, labels: Tensor | None, *, settings: Settings) -> Points:
    """The samples that are looked through: with labels, as many of each that is asked for, enough for all starts.

    Raises:
        EvaluationError: labels that the model does not have.
    """
    if labels is None:
        return space.draw(settings.candidates, seed=settings.seed)
    refuse_labels(space, labels)
    asked = torch.unique(labels.cpu())
    n = max(settings.candidates, len(asked) * settings.starts)
    return space.draw(n, seed=settings.seed, labels=asked[torch.arange(n) % len(asked)])


def refuse_labels(space: Space, labels: Tensor) -> None:
    """Raises EvaluationError for labels [N] that the model does not have."""
    classes = space.module.num_classes
    if classes is None:
        raise EvaluationError("the model is unconditional: leave labels out")
    if not bool(((labels >= 0) & (labels < classes)).all()):
        raise EvaluationError(f"labels are from 0 to {classes - 1}, not {labels.tolist()}")


def of_label(candidates: Points, labels: Tensor | None) -> Tensor | None:
    """Which candidates have the label of each target, bool [N, M]; None: all do."""
    if labels is None or candidates.y is None:
        return None
    return labels[:, None].to(candidates.y) == candidates.y[None]


def nearest(distance: Distance, pictures: Tensor, n: int, *, starts: int, allowed: Tensor | None) -> Tensor:
    """Numbers [n, starts] of the candidates nearest to each target, the nearest first."""
    views = distance.blocks(pictures)
    rows = []
    for i in range(n):
        parts = [
            (view - target[i]).square().sum(1) / unit[i]
            for view, target, unit in zip(views, distance.targets, distance.units, strict=True)
        ]
        total = torch.stack(parts).mean(0)
        if allowed is not None:
            total = total.masked_fill(~allowed[i], math.inf)
        rows.append(total.topk(min(starts, len(total)), largest=False).indices)
    return torch.stack(rows)


@torch.no_grad()
def distance_of(distance: Distance, space: Space, points: Points, of: Tensor) -> Tensor:
    """Distances [M] of the points' images."""
    return distance(space.images(points), of)


def descend(
    space: Space,
    start: Points,
    loss: Callable[[Tensor], Tensor],
    *,
    settings: Settings,
    tell: Callable[[int, float], None],
) -> Points:
    """Where each start came to, by Adam on its coordinates; bounded ones stay in their range, categories as they are.

    What no gradient reaches (what cGAN's dropout drops) is drawn anew, a few entries a step, where that is better.
    """
    drawn = space.draw(1000, seed=settings.seed + 1).x
    mean, scale = drawn.mean(0), drawn.std(0).clamp_min(1e-6)
    low, high = limits(space, drawn)
    moves = movable(space, start.x)
    u = ((start.x - mean) / scale).detach().requires_grad_()  # in deviations
    optimizer = torch.optim.Adam([u], lr=settings.lr)
    best, least = start.x, torch.full((len(start.x),), math.inf, device=start.x.device)
    for step in range(settings.steps + 1):
        x = u * scale + mean
        losses = loss(space.images(Points(x, start.y)))
        objective = losses + settings.truncation * u.square().flatten(1).mean(1)
        lower = objective.detach() < least
        best, least = chosen_rows(lower, x.detach(), best), torch.where(lower, objective.detach(), least)
        if step == settings.steps:
            break
        if step % 50 == 0:
            tell(step, float(losses.detach().mean()))
        (u.grad,) = torch.autograd.grad(objective.sum(), u)
        u.grad *= moves
        optimizer.param_groups[0]["lr"] = rate(step, settings)
        optimizer.step()
        with torch.no_grad():
            x = (u * scale + mean).clamp(low, high)
            if isinstance(space, LatentSpace) and x.shape[1] > space.dim:
                share = MUTATED * (1 - step / settings.steps) ** 2
                x = mutated(space, x, start.y, loss, share=share, seed=settings.seed + step)
            u.copy_((x - mean) / scale)
    return Points(best, start.y)


def rate(step: int, settings: Settings) -> float:
    """Adam's learning rate: up over the first twentieth of the steps, then down to 0 as a cosine."""
    up = min(1.0, (step + 1) / max(1, settings.steps / 20))
    return settings.lr * up * (1 + math.cos(math.pi * step / settings.steps)) / 2


def limits(space: Space, drawn: Tensor) -> tuple[Tensor, Tensor]:
    """The range of each coordinate: that of the draws where it is bounded, none where it is normal."""
    free = torch.full_like(drawn[0], math.inf)
    if not isinstance(space, LatentSpace):
        return -free, free
    bounded = drawn.abs().amax(0) <= 2
    return torch.where(bounded, drawn.amin(0), -free), torch.where(bounded, drawn.amax(0), free)


def movable(space: Space, x: Tensor) -> Tensor:
    """1 for the coordinates that descend, 0 for categories."""
    ones = torch.ones_like(x[0])
    if isinstance(space, LatentSpace):
        ones[: space.dim] *= continuous_columns(space.module).to(x)
    return ones


def chosen_rows(which: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Rows of a where `which` [N], else of b."""
    return torch.where(which.view(-1, *[1] * (a.ndim - 1)), a, b)


def mutated(
    space: Space, x: Tensor, y: Tensor | None, loss: Callable[[Tensor], Tensor], *, share: float, seed: int
) -> Tensor:
    """x [N, width] with a share of the entries behind `dim` drawn anew: the best of PROPOSALS for each row, and x."""
    generator = torch.Generator().manual_seed(seed)
    best, least = x, loss(space.images(Points(x, y)))
    for _ in range(PROPOSALS):
        fresh = space.module.latents(len(x), generator=generator)
        change = torch.rand(x.shape, generator=generator) < share
        change[:, : space.dim] = False
        other = torch.where(change.to(x.device), fresh.to(x), x)
        found = loss(space.images(Points(other, y)))
        best, least = chosen_rows(found < least, other, best), torch.minimum(found, least)
    return best
