"""What a command line asks for, before its settings are parsed: the recipe, the run's folder, the checkpoint."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from zoo.errors import UsageError
from zoo.runs.folder import RunDir
from zoo.training.recipes import Recipe, budget_of
from zoo.training.words import Words

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
        by_default: whether it was taken for want of a name.
        base: settings that the command line's own options override.
        run_dir: the run's folder.
        checkpoint: file to start from, or None.
    """

    words: Words
    recipe: str
    base: Mapping[str, Any]
    run_dir: Path
    checkpoint: Path | None
    by_default: bool = False

    @property
    def subcommand(self) -> str:
        """fit, test or predict."""
        return self.words.subcommand


def make_plan(words: Words, *, paper: str, recipes: Mapping[str, Recipe]) -> Plan:
    """Finds the settings to start from, by --recipe, --run_dir, --name and --ckpt_path.

    Raises:
        UsageError: an unknown recipe, or a missing run.
        RecordError: `fit` into a folder that holds a run, without --ckpt_path.
    """
    recipe, run_dir, name, ckpt_path = (words.taken.get(o) for o in ("recipe", "run_dir", "name", "ckpt_path"))
    if recipe is not None and recipe not in recipes:
        known = "\n".join(
            f"  {key:28} {budget_of(value.config):>20}  {value.summary}" for key, value in recipes.items()
        )
        raise UsageError(f"unknown recipe {recipe!r}; the recipes of {paper} are\n{known}")
    if run_dir is not None:
        folder = Path(run_dir)
    else:
        stamp = os.environ.setdefault("ZOO_RUN_STAMP", datetime.now().strftime("%Y%m%d-%H%M%S"))
        folder = Path("runs") / paper / (recipe or "digits") / (name or stamp)
    run = RunDir(folder)
    started = run.config.exists()
    if words.subcommand == "fit" and ckpt_path is None:
        if not words.inspecting and "LOCAL_RANK" not in os.environ:
            run.refuse_second_run()
        base: Mapping[str, Any] = recipes[recipe or "digits"].config
    elif started or words.inspecting:
        base = inherited_settings(run.config, paper=paper) if started else recipes[recipe or "digits"].config
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
    return Plan(words, recipe, {**base, "recipe": recipe}, folder, checkpoint, by_default)


def inherited_settings(config: Path, *, paper: str) -> dict[str, Any]:
    """The settings of an earlier `fit`, out of its config.yaml."""
    import yaml

    settings = yaml.safe_load(config.read_text())
    if not isinstance(settings, dict):
        raise UsageError(f"{config} is not the settings of a run (empty or damaged): start a new run")
    inherited = {key: value for key, value in settings.items() if key in INHERITED}
    if inherited.get("model"):
        from zoo.models.trained import current_settings

        inherited["model"] = current_settings(paper, inherited["model"])
    return inherited


def no_run_message(folder: Path, *, subcommand: str, paper: str) -> str:
    """Says which runs there are."""
    found = sorted(Path("runs").glob(f"{paper}/*/*/config.yaml"), key=lambda path: path.stat().st_mtime)
    newest = f"the newest is --run_dir {found[-1].parent}" if found else f"runs/ holds no run of {paper}"
    return f"{subcommand} needs a run, and {folder} holds none (no config.yaml): name one with --run_dir; {newest}"
