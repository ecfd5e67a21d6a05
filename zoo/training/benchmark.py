"""Benchmarks: one recipe under several objectives and seeds, as a study whose members can be added to. No torch.

A member is named by its objective, the settings that are varied, and its seed. So one that is added later changes no
other, and one that is there already is passed over.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from zoo.errors import UsageError
from zoo.training.recipes import Lazy
from zoo.training.signatures import arguments_of, model_of
from zoo.training.study import Member, Study

PAPER = "benchmark"  # whose recipes the members follow

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Preset:
    """One benchmark.

    Args:
        summary: a line that says what it is.
        recipe: of the benchmark's script: networks, data and budget, which all members share.
        objectives: settings of the model by objective, in the order of the tables.
        seeds: of each objective, from 0 on; where settings are drawn, the number of draws.
        measure: of `test`, by which objectives are ranked.
        curve: the same while training.
        draws: None, or for each drawn setting ("log", low, high), ("uniform", low, high) or ("choice", a, b, ...);
            a setting that an objective has no use for is left out of its draws.
        default: the objectives that run unless others are asked for; None: all.
        extractors: feature networks of `test`; none for the one that measures while training.
    """

    summary: str
    recipe: str
    objectives: Mapping[str, Settings]
    measure: str
    curve: str
    seeds: int = 3
    draws: Mapping[str, tuple[Any, ...]] | None = None
    default: Sequence[str] | None = None
    extractors: Sequence[str] = ()


@dataclass(frozen=True)
class Entry:
    """One member of a benchmark.

    Attributes:
        name: of it, and of its folder.
        objective: of the model.
        label: of its group: the objective, and what sets it apart from the recipe's settings.
        seed: of the run.
        settings: of the model, the objective's and those that are varied or drawn.
    """

    name: str
    objective: str
    label: str
    seed: int
    settings: Settings = field(default_factory=dict)


def entries(
    preset: Preset,
    *,
    objectives: Sequence[str] = (),
    seeds: int | None = None,
    vary: Mapping[str, Sequence[str]] | None = None,
) -> list[Entry]:
    """The members: each objective with each combination of what is varied, and has an effect on it, and each seed.

    Args:
        preset: which benchmark.
        objectives: some of its; none for its default.
        seeds: how many; None for its own number.
        vary: values by setting of the model.

    Raises:
        UsageError: an unknown objective, or what is varied is no setting of the model, or drawn.
    """
    if unknown := [name for name in objectives if name not in preset.objectives]:
        raise UsageError(f"there is no objective {unknown[0]!r} here: choose from {', '.join(preset.objectives)}")
    vary = vary or {}
    if preset.draws is not None and vary:
        raise UsageError("this preset draws its settings at random: leave --vary out")
    known = [argument.name for argument in arguments_of(model_of(PAPER)) if argument.name != "objective"]
    if unknown := [name for name in vary if name not in known]:
        raise UsageError(f"--vary {unknown[0]}: there is no such setting; choose from {', '.join(known)}")
    found: list[Entry] = []
    for objective in dict.fromkeys(objectives or preset.default or preset.objectives):
        own, marks = preset.objectives[objective], set()
        for values in itertools.product(*vary.values()):
            varied = dict(zip(vary, values, strict=True))
            settings = with_effect(objective, {**own, **varied}) if vary else own
            mark = "".join(f"-{name}={value}" for name, value in varied.items() if name in settings)
            if mark not in marks:
                found += of_seeds(preset, objective, settings, mark=mark, seeds=seeds or preset.seeds)
            marks.add(mark)
    return found


def with_effect(objective: str, settings: Settings) -> Settings:
    """Settings without those that do nothing to this objective or under another: `fit` refuses an RMSProp's betas, and
    members that differ in nothing else would be the same under other names."""
    from zoo.training.idle import idle  # with torch

    without = {name for name, *_ in idle(PAPER, {**settings, "objective": objective})}
    return {name: value for name, value in settings.items() if name not in without}


def of_seeds(preset: Preset, objective: str, settings: Settings, *, mark: str, seeds: int) -> Iterator[Entry]:
    """The members of one group; of a preset that draws, each has settings of its own and they share the label."""
    for seed in range(seeds):
        name = f"{objective}{mark}-seed{seed}"
        own = settings if preset.draws is None else {**settings, **drawn(preset.draws, objective, seed, settings)}
        yield Entry(name, objective, objective if preset.draws else label(objective, settings), seed, own)


def drawn(draws: Mapping[str, tuple[Any, ...]], objective: str, number: int, settings: Settings) -> dict[str, Any]:
    """Draw `number` of an objective's settings: a function of both names alone, so that more draws change none."""
    found: dict[str, Any] = {}
    for name, (kind, *values) in draws.items():
        random = Random(f"{objective} {name} {number}")
        if name in ("weight", "clip") and name not in settings:
            continue
        if name == "beta1" and settings.get("optimizer") == "rmsprop":
            continue
        if kind == "choice":
            found[name] = random.choice(values)
        else:
            low, high = values
            share = random.random()
            value = low * (high / low) ** share if kind == "log" else low + (high - low) * share
            found[name] = round_below(value, high)
    return found


def round_below(value: float, high: float) -> float:
    """A draw from below `high` in three digits, or in as many as keep it there: no Adam has a beta1 of 1."""
    return next(short for digits in range(3, 18) if (short := float(f"{value:.{digits}g}")) < high)


def label(objective: str, settings: Settings) -> str:
    """ "wgan-gp, lr 0.0001, beta1 0.5, n_critic 5": the objective and its settings, as tables and legends have them."""
    own = (f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in settings.items())
    return ", ".join([objective, *own])


def options_of(entry: Entry, preset: Preset) -> list[str]:
    """Options of `fit` for a member."""
    own = [f"--model.{name}={value}" for name, value in entry.settings.items()]
    return [
        f"--recipe={preset.recipe}",
        f"--model.objective={entry.objective}",
        *own,
        f"--seed_everything={entry.seed}",
    ]


def study_of(preset: Preset, members: Sequence[Entry] | None = None) -> Study:
    """A preset as a study, of all its members or of some: one seed of all groups comes before the next."""
    chosen = sorted(entries(preset) if members is None else members, key=lambda entry: entry.seed)
    return Study(
        preset.summary,
        {entry.name: Member(entry.label, options_of(entry, preset)) for entry in chosen},
        Lazy("zoo.experiments.benchmark.study_figures"),
        test_options=[f"--evaluation.extractors=[{','.join(preset.extractors)}]"] if preset.extractors else [],
    )
