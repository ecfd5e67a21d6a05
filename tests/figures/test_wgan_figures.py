"""WGAN's figures with a known answer."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from zoo.experiments.wgan import against_gan_figures, line_distances, trained_on_gaussians
from zoo.runs.folder import RunDir


@pytest.mark.parametrize("theta", [-1.5, -0.3, 0.05, 1.0])
def test_parallel_lines(theta: float) -> None:
    """Example 1: W = |theta|, JS = log 2."""
    w, js = line_distances(theta)
    assert w == pytest.approx(abs(theta), abs=2e-3)
    assert js == pytest.approx(math.log(2), abs=1e-12)


def test_lines_that_coincide() -> None:
    w, js = line_distances(0.0)
    assert w < 5e-3
    assert js == pytest.approx(0, abs=1e-12)


def test_the_discriminator_saturates_where_the_critic_does_not() -> None:
    """Figure 2: the gradient at the generator's samples."""
    slopes = {}
    for kind in ("discriminator", "critic"):
        net = trained_on_gaussians(kind, steps=400, seed=0)
        x = torch.tensor([[1.5], [2.0]], requires_grad=True)
        output = torch.sigmoid(net(x)) if kind == "discriminator" else net(x)
        output.sum().backward()
        assert x.grad is not None
        spread = float((net(torch.tensor([[-1.0]])) - net(torch.tensor([[1.5]]))).detach().abs())
        slopes[kind] = float(x.grad.abs().max()) / (1.0 if kind == "discriminator" else spread)
    assert slopes["discriminator"] < 0.02
    assert slopes["critic"] > 0.1


def test_a_trial_too_short_for_the_estimate_has_the_other_figure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """WGAN's warm start is longer than it: its log has no estimate."""
    short: Any = SimpleNamespace(rows=[{"images_seen": 64, "loss_discriminator": 1.2}], dir=RunDir(tmp_path))
    assert [name for name, _ in against_gan_figures({"wgan": short, "gan": short})] == ["figure4_gan"]
    assert "figure3_wgan is left out" in capsys.readouterr().out
