"""How the cells of a benchmark's tables are written. No torch."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from zoo.commands.benchmark.members import STATES, Outcome
from zoo.experiments.measures import MEASURES
from zoo.runs.measures import Better
from zoo.runs.statistics import Interval
from zoo.runs.text import number


def direction(measure: str) -> Better:
    """Which values of a measure are better."""
    return MEASURES.better(measure) or "lower"


def finite(values: Sequence[float]) -> list[float]:
    """Those of runs that did not diverge."""
    return [value for value in values if math.isfinite(value)]


def states(members: Sequence[Outcome]) -> str:
    """ "5 finished", "3 finished, 1 collapsed, 1 diverged"."""
    found = Counter(member.state for member in members)
    return ", ".join(f"{found[state]} {state}" for state in STATES if found[state])


def between(found: Interval) -> str:
    """ "9.8 [9.1, 10.4]"; an end that is not finite in words."""
    if math.isnan(found.low):
        return number(found.value)
    return f"{number(found.value)} [{number(found.low)}, {number(found.high)}]"
