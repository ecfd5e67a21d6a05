"""A figure is a spread only of another figure that is there."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from zoo.experiments.experiment import Experiment, Measured
from zoo.experiments.suite import EXPERIMENTS, Measurement
from zoo.runs.measures import is_secondary, is_spread, spread_of
from zoo.runs.study import measures_of

RECORDS = Path(__file__).parent.parent / "reproductions/records"
SCORES = {"is5k_std", "is5k_seed_std", "is5k_std_seed_std"}
PARZEN = ("parzen_ll", "parzen_ll_error", "parzen_sigma", "parzen_ll_validation")


@pytest.mark.parametrize(
    ("names", "spreads", "secondary"),
    [
        (("code_error", "code_error_majority", "fd_lenet"), set(), set()),
        (PARZEN, {"parzen_ll_error", "parzen_sigma"}, {"parzen_ll_error", "parzen_sigma", "parzen_ll_validation"}),
        ({"is5k", *SCORES}, SCORES, SCORES),
        (("noise_sigma", "one_nn_error"), set(), set()),
        (("gap_train", "gap_validation"), set(), set()),
    ],
)  # fmt: skip
def test_endings_count_only_beside_what_they_belong_to(names, spreads, secondary):
    assert {name for name in names if is_spread(name, names)} == spreads
    assert {name for name in names if is_secondary(name, names)} == secondary


def test_the_spread_of_a_figure():
    values = {
        "code_error": 0.2,
        "fd": 3.0,
        "is": 9.0,
        "is_std": 0.1,
        "ll": 1.0,
        "ll_error": 0.0,
        "kd": 1.0,
        "kd_std": None,
    }
    assert [spread_of(name, values) for name in ("is", "ll", "code", "fd", "kd")] == [0.1, 0.0, 0.2, None, None]


def test_the_committed_study_shows_its_headline():
    study = json.loads((RECORDS / "infogan-study-mnist.json").read_text())
    names = measures_of(study["records"].values())
    assert {"code_error", "code_error_majority", "fd_lenet", "is_lenet"} <= set(names)
    assert "is_lenet_std" not in names


def test_a_run_keeps_the_protocol_of_each_figure_that_is_no_spread(monkeypatch):
    data = SimpleNamespace(image_shape=(2,), name="points")
    values = {"code_error": 0.2, "parzen_ll": 1.0, "parzen_ll_error": 0.1}
    experiment = Experiment(
        while_training=lambda module, data, *, seed: Measured(values, {"n": 7}),
        on_test=lambda module, data, *, seed: Measured({"path": 3.0 + seed}, {"n": 9}),
        of_log=lambda log: Measured({"steps": 2.0}, {"n": 8}),
    )
    monkeypatch.setitem(EXPERIMENTS, "points", experiment)
    module: Any = SimpleNamespace(paper="points")
    measurement = Measurement(data, settings=SimpleNamespace(extractors=None), testing=True)
    assert measurement(module) == {**values, "path": 3.0, "steps": 2.0}
    assert set(measurement.hashes) == {"code_error", "parzen_ll", "path", "steps"}
    assert measurement.protocols[measurement.hashes["code_error"]] == {"n": 7}
    assert measurement.protocols[measurement.hashes["steps"]] == {"n": 8}
