"""What a value means is declared: which way is better, and which values are the errors of others."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from zoo.errors import UndeclaredMeasureError
from zoo.experiments.experiment import Experiment, Measured
from zoo.experiments.measures import MEASURES, measures_of
from zoo.experiments.suite import EXPERIMENTS, EvaluationSettings, Measurement
from zoo.metrics.measures import ALL
from zoo.metrics.protocol import value_name
from zoo.runs.measures import SHARED, Measure, Measures

ROOT = Path(__file__).parent.parent
RECORDS = ROOT / "reproductions/records"
SCORES = {"is5k_std", "is5k_seed_std", "is5k_std_seed_std"}
NORM = "critic_gradient_norm"
PARZEN = ("parzen_ll", "parzen_ll_error", "parzen_sigma", "parzen_ll_validation")


@pytest.mark.parametrize(
    ("names", "attached", "secondary"),
    [
        (("code_error", "code_error_majority", "fd_lenet"), set(), set()),
        (PARZEN, {"parzen_ll_error", "parzen_sigma"}, {"parzen_ll_error", "parzen_sigma", "parzen_ll_validation"}),
        ({"is5k", *SCORES}, SCORES, SCORES),
        (("error_1nn50k", "critic_gap_train", "critic_gap_validation"), set(), set()),
        ((NORM, f"{NORM}_std"), {f"{NORM}_std"}, {f"{NORM}_std"}),
        (("is_lenet2k", "is_lenet2k_std", "loss_std"), {"is_lenet2k_std"}, {"is_lenet2k_std"}),
    ],
)  # fmt: skip
def test_errors_are_those_that_are_declared(names: Any, attached: set[str], secondary: set[str]) -> None:
    assert {name for name in names if MEASURES.is_attached(name)} == attached
    assert {name for name in names if MEASURES.is_secondary(name)} == secondary


def test_the_error_of_a_value() -> None:
    values = {"code_error": 0.2, "fd_x": 3.0, "is_x": 9.0, "is_x_std": 0.1, "is_x_seed_std": 0.3}
    values |= {"parzen_ll": 1.0, "parzen_ll_error": 0.0, "kd_x": 1.0, "kd_x_std": None, "fd_y_seed_std": 2.0}
    asked = ("is_x", "parzen_ll", "code", "fd_x", "kd_x", "fd_y")
    assert [MEASURES.error(name, values) for name in asked] == [0.1, 0.0, None, None, None, 2.0]
    assert list(MEASURES.errors("is_x", values)) == [(0.1, "splits"), (0.3, "latent seeds, not trainings")]


@pytest.mark.parametrize("extractor", ["inception", "inception-clean", "lenet", "resnet-0a1b2c3d", ""])
@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("n", [10_000, 2_000, 310])
def test_every_name_that_the_evaluator_gives_is_declared(extractor: str, split: str, n: int) -> None:
    of_pixels = {measure.name for measure in SHARED if measure.of_pixels}
    of_features = {"fd", "fd_infinity", "is", "kd", "precision", "recall", "density", "coverage", "nn_ratio"}
    for measure in of_features if extractor else of_pixels:
        name = value_name(measure, extractor, n, split=split)
        found = MEASURES.find(name)
        assert found is not None
        assert (found.measure.name, found.attached) == (measure, False)
        assert MEASURES.is_attached(f"{name}_seed_std")
    named = {name.removesuffix("_few") for name in ALL}
    known = {*of_features, *of_pixels, "pr", "dc", "nn", "nn_pixels"}  # what is here is all there is
    assert named <= known, f"{named - known}: declared in SHARED of zoo/runs/measures.py, and above if of features?"


def values_in_records() -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Names with the direction that a record gives them (where it does), and those with a protocol, file by file."""
    for file in sorted(RECORDS.glob("*.json")):
        content = json.loads(file.read_text())
        for record in content["records"].values() if "study" in content else [content]:
            directions = {name: measure["better"] for name, measure in record["measures"].items()}
            yield directions, {name: measure["protocol"] for name, measure in record["measures"].items()}
            for test in record["tests"]:
                yield dict.fromkeys(test["values"]), test["protocols"]
    for file in (ROOT / "zoo/releases/shipped").glob("*/card.json"):
        card = json.loads(file.read_text())
        yield dict.fromkeys(card["figures"]), card["protocols"]


def test_every_value_of_the_committed_records_and_cards_is_declared_as_it_was_kept() -> None:
    seen = 0
    for directions, protocols in values_in_records():
        for name, better in directions.items():
            found = MEASURES.require(name)
            assert not (found.attached and name in protocols)  # errors have no protocol of their own
            # a critic's gradient was once recorded as better if lower
            assert better in (None, found.measure.better) or name == "critic_gradient_norm"
            seen += 1
    assert seen > 200


def test_an_undeclared_measure_is_refused_where_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        EXPERIMENTS, "points", Experiment(while_training=lambda module, data, *, seed: Measured({"beauty": 1.0}, {}))
    )
    data: Any = SimpleNamespace(image_shape=(2,), name="points", extractor="efficientnet")
    module: Any = SimpleNamespace(paper="points")
    settings = EvaluationSettings()
    with pytest.raises(UndeclaredMeasureError, match=r"nothing says what 'beauty' means.*zoo/experiments/measures\.py"):
        Measurement(data, settings=settings, testing=False)(module)
    monkeypatch.setattr("zoo.experiments.suite.MEASURES", Measures([Measure("beauty", "higher", "of samples")]))
    assert Measurement(data, settings=settings, testing=False)(module) == {"beauty": 1.0}


def test_meanings_are_known_without_torch() -> None:
    code = "import sys, zoo.experiments.measures; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_committed_study_shows_its_headline() -> None:
    study = json.loads((RECORDS / "infogan-study-mnist.json").read_text())
    names = measures_of(study["records"].values())
    assert {"code_error", "code_error_majority", "fd_lenet", "is_lenet"} <= set(names)
    assert "is_lenet_std" not in names


def test_a_run_keeps_the_protocol_of_each_value_that_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"code_error": 0.2, "parzen_ll": 1.0, "parzen_ll_error": 0.1}
    experiment: Experiment[Any] = Experiment(
        while_training=lambda module, data, *, seed: Measured(values, {"n": 7}),
        on_test=lambda module, data, *, seed: Measured({"ppl_end_w_x": 3.0 + seed}, {"n": 9}),
        of_log=lambda log: Measured({"wasserstein_estimate": 2.0}, {"n": 8}),
    )
    monkeypatch.setitem(EXPERIMENTS, "points", experiment)
    data: Any = SimpleNamespace(image_shape=(2,), name="points", extractor="efficientnet")
    module: Any = SimpleNamespace(paper="points")
    settings = EvaluationSettings()
    measurement = Measurement(data, settings=settings, testing=True)
    assert measurement(module) == {**values, "ppl_end_w_x": 3.0, "wasserstein_estimate": 2.0}
    assert set(measurement.hashes) == {"code_error", "parzen_ll", "ppl_end_w_x", "wasserstein_estimate"}
    assert measurement.protocols[measurement.hashes["code_error"]] == {"n": 7}
    assert measurement.protocols[measurement.hashes["wasserstein_estimate"]] == {"n": 8}
