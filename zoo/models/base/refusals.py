"""Trainer settings that a two-player module cannot be trained with."""

from lightning.pytorch import Trainer
from lightning.pytorch.strategies import DDPStrategy

from zoo.errors import UnsupportedSettingError

PRECISIONS = ("32-true", "32", "bf16-mixed", "bf16")


def refuse_unusable_settings(trainer: Trainer) -> None:
    """Raises UnsupportedSettingError for settings that manual optimization ignores, that give nan, or that fail."""
    refuse_precision(trainer.precision)
    strategy = trainer.strategy
    if isinstance(strategy, DDPStrategy) and not strategy._ddp_kwargs.get("find_unused_parameters"):
        raise UnsupportedSettingError(
            "plain ddp fails on a two-player module, since each loss leaves the other player's parameters unused: "
            "use --trainer.strategy ddp_find_unused_parameters_true"
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
