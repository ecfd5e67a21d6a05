"""What a command line asks for, before its settings are parsed: the recipe, the run's folder, the checkpoint."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from zoo.errors import UsageError
from zoo.runs.folder import RunDir
from zoo.runs.lock import RunLock
from zoo.runs.plain import read_settings
from zoo.runs.state import in_use
from zoo.training.config_files import flat_names, without_foreign_code
from zoo.training.recipes import Recipe, budget_of
from zoo.training.signatures import arguments_of
from zoo.training.slurm import comes_back, current_job
from zoo.training.words import Words

KEPT = ("batch_size", "resolution", "horizontal_flip")  # of a recipe's data, where others take their place

#: The settings that `config.yaml` hands on from `fit` to a resumed `fit`, to `test` and to `predict`.
INHERITED = (
    "seed_everything",
    "trainer",
    "model",
    "data",
    "recipe",
    "images",
    "generator_steps",
    "evaluation",
    "keep",
    "compile",
    "matmul_precision",
    "wandb",
    "wandb_artifacts",
    "init_from",
    "freeze_d",
    "lr_scale",
    "augment",
)


@dataclass(frozen=True)
class Plan:
    """What a command line asks for, before the settings themselves are parsed.

    Attributes:
        words: the command line.
        recipe: name of the recipe.
        base: settings that the command line's own options override.
        run_dir: the run's folder.
        checkpoint: file to start from, or None.
        by_default: whether the recipe was taken for want of a name.
        again: whether the run goes on if it can, begins if not, and has nothing to do where it is finished.
    """

    words: Words
    recipe: str
    base: Mapping[str, Any]
    run_dir: Path
    checkpoint: Path | None
    by_default: bool = False
    again: bool = False

    @cached_property
    def lock(self) -> RunLock:
        """Of the run's folder, not yet taken."""
        return RunLock(self.run_dir)

    @property
    def subcommand(self) -> str:
        """fit, test or predict."""
        return self.words.subcommand

    @property
    def goes_on(self) -> bool:
        """Whether this is a run that has begun, so that its settings are the base."""
        return self.checkpoint is not None and RunDir(self.run_dir).config.is_file()

    @property
    def named(self) -> set[str]:
        """The options that somebody chose: those on the command line, and what a file of --config says otherwise than
        the recipe (and the weights to start from). All else may be made to suit the data."""
        data = self.base.get("data") or {}
        own = arguments_of(str(data.get("class_path", "")))
        before = {f"data.init_args.{argument.name}": argument.default for argument in own} | {
            name: repr(value) for name, value in flat_names(self.base).items()
        }
        file = flat_names(self.words.settings)
        return {*self.words.given, *(name for name, value in file.items() if before.get(name, "None") != repr(value))}


def make_plan(words: Words, *, paper: str, recipes: Mapping[str, Recipe]) -> Plan:
    """Finds the settings to start from, by --recipe, --run_dir, --name and --ckpt_path.

    Raises:
        UsageError: an unknown recipe, a missing run, `auto` for a run whose folder is another each time, or `test` of
            another run's checkpoint.
        RecordError: `fit` into a folder that holds a run, without --ckpt_path.
    """
    recipe, run_dir, name, ckpt_path = (words.taken.get(o) for o in ("recipe", "run_dir", "name", "ckpt_path"))
    if recipe is not None and recipe not in recipes:
        known = "\n".join(
            f"  {key:28} {budget_of(value.config):>20}  {value.summary}" for key, value in recipes.items()
        )
        raise UsageError(f"unknown recipe {recipe!r}; the recipes of {paper} are\n{known}")
    folder = Path(run_dir) if run_dir is not None else Path("runs") / paper / (recipe or "digits") / (name or stamp())
    run = RunDir(folder)
    started = run.config.exists()
    again = words.subcommand == "fit" and (ckpt_path == "auto" or (ckpt_path is None and comes_back(folder)))
    if again and run_dir is None and name is None and current_job() is None:
        raise UsageError("--ckpt_path auto needs --run_dir or --name: without, every run has a folder of its own")
    if again or ckpt_path == "auto":
        ckpt_path = "last" if run.last_checkpoint.is_file() or not again else None
    if again and ckpt_path:
        words = without_source(words)
    if words.subcommand == "fit" and ckpt_path is None:
        if not words.inspecting and not again:
            if run.holds_run and in_use(run):  # what else is said would have it begun anew, or removed
                raise RunLock(folder).refusal()
            run.refuse_second_run()
        base: Mapping[str, Any] = with_data(recipes[recipe or "digits"].config, data_of(words))
    elif started or words.inspecting:
        base = (
            inherited_settings(run.config, paper=paper, given=words.given)
            if started
            else recipes[recipe or "digits"].config
        )
    elif ckpt_path in (None, "last", "best"):
        raise UsageError(no_run_message(folder, subcommand=words.subcommand, paper=paper))
    else:
        base = recipes[recipe or "digits"].config
    if recipe is not None and base.get("recipe", recipe) != recipe:
        raise UsageError(f"the run in {folder} follows recipe {base['recipe']!r}, not {recipe!r}: leave --recipe out")
    by_default = recipe is None and "recipe" not in base
    recipe = recipe or base.get("recipe") or "digits"
    if words.subcommand != "fit" and ckpt_path is None:
        ckpt_path = "last"
    named = {"last": run.last_checkpoint, "best": run.best_checkpoint}
    checkpoint = None if ckpt_path is None or words.inspecting else named.get(ckpt_path, Path(ckpt_path))
    foreign = checkpoint is not None and checkpoint.is_file() and not run.keeps(checkpoint)
    if words.subcommand == "test" and started and foreign:
        raise UsageError(
            f"{checkpoint} is no checkpoint of the run in {folder}, whose record would hold its figures: name its own "
            f"run with --run_dir, or measure it alone: `zoo evaluate {shlex.quote(str(checkpoint))}`"
        )
    return Plan(words, recipe, {**base, "recipe": recipe}, folder, checkpoint, by_default, again)


def with_data(config: Mapping[str, Any], asked: str | None) -> Mapping[str, Any]:
    """A recipe's settings for the data that are asked for.

    Of another data set than the recipe's, batch, size and flips are kept: that its first 50,000 images are trained on,
    or which of its classes, says nothing about other images.
    """
    data = config.get("data")
    if asked is None or data is None or asked.rpartition(".")[2] == data["class_path"].rpartition(".")[2]:
        return config
    kept = {name: value for name, value in data["init_args"].items() if name in KEPT}
    return {**config, "data": {**data, "init_args": kept}}


def data_of(words: Words) -> str | None:
    """The data set that a command line or its files of --config name, in any of the ways that there are."""
    typed = words.given.get("data.class_path", words.given.get("data"))
    in_file = words.settings.get("data")
    named = typed or (in_file.get("class_path") if isinstance(in_file, Mapping) else in_file)
    return named if isinstance(named, str) else None


def stamp() -> str:
    """The name of a run that has none: its trial's, in a sweep of W&B (one second, or one job, may begin several), else
    its job's, which is the same when that comes back, or the time."""
    trial, job = os.environ.get("WANDB_RUN_ID"), current_job()
    if trial and os.environ.get("WANDB_SWEEP_ID"):
        return f"trial-{trial}"
    if job is not None:
        return f"job-{job.id}"
    return os.environ.setdefault("ZOO_RUN_STAMP", datetime.now().strftime("%Y%m%d-%H%M%S"))  # one for all processes


def without_source(words: Words) -> Words:
    """The command line and its files of --config without init_from: a run that goes on has its weights already."""
    rest: list[str] = []
    for word in words.rest:
        if rest and rest[-1] == "--init_from":
            rest.pop()
        elif not word.startswith("--init_from="):
            rest.append(word)
    given = {option: value for option, value in words.given.items() if option != "init_from"}
    settings = {name: value for name, value in words.settings.items() if name != "init_from"}
    return replace(words, rest=rest, given=given, settings=settings)


def inherited_settings(config: Path, *, paper: str, given: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The settings of an earlier `fit`, out of its config.yaml.

    Args:
        config: the file.
        paper: of the command line.
        given: options on the command line; a class of one's own must be named there again.

    Raises:
        UsageError: a class that is not of this package, and that the command line does not name.
        RecordError: the file cannot be read, or holds no settings.
    """
    settings = without_foreign_code(read_settings(config), file=config, given=given or {})
    inherited = {key: value for key, value in settings.items() if key in INHERITED}
    if isinstance(inherited.get("model"), dict):
        from zoo.models.trained import current_settings

        inherited["model"] = current_settings(paper, inherited["model"])
    return inherited


def no_run_message(folder: Path, *, subcommand: str, paper: str) -> str:
    """Says which runs there are."""
    found = sorted(Path("runs").glob(f"{paper}/*/*/config.yaml"), key=lambda path: path.stat().st_mtime)
    newest = f"the newest is --run_dir {found[-1].parent}" if found else f"runs/ holds no run of {paper}"
    return f"{subcommand} needs a run, and {folder} holds none (no config.yaml): name one with --run_dir; {newest}"
