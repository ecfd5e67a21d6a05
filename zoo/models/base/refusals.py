"""Trainer settings that a two-player module cannot be trained with."""

from lightning.pytorch import Trainer
from lightning.pytorch.strategies import DDPStrategy

from zoo.errors import UnsupportedSettingError


def refuse_unusable_settings(trainer: Trainer) -> None:
    """Raises UnsupportedSettingError for settings that manual optimization ignores or that give nan."""
    refuse_float16(trainer.precision)
    strategy = trainer.strategy
    if isinstance(strategy, DDPStrategy) and not strategy._ddp_kwargs.get("find_unused_parameters"):
        raise UnsupportedSettingError(
            "plain ddp fails on a two-player module, since each loss leaves the other player's parameters unused: "
            "use --trainer.strategy ddp_find_unused_parameters_true"
        )


def refuse_float16(precision: object) -> None:
    """Raises UnsupportedSettingError for "16-mixed" and its like."""
    if str(precision).startswith("16"):
        raise UnsupportedSettingError(
            f"precision {precision} is not supported: float16 gradient penalties overflow to nan, and one loss "
            "scale cannot serve two optimizers. Use --trainer.precision bf16-mixed (penalties then run in float32)"
        )
