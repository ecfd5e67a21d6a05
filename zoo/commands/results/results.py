"""Reported beside reached, out of the committed records, as typed results (`zoo.commands.results.tables` shows them).

A record is the result.json of a run whose `test` was run on best.ckpt and on last.ckpt. Both stand in the table: the
best checkpoint was chosen on other latents (or on validation images) while training, and never stands alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from zoo.errors import ZooError
from zoo.experiments.measures import MEASURES, findings_of, mean_and_std, measures_of
from zoo.runs.record import overrides, read_result, set_by, tests_of
from zoo.runs.study import by_protocols, grouped, is_study, read_study, values_of
from zoo.training.recipes import Recipe
from zoo.training.scripts import folder_of_scripts, script_of

BUDGET = ("--images", "--trainer.precision")  # options that say how long and how precisely, not what


@dataclass(frozen=True)
class Value:
    """A number with its standard deviation or standard error.

    Attributes:
        number: of one run, or the mean over runs; None: not finite.
        error: that was taken with it, or the deviation over runs.
        images: real images seen by the checkpoint; None where it is the end, or another in each run.
    """

    number: float | None
    error: float | None = None
    images: int | None = None


@dataclass(frozen=True)
class Result:
    """One measure of one record or of a group of a study's, or one that is reported and was not run.

    Attributes:
        paper: its name.
        recipe: of its script; None for the finding of a study, and for a paper of which nothing is known.
        variant: the group, where a study has several of one recipe, or on other data than the recipe's.
        arm_of: name of that study, beside a variant.
        study: whose finding it is.
        measure: name of the measure or of the finding.
        reported: by the paper, in its words.
        best: at the best checkpoint; None where none was chosen, and for findings.
        last: at the end of training; None: not run.
        images: real images seen; None where not all runs saw as many.
        seeds: of the runs.
        commits: of the code that trained them, shortened.
        protocol: its hash.
        data: the data set, and its resolution where it is set.
        command: that reaches the value, arguments of python.
        settings: what was set beside the recipe, but for the budget and the precision: " --model.width 32".
    """

    paper: str
    recipe: str | None = None
    variant: str | None = None
    arm_of: str | None = None
    study: str | None = None
    measure: str | None = None
    reported: str | None = None
    best: Value | None = None
    last: Value | None = None
    images: int | None = None
    seeds: tuple[int, ...] = ()
    commits: tuple[str, ...] = ()
    protocol: str | None = None
    data: str = ""
    command: str = ""
    settings: str = ""


def results(folder: Path | None = None) -> Iterator[Result]:
    """What every record below `folder`/records says, by paper, recipe and seed; None takes the installed records.

    Raises:
        ZooError: a record without both tests, or of a recipe that its script does not have.
    """
    for file in sorted(((folder or folder_of_scripts()) / "records").glob("*.json")):
        if is_study(file):
            yield from of_study(read_study(file))
            continue
        record = read_result(file)
        recipe = recipe_of(record, where=str(file))
        if not any(Path(test["checkpoint"]).stem == "last" for test in record["tests"]):
            tested = sorted(Path(test["checkpoint"]).stem for test in record["tests"])
            raise ZooError(f"{file} needs `test` on last.ckpt; it has {tested or 'no test'}")
        yield from of_run(record, recipe)


def recipe_of(record: Mapping[str, Any], *, where: str) -> Recipe:
    """The recipe of a run.

    Raises:
        ZooError: its script does not have it (any more).
    """
    recipes = script_of(record["paper"]).recipes
    if record["recipe"] not in recipes:
        raise ZooError(f"{where} is of recipe {record['recipe']!r}, which {record['paper']}.py does not have")
    return recipes[record["recipe"]]


def of_run(record: Mapping[str, Any], recipe: Any) -> Iterator[Result]:
    """One result for each measure of a run's `test` at the end of its training."""
    tests = tests_of(record)
    best, last = tests.get("best"), tests["last"]
    for name in last["values"]:
        if not MEASURES.is_secondary(name):
            yield Result(
                paper=record["paper"],
                recipe=record["recipe"],
                measure=name,
                reported=reported(recipe, name, set_by(record)),
                best=value_of(best["values"], name, images=best["images_seen"])
                if best and name in best["values"]
                else None,
                last=value_of(last["values"], name),
                images=record["images_seen"],
                seeds=(record["seed"],),
                commits=commits([record]),
                protocol=last["protocols"].get(name),
                data=data_of(recipe.config, set_by(record)),
                command=reached_by(record),
                settings=overrides(record, leave_out=BUDGET),
            )


def value_of(values: Mapping[str, float], name: str, *, images: int | None = None) -> Value:
    """A value of `test` with its error."""
    return Value(values[name], MEASURES.error(name, values), images)


def of_study(study: Mapping[str, Any]) -> Iterator[Result]:
    """One result a group, measure and protocol, the mean and deviation of its runs; then the study's findings."""
    groups, paper = grouped(study), study["paper"]
    command = f"reproductions/{paper}.py study --name {study['study']}"
    own_options = options_of_study(paper, study["study"])
    recipes = [records[0]["recipe"] for records in groups.values()]
    for group, records in groups.items():
        first = records[0]
        recipe = recipe_of(first, where=f"group {group} of study {study['study']}")
        data = data_of(recipe.config, set_by(first))
        several = recipes.count(first["recipe"]) > 1 or data != data_of(recipe.config)
        for name, alike in ((of, runs) for of in measures_of(records) for runs in by_protocols(records, of)):
            taken = [record for record in alike if values_of([record], name, checkpoint="last")]
            best, last = (values_of(taken, name, checkpoint=which) for which in ("best", "last"))
            if not last:
                continue
            yield Result(
                paper=paper,
                recipe=first["recipe"],
                variant=group if several else None,
                arm_of=study["study"] if several else None,
                measure=name,
                reported=reported(recipe, name, set_by(first)),
                best=Value(*mean_and_std(best)) if best else None,
                last=Value(*mean_and_std(last)),
                images=first["images_seen"] if len({record["images_seen"] for record in taken}) == 1 else None,
                seeds=seeds(taken),
                commits=commits(taken),
                protocol=tests_of(taken[0])["last"]["protocols"].get(name),
                data=data,
                command=command + overrides(first, leave_out=own_options),
                settings=overrides(first, leave_out=[*own_options, *BUDGET]),
            )
    every = list(study["records"].values())
    for name, value, error in findings_of(study):
        found = Result(paper, study=study["study"], measure=name, last=Value(value, error), command=command)
        yield replace(found, seeds=seeds(every), commits=commits(every))


def reported(recipe: Any, name: str, own: Mapping[str, str]) -> str | None:
    """What the paper reports for a recipe; None where a run's `own` options name other data than the recipe's."""
    usual, there = (data_of(recipe.config, options).partition(" ")[0] for options in ({}, own))
    found: str | None = recipe.reported.get(name)
    return found if there == usual else None


def options_of_study(paper: str, name: str) -> list[str]:
    """Names of the options that a study itself gives its members; none if the script has no such study any more."""
    study = script_of(paper).studies.get(name)
    given = (
        []
        if study is None
        else [*study.options, *(word for member in study.members.values() for word in member.options)]
    )
    return [word.partition("=")[0] for word in given if word.startswith("--")]


def seeds(records: Sequence[Mapping[str, Any]]) -> tuple[int, ...]:
    """The seeds of several runs."""
    return tuple(sorted({record["seed"] for record in records}))


def commits(records: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The commits of several runs, shortened."""
    return tuple(sorted({(record["commit"] or "unknown")[:7] for record in records}))


def reached_by(record: Mapping[str, Any]) -> str:
    """What trained a record: the recipe, and its overrides."""
    return fit_command(record["paper"], record["recipe"]) + overrides(record)


def fit_command(paper: str, recipe: str) -> str:
    """What trains a recipe."""
    return f"reproductions/{paper}.py fit --recipe {recipe}"


def data_of(config: Mapping[str, Any], own: Mapping[str, str] = MappingProxyType({})) -> str:
    """The data set of a recipe, and its resolution where it is set.

    Args:
        config: of the recipe.
        own: options that a run set itself.
    """
    data = config.get("data")
    if not data:
        return "none"
    name = str(own.get("--data", data["class_path"])).rpartition(".")[2]
    resolution = own.get("--data.resolution", data.get("init_args", {}).get("resolution"))
    return name + (f" {resolution}x{resolution}" if resolution else "")


def not_run(paper: str, recipes: Mapping[str, Any], reached: Sequence[Result]) -> Iterator[tuple[Result, ...]]:
    """For each recipe the reported measures that nobody reached, where there are any; one of a paper without results.

    Args:
        paper: its name.
        recipes: of its script.
        reached: the results of this paper's records.
    """
    there, found = {(result.recipe, result.measure) for result in reached}, bool(reached)
    for name, recipe in recipes.items():
        empty = Result(paper, name, data=data_of(recipe.config), command=fit_command(paper, name))
        missing = {measure: text for measure, text in recipe.reported.items() if (name, measure) not in there}
        if missing:
            yield tuple(replace(empty, measure=measure, reported=text) for measure, text in missing.items())
            found = True
    if not found:
        yield (Result(paper),)
