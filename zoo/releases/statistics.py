"""G's BatchNorm in a release has the statistics that its figures were taken with: `sample` gives what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from zoo.metrics.batchnorm import estimated
from zoo.metrics.protocol import batchnorm_mode
from zoo.metrics.sampling import sample_block, undisturbed
from zoo.models.base.module import AdversarialModule


def protocol_of(fields: Mapping[str, Any]) -> str | None:
    """The protocol, by its hash, whose statistics of G a release's files hold; None where they are the training's.

    Args:
        fields: `protocols` and `protocol_texts` of a card.
    """
    for key in fields.get("protocols", {}).values():
        text = fields["protocol_texts"][key]
        if batchnorm_mode(text) == "reestimated" and "batchnorm_samples" in text:
            return str(key)
    return None


def measured_statistics(module: AdversarialModule, text: Mapping[str, Any]) -> dict[str, Tensor]:
    """The statistics that a protocol's values were taken with: float32 [C] by entry of the module's state_dict.

    Args:
        module: on the CPU.
        text: the protocol, with "reestimated" statistics.

    Returns:
        running_mean and running_var of each layer; none of a module without BatchNorm.
    """
    size, seed, ema = text["block"], text["seed"], text.get("weights") != "raw"

    def fresh(draw: int) -> Tensor:
        return sample_block(module, size, seed=seed, stream="batchnorm", block=draw, ema=ema)

    with undisturbed(module):
        found = estimated(module, fresh, draws=text["batchnorm_samples"] // size)
    names = {part: name for name, part in module.named_modules() if isinstance(part, _BatchNorm)}
    means = {f"{names[part]}.running_mean": mean for part, (mean, _) in found.items()}
    return means | {f"{names[part]}.running_var": var for part, (_, var) in found.items()}


def hold_statistics(module: AdversarialModule, text: Mapping[str, Any]) -> dict[str, Tensor]:
    """Gives a module the statistics of a protocol for good; what changed in its state_dict."""
    changed = measured_statistics(module, text)
    module.load_state_dict(module.state_dict() | changed)
    return changed


def difference(module: AdversarialModule, text: Mapping[str, Any]) -> float:
    """How far the module's statistics are from a protocol's, in standard deviations of the layers' inputs."""
    state, largest = module.state_dict(), 0.0
    measured = measured_statistics(module, text)
    for name in (key for key in measured if key.endswith("mean")):
        other = name.replace("running_mean", "running_var")
        std = measured[other].clamp(min=torch.finfo(torch.float32).tiny).sqrt()
        shifts = (state[name] - measured[name]).abs() / std, (state[other].sqrt() - std).abs() / std
        largest = max(largest, *(float(shift.max()) for shift in shifts))
    return largest
