"""What the page asks for: the values of its controls, each checked before anything is drawn. No torch."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from zoo.errors import UsageError

WAYS = {"sefa": "Closed form", "pca": "PCA", "attributes": "Attributes"}  # of zoo.commands.directions
LARGEST_SEED = 2**31 - 1
REACH = 4.0  # standard deviations that a sample is moved along a direction, at most
COUNT = 6  # directions, of the closed form and PCA
CODE = 2.0  # a continuous code goes from -CODE to CODE


class Limits(NamedTuple):
    """What a model takes.

    Attributes:
        samples: that are drawn at once.
        labels: classes; 0 for an unconditional model.
        codes: the largest value of each of InfoGAN's codes by name; None: continuous.
        layers: of styles that can be mixed; 0 for none.
    """

    samples: int
    labels: int
    codes: Mapping[str, int | None]
    layers: int


@dataclass(frozen=True)
class State:
    """Values of all controls.

    Attributes:
        show: "grid", all samples, not moved; or the number of one, moved along the directions; or "second", the second
            source of styles.
        seed: of the samples.
        label: of all samples; None: drawn.
        codes: those that are set; the others are drawn.
        by: how the directions are found.
        directions: standard deviations to move along each.
        psi: of truncation; 1: none.
        mix_from: the layer from which on the styles are those of the second source; None: no layer.
        mix_seed: of the second source.
    """

    show: int | Literal["grid", "second"] = "grid"
    seed: int = 0
    label: int | None = None
    codes: Mapping[str, float] = field(default_factory=dict)
    by: str = "sefa"
    directions: tuple[float, ...] = ()
    psi: float = 1.0
    mix_from: int | None = None
    mix_seed: int = 1

    @property
    def is_plain(self) -> bool:
        """Whether this is what the model draws by itself: no code set, nothing moved or mixed."""
        moved = self.show != "grid" and any(self.directions)
        return not (self.codes or moved or self.mix_from is not None or self.show == "second")


def read_state(text: str, limits: Limits) -> State:
    """The state that a JSON object describes; what it leaves out is as in `State`.

    Raises:
        UsageError: no such object, an unknown key, or a value that the model does not take.
    """
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise UsageError("the state must be a JSON object")
    readers: dict[str, Callable[[Any], Any]] = {
        "show": lambda value: show(value, limits),
        "seed": lambda value: whole("seed", value, LARGEST_SEED),
        "label": lambda value: whole("label", value, limits.labels - 1, of=("labels", limits.labels)),
        "codes": lambda value: codes(value, limits.codes),
        "by": way,
        "directions": directions,
        "psi": lambda value: truncation(value, limits),
        "mix_from": lambda value: whole("mix_from", value, limits.layers - 1, of=("styles", limits.layers)),
        "mix_seed": lambda value: whole("mix_seed", value, LARGEST_SEED, of=("styles", limits.layers)),
    }
    if unknown := sorted(given.keys() - readers):
        raise UsageError(f"the state has no {unknown[0][:40]!r}, only {', '.join(readers)}")
    return State(**{key: readers[key](value) for key, value in given.items()})


def only_with(what: str, there: int) -> None:
    """Raises UsageError where the model lacks what a control is for."""
    if not there:
        raise UsageError(f"this model has no {what}")


def number(name: str, value: Any, low: float, high: float) -> float:
    """A number within bounds, or UsageError."""
    fits = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
    if not fits or not math.isfinite(value):
        raise UsageError(f"{name} must be a number from {low:g} to {high:g}")
    return float(value)


def truncation(value: Any, limits: Limits) -> float:
    """psi, or UsageError."""
    only_with("styles", limits.layers)
    return number("psi", value, 0, 1)


def whole(name: str, value: Any, high: int, *, of: tuple[str, int] | None = None) -> int:
    """A whole number from 0 on, or UsageError; `of`: what it is a number of, and how many there are."""
    if of is not None:
        only_with(*of)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= high:
        raise UsageError(f"{name} must be a whole number from 0 to {high}")
    return value


def show(value: Any, limits: Limits) -> Any:
    """ "grid", "second", or the number of a sample; UsageError otherwise."""
    if value == "second":
        only_with("styles", limits.layers)
    return value if value in ("grid", "second") else whole("show", value, limits.samples - 1)


def way(value: Any) -> str:
    """How directions are found, or UsageError."""
    if not isinstance(value, str) or value not in WAYS:
        raise UsageError(f"by must be one of {', '.join(WAYS)}")
    return value


def directions(value: Any) -> tuple[float, ...]:
    """Deviations along each direction, or UsageError; a model has as many directions as it has."""
    if not isinstance(value, list) or len(value) > 16:
        raise UsageError("directions must be a list of at most 16 numbers")
    return tuple(number("a direction", one, -REACH, REACH) for one in value)


def codes(value: Any, known: Mapping[str, int | None]) -> dict[str, float]:
    """Values of codes by name, or UsageError."""
    if not isinstance(value, dict):
        raise UsageError("codes must be a JSON object")
    only_with("codes", len(known) or not value)
    if unknown := sorted(value.keys() - known):
        raise UsageError(f"there is no code {unknown[0][:40]!r}, only {', '.join(known)}")
    found = {}
    for name, one in value.items():
        largest = known[name]
        found[name] = number(name, one, -CODE, CODE) if largest is None else whole(name, one, largest)
    return found
