"""Recipes: the experiments of a paper as named settings of the command line, and where a run's settings come from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Recipe:
    """One experiment.

    Args:
        summary: a line that says what it is, and whether it is the paper's or an extension.
        config: settings as the command line names them, nested; what the paper does not fix is left out.
        reported: what the paper reports for this experiment, by the name of our measure.
    """

    summary: str
    config: Mapping[str, Any]
    reported: Mapping[str, str] = field(default_factory=dict)
