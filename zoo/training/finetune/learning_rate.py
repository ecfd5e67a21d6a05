"""Smaller (or larger) steps than the paper's, whatever its schedule."""

from typing import Any

import torch
from lightning.pytorch import Trainer

from zoo.models.base.module import AdversarialModule
from zoo.training.callbacks.base import ZooCallback


class ScaledLearningRate(ZooCallback):
    """Multiplies the learning rates of both players by `scale`, at the moment of each step.

    Between the steps the optimizers hold the paper's own rates, which schedules set and checkpoints keep.

    Args:
        scale: above 0.

    Raises:
        ValueError: a scale of 0 or less.
    """

    def __init__(self, scale: float) -> None:
        if not scale > 0:
            raise ValueError(f"lr_scale must be above 0, not {scale}")
        self.scale = scale

    def begin(self, trainer: Trainer, module: AdversarialModule) -> None:
        for optimizer in trainer.optimizers:
            self.scale_steps(optimizer)

    def scale_steps(self, optimizer: torch.optim.Optimizer) -> None:
        """Registers the change before, and the change back after, each step."""
        own: list[Any] = []

        def before(stepped: torch.optim.Optimizer, *_: Any) -> None:
            own[:] = [group["lr"] for group in stepped.param_groups]
            for group in stepped.param_groups:
                group["lr"] = group["lr"] * self.scale

        def after(stepped: torch.optim.Optimizer, *_: Any) -> None:
            for group, lr in zip(stepped.param_groups, own, strict=True):
                group["lr"] = lr

        optimizer.register_step_pre_hook(before)
        optimizer.register_step_post_hook(after)
