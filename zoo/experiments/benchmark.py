"""What a benchmark draws of its members' networks."""

from collections.abc import Mapping

import torch

from zoo.experiments.pictures.drawing import Drawings
from zoo.models.trained import FinishedRun

COLUMNS = 12


def study_figures(runs: Mapping[str, FinishedRun]) -> Drawings:
    """`samples`: a row for each member at the end of its training, latents of the same seed in all rows."""
    modules = [run.module().eval() for run in runs.values()]
    yield "samples", torch.stack([module.sample(COLUMNS, seed=0) for module in modules])  # [rows, columns, C, H, W]
