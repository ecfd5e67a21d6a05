"""Trainer settings that a two-player module cannot be trained with."""

from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.strategies import DDPStrategy
from torch import nn

from zoo.data.base import ImageDataModule
from zoo.data.growing import GrowingStream
from zoo.data.stream import ImageStream
from zoo.errors import UnsupportedSettingError

PRECISIONS = ("32-true", "32", "bf16-mixed", "bf16")


def refuse_unusable_settings(trainer: Any) -> None:
    """Raises UnsupportedSettingError for settings that manual optimization ignores, that give nan, or that fail.

    Args:
        trainer: a Trainer, many of whose attributes have no type.
    """
    refuse_precision(trainer.precision)
    strategy = trainer.strategy
    if isinstance(strategy, DDPStrategy) and not strategy._ddp_kwargs.get("find_unused_parameters"):
        raise UnsupportedSettingError(
            "plain ddp fails on a two-player module, since each loss leaves the other player's parameters unused: "
            "use --trainer.strategy ddp_find_unused_parameters_true"
        )
    if getattr(strategy, "_layer_sync", None) and strategy.root_device.type == "cpu":
        raise UnsupportedSettingError(
            "sync_batchnorm is of GPUs: on CPUs leave it out, and each process normalises by its own share of the batch"
        )
    if any(isinstance(callback, WeightAveraging) for callback in trainer.callbacks):
        raise UnsupportedSettingError(
            "WeightAveraging averages D as well, at the updates of both, and its checkpoints forget the images seen: "
            "keep an average of G in G_ema and move it in after_generator_update (zoo/models/README.md)"
        )
    if trainer.overfit_batches and isinstance(trainer.datamodule, ImageDataModule):
        raise UnsupportedSettingError(
            f"overfit_batches={trainer.overfit_batches} would see other images in each pass, as the stream goes on: "
            f"take fewer images, {type(trainer.datamodule).__name__}(train_images=N)"
        )


def refuse_unusable_module(module: LightningModule) -> None:
    """Raises UnsupportedSettingError for a module that was compiled as a whole, or whose weights are no float32."""
    if module._compiler_ctx is not None:
        raise UnsupportedSettingError(
            "torch.compile of the whole module cannot trace its loop, which toggles gradients and counts: call "
            "compile_networks() of the module, and train the module itself"
        )
    for name, weight in module.named_parameters():
        if weight.is_floating_point() and weight.dtype != torch.float32:
            raise UnsupportedSettingError(
                f"{name} is {weight.dtype}, and images and penalties are in float32: call float() of the module before "
                "training, and for speed set the Trainer's precision to bf16-mixed"
            )


def refuse_swapped_players(optimizers: list[torch.optim.Optimizer], *, D: nn.Module, G: nn.Module) -> None:
    """Raises UnsupportedSettingError where the first optimizer moves G and not D: each would get the other's loss."""
    first = {id(weight) for group in optimizers[0].param_groups for weight in group["params"]} if optimizers else set()
    of_D, of_G = ({id(weight) for weight in player.parameters()} for player in (D, G))
    if first & of_G and not first & of_D:
        raise UnsupportedSettingError("configure_optimizers returns G's optimizer first: the first one is to be D's")


def refuse_foreign_stream(trainer: Any) -> None:
    """Raises UnsupportedSettingError for a stream without its data set: it would begin anew at each pass and resume."""
    if trainer.datamodule is None and isinstance(trainer.train_dataloader, ImageStream | GrowingStream):
        raise UnsupportedSettingError(
            "data.train_dataloader() alone begins with the same images at each pass, on each device and when a run is "
            "resumed: give the Trainer the data set itself, fit(model, datamodule=data)"
        )


def refuse_precision(precision: object) -> None:
    """Raises UnsupportedSettingError for all that is not of PRECISIONS: "16-mixed", "64-true" and their like."""
    if str(precision).startswith("16"):
        raise UnsupportedSettingError(
            f"precision {precision} is not supported: float16 gradient penalties overflow to nan, and one loss "
            "scale cannot serve two optimizers. Use --trainer.precision bf16-mixed (penalties then run in float32)"
        )
    if str(precision) not in PRECISIONS:
        raise UnsupportedSettingError(
            f"--trainer.precision {precision} cannot be: images and penalties are in float32; there are 32-true and "
            "bf16-mixed"
        )
