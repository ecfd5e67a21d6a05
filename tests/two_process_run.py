"""What test_two_processes.py starts in two gloo processes (and once in one): trains, evaluates, writes what it saw."""

import sys
from pathlib import Path
from typing import Any

import torch
from registry import small_data, small_model
from torch import Tensor, nn
from toys import SGDToy, ToyData, ToyGAN, fit

from zoo.data import Digits
from zoo.errors import NonFiniteLossError
from zoo.metrics.evaluator import Evaluator
from zoo.metrics.lenet import LeNetExtractor
from zoo.models import MODELS
from zoo.models.base.module import AdversarialModule
from zoo.models.dcgan import DCGAN
from zoo.models.gan import GAN
from zoo.training.callbacks import CounterCheckpoint, Evaluation
from zoo.training.finetune.augment import augment_discriminator
from zoo.training.finetune.freeze import freeze_discriminator

DDP = "ddp_find_unused_parameters_true"


def joint_latents(module: AdversarialModule) -> None:
    """Gives each rank its share of one global list of latents, so that two ranks together draw what one would."""
    calls = torch.Generator()

    def sample_z(n: int) -> Tensor:
        world = module.trainer.world_size
        z = torch.randn(n * world, module.z_dim, generator=calls.manual_seed(calls.initial_seed() + 1))
        return z[module.global_rank :: world]

    module.sample_z = sample_z


class NanOnTheLastRank(ToyGAN):
    """The loss of one rank is lost at the very step at which losses are looked at."""

    def discriminator_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        last = self.global_rank == self.trainer.world_size - 1
        return super().discriminator_loss(x, y) * (float("nan") if last and self.images_seen == 8 * 2 else 1.0)


class SmallGAN(GAN):
    """GAN on the toy's 8x8 images."""

    def __init__(self) -> None:
        super().__init__()
        self.image_shape = (1, 8, 8)
        self.G = nn.Sequential(nn.Linear(100, 32), nn.ReLU(), nn.Linear(32, 64), nn.Sigmoid())
        self.D = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))


def train(
    module: AdversarialModule, *callbacks: Any, world: int, data: Any = None, **settings: Any
) -> dict[str, Tensor]:
    strategy = {"strategy": DDP, "devices": world} if world > 1 else {}
    fit(module, *callbacks, data=data or ToyData(), **strategy, **settings)
    return {name: parameter.detach().clone() for name, parameter in module.named_parameters()}


def train_paper(paper: str, *, out: Path, world: int) -> dict[str, Any]:
    """A paper of the registry in small: trained in one go, and in two parts."""
    seen: dict[str, Any] = {}
    for name, parts in (("trained", (6,)), ("resumed", (3, 6))):
        for batches in parts:
            torch.manual_seed(1)
            module = small_model(paper)
            seen["start"] = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
            folder = out / paper / name
            checkpoint = folder / "last.ckpt" if batches != parts[0] else None
            settings = {"images": 8 * batches, "ckpt_path": checkpoint, "data": small_data(paper)}
            seen[name] = train(module, CounterCheckpoint(folder), world=world, **settings)
    seen["counters"] = (module.images_seen, module.discriminator_steps, module.generator_steps)
    seen["latents"] = module.sample_z(4)
    return seen


def train_frozen(*, world: int) -> dict[str, Any]:
    """DCGAN with two blocks of D frozen and all that D sees augmented."""
    torch.manual_seed(1)
    module = small_model("dcgan")
    frozen = freeze_discriminator(module, 2)
    augment_discriminator(module, "color,translation,cutout")
    before = {name: value.clone() for name, value in module.state_dict().items()}
    train(module, world=world, images=8 * 2, data=small_data("dcgan"))
    return {"frozen": frozen, "before": before, "after": dict(module.state_dict())}


def measure_averages(*, world: int) -> dict[str, Any]:
    """BatchNorm's averages as an evaluation finds them, a function of each rank, and the values that it takes."""
    torch.manual_seed(1)
    found: list[Tensor] = []

    def measure(module: AdversarialModule) -> dict[str, float]:
        found.append(torch.cat([buffer.flatten().double() for buffer in module.buffers()]))
        return {"rank": float(module.global_rank)}

    evaluation = Evaluation(measure, every=8)
    train(ToyGAN(batchnorm=True), evaluation, world=world, images=8 * 3)
    return {"found": torch.stack(found), "values": evaluation.latest}


def main(out: Path, world: int) -> None:
    seen: dict[str, Any] = {}
    torch.manual_seed(0)
    module: AdversarialModule = SGDToy(n_critic=2)
    joint_latents(module)
    seen["joint"] = train(module, world=world, images=8 * 4)
    module = SmallGAN()
    joint_latents(module)
    seen["joint_gan"] = train(module, world=world, images=8 * 4)
    seen["counters"] = (module.images_seen, module.discriminator_steps, module.generator_steps)

    torch.manual_seed(1)
    module = ToyGAN(batchnorm=True, dropout=0.5)
    seen["trained"] = train(module, CounterCheckpoint(out / "whole"), world=world, images=8 * 20)
    seen["latents"], seen["noise"] = module.sample_z(4), torch.rand(4)
    rank = module.global_rank
    for images, resume in [(8 * 10, None), (8 * 20, out / "parts/last.ckpt")]:
        torch.manual_seed(1)
        module = ToyGAN(batchnorm=True, dropout=0.5)
        settings = {"images": images, "ckpt_path": resume}
        seen["resumed"] = train(module, CounterCheckpoint(out / "parts"), world=world, **settings)
    seen["resumed_latents"] = module.sample_z(4)

    module = NanOnTheLastRank()
    module.log_every = 3
    try:
        train(module, world=world, images=8 * 50)
    except NonFiniteLossError:
        seen["stopped_at"] = module.images_seen

    torch.manual_seed(2)
    dcgan = DCGAN(network="community", resolution=32, channels=1, width=8)
    evaluator = Evaluator(
        [LeNetExtractor()], data=Digits(resolution=32), n_real=500, n_fake=490, block=50, batchnorm="reestimated",
        batchnorm_samples=100, cache_dir=out / f"statistics-{world}",
    )  # fmt: skip
    seen["values"] = evaluator.run(dcgan).values
    if world > 1:
        seen["tuned"] = train_frozen(world=world)
        seen["averages"] = measure_averages(world=world)
        seen["papers"] = {paper: train_paper(paper, out=out, world=world) for paper in MODELS}
    torch.save(seen, out / f"seen-{world}-{rank}.pt")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), int(sys.argv[2]))
