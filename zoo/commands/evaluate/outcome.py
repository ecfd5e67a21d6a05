"""What was measured, as a table, as JSON and as a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.commands.evaluate.cautions import cautions, has_no_spread
from zoo.experiments.measures import MEASURES
from zoo.runs.text import lined_up

if TYPE_CHECKING:
    from torch import Tensor

    from zoo.metrics.result import EvalResult

SCHEMA = 1


@dataclass(frozen=True)
class Outcome:
    """What was measured, of what, against which images."""

    subject: dict[str, Any]
    result: EvalResult
    reals: Tensor  # uint8 [N, C, H, W]
    notes: tuple[str, ...] = ()

    def all_notes(self) -> list[str]:
        """Those of what was read, and what to know of the figures."""
        return [*self.notes, *cautions(self.result)]


def table(outcomes: Sequence[Outcome]) -> str:
    """Name, value and errors, protocol hash, of several fakes one after the other; then what the hashes stand for."""
    heads, rows = len(outcomes) > 1, [("figure", "value", "+/-", "protocol")]
    described: dict[str, str] = {}
    notes: list[str] = []
    for outcome in outcomes:
        values, protocols = outcome.result.values, outcome.result.protocols
        if heads:
            rows.append((f"{outcome.subject['fake']}:", "", "", ""))
        for name, value in values.items():
            if not MEASURES.is_attached(name):
                found = [] if has_no_spread(name, protocols[name]) else MEASURES.errors(name, values)
                errors = [f"{error:.3g} over {what}" for error, what in found]
                rows.append((name, f"{value:.6g}", ", ".join(errors), protocols[name].hash))
        described |= {protocols[name].hash: protocols[name].describe() for name in values}
        notes += [f"note: {outcome.subject['fake']}: {n}" if heads else f"note: {n}" for n in outcome.all_notes()]
    return "\n".join([lined_up(rows, right=()), "", *described.values(), *dict.fromkeys(notes)])


def as_json_of(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """What is written: of one the outcome itself, of several a list of them."""
    if len(outcomes) == 1:
        return as_json(outcomes[0])
    return {"schema": SCHEMA, "evaluations": [as_json(outcome) for outcome in outcomes]}


def as_json(outcome: Outcome) -> dict[str, Any]:
    """Everything, as plain types: each value with its protocol's hash, and the protocols by hash."""
    values, protocols = outcome.result.values, outcome.result.protocols
    return {
        "schema": SCHEMA,
        "subject": outcome.subject,
        "values": {name: as_fields(value) | {"protocol": protocols[name].hash} for name, value in values.items()},
        "protocols": {protocol.hash: protocol.as_dict() for protocol in protocols.values()},
        "notes": outcome.all_notes(),
    }


def as_fields(value: float) -> dict[str, Any]:
    """A value as JSON knows it, which has neither nan nor infinity: those are null, with their name beside it."""
    return {"value": value} if math.isfinite(value) else {"value": None, "nonfinite": str(value)}


def draw_neighbours(outcome: Outcome, path: Path) -> None:
    """One row for each of ten fakes: the fake, then its nearest reals, each above its distance."""
    from zoo.commands.neighbours import picture_of
    from zoo.experiments.pictures.captions import write_picture
    from zoo.metrics.real_statistics import POOL

    name, found = next(iter(outcome.result.neighbours.items()))
    samples = outcome.result.samples
    assert samples is not None
    of_pixels, protocol = MEASURES.require(name).measure.of_pixels, outcome.result.protocols[name]
    all_reals = f"{protocol.n_real:,} images of {protocol.dataset} ({protocol.split})"
    looked_at = protocol.n_real if of_pixels else min(POOL, protocol.n_real)
    among = all_reals if looked_at == protocol.n_real else f"{looked_at:,} of {all_reals}"
    space = "pixels" if of_pixels else "features"
    title = f"Samples, and the nearest of {among} with their distances in {space} ({name})"
    write_picture(picture_of(samples, outcome.reals, found, title=title), path)
