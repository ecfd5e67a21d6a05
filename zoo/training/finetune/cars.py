"""The study `finetune_colour`: 300 photographs of cars, by a released network of faces and from scratch. No torch."""

from collections.abc import Sequence

from zoo.training.recipes import Lazy
from zoo.training.study import Member, Study

#: CIFAR-10's cars at 64x64: 300 are trained on, the 4,700 others are what every arm is measured against.
CARS = [
    *("--data", "CIFAR10", "--data.classes", "[1]", "--data.resolution", "64", "--data.train_images", "300"),
    *("--data.horizontal_flip", "true", "--evaluation.split", "validation"),
    *("--evaluation.extractors", "[resnet,efficientnet]", "--keep.monitor", "fd_resnet250_validation"),
    *("--evaluation.samples", "250", "--evaluation.test_samples", "500"),
]
AUGMENTED = ("--augment", "color,translation,cutout")
SEEDS = range(3)


def study_of_cars(
    release: str, *, options: Sequence[str], scratch: Sequence[str], images: int, grows: bool = False
) -> Study:
    """Five arms with three seeds each.

    Args:
        release: of faces at 64x64, which fine-tuning starts from.
        options: of every arm: the recipe, batch and BatchNorm.
        scratch: of the two arms that start from nothing: the release's networks.
        images: budget of each arm; it is measured and drawn four times on the way.
        grows: see `Study`.
    """
    often = str(images // 4)
    every = ("--images", str(images), "--evaluation.every", often, "--keep.grid_every", often)
    tuned = ("--init_from", release)
    arms = {
        "scratch": ("from scratch", scratch),
        "scratch-augmented": ("from scratch, augmented", (*scratch, *AUGMENTED)),
        "finetuned": ("fine-tuned", tuned),
        "freeze-1": ("fine-tuned, first block of D frozen", (*tuned, "--freeze_d", "1")),
        "augmented": ("fine-tuned, augmented", (*tuned, *AUGMENTED)),
    }
    return Study(
        f"300 photographs of cars at 64x64, by {release}, against training from scratch",
        {
            f"{arm}-seed{seed}": Member(f"cars, {group}", [*own, f"--seed_everything={seed}"])
            for seed in SEEDS
            for arm, (group, own) in arms.items()
        },
        Lazy("zoo.experiments.finetune.arms_figures"),
        Lazy("zoo.experiments.finetune.arms_findings"),
        options=[*options, *CARS, *every, "--keep.checkpoint_every", often],
        grows=grows,
    )
