"""The command line of a paper, from its first word on: `python reproductions/dcgan.py fit ...`, `zoo fit dcgan ...`.

No torch at import: usage errors, the help and the list of recipes come at once; what trains is imported when it does.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from zoo.runs.environment import keep_freed_memory, shorten_waits
from zoo.runs.process import orderly
from zoo.training.finetune.origin import with_source_recipe
from zoo.training.help import short_help
from zoo.training.plan import make_plan
from zoo.training.recipes import Lazy, Recipe
from zoo.training.study import Study, study_command
from zoo.training.words import Words, called_as

if TYPE_CHECKING:
    from zoo.models.base.module import AdversarialModule

SUBCOMMANDS = ("fit", "test", "predict")


def reproduce(
    model: str | type[AdversarialModule],
    recipes: Mapping[str, Recipe],
    *,
    figures: Callable[..., Any] | None = None,
    studies: Mapping[str, Study] | None = None,
    arguments: Sequence[str] | None = None,
) -> None:
    """Runs a paper's command line; expected errors are printed in one piece and end with status 1.

    Args:
        model: name of the paper in `zoo.models.MODELS`, or its module.
        recipes: its experiments.
        figures: draws the paper's figures of one run, after `fit` and `test`.
        studies: its experiments that are made of several runs.
        arguments: of the command line; None takes those of the process.
    """
    shorten_waits()
    keep_freed_memory()
    arguments = sys.argv[1:] if arguments is None else arguments
    studies = studies or {}
    name = model if isinstance(model, str) else model.paper
    if not arguments or arguments[0] not in (*SUBCOMMANDS, *(["study"] if studies else [])):
        asked = bool(arguments) and arguments[0] in ("-h", "--help")
        (sys.stdout if asked else sys.stderr).write(usage(name, recipes, studies))
        raise SystemExit(0 if asked else 2)
    alone = " ".join(called_as(name, "study")) if arguments[0] == "study" else None
    with orderly(alone=alone):
        run(Words.of(arguments), model, recipes=recipes, figures=figures, studies=studies)


def usage(paper: str, recipes: Mapping[str, Recipe], studies: Mapping[str, Study]) -> str:
    """What there is, for a command line without a subcommand."""
    first, study = (" ".join(called_as(paper, word)) for word in (f"{{{','.join(SUBCOMMANDS)}}}", "study"))
    text = f"usage: {first} [--recipe NAME] [--help] ...\nrecipes: {', '.join(recipes)}\n"
    if studies:
        text += f"usage: {study} --name NAME [--members A,B] [--jobs N] [--earlier RECORD] ...\n"
        text += f"studies: {', '.join(studies)}\n"
    return text


def run(
    words: Words,
    model: str | type[AdversarialModule],
    *,
    recipes: Mapping[str, Recipe],
    figures: Callable[..., Any] | None,
    studies: Mapping[str, Study],
) -> None:
    """One of fit, test, predict, study, or the help of one."""
    paper = model if isinstance(model, str) else model.paper
    if words.subcommand == "study" and words.asks_for_help:
        sys.stdout.write(usage(paper, recipes, studies))
        return
    if words.subcommand == "study":
        study_command(words, studies=studies, paper=paper)
        return
    plan = make_plan(with_source_recipe(words, recipes=recipes), paper=paper, recipes=recipes)
    if words.asks_for_help:
        sys.stdout.write(short_help(plan, model, recipes=recipes, studies=studies))
        return
    from zoo.models import TRAINED  # these bring torch
    from zoo.training.cli import ReproductionCLI
    from zoo.training.dry_run import DryRun
    from zoo.training.process import train

    if isinstance(figures, Lazy):
        figures = figures.load()  # a wrong name is found before the training
    quieten()
    kind = TRAINED[model] if isinstance(model, str) else model
    train(plan, kind, recipes=recipes, figures=figures, command_line=DryRun if words.dry_run else ReproductionCLI)


def quieten() -> None:
    """Silences what Lightning says on every run and nobody needs to know."""
    logging.getLogger("lightning.pytorch.utilities.rank_zero").setLevel(logging.WARNING)  # an advertisement
    logging.getLogger("lightning.fabric.utilities.seed").setLevel(logging.WARNING)  # the seed stands in our own lines
    for expected in (
        r"The number of training batches \(\d+\) is smaller than the logging interval",  # we log by our own counter
        "You have overridden `on_after_batch_transfer`",  # the module knows the scale it trains on
        "Be aware that when using `ckpt_path`",  # test and predict have no use for fit's callbacks
        r"Found \d+ module\(s\) in eval mode at the start",  # frozen BatchNorm layers
        "GAN takes its generator's first bias",  # the batches of a dry run are no data set
        "(?s).*JSONARGPARSE_DEPRECATION_WARNINGS",  # Lightning's calls, not ours
        "(?s).*deprecated in v4",
        "`isinstance.treespec, LeafSpec.` is deprecated",
    ):
        warnings.filterwarnings("ignore", message=expected)
