"""The tables of a benchmark: what each group reached, at equal cost, and how sure that is. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from zoo.commands.benchmark.cells import between, direction, finite, states
from zoo.commands.benchmark.members import CLOCKS, MEASURED, Outcome, worst
from zoo.commands.benchmark.pace import on_one_gpu, pace, paced
from zoo.commands.benchmark.record import BenchmarkRecord
from zoo.commands.benchmark.search import best_settings, is_search, ranged, searched, what_matters
from zoo.experiments.measures import measures_of
from zoo.runs.measures import Better
from zoo.runs.record import hardware
from zoo.runs.statistics import (
    Array,
    bootstrap,
    mean_and_deviation,
    probability_of_improvement,
    ranks,
)
from zoo.runs.tables import Table
from zoo.runs.text import duration, lined_up, number

CLOCK_TITLES = {"images_seen": "images", "generator_steps": "updates of G", "seconds": "wall time"}
#: What `paced` did, in words.
PACE = (
    "Wall time is of the hardware that stands under costs (clouds give one name to processors of different speeds), at "
    "each objective's pace where least else slowed it down: the lower quartile of the stretches from one evaluation to "
    "the next, of its fastest run."
)


def tables(record: BenchmarkRecord) -> list[Table]:
    """All tables that have something to show."""
    made = (
        reached(record),
        at_equal_cost(record),
        beats(record),
        searched(record),
        best_settings(record),
        what_matters(record),
        other_measures(record),
        costs(record),
    )
    return [table for table in made if table.rows]


def as_text(record: BenchmarkRecord) -> str:
    """For a terminal: the tables that fit into one."""
    shown = [reached(record), at_equal_cost(record), searched(record)]
    parts = [f"{record.name}: {record.summary}"]
    parts += [f"{table.title}\n{lined_up([table.head, *table.rows])}" for table in shown if table.rows]
    return "\n\n".join(parts)


def reached(record: BenchmarkRecord) -> Table:
    """What each group reached: means with deviations, interquartile means and ranks with intervals, and the states."""
    last = {label: record.values(label) for label in record.groups}
    places = ranks(last, better=direction(record.measure))
    rows = []
    for label, members in record.groups.items():
        best, end = (finite(record.values(label, checkpoint=which)) for which in ("best", "last"))
        rows.append(
            [
                label,
                states(members),
                number(*mean_and_deviation(best)) if best else "",
                number(*mean_and_deviation(end)) if end else "",
                between(bootstrap(last[label])) if last[label] else "",
                between(places[label]) if label in places else "",
            ]
        )
    note = (
        "Best: the checkpoint that the small evaluation while training chose, by the full one, on other latents. Mean "
        "+/- standard deviation are over the runs that did not diverge; the interquartile mean (IQM) and the rank by "
        "it count those that did as the worst, with 95 % bootstrap intervals over seeds. Of few seeds these "
        "are too narrow: of normal values, 75 % of the intervals of three and 90 % of those of five hold the true one."
    )
    head = ("objective", "runs", "best", "last", "IQM of last", "rank")
    return Table(f"{record.measure} ({direction(record.measure)} is better)", note, head, rows)


def at_equal_cost(record: BenchmarkRecord) -> Table:
    """The measure while training where every group had the same images, updates of G, and time."""
    record = paced(record)
    budgets = {clock: budget(record, clock) for clock in clocks_of(record)}
    clocks = [clock for clock in budgets if budgets[clock] is not None]
    rows = []
    for label, members in record.groups.items():
        cells = []
        counted = [member for member in members if member.curve and member.state in (*MEASURED, "diverged")]
        for clock in clocks:
            values = [at(member, record.curve, clock, budgets[clock] or 0.0) for member in counted]
            shown = [value for value in values if value is not None]
            cells.append(number(*mean_and_deviation(finite(shown))) if finite(shown) else "")
        rows.append([label, *cells])
    titles = [f"at {amount(clock, budgets[clock] or 0.0)}" for clock in clocks]
    note = (
        f"{record.curve} while training, where the run that had least of each ended; mean +/- standard deviation of "
        "the runs that had not diverged until there. At equal images, five updates of D for one of G leave a fifth of "
        "the updates of G; at equal updates of G, they take five times the images. "
    )
    if "seconds" not in clocks_of(record):
        note += f"Wall time is left out: these runs are of several machines ({'; '.join(machines(record))})."
    elif is_search(record):
        note += "Wall time is of the hardware that stands under costs, and of whatever else ran beside."
    else:
        note += PACE + shared_gpu(record)
    return Table("At equal cost", note, ("objective", *titles), rows if clocks else [])


def shared_gpu(record: BenchmarkRecord) -> str:
    """A sentence on the runs that had a GPU at the same time; "" where none had."""
    count = on_one_gpu(record)
    return f" Up to {count} runs had the GPU at a time: alone, each is faster." if count > 1 else ""


def clocks_of(record: BenchmarkRecord) -> tuple[str, ...]:
    """What cost can be compared by: CLOCKS, without wall time where members were trained on several machines."""
    return CLOCKS if len(machines(record)) < 2 else tuple(clock for clock in CLOCKS if clock != "seconds")


def machines(record: BenchmarkRecord) -> list[str]:
    """The hardware of the members that were trained to their end, each once."""
    return sorted({hardware(m.record) for m in record.members if m.state in MEASURED and m.record is not None})


def amount(clock: str, value: float) -> str:
    """ "300,000 images", "4,687 updates of G", "0:04:12"."""
    return duration(value) if clock == "seconds" else f"{round(value):,} {CLOCK_TITLES[clock]}"


def budget(record: BenchmarkRecord, clock: str) -> float | None:
    """The most of a clock that every member which was trained to its end had; None where one's log has it not.

    A member whose log could not be read is in no mean of the curves, and has no say here.
    """
    ends = [member.curve.get(clock) or [None] for member in record.members if member.state in MEASURED and member.curve]
    last = [column[-1] for column in ends]
    return min(last) if last and all(value is not None for value in last) else None  # type: ignore[type-var]


def at(member: Outcome, measure: str, clock: str, where: float) -> float | None:
    """A member's measure at a moment, on the line between the two points beside it.

    Of one that diverged before, the worst; None of one that has not come so far.
    """
    pairs = zip(member.curve.get(clock, ()), member.curve.get(measure, ()), strict=False)
    points = [(x, y) for x, y in pairs if x is not None and y is not None]
    if not points or points[-1][0] < where:
        return worst(measure) if member.state == "diverged" else None
    return float(np.interp(where, [x for x, _ in points], [y for _, y in points]))


def beats(record: BenchmarkRecord) -> Table:
    """The probability that a run of the row's group beats one of the column's."""
    values = {label: found for label in record.groups if (found := record.values(label))}
    names = [short(record, label) for label in values]
    rows = []
    for label, own in values.items():
        cells = [
            "" if other == label else f"{chance(own, others, better=direction(record.measure)):.2f}"
            for other, others in values.items()
        ]
        rows.append([short(record, label), *cells])
    note = (
        "Ties count half; 0.5 is no difference. With n runs a side, 1.00 says no more than that all n x n pairs agree."
    )
    return Table("Probability that the row beats the column", note, ("", *names), rows if len(rows) > 1 else [])


def chance(own: Sequence[float], others: Sequence[float], *, better: Better) -> float:
    """The probability alone."""
    return probability_of_improvement(own, others, better=better).value


def short(record: BenchmarkRecord, label: str) -> str:
    """The objective, where it names one group alone; else the label."""
    objective = record.objectives[label]
    return objective if list(record.objectives.values()).count(objective) == 1 else label


def other_measures(record: BenchmarkRecord) -> Table:
    """The other measures of `test` at the end."""
    results = [member.record for member in record.members if member.record is not None]
    names = [name for name in measures_of(results) if name != record.measure]
    rows = []
    for label in record.groups:
        found = (finite(record.values(label, measure=name)) for name in names)
        rows.append([label, *(number(*mean_and_deviation(values)) if values else "" for values in found)])
    head = ("objective", *(f"{name} ({direction(name)} is better)" for name in names))
    note = "At the end of training; mean +/- standard deviation of the runs that did not diverge."
    return Table("Other measures", note, head, rows if names else [])


def costs(record: BenchmarkRecord) -> Table:
    """What a run of each group costs, on each machine that some of them were trained on."""
    rows = []
    for label, members in record.groups.items():
        by_hardware: dict[str, list[Outcome]] = {}
        for member in members:
            if member.record is not None:
                by_hardware.setdefault(hardware(member.record), []).append(member)
        for name, alike in sorted(by_hardware.items()):
            rows.append([label, *cost_of(alike), speed_of(alike, disturbed=is_search(record)), name])
    speed = "images/s, mean" if is_search(record) else "images/s, undisturbed"
    head = ("objective", "images", "updates of D", "updates of G", "wall time, mean", speed, "hardware")
    note = (
        "Measurements included; in the first run on a machine also the pass of the reals through the feature network, "
        "and in wall times what else ran beside." + shared_gpu(record)
    )
    return Table("What a run costs", note, head, rows)


def cost_of(members: Sequence[Outcome]) -> Iterator[str]:
    """The cells of one group's members of one machine, but for the speed."""
    results = [member.record for member in members if member.record is not None]
    for name in ("images_seen", "discriminator_steps", "generator_steps"):
        yield " to ".join(
            f"{value:,}" for value in sorted({min(r[name] for r in results), max(r[name] for r in results)})
        )
    yield duration(sum(r["wall_time_s"] for r in results) / len(results))


def speed_of(members: Sequence[Outcome], *, disturbed: bool) -> str:
    """Images per second: the mean of what was, or at the pace of the least disturbed run; "" where none has one."""
    if disturbed:
        speeds = [member.record["images_per_second"] for member in members if member.record is not None]
        return f"{sum(speeds) / len(speeds):,.0f}"
    seconds = pace(members)
    return f"{1 / seconds:,.0f}" if seconds else ""


def figure_names(record: BenchmarkRecord) -> list[str]:
    """The figures that there is something for, of figures.py."""
    measured = any(finite(record.values(label)) for label in record.groups)
    if is_search(record):
        return [name for name, there in (("search", measured), ("settings", measured and ranged(record))) if there]
    lines = any(line_of(member, clock, record.curve) for member in record.members for clock in clocks_of(record))
    return [name for name, there in (("curves", lines), ("heat", measured), ("samples", record.grids)) if there]


def line_of(member: Outcome, clock: str, measure: str) -> tuple[Array, Array] | None:
    """(clock, measure) of a member's points that are finite and behind the untrained network; None without two."""
    pairs = zip(member.curve.get(clock, ()), member.curve.get(measure, ()), strict=False)
    points = [(x, y) for x, y in pairs if x is not None and y is not None and x > 0]
    if len(points) < 2:
        return None
    array = np.array(points, dtype=np.float64)
    return array[:, 0], array[:, 1]
