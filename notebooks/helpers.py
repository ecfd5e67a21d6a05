"""What the notebooks share: their budget, a quiet training, and figures as small pictures. They need no Jupyter."""

import io
import logging
import os
import textwrap
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from lightning.pytorch import Callback, Trainer

from zoo.data import ImageDataModule
from zoo.models.base.module import AdversarialModule
from zoo.training.callbacks import StopAtBudget

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Value = TypeVar("Value")
Module = TypeVar("Module", bound=AdversarialModule)

BUDGET = "ZOO_NOTEBOOK_BUDGET"


def budget(full: Value, *, fast: Value) -> Value:
    """`full`, or `fast` where the environment variable ZOO_NOTEBOOK_BUDGET says so (a test of the code, no figure).

    Raises:
        ValueError: the variable is neither "full" nor "fast".
    """
    asked = os.environ.get(BUDGET, "full")
    if asked not in ("full", "fast"):
        raise ValueError(f"{BUDGET}={asked!r}: it must be full or fast")
    return full if asked == "full" else fast


def train(
    module: Module, data: ImageDataModule, *, images: int, callbacks: Sequence[Callback] = (), seed: int = 0
) -> Module:
    """Trains on the CPU until `images` real images were seen (in all, if the module has seen some), and says nothing.

    Args:
        module: what is trained, in place.
        data: what it is trained on.
        images: the budget.
        callbacks: that look on.
        seed: of latents and noise.
    """
    module.seed = seed
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = Trainer(
            accelerator="cpu",
            devices=1,
            max_epochs=-1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            callbacks=[StopAtBudget(images=images), *callbacks],
        )
        trainer.fit(module, datamodule=data)
    return module


class Recorder(Callback):
    """Keeps the logged values on the way: `rows` of {"images_seen": ..., "loss_discriminator": ..., ...}.

    Args:
        every: discriminator steps between two rows.
    """

    def __init__(self, *, every: int = 10) -> None:
        self.every = every
        self.rows: list[dict[str, float]] = []

    def on_train_start(self, trainer: Trainer, pl_module: AdversarialModule) -> None:
        pl_module.log_every = self.every

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: AdversarialModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        if pl_module.reported_at == pl_module.images_seen:
            self.rows.append({"images_seen": pl_module.images_seen, **pl_module.latest})


class Looks(Callback):
    """Looks at the module at given times: `seen[images]` is what `look(module)` gave once so many were seen.

    Args:
        look: what to keep.
        at: images seen; a batch that crosses several of them is looked at once for each.
    """

    def __init__(self, look: Callable[[Any], Any], *, at: Iterable[int]) -> None:
        self.look = look
        self.due = sorted(at)
        self.seen: dict[int, Any] = {}

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: AdversarialModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        while self.due and self.due[0] <= pl_module.images_seen:
            self.seen[self.due.pop(0)] = self.look(pl_module)


class Picture:
    """A figure that Jupyter shows as a PNG of few colours, whatever matplotlib's backend is."""

    def __init__(self, png: bytes, text: str) -> None:
        self.png = png
        self.text = text

    def _repr_png_(self) -> bytes:
        return self.png

    def __repr__(self) -> str:
        return self.text


def shown(figure: "Figure", title: str, *, dpi: int = 100, colours: int = 96) -> Picture:
    """The figure under its title, which is what it shows in one sentence.

    Args:
        figure: any; of `zoo.experiments.pictures.drawing.new_figure`, for one.
        title: set above the figure, and the text where there are no pictures.
        dpi: pixels per inch.
        colours: of the picture's palette.
    """
    from PIL import Image

    wide = int(11.5 * figure.get_figwidth())  # letters of this size in a line
    figure.suptitle(textwrap.fill(title, wide), fontsize=10, x=0.01, ha="left", fontweight="bold")
    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=dpi, facecolor="white")
    with Image.open(drawn) as picture:
        flat = picture.convert("RGB").quantize(colors=colours, dither=Image.Dither.NONE)
        flat.save(small, format="png", optimize=True)
    return Picture(small.getvalue(), title)


def seeded(seed: int) -> torch.Generator:
    """A CPU generator of its own."""
    return torch.Generator().manual_seed(seed)
