"""Several runs lined up: labels, figures with their protocols, and where protocols and settings differ."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from zoo.commands.compare.labels import flatten, labels_of, on_other_data
from zoo.commands.compare.protocols import Conflict, conflict, groups_of
from zoo.commands.compare.runs import ComparedRun
from zoo.experiments.measures import MEASURES, with_error
from zoo.runs.record import hardware
from zoo.runs.text import number, printable
from zoo.training.scripts import reported_by

#: Where, not what; and what the labels say, and the settings of runs that W&B holds alone.
PLACES = ("data.init_args.root", "data_dir", "trainer.default_root_dir", "wandb", "paper")
SECTIONS = ("", "model", "data", "evaluation", "keep", "trainer")  # the order of settings; "" are those of no section


def best_cells(measure: Mapping[str, Any]) -> dict[str, str]:
    """The best value and its place; empty where neither lower nor higher is better."""
    if measure["better"] == "neither":
        return {"best": "", "at images": ""}
    return {"best": shown(measure["best"]), "at images": f"{measure['best']['images_seen']:,}"}


def shown(value: Mapping[str, Any]) -> str:
    """A value; of a group its mean, standard deviation and how many runs these are of."""
    return f"{number(value['value'], value.get('error'))} {value.get('of', '')}".rstrip()


@dataclass(frozen=True)
class Figure:
    """One measure of one run, beside those of the others."""

    run: int  # index into Comparison.runs
    name: str
    cells: dict[str, str]
    group: int  # runs of one group were measured under one protocol; -1: not known
    protocol: str  # hash, or ""


@dataclass(frozen=True)
class Comparison:
    """Several runs, each with a label of its own.

    Attributes:
        runs: of `zoo.commands.compare.reading.read_runs`.
        notes: on runs that were left out.
    """

    runs: list[ComparedRun]
    notes: list[str]

    @cached_property
    def labels(self) -> list[str]:
        """See `zoo.commands.compare.labels`."""
        return labels_of(self.runs)

    @cached_property
    def measures(self) -> list[str]:
        """Names of the measures, those of most runs first."""
        names = dict.fromkeys(name for run in self.runs for name in run.measures)
        return sorted(names, key=lambda name: -sum(name in run.measures for run in self.runs))

    def better(self, measure: str) -> str:
        """Whether "lower" or "higher" values of a measure are better, or "neither"."""
        return next(str(run.measures[measure]["better"]) for run in self.runs if measure in run.measures)

    def figures(self, measure: str) -> list[Figure]:
        """A measure while training, run by run: before training, best, last."""
        found = [(i, run, run.measures[measure]) for i, run in enumerate(self.runs) if measure in run.measures]
        groups = groups_of([run.protocol(m["protocol"]) for _, run, m in found])
        return [
            Figure(
                i,
                measure,
                {
                    "before training": shown(m["first"]) if m["first"]["images_seen"] == 0 else "",
                    **best_cells(m),
                    "last": shown(m["last"]),
                    "protocol": m["protocol"] or "not recorded yet",
                },
                group,
                m["protocol"] or "",
            )
            for (i, run, m), group in zip(found, groups, strict=True)
        ]

    @cached_property
    def tested(self) -> dict[str, list[Figure]]:
        """{measure: figures of `test` beside what the papers report}."""
        names = dict.fromkeys(name for run in self.runs for t in at_ends(run.tests).values() for name in t["values"])
        return {name: self._tested(name) for name in names if not MEASURES.is_secondary(name)}

    def _tested(self, name: str) -> list[Figure]:
        found = []
        for i, run in enumerate(self.runs):
            taken = {at: test for at, test in at_ends(run.tests).items() if name in test["values"]}
            if taken:
                keys = protocols_of(taken, name)
                found.append((i, run, taken, next(iter(keys.values()), "")))
        groups = groups_of([run.protocol(key) for _, run, _, key in found])
        return [
            Figure(
                i,
                name,
                {
                    "reported": reported(run, name),
                    **{at: tested_value(taken.get(at), name) for at in ("best", "last")},
                    "protocol": in_words(protocols_of(taken, name)),
                },
                group,
                key,
            )
            for (i, run, taken, key), group in zip(found, groups, strict=True)
        ]

    def winners(self, measure: str) -> set[int]:
        """The best run of each protocol under which at least two runs were measured; several where these share it."""
        found: set[int] = set()
        figures = self.figures(measure)
        for group in {figure.group for figure in figures} - {-1}:
            values = {f.run: self.runs[f.run].measures[measure]["best"]["value"] for f in figures if f.group == group}
            finite = {run: value for run, value in values.items() if value is not None}
            if len(finite) > 1 and self.better(measure) != "neither":
                best = (min if self.better(measure) == "lower" else max)(finite.values())
                found |= {run for run, value in finite.items() if value == best}
        return found

    @cached_property
    def conflicts(self) -> list[tuple[list[str], Conflict]]:
        """Measures whose figures may not be compared over all runs, and why; those of one reason together."""
        tables = {name: self.figures(name) for name in self.measures}
        tables |= {f"{name} of test": figures for name, figures in self.tested.items()}
        found: dict[Conflict, list[str]] = {}
        for name, figures in tables.items():
            protocols = [self.runs[f.run].protocol(f.protocol) for f in figures]
            reason = conflict(protocols, [f.protocol for f in figures], [self.labels[f.run] for f in figures])
            if reason is not None:
                found.setdefault(reason, []).append(name)
        return [(names, reason) for reason, names in found.items()]

    @cached_property
    def settings(self) -> list[tuple[str, list[str]]]:
        """The settings in which runs differ: name, and the value of each run; "" where it has no such setting, "not
        known" of one whose settings are not here, such as a record alone."""
        flat = [dict(flatten(run.config)) for run in self.runs]
        names = dict.fromkeys(name for settings in flat for name in settings if name not in PLACES)
        rows = [(name, [own.get(name, "") if own else "not known" for own in flat]) for name in names]
        differing = (row for row in rows if len(set(row[1]) - {"not known"}) > 1)
        return sorted(differing, key=lambda row: section(row[0]))

    @cached_property
    def circumstances(self) -> list[tuple[str, list[str]]]:
        """What runs were made with, beside their settings: name, and the value of each run ("" where not known)."""
        every = [dict(circumstances(run)) for run in self.runs]
        names = dict.fromkeys(name for own in every for name in own)
        return [(name, [own.get(name, "") for own in every]) for name in names]

    @cached_property
    def run_notes(self) -> list[str]:
        """Notes on single runs, and on what was left out."""
        own = [
            f"{label}: {printable(note)}"
            for label, run in zip(self.labels, self.runs, strict=True)
            for note in run.notes
        ]
        two = [
            f"{self.labels[figure.run]}: {name} of test: best and last were taken under different protocols"
            for name, figures in self.tested.items()
            for figure in figures
            if figure.cells["protocol"] != figure.protocol
        ]
        others = [
            f"{label}: was tested at {printable(', '.join(at))}, too: --csv has the figures"
            for label, run in zip(self.labels, self.runs, strict=True)
            if (at := [name for name in run.tests if name not in at_ends(run.tests)])
        ]
        made = [
            f"{label}: its runs differ in {', '.join(differing)}"
            for label, run in zip(self.labels, self.runs, strict=True)
            if (differing := [f"{name} ({value})" for name, value in circumstances(run) if differs(name, value)])
        ]
        return [*map(printable, self.notes), *own, *two, *others, *map(printable, made)]


def section(name: str) -> int:
    """Where a setting stands in the table: what a reader asks for first comes first."""
    own = name.rpartition(".")[0].partition(".")[0]
    return SECTIONS.index(own) if own in SECTIONS else len(SECTIONS)


def circumstances(run: ComparedRun) -> Iterator[tuple[str, str]]:
    """Precision, hardware, commit and versions of a finished run; of a group's runs each value once."""
    found: dict[str, dict[str, None]] = {}
    for record in (own.record for own in run.averaged if own.record):
        commit = record["commit"] or "unknown"
        values = {
            "precision": record["precision"],
            "hardware": hardware(record),
            "commit": commit.partition("+")[0][:7] + ("+dirty" if "+" in commit else ""),
            **{f"version of {package}": version for package, version in record["versions"].items()},
        }
        for name, value in values.items():
            found.setdefault(name, {})[value] = None
    yield from ((name, "; ".join(values)) for name, values in found.items())


def differs(name: str, value: str) -> bool:
    """Whether runs of a group had several values of what they were made with; commits, which say little, aside."""
    return "; " in value and name != "commit"


def at_ends(tests: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Of figures of `test` by checkpoint those of the best and of the last, which have columns."""
    return {at: test for at, test in tests.items() if at in ("best", "last")}


def reported(run: ComparedRun, name: str) -> str:
    """What the paper reports for a run's recipe; nothing of a run on other data than the recipe's."""
    figures = {} if on_other_data(run) else reported_by(run.paper, run.recipe)
    return figures.get(name, "not reported")


def protocols_of(tests: Mapping[str, Mapping[str, Any]], name: str) -> dict[str, str]:
    """The protocol of a value of `test` by checkpoint, best and last, as far as they have one."""
    return {
        at: tests[at]["protocols"][name]
        for at in ("best", "last")
        if name in tests.get(at, {"protocols": {}})["protocols"]
    }


def in_words(protocols: Mapping[str, str]) -> str:
    """The one protocol, or "best: a, last: b"."""
    different = set(protocols.values())
    return ", ".join(different if len(different) == 1 else (f"{at}: {key}" for at, key in protocols.items()))


def tested_value(test: Mapping[str, Any] | None, name: str) -> str:
    """A value of `test` with its error, and at how many images seen; of a group as `shown`."""
    if test is None or name not in test["values"]:
        return ""
    if "of" in test:
        return shown({"value": test["values"][name], "error": test["errors"][name], "of": test["of"][name]})
    return f"{with_error(name, test['values'])} at {test['images_seen']:,}"
