"""Small players and data for tests of the loop: 8x8 grey images, networks of a few hundred parameters."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor, nn

from zoo.data import ImageArray, ImageDataModule
from zoo.metrics.batchnorm import batchnorm_statistics, estimated
from zoo.models.base.module import AdversarialModule
from zoo.nn.losses import bce_discriminator_loss, gradient_penalty, non_saturating_generator_loss
from zoo.runs.checkpoints import AtomicCheckpointIO
from zoo.training.callbacks import StopAtBudget

SHAPE = (1, 8, 8)
DIAGNOSTICS = ("score_real", "score_fake", *(f"{of}_{net}" for of in ("gradient_norm", "update_ratio") for net in "DG"))


class ToyData(ImageDataModule):
    """n random images with labels; no files."""

    name = "Toy"
    labelled_classes = 3
    channels = 1
    native_resolution = 8

    def __init__(self, *, n: int = 40, batch_size: int = 8, seed: int = 0) -> None:
        super().__init__(batch_size=batch_size, seed=seed)
        generator = torch.Generator().manual_seed(99)
        images = torch.randint(256, (n, *SHAPE), generator=generator, dtype=torch.uint8)
        self.array = ImageArray(images, torch.arange(n) % 3, ("a", "b", "c"), "0" * 64)

    def _load(self, name: str) -> ImageArray:
        return self.array


class ToyGAN(AdversarialModule):
    """Both losses of the first GAN; `penalty` adds a gradient penalty, `dropout` a random stream of its own."""

    paper = "toy"

    def __init__(
        self,
        *,
        n_critic: int = 1,
        width: int = 16,
        dropout: float = 0.0,
        batchnorm: bool = False,
        penalty: float = 0.0,
        lr: float = 1e-2,
    ) -> None:
        super().__init__(image_shape=SHAPE, z_dim=4, n_critic=n_critic)
        self.save_hyperparameters()
        self.penalty, self.lr = penalty, lr
        norm = nn.BatchNorm1d(width) if batchnorm else nn.Identity()
        self.G = nn.Sequential(
            nn.Linear(4, width), norm, nn.ReLU(), nn.Linear(width, 64), nn.Tanh(), nn.Unflatten(1, SHAPE)
        )
        self.D = nn.Sequential(
            nn.Flatten(), nn.Linear(64, width), nn.LeakyReLU(0.2), nn.Dropout(dropout), nn.Linear(width, 1)
        )

    def discriminator_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        fake = self.G(self.sample_z(len(x)))
        loss = bce_discriminator_loss(self.D(x), self.D(fake))
        return loss + self.penalty * gradient_penalty(self.D, x, fake) if self.penalty else loss

    def generator_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        return non_saturating_generator_loss(self.D(self.G(self.sample_z(len(x)))))

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [torch.optim.Adam(net.parameters(), lr=self.lr, betas=(0.5, 0.999)) for net in (self.D, self.G)]


class SGDToy(ToyGAN):
    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [torch.optim.SGD(net.parameters(), lr=0.1) for net in (self.D, self.G)]


class Recorder(Callback):
    """Keeps what a function of the module gives after every batch."""

    def __init__(self, look: Any) -> None:
        self.look = look
        self.seen: list[Any] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.seen.append(self.look(pl_module))


def toy_trainer(
    *callbacks: Callback,
    images: int | None = None,
    generator_steps: int | None = None,
    epochs: int | None = None,
    **settings: Any,
) -> Trainer:
    """A quiet CPU trainer that stops at a budget."""
    options: dict[str, Any] = {
        "accelerator": "cpu",
        "devices": 1,
        "max_epochs": -1,
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "enable_checkpointing": False,
        "use_distributed_sampler": False,
        "plugins": [AtomicCheckpointIO()],
    }
    stop = StopAtBudget(images=images, generator_steps=generator_steps, epochs=epochs)
    return Trainer(**{**options, **settings}, callbacks=[stop, *callbacks])


def fit(module: AdversarialModule, *callbacks: Callback, data: ToyData | None = None, **settings: Any) -> Trainer:
    """Trains on toy data; `ckpt_path` resumes."""
    ckpt_path = settings.pop("ckpt_path", None)
    if any(hasattr(callback, "last_saved") for callback in callbacks):
        settings["enable_checkpointing"] = True
    trainer = toy_trainer(*callbacks, **settings)
    trainer.fit(module, datamodule=data or ToyData(), ckpt_path=ckpt_path, weights_only=True)
    return trainer


def state_of(checkpoint: Path) -> dict[str, Any]:
    """The parts of a checkpoint that decide what comes next, read without executing anything."""
    content = torch.load(checkpoint, weights_only=True)
    return {key: content[key] for key in ("state_dict", "optimizer_states", "zoo", "hyper_parameters")}


def same(a: Any, b: Any) -> bool:
    """Whether two nests of dicts, lists and tensors are equal to the bit."""
    if isinstance(a, Tensor):
        return isinstance(b, Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


def draw_few(patch: pytest.MonkeyPatch) -> None:
    """Evaluators re-estimate BatchNorm from one block, not from up to 10,000 fakes: where no figure's value matters."""

    def few(network: nn.Module, mode: Any, draw: Any, *, draws: int) -> Any:
        return batchnorm_statistics(network, mode, draw, draws=min(draws, 1))

    def few_of_release(network: nn.Module, draw: Any, *, draws: int) -> Any:
        return estimated(network, draw, draws=min(draws, 1))

    patch.setattr("zoo.metrics.evaluator.batchnorm_statistics", few)
    patch.setattr("zoo.releases.statistics.estimated", few_of_release)
