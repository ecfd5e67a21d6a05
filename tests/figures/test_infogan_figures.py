"""InfoGAN's figures: what the curves and the columns are said to be."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from zoo.experiments.infogan import code_title, code_values, information_curves
from zoo.models.networks.infogan import CodeLayout

MODEL: Any = SimpleNamespace(layout=CodeLayout(noise=3, codes=2, categories=4, continuous=1))


def run(*values: float) -> Any:
    rows = [{"images_seen": 100 * i, "mutual_information_categorical": value} for i, value in enumerate(values)]
    return SimpleNamespace(config={"data": {"init_args": {"batch_size": 50}}}, rows=rows)


def test_curves_of_one_colour_are_said_to_be_seeds() -> None:
    groups = {"InfoGAN": [run(0.0, 1.0), run(0.1, 1.1), run(0.2, 1.2)], "a control": [run(0.0, 0.3)]}
    (ax,) = information_curves(groups, categories=10).axes
    legend = ax.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["InfoGAN, 3 seeds", "a control"]
    *curves, bound = ax.lines
    assert [curve.get_ydata()[1] for curve in curves] == [1.0, 1.1, 1.2, 0.3]  # type: ignore[index]
    assert len({curve.get_color() for curve in curves[:3]}) == 1
    assert curves[0].get_xdata().tolist() == [0, 2]  # type: ignore[union-attr]
    assert set(bound.get_ydata()) == {math.log(10)}  # type: ignore[arg-type]


def test_codes_are_named_with_their_values() -> None:
    assert code_values("c2", MODEL, n=4) == ["0", "1", "2", "3"]
    assert [float(text) for text in code_values("c3", MODEL, n=7)] == pytest.approx(torch.linspace(-2, 2, 7), abs=0.06)
    assert code_title("c2", MODEL) == "c2, its 4 categories"
    assert code_title("c3", MODEL) == "c3, from -2 to 2 (-1 to 1 while training)"
