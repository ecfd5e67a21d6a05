"""What test_stylegan.py starts in two gloo processes (and once in one): trains small StyleGANs while they grow."""

import sys
from pathlib import Path
from typing import Any

import torch
from toys import toy_trainer
from two_process_run import DDP, joint_latents

from zoo.data import Digits
from zoo.models.stylegan import StyleGAN


def small(**settings: Any) -> StyleGAN:
    """4x4 up to image 12, fading 8x8 up to 24, 8x8 up to 36, fading 16x16 up to 48."""
    torch.manual_seed(0)
    options = {"fmap_base": 32, "fmap_max": 8, "z_dim": 6, "w_dim": 6, "mapping_layers": 2, "start_resolution": 4}
    growth: dict[str, Any] = {"stabilise_images": 12, "fade_images": 12, "batch_sizes": {4: 8, 16: 4}}
    return StyleGAN(resolution=16, channels=1, **options, **growth, **settings)


def main(out: Path, world: int) -> None:
    seen: dict[str, Any] = {}
    # C: without noise and mixing, which each process draws for itself, and without the constant input. (The instance
    # norm of a constant plus a bias forgets the bias: its gradient is rounding, and Adam makes steps of it.)
    for config in ("C", "F"):
        module = small(config=config, group_size=1, w_average_beta=0.9)
        joint_latents(module)
        settings: dict[str, Any] = {"strategy": DDP, "devices": world} if world > 1 else {}
        toy_trainer(images=64, **settings).fit(module, datamodule=Digits(resolution=16, train_images=200))
        seen[config] = {name: value.clone() for name, value in module.state_dict().items()}
    torch.save(seen, out / f"styles-{world}-{module.global_rank}.pt")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), int(sys.argv[2]))
