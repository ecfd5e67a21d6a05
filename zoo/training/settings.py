"""The settings of a reproduction beside LightningCLI's own: what the parser reads, and what the help says of it.

Without torch and Lightning at import, like all that the short help reads. `zoo.experiments.suite.EvaluationSettings`
belongs to them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from zoo.errors import UsageError

if TYPE_CHECKING:
    from lightning.pytorch.cli import LightningArgumentParser

#: Settings that count something; None where they may be left out.
COUNTS = (
    *("images", "generator_steps", "devices", "samples"),
    *("keep.checkpoint_every", "keep.archive_every", "keep.grid_every"),
    *("evaluation.every", "evaluation.samples", "evaluation.test_samples", "evaluation.real_images"),
)


@dataclass
class Place:
    """Where a run lies. The plan takes these off the command line before the parser sees them."""

    run_dir: str | None = None
    """Folder of the run (default: runs/PAPER/RECIPE/NAME)."""
    name: str | None = None
    """Last part of that default (default: the time)."""
    ckpt_path: str | None = None
    """last, best or a file: fit goes on from it, with auto if it can; test and predict take it (default: last)."""
    dry_run: bool = False
    """Say what the run would take (time, memory, disk), measured here, and write nothing."""


@dataclass
class Budget:
    """When training ends."""

    images: int | None = None
    """Budget: real images seen, summed over devices."""
    generator_steps: int | None = None
    """Budget: updates of the generator."""
    scale_phases: bool = False
    """Growing networks: scale the phases so that half the budget is at full resolution (when a run begins)."""


@dataclass
class Run:
    """How and on what it runs."""

    data_dir: str | None = None
    """Folder of the data set (data.root)."""
    devices: int = 1
    """Number of devices; the batch is divided among them."""
    compile: bool = False
    """torch.compile of G and D."""
    matmul_precision: Literal["highest", "high", "medium"] = "highest"
    """Products of float32 matrices in training: high takes TF32, medium bf16, where the hardware has it."""
    wandb: bool | str = False
    """Mirror to Weights & Biases: true, or the project's name."""
    wandb_artifacts: bool = False
    """Send best.ckpt and last.ckpt there, too, when training ends."""


@dataclass
class Keep:
    """What is kept of a training run."""

    checkpoint_every: int | None = None
    """Images between writings of last.ckpt."""
    archive_every: int | None = None
    """Images between checkpoints kept for good."""
    grid_every: int | None = None
    """Images between sample grids."""
    monitor: str | None = None
    """Measure that decides which checkpoint is best."""


@dataclass
class Prediction:
    """What predict writes."""

    samples: int = 64
    """Images that predict writes."""


@dataclass
class FineTuning:
    """Training that starts from trained weights, or on data that are augmented."""

    init_from: str | None = None
    """Weights that fit starts from: a release, a run's folder or a checkpoint."""
    freeze_d: int = 0
    """Convolutional blocks of D, from the image, that stay as they are."""
    lr_scale: float = 1.0
    """Factor of both players' learning rates."""
    augment: str | None = None
    """What is done to all that D sees while training: some of color,translation,cutout."""


#: Settings that only the plan reads: in the parser for the help alone.
TAKEN_BEFORE = tuple(Place.__dataclass_fields__)


def add_settings(parser: LightningArgumentParser, *, recipes: str, base: dict[str, Any]) -> None:
    """Adds them to the parser of one subcommand, with this project's defaults for the trainer and the recipe's for all.

    Args:
        parser: of one subcommand.
        recipes: names of the paper's recipes, for the help.
        base: settings of the recipe or of an earlier `fit`, nested: defaults of the parser.

    Raises:
        UsageError: a setting in `base` that there is not.
    """
    from jsonargparse import set_parsing_settings

    from zoo.experiments.suite import EvaluationSettings

    parser.add_argument("--recipe", type=str, default="digits", help=f"Experiment of the paper: {recipes}.")
    set_parsing_settings(docstring_parse_attribute_docstrings=True)  # of these alone: a second for each of Trainer's
    for settings, group in (
        *((Place, None), (Budget, None), (Run, None), (Keep, "keep")),
        *((EvaluationSettings, "evaluation"), (Prediction, None), (FineTuning, None)),
    ):
        parser.add_class_arguments(settings, group, instantiate=False)
    set_parsing_settings(docstring_parse_attribute_docstrings=False)
    parser.set_defaults(
        {
            "trainer.max_epochs": -1,
            "trainer.num_sanity_val_steps": 0,
            "trainer.use_distributed_sampler": False,
            "trainer.enable_model_summary": False,
        }
    )
    try:
        parser.set_defaults(flat(base))
    except KeyError as error:
        raise UsageError(f"there is no setting {error.args[0]}") from error


def flat(settings: dict[str, Any]) -> dict[str, Any]:
    """Nested settings by their names on the command line: groups are opened, a data set and its arguments stay one."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        group = name in ("model", "trainer", "keep", "evaluation") and isinstance(value, dict)
        found |= {f"{name}.{key}": own for key, own in value.items()} if group else {name: value}
    return found


def refuse_counts_below_one(settings: Any) -> None:
    """Raises UsageError for the first of COUNTS that is set to less than 1; `settings` are those of a subcommand."""
    for name in COUNTS:
        value = settings[name]
        if value is not None and value < 1:
            raise UsageError(f"--{name} must be a whole number of 1 or more, not {value}")
