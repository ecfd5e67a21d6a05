"""What is remembered of the real images, so that they pass through the extractor once and not at every
evaluation."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from zoo.metrics.features import FeatureExtractor
from zoo.metrics.frechet import FrechetDistance, covariance_root
from zoo.metrics.kernel_distance import KernelDistance
from zoo.metrics.processes import rank_and_world, state_device
from zoo.runs.folder import DAY_S, sweep
from zoo.runs.lock import FileLock
from zoo.runs.tensors import write_tensors
from zoo.runs.text import say

if TYPE_CHECKING:
    from zoo.data import ImageArray

VERSION = 2  # raised when the meaning of the stored tensors changes
POOL = 10_000  # features a side that measures of pairs draw on
PATIENCE_S = 3600.0  # for another process that computes the same


class RealStatistics(NamedTuple):
    """On the CPU: number [] int64, sum [d] and sum of outer products [d, d] in float64; a pool [P, d] of
    features; a root [d, r] of the covariance, float64, that saves every later distance the larger half of its work."""

    n: Tensor
    total: Tensor
    outer: Tensor
    pool: Tensor
    root: Tensor


def statistics_key(extractor: FeatureExtractor, real: ImageArray, *, split: str, pool: int) -> dict[str, object]:
    """All that the statistics of these images depend on."""
    return {
        "data": real.fingerprint,
        "split": split,
        "n_real": len(real),
        "extractor": extractor.name,
        "sha256": extractor.sha256,
        "resize": extractor.resize,
        "dim": extractor.dim,
        "pool": pool,
    }


def statistics_path(folder: Path, key: Mapping[str, object]) -> Path:
    """The file for a key: a mapping of plain values that holds all that the statistics depend on."""
    return folder / f"real-{hashlib.sha256(_text(key).encode()).hexdigest()[:16]}.safetensors"


def write_statistics(folder: Path, key: Mapping[str, object], statistics: RealStatistics) -> None:
    """Written in one step; a folder that cannot be written to costs a warning, not the run."""
    tensors = {name: value.contiguous() for name, value in statistics._asdict().items()}
    path = statistics_path(folder, key)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder, older_s=DAY_S)
        write_tensors(path, tensors, metadata={"key": _text(key), "sha256": _digest(statistics)})
    except OSError as error:
        warnings.warn(f"real statistics are not cached: {error}", stacklevel=2)


def read_statistics(folder: Path, key: Mapping[str, object]) -> RealStatistics | None:
    """None where there is no file, or, with a warning, one whose key, checksum or format is wrong."""
    from safetensors import SafetensorError, safe_open

    path = statistics_path(folder, key)
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            statistics = RealStatistics(*(file.get_tensor(name) for name in RealStatistics._fields))
    except (OSError, SafetensorError) as error:
        warnings.warn(f"{path} cannot be read and is computed again: {error}", stacklevel=2)
        return None
    if metadata.get("key") != _text(key) or metadata.get("sha256") != _digest(statistics):
        warnings.warn(f"{path} is damaged or belongs to other data, and is computed again", stacklevel=2)
        return None
    return statistics


@contextmanager
def by_one_process(folder: Path | None, key: Mapping[str, object]) -> Iterator[None]:
    """Waits while another process computes what belongs to the key, and then holds others up until it is written.

    Nobody waits where the file is there already, where there is no folder or none that can be written to, and where
    the file system knows no locks.
    """
    if folder is None or statistics_path(folder, key).is_file():
        yield
        return
    path = statistics_path(folder, key)
    lock = FileLock(path.with_suffix(".lock"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not lock.try_to_take():
            say(f"waiting for another process, which computes {path}")
            lock.try_to_take(wait_s=PATIENCE_S)
    except OSError:
        pass  # `write_statistics` will say it
    try:
        yield
    finally:
        lock.free()


def pool_indices(n_real: int, *, size: int) -> Tensor:
    """The reals whose features are kept for the kernel distance: sorted int64 [min(size, n_real)], the same
    every time."""
    generator = torch.Generator().manual_seed(0)
    return torch.randperm(n_real, generator=generator)[:size].sort().values


def _text(key: Mapping[str, object]) -> str:
    return json.dumps({**key, "version": VERSION}, sort_keys=True)


def _digest(statistics: RealStatistics) -> str:
    digest = hashlib.sha256()
    for tensor in statistics:
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def pass_of_reals(
    extractor: FeatureExtractor,
    real: ImageArray,
    *,
    pool: int,
    device: torch.device,
    blocks: Iterable[int],
    size: int,
) -> RealStatistics | None:
    """The statistics of all reals, each process counting its own blocks of `size`; None on the others than the first.

    Args:
        extractor: of the features.
        real: the reference.
        pool: features to keep for the measures of pairs.
        device: of the forward passes.
        blocks: numbers of this process's blocks.
        size: images of a block.
    """
    states = state_device(device)
    fd, kept = (
        FrechetDistance(extractor.dim).to(states),
        KernelDistance().to(states),
    )  # the second as a bank of features
    in_pool = torch.zeros(len(real), dtype=torch.bool)
    in_pool[pool_indices(len(real), size=pool)] = True
    none = torch.zeros(0, extractor.dim, device=states)
    fd.update(none, side="real")
    kept.update(none, index=torch.arange(0, device=states), side="real")
    for b in blocks:
        index = torch.arange(b * size, min((b + 1) * size, len(real)))
        features = extractor(real.images[index[0] : index[-1] + 1].to(device)).features.to(states)
        fd.update(features, side="real")
        mine = in_pool[index]
        kept.update(features[mine.to(states)], index=index[mine].to(states), side="real")
    fd.flush("real")
    with fd.sync_context(), kept.sync_context():
        if rank_and_world()[0] != 0:
            return None
        n, total, outer = (t.cpu().clone() for t in (fd.real_n, fd.real_sum, fd.real_outer))
        count, mean = int(n), total / n
        cov = (outer - count * torch.outer(mean, mean)) / max(count - 1, 1)
        return RealStatistics(n, total, outer, kept.sorted_samples("real").cpu().clone(), covariance_root(cov))
