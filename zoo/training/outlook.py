"""What a training is heading for, said before it starts: how a network will grow, whether the budget means anything."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from zoo.errors import UsageError
from zoo.metrics.protocol import value_name
from zoo.models.base.build import outline
from zoo.models.base.module import AdversarialModule
from zoo.nn.schedules import GrowthSchedule
from zoo.training.forecast import Turns, updates_within
from zoo.training.recipes import budget_of
from zoo.training.scripts import recipe_of

FEW = 500  # updates of G below which samples show nothing of what a recipe does
GROWN_BY = 0.5  # of the budget: when the final resolution is in, if the phases are scaled to it
ROUNDING = 1.5  # images that a doubling of scaled phases is longer or shorter, at most


def follow_the_settings(config: Any, kind: type[AdversarialModule], *, goes_on: bool = False) -> None:
    """Makes settings follow from others, in place.

    The number of samples stands in the name of a measure: the monitored one follows --evaluation.samples. The phases of
    a network that grows are scaled to the budget, if --scale_phases says so.

    Args:
        config: the settings.
        kind: the paper's module.
        goes_on: whether the run has begun: its phases stay, whatever its budget is now; a network that has grown would
            be small again with longer ones.

    Raises:
        UsageError: phases cannot be scaled.
    """
    config.keep.monitor = monitored(config.keep.monitor, samples=config.evaluation.samples)
    if config.scale_phases and not goes_on:
        scale_phases(config, kind)


def monitored(name: str | None, *, samples: int) -> str | None:
    """The measure that is taken of so many samples in the place of the one that is named; others stay as they are."""
    known = re.fullmatch(r"(fd|kd|is)_(lenet|resnet|efficientnet)(?:_?\d+k?)?|(fid|kid|is)(\d+k?)", name or "")
    if known is None:
        return name
    if known[3]:
        return value_name({"fid": "fd", "kid": "kd"}.get(known[3], known[3]), "inception", samples)
    return value_name(known[1], known[2], samples)


def scale_phases(config: Any, kind: type[AdversarialModule]) -> None:
    """Scales the phases so that the final resolution is in after GROWN_BY of the budget.

    Where the settings leave start and phases out, they are those of the module's schedule.

    Raises:
        UsageError: the network does not grow, or the budget is not one of images.
    """
    model = config.model
    if "stabilise_images" not in model:
        raise UsageError("--scale_phases is of networks that grow, and this one does not: leave it out")
    if config.images is None:
        raise UsageError("--scale_phases scales the phases to a budget of images: set --images")
    growth = outline(kind, model.as_dict()).growth
    assert growth is not None  # it has phases
    if not growth.doublings:
        raise UsageError(f"--scale_phases: this network starts at its full {growth.final}x{growth.final}: leave it out")
    if abs(growth.grown_at - GROWN_BY * config.images) <= ROUNDING * growth.doublings:
        return  # as it was when the run began: scaled again, another half image might be rounded
    factor = GROWN_BY * config.images / growth.grown_at
    model.stabilise_images = max(1, round(factor * growth.stabilise_images))
    model.fade_images = round(factor * growth.fade_images)


def outlook(module: AdversarialModule, *, recipe: str, settings: Mapping[str, Any]) -> Iterator[str]:
    """Lines for the start of a training.

    Args:
        module: what is trained.
        recipe: its name.
        settings: of the run.
    """
    turns = Turns.of(module)
    batch = settings["data"]["init_args"].get("batch_size", 64)
    images, of_G = settings["images"], settings["generator_steps"]
    yield from growing(module.growth, images=images)
    if images is not None:
        of_D = updates_within(images, module.growth, batch=batch)
        of_G = min(turns.updates_of_G(of_D), of_G or turns.updates_of_G(of_D))
    if of_G is None or of_G >= FEW or not turns.at:
        return
    own = recipe_budget(module.paper, recipe)
    what = f"{of_G:,} {'update' if of_G == 1 else 'updates'} of G"
    yield (
        f"note: this budget is {what}, too few for samples or measures to mean anything"
        + f"; the recipe's own is {own}" * bool(own)
    )


def growing(growth: GrowthSchedule | None, *, images: int | None) -> Iterator[str]:
    """When which resolution comes, and whether the budget gets there."""
    if growth is None or not growth.doublings:
        return
    length = growth.stabilise_images + growth.fade_images
    steps = [f"{growth.start}x{growth.start}"]
    for k in range(1, growth.doublings + 1):
        side = growth.start << k
        steps.append(f"{side}x{side} from {k * length - growth.fade_images:,} (whole at {k * length:,})")
    yield "grows by images seen: " + ", ".join(steps)
    if images is None or images >= growth.grown_at:
        return
    stage = growth.at(max(0, images - 1))
    fading = "" if stage.alpha == 1 else f", which is faded in to {stage.alpha:.0%}"
    yield (
        f"warning: a budget of {images:,} images ends at {stage.resolution}x{stage.resolution}{fading}; "
        f"{growth.final}x{growth.final} is whole after {growth.grown_at:,}: give --images {2 * growth.grown_at}, or "
        "--scale_phases true, which scales the phases to the budget"
    )


def recipe_budget(paper: str, recipe: str) -> str:
    """The budget of a recipe in words; "" where it has none, or is not known."""
    own = recipe_of(paper, recipe)
    return budget_of(own.config) if own else ""
