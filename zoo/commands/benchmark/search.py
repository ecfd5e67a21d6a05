"""What a search of settings drawn at random found: how much of it, where, and which setting mattered. No torch."""

from __future__ import annotations

import math

from zoo.commands.benchmark.cells import between, direction, states
from zoo.commands.benchmark.members import MEASURED
from zoo.commands.benchmark.record import BenchmarkRecord
from zoo.runs.statistics import LEVEL, Interval, best_of, rank_correlation
from zoo.runs.tables import Table
from zoo.runs.text import number

TRIALS = (1, 2, 4, 8)  # of a search whose best is reported
SHOWN = 2  # settings of each group that are shown as the best found
FEWEST_PAIRS = 5  # runs of a group whose settings are correlated with what came out
FEW = 3  # values that a setting is chosen of; with more it was drawn from a range


def searched(record: BenchmarkRecord) -> Table:
    """What a search of k draws of the settings finds, where settings were drawn."""
    if not is_search(record):
        return Table("", "", (), [])
    rows = []
    for label, members in record.groups.items():
        values = record.finds(label)
        trials = [k for k in TRIALS if k <= len(values)]
        cells = [between(best_of(values, k, better=direction(record.measure))) if k in trials else "" for k in TRIALS]
        rows.append([label, states(members), *cells])
    note = (
        "The expected best of k runs with settings drawn at random (Lucic et al. 2018), in closed form over all draws "
        "without replacement, with 95 % bootstrap intervals. A run that diverged counts as its untrained network."
    )
    head = ("objective", "runs", *(f"best of {k}" for k in TRIALS))
    return Table("How much a search finds", note, head, rows)


def best_settings(record: BenchmarkRecord) -> Table:
    """The settings of each group's best runs, where settings were drawn."""
    names = drawn(record)
    sign = -1 if direction(record.measure) == "higher" else 1
    rows = []
    for label, members in record.groups.items() if names else ():
        reached = [(m.value(record.measure, "last"), m) for m in members if m.state in MEASURED]
        measured = [(value, m) for value, m in reached if value is not None]
        for value, member in sorted(measured, key=lambda pair: sign * pair[0])[:SHOWN]:
            settings = (str(member.settings[name]) if name in member.settings else "" for name in names)
            rows.append([label, number(value), *settings])
    note = (
        f"The {SHOWN} best runs of each, of one seed each: a setting to begin with, not one that was shown to be the "
        "best. An empty cell: the objective has no such setting."
    )
    return Table("The best settings found", note, ("objective", record.measure, *names), rows)


def what_matters(record: BenchmarkRecord) -> Table:
    """How far each of the settings that were drawn goes along with what came out, group by group."""
    names, known = drawn(record), correlations(record)
    rows = [
        [label, *(correlation(known[label, name]) if (label, name) in known else "" for name in names)]
        for label in record.groups
    ]
    note = (
        "Spearman's rank correlation of the setting with the result, with 95 % bootstrap intervals: above 0, larger "
        "values came out worse; below 0, better. A setting whose best lies in the middle of its range shows none. "
        "A run that diverged counts as the worst."
    )
    return Table("Which setting matters", note, ("objective", *names), rows if known else [])


def correlations(record: BenchmarkRecord) -> dict[tuple[str, str], Interval]:
    """Rank correlation of a setting with how bad a run came out, by group and setting, where enough runs tell."""
    sign = -1.0 if direction(record.measure) == "higher" else 1.0
    found, names = {}, drawn(record)
    for label, members in record.groups.items():
        for name in names:
            values = [(m.settings.get(name), m.value(record.measure, "last")) for m in members]
            pairs = [(x, sign * y) for x, y in values if x is not None and y is not None]
            if len(pairs) >= FEWEST_PAIRS and len({x for x, _ in pairs}) > 1:
                found[label, name] = rank_correlation(*zip(*pairs, strict=True))
    return {key: value for key, value in found.items() if not math.isnan(value.value)}  # all came out alike


def in_words(record: BenchmarkRecord) -> str:
    """A sentence on the settings whose correlations are away from 0; "" where too few runs tell of any."""
    known = correlations(record)
    told = []
    for name in drawn(record):
        own = {label: c for (label, setting), c in known.items() if setting == name}
        better, worse = [k for k, c in own.items() if c.high < 0], [k for k, c in own.items() if c.low > 0]
        told += [f"larger {name} came out better for {', '.join(better)}"] if better else []
        told += [f"larger {name} came out worse for {', '.join(worse)}"] if worse else []
    if not known:
        return ""
    by_luck = f"By luck alone about {max(1, round((1 - LEVEL) * len(known)))} of these {len(known)} would be"
    away = f"{'; '.join(told)}: these rank correlations are away from 0." if told else ""
    return f"{away[0].upper()}{away[1:]} {by_luck}." if told else "No setting's rank correlation is away from 0."


def correlation(found: Interval) -> str:
    """ "-0.68 [-0.91, -0.2]"; an end beside 0 in as many digits as tell on which side of it."""
    value, low, high = (f"{round(x, 2) or float(f'{x:.1g}') + 0:g}" for x in found)
    return f"{value} [{low}, {high}]"


def drawn(record: BenchmarkRecord) -> list[str]:
    """Names of the settings in which members of a group differ, in the order of their first mention."""
    found = {}
    for members in record.groups.values():
        for name in dict.fromkeys(name for member in members for name in member.settings):
            if len({member.settings.get(name) for member in members}) > 1:
                found[name] = True
    return list(found)


def is_search(record: BenchmarkRecord) -> bool:
    """Whether the members of a group have different settings, drawn at random."""
    return bool(drawn(record))


def ranged(record: BenchmarkRecord) -> str | None:
    """The first setting that all members have and that was drawn from a range of positive numbers."""
    for name in drawn(record):
        values = [member.settings.get(name) for member in record.members]
        if all(isinstance(value, float) and value > 0 for value in values) and len(set(values)) > FEW:
            return name
    return None


def chosen(record: BenchmarkRecord) -> str | None:
    """The first setting that all members have and that was drawn of a few values."""
    for name in drawn(record):
        values = {member.settings.get(name) for member in record.members}
        if None not in values and len(values) <= FEW:
            return name
    return None
