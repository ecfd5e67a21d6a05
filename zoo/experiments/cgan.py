"""Figure 2 of Mirza & Osindero 2014: generated digits, one row for each label."""

from zoo.experiments.pictures.captions import captioned
from zoo.experiments.pictures.drawing import Drawings
from zoo.models.cgan import CGAN
from zoo.models.trained import FinishedRun


def run_figures(module: CGAN, run: FinishedRun) -> Drawings:
    """`class_rows`: one class in each row, ten samples of each."""
    for name, images in module.figures().items():
        rows = [f"class {k}" for k in range(len(images))]
        yield name, captioned(images, title="One class in each row, a draw of z in each column", rows=rows)
