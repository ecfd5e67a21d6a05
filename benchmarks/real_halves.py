"""What precision, recall, density and coverage reach at best: reals against as many other reals.

    python benchmarks/real_halves.py --data_dir DIR [--images 3000] [--data CIFAR10,CelebA] [--write PAGE]

Twice so many training images are drawn at random from those whose features the evaluations keep (10,000 at most); one
half stands for a perfect generator's samples. By EfficientNet-Lite0 and by the project's ResNet of CIFAR-10.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import torch
from pages import write_between

from zoo.data import CIFAR10, CelebA, ImageDataModule, cache_dir
from zoo.data.arrays import fixed_order
from zoo.metrics import Column, DensityCoverage, EfficientNetExtractor, Evaluator, PrecisionRecall, ResNetExtractor
from zoo.metrics.pairs import Side

BEGIN, END = "<!-- written by benchmarks/real_halves.py -->", "<!-- end of real_halves.py -->"
DATA: dict[str, tuple[type[ImageDataModule], int]] = {"CIFAR10": (CIFAR10, 32), "CelebA": (CelebA, 64)}
CPU = torch.device("cpu")


def rows(name: str, data: ImageDataModule, n: int) -> Iterator[str]:
    """A line of Markdown for each network. Statistics of the reals come from the cache where they are known."""
    for extractor in (EfficientNetExtractor(), ResNetExtractor()):
        column = Column(extractor)
        statistics = Evaluator(columns=[column], data=data, cache_dir=cache_dir()).real_statistics(column, device=CPU)
        assert statistics is not None
        drawn = statistics.pool[torch.from_numpy(fixed_order(len(statistics.pool))[: 2 * n])]
        if len(drawn) < 2 * n:
            raise SystemExit(f"{name}: twice {n:,} images are more than the {len(drawn):,} whose features are kept")
        halves: tuple[tuple[torch.Tensor, Side], ...] = ((drawn[:n], "real"), (drawn[n:], "fake"))
        values: dict[str, float] = {}
        for metric in (PrecisionRecall(), DensityCoverage()):
            for features, side in halves:
                metric.update(features, index=torch.arange(n), side=side)
            values |= {key: float(value) for key, value in metric.compute()._asdict().items()}
        yield f"| {name} | {extractor.name} | {' | '.join(f'{value:.3f}' for value in values.values())} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir", required=True)
    parser.add_argument("--data", default=",".join(DATA))
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--write", type=Path, help="a page with the marks between which the table stands")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    lines = [f"{arguments.images:,} images against {arguments.images:,}:", ""]
    lines += ["| data | features | precision | recall | density | coverage |", "|---|---|---|---|---|---|"]
    for name in arguments.data.split(","):
        kind, side = DATA[name]
        for line in rows(f"{name} {side}x{side}", kind(root=arguments.data_dir, resolution=side), arguments.images):
            print(line, flush=True)
            lines.append(line)
    if arguments.write is not None:
        write_between(arguments.write, lines, begin=BEGIN, end=END)


if __name__ == "__main__":
    main()
