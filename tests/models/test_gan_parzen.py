"""What the log-likelihood depends on: each reading against the measure itself, on samples and digits made for it."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from zoo.experiments import gan_parzen
from zoo.experiments.gan_parzen import FINER, chosen, dropping, parzen_figures, parzen_findings, readings, samples_of
from zoo.metrics.parzen import GRID, ParzenLogLikelihood
from zoo.models.gan import GAN

RECORD: Any = SimpleNamespace(record_alone=True)  # of a member that ran elsewhere


@pytest.fixture
def module() -> GAN:
    torch.manual_seed(0)
    return GAN(network="mnist")


def test_samples_repeat_and_more_begin_with_the_same(module: GAN) -> None:
    few, more, others = samples_of(module, 4, block=4), samples_of(module, 6, block=4), samples_of(module, 4, draw=1)
    assert torch.equal(more[:4], few)
    assert few.shape == (4, 784)
    assert not torch.equal(few, others)
    with dropping(module.G, 0.5):
        dropped = [samples_of(module, 4, block=4) for _ in range(2)]
    assert torch.equal(*dropped)
    assert not torch.equal(dropped[0], few)
    assert torch.equal(samples_of(module, 4, block=4), few)  # the hooks are gone


def test_readings_are_those_of_the_measure(module: GAN, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gan_parzen, "NUMBERS", (20, 40))
    monkeypatch.setattr(gan_parzen, "SAMPLES", 20)
    generator = torch.Generator().manual_seed(0)
    validation, test = (torch.rand(n, 784, generator=generator) for n in (12, 9))
    found = readings(module, validation, test)
    metric = ParzenLogLikelihood.fit(samples_of(module, 20), validation)
    metric.update(test)
    assert found["parzen_ll, 20 samples"] == pytest.approx(float(metric.compute().mean))
    assert found["parzen_sigma, 20 samples"] == metric.sigma
    assert found["parzen_ll, 40 samples"] == chosen(samples_of(module, 40), validation, test)[0]
    assert found["parzen_ll, sigma by the test images"] >= found["parzen_ll, sigma of a finer grid"] - 1e-9
    others = ("latents 1", "latents 2", "0.1 of G's units dropped", "0.5 of G's units dropped")
    assert {f"parzen_ll, {name}" for name in others} <= found.keys()
    sigmas = {name: value for name, value in found.items() if name.startswith("parzen_sigma, ")}
    assert len(sigmas) == 3
    assert all(value in (*GRID, *FINER) for value in sigmas.values())  # and no likelihood stands among them
    assert not any(value in (*GRID, *FINER) for name, value in found.items() if name not in sigmas)


def test_the_rise_is_drawn_over_epochs() -> None:
    rows = [{"images_seen": 50_000 * i, "parzen_ll": 10.0 * i, "parzen_ll_validation": 9.0 * i} for i in range(3)]
    run: Any = SimpleNamespace(rows=rows, record_alone=False)
    ((name, figure),) = parzen_figures({"seed0": run, "seed1": RECORD})
    (ax,) = figure.axes
    assert name == "rise"
    assert ax.lines[0].get_xdata().tolist() == [0, 1, 2]
    assert ax.lines[1].get_ydata().tolist() == [0, 9, 18]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["seed0"]
    assert parzen_findings({"seed1": RECORD}) == {}
