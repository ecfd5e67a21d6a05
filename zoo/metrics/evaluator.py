"""Runs a whole evaluation: fakes from a fixed list of latents, reals from a cache, one forward pass for all
measures.

Fake i is image i % block of `module.sample(block, seed=block_seed(seed, "fake", i // block))`. Process r of W
takes the blocks b with b % W == r, so 1, 2 or 8 devices look at the same images and give the same values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn

from zoo.metrics.batchnorm import batchnorm_statistics
from zoo.metrics.features import FeatureExtractor, Features
from zoo.metrics.frechet import FrechetDistance
from zoo.metrics.inception_score import InceptionScore
from zoo.metrics.kernel_distance import KernelDistance
from zoo.metrics.protocol import BatchNormMode, EvalProtocol, Weights, value_name
from zoo.metrics.quantize import to_uint8
from zoo.metrics.real_statistics import RealStatistics, pool_indices, read_statistics, write_statistics

if TYPE_CHECKING:
    from zoo.adversarial import AdversarialModule
    from zoo.data import ImageArray, ImageDataModule

POOL = 10_000  # features a side that the kernel distance draws its subsets from
SPLITS = 10  # of the Inception Score


@dataclass(frozen=True)
class EvalResult:
    """Values by name (fd_lenet, fid50k, is50k_std, ...), and the protocol behind each name."""

    values: dict[str, float]
    protocols: dict[str, EvalProtocol]


class _Measures(NamedTuple):
    extractor: FeatureExtractor
    fd: FrechetDistance
    score: InceptionScore
    kd: KernelDistance

    def update_fake(self, result: Features, index: Tensor) -> None:
        self.fd.update(result.features, side="fake")
        self.score.update(result.logits, index=index)
        pool = index < POOL  # fakes are independent draws: the first are as good as any
        self.kd.update(result.features[pool], index=index[pool], side="fake")


class Evaluator:
    """Frechet distance, Inception Score and kernel distance of a generator, under one protocol per extractor.

    Args:
        extractors: each gives its own set of values.
        data: the reference; all images of `split`, or the first `n_real`.
        n_fake: number of generated images, at least 10.
        weights: "ema" asks `module.sample(..., ema=True)` of a module that has `G_ema`; "raw" the weights
            being trained.
        batchnorm: see `zoo.metrics.batchnorm`; batchnorm_samples fakes (rounded up to whole blocks) for
            "reestimated".
        seed: of the list of latents. block: fakes drawn at a time; part of the protocol.
        cache_dir: where the reals' statistics are kept between runs; None keeps them in memory only.
        progress: a bar on process 0.

    Raises ValueError for settings that cannot work, before any image is generated.
    """

    def __init__(
        self,
        extractors: Sequence[FeatureExtractor],
        *,
        data: ImageDataModule,
        split: Literal["train", "validation", "test"] = "train",
        n_real: int | None = None,
        n_fake: int = 10_000,
        weights: Weights = "raw",
        batchnorm: BatchNormMode = "running",
        batchnorm_samples: int = 10_000,
        seed: int = 0,
        block: int = 250,
        cache_dir: Path | None = None,
        progress: bool = False,
    ) -> None:
        if n_fake < SPLITS or block < 1:
            raise ValueError(f"need {SPLITS} fakes or more in blocks of one or more, got {n_fake} in {block}")
        if not extractors or len({e.name for e in extractors}) != len(extractors):
            raise ValueError(f"need one or more extractors with different names, got {[e.name for e in extractors]}")
        self.extractors = list(extractors)
        self.data, self.split, self.n_real = data, split, n_real
        self.n_fake, self.block, self.seed = n_fake, block, seed
        self.weights, self.batchnorm = weights, batchnorm
        self.batchnorm_draws = -(-batchnorm_samples // block) if batchnorm == "reestimated" else 0
        self.cache_dir, self.progress = cache_dir, progress
        self._real: dict[str, RealStatistics | None] = {}

    @torch.no_grad()
    def run(self, module: AdversarialModule) -> EvalResult:
        """Evaluate; the module's modes, its buffers and the global random state are as before afterwards.

        Under torch.distributed every process must call it; each returns the same values. Raises ValueError if
        the module's images have another shape than the reference's, or hold NaN.
        """
        real = self._reference()
        if tuple(module.image_shape) != tuple(real.images.shape[1:]):
            raise ValueError(
                f"the module makes images of shape {tuple(module.image_shape)}, but {self.data.name} has "
                f"{tuple(real.images.shape[1:])}: set the data's resolution to the module's"
            )
        if self.weights == "ema" and not hasattr(module, "G_ema"):
            raise ValueError(f"{type(module).__name__} keeps no averaged weights (G_ema): use weights='raw'")
        with _undisturbed(module):
            measures = [self._measures(extractor, real, device=module.device) for extractor in self.extractors]
            with batchnorm_statistics(
                module,
                self.batchnorm,
                lambda k: self._sample(module, stream="batchnorm", block=k),
                draws=self.batchnorm_draws,
            ):
                self._count_fakes(module, measures)
        return self._result(measures, real)

    def protocol(self, extractor: FeatureExtractor) -> EvalProtocol:
        """What the values of this extractor will stand for."""
        real = self._reference()
        return EvalProtocol(
            dataset=self.data.name,
            dataset_fingerprint=real.fingerprint,
            split=self.split,
            n_real=len(real),
            n_fake=self.n_fake,
            weights=self.weights,
            batchnorm=self.batchnorm,
            batchnorm_samples=self.batchnorm_draws * self.block,
            extractor=extractor.name,
            extractor_sha256=extractor.sha256,
            resize=extractor.resize,
            seed=self.seed,
            block=self.block,
        )

    def _reference(self) -> ImageArray:
        real = self.data.split(self.split)
        return real if self.n_real is None else real.slice(0, self.n_real)

    def _sample(self, module: AdversarialModule, *, stream: str, block: int) -> Tensor:
        seed = block_seed(self.seed, stream, block)
        if hasattr(module, "G_ema"):
            averaged: Any = module  # papers with averaged weights add the keyword to their sample()
            images: Tensor = averaged.sample(self.block, seed=seed, ema=self.weights == "ema")
            return images
        return module.sample(self.block, seed=seed)

    def _count_fakes(self, module: AdversarialModule, measures: list[_Measures]) -> None:
        device = measures[0].fd.device
        for b in self._blocks(self.n_fake, "fakes"):
            start, stop = b * self.block, min((b + 1) * self.block, self.n_fake)
            images = to_uint8(self._sample(module, stream="fake", block=b))[: stop - start]
            for m in measures:
                result = m.extractor(images)
                m.update_fake(Features(*(t.to(device) for t in result)), torch.arange(start, stop, device=device))

    def _measures(self, extractor: FeatureExtractor, real: ImageArray, *, device: torch.device) -> _Measures:
        """Fresh metrics that already hold the reals (on process 0; the sums over the processes do the
        rest)."""
        extractor.to(device)
        states = _state_device(device)
        m = _Measures(
            extractor,
            FrechetDistance(extractor.dim).to(states),
            InceptionScore(num_samples=self.n_fake, num_classes=extractor.num_classes, splits=SPLITS).to(states),
            KernelDistance().to(states),
        )
        if extractor.name not in self._real:
            self._real[extractor.name] = self._real_statistics(extractor, real, device=device)
        statistics = self._real[extractor.name]
        none = torch.zeros(0, extractor.dim, device=states)
        pool = none if statistics is None else statistics.pool.to(states)
        m.kd.update(pool, index=torch.arange(len(pool), device=states), side="real")
        m.kd.update(none, index=torch.arange(0, device=states), side="fake")
        if statistics is not None:
            n, total, outer, _ = (t.to(states) for t in statistics)
            m.fd.add_moments(n, total, outer, side="real")
        return m

    def _real_statistics(
        self, extractor: FeatureExtractor, real: ImageArray, *, device: torch.device
    ) -> RealStatistics | None:
        """From the cache or from the images; None on the processes other than 0."""
        rank, _ = _rank_and_world()
        key = {
            "data": real.fingerprint,
            "split": self.split,
            "n_real": len(real),
            "extractor": extractor.name,
            "sha256": extractor.sha256,
            "resize": extractor.resize,
            "dim": extractor.dim,
            "pool": POOL,
        }
        found = read_statistics(self.cache_dir, key) if self.cache_dir is not None and rank == 0 else None
        if _told_by_first(found is not None):
            return found
        computed = self._compute_real(extractor, real, device=device)
        if rank != 0:
            return None
        if self.cache_dir is not None:
            write_statistics(self.cache_dir, key, computed)
        return computed

    def _compute_real(self, extractor: FeatureExtractor, real: ImageArray, *, device: torch.device) -> RealStatistics:
        states = _state_device(device)
        fd, kd = FrechetDistance(extractor.dim).to(states), KernelDistance().to(states)
        in_pool = torch.zeros(len(real), dtype=torch.bool)
        in_pool[pool_indices(len(real), size=POOL)] = True
        kd.update(torch.zeros(0, extractor.dim, device=states), index=torch.arange(0, device=states), side="real")
        for b in self._blocks(len(real), f"reals ({extractor.name})"):
            index = torch.arange(b * self.block, min((b + 1) * self.block, len(real)))
            features = extractor(real.images[index[0] : index[-1] + 1].to(device)).features.to(states)
            fd.update(features, side="real")
            kept = in_pool[index]
            kd.update(features[kept.to(states)], index=index[kept].to(states), side="real")
        with fd.sync_context(), kd.sync_context():
            tensors = (fd.real_n, fd.real_sum, fd.real_outer, kd.sorted_features("real"))
            return RealStatistics(*(t.cpu().clone() for t in tensors))

    def _blocks(self, n: int, what: str) -> Iterator[int]:
        """The numbers of this process's blocks of n images, with a bar on process 0."""
        from tqdm import tqdm

        rank, world = _rank_and_world()
        mine = range(rank, -(-n // self.block), world)
        yield from tqdm(mine, desc=what, unit="block", leave=False, disable=not self.progress or rank != 0)

    def _result(self, measures: list[_Measures], real: ImageArray) -> EvalResult:
        values: dict[str, float] = {}
        protocols: dict[str, EvalProtocol] = {}
        for m in measures:
            score, kernel = m.score.compute(), m.kd.compute()
            fd_name, is_name, kd_name = (value_name(k, m.extractor.name, self.n_fake) for k in ("fd", "is", "kd"))
            found = {
                fd_name: m.fd.compute(),
                is_name: score.mean,
                f"{is_name}_std": score.std,
                kd_name: kernel.mean,
                f"{kd_name}_std": kernel.std,
            }
            values |= {name: float(value) for name, value in found.items()}
            protocols |= dict.fromkeys(found, self.protocol(m.extractor))
        return EvalResult(values, protocols)


def block_seed(seed: int, stream: str, block: int) -> int:
    """The seed of one block of fakes: 48 bits that differ between evaluations, streams and blocks."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{stream}/{block}".encode()).digest()[:6], "big")


@contextmanager
def _undisturbed(module: nn.Module) -> Iterator[None]:
    """Global random states and the submodules' train/eval modes are put back on leaving."""
    modes = [(m, m.training) for m in module.modules()]
    devices = sorted({p.device.index for p in module.parameters() if p.device.type == "cuda"})
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        for m, training in modes:
            m.training = training


def _state_device(device: torch.device) -> torch.device:
    return torch.device("cpu") if device.type == "mps" else device  # mps has no float64


def _rank_and_world() -> tuple[int, int]:
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def _told_by_first(value: bool) -> bool:
    """Process 0's answer on every process: they must agree on whether the reals are computed together."""
    if _rank_and_world()[1] == 1:
        return value
    answer = [value]
    dist.broadcast_object_list(answer, src=0)
    return answer[0]
