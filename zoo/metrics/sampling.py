"""Whose samples are evaluated, from which seeds, and how the model is left as it was."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from zoo.errors import EvaluationError


class Sampler(Protocol):
    """What is evaluated: a torch.nn.Module that makes images. Every model of this zoo is one."""

    image_shape: tuple[int, ...]

    @property
    def device(self) -> torch.device: ...

    def sample(self, n: int, *, seed: int | None = None) -> Tensor:
        """n images [n, C, H, W] in [-1, 1]."""


def refuse_other_shape(module: Sampler, reals: Tensor, *, name: str) -> None:
    """Raises EvaluationError where the module's images have another shape than the reals [N, C, H, W] of this name."""
    own, theirs = tuple(module.image_shape), tuple(reals.shape[1:])
    if own != theirs:
        side = own[1:] != theirs[1:]
        advice = "set the data's resolution to the module's" if side else "grey and colour are not compared"
        raise EvaluationError(f"the module makes images of shape {own}, but {name} has {theirs}: {advice}")


def block_seed(seed: int, stream: str, block: int) -> int:
    """The seed of one block of fakes: 48 bits that differ between evaluations, streams and blocks."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{stream}/{block}".encode()).digest()[:6], "big")


def sample_block(module: Sampler, n: int, *, seed: int, stream: str, block: int, ema: bool) -> Tensor:
    """Block number `block` of a stream of fakes: n images [n, C, H, W] in [-1, 1].

    Args:
        module: whose they are.
        n: images in a block.
        seed: of the evaluation.
        stream: "fake" of those that are measured, "batchnorm" of those that statistics are estimated from.
        block: its number.
        ema: of the averaged weights, where the module has any.
    """
    own = block_seed(seed, stream, block)
    if getattr(module, "G_ema", None) is not None:
        averaged: Any = module  # papers with averaged weights add the keyword to their sample()
        images: Tensor = averaged.sample(n, seed=own, ema=ema)
        return images
    return module.sample(n, seed=own)


@contextmanager
def undisturbed(module: nn.Module) -> Iterator[None]:
    """Global random states and the submodules' train/eval modes are put back on leaving."""
    modes = [(m, m.training) for m in module.modules()]
    devices = sorted({p.device.index for p in module.parameters() if p.device.type == "cuda"})
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        for m, training in modes:
            m.training = training
