"""Training beside other work: how long OpenMP's threads spin while they wait for each other.

    python benchmarks/busy_cores.py [--rounds 2] [--seconds 10] [--hogs 2]

DCGAN steps (as recipe `digits`: 32x32 grey images, width 32, batch 64; torch's own number of threads) in processes of
their own, with the OpenMP runtime's own wait and with the shorter one that command lines ask for. Cores are idle, or
as many other processes keep them busy: there a thread that spins takes its partner's time. Only GNU's runtime (torch's
on Linux) reads GOMP_SPINCOUNT; its own choice is 300,000.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator

from zoo.runs.environment import SPINS

HOG = "while True: pass"
DEFAULT = "300000"


def steps_per_second(seconds: float) -> float:
    """Of this process, after two steps untimed."""
    import torch
    from training import careful_dcgan

    from zoo.models.dcgan import DCGAN

    torch.manual_seed(0)
    module = DCGAN(network="community", resolution=32, channels=1, width=32)
    images = torch.randint(256, (1280, 1, 32, 32), dtype=torch.uint8)
    loop = careful_dcgan(module.G, module.D, images, batch_size=64, bf16=False)
    for _ in range(2):
        next(loop)
    steps, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        next(loop)
        steps += 1
    return steps / (time.perf_counter() - start)


def measured(spins: str, seconds: float) -> float:
    """Steps per second of a new process."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "GOMP_"))}
    command = [sys.executable, __file__, "--child", "--seconds", str(seconds)]
    done = subprocess.run(
        command, env=environment | {"GOMP_SPINCOUNT": spins}, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


@contextlib.contextmanager
def hogs(number: int) -> Iterator[None]:
    """Processes that do nothing, as fast as they can."""
    running = [subprocess.Popen([sys.executable, "-c", HOG]) for _ in range(number)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--hogs", type=int, default=os.cpu_count())
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(steps_per_second(arguments.seconds))
        return
    sides = (DEFAULT, SPINS)
    print(f"load at the start {os.getloadavg()[0]:.1f}\n")
    print(f"| cores | {' steps/s | '.join(sides)} steps/s | ratio |\n|---|---|---|---|")
    for kind, number in (("idle", 0), ("busy", arguments.hogs)):
        for i in range(arguments.rounds):
            with hogs(number):
                order = sides if i % 2 == 0 else sides[::-1]
                speeds = {spins: measured(spins, arguments.seconds) for spins in order}
            default, ours = (speeds[spins] for spins in sides)
            print(f"| {kind} | {default:.2f} | {ours:.2f} | {ours / default:.2f} |", flush=True)


if __name__ == "__main__":
    main()
