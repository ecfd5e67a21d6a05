"""An open GAN benchmark: the same networks, data and budget for every objective, several seeds (no paper).

    zoo benchmark --preset digits --jobs 2
    zoo benchmark --preset mnist --data_dir DIR --jobs 2
    zoo benchmark --preset robustness --jobs 2                   (settings drawn at random)
    python reproductions/benchmark.py fit --recipe digits --model.objective hinge     (one member)

Each objective is a paper's own loss code on DCGAN's community networks at 32x32 (zoo/models/objectives.py). What a
paper has beyond its objective is held equal: z ~ N(0, I), Adam, fresh latents in each loss, reals and samples through D
separately. What cannot be equal stands in each member's label: learning rate, beta1, updates of D for each of G, and the
weight of a penalty. They are those of the papers, or of the code of their authors, for networks of this kind, and
`fit` takes them as options: `OBJECTIVES` below has them.

Differences from the papers
 1. D has no BatchNorm, for WGAN-GP, R1 and the relativistic objective forbid it; it has biases and He et al.'s first
    weights instead. `--batchnorm` runs those that allow it on a D that has it: a table of its own. (The head by which
    InfoGAN's Q reads the codes has its paper's BatchNorm in either.)
 2. LSGAN's authors give G the latents of D's update before it; here they are fresh.
 3. WGAN clips after the update (Algorithm 1), and has no warm start.
 4. InfoGAN's paper moves G at 1e-3; here G has D's 2e-4, since members have one rate. The first GAN and cGAN were trained
    by SGD, and so no setting of theirs is here: their losses have DCGAN's.
 5. The hinge loss stands here without SN-GAN's spectral norm, and R3GAN's without its networks: objectives are
    compared, not what was published with them.
 6. R1's and R3GAN's weights depend on the resolution; gamma is chosen for 32x32. R3GAN's authors let theirs fall while
    training, from 0.05 to 0.005 on CIFAR-10 and from 0.5 to 0.05 on ImageNet at 32x32 (from 150 to 15 at 256x256), with
    learning rates from 2e-4 to 5e-5 and beta2 from 0.9 to 0.99; here all three stay, and gamma is 1: these networks are
    small, have no residuals and train for a budget of minutes. It is no value of theirs, nor tuned: in one trial of
    16,000 digits 10 came further than 1, and 1 further than 0.1 (`robustness` draws it).
 7. InfoGAN's z is drawn as its paper draws it, uniform noise beside the codes; all others have N(0, I).
 8. R1's authors train with RMSProp (learning rate 1e-4, decay 0.99); beta1 of 0 and beta2 of 0.99 are what Adam has of
    it. Its weight is gamma / 2 with gamma = 10, as in their paper; their code does not halve its 10 (gamma = 20). They
    and R3GAN's evaluate an average of G's weights; here no objective has one.
"""

from typing import Any

from zoo.training import Recipe, reproduce
from zoo.training.benchmark import Preset, study_of


def recipe(
    summary: str, data: str, *, images: int, channels: int, monitor: str, width: int = 32, batch_size: int = 64
) -> Recipe:
    """DCGAN's networks at 32x32 on a data set."""
    return Recipe(
        summary,
        {
            "model": {"channels": channels, "width": width},
            "data": {"class_path": f"zoo.data.{data}", "init_args": {"batch_size": batch_size, "resolution": 32}},
            "images": images,
            "evaluation": {"every": images // 10, "extractors": [monitor.split("_")[1].removesuffix("2k")]},
            "keep": {"grid_every": images // 10, "checkpoint_every": images // 10, "monitor": monitor},
        },
    )


SMALL: dict[str, Any] = {"channels": 1, "monitor": "fd_lenet2k", "width": 16, "batch_size": 16}  # many updates, soon

RECIPES = {
    "digits": recipe("the 5,000 embedded digits", "Digits", images=64_000, **SMALL),
    "mnist": recipe("MNIST", "MNIST", images=307_200, channels=1, monitor="fd_lenet2k"),
    "cifar10": recipe("CIFAR-10", "CIFAR10", images=307_200, channels=3, monitor="fd_resnet2k"),
    "robustness": recipe("the 5,000 embedded digits, a short budget", "Digits", images=32_000, **SMALL),
}

ADAM: dict[str, Any] = {"lr": 2e-4, "beta1": 0.5, "n_critic": 1}  # DCGAN, section 4

#: Settings of the model by objective.
OBJECTIVES: dict[str, dict[str, Any]] = {
    "saturating": ADAM,
    "non-saturating": ADAM,
    "lsgan": ADAM,
    "lsgan-pearson": ADAM,
    "hinge": ADAM,
    "wgan": {"optimizer": "rmsprop", "lr": 5e-5, "n_critic": 5, "clip": 0.01},  # the paper's box
    "wgan-gp": {"lr": 1e-4, "beta1": 0.5, "beta2": 0.9, "n_critic": 5, "weight": 10.0},  # gan_mnist.py, gan_cifar.py
    "r1": {"lr": 1e-4, "beta1": 0.0, "beta2": 0.99, "n_critic": 1, "weight": 10.0},  # default.yaml, see 8
    "relativistic": {"lr": 2e-4, "beta1": 0.0, "beta2": 0.99, "n_critic": 1, "weight": 1.0},
    "cgan": ADAM,
    "infogan": {**ADAM, "weight": 1.0},
}
UNCONDITIONAL = [name for name in OBJECTIVES if name not in ("cgan", "infogan")]

#: What Lucic et al. 2018 ("Are GANs created equal?") draw from in their wide range (params.py of their code, compare_gan).
#: BatchNorm in D, which they draw too, is `--batchnorm` here; WGAN keeps RMSProp, and so has no beta1 to draw.
WIDE = {
    "lr": ("log", 1e-5, 1e-2),
    "beta1": ("uniform", 0.0, 1.0),
    "n_critic": ("choice", 1, 5),
    "weight": ("log", 1e-1, 1e2),
    "clip": ("log", 1e-3, 1.0),
}

PRESETS = {
    "digits": Preset(
        "all objectives on the 5,000 embedded digits", "digits", OBJECTIVES, measure="fd_lenet", curve="fd_lenet2k"
    ),
    "mnist": Preset(
        "the unconditional objectives on MNIST",
        "mnist",
        OBJECTIVES,
        measure="fd_lenet",
        curve="fd_lenet2k",
        seeds=5,
        default=UNCONDITIONAL,
    ),
    "cifar10": Preset(
        "the unconditional objectives on CIFAR-10",
        "cifar10",
        OBJECTIVES,
        measure="fd_resnet10k",
        curve="fd_resnet2k",
        default=UNCONDITIONAL,
        extractors=("resnet", "efficientnet"),  # the second is three times as dear, and so not asked while training
    ),
    "robustness": Preset(
        "the unconditional objectives on the embedded digits, settings drawn at random",
        "robustness",
        OBJECTIVES,
        measure="fd_lenet",
        curve="fd_lenet2k",
        seeds=13,
        draws=WIDE,
        default=UNCONDITIONAL,
    ),
}

STUDIES = {name: study_of(preset) for name, preset in PRESETS.items()}

if __name__ == "__main__":
    reproduce("benchmark", RECIPES, studies=STUDIES)
