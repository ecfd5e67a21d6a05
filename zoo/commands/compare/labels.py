"""What runs are called: paper, recipe, the settings that set a run apart, and where these do not suffice its seed."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from zoo.commands.compare.runs import ComparedRun
from zoo.runs.record import set_by
from zoo.runs.text import shown
from zoo.training.scripts import recipe_of
from zoo.training.signatures import arguments_of, entries, model_of

NO_MARK = ("data.init_args.root", "data.init_args.seed", "data.root", "data.seed")  # where and in what order
ALWAYS = ("model.objective",)  # what the runs of a benchmark are compared by, be it the recipe's own
#: How fine-tuning is told from training as the recipe has it: its settings, where they are off.
FINETUNING = {"init_from": "none", "freeze_d": "0", "lr_scale": "1.0", "augment": "none"}
#: Beside model, data and these, what decides what becomes of a run; all else looks on, or says where.
TRAINING = ("images", "generator_steps", "scale_phases", "trainer.precision", *FINETUNING)
MARKS = 3  # settings that a label has at most
LONG = 24  # letters of a value


def labels_of(runs: Sequence[ComparedRun]) -> list[str]:
    """A label for each run: runs that share one are told apart by seed if they differ in it alone, else by folder."""
    names = [shown(", ".join([f"{run.paper} {name_of(run)}", *marks_of(run)])) for run in runs]
    seeds = [f"{name} seed {run.seeds}" for name, run in zip(names, runs, strict=True)]
    places = [
        f"{name} ({shown(place)})" for name, place in zip(names, short_paths([r.path for r in runs]), strict=True)
    ]
    labels = []
    for i, name in enumerate(names):
        alike = [j for j, other in enumerate(names) if other == name]
        told_apart = len({seeds[j] for j in alike}) == len(alike) and of_one_training([runs[j] for j in alike])
        labels.append(name if len(alike) == 1 else seeds[i] if told_apart else places[i])
    return labels


def of_one_training(runs: Sequence[ComparedRun]) -> bool:
    """Whether runs were trained alike but for their seeds, so far as their settings or their records tell."""
    folders = [settings_in_training(run) for run in runs if run.config]
    records = [settings_in_training(run) for run in runs if not run.config]
    data = {run.record["dataset"]["fingerprint"] for run in runs if run.record}
    return all(found == kind[0] for kind in (folders, records) for found in kind) and len(data) < 2


def settings_in_training(run: ComparedRun) -> dict[str, str]:
    """The settings that decide what becomes of a run, but for its seeds; of a record alone those that were set."""
    own = {name: value for name, value in settings_of(run).items() if name not in NO_MARK}
    return {name: value for name, value in own.items() if name.startswith(("model.", "data.")) or name in TRAINING}


def settings_of(run: ComparedRun) -> dict[str, str]:
    """The settings of its config.yaml, flat; of a record alone those that its command lines set."""
    if run.config:
        return dict(flatten(run.config))
    return {name.removeprefix("--"): value for name, value in set_by(run.record or {"commands": []}).items()}


def ends_of(labels: Sequence[str]) -> list[str]:
    """Labels without the words that all of them begin with, where room is short; two words stay of each."""
    words, shared = [label.split(" ") for label in labels], 0
    while len(labels) > 1 and all(len(own) > shared + 2 and own[shared] == words[0][shared] for own in words):
        shared += 1
    return [" ".join(own[shared:]) for own in words]


def on_other_data(run: ComparedRun) -> bool:
    """Whether a run is on other data than its recipe's, so far as both are known."""
    recipe = recipe_of(run.paper, run.recipe)
    data = str(((recipe.config if recipe else {}).get("data") or {}).get("class_path", "")).rpartition(".")[2]
    return data in entries("zoo.data", "DATASETS") and run.data_class not in (data, "")


def name_of(run: ComparedRun) -> str:
    """The recipe; of a run on other data than the recipe's these data, and what it was fine-tuned from."""
    if not on_other_data(run):
        return run.recipe
    source = (run.record or {}).get("finetune", {}).get("init_from") or run.config.get("init_from")
    return f"on {run.data_name}" + (f", from {Path(str(source)).name}" if source else "")


def marks_of(run: ComparedRun) -> list[str]:
    """What sets a run apart from its recipe, and the objective: "n_critic 1", "lr 0.0001", "augment color", "...".

    Settings of model and data, and of fine-tuning: of its config.yaml, or of a record alone those that were set.
    """
    usual = {**recipe_settings(run.paper, run.recipe), **FINETUNING} if run.config else {}
    named = ("init_from",) if on_other_data(run) else ()  # `name_of` has it
    found = [
        f"{name.rpartition('.')[2]} {value if len(value) <= LONG else value[: LONG - 3] + '...'}"
        for name, value in with_names_of_files(settings_of(run)).items()
        if name.startswith(("model.", "data.")) or name in FINETUNING
        if name not in (*NO_MARK, *named) and not name.endswith("class_path")
        if (name in usual and not alike(value, usual[name])) or name in ALWAYS or not run.config
    ]
    return found if len(found) <= MARKS else [*found[:MARKS], "..."]


def with_names_of_files(settings: Mapping[str, str]) -> dict[str, str]:
    """Settings with the name alone of the checkpoint or release that a run started from."""
    return {name: Path(value).name if name == "init_from" else value for name, value in settings.items()}


@cache
def recipe_settings(paper: str, recipe: str) -> Mapping[str, str]:
    """The settings of model and data that a run of a recipe has unless it is told otherwise, flat."""
    found = recipe_of(paper, recipe)
    if found is None:
        return {}
    data = found.config.get("data") or {}
    return {
        **defaults("model", model_of(paper)),
        **defaults("data.init_args", str(data.get("class_path", ""))),
        **dict(flatten({"model": found.config.get("model") or {}, "data": data})),
    }


def defaults(section: str, kind: str) -> dict[str, str]:
    """A constructor's defaults, as far as they are plain values."""
    found: dict[str, str] = {}
    for argument in arguments_of(kind):
        try:
            found |= dict(flatten({f"{section}.{argument.name}": ast.literal_eval(argument.default)}))
        except (ValueError, SyntaxError):
            continue
    return found


def alike(a: str, b: str) -> bool:
    """Whether two values are the same: 1e-4 is 0.0001."""
    try:
        return a == b or float(a) == float(b)
    except ValueError:
        return False


def short_paths(paths: Sequence[Path]) -> list[str]:
    """Each path's last parts, as many as tell all paths apart."""
    parts = [path.absolute().parts for path in paths]
    for n in range(1, max(len(p) for p in parts) + 1):
        ends = [str(Path(*p[-n:])) for p in parts]
        if len(set(ends)) == len(ends):
            return ends
    return [f"{path} #{i}" for i, path in enumerate(paths, start=1)]


def flatten(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as (dotted name, value)."""
    for name, value in settings.items():
        if isinstance(value, dict) and value:
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", "none" if value is None else str(value)
