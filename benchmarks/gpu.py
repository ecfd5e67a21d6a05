"""Seconds for a thousand images on one GPU: DCGAN at 64x64, StyleGAN at 64x64 and 128x128, in each precision.

    python benchmarks/gpu.py [--seconds 2] [--compile] [--quick]

Networks are the papers' own width; a growing network is at its full resolution. Each row trains through Lightning on
images of noise (the speed of a step does not depend on the pixels) and is timed, after some updates that are not
counted, from the end of one update to the end of another, with the device's queue emptied after each.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer

from zoo.data import ImageArray, ImageDataModule
from zoo.models.base.module import AdversarialModule
from zoo.models.dcgan import DCGAN
from zoo.models.stylegan import StyleGAN
from zoo.runs.text import print_table

WARM_UP = 9  # updates
PRECISIONS = (("32-true", "highest"), ("32-true", "high"), ("bf16-mixed", "highest"))
PHASE = 10**7  # images: a benchmark never leaves the stage that it is in


class Noise(ImageDataModule):
    """2,000 images of noise."""

    name = "noise"
    native_resolution = 64

    def _load(self, name: str) -> ImageArray:
        side = self.resolution or self.native_resolution
        generator = torch.Generator().manual_seed(0)
        images = torch.randint(256, (2_000, 3, side, side), generator=generator, dtype=torch.uint8)
        return ImageArray(images, None, None, f"noise {side}")


class Clock(Callback):
    """Ends the training `seconds` after the updates that are not counted."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.ends: list[float] = []
        self.images: list[int] = []

    def on_train_batch_end(self, trainer: Trainer, module: AdversarialModule, *_: Any) -> None:
        if module.device.type == "cuda":
            torch.cuda.synchronize()
        self.ends.append(time.perf_counter())
        self.images.append(module.images_seen)
        if len(self.ends) > WARM_UP + 2 and self.ends[-1] - self.ends[WARM_UP - 1] > self.seconds:
            trainer.should_stop = True

    @property
    def per_thousand(self) -> float:
        """Seconds for a thousand images."""
        return 1000 * (self.ends[-1] - self.ends[WARM_UP - 1]) / (self.images[-1] - self.images[WARM_UP - 1])


def stylegan(side: int) -> StyleGAN:
    """At its full resolution, with the released batch of one GPU."""
    return StyleGAN(resolution=side, start_resolution=side, devices=1, stabilise_images=PHASE, fade_images=PHASE)


def measured(
    make: Callable[[], AdversarialModule], *, side: int, batch: int | None, precision: str, matmul: str, seconds: float,
    compiled: bool,
) -> str:  # fmt: skip
    """Trains a new module for so long; returns what to print of it."""
    torch.set_float32_matmul_precision(matmul)
    module, clock = make(), Clock(seconds)
    if compiled:
        module.compile_networks()
    options = {"max_epochs": -1, "num_sanity_val_steps": 0, "use_distributed_sampler": False, "logger": False}
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    trainer = Trainer(devices=1, precision=precision, callbacks=[clock], **options, **quiet)
    trainer.fit(module, datamodule=Noise(resolution=side, batch_size=batch))
    return f"{clock.per_thousand:.3g}"


def main() -> None:
    """Prints a row a network and precision."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each row")
    parser.add_argument("--compile", action="store_true", help="torch.compile of G and D")
    parser.add_argument("--quick", action="store_true", help="one small row: does it run?")
    arguments = parser.parse_args()
    rows: list[tuple[str, int, int | None, Callable[[], AdversarialModule]]] = [
        ("DCGAN 64x64, batch 128", 64, 128, lambda: DCGAN(network="community", resolution=64)),
        ("StyleGAN 64x64, batch 32", 64, None, lambda: stylegan(64)),
        ("StyleGAN 128x128, batch 16", 128, None, lambda: stylegan(128)),
    ]
    if arguments.quick:
        rows = [("DCGAN 64x64, width 4", 64, 8, lambda: DCGAN(network="community", resolution=64, width=4))]
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    print(f"seconds for a thousand images, {device}, torch {torch.__version__}")
    lines = []
    for name, side, batch, make in rows:
        for precision, matmul in PRECISIONS[: 1 if arguments.quick else None]:
            value = measured(
                make, side=side, batch=batch, precision=precision, matmul=matmul, seconds=arguments.seconds,
                compiled=arguments.compile,
            )  # fmt: skip
            lines.append([name, precision, matmul, value])
    print_table(["network", "precision", "products of float32", "s / 1,000 images"], lines)


if __name__ == "__main__":
    main()
