"""Settings that parse and yet make no sense: said in one line, before anything is read, made or written."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from jsonargparse import Namespace

from zoo.errors import UnsupportedSettingError, UsageError, ZooError
from zoo.experiments.measures import MEASURES
from zoo.models.base.build import outline
from zoo.models.base.module import AdversarialModule
from zoo.models.base.ranges import wrong_setting
from zoo.nn.augment import parse_policy
from zoo.training.idle import refuse_idle
from zoo.training.plan import Plan
from zoo.training.refusals import reason
from zoo.training.settings import refuse_counts_below_one
from zoo.training.trainer import refuse_unusable_options

SEEDS = 2**32  # NumPy's
#: Options that name something: an empty text (of a shell variable that is not set) is no name.
NAMES = ("data_dir", "wandb", "keep.monitor", "init_from", "augment", "recipe", "evaluation.batchnorm")


def refuse_senseless(settings: Any, model_class: type[AdversarialModule], *, source: bool) -> None:
    """Raises a ZooError for the first setting that cannot be meant.

    Args:
        settings: of a subcommand, parsed.
        model_class: of the paper.
        source: whether there are weights to start from.
    """
    for group in ("model", "trainer", "keep", "evaluation"):
        if not isinstance(settings[group], Namespace):
            raise UsageError(f"--{group} is a group of settings, not {settings[group]!r}")
    for name in NAMES:
        if isinstance(settings[name], str) and not settings[name].strip():
            raise UsageError(f"--{name} is empty (a shell variable that is not set?): give it a value or leave it out")
    if isinstance(settings.wandb, str) and not re.fullmatch(r"[^/\\#?%:]{1,128}", settings.wandb):
        raise UsageError(
            f"--wandb {settings.wandb!r} is no project's name: at most 128 letters, none of / \\ # ? % : (an entity is "
            "named by the environment variable WANDB_ENTITY)"
        )
    if settings.wandb_artifacts and not settings.wandb:
        raise UsageError("--wandb_artifacts sends checkpoints to Weights & Biases: it needs --wandb true")
    seed = settings.seed_everything
    if seed is False or (seed is not True and not 0 <= seed < SEEDS):
        raise UsageError(f"--seed_everything must be a whole number from 0 to 2^32 - 1, not {seed!r}")
    refuse_counts_below_one(settings)
    if settings.freeze_d < 0 or not 0 < settings.lr_scale < math.inf:
        raise UsageError("--freeze_d must be 0 or more, and --lr_scale above 0 (and finite)")
    if settings.freeze_d and settings.init_from is None:
        raise UsageError(
            "--freeze_d keeps what D has learnt, and this D has learnt nothing: name weights by --init_from"
        )
    if settings.augment is not None:
        parse_policy(settings.augment)
    refuse_unusable_options(settings.trainer)
    refuse_monitor(settings.keep.monitor)
    if not source:  # else it follows the data first
        refuse_model(model_class, settings.model.as_dict())


#: Options of training alone, by their beginnings.
OF_FIT = (
    *("images", "generator_steps", "scale_phases", "matmul_precision", "wandb_artifacts"),
    *("init_from", "freeze_d", "lr_scale", "augment", "keep", "evaluation.every", "evaluation.samples"),
)
#: What a subcommand has no use for, in the same way.
UNHEARD = {
    "fit": ("samples",),
    "test": (*OF_FIT, "samples"),
    "predict": (*OF_FIT, "evaluation", "wandb"),
}
#: What may be meant instead.
MEANT = {
    ("test", "evaluation.samples"): "--evaluation.test_samples",
    ("test", "samples"): "--evaluation.test_samples",
    ("fit", "samples"): "--evaluation.samples",
    ("predict", "evaluation.samples"): "--samples",
    ("predict", "evaluation.test_samples"): "--samples",
}


def refuse_unheard(config: Any, kind: type[AdversarialModule], *, plan: Plan) -> None:
    """Raises UsageError for an option on the command line that another one has the say of, or that nothing would hear.

    Args:
        config: the parsed settings, with a data set.
        kind: class of the paper's module.
        plan: what the command line asks for.
    """
    given, subcommand = plan.words.given, plan.subcommand
    for option in given:
        if any(option == name or option.startswith(f"{name}.") for name in UNHEARD[subcommand]):
            meant = MEANT.get((subcommand, option))
            raise UsageError(
                f"--{option} does nothing in {subcommand}: leave it out" + f" (or do you mean {meant}?)" * bool(meant)
            )
    for name, by in (("root", "data_dir"), ("seed", "seed_everything")):
        typed = next((option for option in (f"data.{name}", f"data.init_args.{name}") if option in given), None)
        own = config.data.init_args.get(name)
        if typed is not None and config[by] is not None and own != config[by]:
            raise UsageError(f"--{typed} {own}: it is set by --{by}, which is {config[by]}: leave one of them out")
    if subcommand == "fit" and "keep.monitor" in given and config.keep.monitor and config.evaluation.every is None:
        raise UsageError(
            f"--keep.monitor {config.keep.monitor} chooses a checkpoint by what is measured while training, and "
            "nothing is: set --evaluation.every, images between two evaluations"
        )
    if subcommand == "fit" and not plan.goes_on:
        refuse_idle(kind, config.model.as_dict(), chosen=plan.named)


def refuse_model(kind: type[AdversarialModule], settings: Mapping[str, Any]) -> None:
    """Raises UsageError for settings that no network can be made of; nothing is made."""
    if wrong := wrong_setting(settings):
        raise UsageError(f"--model.{wrong}")
    try:
        outline(kind, settings)
    except UnsupportedSettingError as error:
        raise UsageError(f"no networks can be made of these --model settings: {error}") from error


@contextmanager
def in_its_own_words() -> Iterator[None]:
    """Inside, what a constructor of the package refuses comes out as it said it, without the parser's words around."""
    try:
        yield
    except ZooError:
        raise
    except ValueError as error:
        link: BaseException | None = error
        while link is not None and not isinstance(link, ZooError):
            link = link.__cause__ or link.__context__
        if link is not None:
            raise link from error
        raise UsageError(reason(str(error)) or " ".join(str(error).split())) from error


def refuse_monitor(name: str | None) -> None:
    """Raises UsageError for a measure by which no checkpoint can be chosen."""
    if name and MEASURES.better(name) is None:
        raise UsageError(f"--keep.monitor {name} is no measure: `zoo evaluate --measures list` says what there is")
    if name and MEASURES.better(name) == "neither":
        raise UsageError(
            f"--keep.monitor {name} describes the critic: of its values neither low nor high ones are better, so they "
            "choose no checkpoint"
        )
