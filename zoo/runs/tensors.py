"""What the parts of a checkpoint claim to be, looked at before they are used: sizes, types, numbers."""

from __future__ import annotations

import pickle
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor

from zoo.errors import CheckpointError
from zoo.runs.folder import replacing
from zoo.runs.text import encodable


def tensors_in(value: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """All tensors in nested dicts and lists, each with its place ("optimizer_states.0.state.1.exp_avg")."""
    below: list[tuple[str, Any]] = [(name, value)]
    while below:
        place, item = below.pop()
        if isinstance(item, Tensor):
            yield place, item
        elif isinstance(item, Mapping):
            below += [(f"{place}.{key}".lstrip("."), own) for key, own in item.items()]
        elif isinstance(item, list | tuple):
            below += [(f"{place}.{i}".lstrip("."), own) for i, own in enumerate(item)]


def reason_unread(error: BaseException) -> str:
    """Why torch did not read a file, in one line; its advice to set weights_only=False is not passed on."""
    text = str(error)
    if isinstance(error, pickle.UnpicklingError) or "weights_only" in text:
        return "it holds more than tensors and plain types, none of which was executed"
    return text.splitlines()[0] if text else type(error).__name__


def write_tensors(path: Path, tensors: Mapping[str, Tensor], *, metadata: Mapping[str, str] | None = None) -> None:
    """Writes a .safetensors file in one step, in a folder that is made where it is not there.

    Raises:
        OSError: as the disk or the folder has it; safetensors' own `save_file` makes an error of its own kind of it.
    """
    from safetensors.torch import save

    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        texts = None if metadata is None else {key: encodable(text) for key, text in metadata.items()}
        temporary.write_bytes(save(dict(tensors), texts))


def refuse_claims(checkpoint: Mapping[Any, Any], path: Path) -> None:
    """Raises CheckpointError for a tensor that claims more numbers than the file holds: four bytes read as terabytes.

    Copying such a tensor, into a network or an optimizer, would write all of them out.
    """
    for place, tensor in tensors_in(checkpoint):
        plain = tensor.layout == torch.strided and tensor.device.type == "cpu" and not tensor.is_quantized
        if not plain or tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise CheckpointError(
                f"{path}: its part {place} claims {tensor.numel():,} numbers that the file does not hold: it should "
                "not be trusted"
            )


AGAIN = "it was changed or cut down, so take another checkpoint of this run, or copy it again"
#: Whole numbers among the weights.
COUNTERS = {"discriminator_steps", "generator_steps", "images_seen"}
VERSION = "pytorch-lightning_version"
#: What a resumed run reads beside weights, optimizers and random states; numbers are of 0 or more.
PARTS: Mapping[str, type] = {
    "epoch": int,
    "global_step": int,
    "loops": dict,
    "callbacks": dict,
    "lr_schedulers": list,
    VERSION: str,
}
#: What an optimizer keeps of a parameter.
MOMENTS = {"Adam": {"step", "exp_avg", "exp_avg_sq"}, "RMSprop": {"step", "square_avg"}, "SGD": {"momentum_buffer"}}


def check_weights(checkpoint: Mapping[Any, Any], path: Path) -> None:
    """Raises CheckpointError for weights that are no tensors or not finite, or without the constructor's arguments.

    So it does for a version of Lightning that is none, which Lightning would stumble over.
    """
    for name, tensor in checkpoint["state_dict"].items():
        if not isinstance(tensor, Tensor):
            raise CheckpointError(f"{path}: state_dict.{name} is a {type(tensor).__name__}, not a tensor")
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise CheckpointError(
                f"{path}: state_dict.{name} holds nan or infinity: this network has diverged, use an earlier checkpoint"
            )
    for name in COUNTERS & checkpoint["state_dict"].keys():
        counter = checkpoint["state_dict"][name]
        if counter.dtype != torch.int64 or counter.numel() != 1 or int(counter) < 0:
            raise CheckpointError(f"{path}: state_dict.{name} is no whole number of 0 or more: {AGAIN}")
    version = checkpoint.get(VERSION, "0")
    if not (isinstance(version, str) and re.fullmatch(r"[\d.]+((a|b|rc)\d+)?(\.(post|dev)\d+)*(\+[\w.]+)?", version)):
        raise CheckpointError(f"{path}: its {VERSION!r} is {version!r}: {AGAIN}")
    if not isinstance(checkpoint.get("hyper_parameters"), Mapping):
        raise CheckpointError(f"{path}: it has no hyper_parameters (the constructor's arguments): {AGAIN}")


def check_resumable(
    checkpoint: Mapping[Any, Any], path: Path, *, optimizers: Sequence[torch.optim.Optimizer], growing: bool
) -> None:
    """Raises CheckpointError for a part without which a run does not go on as it was.

    Args:
        checkpoint: its weights and "zoo" have been looked at.
        path: of the file.
        optimizers: those that the module makes, of D and of G.
        growing: Adams start anew at a border, where their states are empty for a while.
    """
    for part, kind in PARTS.items():
        found = checkpoint.get(part)
        if not isinstance(found, kind) or (isinstance(found, int) and found < 0):
            raise CheckpointError(f"{path}: its {part!r} is missing or wrong: {AGAIN}")
    _check_random_states(checkpoint["zoo"].get("random_states"), path)
    states = checkpoint.get("optimizer_states")
    if not isinstance(states, list) or len(states) != len(optimizers):
        there = len(states) if isinstance(states, list) else "no"
        raise CheckpointError(f"{path}: optimizer_states holds {there} optimizers, not those of D and G: {AGAIN}")
    for player, state, optimizer in zip(("D", "G"), states, optimizers, strict=True):
        problem = _optimizer_problem(state, optimizer)
        steps = int(checkpoint["state_dict"]["discriminator_steps" if player == "D" else "generator_steps"])
        if problem is None and steps and not growing and not state["state"] and keeps_state(optimizer):
            problem = f"it has no state after {steps:,} updates"
        if problem is not None:
            raise CheckpointError(f"{path}: optimizer_states, of {player}: {problem}; {AGAIN}")


def check_progress(checkpoint: Mapping[Any, Any], path: Path, *, own: Mapping[str, Any]) -> None:
    """Raises CheckpointError for a counter of Lightning's loops that is missing or no whole number of 0 or more.

    Args:
        checkpoint: `check_resumable` has looked at it.
        path: of the file.
        own: what the loop of a new training counts; another version of Lightning may count other things.
    """
    found, whole = checkpoint["loops"].get("fit_loop"), checkpoint[VERSION] == lightning.__version__
    place = unlike(own, found, place="loops.fit_loop", whole=whole)
    if place is None and not isinstance(found["state_dict"].get("combined_loader", []), list):
        place = "loops.fit_loop.state_dict.combined_loader"
    if place is not None:
        raise CheckpointError(f"{path}: its {place} is missing or wrong: {AGAIN}")


def unlike(own: Any, found: Any, *, place: str, whole: bool) -> str | None:
    """The first place of a nest of counters that has another form than one's own; None without any.

    whole: whether all must be there; sums of a loop (total, current) must always.
    """
    if not isinstance(own, Mapping):
        right = type(found) is type(own) and (type(own) is not int or found >= 0)
        return None if right else place
    if not isinstance(found, Mapping):
        return place
    names = (name for name in own if whole or name in found or name in ("total", "current"))
    wrong = (unlike(own[name], found.get(name), place=f"{place}.{name}", whole=whole) for name in names)
    return next((at for at in wrong if at is not None), None)


def keeps_state(optimizer: torch.optim.Optimizer) -> bool:
    """Whether it remembers anything from step to step."""
    name = type(optimizer).__name__
    return name in MOMENTS and (name != "SGD" or any(group["momentum"] for group in optimizer.param_groups))


def _check_random_states(states: Any, path: Path) -> None:
    """One of each rank, each with its streams; they are put into streams that nobody uses."""
    if not isinstance(states, list) or not states:
        raise CheckpointError(f"{path}: zoo.random_states is missing, without which no run is resumed exactly: {AGAIN}")
    for i, state in enumerate(states):
        try:
            streams = state["global"]
            python, numpy_state = streams["python"], streams["numpy"]
            random.Random().setstate((python["version"], tuple(python["words"].tolist()), python["gauss"]))
            key = numpy_state["key"].numpy().astype(np.uint32)
            values = (numpy_state["pos"], numpy_state["has_gauss"], numpy_state["gauss"])
            np.random.RandomState().set_state(("MT19937", key, *values))
            for generator in (streams["torch"], state["latents"]):
                torch.Generator().set_state(generator)
        except Exception as error:  # whatever a wrong type or a missing name raises
            raise CheckpointError(
                f"{path}: zoo.random_states.{i} lacks a stream or has a wrong one: {AGAIN}"
            ) from error


def _optimizer_problem(state: Any, optimizer: torch.optim.Optimizer) -> str | None:
    """What is wrong with a stored state of an optimizer, or None."""
    groups = state.get("param_groups") if isinstance(state, Mapping) else None
    moments = state.get("state") if isinstance(state, Mapping) else None
    if not isinstance(groups, list) or not isinstance(moments, Mapping):
        return "it has no 'state' or no 'param_groups'"
    own = optimizer.param_groups
    for group in groups:
        if not isinstance(group, Mapping) or type(group.get("lr")) not in (int, float) or not group.get("params"):
            return "one of its param_groups has no 'lr' or no 'params'"
    if [len(group["params"]) for group in groups] != [len(group["params"]) for group in own]:
        return "its param_groups are of another number of parameters"
    parameters = [parameter for group in own for parameter in group["params"]]
    for index, kept in moments.items():
        if type(index) is not int or not 0 <= index < len(parameters) or not isinstance(kept, Mapping):
            return f"its state {index!r} is of no parameter"
        if lacking := MOMENTS.get(type(optimizer).__name__, set()) - kept.keys():
            return f"the state of its parameter {index} lacks {sorted(lacking)}"
        for name, value in kept.items():
            right = isinstance(value, Tensor) and value.shape in ((), parameters[index].shape)
            if not right and not (value is None or type(value) in (int, float)):
                return f"{name} of its parameter {index} is no tensor of the parameter's shape"
            if right and value.is_floating_point() and not value.isfinite().all():
                return f"{name} of its parameter {index} holds nan or infinity"
    return None
