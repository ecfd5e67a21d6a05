"""`zoo verify`: everything that a card claims, checked or computed again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from zoo.errors import DataNotFoundError
from zoo.experiments.measures import MEASURES
from zoo.experiments.suite import Measurement
from zoo.models.base.module import AdversarialModule
from zoo.releases.card import GRID_FILE
from zoo.releases.claims import grid_difference, measure, open_data, settings_of
from zoo.releases.release import Release
from zoo.releases.statistics import difference

GREY_LEVELS = 1  # processors differ in the last bit, and so may a pixel's rounding
RELATIVE, ERRORS = 0.01, 0.1  # of a value and of its own error: what such pixels may do to it

Verdict = Literal["holds", "fails", "not checked", "added"]


class Claim(NamedTuple):
    """One claim of a card, and what became of it."""

    text: str
    verdict: Verdict


def verify(release: Release, *, data_dir: str | None, figures: bool = True) -> Iterator[Claim]:
    """Checks files, weights, parameters, grid and figures, one after the other.

    Args:
        release: what is checked.
        data_dir: where its data set lies; None takes ZOO_DATA, else ./data.
        figures: compute the figures again (the data set must lie there).

    Raises:
        ReleaseError: files that are missing, damaged or of another release: nothing more can be said of those.
    """
    release.check_files()
    card = release.card
    yield Claim(f"sha256 of {', '.join(f'{n}.safetensors' for n in card['files'])} and {GRID_FILE}", "holds")
    module = release.module()
    yield Claim(f"{type(module).__name__} takes the weights with the card's hyperparameters", "holds")
    right = tuple(card["image_shape"]) == module.image_shape
    yield Claim(f"images are {'x'.join(map(str, card['image_shape']))}", "holds" if right else "fails")
    grid = card["grid"]
    levels = grid_difference(module, release.folder / GRID_FILE, images=grid["images"], seed=grid["seed"])
    text = f"seed {grid['seed']} gives the grid of {grid['images']} images (largest difference {levels} grey levels)"
    yield Claim(text, "holds" if levels <= GREY_LEVELS else "fails")
    if figures:
        yield from verify_figures(release, module, data_dir=data_dir)


def verify_figures(release: Release, module: AdversarialModule, *, data_dir: str | None) -> Iterator[Claim]:
    """The figures, under the card's protocols; "not checked" where the data set does not lie at hand."""
    card = release.card
    try:
        data = open_data(card["data"], data_dir)
    except DataNotFoundError:
        where = f"{card['data']['name']} does not lie here (--data_dir DIR names its folder)"
        yield Claim(f"{', '.join(card['protocols'])}: {where}", "not checked")
        return
    yield from compared(card, measure(module, data, settings_of(card["evaluation"])))
    if "statistics" in card:
        off = difference(module, card["protocol_texts"][card["statistics"]])
        text = f"G's BatchNorm has the statistics of these figures (largest difference {off:.2g} standard deviations)"
        yield Claim(text, "holds" if off <= RELATIVE else "fails")


def compared(card: Mapping[str, Any], taken: Measurement) -> Iterator[Claim]:
    """The figures of a card beside those of a measurement."""
    for name, claimed in card["figures"].items():
        if MEASURES.is_attached(name):
            continue
        if name not in taken.latest or taken.hashes[name] != card["protocols"].get(name):
            text = f"{name} under protocol {card['protocols'].get(name)} (now {taken.hashes.get(name, 'not taken')})"
            yield Claim(text, "fails")
            continue
        found, error = taken.latest[name], MEASURES.error(name, card["figures"]) or 0.0
        close = math.isclose(found, claimed, rel_tol=RELATIVE, abs_tol=ERRORS * error)
        yield Claim(f"{name} {claimed:.6g} (now {found:.6g})", "holds" if close else "fails")
