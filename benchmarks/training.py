"""Training steps per second through Lightning against hand-written PyTorch loops, side by side.

    python benchmarks/training.py [--data_dir DIR] [--rounds 6] [--only dcgan|gan|wgan_gp] [--quick]
        [--clock cpu --threads 1]

Our side is what a reproduction script runs: its module, data module, Trainer and callbacks, with `metrics.jsonl` in a
temporary folder. The others are loops without Lightning on copies of the same networks and pixels:
- careful: the same order of updates, precision and memory format; no graph through G in D's update, D frozen in G's
  (for GAN: both gradients before either player moves; for WGAN-GP: five critic updates, then the generator's);
- tutorial: two forwards of G with gradients, D not frozen, float32, contiguous memory.

Each round runs every side for as many steps in one process, there and back (A B C, then C B A); ratios are taken within
a round. Start-up, checkpoints and grids are not timed: recipes write them once in hundreds of thousands of images.
`--clock cpu --threads 1` counts processor seconds instead, for a machine that is shared.
"""

import argparse
import collections
import contextlib
import copy
import io
import itertools
import logging
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.data import CIFAR10, MNIST, Digits, ImageArray, ImageDataModule
from zoo.models.base.module import AdversarialModule
from zoo.models.dcgan import DCGAN
from zoo.models.gan import GAN
from zoo.models.wgan_gp import WGANGP
from zoo.runs.checkpoints import AtomicCheckpointIO
from zoo.training.callbacks import CounterCheckpoint, Evaluation, ImageProgress, SampleGrid, StopAtBudget
from zoo.training.loggers import JsonlLogger

WARM_UP = 2  # untimed steps at the head of each round
Side = Callable[[int], float]  # makes so many steps, returns seconds a step
now = time.perf_counter


class RandomPixels(ImageDataModule):
    """10,000 images of noise in the shape of CIFAR-10: the speed of a step does not depend on the pixels."""

    name = "random 32x32x3"
    native_resolution = 32

    def _load(self, name: str) -> ImageArray:
        generator = torch.Generator().manual_seed(0)
        images = torch.randint(256, (10_000, 3, 32, 32), generator=generator, dtype=torch.uint8)
        return ImageArray(images, None, None, "random")


class Clock(StopAtBudget):
    """Notes the time at the end of each batch, before other callbacks: from end to end, all that a step costs.

    In the place of the callback that it extends: every callback more would cost each step some hooks.
    """

    def __init__(self, *, images: int) -> None:
        super().__init__(images=images)
        self.ends: list[float] = []

    def on_train_batch_end(self, *arguments: Any) -> None:
        self.ends.append(now())
        super().on_train_batch_end(*arguments)


def through_lightning(module: AdversarialModule, data: ImageDataModule, *, precision: Any, folder: Path) -> Side:
    """The module under a new Trainer for each round, set as `zoo.training.cli` sets it."""

    def side(steps: int) -> float:
        budget = module.images_seen + (WARM_UP + steps) * data.batch_size
        clock = Clock(images=budget)
        far = 10**9  # intervals that are watched, but not reached in a round
        callbacks = [
            clock,
            ImageProgress(images=budget),
            SampleGrid(folder / "grids", every=far),
            Evaluation(lambda module: {}, every=None),
            Callback(),  # stands for the run's report
            CounterCheckpoint(folder / "checkpoints", every=far, monitor="fid2k"),
        ]
        trainer = Trainer(
            accelerator="cpu",
            devices=1,
            precision=precision,
            max_epochs=-1,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            enable_model_summary=False,
            callbacks=callbacks,
            logger=JsonlLogger(folder),
            plugins=[AtomicCheckpointIO()],
        )
        with contextlib.redirect_stderr(io.StringIO()):  # the progress bar is drawn, but not here
            trainer.fit(module, datamodule=data)
        return (clock.ends[-1] - clock.ends[WARM_UP - 1]) / steps

    return side


def by_hand(loop: Iterator[None]) -> Side:
    """A hand-written loop, given as an iterator that makes one step at a time."""

    def side(steps: int) -> float:
        collections.deque(itertools.islice(loop, WARM_UP), maxlen=0)
        start = now()
        collections.deque(itertools.islice(loop, steps), maxlen=0)
        return (now() - start) / steps

    return side


def batches(images: Tensor, size: int) -> Iterator[Tensor]:
    """Shuffled uint8 batches of a tensor in memory, for ever."""
    while True:
        order = torch.randperm(len(images))
        for start in range(0, len(images) - size + 1, size):
            yield images[order[start : start + size]]


def adam(net: nn.Module) -> torch.optim.Adam:
    return torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999))


def careful_dcgan(G: nn.Module, D: nn.Module, images: Tensor, *, batch_size: int, bf16: bool) -> Iterator[None]:
    """Two forwards of G, the first without a graph; D frozen while G learns."""
    optimizer_D, optimizer_G = adam(D), adam(G)
    for pixels in batches(images, batch_size):
        x = pixels.float().div_(127.5).sub_(1)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            with torch.no_grad():
                fake = G(torch.randn(batch_size, 100))
            loss_D = F.softplus(-D(x)).mean() + F.softplus(D(fake)).mean()
        optimizer_D.zero_grad()
        loss_D.backward()
        optimizer_D.step()
        D.requires_grad_(False)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            loss_G = F.softplus(-D(G(torch.randn(batch_size, 100)))).mean()
        optimizer_G.zero_grad()
        loss_G.backward()
        optimizer_G.step()
        D.requires_grad_(True)
        yield


def tutorial_dcgan(G: nn.Module, D: nn.Module, images: Tensor, *, batch_size: int) -> Iterator[None]:
    """Two forwards of G with gradients, D not frozen, float32, contiguous."""
    optimizer_D, optimizer_G = adam(D), adam(G)
    ones, zeros = torch.ones(batch_size, 1), torch.zeros(batch_size, 1)
    for pixels in batches(images, batch_size):
        x = pixels.float() / 127.5 - 1
        optimizer_D.zero_grad()
        fake = G(torch.randn(batch_size, 100))
        loss_D = F.binary_cross_entropy_with_logits(D(x), ones)
        loss_D = loss_D + F.binary_cross_entropy_with_logits(D(fake.detach()), zeros)
        loss_D.backward()
        optimizer_D.step()
        optimizer_G.zero_grad()
        F.binary_cross_entropy_with_logits(D(G(torch.randn(batch_size, 100))), ones).backward()
        optimizer_G.step()
        yield


def careful_gan(G: nn.Module, D: nn.Module, images: Tensor, *, batch_size: int) -> Iterator[None]:
    """Both gradients on the same minibatch, latents and dropout mask before either player moves."""
    players = (D, G)
    optimizers = [torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.5) for net in players]
    for step, pixels in enumerate(batches(images, batch_size)):
        x = pixels.float().div_(255).flatten(1)
        for optimizer in optimizers:
            optimizer.param_groups[0]["lr"] = max(1e-6, 0.1 / 1.000004**step)
        fake_logits = D(G((torch.rand(batch_size, 100) * 2 - 1) * 3**0.5))
        loss_D = 0.5 * (F.softplus(-D(x)).mean() + F.softplus(fake_logits).mean())
        losses = (loss_D, F.softplus(-fake_logits).mean())
        for net, loss in zip(players, losses, strict=True):
            parameters = list(net.parameters())
            gradients = torch.autograd.grad(loss, parameters, retain_graph=loss is loss_D)
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient
        for optimizer in optimizers:
            optimizer.step()
        yield


def careful_wgan_gp(G: nn.Module, D: nn.Module, images: Tensor, *, batch_size: int) -> Iterator[None]:
    """A critic update a batch, reals and samples in one pass of D; every fifth is followed by a generator update."""
    optimizer_D, optimizer_G = (
        torch.optim.Adam(net.parameters(), lr=1e-4, betas=(0.5, 0.9), fused=True) for net in (D, G)
    )
    for step, pixels in enumerate(batches(images, batch_size), start=1):
        x = pixels.float().div_(255)
        with torch.no_grad():
            fake = G(torch.randn(batch_size, 128))
        real_scores, fake_scores = D(torch.cat([x, fake])).chunk(2)
        epsilon = torch.rand(batch_size, 1, 1, 1)
        x_hat = (epsilon * x + (1 - epsilon) * fake).requires_grad_()
        (gradient,) = torch.autograd.grad(D(x_hat).sum(), x_hat, create_graph=True)
        penalty = (gradient.flatten(1).norm(dim=1) - 1).square().mean()
        optimizer_D.zero_grad()
        (fake_scores.mean() - real_scores.mean() + 10 * penalty).backward()
        optimizer_D.step()
        if step % 5 == 0:
            D.requires_grad_(False)
            optimizer_G.zero_grad()
            (-D(G(torch.randn(batch_size, 128))).mean()).backward()
            optimizer_G.step()
            D.requires_grad_(True)
        yield


def contest(sides: dict[str, Side], *, steps: int, rounds: int) -> dict[str, list[float]]:
    """Steps per second of each side in each round; the order is reversed from round to round."""
    names = list(sides)
    for name in names:
        sides[name](1)  # first touch of memory, kernels chosen
    speeds: dict[str, list[float]] = {name: [] for name in names}
    for i in range(rounds):
        for name in names if i % 2 == 0 else reversed(names):
            speeds[name].append(1 / sides[name](steps))
    return speeds


def spread(values: list[float], digits: int) -> str:
    return f"{statistics.median(values):.{digits}f} [{min(values):.{digits}f}-{max(values):.{digits}f}]"


def table(title: str, speeds: dict[str, list[float]], targets: dict[tuple[str, str], float]) -> None:
    print(f"\n{title}\n\n| side | steps/s |\n|---|---|")
    for name, values in speeds.items():
        print(f"| {name} | {spread(values, 2)} |")
    print("\n| ratio | median [min-max] | target | |\n|---|---|---|---|")
    for (ours, other), target in targets.items():
        ratios = [a / b for a, b in zip(speeds[ours], speeds[other], strict=True)]
        verdict = "reached" if statistics.median(ratios) >= target else "missed"
        print(f"| {ours} / {other} | {spread(ratios, 3)} | >= {target} | {verdict} |", flush=True)


def dcgan(arguments: argparse.Namespace, folder: Path) -> None:
    """Community network at 32x32, width 64, batch 128."""
    root = arguments.data_dir
    data = CIFAR10(root=root, batch_size=128, download=False) if root else RandomPixels(batch_size=128)
    images, size = data.split("train").images, data.batch_size
    module = DCGAN(network="community", resolution=32)

    def copies(memory_format: torch.memory_format = torch.channels_last) -> Iterator[nn.Module]:
        return (copy.deepcopy(net).to(memory_format=memory_format) for net in (module.G, module.D))

    speeds = contest(
        {
            "zoo fp32": through_lightning(copy.deepcopy(module), data, precision="32-true", folder=folder),
            "careful fp32": by_hand(careful_dcgan(*copies(), images, batch_size=size, bf16=False)),
            "tutorial fp32": by_hand(tutorial_dcgan(*copies(torch.contiguous_format), images, batch_size=size)),
            "careful bf16": by_hand(careful_dcgan(*copies(), images, batch_size=size, bf16=True)),
            "zoo bf16": through_lightning(copy.deepcopy(module), data, precision="bf16-mixed", folder=folder),
        },
        steps=3 if arguments.quick else 12,
        rounds=arguments.rounds,
    )
    targets = {
        ("zoo fp32", "careful fp32"): 0.98,
        ("zoo bf16", "careful bf16"): 0.98,
        ("zoo fp32", "tutorial fp32"): 1.15,
        ("zoo bf16", "tutorial fp32"): 1.75,
    }
    table(f"DCGAN community 32x32, width 64, batch {size}, {data.name}", speeds, targets)


def gan(arguments: argparse.Namespace, folder: Path) -> None:
    """MNIST networks, simultaneous update, batch 100; without data, the 5,000 embedded digits."""
    root = arguments.data_dir
    data = MNIST(root=root, batch_size=100, train_images=50_000) if root else Digits(batch_size=100)
    images, size = data.split("train").images, data.batch_size
    module = GAN(network="mnist")
    networks = (copy.deepcopy(net) for net in (module.G, module.D))
    speeds = contest(
        {
            "zoo": through_lightning(module, data, precision="32-true", folder=folder),
            "careful": by_hand(careful_gan(*networks, images, batch_size=size)),
        },
        steps=10 if arguments.quick else 120,
        rounds=arguments.rounds,
    )
    table(f"GAN mnist, simultaneous, batch {size}, {data.name}", speeds, {("zoo", "careful"): 0.95})


def wgan_gp(arguments: argparse.Namespace, folder: Path) -> None:
    """MNIST network, penalty, five critic updates for one of the generator, batch 50; the loop has the same layers."""
    root = arguments.data_dir
    data = MNIST(root=root, batch_size=50) if root else Digits(batch_size=50)
    images, size = data.split("train").images, data.batch_size
    module = WGANGP(network="mnist")
    networks = (copy.deepcopy(net) for net in (module.G, module.D))
    speeds = contest(
        {
            "zoo": through_lightning(module, data, precision="32-true", folder=folder),
            "careful": by_hand(careful_wgan_gp(*networks, images, batch_size=size)),
        },
        steps=5 if arguments.quick else 20,
        rounds=arguments.rounds,
    )
    table(f"WGAN-GP mnist, n_critic 5, batch {size}, {data.name}", speeds, {("zoo", "careful"): 0.97})


def add_options(parser: argparse.ArgumentParser, *, threads: int) -> None:
    """What `prepare` reads, and --quick; `threads` is the default."""
    parser.add_argument("--rounds", type=int, default=None, help="default: 6, with --quick 2")
    parser.add_argument("--threads", type=int, default=threads)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--quick", action="store_true", help="few and short rounds: does it run?")


def prepare(arguments: argparse.Namespace) -> None:
    """Sets rounds, clock, threads and seed, silences warnings, says what runs where."""
    global now
    arguments.rounds = arguments.rounds or (2 if arguments.quick else 6)
    if arguments.clock == "cpu":
        now = time.process_time
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    print(
        f"torch {torch.__version__}, {arguments.threads} threads, {os.cpu_count()} cores, {arguments.clock} clock, "
        f"{arguments.rounds} rounds, load at the start {os.getloadavg()[0]:.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir", default=None, help="CIFAR-10 and MNIST (default: random pixels, embedded digits)")
    add_options(parser, threads=2)
    parser.add_argument("--only", choices=("dcgan", "gan", "wgan_gp"), default=None)
    arguments = parser.parse_args()
    prepare(arguments)
    for name, run in (("dcgan", dcgan), ("gan", gan), ("wgan_gp", wgan_gp)):
        if arguments.only in (None, name):
            with tempfile.TemporaryDirectory() as folder:
                run(arguments, Path(folder))


if __name__ == "__main__":
    main()
