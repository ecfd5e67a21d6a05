"""What each distance sees: real images against real images that were spoiled, three strengths of six kinds.

    python benchmarks/discrimination.py --data_dir DIR [--images 1000] [--data CIFAR10,CelebA] [--write PAGE]

One half of a random choice of training images is the reference; the other half is spoiled: blurred, with noise, as
JPEG, with another colour balance, without some of the classes (CIFAR-10), and as a generator that knows a few images.
'floor' is the other half as it is, what a perfect generator would reach with so many images. Each cell is the distance,
and whether it rises with the strength is said below the table. Features: EfficientNet-Lite0 at 128 and at 224 pixels,
the project's ResNet of CIFAR-10, the same ResNet untrained; and the sliced Wasserstein distance of pixels.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from pages import write_between
from torch import Tensor
from torchvision.io import decode_jpeg, encode_jpeg
from torchvision.transforms.functional import gaussian_blur

from zoo.data import CIFAR10, CelebA
from zoo.data.arrays import ImageArray
from zoo.metrics import (
    EfficientNetExtractor,
    FeatureExtractor,
    FrechetDistance,
    KernelDistance,
    ModuleExtractor,
    ResNetExtractor,
    SlicedWasserstein,
)
from zoo.metrics.resnet import ResNet, to_resnet_input

BEGIN, END = "<!-- written by benchmarks/discrimination.py -->", "<!-- end -->"
SIZES = {"CIFAR10": 32, "CelebA": 64}


class Spoiled(NamedTuple):
    """Images [n, 3, H, W] uint8, what was done to them, and how much."""

    kind: str
    strength: str
    images: Tensor


class Untrained(torch.nn.Module):
    """The ResNet as it is initialised, from uint8 images."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.net = ResNet().eval()

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.net(to_resnet_input(images)).features
        return features


def clamped(x: Tensor) -> Tensor:
    return x.round().clamp(0, 255).to(torch.uint8)


def spoil(half: ImageArray) -> Iterator[Spoiled]:
    """The second half, spoiled: each kind from the weakest to the strongest."""
    images, side = half.images, half.images.shape[-1]
    generator = torch.Generator().manual_seed(1)
    yield Spoiled("floor", "", images)
    for sigma in (0.5, 1.0, 2.0):
        sigma *= side / 32
        yield Spoiled(
            "blur", f"sigma {sigma:g}", clamped(gaussian_blur(images.float(), [4 * side // 32 + 5] * 2, sigma))
        )
    for std in (8, 16, 32):
        noise = torch.randn(images.shape, generator=generator) * std
        yield Spoiled("noise", f"std {std}", clamped(images + noise))
    for quality in (75, 40, 15):
        coded = torch.stack([decode_jpeg(encode_jpeg(image, quality=quality)) for image in images])
        yield Spoiled("JPEG", f"quality {quality}", coded)
    for shift in (10, 20, 40):
        balance = torch.tensor([shift, 0, -shift]).view(1, 3, 1, 1)
        yield Spoiled("red for blue", f"{shift} levels", clamped(images.float() + balance))
    if half.labels is not None:
        for dropped in (1, 3, 6):
            left = images[half.labels >= dropped]
            chosen = torch.randint(len(left), (len(images),), generator=generator)
            yield Spoiled("classes gone", f"{dropped} of 10", left[chosen])
    for few in (100, 30, 10):
        yield Spoiled("collapse", f"{few} images", images[torch.arange(len(images)) % few])


def halves(data: ImageArray, n: int) -> tuple[Tensor, ImageArray]:
    """n reference images, and n others with their labels, drawn at random."""
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))[: 2 * n]
    labels = None if data.labels is None else data.labels[order[n:]]
    return data.images[order[:n]], ImageArray(data.images[order[n:]], labels, data.class_names, data.fingerprint)


def distances(extractor: FeatureExtractor) -> Callable[[Tensor, Tensor], dict[str, float]]:
    """Frechet and kernel distance of two sets of images; the reference's features are kept."""
    known: dict[int, Tensor] = {}

    def measure(real: Tensor, fake: Tensor) -> dict[str, float]:
        if id(real) not in known:
            known[id(real)] = extractor(real).features
        frechet, kernel = FrechetDistance(extractor.dim), KernelDistance()
        for features, side in ((known[id(real)], "real"), (extractor(fake).features, "fake")):
            frechet.update(features, side=side)
            kernel.update(features, side=side, index=torch.arange(len(features)))
        return {"fd": float(frechet.compute()), "kd": float(kernel.compute().mean)}

    return measure


def sliced(real: Tensor, fake: Tensor) -> dict[str, float]:
    """Mean over the levels, x 1000."""
    metric = SlicedWasserstein(images=len(real), patches=32)
    for images, side in ((real, "real"), (fake, "fake")):
        metric.update(images, side=side, index=torch.arange(len(images)))
    levels = metric.compute()
    return {"swd": float(sum(levels.values()) / len(levels))}


def table(name: str, data: ImageArray, n: int) -> Iterator[str]:
    """Lines of Markdown for one data set."""
    real, half = halves(data, n)
    cases = list(spoil(half))
    shape = tuple(real.shape[1:])
    networks: list[FeatureExtractor] = [EfficientNetExtractor(), EfficientNetExtractor(size=224), ResNetExtractor()]
    networks.append(ModuleExtractor(Untrained(), name="untrained", image_shape=shape))
    measures = {network.name: distances(network) for network in networks} | {"pixels": sliced}
    columns: dict[str, list[float]] = {}
    speeds = {}
    for label, measure in measures.items():
        started = time.process_time()
        for case in cases:
            for short, value in measure(real, case.images).items():
                columns.setdefault(short if label == "pixels" else f"{short}_{label}", []).append(value)
        speeds[label] = (len(cases) + 1) * n / (time.process_time() - started)
    yield f"{name}, {n:,} images against {n:,}:\n"
    yield f"| spoiled by | strength | {' | '.join(columns)} |"
    yield f"|---|---|{'---|' * len(columns)}"
    for i, case in enumerate(cases):
        yield f"| {case.kind} | {case.strength} | {' | '.join(f'{column[i]:.4g}' for column in columns.values())} |"
    kinds = list(dict.fromkeys(case.kind for case in cases[1:]))
    rises, least = [], []
    for column in columns.values():
        by_kind = [[column[0], *(v for v, c in zip(column, cases, strict=True) if c.kind == kind)] for kind in kinds]
        rising = [kind for kind, values in zip(kinds, by_kind, strict=True) if values == sorted(values)]
        rises.append(f"{len(rising)} of {len(kinds)}")
        least.append(f"{min(values[1] / column[0] for values in by_kind):.3g}" if column[0] > 0 else "-")
    yield f"| rise with the strength, from the floor | | {' | '.join(rises)} |"
    yield f"| weakest of the weakest, over the floor | | {' | '.join(least)} |"
    yield "\nImages a second, of one thread's time: " + ", ".join(f"{k} {v:.0f}" for k, v in speeds.items()) + ".\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir", required=True)
    parser.add_argument("--data", default="CIFAR10,CelebA")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--write", type=Path, help="a page with the marks between which the tables stand")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    lines: list[str] = []
    for name in arguments.data.split(","):
        kind = {"CIFAR10": CIFAR10, "CelebA": CelebA}[name]
        split = kind(root=arguments.data_dir, resolution=SIZES[name]).split("train")
        for line in table(f"{name} {SIZES[name]}x{SIZES[name]}", split, arguments.images):
            print(line, flush=True)
            lines.append(line)
    if arguments.write is not None:
        write_between(arguments.write, lines, begin=BEGIN, end=END)


if __name__ == "__main__":
    main()
