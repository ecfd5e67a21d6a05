"""What the settings of all papers may be, by their names.

A setting of 0 would otherwise take the default (width, z_dim), train on in silence (n_critic, clip) or end deep in a
layer. `AdversarialModule` looks here in every constructor; a name that is not in the tables is the paper's own affair.
"""

import math
from collections.abc import Mapping
from typing import Any

from zoo.errors import UnsupportedSettingError

MOST = 2**20  # of channels, filters, dimensions: more is a slip, or a file that was made to fill the memory

#: Whole numbers: (smallest, largest).
WHOLE: Mapping[str, tuple[float, float]] = {
    **dict.fromkeys(("channels", "width", "width_G", "width_D", "fmap_base", "fmap_max"), (1, MOST)),
    **dict.fromkeys(("z_dim", "w_dim", "num_classes", "group_size", "generator_batch", "categories"), (1, MOST)),
    **dict.fromkeys(("resolution", "start_resolution"), (1, 4096)),
    **dict.fromkeys(("n_critic", "images_per_epoch", "decay_images", "devices"), (1, math.inf)),
    **dict.fromkeys(("noise", "codes", "continuous"), (0, MOST)),
    **dict.fromkeys(("extra_layers", "mapping_layers"), (0, 64)),
    **dict.fromkeys(("constant_images", "stabilise_images", "fade_images", "architecture_seed"), (0, math.inf)),
    "momentum_first_epoch": (0, math.inf),
    "decay_steps": (0, math.inf),  # 0: no decay
    "momentum_epochs": (2, math.inf),
    "truncation_cutoff": (0, 64),
}
#: Numbers: (smallest, largest), both included.
REAL: Mapping[str, tuple[float, float]] = {
    **dict.fromkeys(("l2", "weight_decay", "gp_weight", "gp_target", "r1_gamma", "drift", "weight"), (0, math.inf)),
    **dict.fromkeys(("drift_weight", "acgan_weight", "acgan_weight_D", "acgan_weight_G"), (0, math.inf)),
    **dict.fromkeys(("information_weight", "lr_min", "gain_std"), (0, math.inf)),
    **dict.fromkeys(("mixing_prob",), (0, 1)),
    "lr_decay": (1, math.inf),  # what is divided by less grows at each update
    **dict.fromkeys(("a", "b", "c"), (-math.inf, math.inf)),
}
#: Numbers above 0.
POSITIVE = ("lr", "lr_D", "lr_G", "clip", "ema_half_life")
#: Numbers from 0, below 1: decays, and shares that may not be all.
BELOW_ONE = (
    *("beta1", "beta2", "momentum_start", "momentum_end", "ema_beta", "w_average_beta"),
    *("dropout", "input_dropout", "slope"),
)


def wrong_setting(settings: Mapping[str, Any]) -> str | None:
    """What is wrong with the first of these constructor arguments that can be none: "z_dim must be ..., not 0"."""
    for name, value in settings.items():
        if value is None:
            continue
        wants = demand(name, value)
        if wants is not None:
            shown = repr(value)
            return f"{name} must be {wants}, not {shown if len(shown) <= 60 else shown[:57] + '...'}"
    return None


def refuse_wrong(settings: Mapping[str, Any]) -> None:
    """Raises UnsupportedSettingError for the first of these settings that can be none."""
    if wrong := wrong_setting(settings):
        raise UnsupportedSettingError(wrong)


def demand(name: str, value: Any) -> str | None:
    """What a setting would have to be, or None where it is."""
    number = type(value) in (int, float) and abs(value) < math.inf
    if name in WHOLE:
        low, high = WHOLE[name]
        fits = type(value) is int and low <= value <= high
        return None if fits else f"a whole number of {low} or more" + (f", at most {high:,}" * (high < math.inf))
    if name in REAL:
        low, high = REAL[name]
        within = (
            "a finite number" if low < 0 else f"{low:g} or more" if high == math.inf else f"from {low:g} to {high:g}"
        )
        return None if number and low <= value <= high else within
    if name in POSITIVE:
        return None if number and value > 0 else "above 0"
    if name in BELOW_ONE:
        return None if number and 0 <= value < 1 else "0 or more and below 1"
    return None
