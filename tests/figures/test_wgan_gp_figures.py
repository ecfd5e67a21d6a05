"""WGAN-GP's figures: counts of the architecture study by hand, axes of the value surface, names of runs."""

from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgba

from zoo.data.toy import ToyPoints
from zoo.experiments import wgan_gp
from zoo.experiments.pictures.drawing import ORANGE, new_figure
from zoo.experiments.wgan_gp import (
    EXTENT,
    architecture_figures,
    architecture_findings,
    data_of,
    draw_surface,
    figure2_figures,
    gradient_norms,
    label_of,
    run_figures,
    successes,
    value_bar,
)
from zoo.experiments.wgan_gp_critic import gradient_norms_by_layer
from zoo.models.wgan_gp import WGANGP
from zoo.training.scripts import script_of

SCORES = {"gan": {"0": 1.5, "1": 3.0, "2": 5.0, "10": 1.0}, "wgan-gp": {"0": 6.0, "1": 2.5, "2": 7.0, "10": 1.2}}


def study() -> dict[str, Any]:
    """Members of the study with these scores at their last checkpoints."""
    return {
        f"{method}-{number}": SimpleNamespace(
            record={
                "tests": [{"checkpoint": "last.ckpt", "values": {"is_lenet": score}, "protocols": {}, "images_seen": 9}]
            }
        )
        for method, scores in SCORES.items()
        for number, score in scores.items()
    }


@pytest.mark.parametrize(
    ("threshold", "only_gan", "only_wgan_gp", "both", "neither"),
    [(0.5, 0, 0, 4, 0), (2.0, 0, 1, 2, 1), (2.5, 1, 1, 1, 1), (3.0, 0, 1, 1, 2), (6.0, 0, 1, 0, 3)],
)
def test_successes_of_four_architectures(
    threshold: float, only_gan: int, only_wgan_gp: int, both: int, neither: int
) -> None:
    """A score that equals the threshold is not above it."""
    counts = {"only GAN": only_gan, "only WGAN-GP": only_wgan_gp, "both": both, "neither": neither}
    assert successes(SCORES, threshold=threshold) == counts


def test_findings_and_the_drawing_of_a_study() -> None:
    findings = architecture_findings(study())
    assert findings["only WGAN-GP, is_lenet above 4"] == 1
    assert findings["both, is_lenet above 4"] == 1
    assert sum(value for name, value in findings.items() if name.endswith("above 4")) == 4
    both = "both, is_lenet above 4"  # 1 of 4: the exact interval is 0.63 % .. 80.59 %
    assert (findings[f"{both}, % at least"], findings[f"{both}, % at most"]) == pytest.approx((0.63, 80.59), abs=0.01)
    more = {**study(), "gan-21": study()["gan-0"]}  # its partner is not there yet
    assert architecture_findings(more) == findings
    unscored = SimpleNamespace(record={"tests": []})
    assert architecture_findings({**study(), "gan-21": study()["gan-0"], "wgan-gp-21": unscored}) == findings
    ((name, figure),) = architecture_figures(study())
    left = figure.axes[0]
    assert name == "networks"
    assert [tick.get_text() for tick in left.get_xticklabels()] == ["0", "1", "2", "10"]
    assert sorted(bar.get_height() for bar in left.patches) == sorted(
        score for scores in SCORES.values() for score in scores.values()
    )


def test_scores_of_other_protocols_are_not_counted_together() -> None:
    runs = study()
    for name, run in runs.items():
        run.record = {**run.record, "protocols": {"p": {"version": 2 if name == "gan-0" else 1}}}
        run.record["tests"] = [{**test, "protocols": {"is_lenet": "p"}} for test in run.record["tests"]]
    assert set(architecture_findings(runs).values()) == {0}
    assert [name for name, _ in architecture_figures(runs)] == ["networks"]


SWISS = ToyPoints(distribution="swissroll")


def test_a_study_of_one_method_so_far_has_no_pair() -> None:
    one = {name: run for name, run in study().items() if name.startswith("wgan-gp")}
    findings = architecture_findings(one)
    assert len(findings) == 12
    assert set(findings.values()) == {0}
    assert [name for name, _ in architecture_figures(one)] == ["networks"]


def test_the_surface_has_x_to_the_right_and_y_upwards(monkeypatch: pytest.MonkeyPatch) -> None:
    module = WGANGP(network="toy", width=8, fixed_generator=True)
    monkeypatch.setattr(module, "score", lambda points: points[:, 0] + 10 * points[:, 1])
    ax = MagicMock()
    draw_surface(ax, module, SWISS)
    x, y, surface = ax.contourf.call_args.args
    assert (x[0], x[-1], y[0], y[-1]) == (-EXTENT, EXTENT, -EXTENT, EXTENT)
    np.testing.assert_allclose(surface, x[None, :] + 10 * y[:, None], atol=1e-4)
    assert ax.scatter.call_count == 1  # a generator that never moved is not shown
    draw_surface(ax, WGANGP(network="toy", width=8), SWISS)
    assert ax.scatter.call_count == 3


def test_a_runs_figures_are_of_the_checkpoint_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """`test --ckpt_path best` drew the last checkpoint's critic under the best one's name."""
    module, drawn = WGANGP(network="toy", width=8), []
    config = {"model": {"method": "wgan-gp"}, "data": {"init_args": {"distribution": "swissroll"}}}
    run: Any = SimpleNamespace(config=config, data=SWISS, module=lambda: pytest.fail("took another checkpoint"))
    monkeypatch.setattr(wgan_gp, "critic_surface", lambda module, **_: drawn.append(module) or torch.eye(4))
    monkeypatch.setattr(wgan_gp, "critic_weights", lambda module: drawn.append(module) or torch.rand(9))
    assert [name for name, _ in run_figures(module, run)] == ["surface", "layers"]
    assert drawn == [module, module]


def test_gradient_norms_are_of_reals_against_what_the_critic_was_shown() -> None:
    torch.manual_seed(0)
    module = WGANGP(network="toy", width=8, fixed_generator=True)
    x = SWISS.split("test").images[:256]
    fake = x + torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    assert gradient_norms(module, SWISS) == gradient_norms_by_layer(module, x, fake).tolist()
    assert len(gradient_norms(module, SWISS)) == 4


def test_names_of_runs() -> None:
    data = {"init_args": {"distribution": "25gaussians"}}
    clipped: Any = SimpleNamespace(config={"model": {"method": "wgan", "clip": 0.1}, "data": data})
    assert (label_of(clipped), data_of(clipped)) == ("clipping, c = 0.1", "25 Gaussians")
    penalised: Any = SimpleNamespace(config={"model": {"method": "wgan-gp", "clip": 0.1}})
    assert label_of(penalised) == "gradient penalty"


def test_greys_and_points_of_surfaces_are_explained_beside_them() -> None:
    figure, axes = new_figure(1, 2, width=4, height=2)
    torch.manual_seed(0)
    for ax in axes[0]:
        draw_surface(ax, WGANGP(network="toy", width=8), SWISS)
    value_bar(figure, axes)
    bar = figure.axes[-1]
    assert [text.get_text() for text in bar.get_yticklabels()] == ["lowest", "highest"]
    assert "own scale" in bar.get_ylabel()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["data", "samples"]
    colours = [tuple(handle.get_facecolor()[0]) for handle in legend.legend_handles]
    assert colours == [to_rgba(ORANGE), to_rgba("#2f9e5f")]


def test_the_overfitting_of_one_method_is_drawn_before_the_other_is_there() -> None:
    """A study of twenty hours a member."""
    rows = [{"images_seen": i, "critic_gap_train": 1.0, "critic_gap_validation": 0.5} for i in range(3)]
    run: Any = SimpleNamespace(config={"model": {"method": "wgan-gp"}}, rows=rows)
    study = script_of("wgan_gp").studies["overfitting"]
    assert study.grows
    ((name, figure),) = study.figures({next(iter(study.members)): run})
    assert name == "figure5b_overfitting"
    assert [ax.get_title() for ax in figure.axes] == ["gradient penalty"]


@pytest.mark.parametrize("network", ["mnist", "cifar10"])
def test_any_run_with_held_out_images_has_its_gaps_drawn(network: Any) -> None:
    rows = [{"images_seen": i, "critic_gap_train": 1.0, "critic_gap_validation": 0.5} for i in range(3)]
    run: Any = SimpleNamespace(config={"model": {"method": "wgan-gp"}}, rows=rows)
    module = WGANGP(network=network, width=4)
    assert [name for name, _ in run_figures(module, run)] == ["overfitting"]
    run.rows = []
    assert not [*run_figures(module, run)]


def test_figure_2_has_a_row_for_each_network_that_was_trained() -> None:
    def run(network: Any, method: Any) -> Any:
        module = WGANGP(network=network, method=method, width=4)
        return SimpleNamespace(config={"model": {"network": network, "method": method}}, module=lambda: module)

    runs = {"wgan-gp-mlp64": run("mlp64", "wgan-gp"), "gan-dcgan64": run("dcgan64", "gan")}
    ((name, figure),) = figure2_figures(runs)
    assert name == "figure2_samples"
    assert [len(ax.images) for ax in figure.axes] == [1, 0, 0, 0, 0, 0, 0, 1]
    assert [ax.get_title() for ax in figure.axes[:4]] == ["DCGAN", "LSGAN", "WGAN (clipping)", "WGAN-GP"]
    assert [ax.get_ylabel() for ax in figure.axes[::4]] == ["DCGAN (baseline)", "G: 4-layer MLP"]
