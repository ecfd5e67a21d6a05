"""Which BatchNorm statistics a generator is evaluated with; the choice moves FID and goes into the protocol.

"running": the moving averages from training. "reestimated": averages over fresh fakes ("standing
statistics"). "batch": those of the batch at hand (what the original DCGAN code did), so that a sample depends
on its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from zoo.errors import EvaluationError
from zoo.metrics.processes import in_float64
from zoo.metrics.protocol import BatchNormMode


def suitable_mode(G: nn.Module, asked: BatchNormMode) -> BatchNormMode:
    """The mode asked for, or "running" where the generator has no BatchNorm: then all modes are one protocol."""
    return asked if any(isinstance(m, _BatchNorm) for m in G.modules()) else "running"


@contextmanager
def batchnorm_statistics(
    G: nn.Module, mode: BatchNormMode, draw: Callable[[int], object], *, draws: int = 40
) -> Iterator[None]:
    """Every BatchNorm layer below G uses statistics of the given kind inside; on leaving, all is as it was.

    draw(k) must run the k-th fresh batch through G; it is called for k in range(draws), and only for
    "reestimated". The statistics set then are the averages, over all passes, of each layer's batch mean and
    unbiased batch variance. Layers that no draw reached keep their own. The buffers themselves are put back,
    not copies. Raises ValueError for another mode, or for "reestimated" with draws < 1.
    """
    if mode not in ("running", "reestimated", "batch"):
        raise EvaluationError(f"batchnorm mode must be running, reestimated or batch, got {mode!r}")
    if mode == "reestimated" and draws < 1:
        raise EvaluationError(f"re-estimating BatchNorm statistics needs at least one draw, got {draws}")
    layers = [m for m in G.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None]
    if mode == "running" or not layers:
        yield
        return
    before = [(layer.running_mean, layer.running_var) for layer in layers]
    try:
        for layer in layers:
            layer.running_mean = layer.running_var = None  # eval mode then normalises by the batch
        if mode == "reestimated":
            _reestimate(layers, before, draw, draws=draws)
        yield
    finally:
        for layer, (mean, var) in zip(layers, before, strict=True):
            layer.running_mean, layer.running_var = mean, var


@torch.no_grad()
def estimated(G: nn.Module, draw: Callable[[int], object], *, draws: int) -> dict[_BatchNorm, tuple[Tensor, Tensor]]:
    """The re-estimated mean and variance of every BatchNorm layer below G, as `batchnorm_statistics` sets them.

    Raises:
        EvaluationError: draws < 1.
    """
    with batchnorm_statistics(G, "reestimated", draw, draws=draws):
        layers = [m for m in G.modules() if isinstance(m, _BatchNorm)]
        return {m: (m.running_mean, m.running_var) for m in layers if m.running_mean is not None}  # type: ignore[misc]


@torch.no_grad()
def _reestimate(
    layers: list[_BatchNorm],
    before: list[tuple[Tensor | None, Tensor | None]],
    draw: Callable[[int], object],
    *,
    draws: int,
) -> None:
    sums: dict[_BatchNorm, tuple[Tensor, Tensor, int]] = {}

    def record(layer: nn.Module, args: tuple[Tensor, ...]) -> None:
        assert isinstance(layer, _BatchNorm)
        x = in_float64(args[0].detach())
        over = [d for d in range(x.ndim) if d != 1]
        var, mean = torch.var_mean(x, dim=over, correction=1)
        if layer in sums:
            mean_sum, var_sum, n = sums[layer]
            sums[layer] = (mean_sum + mean, var_sum + var, n + 1)
        else:
            sums[layer] = (mean, var, 1)

    hooks = [layer.register_forward_pre_hook(record) for layer in layers]
    try:
        with torch.compiler.set_stance("force_eager"):  # a compiled G would be compiled anew with each layer's hook
            for k in range(draws):
                draw(k)
    finally:
        for hook in hooks:
            hook.remove()
    for layer, (mean, var) in zip(layers, before, strict=True):
        if layer in sums:
            mean_sum, var_sum, n = sums[layer]
            assert mean is not None and var is not None  # noqa: PT018 - of the layers that have them
            # First the type, then the device, which may not know the first one.
            mean = (mean_sum / n).to(mean.dtype).to(mean.device)
            var = (var_sum / n).to(var.dtype).to(var.device)
        layer.running_mean, layer.running_var = mean, var
