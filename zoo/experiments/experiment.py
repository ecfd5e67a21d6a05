"""What a paper measures of its own, beside FID, IS and KID; a paper without an `Experiment` has nothing of the kind."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from zoo.data import ImageDataModule
from zoo.models.base.module import AdversarialModule

M = TypeVar("M", bound=AdversarialModule)
M_contra = TypeVar("M_contra", bound=AdversarialModule, contravariant=True)


class Measured(NamedTuple):
    """Values by name, and the protocol that they were taken under (plain types)."""

    values: dict[str, float]
    protocol: dict[str, Any]


NOTHING = Measured({}, {})


class Measuring(Protocol[M_contra]):
    """Measures a module; runs on every rank and returns the same on each."""

    def __call__(self, module: M_contra, data: ImageDataModule, /, *, seed: int) -> Measured: ...


@dataclass(frozen=True)
class Experiment(Generic[M]):
    """The measures of one paper.

    Attributes:
        while_training: taken at each evaluation, and on `test`.
        on_test: what is too dear while training.
        of_log: of a whole training, out of the rows of its metrics.jsonl; taken on `test`.
        of_pixels: names of `zoo.metrics.measures.OF_PIXELS` that are taken together with FID and IS.
    """

    while_training: Measuring[M] | None = None
    on_test: Measuring[M] | None = None
    of_log: Callable[[Sequence[Mapping[str, Any]]], Measured] | None = None
    of_pixels: Callable[[M], Sequence[str]] | None = None
