"""Which of some figures belong to another one (its spread, or what it was chosen by); how both are written. No torch.

The ending alone does not tell: `parzen_ll_error` is the standard error of `parzen_ll`, but `code_error` is a share of
wrong codes and nobody's spread. What counts is whether the figure that it would belong to is there.
"""

from collections.abc import Collection, Mapping
from typing import TypeVar

T = TypeVar("T")

SPREADS = ("_std", "_error", "_seed_std")


def spread_of(name: str, values: Mapping[str, T]) -> T | None:
    """The standard deviation or error that was taken with a figure, if any."""
    return next((values[name + end] for end in SPREADS if values.get(name + end) is not None), None)


def is_spread(name: str, names: Collection[str]) -> bool:
    """Whether a figure is the spread, or the bandwidth, of another one among `names`."""
    if any(name.endswith(end) and name.removesuffix(end) in names for end in SPREADS):
        return True
    # One bandwidth serves several figures: parzen_sigma those of parzen_ll and its like.
    kin = name.removesuffix("sigma")
    return name.endswith("_sigma") and any(other.startswith(kin) for other in names if other != name)


def is_secondary(name: str, names: Collection[str]) -> bool:
    """Whether a table leaves a figure out: a spread, or another figure's value on validation data."""
    return is_spread(name, names) or (name.endswith("_validation") and name.removesuffix("_validation") in names)


def direction(measure: str) -> str:
    """Whether a "lower" or a "higher" value of a measure is better, or "neither"."""
    if measure.startswith("critic_"):
        return "neither"
    return "higher" if measure.startswith(("is", "parzen", "accuracy", "share", "mutual_information")) else "lower"
