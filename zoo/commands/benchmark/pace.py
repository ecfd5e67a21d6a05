"""Wall time without what else the machine did: each group at the pace of its least disturbed run. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import accumulate, pairwise

import numpy as np

from zoo.commands.benchmark.members import MEASURED, Outcome
from zoo.commands.benchmark.record import BenchmarkRecord
from zoo.commands.benchmark.search import is_search

UNDISTURBED = 0.25  # share of a run's stretches that nothing need have slowed down


def paced(record: BenchmarkRecord) -> BenchmarkRecord:
    """The record with the `seconds` of its curves as images seen x the pace of the group.

    Runs of a benchmark take hours, beside other work and beside each other; what they lost by that would count against
    their objective. Work beside a run can only slow it down. The members of a search differ in what an image costs
    them (n_critic), so that theirs stay as they are, as do those of a group without a pace.
    """
    if is_search(record):
        return record
    paces = {label: pace(members) for label, members in record.groups.items()}
    return replace(record, members=[at_pace(member, paces[member.label]) for member in record.members])


def on_one_gpu(record: BenchmarkRecord) -> int:
    """The most runs that were between their start and their end at the same moment on a GPU; 0 of a CPU's.

    One that was interrupted is left out: its times say nothing of what lies between them.
    """
    runs = [member.record for member in record.members if member.state in MEASURED and member.record is not None]
    alike = [run for run in runs if run["hardware"]["gpus"] and not run["interruptions"]]
    starts = [(datetime.fromisoformat(run["started"]), 1) for run in alike]
    ends = [(datetime.fromisoformat(run["finished"]), -1) for run in alike]
    return max(accumulate(step for _, step in sorted(starts + ends)), default=0)


def pace(members: Sequence[Outcome]) -> float | None:
    """Seconds per image of the least disturbed of the runs that were trained to their end, measurements included."""
    found = [own for member in members if member.state in MEASURED if (own := pace_of(member)) is not None]
    return min(found, default=None)


def pace_of(member: Outcome) -> float | None:
    """Seconds per image of a run: the lower quartile of its stretches from one evaluation to the next."""
    points = [(x, y) for x, y in zip(*columns(member), strict=False) if x is not None and y is not None]
    stretches = [(t - s) / (b - a) for (a, s), (b, t) in pairwise(points) if b > a]
    return float(np.quantile(stretches, UNDISTURBED)) if stretches else None


def columns(member: Outcome) -> tuple[Sequence[float | None], Sequence[float | None]]:
    """Images seen and seconds of a member's curve; empty of one without."""
    return member.curve.get("images_seen", ()), member.curve.get("seconds", ())


def at_pace(member: Outcome, pace: float | None) -> Outcome:
    """A member whose seconds are those of its images at a pace."""
    if pace is None or "seconds" not in member.curve:
        return member
    seconds = [None if images is None else images * pace for images in member.curve["images_seen"]]
    return replace(member, curve={**member.curve, "seconds": seconds})
