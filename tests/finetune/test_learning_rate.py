"""The scale of the learning rates, with and without a schedule of the paper's own."""

from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from registry import SMALL, small_data
from toys import SGDToy, fit

from zoo.models import MODELS
from zoo.training.finetune.learning_rate import ScaledLearningRate


class Rates(Callback):
    """The learning rates at each step of both optimizers, inside the step; registered after what scales them."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        for optimizer in trainer.optimizers:
            optimizer.register_step_pre_hook(lambda o, *_: self.seen.append(o.param_groups[0]["lr"]))


SCHEDULED = {
    "dcgan": {"constant_images": 8, "decay_images": 64},
    "wgan_gp": {"decay_steps": 4},
    "stylegan": {"lrs": {4: 1e-3, 16: 3e-3}, "start_resolution": 8},
    "cgan": {},
    "wgan": {},
}


@pytest.mark.parametrize("paper", SCHEDULED)
def test_every_step_is_scaled_whatever_sets_the_rate(paper: str) -> None:
    def rates(*callbacks: Callback) -> tuple[list[float], list[float]]:
        module, look = MODELS[paper](**{**SMALL[paper].model, **SCHEDULED[paper]}), Rates()
        trainer = fit(module, *callbacks, look, data=small_data(paper), images=32)
        return look.seen, [optimizer.param_groups[0]["lr"] for optimizer in trainer.optimizers]

    own, left = rates()
    scaled, left_scaled = rates(ScaledLearningRate(0.25))
    assert scaled == pytest.approx([0.25 * rate for rate in own], rel=1e-12)
    assert left_scaled == left  # the checkpoint keeps the paper's
    assert (len(set(own)) > 1) == bool(SCHEDULED[paper] or paper == "cgan")


def test_sgd_steps_are_that_much_shorter() -> None:
    def step(*callbacks: Callback) -> torch.Tensor:
        torch.manual_seed(0)
        module = SGDToy()
        before = module.D[1].weight.detach().clone()
        fit(module, *callbacks, images=8)
        return module.D[1].weight.detach() - before

    torch.testing.assert_close(step(ScaledLearningRate(0.5)), 0.5 * step(), rtol=1e-3, atol=1e-8)
    with pytest.raises(ValueError, match="above 0"):
        ScaledLearningRate(0.0)
