"""Trains the project's own feature network for natural images; `python -m zoo train-resnet --data_dir DIR` calls
`train_resnet`.

SGD with Nesterov momentum under a one-cycle schedule; crops, flips, holes and smoothed labels; bfloat16: 2.4 ms for an
image on one core with AMX. The state is kept after every epoch, and an interrupted run goes on from it. The same torch
version, CPU type, number of threads and seed give the same bytes, interrupted or not. `--start FILE` goes on from
trained weights with a second, lower cycle: no holes, and the weights are averaged over it.
"""

from __future__ import annotations

import copy
import pickle
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.commands.train_lenet.training import write
from zoo.errors import CheckpointError
from zoo.metrics.resnet import WIDTH, ResNet, read_network, to_resnet_input
from zoo.runs.folder import replacing

BATCH, MOMENTUM, DECAY, SMOOTHING = 128, 0.9, 5e-4, 0.1
WARM_UP, CROP, CUT = 0.25, 4, 10  # share of the steps that the learning rate rises; pixels of padding; of the hole
CALIBRATION = 20  # batches that BatchNorm's statistics are taken from in the end
EPOCHS, REFINING_EPOCHS = 35, 8


@dataclass(frozen=True)
class Cycle:
    """One rise and fall of the learning rate.

    Args:
        peak: largest learning rate.
        holes: cut holes into the images.
        average: share that the averaged weights keep of themselves at each step; None averages nothing.
    """

    peak: float
    holes: bool
    average: float | None


TRAINING = Cycle(peak=0.2, holes=True, average=None)
REFINING = Cycle(peak=0.05, holes=False, average=0.998)


def train_resnet(
    root: str,
    *,
    seed: int,
    out: Path,
    epochs: int | None,
    width: int,
    start: str | None,
) -> float:
    """Train on CIFAR-10's 50,000 training images, write `out` (.safetensors, half precision) and its card (.json),
    return the test accuracy of what was written. With `start`, weights that this function wrote (of the same width) are
    refined, and their card stands in the new one.

    The state after each epoch is kept beside `out` (.resume) until the end; where it is found, training goes on from
    it. Raises CheckpointError where it is not of this run, and what the data module raises if the files are absent.
    """
    from zoo.data import CIFAR10

    data = CIFAR10(root=root)
    train, test = data.split("train"), data.split("test")
    if train.labels is None or test.labels is None:
        raise ValueError(f"{root}: CIFAR-10 without labels cannot train a classifier")
    first, card = (None, None) if start is None else read_network(Path(start))
    epochs = epochs or (EPOCHS if first is None else REFINING_EPOCHS)
    state = out.with_suffix(".resume")
    run: dict[str, object] = {"seed": seed, "epochs": epochs, "width": width, "images": train.fingerprint}
    if card is not None:
        run["start"] = card["sha256"]
    began = time.perf_counter()
    net = fit(
        train.images,
        train.labels,
        seed=seed,
        epochs=epochs,
        width=width,
        start=first,
        kept=Kept(state, run=run),
        progress=True,
    )
    seconds = time.perf_counter() - began
    options = f"--seed {seed} --epochs {epochs} --width {width}" + ("" if first is None else " --start FILE")
    net = net.half().float()  # what is measured is what is kept
    result = accuracy(net, test.images, test.labels)
    write(
        in_half_precision(net),
        out,
        card={
            "architecture": "zoo.metrics.resnet.ResNet",
            "width": width,
            "command": f"python -m zoo train-resnet --data_dir DIR {options}",
            "cpu": platform.processor() or platform.machine(),
            "epochs": epochs,
            "seconds": round(seconds),
            "seed": seed,
            "start": card,
            "test_accuracy": result,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "train_fingerprint": train.fingerprint,
        },
    )
    state.unlink(missing_ok=True)
    return result


class Kept:
    """State of a training in one file, replaced as a whole; `run` says which training it is of."""

    def __init__(self, file: Path, *, run: dict[str, object]) -> None:
        self.file = file
        self.run = run

    def save(self, net: nn.Module, optimizer: torch.optim.Optimizer, *, epoch: int) -> None:
        """The state after `epoch` epochs, with the global random state."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        state = {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "random": torch.get_rng_state()}
        with replacing(self.file) as temporary:
            torch.save({"run": self.run, "epoch": epoch, **state}, temporary)

    def load(self, net: nn.Module, optimizer: torch.optim.Optimizer) -> int:
        """Epochs done: 0 where nothing is kept. Sets both arguments and the global random state."""
        if not self.file.is_file():
            return 0
        remedy = "delete it to start anew, or name another file"
        try:
            state: dict[str, Any] = torch.load(self.file, weights_only=True)
        except (RuntimeError, pickle.UnpicklingError, EOFError) as error:
            raise CheckpointError(f"{self.file}: the state of an interrupted training is damaged; {remedy}") from error
        if state.get("run") != self.run:
            raise CheckpointError(
                f"{self.file}: the state is of a training with {state.get('run')}, not {self.run}; {remedy}"
            )
        net.load_state_dict(state["net"])
        optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"])
        return int(state["epoch"])


def fit(
    images: Tensor,
    labels: Tensor,
    *,
    seed: int,
    epochs: int,
    width: int = WIDTH,
    start: ResNet | None = None,
    kept: Kept | None = None,
    progress: bool = False,
) -> ResNet:
    """A trained ResNet in eval mode, or `start` refined; images uint8 [N, 3, 32, 32], labels int64 [N]. The global RNG
    is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = ResNet(width).to(memory_format=torch.channels_last).train()
        if start is not None:
            net.load_state_dict(start.state_dict())
        cycle = TRAINING if start is None else REFINING
        net = _fit(net, images, labels, cycle=cycle, epochs=epochs, kept=kept, progress=progress)
        _calibrate(net, images)
    trained: ResNet = net.eval()
    return trained


def _fit(
    net: ResNet, images: Tensor, labels: Tensor, *, cycle: Cycle, epochs: int, kept: Kept | None, progress: bool
) -> ResNet:
    """The trained network, or its average."""
    from tqdm import tqdm

    size = min(BATCH, len(images))
    in_epoch = len(images) // size
    decayed = [p for p in net.parameters() if p.ndim > 1]
    rest = [p for p in net.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": DECAY}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, lr=cycle.peak, momentum=MOMENTUM, nesterov=True)
    average = net if cycle.average is None else copy.deepcopy(net)
    both = net if average is net else nn.ModuleList([net, average])
    done = kept.load(both, optimizer) if kept else 0
    bar = tqdm(total=epochs * in_epoch, initial=done * in_epoch, unit="batch", disable=not progress or None)
    for epoch in range(done, epochs):
        order = torch.randperm(len(images))[: in_epoch * size]
        for step, batch in enumerate(order.view(-1, size)):
            for group in optimizer.param_groups:
                group["lr"] = cycle.peak * one_cycle((epoch + step / in_epoch) / epochs)
            x = augment(to_resnet_input(images[batch]))
            x = (cut_out(x) if cycle.holes else x).contiguous(memory_format=torch.channels_last)
            loss = _step(net, optimizer, x, labels[batch])
            if cycle.average is not None:
                move(average, net, share=1 - cycle.average)
            bar.update()
        if kept:
            kept.save(both, optimizer, epoch=epoch + 1)
        bar.set_postfix(epoch=epoch + 1, loss=f"{loss.item():.3f}")
    bar.close()
    return average


@torch.no_grad()
def move(average: ResNet, net: ResNet, *, share: float) -> None:
    """Brings the averaged parameters nearer to the network's by a share of the way."""
    for mean, value in zip(average.parameters(), net.parameters(), strict=True):
        mean.lerp_(value, share)


def _step(net: ResNet, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        logits = net(x).logits
    loss = F.cross_entropy(logits.float(), y, label_smoothing=SMOOTHING)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return loss.detach()


def one_cycle(progress: float) -> float:
    """Learning rate in units of its peak: straight up for the first quarter, straight down to 0 after it."""
    return min(progress / WARM_UP, (1 - progress) / (1 - WARM_UP)) if progress < 1 else 0.0


def augment(x: Tensor) -> Tensor:
    """Each image mirrored with probability 1/2, and moved by up to four pixels either way, edges mirrored; x:
    [N, C, H, W]."""
    n, _, h, w = x.shape
    mirrored = torch.rand(n) < 0.5
    padded = F.pad(x, (CROP,) * 4, mode="reflect").permute(0, 2, 3, 1)  # [N, H + 8, W + 8, C]
    top, left = torch.randint(2 * CROP + 1, (2, n, 1))
    rows = top + torch.arange(h)
    columns = left + torch.where(mirrored[:, None], torch.arange(w - 1, -1, -1), torch.arange(w))
    return padded[torch.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def cut_out(x: Tensor) -> Tensor:
    """A square of ten pixels around a random one set to 0, the mean, in each image [N, C, H, W] (DeVries & Taylor
    2017)."""
    inside = []
    for side in x.shape[2:]:
        offset = torch.arange(side) - torch.randint(side, (len(x), 1))  # [N, side]
        inside.append((offset >= -CUT // 2) & (offset < CUT // 2))
    hole = inside[0][:, None, :, None] & inside[1][:, None, None, :]  # [N, 1, H, W]
    return x.masked_fill(hole, 0)


@torch.no_grad()
def _calibrate(net: ResNet, images: Tensor) -> None:
    """BatchNorm's statistics anew, in float32 and of images as they come: the weights moved on since the averages."""
    layers = [m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # plain averages
    for part in images[torch.randperm(len(images))[: CALIBRATION * BATCH]].split(BATCH):  # type: ignore[no-untyped-call]
        net(to_resnet_input(part))


@torch.no_grad()
def accuracy(net: ResNet, images: Tensor, labels: Tensor) -> float:
    """Share of uint8 images [N, 3, H, W] whose largest logit is the label."""
    right = 0
    for start in range(0, len(images), 250):
        part = slice(start, start + 250)
        right += int((net(to_resnet_input(images[part])).logits.argmax(dim=1) == labels[part]).sum())
    return right / len(images)


def in_half_precision(net: ResNet) -> dict[str, Tensor]:
    """The state_dict as it is kept, without the counters of BatchNorm."""
    return {name: value.half().contiguous() for name, value in net.state_dict().items() if value.is_floating_point()}
