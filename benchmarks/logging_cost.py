"""What logging costs: steps with all that a run logs against the same steps in silence, side by side.

    python benchmarks/logging_cost.py [--rounds 6] [--only dcgan|gan] [--clock cpu] [--threads 1] [--quick]

Sides, each a Trainer over the same networks and batches, as `zoo.training.cli` sets it:
- silent: no logger, no diagnostics, no HealthWatch;
- logged: as a run comes, which logs every 50th step: losses, D's scores, gradient norms and update ratios to
  metrics.jsonl, HealthWatch looking on;
- mirrored: the same, and W&B offline;
- every step: as logged, at each step. No recipe does this; it is what one logged step costs.

Targets: logged and mirrored cost at most 3 % of a DCGAN step and 15 % of a step of the MLP GAN. A side's step is the
median of its silent steps and of its logged steps, each weighted as often as it comes, so that a machine that is busy
for a moment says nothing; ratios are taken within a round, whose sides run there and back. HealthWatch's look at 64
samples is left out: it is taken with each sample grid, once in tens of thousands of images. `--clock cpu` counts
processor seconds of this process, for a machine that is shared; those of W&B's own process are then left out.
"""

import argparse
import contextlib
import io
import os
import statistics
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import training
from lightning.pytorch import Trainer
from training import WARM_UP, Clock, contest, spread

from zoo.data import Digits, ImageDataModule
from zoo.models.base.module import AdversarialModule
from zoo.models.dcgan import DCGAN
from zoo.models.gan import GAN
from zoo.training.callbacks import HealthWatch
from zoo.training.loggers import JsonlLogger, WandbMirror

NEVER = 10**9
TARGETS = {"dcgan": 0.03, "gan": 0.15}
Loggers = Callable[[Path], list[JsonlLogger | WandbMirror]]


def silent(folder: Path) -> list[JsonlLogger | WandbMirror]:
    return []


def local(folder: Path) -> list[JsonlLogger | WandbMirror]:
    return [JsonlLogger(folder)]


def mirrored(folder: Path) -> list[JsonlLogger | WandbMirror]:
    mirror = WandbMirror(folder, project="benchmark", name="logging cost", group="benchmark", config={})
    return [JsonlLogger(folder), mirror]


def side(
    module: AdversarialModule, data: ImageDataModule, *, loggers: Loggers, log_every: int, folder: Path
) -> training.Side:
    """Seconds of a step of the module, under a new Trainer for each round; W&B's run is opened before."""
    kept = loggers(folder)

    def run(steps: int) -> float:
        module.log_every = log_every
        before = module.discriminator_steps + WARM_UP
        clock = Clock(images=module.images_seen + (WARM_UP + steps) * data.batch_size)
        trainer = Trainer(
            accelerator="cpu",
            devices=1,
            max_epochs=-1,
            use_distributed_sampler=False,
            enable_model_summary=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            callbacks=[HealthWatch(every=None), clock] if kept else [clock],
            logger=kept or False,
        )
        for logger in kept:
            if isinstance(logger, WandbMirror):
                _ = logger.experiment
        with contextlib.redirect_stderr(io.StringIO()):
            trainer.fit(module, datamodule=data)
        took = [end - start for start, end in pairwise(clock.ends[WARM_UP - 1 :])]
        logged = [(before + i) % log_every == 0 for i in range(1, steps + 1)]
        groups = ([t for t, own in zip(took, logged, strict=True) if own == kind] for kind in (True, False))
        return sum(len(group) * statistics.median(group) for group in groups if group) / steps

    return run


def measure(name: str, module: AdversarialModule, data: ImageDataModule, *, rounds: int, folder: Path) -> None:
    """Prints the cost of each side beside the silent one."""
    every = module.log_every
    kinds = {
        "silent": (silent, NEVER),
        "logged": (local, every),
        "mirrored": (mirrored, every),
        "every step": (local, 1),
    }
    sides = {
        kind: side(module, data, loggers=loggers, log_every=log_every, folder=folder / kind)
        for kind, (loggers, log_every) in kinds.items()
    }
    speeds = contest(sides, steps=every, rounds=rounds)  # each round of `logged` logs exactly once
    size = f"{sum(p.numel() for p in module.parameters()):,} parameters, batch {data.batch_size}, {data.name}"
    step = 1000 / statistics.median(speeds["silent"])
    print(f"\n{name}: {size}; a silent step takes {step:.1f} ms, every {every}th is logged\n")
    print("| side | cost of a step, median [min-max] | target | |\n|---|---|---|---|")
    for kind in list(kinds)[1:]:
        costs = [quiet / loud - 1 for quiet, loud in zip(speeds["silent"], speeds[kind], strict=True)]
        reached = "reached" if statistics.median(costs) <= TARGETS[name] else "missed"
        target = (f"<= {TARGETS[name]}", reached) if kind != "every step" else ("", "")
        print(f"| {kind} | {spread(costs, 4)} | {target[0]} | {target[1]} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=None, help="default: 6, with --quick 1")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--only", choices=("dcgan", "gan"), default=None)
    parser.add_argument("--quick", action="store_true", help="one round: does it run?")
    arguments = parser.parse_args()
    arguments.rounds = arguments.rounds or (1 if arguments.quick else 6)
    os.environ["WANDB_MODE"] = "offline"
    training.prepare(arguments)
    dcgan = DCGAN(network="community", resolution=32, channels=1, width=32)
    players: dict[str, tuple[AdversarialModule, ImageDataModule]] = {
        "dcgan": (dcgan, Digits(batch_size=64, resolution=32)),
        "gan": (GAN(network="mnist"), Digits(batch_size=100)),
    }
    for name, (module, data) in players.items():
        if arguments.only in (None, name):
            with tempfile.TemporaryDirectory() as folder:
                measure(name, module, data, rounds=arguments.rounds, folder=Path(folder))


if __name__ == "__main__":
    main()
