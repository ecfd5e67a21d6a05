"""Images per second of the training stream against torchvision + DataLoader, side by side.

    python benchmarks/data.py --data_dir DIR [--rounds 5] [--seconds 2]

Both sides deliver float batches [128, 3, H, W] in [-1, 1] on the CPU, shuffled, with random mirroring:
- zoo: batches of CIFAR10 / CelebA's train loader (uint8) and the conversion to float;
- torchvision: data set + PIL transforms (ToTensor, Normalize) + DataLoader with two workers.

The rounds alternate between the two sides within one process, so that a busy machine slows both; the ratio is
taken within each round. torch runs on one thread, so that the zoo has one core and torchvision one for each
of its workers, and no timing depends on threads waiting for each other. The zoo's one-time decoding is timed
apart (0 s where an earlier run left its cache).
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import datasets, transforms

from zoo.data import CIFAR10, CelebA, ImageDataModule

BATCH = 128
WORKERS = 2


class FlatFolder(Dataset[Tensor]):
    """The JPEGs of one folder, read and decoded as torchvision's image folders do."""

    def __init__(self, folder: Path, transform: Callable[[Image.Image], Tensor]) -> None:
        self.files = sorted(folder.glob("*.jpg"))
        self.transform = transform

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Tensor:
        return self.transform(datasets.folder.pil_loader(str(self.files[index])))


def to_float() -> list[Any]:
    return [
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    ]


def cifar10_reference(data: CIFAR10) -> tuple[str, Dataset[Any]]:
    if (data.root / "cifar-10-batches-py").is_dir():
        transform = transforms.Compose(to_float())
        return "torchvision CIFAR10 (pixels in memory)", datasets.CIFAR10(data.root, transform=transform)
    # torchvision's class keeps pixels in memory and makes a PIL image of each: the same path without its files.
    images = data.split("train").images.permute(0, 2, 3, 1).contiguous().numpy()
    return "torchvision CIFAR10's code path over the decoded JPEGs", InMemory(images, transforms.Compose(to_float()))


class InMemory(Dataset[Tensor]):
    """What torchvision.datasets.CIFAR10 does with pixels [N, H, W, 3] that are in memory already."""

    def __init__(self, images: Any, transform: Callable[[Image.Image], Tensor]) -> None:
        self.images = images
        self.transform = transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return self.transform(Image.fromarray(self.images[index]))


def celeba_reference(data: CelebA) -> tuple[str, Dataset[Any]]:
    folder = next(data.root.rglob("img_align_celeba"))
    half = Image.open(next(folder.glob("*.jpg"))).width < 178
    crop = transforms.CenterCrop(54 if half else 108)
    steps = [crop, transforms.Resize(64, transforms.InterpolationMode.LANCZOS), *to_float()]
    return f"JPEG files{' (half size)' if half else ''} + CenterCrop + Resize", FlatFolder(
        folder, transforms.Compose(steps)
    )


def zoo_batches(data: ImageDataModule) -> Iterator[Tensor]:
    while True:
        for x, _ in data.train_dataloader():
            yield x.float().div_(127.5).sub_(1)


def loader_batches(dataset: Dataset[Any]) -> Iterator[Tensor]:
    loader = DataLoader(dataset, BATCH, shuffle=True, num_workers=WORKERS, drop_last=True, persistent_workers=True)
    while True:
        for batch in loader:
            yield batch if isinstance(batch, Tensor) else batch[0]


def rate(batches: Iterator[Tensor], seconds: float) -> float:
    """Images per second over at least `seconds` and 20 batches."""
    count, start = 0, time.perf_counter()
    while count < 20 or time.perf_counter() - start < seconds:
        batch = next(batches)
        assert batch.shape[0] == BATCH
        assert batch.dtype == torch.float32
        count += 1
    return count * BATCH / (time.perf_counter() - start)


def spread(values: list[float], digits: int = 0) -> str:
    return f"{statistics.median(values):,.{digits}f} [{min(values):,.{digits}f}-{max(values):,.{digits}f}]"


def compare(
    data: ImageDataModule, reference: Callable[[Any], tuple[str, Dataset[Any]]], *, rounds: int, seconds: float
) -> str:
    start = time.perf_counter()
    data.prepare_data()
    prepared = time.perf_counter() - start
    start = time.perf_counter()
    data.setup("fit")
    setup = time.perf_counter() - start
    label, dataset = reference(data)
    ours, theirs = zoo_batches(data), loader_batches(dataset)
    rate(ours, 0.0)
    rate(theirs, 0.0)  # the workers start outside the timing
    pairs = [(rate(ours, seconds), rate(theirs, seconds)) for _ in range(rounds)]
    return (
        f"| {data.name} {data.image_shape[1]}x{data.image_shape[2]} | {spread([a for a, _ in pairs])} "
        f"| {spread([b for _, b in pairs])} | {spread([a / b for a, b in pairs], 1)} "
        f"| prepare {prepared:.1f} s, setup {setup:.2f} s | {label} |"
    )


def main() -> None:
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir", default=None, help="folder of the data sets (default: $ZOO_DATA, else ./data)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each side in each round")
    arguments = parser.parse_args()
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} thread, {os.cpu_count()} cores; batch {BATCH}, "
        f"{WORKERS} DataLoader workers, {arguments.rounds} rounds; median [min-max]\n"
    )
    print("| data | zoo img/s | torchvision img/s | ratio | zoo's decoding | reference |\n|---|---|---|---|---|---|")
    options = {"root": arguments.data_dir, "batch_size": BATCH, "horizontal_flip": True}
    timing = {"rounds": arguments.rounds, "seconds": arguments.seconds}
    print(compare(CIFAR10(**options, download=False), cifar10_reference, **timing), flush=True)
    print(compare(CelebA(**options), celeba_reference, **timing), flush=True)


if __name__ == "__main__":
    main()
