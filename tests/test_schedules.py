"""Schedules against the numbers in the papers."""

from dataclasses import replace
from typing import Any

import pytest

from zoo.nn.schedules import SGDSchedule


class Optimizer:
    def __init__(self) -> None:
        self.param_groups = [{"lr": 0.0, "momentum": 0.0}, {"lr": 0.0, "momentum": 0.0}]


def schedule() -> SGDSchedule:
    return SGDSchedule(
        lr=0.1, lr_decay=1.00004, lr_min=1e-6, momentum_start=0.5, momentum_end=0.7, momentum_epochs=250,
        images_per_epoch=50_000,
    )  # fmt: skip


def test_the_learning_rate_halves_every_17329_updates_and_has_a_floor() -> None:
    assert schedule().learning_rate(0) == 0.1
    assert schedule().learning_rate(17_329) == pytest.approx(0.05, rel=1e-4)
    assert schedule().learning_rate(287_820) > 1e-6
    assert schedule().learning_rate(287_830) == 1e-6


@pytest.mark.parametrize(
    ("images", "momentum"), [(0, 0.5), (99_999, 0.5), (125 * 50_000, 0.5 + 0.2 * 124 / 249), (10**9, 0.7)]
)
def test_the_momentum_is_linear_in_epochs(images: int, momentum: float) -> None:
    optimizers = [Optimizer(), Optimizer()]
    schedule().set(optimizers, updates=17_329, images_seen=images)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            assert group["momentum"] == pytest.approx(momentum)
            assert group["lr"] == pytest.approx(0.05, rel=1e-4)


def test_a_long_training_ends_at_the_floor() -> None:
    """1.01^80,000 is above the largest float, and the power was taken."""
    fast = replace(schedule(), lr_decay=1.01)
    assert fast.learning_rate(1_000) == pytest.approx(0.1 / 1.01**1_000)
    assert fast.learning_rate(80_000) == fast.learning_rate(10**9) == 1e-6


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"lr": 1e-7}, "lr=1e-07 is below its floor, lr_min=1e-06"),
        ({"momentum_first_epoch": 250}, "momentum_first_epoch=250 must be below momentum_epochs=250"),
    ],
)
def test_schedules_that_contradict_themselves_are_refused(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        replace(schedule(), **settings)
