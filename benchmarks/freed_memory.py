"""Evaluation on one thread of a CPU with freed memory used again, and given back to the system as GNU's malloc does.

    python benchmarks/freed_memory.py [--rounds 3] [--batches 8]

EfficientNet's features of batches of 64 images of 32x32 (`fd_efficientnet`), and training steps of a DCGAN (32x32,
width 48, batches of 64), each in a process of its own, since malloc cannot be told to forget; the sides take turns.
Processor seconds, so that other work on the machine matters little. Beside them the pages that the system had to clear
and the largest memory of the process.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from zoo.runs.environment import keep_freed_memory

TASKS, SIDES = ("features", "training"), ("given back", "used again")


def work(task: str) -> Callable[[], None]:
    """One batch of it."""
    import torch

    torch.manual_seed(0)
    images = torch.randint(256, (64, 3, 32, 32), dtype=torch.uint8)
    if task == "features":
        from zoo.metrics.efficientnet import EfficientNetExtractor

        extractor = EfficientNetExtractor()
        return lambda: extractor(images) and None
    from training import careful_dcgan

    from zoo.models.dcgan import DCGAN

    module = DCGAN(network="community", resolution=32, width=48)
    loop = careful_dcgan(module.G, module.D, images, batch_size=64, bf16=False)
    return lambda: next(loop) and None


def measure(task: str, side: str, batches: int) -> None:
    """Prints the processor seconds of a batch, thousands of pages cleared for it, and the largest memory in MiB."""
    if side == SIDES[1] and not keep_freed_memory():
        raise SystemExit("this C library is not GNU's, or the environment already tells it what to keep")
    do = work(task)
    do()
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.process_time()
    for _ in range(batches):
        do()
    seconds, after = time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF)
    print(seconds / batches, (after.ru_minflt - before.ru_minflt) / batches / 1000, after.ru_maxrss / 1024)


def measured(task: str, side: str, batches: int) -> list[float]:
    """The same of a new process."""
    command = [sys.executable, __file__, "--batches", str(batches), "--child", task, side]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return [float(word) for word in done.stdout.split()]


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batches", type=int, default=8)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        measure(*arguments.child, arguments.batches)
        return
    print("| task | freed memory | s a batch | 1,000 pages cleared a batch | MiB | speed |")
    print("| --- | --- | --- | --- | --- | --- |")
    for task in TASKS:
        rounds = [[measured(task, side, arguments.batches) for side in SIDES] for _ in range(arguments.rounds)]
        for i, side in enumerate(SIDES):
            seconds, pages, memory = (statistics.median(row) for row in zip(*(pair[i] for pair in rounds), strict=True))
            ratios = sorted(pair[0][0] / pair[i][0] for pair in rounds)
            speed = f"{statistics.median(ratios):.2f} [{ratios[0]:.2f}-{ratios[-1]:.2f}]"
            print(f"| {task} | {side} | {seconds:.3f} | {pages:.1f} | {memory:.0f} | {speed} |")


if __name__ == "__main__":
    main()
