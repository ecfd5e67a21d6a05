"""Figure 2 of Mirza & Osindero 2014: generated digits, one row for each label."""

from zoo.figures.drawing import Drawings
from zoo.models.cgan import CGAN
from zoo.runs import FinishedRun


def run_figures(module: CGAN, run: FinishedRun) -> Drawings:
    """`class_rows`: one class in each row, ten samples of each."""
    yield from module.figures().items()
