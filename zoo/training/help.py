"""The short help of a paper's command line: what one changes from run to run, a line each. Without torch, at once.

`--help_all` is LightningCLI's own, with every option of the trainer.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from zoo.training.plan import Plan
from zoo.training.recipes import Recipe
from zoo.training.signatures import arguments_of, entries, model_of
from zoo.training.study import Study
from zoo.training.words import called_as

if TYPE_CHECKING:
    from zoo.models.base.module import AdversarialModule

WIDTH = 120
LINES = 60
EVALUATION = "zoo.experiments.suite.EvaluationSettings"
SPARE: tuple[str, ...] = (  # left out for room
    *("keep.archive_every", "matmul_precision", "evaluation.real_images", "wandb_artifacts", "wandb", "compile"),
    *("evaluation.mirror_reals", "evaluation.split", "evaluation.test_samples", "evaluation.batchnorm", "lr_scale"),
    *("evaluation.extractors", "evaluation.across_papers"),
)
ALIASES = {"data.root": "data_dir", "data.seed": "seed_everything"}  # set by these, whatever they are themselves


class Line(NamedTuple):
    """An option: the group it belongs to, its name on the command line, its default, and what it is."""

    group: str
    option: str
    default: str
    text: str


def short_help(
    plan: Plan, model: str | type[AdversarialModule], *, recipes: Mapping[str, Recipe], studies: Mapping[str, Study]
) -> str:
    """Usage, recipes and options of one subcommand, at most 60 lines.

    Args:
        plan: of the command line that asks for it; defaults are those of its recipe, or of its run.
        model: the paper or its module.
        recipes: of the paper.
        studies: of the paper.
    """
    paper = model if isinstance(model, str) else model.paper
    kind = model_of(paper) if isinstance(model, str) else f"{model.__module__}.{model.__qualname__}"
    usage = f"usage: {' '.join(called_as(paper, plan.subcommand))} [--recipe NAME] [--OPTION VALUE] ..."
    below = [f"studies: {', '.join(studies)}"] if studies else []
    below.append(f"options, with their defaults in recipe {plan.recipe} (all there are: --help_all)")
    options = list(lines(plan, kind))
    room = LINES - 3 - len(below)  # beside the usage and two lines of recipes
    spare = [*SPARE]
    while len(options) > room and spare:
        options = [line for line in options if line.option != f"--{spare[0]}"]
        spare = spare[1:]
    named = textwrap.wrap(
        f"recipes: {', '.join(recipes)}",
        WIDTH,
        subsequent_indent="  ",
        max_lines=room + 2 - len(options),
        placeholder=f" ... (all of them: zoo papers {paper})",
    )
    return "\n".join([usage, *named, *below, *aligned(options)]) + "\n"


def lines(plan: Plan, kind: str) -> Iterator[Line]:
    """The options in the order of the groups, each with the value it has unless it is given."""
    fit, predict = plan.subcommand == "fit", plan.subcommand == "predict"
    data = plan.base.get("data") or {}
    yield from of_class("model", kind, prefix="model.", values=plan.base.get("model") or {})
    if data:
        yield from of_data(str(data["class_path"]), values=data.get("init_args") or {})
    if fit:
        yield from of_class("budget", "zoo.training.settings.Budget", values=plan.base)
    yield from of_class("run", "zoo.training.settings.Place", values={})
    yield Line("run", "--seed_everything", str(plan.base.get("seed_everything", 0)), "Seed of everything (data.seed).")
    yield from of_class("run", "zoo.training.settings.Run", values=plan.base)
    if fit:
        yield from of_class("keep", "zoo.training.settings.Keep", prefix="keep.", values=plan.base.get("keep") or {})
    if not predict:
        yield from of_class("evaluation", EVALUATION, prefix="evaluation.", values=plan.base.get("evaluation") or {})
    if fit:
        yield from of_class("fine-tuning", "zoo.training.settings.FineTuning", values=plan.base)
    if predict:
        yield from of_class("predict", "zoo.training.settings.Prediction", values=plan.base)


def of_class(group: str, kind: str, *, values: Mapping[str, Any], prefix: str = "") -> Iterator[Line]:
    """The arguments of a class as options; `values` replace its defaults."""
    for argument in arguments_of(kind):
        default = repr(values[argument.name]) if argument.name in values else argument.default
        yield Line(group, f"--{prefix}{argument.name}", default, argument.help)


def of_data(class_path: str, *, values: Mapping[str, Any]) -> Iterator[Line]:
    """The options of the recipe's data set."""
    sets = ", ".join(entries("zoo.data", "DATASETS"))
    yield Line("data", "--data", class_path.rpartition(".")[2], f"Data set: {sets}.")
    for line in of_class("data", class_path, prefix="data.", values=values):
        option = line.option.removeprefix("--")
        yield line._replace(text=f"Taken from --{ALIASES[option]}.") if option in ALIASES else line


def aligned(options: list[Line]) -> list[str]:
    """The lines in columns; the group stands at its first one."""
    wide = max(len(line.option) for line in options)
    rows, before = [], ""
    for line in options:
        group = "" if line.group == before else line.group
        before = line.group
        default = textwrap.shorten(as_typed(line.default), 22, placeholder="...")
        left = f"{group:12}{line.option:{wide}}  {default:>11}  "
        rows.append(left + textwrap.shorten(line.text, max(20, WIDTH - len(left)), placeholder=" ..."))
    return [row.rstrip() for row in rows]


def as_typed(default: str) -> str:
    """A default as one would type it; "-" for none."""
    if default.replace("_", "").isdigit():
        return default.replace("_", "")
    return {"None": "-", "True": "true", "False": "false"}.get(default, default.strip("'\""))
