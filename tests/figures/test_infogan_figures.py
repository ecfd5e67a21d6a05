"""InfoGAN's figures: what the curves and the columns are said to be."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from zoo.experiments import infogan
from zoo.experiments.infogan import code_title, code_values, information_curves, run_figures
from zoo.experiments.infogan_codes import code_figures, code_findings, runs_needed
from zoo.models.networks.infogan import CodeLayout

MODEL: Any = SimpleNamespace(layout=CodeLayout(noise=3, codes=2, categories=4, continuous=1))


def run(*values: float) -> Any:
    name = "mutual_information_categorical"
    rows = [{"images_seen": 100 * i, "loss_generator": 0.0, name: value} for i, value in enumerate(values)]
    rows.append({"images_seen": 100 * len(values) - 100, name: 9.0})  # an evaluation: of other samples
    return SimpleNamespace(config={"data": {"init_args": {"batch_size": 50}}}, rows=rows)


def test_curves_of_one_colour_are_said_to_be_seeds() -> None:
    groups = {"InfoGAN": [run(0.0, 1.0), run(0.1, 1.1), run(0.2, 1.2)], "a control": [run(0.0, 0.3)]}
    (ax,) = information_curves(groups, categories=10).axes
    legend = ax.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["InfoGAN, 3 seeds", "a control"]
    *curves, bound = ax.lines
    assert [curve.get_ydata()[1] for curve in curves] == [1.0, 1.1, 1.2, 0.3]
    assert len({curve.get_color() for curve in curves[:3]}) == 1
    assert curves[0].get_xdata().tolist() == [0, 2]
    assert set(bound.get_ydata()) == {math.log(10)}


def test_information_of_several_codes_is_held_against_that_of_all() -> None:
    """CelebA's ten codes tell up to 10 ln 10 = 23 nats, and reached 22.96: the line stood at 2.3."""
    (ax,) = information_curves({"InfoGAN": [run(0.0, 22.0)]}, categories=10, codes=10).axes
    assert set(ax.lines[-1].get_ydata()) == {10 * math.log(10)}
    assert [text.get_text() for text in ax.texts] == ["H(c) = 10 ln 10"]
    assert ax.get_ylabel() == "lower bound $L_I$ of c1 to c10, nats"


def test_without_categorical_codes_there_is_no_such_curve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(infogan, "traversals", lambda module: {"c1": torch.zeros(2, 3, 1, 4, 4)})
    module: Any = SimpleNamespace(layout=CodeLayout(noise=3, codes=0, categories=10, continuous=1))
    assert [name for name, _ in run_figures(module, run(0.0, 0.0))] == ["traversals"]


def test_codes_are_named_with_their_values() -> None:
    assert code_values("c2", MODEL, n=4) == ["0", "1", "2", "3"]
    assert [float(text) for text in code_values("c3", MODEL, n=7)] == pytest.approx(torch.linspace(-2, 2, 7), abs=0.06)
    assert code_title("c2", MODEL) == "c2, its 4 categories"
    assert code_title("c3", MODEL) == "c3, from -2 to 2 (-1 to 1 while training)"


def test_how_many_runs_one_sees_the_reported_error_in() -> None:
    """Of 12 runs 3: the exact interval of 3 / 12 is 0.0549 .. 0.5719."""
    found = runs_needed([0.05, 0.054, 0.03, *[0.2] * 9])
    assert (found["runs"], found["runs_at_5_percent"]) == (12, 3)
    assert found["runs_needed_at_least"] == pytest.approx(1 / 0.5719, rel=1e-3)
    assert found["runs_needed_at_most"] == pytest.approx(1 / 0.0549, rel=2e-3)
    none = runs_needed([0.2] * 12)
    assert none["runs_needed_at_least"] == pytest.approx(1 / (1 - 0.025 ** (1 / 12)))
    assert "runs_needed_at_most" not in none


def with_errors(*errors: float) -> Any:
    """A run that was measured every 100 images."""
    values = {"code_error": errors[-1], "code_classes": 8.0}
    test = {"checkpoint": "last.ckpt", "values": values, "protocols": {}, "images_seen": 100 * len(errors)}
    record = {"tests": [test], "images_seen": 100 * len(errors)}
    rows = [{"images_seen": 100 * (i + 1), "code_error": error} for i, error in enumerate(errors)]
    return SimpleNamespace(record=record, rows=rows)


def test_arms_are_compared_over_the_seeds_that_both_have_after_as_many_images() -> None:
    runs = {
        "paper-seed3": with_errors(0.3, 0.2),
        "paper-seed4": with_errors(0.2, 0.1),
        "paper-seed5": with_errors(0.1, 0.04),
        "slope_0.01-seed3": with_errors(0.1),
        "slope_0.01-seed9": with_errors(0.0),
        "longer-seed3": with_errors(0.3, 0.2, 0.1),
    }
    findings = code_findings(runs)
    assert findings["code_error minus that of the paper's settings, slope_0.01"] == pytest.approx(0.1 - 0.3)
    assert findings["seeds in common, slope_0.01"] == 1
    assert findings["code_error minus that of the paper's settings, longer"] == pytest.approx(0.1 - 0.2)
    assert (findings["code_error best, paper"], findings["code_error median, paper"]) == (0.04, 0.1)
    assert (findings["runs_at_5_percent, paper"], findings["code_error worst, paper"]) == (1, 0.2)
    ((name, figure),) = code_figures(runs)
    left = figure.axes[0]
    assert name == "code_errors"
    assert [tick.get_text().split("\n") for tick in left.get_xticklabels()] == [
        ["paper", "3 seeds", "200 images"],
        ["slope 0.01", "2 seeds", "100 images"],
        ["longer", "1 seed", "300 images"],
    ]
    points = [float(y) for collection in left.collections[::2] for _, y in collection.get_offsets()]
    assert points == [0.2, 0.1, 0.04, 0.1, 0, 0.1]


def test_an_arm_without_figures_hides_no_other() -> None:
    """Its one member was not tested."""
    untested = with_errors(0.5)
    untested.record["tests"] = []
    runs = {"paper-seed3": with_errors(0.3, 0.2)}
    both = {**runs, "slope_0.01-seed9": untested}
    assert code_findings(both) == code_findings(runs)
    ((_, figure),) = code_figures(both)
    left = figure.axes[0]
    assert [len(collection.get_offsets()) for collection in left.collections[::2]] == [1]


def test_the_curves_say_whose_they_are_where_not_all_logs_are_there() -> None:
    """A record alone has none."""
    runs = {"paper-seed3": with_errors(0.3, 0.2), "paper-seed4": with_errors(0.3, 0.1)}
    for label in ("real images seen, the paper's settings", "real images seen, the paper's settings (seed 4)"):
        ((_, figure),) = code_figures(runs)
        assert figure.axes[1].get_xlabel() == label
        runs["paper-seed3"].rows = []


def test_an_arm_of_several_protocols_has_no_median() -> None:
    runs = {"paper-seed3": with_errors(0.3), "paper-seed4": with_errors(0.1)}
    for run, fingerprint in zip(runs.values(), ("a", "b"), strict=True):
        run.record["tests"][0]["protocols"] = {"code_error": fingerprint}
        run.record["protocols"] = {fingerprint: {"dataset_fingerprint": fingerprint}}
    assert code_findings(runs) == {}
    assert [name for name, _ in code_figures(runs)] == ["code_errors"]
