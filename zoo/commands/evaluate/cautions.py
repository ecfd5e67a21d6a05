"""What a reader of the figures has to know, where there are few images or all are alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from zoo.experiments.measures import MEASURES
from zoo.metrics.kernel_distance import SUBSET

if TYPE_CHECKING:
    from zoo.metrics.protocol import EvalProtocol
    from zoo.metrics.result import EvalResult


def is_kernel_distance(name: str) -> bool:
    """Whether a figure is a kernel distance (KID)."""
    found = MEASURES.find(name)
    return found is not None and found.measure.name == "kd"


def has_no_spread(name: str, protocol: EvalProtocol) -> bool:
    """Whether every subset of a kernel distance holds all images of both sides, so that its +/- says nothing."""
    return is_kernel_distance(name) and protocol.n_real == protocol.n_fake <= SUBSET


def cautions(result: EvalResult) -> Iterator[str]:
    """A sentence for each thing to know."""
    if result.alike:
        yield "all fakes are the same image: the generator has collapsed, or the folder holds copies of one file"
    for name, value in result.values.items():
        if MEASURES.is_attached(name) or not is_kernel_distance(name):
            continue
        protocol = result.protocols[name]
        sides = {"reals": protocol.n_real, "fakes": protocol.n_fake}
        whole = [f"{n} {side}" for side, n in sides.items() if n <= min(SUBSET, *sides.values())]
        if has_no_spread(name, protocol):
            yield (
                f"{name}: all its subsets are the whole set ({whole[0]}, {whole[1]}), so there is no +/-: "
                f"one needs more than {SUBSET:,} images a side"
            )
        elif whole:
            yield (
                f"{name}: each of its subsets holds all {whole[0]}; the +/- is over choices of the other side alone, "
                "and smaller than the error of the value"
            )
        if value < 0:
            yield f"{name} is below 0, as an unbiased estimate of about 0 may be: the sides cannot be told apart"
