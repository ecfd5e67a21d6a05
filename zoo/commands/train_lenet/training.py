"""Trains the project's own feature network; `python -m zoo train-lenet --data_dir DIR` calls `train_lenet`.

One to two minutes on one CPU core. The same torch version, CPU type and seed give the same bytes.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.metrics.features import full_float32, sha256_of
from zoo.metrics.lenet import LeNet, to_lenet_input
from zoo.runs.folder import write_atomically
from zoo.runs.tensors import write_tensors

BATCH, LEARNING_RATE, MAX_SHIFT = 128, 2e-3, 2


def train_lenet(root: str, *, seed: int, out: Path, epochs: int) -> float:
    """Train on MNIST's 60,000 training images, write `out` (.safetensors) and its card (.json), return test
    accuracy.

    `root` is the folder that holds `MNIST/raw`. Raises what the data module raises if the files are absent.
    """
    from zoo.data import MNIST

    data = MNIST(root=root)
    train, test = data.split("train"), data.split("test")
    if train.labels is None or test.labels is None:
        raise ValueError(f"{root}: MNIST without labels cannot train a classifier")
    net = fit(train.images, train.labels, seed=seed, epochs=epochs)
    result = accuracy(net, test.images, test.labels)
    write(
        net.state_dict(),
        out,
        card={
            "architecture": "zoo.metrics.lenet.LeNet",
            "command": f"python -m zoo train-lenet --data_dir DIR --seed {seed} --epochs {epochs}",
            "cpu": platform.processor() or platform.machine(),
            "epochs": epochs,
            "seed": seed,
            "test_accuracy": result,
            "torch": torch.__version__,
            "train_fingerprint": train.fingerprint,
        },
    )
    return result


def fit(images: Tensor, labels: Tensor, *, seed: int, epochs: int) -> LeNet:
    """LeNet trained with Adam and shifts of up to two pixels; images uint8 [N, 1, H, W], labels int64 [N].

    One thread, own generator: the result does not depend on the machine's load, and the global RNG is left as
    it was.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]), full_float32(images.device):
            torch.manual_seed(seed)
            return _fit(to_lenet_input(images), labels, epochs=epochs)
    finally:
        torch.set_num_threads(threads)


def _fit(x: Tensor, y: Tensor, *, epochs: int) -> LeNet:
    net = LeNet().train()
    optimizer = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE)
    steps = epochs * (len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
    for _ in range(epochs):
        order = torch.randperm(len(x))
        for batch in order[: len(x) // BATCH * BATCH].view(-1, BATCH):
            loss = F.cross_entropy(net(shift(x[batch])).logits, y[batch])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return net.eval()


def shift(x: Tensor) -> Tensor:
    """Each image moved by up to two pixels either way, zeros moving in; x: [N, 1, 32, 32]."""
    n, size = len(x), x.shape[-1]
    padded = F.pad(x[:, 0], (MAX_SHIFT,) * 4)  # [N, 36, 36]
    rows, columns = torch.randint(2 * MAX_SHIFT + 1, (2, n, 1)) + torch.arange(size)  # each [N, 32]
    return padded[torch.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]][:, None]


@torch.no_grad()
def accuracy(net: LeNet, images: Tensor, labels: Tensor) -> float:
    """Share of uint8 images [N, C, H, W] whose largest logit is the label."""
    right = 0
    for start in range(0, len(images), 1000):
        part = slice(start, start + 1000)
        right += int((net(to_lenet_input(images[part])).logits.argmax(dim=1) == labels[part]).sum())
    return right / len(images)


def write(tensors: Mapping[str, Tensor], out: Path, *, card: Mapping[str, object]) -> None:
    """Weights first, card last, each in one step: an interrupted run leaves no pair that passes the check."""
    out.parent.mkdir(parents=True, exist_ok=True)
    write_tensors(out, {name: value.contiguous() for name, value in tensors.items()})
    content = {"sha256": sha256_of(out), **card}
    write_atomically(out.with_suffix(".json"), json.dumps(content, indent=2, sort_keys=True) + "\n")
