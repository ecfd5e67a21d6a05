"""Each known way to fail is named once, with the paper's remedy, and a healthy run is left in peace."""

import inspect
import re
from dataclasses import replace
from typing import Any

import pytest
import torch
from toys import ToyData, ToyGAN, fit

from zoo.models import MODELS
from zoo.training.callbacks import HealthWatch


class Ill(ToyGAN):
    """Logs what it is told to; D learns from nothing."""

    remedies = {"saturation": "the remedy for saturation", "collapse": "the remedy for collapse"}  # noqa: RUF012

    def __init__(self, values: dict[str, Any], *, logits: bool = True) -> None:
        super().__init__()
        self.values = values
        self.scores_are_logits = logits
        self.log_every = 1

    def report(self, losses: dict[str, torch.Tensor]) -> None:
        super().report(losses)
        step = self.discriminator_steps
        healthy = {"score_real": 1.0, "score_fake": -1.0, "gradient_norm_D": 1.0, "gradient_norm_G": 1.0}
        self.latest = {name: self.values.get(name, lambda _, v=value: v)(step) for name, value in healthy.items()}


def warnings_of(
    module: ToyGAN, capsys: pytest.CaptureFixture[str], *, every: int | None = None, chance: int = 0
) -> str:
    fit(module, HealthWatch(every=every, chance=chance), images=8 * 60)
    return capsys.readouterr().err


SURE = {"score_real": lambda step: 4.5, "score_fake": lambda step: -4.5}


def test_a_healthy_run_is_left_in_peace(capsys: pytest.CaptureFixture[str]) -> None:
    assert "warning" not in warnings_of(Ill({}), capsys)


def test_saturation_is_named_once_with_the_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    text = warnings_of(Ill(SURE), capsys)
    assert text.count("warning") == 1
    assert "warning at 80 images: D tells every image" in text  # ten logged points of eight images
    assert "the remedy for saturation" in text


@pytest.mark.parametrize(
    "module",
    [
        lambda: Ill(SURE, logits=False),  # a critic's scores have no scale
        lambda: Ill({**SURE, "score_fake": lambda step: -3.5}),
        lambda: Ill(
            {name: lambda step, f=f: f(step) if step % 10 else 0.0 for name, f in SURE.items()}
        ),  # never ten in a row
    ],
    ids=["critic", "one side", "interrupted"],
)
def test_no_saturation(module: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert "warning" not in warnings_of(module(), capsys)


def test_divergence_is_of_either_player(capsys: pytest.CaptureFixture[str]) -> None:
    for player in "DG":
        growing = {f"gradient_norm_{player}": lambda step: 1.0 if step < 30 else 1001.0}
        text = warnings_of(Ill(growing), capsys)
        assert text.count("warning") == 1
        assert "warning at 312 images: gradients grow" in text  # steps 30 to 39
        assert "remedy" not in text  # this paper names none
    assert "warning" not in warnings_of(Ill({"gradient_norm_D": lambda step: 1.0 if step < 30 else 999.0}), capsys)


class OneImage(ToyGAN):
    """Every latent gives the same image, or images as varied as noise."""

    remedies = {"collapse": "the remedy for collapse"}  # noqa: RUF012

    def __init__(self, spread: float) -> None:
        super().__init__()
        self.spread = spread

    def generate(self, z: torch.Tensor, y: torch.Tensor | None) -> torch.Tensor:
        noise = torch.rand(len(z), 1, 8, 8, generator=torch.Generator().manual_seed(5)) * 2 - 1
        return noise * self.spread


@pytest.mark.parametrize(("spread", "collapsed"), [(0.2, True), (0.3, False), (1.0, False)])
def test_collapse_is_a_lack_of_variety(spread: float, collapsed: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """Reals of the toy are uniform noise: samples a fifth as wide are a fifth as far apart."""
    text = warnings_of(OneImage(spread), capsys, every=16)
    assert ("warning at 32 images: samples of different latents look alike" in text) == collapsed
    assert ("the remedy for collapse" in text) == collapsed


def test_variety_is_logged_as_a_ratio() -> None:
    class Log:
        def __init__(self) -> None:
            self.rows: list[tuple[int, float]] = []

        def log_metrics(self, values: dict[str, float], step: int) -> None:
            self.rows.append((step, values["variety"]))

    watch, module, log = HealthWatch(every=16), OneImage(0.5), Log()
    trainer: Any = type("T", (), {"datamodule": ToyData(), "loggers": [log], "is_global_zero": True})()
    module.images_seen = 16
    watch.look_at_samples(trainer, module)
    assert log.rows[0][0] == 16
    assert log.rows[0][1] == pytest.approx(0.5, abs=0.03)


def test_reals_that_come_by_name_are_drawn_and_equal_ones_are_no_measure() -> None:
    """The first 64 of a sorted list are one kind: here all of them the same picture."""
    rows: list[dict[str, float]] = []

    def look(images: torch.Tensor) -> None:
        class Listed(ToyData):
            mixed = False

        data, log = Listed(), type("Log", (), {"log_metrics": lambda self, values, step: rows.append(values)})()
        data.array = replace(data.array, images=images, labels=None)
        trainer: Any = type("T", (), {"datamodule": data, "loggers": [log], "is_global_zero": True})()
        HealthWatch(every=16).look_at_samples(trainer, OneImage(1.0))

    same = ToyData().array.images[:1].expand(64, -1, -1, -1)
    look(same)
    look(same[:1])
    assert not rows
    look(torch.cat([same, ToyData(n=192).array.images]))
    assert rows[0]["variety"] == pytest.approx(1, abs=0.2)  # a quarter of the images are alike


def test_an_untrained_generator_has_not_collapsed(capsys: pytest.CaptureFixture[str]) -> None:
    assert "warning" not in warnings_of(OneImage(0.1), capsys, every=16, chance=61)
    assert "warning at 240 images" in warnings_of(OneImage(0.1), capsys, every=16, chance=30)


def test_only_what_is_not_done_already_is_advised(capsys: pytest.CaptureFixture[str]) -> None:
    class Treated(OneImage):
        def uses_remedy(self, symptom: str) -> bool:
            return symptom == "collapse"

    text = warnings_of(Treated(0.1), capsys, every=16)
    assert "look alike" in text
    assert "remedy" not in text


@pytest.mark.parametrize(
    ("paper", "settings", "symptom", "used"),
    [
        ("dcgan", {"width": 2}, "collapse", True),  # BatchNorm in both players
        ("dcgan", {"width": 2}, "divergence", True),
        ("dcgan", {"width": 2, "lr": 1e-3}, "divergence", False),
        ("lsgan", {"width": 2, "network": "dcgan", "optimizer": "rmsprop"}, "divergence", True),
        ("lsgan", {"width": 2, "network": "dcgan", "optimizer": "adam"}, "divergence", False),
        ("wgan", {"width_G": 2, "width_D": 2}, "divergence", True),
        ("wgan", {"width_G": 2, "width_D": 2}, "collapse", False),
        ("wgan", {"width_G": 2, "width_D": 2, "optimizer": "adam"}, "divergence", False),
        ("wgan_gp", {"width": 2, "network": "mnist"}, "collapse", True),
        ("wgan_gp", {"width": 2, "network": "mnist", "method": "wgan"}, "collapse", False),
        ("gan", {}, "collapse", False),
    ],
)
def test_remedies_that_are_in_use(paper: str, settings: dict[str, Any], symptom: str, used: bool) -> None:
    assert MODELS[paper](**settings).uses_remedy(symptom) is used
    assert symptom in MODELS[paper].remedies


@pytest.mark.parametrize("paper", MODELS)
def test_remedies_name_settings_that_there_are(paper: str) -> None:
    named = set(re.findall(r"[a-z]+_[a-z_]+|beta\d", " ".join(MODELS[paper].remedies.values())))
    assert named <= {*inspect.signature(MODELS[paper]).parameters}
