"""The measures by name, and the sets of them that the evaluator feeds: one of features per column, one of pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from zoo.data.arrays import fixed_order
from zoo.metrics.density_coverage import DensityCoverage
from zoo.metrics.features import Features
from zoo.metrics.frechet import FrechetDistance
from zoo.metrics.frechet_infinity import FrechetInfinity
from zoo.metrics.inception_score import InceptionScore
from zoo.metrics.kernel_distance import KernelDistance, Known
from zoo.metrics.modes import StackedModes
from zoo.metrics.ms_ssim import PairwiseMSSSIM
from zoo.metrics.ndb import StatisticallyDifferentBins
from zoo.metrics.nearest import NearestNeighbours, Neighbours
from zoo.metrics.pairs import SamplePairs
from zoo.metrics.precision_recall import PrecisionRecall
from zoo.metrics.presets import Column
from zoo.metrics.real_statistics import POOL, RealStatistics, pool_indices
from zoo.metrics.swd import LARGE_AT_A_TIME, SlicedWasserstein, named_levels

OF_FEATURES = {
    "fd": "Frechet distance (FID)",
    "is": "Inception Score",
    "kd": "kernel distance (KID)",
    "pr": "improved precision and recall, k = 3",
    "pr_few": "the same of 2,000 a side at most, for training",
    "dc": "density and coverage, k = 5",
    "fd_infinity": "Frechet distance extrapolated to infinitely many fakes",
    "nn": "nearest training images in feature space",
}
OF_PIXELS = {
    "swd": "sliced Wasserstein distance per Laplacian level, x 1000",
    "swd_few": "the same of 500 images at most, for training",
    "ms_ssim": "MS-SSIM of pairs of fakes",
    "ndb": "number of statistically different bins",
    "nn_pixels": "nearest training images in pixels",
    "modes": "modes of 1,000 found and their divergence from uniform, of three digits in the channels",
}
OF_SOME_DATA = ("modes",)  # of data sets that name it in `measures`
ALL = {**OF_FEATURES, **OF_PIXELS}
WHILE_TRAINING = ("fd", "is", "kd")
FOR_TEST = ("fd", "is", "kd", "pr", "dc")

ORDERED = ("is", "ms_ssim")  # these split samples, or pair them

SPLITS = 10  # of the Inception Score
SWD_IMAGES, MS_SSIM_IMAGES, MODES_IMAGES, QUERIES, BINS = 16_384, 20_000, 26_000, 1_000, 100
FEW, SWD_FEW = 2_000, 500  # of "pr_few" and "swd_few"
NDB_REALS = 50_000  # 500 a bin


class Value(NamedTuple):
    """One value before it has its full name: fd, is_std, swd_avg; n_fake samples, settings for the protocol."""

    measure: str
    value: Tensor
    n_fake: int
    settings: str = ""
    part: str = ""  # follows the name: std, avg, 64
    neighbours: Neighbours | None = None  # whose ratio it is
    taken: int | None = None  # samples that it is of, where those are fewer than n_fake

    def ordered(self, n: int, pool: int) -> bool:
        """Whether the value depends on the order of the n samples that came, were they all that there are."""
        taken = min(n, pool) if self.measure == "kd" else self.n_fake  # which is named after all of them
        taken = taken if self.taken is None else self.taken
        return self.measure in ORDERED or taken < n


class FeatureMeasures:
    """The measures of one column that are wanted, on one device.

    Args:
        column: its extractor's features are counted.
        wanted: names of OF_FEATURES; others are passed over.
        n_fake: fakes that will come.
        pool: features a side that measures of pairs draw on.
    """

    def __init__(self, column: Column, wanted: Sequence[str], *, n_fake: int, pool: int, device: torch.device) -> None:
        self.column, self.n_fake, self.pool = column, n_fake, pool
        extractor = column.extractor
        self.fd = FrechetDistance(extractor.dim).to(device) if "fd" in wanted else None
        self.infinity = FrechetInfinity(extractor.dim).to(device) if "fd_infinity" in wanted else None
        classes = extractor.num_classes
        score = InceptionScore(num_samples=n_fake, num_classes=classes, splits=SPLITS) if "is" in wanted else None
        self.score = score.to(device) if score is not None else None
        self.pairs: dict[str, SamplePairs] = {
            name: kind().to(device)
            for name, kind in (
                *(("kd", KernelDistance), ("pr", PrecisionRecall), ("dc", DensityCoverage)),
                ("pr_few", PrecisionRecall),
            )
            if name in wanted
        }
        if "nn" in wanted:
            self.pairs["nn"] = NearestNeighbours().to(device)

    def start(self, statistics: RealStatistics | None, *, device: torch.device, known: Known | None = None) -> None:
        """Count the reals: their statistics on process 0, None on the others, which count nothing. In `known` the
        kernel distance keeps its terms of these reals from one evaluation to the next."""
        none = torch.zeros(0, self.column.extractor.dim, device=device)
        index = torch.arange(0, device=device)
        pool = none if statistics is None else statistics.pool.to(device)
        few = pool[torch.from_numpy(fixed_order(len(pool))[:FEW]).to(device)]  # the pool is in the order of the files
        for name, pair in self.pairs.items():
            if isinstance(pair, KernelDistance) and known is not None:
                pair.known = known
            mine = few if name == "pr_few" else pool
            pair.update(mine, index=torch.arange(len(mine), device=device), side="real")
            pair.update(none, index=index, side="fake")
        for metric in (self.fd, self.infinity):
            if metric is not None and statistics is not None:
                n, total, outer, _, root = (t.to(device) for t in statistics)
                metric.add_moments(n, total, outer, side="real", root=root)
        if self.fd is not None:
            self.fd.update(none, side="fake")
        if self.infinity is not None:
            self.infinity.update(none, side="fake", index=index)

    def update(self, result: Features, index: Tensor, numbers: Tensor) -> None:
        """Count fakes of these global indices; those beyond the column's number are left out.

        The index says who is among the first, and in which split; numbers (of the files, else the same) say in which
        order subsets are drawn of them.
        """
        mine = index < self.n_fake
        features, index, numbers = result.features[mine], index[mine], numbers[mine]
        if self.fd is not None:
            self.fd.update(features, side="fake")
        if self.infinity is not None:
            self.infinity.update(features, side="fake", index=numbers)
        if self.score is not None:
            self.score.update(result.logits[mine], index=index)
        for name, pair in self.pairs.items():
            first = index < {"nn": QUERIES, "pr_few": FEW}.get(name, self.pool)  # fakes are independent draws
            pair.update(features[first], index=(index if name == "nn" else numbers)[first], side="fake")

    def values(self) -> list[Value]:
        """Everything that was counted, over all processes."""
        n = self.n_fake
        found = []
        if self.fd is not None:
            found.append(Value("fd", self.fd.compute(), n))
        if self.infinity is not None:
            found.append(Value("fd_infinity", self.infinity.compute(), n, "15 points over 1 / N from N / 10"))
        if self.score is not None:
            score = self.score.compute()
            found += [Value("is", score.mean, n), Value("is", score.std, n, part="std")]
        for name, pair in self.pairs.items():
            if isinstance(pair, KernelDistance):
                kernel = pair.compute()
                # Of n fakes, as the name says; the subsets come from the pool, which is named where it is not as usual.
                settings = "" if self.pool == POOL else f"subsets of {self.pool} a side at most"
                found += [Value(name, kernel.mean, n, settings), Value(name, kernel.std, n, settings, part="std")]
            elif isinstance(pair, PrecisionRecall | DensityCoverage):
                most = min(self.pool, FEW) if name == "pr_few" else self.pool
                settings = f"k={pair.k}, {most} reals at most"
                named = pair.compute()._asdict()
                found += [Value(measure, value, min(n, most), settings) for measure, value in named.items()]
            elif isinstance(pair, NearestNeighbours):
                near = pair.compute()
                settings = f"fake to real over real to real, {self.pool} reals at most"
                found.append(Value("nn_ratio", near.ratio, min(n, QUERIES), settings, neighbours=near))
        return found


class PixelMeasures:
    """The measures that look at the images themselves.

    mixed: False where the reals come by name, and so perhaps by class: where SWD takes as many of them as there are
    fakes, these are then drawn from all.
    """

    def __init__(self, wanted: Sequence[str], *, n_fake: int, device: torch.device, mixed: bool = True) -> None:
        self.wanted, self.n_fake, self.device = [name for name in wanted if name in OF_PIXELS], n_fake, device
        self.most = SWD_FEW if "swd_few" in wanted and "swd" not in wanted else SWD_IMAGES
        of_patches = {"swd", "swd_few"} & set(wanted)
        self.swd = SlicedWasserstein(images=self.most).to(device) if of_patches else None
        self.ssim = PairwiseMSSSIM().to(device) if "ms_ssim" in wanted else None
        self.nn = NearestNeighbours().to(device) if "nn_pixels" in wanted else None
        self.modes = StackedModes().to(device) if "modes" in wanted else None
        self.ndb: StatisticallyDifferentBins | None = None
        self.mixed, self.n_real = mixed, 0

    def start(self, reals: Tensor, *, first_process: bool) -> None:
        """Count the reals, uint8 [N, C, H, W], on process 0; every process needs them for the bins."""
        self.n_real = len(reals)
        if "ndb" in self.wanted:
            bins = StatisticallyDifferentBins.fit(
                reals[pool_indices(len(reals), size=NDB_REALS)].to(self.device), bins=min(BINS, len(reals))
            )
            self.ndb = bins.to(self.device)
        chosen = pool_indices(len(reals), size=self.most if self.mixed else min(self.most, self.n_fake))
        large = self.swd is not None and self.swd.keeps_patches(reals.shape[1:])
        if self.swd is not None and large:
            self.swd.images = min(len(chosen), self.n_fake)  # of so many, patches are kept
        for metric, images in ((self.swd, chosen), (self.nn, torch.arange(len(reals)))):
            if metric is not None:
                mine = images if first_process else images[:0]
                index = torch.arange(len(mine), device=self.device)
                whole = len(mine) == len(reals)  # no copy of a large data set
                parts = torch.split(index, LARGE_AT_A_TIME if large and metric is self.swd else max(len(index), 1))
                for part in parts:
                    some = reals[:] if whole and len(parts) == 1 else reals[mine[part.cpu()]]
                    metric.update(some.to(self.device), index=part, side="real")
                metric.update(reals[:0].to(self.device), index=index[:0], side="fake")

    def update(self, images: Tensor, index: Tensor, numbers: Tensor) -> None:
        """Count fakes, uint8 [n, C, H, W], of these global indices; numbers as in `FeatureMeasures`."""
        images, index, numbers = images.to(self.device), index.to(self.device), numbers.to(self.device)
        for metric, most, own in ((self.swd, min(self.most, self.n_real), numbers), (self.nn, QUERIES, index)):
            if metric is not None:
                metric.update(images[index < most], index=own[index < most], side="fake")
        if self.ssim is not None:
            self.ssim.update(images[index < MS_SSIM_IMAGES], index=index[index < MS_SSIM_IMAGES])
        if self.modes is not None:
            self.modes.update(images[index < MODES_IMAGES])
        if self.ndb is not None:
            self.ndb.update(images)

    def values(self) -> list[Value]:
        """Everything that was counted, over all processes."""
        n = self.n_fake
        found = []
        if self.swd is not None:
            settings = f"{self.most} images at most, 128 patches each, 4 x 128 directions"
            few, taken = min(n, self.most), min(n, self.most, self.n_real)
            settings += ", reals drawn" if few < min(self.n_real, self.most) and not self.mixed else ""
            levels = self.swd.compute()
            found += [Value("swd", v, few, settings, part, taken=taken) for part, v in named_levels(levels)]
        if self.ssim is not None:
            found.append(Value("ms_ssim", self.ssim.compute(), min(n, MS_SSIM_IMAGES) // 2 * 2, "pairs (2i, 2i + 1)"))
        if self.modes is not None:
            modes, few = self.modes.compute(), min(n, MODES_IMAGES)
            settings = f"digits by LeNet {self.modes.classifier.sha256[:8]}, divergence from uniform"
            found += [Value("modes", modes.found, few, settings), Value("modes_kl", modes.kl, few, settings)]
        if self.ndb is not None:
            bins, settings = self.ndb.compute(), f"{len(self.ndb.centres)} bins of {NDB_REALS} reals at most"
            found += [Value("ndb", bins.share, n, settings), Value("ndb_jsd", bins.jsd, n, settings)]
        if self.nn is not None:
            near = self.nn.compute()
            settings = "fake to real over real to real, pixels"
            found.append(Value("nn_pixel_ratio", near.ratio, min(n, QUERIES), settings, neighbours=near))
        return found
