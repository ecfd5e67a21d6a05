"""What test_pggan.py starts in two gloo processes (and once in one): trains a small PGGAN while it grows."""

import sys
from pathlib import Path
from typing import Any

import torch
from toys import toy_trainer
from two_process_run import DDP, joint_latents

from zoo.data import Digits
from zoo.models.pggan import PGGAN
from zoo.training.callbacks import CounterCheckpoint

#: 4x4 up to image 12, fading 8x8 up to 24, 8x8 up to 36, fading 16x16 up to 48
GROWTH: dict[str, Any] = {"stabilise_images": 12, "fade_images": 12, "batch_sizes": {4: 8, 16: 4}}


def small(**settings: Any) -> PGGAN:
    torch.manual_seed(0)
    options = {**GROWTH, "schedule": "cifar10", "fmap_base": 32, "fmap_max": 8, "group_size": 2, **settings}
    return PGGAN(resolution=16, channels=1, **options)


def train(module: PGGAN, *callbacks: Any, world: int, images: int, ckpt_path: Path | None = None) -> None:
    settings: dict[str, Any] = {"strategy": DDP, "devices": world} if world > 1 else {}
    trainer = toy_trainer(
        *callbacks,
        images=images,
        enable_checkpointing=any(isinstance(c, CounterCheckpoint) for c in callbacks),
        **settings,
    )
    data = Digits(resolution=16, train_images=200)
    trainer.fit(module, datamodule=data, ckpt_path=ckpt_path, weights_only=True)


def parameters(module: PGGAN) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in module.named_parameters()}


def main(out: Path, world: int) -> None:
    seen: dict[str, Any] = {}
    for name, joint in (("alternating", False), ("jointly", True)):
        # The penalty's random points differ with the number of processes; one group a rank would, too.
        module = small(joint_update=joint, gp_weight=0.0, group_size=1)
        joint_latents(module)
        train(module, world=world, images=64)
        seen[name] = parameters(module)
        seen["images_seen"] = module.images_seen
    rank, folder = module.global_rank, out / f"{world}"
    module = small()
    train(module, CounterCheckpoint(folder / "whole"), world=world, images=60)
    seen["whole"] = parameters(module)
    for images, resume in ((20, None), (60, folder / "parts/last.ckpt")):  # stops inside the first fade
        module = small()
        train(module, CounterCheckpoint(folder / "parts"), world=world, images=images, ckpt_path=resume)
    seen["resumed"] = parameters(module)
    torch.save(seen, out / f"grown-{world}-{rank}.pt")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), int(sys.argv[2]))
