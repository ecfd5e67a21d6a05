"""Runs that differ in nothing but their seed, as one: means over them, with standard deviations and their number.

A group is read like a run. What is averaged are its members that ended; those that are running, stopped, failed or
missing are counted and named. Nothing else is left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Any

import numpy as np

from zoo.commands.compare.labels import flatten
from zoo.commands.compare.reading import UNKNOWN
from zoo.commands.compare.runs import ComparedRun, Point
from zoo.experiments.measures import MEASURES
from zoo.runs.record import overrides, tests_of
from zoo.runs.statistics import mean_and_deviation

#: Settings in which the members of a group may differ: their seed, where they lie, and what is shown of them. The paper
#: stands in the settings of runs that W&B holds, and in the key of every group.
SEEDS = ("seed_everything", "data.init_args.seed")
PLACES = ("data.init_args.root", "data_dir", "trainer.default_root_dir")
FREE = (*SEEDS, *PLACES, "trainer.enable_progress_bar", "wandb", "paper")


@dataclass(frozen=True)
class Group(ComparedRun):
    """Several runs as one.

    Attributes:
        members: the runs, one for each seed.
        missing: seeds that other groups have and this one lacks.
    """

    members: tuple[ComparedRun, ...] = ()
    missing: tuple[int, ...] = ()

    @classmethod
    def of(cls, members: Sequence[ComparedRun], *, missing: Sequence[int], notes: Sequence[str]) -> Group:
        """The group of some runs; its paper, recipe, settings and pictures are those of the first that ended."""
        ended = [run for run in members if run.record]
        first = (ended or members)[0]
        record = first.record and {
            **first.record,
            "protocols": {key: value for run in ended for key, value in (run.record or {})["protocols"].items()},
            "commands": [command for run in ended for command in (run.record or {})["commands"]],
        }
        papers = [run.paper for run in members if run.paper != UNKNOWN]
        own = [f"seed {run.seed}: {note}" for run in members for note in run.notes]
        return cls(
            path=first.path,
            paper=papers[0] if papers else first.paper,
            record=record,
            config=without_seeds(first.config),
            grids=first.grids,
            notes=(*notes, *dict.fromkeys(own)),
            members=tuple(members),
            missing=tuple(missing),
        )

    @property
    def averaged(self) -> list[ComparedRun]:
        """The members that ended; all, where none did."""
        return [run for run in self.members if run.record] or list(self.members)

    @property
    def seeds(self) -> str:
        return ", ".join(run.seeds for run in self.members)

    @cached_property
    def state(self) -> str:
        """ "3 finished, 1 running, 1 missing"."""
        found = Counter(run.state for run in self.members) + Counter(["missing"] * len(self.missing))
        return ", ".join(f"{n} {state}" for state, n in found.items())

    @property
    def images_seen(self) -> int:
        return round(fmean([run.images_seen for run in self.averaged]))

    @property
    def generator_steps(self) -> int | None:
        known = [n for run in self.averaged if (n := run.generator_steps) is not None]
        return round(fmean(known)) if known else None

    @property
    def wall_time(self) -> float:
        return fmean([run.wall_time for run in self.averaged])

    @property
    def images_per_second(self) -> float:
        return fmean([run.images_per_second for run in self.averaged])

    def _points(self, name: str, *, of_steps: bool) -> list[Point]:
        """Means over the members, with their standard deviation, where the one with the most points has one.

        It ends where the first of them ends. A measure is of those that took it under the protocol of its means.
        """
        drawn = [run for run in self.averaged if of_steps or self.counts(run, name)]
        lines = [points for run in drawn if (points := run._points(name, of_steps=of_steps))]
        if not lines:
            return []
        start, end = max(line[0].images_seen for line in lines), min(line[-1].images_seen for line in lines)
        places = [point.images_seen for point in max(lines, key=len) if start <= point.images_seen <= end]
        return [mean_point(lines, at) for at in dict.fromkeys(places)]

    @cached_property
    def measures(self) -> dict[str, dict[str, Any]]:
        """As of a run, with "error" (standard deviation over seeds) and "of" (runs of all) beside each value."""
        found = {}
        for name in dict.fromkeys(name for run in self.averaged for name in run.measures):
            taken = [run.measures[name] for run in self.averaged if name in run.measures]
            key, of_one = of_one_protocol([(measure["protocol"], measure) for measure in taken])
            own = {at: self.average([m[at] for m in of_one]) for at in ("first", "best", "last") if at in of_one[0]}
            found[name] = {**of_one[0], **own, "protocol": key}
        return found

    def counts(self, run: ComparedRun, name: str) -> bool:
        """Whether a member's evaluations are in the means of a measure."""
        own = run.measures.get(name)
        return own is None or own["protocol"] == self.measures[name]["protocol"]

    def average(self, values: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """{"value", "images_seen"} of the members as their mean, without those that are not finite."""
        finite = [entry["value"] for entry in values if entry["value"] is not None]
        value, error = mean_and_deviation(finite) if finite else (None, None)
        seen = round(fmean([entry["images_seen"] for entry in values]))
        return {"value": value, "error": error, "of": self.share(len(finite)), "images_seen": seen}

    def share(self, n: int) -> str:
        """How many of its members a mean is of: "(5)", or "(4/5)" where it is not all of them."""
        every = len(self.members) + len(self.missing)
        return f"({n})" if n == every else f"({n}/{every})"

    @cached_property
    def traces(self) -> list[str]:
        return list(dict.fromkeys(name for run in self.averaged for name in run.traces))

    @cached_property
    def tests(self) -> dict[str, dict[str, Any]]:
        """As of a run; "errors" are standard deviations over seeds, "of" how many runs each mean is of."""
        every = [tests_of(run.record) for run in self.averaged if run.record]
        found = {}
        for at in dict.fromkeys(at for tests in every for at in tests):
            taken = [tests[at] for tests in every if at in tests]
            own: dict[str, Any] = {part: {} for part in ("values", "errors", "of", "protocols")}
            for name in dict.fromkeys(name for test in taken for name in test["values"]):
                if not MEASURES.is_attached(name):
                    pairs = [(t["protocols"].get(name), t["values"][name]) for t in taken if name in t["values"]]
                    key, values = of_one_protocol(pairs)
                    value, error = mean_and_deviation(values)
                    new = {"values": value, "errors": error, "of": self.share(len(values)), "protocols": key}
                    for part, content in new.items():
                        own[part][name] = content
            found[at] = {**taken[0], **own, "images_seen": round(fmean([test["images_seen"] for test in taken]))}
        return found


def of_one_protocol(pairs: Sequence[tuple[Any, Any]]) -> tuple[Any, list[Any]]:
    """The protocol of most (protocol, value) pairs, and the values that were taken under it."""
    key = Counter(key for key, _ in pairs).most_common(1)[0][0]
    return key, [value for own, value in pairs if own == key]


def without_seeds(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings without the seed of the run, and that of its data."""
    return {
        name: without_seeds(value) if isinstance(value, dict) else value
        for name, value in config.items()
        if name not in ("seed_everything", "seed")
    }


def mean_point(lines: Sequence[Sequence[Point]], at: int) -> Point:
    """The mean of some curves at a number of images, each on the line between its two points beside that."""
    x = [[point.images_seen for point in line] for line in lines]
    seconds = [float(np.interp(at, own, [p.seconds for p in line])) for own, line in zip(x, lines, strict=True)]
    updates = [
        float(np.interp(at, own, [float(p.updates or 0) for p in line]))
        for own, line in zip(x, lines, strict=True)
        if all(p.updates is not None for p in line)
    ]
    found = []
    for own, line in zip(x, lines, strict=True):
        values = [np.nan if p.value is None else p.value for p in line]
        value = line[own.index(at)].value if at in own else float(np.interp(at, own, values))
        found += [] if value is None or np.isnan(value) else [value]
    value, error = mean_and_deviation(found) if found else (None, None)
    return Point(at, fmean(seconds), value, error, round(fmean(updates)) if updates else None)


def grouped(runs: Sequence[ComparedRun]) -> list[ComparedRun]:
    """Runs of equal settings on equal data as one each, in the order of their first runs."""
    found: dict[tuple[str, ...], list[ComparedRun]] = {}
    known_first = sorted(runs, key=lambda run: (not run.record, run.paper == UNKNOWN))  # the others join these
    for run in known_first:
        key = settings_of(run)
        same = [other for other in found if not run.record and may_join(run, found[other])]
        found.setdefault(same[0] if len(same) == 1 else key, []).append(run)
    order = {id(run): i for i, run in enumerate(runs)}
    parts = sorted(map(of_each_seed, found.values()), key=lambda part: min(order[id(run)] for run in part[0]))
    seeds = {run.seed for members, _ in parts if len(members) > 1 for run in members if run.seed is not None}
    return [
        Group.of(members, missing=missing, notes=[*notes, *notes_on(members, missing)])
        for members, notes in parts
        for missing in [sorted(seeds - {run.seed for run in members})]
    ]


def settings_of(run: ComparedRun) -> tuple[str, ...]:
    """What the members of a group share: paper, data as records know them, every setting but those that are free."""
    data = run.record["dataset"]["fingerprint"] if run.record else run.data_name
    if not run.config:
        own = overrides(run.record or {"commands": []}, leave_out=("--seed_everything", "--data.seed"))
        return run.paper, data, run.recipe, str(run.images_seen), own
    return run.paper, data, *(f"{name}={value}" for name, value in sorted(flatten(run.config)) if name not in FREE)


def may_join(run: ComparedRun, members: Sequence[ComparedRun]) -> bool:
    """Whether a run that has not ended may be one of a group, though its data, or its paper, are not known for sure."""
    return (
        run.paper in (UNKNOWN, members[0].paper)
        and (run.data_class != "ImageFolder" or run.data_name in {member.data_name for member in members})
        and settings_of(run)[2:] == settings_of(members[0])[2:]
    )


def of_each_seed(runs: Sequence[ComparedRun]) -> tuple[list[ComparedRun], list[str]]:
    """One run for each seed, by rising seeds, those that ended first choice; and notes on the others."""
    chosen: dict[Any, ComparedRun] = {}
    notes = []
    for run in sorted(runs, key=lambda run: not run.record):
        if run.seed in chosen and run.seed is not None:
            notes.append(f"seed {run.seed} is there more than once: {run.path.name} is left out")
        else:
            chosen[id(run) if run.seed is None else run.seed] = run
    return sorted(chosen.values(), key=lambda run: -1 if run.seed is None else run.seed), notes


def notes_on(members: Sequence[ComparedRun], missing: Iterable[int]) -> list[str]:
    """Who is not in the means, and why."""
    ended = any(run.record for run in members)
    away = [f"seed {run.seed} is {run.state}" for run in members if ended and not run.record]
    if absent := list(map(str, missing)):
        away.append(f"seed {', '.join(absent)} {'is' if len(absent) == 1 else 'are'} missing, which other groups have")
    protocols: dict[str, Counter[str]] = {}
    for run in members:
        taken = {(name, measure["protocol"]) for name, measure in run.measures.items()}
        taken |= {own for test in run.tests.values() for own in test["protocols"].items()}
        for name, protocol in sorted(taken) if run.record else ():
            protocols.setdefault(name, Counter())[protocol] += 1
    mixed = [name for name, found in protocols.items() if len(found) > 1]
    found = [f"not in its means: {text}" for text in away]
    if len(seen := sorted({run.images_seen for run in members if run.record})) > 1:
        found.append(f"its runs saw {seen[0]:,} to {seen[-1]:,} images")
    if mixed:
        found.append(f"{', '.join(mixed)}: seeds have several protocols, the means are of the one that most have")
    return found
