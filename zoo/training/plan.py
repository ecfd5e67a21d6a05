"""What a command line asks for, before its settings are parsed: the recipe, the run's folder, the checkpoint."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from zoo.errors import UsageError
from zoo.runs.folder import RunDir
from zoo.training.recipes import Recipe

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
        subcommand: fit, test or predict.
        recipe: name of the recipe.
        by_default: whether it was taken for want of a name.
        base: settings that the command line's own options override.
        run_dir: the run's folder.
        checkpoint: file to start from, or None.
        arguments: the remaining options, for LightningCLI.
    """

    subcommand: str
    recipe: str
    base: Mapping[str, Any]
    run_dir: Path
    checkpoint: Path | None
    arguments: list[str]
    by_default: bool = False


def take_option(arguments: list[str], name: str) -> tuple[str | None, list[str]]:
    """The last value of `--name VALUE` or `--name=VALUE`, and the arguments without it."""
    value, rest, i = None, [], 0
    while i < len(arguments):
        argument = arguments[i]
        if argument == f"--{name}":
            if i + 1 == len(arguments):
                raise UsageError(f"--{name} needs a value")
            value, i = arguments[i + 1], i + 1
        elif argument.startswith(f"--{name}="):
            value = argument.split("=", 1)[1]
        else:
            rest.append(argument)
        i += 1
    return value, rest


def make_plan(arguments: list[str], *, paper: str, recipes: Mapping[str, Recipe]) -> Plan:
    """Reads subcommand, --recipe, --run_dir, --name and --ckpt_path, and finds the settings to start from.

    Raises:
        UsageError: an unknown recipe, or a missing run.
        RecordError: `fit` into a folder that holds a run, without --ckpt_path.
    """
    subcommand, rest = arguments[0], arguments[1:]
    recipe, rest = take_option(rest, "recipe")
    run_dir, rest = take_option(rest, "run_dir")
    name, rest = take_option(rest, "name")
    ckpt_path, rest = take_option(rest, "ckpt_path")
    inspecting = any(a in ("-h", "--help") or a.startswith("--print_config") for a in rest)
    if recipe is not None and recipe not in recipes:
        known = "\n".join(f"  {key:28} {value.summary}" for key, value in recipes.items())
        raise UsageError(f"unknown recipe {recipe!r}; the recipes of {paper} are\n{known}")
    if run_dir is not None:
        folder = Path(run_dir)
    else:
        stamp = os.environ.setdefault("ZOO_RUN_STAMP", datetime.now().strftime("%Y%m%d-%H%M%S"))
        folder = Path("runs") / paper / (recipe or "digits") / (name or stamp)
    run = RunDir(folder)
    started = run.config.exists()
    if subcommand == "fit" and ckpt_path is None:
        if not inspecting and "LOCAL_RANK" not in os.environ:
            run.refuse_second_run()
        base: Mapping[str, Any] = recipes[recipe or "digits"].config
    elif started or inspecting:
        base = inherited_settings(run.config, paper=paper) if started else recipes[recipe or "digits"].config
    elif ckpt_path in (None, "last", "best"):
        raise UsageError(no_run_message(folder, subcommand=subcommand, paper=paper))
    else:
        base = recipes[recipe or "digits"].config
    if recipe is not None and base.get("recipe", recipe) != recipe:
        raise UsageError(f"the run in {folder} follows recipe {base['recipe']!r}, not {recipe!r}: leave --recipe out")
    by_default = recipe is None and "recipe" not in base
    recipe = recipe or base.get("recipe") or "digits"
    if subcommand != "fit" and ckpt_path is None:
        ckpt_path = "last"
    named = {"last": run.last_checkpoint, "best": run.best_checkpoint}
    checkpoint = None if ckpt_path is None or inspecting else named.get(ckpt_path, Path(ckpt_path))
    return Plan(subcommand, recipe, {**base, "recipe": recipe}, folder, checkpoint, rest, by_default)


def inherited_settings(config: Path, *, paper: str) -> dict[str, Any]:
    """The settings of an earlier `fit`, out of its config.yaml."""
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


def command_line() -> list[str]:
    """The command as typed, for the record: `python`, the script's name, its arguments."""
    return ["python", *[os.path.relpath(sys.argv[0]) if i == 0 else a for i, a in enumerate(sys.argv)]]
