"""What each measure means: which way is better, and which values are only taken with it. Declared. No torch.

The tables of measures: `SHARED` here, and with it the papers' own in `zoo.experiments.measures`.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, TypeVar

from zoo.errors import UndeclaredMeasureError

T = TypeVar("T")
Better = Literal["lower", "higher", "neither"]
OVER_SEEDS = "seed_std"  # standard deviation of any value over several lists of latents


@dataclass(frozen=True)
class Measure:
    """A number that is taken of a model, or a family of them.

    Attributes:
        name: that it goes by; of a family, what all names begin with.
        better: which values are; "neither" for what merely describes.
        title: for people.
        error: ending of the value that is its standard deviation or standard error, or "".
        over: what that error is over.
        names: a regular expression of the whole names of a family.
        compares: "distance" (of Frechet), "score" or "modes": what runs on images are compared by.
        of_pixels: whether it looks at the images themselves.
        settings: values that it was taken with, such as a bandwidth; they claim nothing.
        secondary: tables leave it out, such as a value on validation data.
    """

    name: str
    better: Better
    title: str
    error: str = ""
    over: str = ""
    names: str = ""
    compares: Literal["distance", "score", "modes", ""] = ""
    of_pixels: bool = False
    settings: tuple[str, ...] = ()
    secondary: bool = False

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Matches the names of its values, `error` those of its errors."""
        own = self.names or re.escape(self.name)
        return re.compile(rf"(?:{own})(?P<error>_{self.error or OVER_SEEDS})?(?P<seeds>_{OVER_SEEDS})?")


def of_features(name: str, *, inception: str = "") -> str:
    """Names of a measure of features, as zoo.metrics.protocol.value_name makes them: fd_lenet2k, fid50k_clean."""
    own = inception or f"{name}_inception"
    return rf"{name}_\S+?|{own}\d+k?(?:_(?:clean|torchmetrics))?(?:_(?:test|validation))?"


def of_pixels(name: str) -> str:
    """Names of a measure of pixels, and of its parts: ms_ssim10k, swd10k_avg, swd10k_32."""
    return rf"{name}\d+k?(?:_(?:test|validation))?(?:_(?:avg|\d+))?"


SHARED = (
    Measure("fd", "lower", "Frechet distance (FID)", names=of_features("fd", inception="fid"), compares="distance"),
    Measure(
        "fd_infinity",
        "lower",
        "Frechet distance extrapolated to infinitely many fakes",
        names=of_features("fd_infinity", inception="fid_infinity"),
        compares="distance",
    ),
    Measure(
        "is",
        "higher",
        "Inception Score",
        error="std",
        over="splits",
        names=of_features("is", inception="is"),
        compares="score",
    ),
    Measure(
        "kd", "lower", "kernel distance (KID)", error="std", over="subsets", names=of_features("kd", inception="kid")
    ),
    Measure("precision", "higher", "improved precision", names=of_features("precision")),
    Measure("recall", "higher", "improved recall", names=of_features("recall")),
    Measure("density", "higher", "density", names=of_features("density")),
    Measure("coverage", "higher", "coverage", names=of_features("coverage")),
    Measure("nn_ratio", "neither", "distance of fakes to reals over reals to reals", names=of_features("nn_ratio")),
    Measure("swd", "lower", "sliced Wasserstein distance x 1000", names=of_pixels("swd"), of_pixels=True),
    Measure("ms_ssim", "lower", "MS-SSIM of pairs of fakes", names=of_pixels("ms_ssim"), of_pixels=True),
    Measure("ndb", "lower", "share of statistically different bins", names=of_pixels("ndb"), of_pixels=True),
    Measure("ndb_jsd", "lower", "divergence of the bins", names=of_pixels("ndb_jsd"), of_pixels=True),
    Measure(
        "modes",
        "higher",
        "modes of 1,000 that samples show",
        names=of_pixels("modes"),
        of_pixels=True,
        compares="modes",
    ),
    Measure(
        "modes_kl",
        "lower",
        "divergence of these from uniform",
        names=of_pixels("modes_kl"),
        of_pixels=True,
        compares="modes",
    ),
    Measure("nn_pixel_ratio", "neither", "as nn_ratio, in pixels", names=of_pixels("nn_pixel_ratio"), of_pixels=True),
    Measure(
        "parzen_ll",
        "higher",
        "Parzen-window log-likelihood, nats",
        error="error",
        over="images",
        settings=("parzen_sigma",),
    ),
    Measure("parzen_ll_validation", "higher", "as parzen_ll, of validation images", secondary=True),
    Measure("wasserstein_exact", "lower", "exact Wasserstein-1 distance of points"),
    Measure("share_modes_covered", "higher", "share of modes with a sample within 3 sigma"),
    Measure("share_high_quality", "higher", "share of samples within 3 sigma of a mode"),
)


class Meaning(NamedTuple):
    """What one value is: of which measure, and whether an error or a setting of it instead of the measure itself."""

    measure: Measure
    attached: bool = False


class Measures:
    """A table of declarations, asked by the names of values."""

    def __init__(self, declared: Iterable[Measure]) -> None:
        self.declared = sorted(declared, key=lambda measure: -len(measure.name))  # the closest first: fd_infinity, fd
        self.settings = {name: measure for measure in self.declared for name in measure.settings}
        self._found: dict[str, Meaning | None] = {}

    def find(self, name: str) -> Meaning | None:
        """The meaning of a value; None if nothing declares it (a loss, or a measure of another version)."""
        if name not in self._found:
            self._found[name] = self._find(name)
        return self._found[name]

    def _find(self, name: str) -> Meaning | None:
        if name in self.settings:
            return Meaning(self.settings[name], attached=True)
        for measure in self.declared:
            if match := measure.pattern.fullmatch(name):
                return Meaning(measure, attached=bool(match["error"] or match["seeds"]))
        return None

    def require(self, name: str) -> Meaning:
        """The meaning of a value that is about to be kept.

        Raises:
            UndeclaredMeasureError: nothing declares it.
        """
        found = self.find(name)
        if found is None:
            raise UndeclaredMeasureError(
                f"nothing says what {name!r} means, nor whether low or high values are better: "
                f"declare it among the MEASURES of zoo/experiments/measures.py, as Measure({name!r}, better, title)"
            )
        return found

    def better(self, name: str) -> Better | None:
        """Whether "lower" or "higher" values are better, or "neither"; None of what is not declared."""
        found = self.find(name)
        return found.measure.better if found else None

    def is_attached(self, name: str) -> bool:
        """Whether a value is the error or a setting of a measure."""
        found = self.find(name)
        return found is not None and found.attached

    def is_secondary(self, name: str) -> bool:
        """Whether a table leaves a value out: an error, a setting, or another measure's value on validation data."""
        found = self.find(name)
        return found is not None and (found.attached or found.measure.secondary)

    def compared_by(self, name: str) -> Literal["distance", "score", "modes", ""]:
        """Whether a value is the distance, the score or the modes that runs on images are compared by."""
        found = self.find(name)
        return found.measure.compares if found and not found.attached else ""

    def distances(self, names: Collection[str]) -> list[str]:
        """The Frechet distances among some names, sorted."""
        return sorted(name for name in set(names) if self.compared_by(name) == "distance")

    def error(self, name: str, values: Mapping[str, T]) -> T | None:
        """The standard deviation or error that was taken with a value, if any."""
        return next((value for value, _ in self.errors(name, values)), None)

    def errors(self, name: str, values: Mapping[str, T]) -> Iterable[tuple[T, str]]:
        """The errors of a value, each with what it is over."""
        found = self.find(name)
        kinds = [(found.measure.error, found.measure.over)] if found and found.measure.error else []
        for ending, over in (*kinds, (OVER_SEEDS, "latent seeds, not trainings")):
            value = values.get(f"{name}_{ending}")
            if value is not None:
                yield value, over
