"""Runs a whole evaluation: fakes from fixed latents, reals from a cache, one forward pass for all measures.

Fake i is image i % block of `module.sample(block, seed=block_seed(seed, "fake", i // block))`. Process r of W
takes the blocks b with b % W == r, so 1, 2 or 8 devices look at the same images and give the same values.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from torch import Tensor, nn
from tqdm import tqdm

from zoo.data.arrays import fixed_order
from zoo.errors import EvaluationError
from zoo.metrics.batchnorm import batchnorm_statistics
from zoo.metrics.features import FeatureExtractor, Features
from zoo.metrics.measures import ALL, OF_FEATURES, OF_PIXELS, SPLITS, WHILE_TRAINING, FeatureMeasures, PixelMeasures
from zoo.metrics.measures import Value as Value
from zoo.metrics.nearest import Neighbours
from zoo.metrics.presets import Column
from zoo.metrics.processes import rank_and_world, state_device, told_by_first
from zoo.metrics.protocol import FIRST, ORDER, BatchNormMode, EvalProtocol, Weights, value_name
from zoo.metrics.quantize import to_uint8
from zoo.metrics.real_statistics import (
    POOL,
    RealStatistics,
    by_one_process,
    pass_of_reals,
    pool_indices,
    read_statistics,
    statistics_key,
    write_statistics,
)
from zoo.metrics.reals import MIRRORED, reference_of
from zoo.metrics.result import EvalResult
from zoo.metrics.sampling import Sampler, refuse_other_shape, sample_block, undisturbed

if TYPE_CHECKING:
    from zoo.data import ImageArray, ImageDataModule


SHOWN = 10  # fakes in a picture of neighbours
WITH_POOL = ("kd", "pr", "pr_few", "dc", "nn")

Fakes = Callable[[int], Tensor]  # the number of a block to its uint8 images [n, C, H, W]


class Evaluator:
    """The measures of a generator, each under its protocol, from one pass over its samples.

    Args:
        extractors: each gives its own set of values; or see columns.
        data: the reference; all images of `split`, or the first `n_real`.
        measures: names of `zoo.metrics.measures.ALL`; those that are cheap enough for training by default.
        columns: instead of extractors, split and n_real: several references or conventions (`preset_columns`) side
            by side, of the same samples.
        mirror_reals: each real is mirrored with probability 1/2; n_real may then be above their number.
        n_fake: number of generated images, at least 10.
        weights: "ema" asks `module.sample(..., ema=True)` of a module that has `G_ema`; "raw" the weights
            being trained.
        batchnorm: see `zoo.metrics.batchnorm`; batchnorm_samples fakes, in whole blocks, for "reestimated".
        seed: of the list of latents. block: fakes drawn at a time; part of the protocol.
        pool: features a side that kernel distance, precision, coverage and neighbours draw on.
        cache_dir: where the reals' statistics are kept between runs; None keeps them in memory only.
        progress: a bar on process 0.

    Raises ValueError for settings that cannot work, before any image is generated.
    """

    def __init__(
        self,
        extractors: Sequence[FeatureExtractor] = (),
        *,
        data: ImageDataModule,
        measures: Sequence[str] = WHILE_TRAINING,
        columns: Sequence[Column] | None = None,
        split: Literal["train", "validation", "test"] = "train",
        n_real: int | None = None,
        mirror_reals: bool = False,
        n_fake: int = 10_000,
        weights: Weights = "raw",
        batchnorm: BatchNormMode = "running",
        batchnorm_samples: int = 10_000,
        seed: int = 0,
        block: int = 250,
        pool: int = POOL,
        cache_dir: Path | None = None,
        progress: bool = False,
    ) -> None:
        if columns is None:
            columns = [Column(extractor, split, n_real) for extractor in extractors]
        self.columns = [c if c.n_fake is not None else dataclasses.replace(c, n_fake=n_fake) for c in columns]
        self.measures = list(dict.fromkeys(measures))
        self.data, self.split, self.n_real, self.mirror_reals = data, split, n_real, mirror_reals
        self.n_fake = max([n_fake] * bool(not columns or self._of_pixels()) + [c.n_fake or 0 for c in self.columns])
        self.block, self.seed, self.pool = block, seed, pool
        self.weights, self.batchnorm = weights, batchnorm
        self.batchnorm_draws = -(-batchnorm_samples // block) if batchnorm == "reestimated" else 0
        self.cache_dir, self.progress = cache_dir, progress
        self._reals: dict[tuple[str, int | None], ImageArray] = {}
        self._real: dict[Column, RealStatistics | None] = {}
        self._known: dict[Column, dict[tuple[int, ...], Tensor]] = {}  # of the reals, for the kernel distance
        self._refuse_what_cannot_work()

    def _refuse_what_cannot_work(self) -> None:
        least = min([self.n_fake, *(c.n_fake or 0 for c in self.columns)])
        if least < SPLITS or self.block < 1:
            raise EvaluationError(f"need {SPLITS} fakes or more in blocks of one or more, got {least} in {self.block}")
        if unknown := [name for name in self.measures if name not in ALL]:
            raise EvaluationError(f"there is no measure {unknown[0]!r}: choose from {', '.join(ALL)}")
        names = [self._name(Value("fd", torch.zeros(()), c.n_fake or 0), c) for c in self.columns]
        of_features = any(name in OF_FEATURES for name in self.measures)
        if len(set(names)) != len(names) or (of_features and not names) or not self.measures:
            raise EvaluationError(
                f"need one or more extractors with different names, and a measure; got {names}, {self.measures}"
            )
        without = [c.extractor.name for c in self.columns if not c.extractor.num_classes]
        if "is" in self.measures and without:
            raise EvaluationError(f"{', '.join(without)} has no logits, which the measure 'is' needs: leave it out")
        if "ms_ssim" in self.measures and self.block % 2:
            raise EvaluationError(
                f"ms_ssim compares neighbours, which blocks of {self.block} tear apart: take an even block"
            )

    @torch.no_grad()
    def run(self, module: Sampler) -> EvalResult:
        """Evaluate; the module's modes, its buffers and the global random state are as before afterwards.

        Under torch.distributed every process must call it; each returns the same values. Raises ValueError if
        the module's images have another shape than the reference's, or are not finite.
        """
        for real in self.references():
            refuse_other_shape(module, real.images, name=self.data.name)
        if self.weights == "ema" and getattr(module, "G_ema", None) is None:
            raise EvaluationError(f"{type(module).__name__} keeps no averaged weights (G_ema): use weights='raw'")

        def fakes(block: int) -> Tensor:
            return to_uint8(self._sample(module, stream="fake", block=block))

        def fresh(draw: int) -> Tensor:
            return self._sample(module, stream="batchnorm", block=draw)

        labels = "uniform" if getattr(module, "num_classes", None) else ""
        changes = {"labels": labels, "sampling": getattr(module, "sampling", "")}
        network = cast(nn.Module, module)
        with undisturbed(network):
            started = self._start(module.device)  # the reals' pass leaves G's statistics as they are
            with batchnorm_statistics(network, self.batchnorm, fresh, draws=self.batchnorm_draws):
                return self._finish(started, fakes, device=module.device, changes=changes)

    def run_seeds(self, module: Sampler, seeds: Sequence[int]) -> EvalResult:
        """Evaluate on several lists of latents: means, and `<name>_seed_std`, the sample standard deviation over them.

        Raises ValueError with fewer than two seeds, or with one twice.
        """
        if len(set(seeds)) < max(2, len(seeds)):
            raise EvaluationError(f"a spread over sampling seeds needs two or more different ones, got {list(seeds)}")
        results, own = [], self.seed
        try:
            for self.seed in seeds:
                results.append(self.run(module))
        finally:
            self.seed = own
        values: dict[str, float] = {}
        protocols: dict[str, EvalProtocol] = {}
        for name, protocol in results[0].protocols.items():
            taken = torch.tensor([result.values[name] for result in results], dtype=torch.float64)
            settings = ", ".join([*filter(None, [protocol.settings]), f"mean over seeds {list(seeds)}"])
            values |= {name: float(taken.mean()), f"{name}_seed_std": float(taken.std())}
            protocols |= dict.fromkeys((name, f"{name}_seed_std"), dataclasses.replace(protocol, settings=settings))
        return EvalResult(values, protocols, results[0].neighbours, results[0].alike, results[0].samples)

    @torch.no_grad()
    def run_images(self, images: Tensor, *, device: torch.device | None = None) -> EvalResult:
        """Evaluate the first n_fake, by one fixed permutation, of uint8 images [N, C, H, W] instead of a generator's.

        Raises ValueError where there are fewer, or, for measures of pixels, where they have another shape than the
        reference's.
        """
        if len(images) < self.n_fake:
            raise EvaluationError(f"{self.n_fake} fakes were asked for, and there are {len(images)}")
        reals = next(self.references())
        if self._of_pixels() and images.shape[1:] != reals.images.shape[1:]:
            raise EvaluationError(
                f"measures of pixels ({', '.join(self._of_pixels())}) need images of one shape: the fakes are "
                f"{list(images.shape[1:])}, {self.data.name} is {list(reals.images.shape[1:])}"
            )
        device, order = device or torch.device("cpu"), torch.from_numpy(fixed_order(len(images)))
        files = {"weights": "files", "batchnorm": "running", "batchnorm_samples": 0, "seed": 0, "block": 0}
        files |= {"order": ORDER if len(images) == self.n_fake else FIRST}
        return self._finish(
            self._start(device),
            lambda block: images[order[block * self.block : (block + 1) * self.block]].to(device),
            device=device,
            order=order,
            changes=files,
        )

    def protocol(self, column: Column | FeatureExtractor | None = None, **changes: Any) -> EvalProtocol:
        """What the values of this column (or of its extractor; None: of pixels) will stand for."""
        if isinstance(column, FeatureExtractor):
            column = next(c for c in self.columns if c.extractor is column)
        real = self.reference(column)
        protocol = EvalProtocol(
            dataset=self.data.name,
            dataset_fingerprint=real.fingerprint,
            split=column.split if column else self.split,
            n_real=len(real),
            n_fake=(column.n_fake if column else None) or self.n_fake,
            weights=self.weights,
            batchnorm=self.batchnorm,
            batchnorm_samples=self.batchnorm_draws * self.block,
            extractor=column.extractor.name if column else "pixels",
            extractor_sha256=column.extractor.sha256 if column else "",
            resize=column.extractor.resize if column else "none",
            seed=self.seed,
            block=self.block,
            reals=MIRRORED if self.mirror_reals else "",
        )
        return dataclasses.replace(protocol, **changes)

    def _of_pixels(self) -> list[str]:
        return [name for name in self.measures if name in OF_PIXELS]

    def references(self) -> Iterator[ImageArray]:
        """Of every column, and of the measures of pixels."""
        yield from (self.reference(column) for column in self.columns)
        if self._of_pixels() or not self.columns:
            yield self.reference(None)

    def reference(self, column: Column | None) -> ImageArray:
        """The images of a column, or (None) of the measures of pixels."""
        split, n = (column.split, column.n_real) if column else (self.split, self.n_real)
        if (split, n) not in self._reals:
            self._reals[split, n] = reference_of(self.data, split, n, mirror=self.mirror_reals)
        return self._reals[split, n]

    def _sample(self, module: Sampler, *, stream: str, block: int) -> Tensor:
        ema = self.weights == "ema"
        return sample_block(module, self.block, seed=self.seed, stream=stream, block=block, ema=ema)

    def _start(self, device: torch.device) -> tuple[list[FeatureMeasures], PixelMeasures | None]:
        """Fresh metrics that already hold the reals (on process 0; the sums over the processes do the
        rest)."""
        states = state_device(device)
        of_features, of_pixels = [], None
        for column in self.columns if any(name in OF_FEATURES for name in self.measures) else []:
            column.extractor.to(device)
            if column not in self._real:
                self._real[column] = self.real_statistics(column, device=device)
            fakes = column.n_fake or self.n_fake
            m = FeatureMeasures(column, self.measures, n_fake=fakes, pool=self.pool, device=states)
            m.start(self._real[column], device=states, known=self._known.setdefault(column, {}))
            of_features.append(m)
        if self._of_pixels():
            mixed = getattr(self.data, "mixed", True)
            of_pixels = PixelMeasures(self.measures, n_fake=self.n_fake, device=states, mixed=mixed)
            of_pixels.start(self.reference(None).images, first_process=rank_and_world()[0] == 0)
        return of_features, of_pixels

    def _finish(
        self,
        started: tuple[list[FeatureMeasures], PixelMeasures | None],
        fakes: Fakes,
        *,
        device: torch.device,
        changes: dict[str, Any],
        order: Tensor | None = None,
    ) -> EvalResult:
        """Count the fakes (files come in this order), one pass of each extractor; changes are the protocol's."""
        (of_features, of_pixels), states = started, state_device(device)
        shown, alike = None, []
        for b in self._blocks(self.n_fake, "fakes"):
            start, stop = b * self.block, min((b + 1) * self.block, self.n_fake)
            images, index = fakes(b)[: stop - start], torch.arange(start, stop, device=states)
            numbers = index if order is None else order[start:stop].to(states)
            shown = images[:SHOWN].cpu() if b == 0 else shown
            alike.append(bool((images == (images if shown is None else shown.to(images))[:1]).all()))
            seen: dict[FeatureExtractor, Features] = {}
            for m in (m for m in of_features if start < m.n_fake):
                extractor = m.column.extractor
                if extractor not in seen:
                    seen[extractor] = Features(*(t.to(states) for t in extractor(images)))
                m.update(seen[extractor], index, numbers)
            if of_pixels is not None:
                of_pixels.update(images, index, numbers)
        return dataclasses.replace(self._result(of_features, of_pixels, changes), samples=shown, alike=all(alike))

    def real_statistics(self, column: Column, *, device: torch.device) -> RealStatistics | None:
        """From the cache or from the images, which of several runs at once one computes; None on the processes other
        than 0."""
        first = rank_and_world()[0] == 0
        extractor, real = column.extractor, self.reference(column)
        pool = self.pool if any(name in WITH_POOL for name in self.measures) else 0
        key = statistics_key(extractor, real, split=column.split, pool=pool)
        folder = self.cache_dir if extractor.lasting else None
        with by_one_process(folder if first else None, key):
            found = read_statistics(folder, key) if folder is not None and first else None
            if told_by_first(found is not None):
                return found
            blocks = self._blocks(len(real), f"reals ({extractor.name})")
            computed = pass_of_reals(extractor, real, pool=pool, device=device, blocks=blocks, size=self.block)
            if computed is not None and folder is not None:
                write_statistics(folder, key, computed)
            return computed

    def _blocks(self, n: int, what: str) -> Iterator[int]:
        """The numbers of this process's blocks of n images, with a bar on process 0."""
        rank, world = rank_and_world()
        mine = range(rank, -(-n // self.block), world)
        hidden = not self.progress or rank != 0 or None  # None: where there is no terminal
        yield from tqdm(mine, desc=what, unit="block", leave=False, disable=hidden)

    def _result(
        self, of_features: list[FeatureMeasures], of_pixels: PixelMeasures | None, changes: dict[str, Any]
    ) -> EvalResult:
        values: dict[str, float] = {}
        protocols: dict[str, EvalProtocol] = {}
        neighbours: dict[str, Neighbours] = {}
        taken: list[FeatureMeasures | PixelMeasures] = [*of_features]
        for m in taken + ([of_pixels] if of_pixels is not None else []):
            column = m.column if isinstance(m, FeatureMeasures) else None
            for value in m.values():
                name = self._name(value, column)
                full_name = f"{name}_{value.part}" if value.part else name
                values[full_name] = float(value.value)
                own = {"n_fake": value.n_fake, "settings": value.settings}
                if changes.get("order") == ORDER and m.n_fake == self.n_fake and not value.ordered(m.n_fake, self.pool):
                    own["order"] = ""
                protocols[full_name] = self.protocol(column, **{**changes, **own})
                if value.neighbours is not None:
                    found = value.neighbours
                    if column is not None:  # of the pool, which is sorted
                        n_real = protocols[full_name].n_real
                        found = found._replace(nearest=pool_indices(n_real, size=self.pool)[found.nearest.cpu()])
                    neighbours[full_name] = found
        return EvalResult(values, protocols, neighbours)

    def _name(self, value: Value, column: Column | None) -> str:
        extractor, split = (column.extractor.name, column.split) if column else ("", self.split)
        return value_name(value.measure, extractor, value.n_fake, split=split)
