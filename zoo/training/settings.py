"""The options of a reproduction beside LightningCLI's own: recipe, budget, what is kept, evaluation, fine-tuning."""

from typing import Any, Literal

from lightning.pytorch.cli import LightningArgumentParser

from zoo.errors import UsageError

#: Options that count something; None where they may be left out.
COUNTS = (
    *("images", "generator_steps", "devices", "samples"),
    *("keep.checkpoint_every", "keep.archive_every", "keep.grid_every"),
    *("evaluation.every", "evaluation.samples", "evaluation.test_samples", "evaluation.real_images"),
)

#: Options that the plan takes off the command line before the parser sees it: here for the help alone.
TAKEN_BEFORE = {
    "run_dir": "Folder of the run (default: runs/PAPER/RECIPE/NAME).",
    "name": "Last part of that default (default: the time).",
    "ckpt_path": "last, best or a file: fit goes on from it; test and predict take it (default: last).",
}


def add_options(parser: LightningArgumentParser, *, recipes: str) -> None:
    """Adds them, with this project's defaults for the trainer.

    Args:
        parser: of one subcommand.
        recipes: names of the paper's recipes, for the help.
    """
    add = parser.add_argument
    add(
        "--recipe",
        type=str,
        default="digits",
        help=f"Experiment of the paper: {recipes}.",
    )
    for name, text in TAKEN_BEFORE.items():
        add(f"--{name}", type=str | None, default=None, help=text)
    add("--images", type=int | None, default=None, help="Budget: real images seen, summed over devices.")
    add("--generator_steps", type=int | None, default=None, help="Budget: updates of the generator.")
    add("--data_dir", type=str | None, default=None, help="Folder of the data set (data.root).")
    add("--devices", type=int, default=1, help="Number of devices; the batch is divided among them.")
    add("--compile", type=bool, default=False, help="torch.compile of G and D.")
    add(
        "--matmul_precision",
        type=Literal["highest", "high", "medium"],
        default="highest",
        help="Products of float32 matrices in training: high takes TF32, medium bf16, where the hardware has it.",
    )
    add(
        "--wandb",
        type=bool | str,
        default=False,
        help="Mirror to Weights & Biases: true, or the project's name.",
    )
    add(
        "--keep.checkpoint_every",
        type=int | None,
        default=None,
        help="Images between writings of last.ckpt.",
    )
    add(
        "--keep.archive_every",
        type=int | None,
        default=None,
        help="Images between checkpoints kept for good.",
    )
    add("--keep.grid_every", type=int | None, default=None, help="Images between sample grids.")
    add(
        "--keep.monitor",
        type=str | None,
        default=None,
        help="Measure that decides which checkpoint is best.",
    )
    add(
        "--evaluation.every",
        type=int | None,
        default=None,
        help="Images between evaluations while training.",
    )
    add(
        "--evaluation.samples",
        type=int,
        default=2_000,
        help="Generated images per evaluation while training.",
    )
    add(
        "--evaluation.test_samples",
        type=int | None,
        default=None,
        help="The same for test (default: full).",
    )
    add("--evaluation.real_images", type=int | None, default=None, help="Reference images (default: all).")
    add(
        "--evaluation.extractors",
        type=list[str] | None,
        default=None,
        help="inception, lenet, resnet; default: what suits the data.",
    )
    add(
        "--evaluation.batchnorm",
        type=str,
        default="reestimated",
        help="G's BatchNorm: running, reestimated, batch",
    )
    add("--samples", type=int, default=64, help="Images that predict writes.")
    add(
        "--init_from",
        type=str | None,
        default=None,
        help="Weights that fit starts from: a release, a run's folder or a checkpoint.",
    )
    add("--freeze_d", type=int, default=0, help="Convolutional blocks of D, from the image, that stay as they are.")
    add("--lr_scale", type=float, default=1.0, help="Factor of both players' learning rates.")
    add(
        "--augment",
        type=str | None,
        default=None,
        help="What is done to all that D sees while training: some of color,translation,cutout.",
    )
    parser.set_defaults(
        {
            "trainer.max_epochs": -1,
            "trainer.num_sanity_val_steps": 0,
            "trainer.use_distributed_sampler": False,
            "trainer.enable_model_summary": False,
        }
    )


def refuse_counts_below_one(settings: Any) -> None:
    """Raises UsageError for the first of COUNTS that is set to less than 1; `settings` are those of a subcommand."""
    for name in COUNTS:
        value = settings[name]
        if value is not None and value < 1:
            raise UsageError(f"--{name} must be a whole number of 1 or more, not {value}")
