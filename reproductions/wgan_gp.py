"""Improved Training of Wasserstein GANs (Gulrajani et al., NIPS 2017, arXiv 1704.00028).

    python reproductions/wgan_gp.py fit  --recipe cifar10_resnet --data_dir DIR
    python reproductions/wgan_gp.py test --run_dir runs/wgan_gp/cifar10_resnet/NAME

Reported and reached (written by `python -m zoo reached --write`)
    not run
End of the table

Reported (table 3): CIFAR-10 Inception score 7.86 +/- 0.07 without labels (`cifar10_resnet`) and 8.42 +/- 0.10 with
labels (`cifar10_acgan`), each of 50,000 samples. Whether at the best or the last checkpoint is not reported: compare
both. Figure 1 (points in the plane), figure 3 (curves without a table) and the overfitting of 1,000 digits
(`critic_gap_train` leaves `critic_gap_validation`) have no tabulated values.

Differences from the paper and from the authors' code
 1. Each block of five critic updates is followed by a generator update. The authors' loop begins an iteration with the
    generator's and skips it in the first: the same sequence, but for the last block. `cifar10_resnet` ends with a
    generator update at learning rate 0, the authors' with critic updates at 2e-9.
 2. lambda is 10 in the text for all experiments; the authors' toy script has 0.1, and so have the toy recipes.
 3. beta1 is 0 in the paper's Algorithm 1; the scripts for the plane, MNIST and CIFAR-10 (DCGAN) have 0.5, as here. For
    LSUN the appendix says 0.5 and the script 0: here 0.5 (`--model.beta1 0.0`).
 4. The text puts the residual blocks' upsampling before the second convolution, the code before the first: as the code.
 5. The ResNet script splits each batch into two halves, which BatchNorm normalises apart (32 samples at a time in a
    critic update, 64 in a generator update); here they are normalised together.
 6. The authors generate with batch statistics at all times. Here figures are taken with statistics re-estimated on
    fixed latents (`--evaluation.batchnorm batch` gives theirs). Conditional BatchNorm as well.
 7. TensorFlow's Adam adds epsilon to a root that is not bias-corrected; PyTorch's to one that is.
 8. The 1x1 convolutions of the residual shortcuts run before doubling and after pooling: the same values, less work.
 9. The CIFAR-10 ResNets' samples are cut off at (x + 1) * 128, which undoes the dequantisation; the authors cut off
    (x + 1) * 127.995.
10. The toy recipes draw every batch afresh. The authors' 25 Gaussians repeat a set of 100,000 points.
11. `mnist_1000` takes the network of the MNIST script and the first 1,000 training digits: the paper names
    neither.
12. `lsun64` is one of the appendix's seven architectures, "Good" in the script. The others, the 200 random ones on
    ImageNet and the language model are not here, nor are the clipping and DCGAN modes of the scripts (see wgan.py
    and dcgan.py).
13. `celeba` and `digits` are extensions without a reported figure.
14. `surface_*` trains the critic alone against reals plus N(0, I), as in figure 1; `WGANGP.critic_surface` gives the
    contours. How long the paper trains it is not reported; the samples in the grids are of an untrained generator.
"""

from typing import Any

from zoo.cli import reproduce
from zoo.models.wgan_gp import WGANGP
from zoo.recipes import Recipe

DISTRIBUTIONS = {"8gaussians": "8 Gaussians", "25gaussians": "25 Gaussians", "swissroll": "swiss roll"}


def points(summary: str, distribution: str, *, images: int, **model: Any) -> Recipe:
    """256 fresh points a batch."""
    return Recipe(
        summary,
        {
            "model": {"network": "toy", **model},
            "data": {
                "class_path": "zoo.data.toy.ToyPoints",
                "init_args": {"distribution": distribution, "batch_size": 256},
            },
            "images": images,
            "keep": {"grid_every": 1_280_000, "checkpoint_every": 1_280_000},
        },
    )


def resnet(summary: str, **model: Any) -> Recipe:
    """100,000 generator updates of five batches of 64."""
    return Recipe(
        summary,
        {
            "model": {"network": "cifar10_resnet", **model},
            "data": {"class_path": "zoo.data.CIFAR10", "init_args": {"batch_size": 64}},
            "images": 32_000_000,
            "keep": {"grid_every": 500_000, "checkpoint_every": 250_000},
        },
    )


RECIPES = {
    "cifar10_resnet": resnet("table 3, without labels: Inception score 7.86 +/- 0.07"),
    "cifar10_acgan": resnet("table 3, with labels (AC-GAN): Inception score 8.42 +/- 0.10", num_classes=10),
    "cifar10": Recipe(
        "figure 3: DCGAN-like networks on CIFAR-10, 200,000 generator updates",
        {
            "model": {"network": "cifar10"},
            "data": {"class_path": "zoo.data.CIFAR10", "init_args": {"batch_size": 64}},
            "images": 64_000_000,
            "keep": {"grid_every": 1_000_000, "checkpoint_every": 500_000},
        },
    ),
    "mnist": Recipe(
        "the authors' MNIST script, 200,000 generator updates (no figure in the paper)",
        {
            "model": {"network": "mnist"},
            "data": {"class_path": "zoo.data.MNIST", "init_args": {"batch_size": 50}},
            "images": 50_000_000,
            "evaluation": {"every": 1_000_000},
            "keep": {"grid_every": 500_000, "checkpoint_every": 500_000, "monitor": "fd_lenet2k"},
        },
    ),
    "mnist_1000": Recipe(
        "the overfitting study: the critic on 1,000 digits",
        {
            "model": {"network": "mnist"},
            "data": {"class_path": "zoo.data.MNIST", "init_args": {"batch_size": 50, "train_images": 1_000}},
            "images": 5_000_000,
            "evaluation": {"every": 50_000},
            "keep": {"grid_every": 250_000, "checkpoint_every": 250_000},
        },
    ),
    **{
        f"toy_{name}": points(f"figure 1's data: {text}, the authors' script", name, images=128_000_000)
        for name, text in DISTRIBUTIONS.items()
    },
    **{
        f"surface_{name}": points(
            f"figure 1: value surface of the critic on {text}", name, images=25_600_000, fixed_generator=True
        )
        for name, text in DISTRIBUTIONS.items()
    },
    "lsun64": Recipe(
        "the LSUN experiments (appendix E): the 64x64 ResNets on a folder of LSUN bedrooms, 200,000 generator updates",
        {
            "model": {"network": "resnet64"},
            "data": {"class_path": "zoo.data.ImageFolder", "init_args": {"batch_size": 64, "resolution": 64}},
            "images": 64_000_000,
            "keep": {"grid_every": 1_000_000, "checkpoint_every": 500_000},
        },
    ),
    "celeba": Recipe(
        "extension: the 64x64 ResNets on aligned CelebA",
        {
            "model": {"network": "resnet64"},
            "data": {"class_path": "zoo.data.CelebA", "init_args": {"batch_size": 64, "resolution": 64}},
            "images": 20_000_000,
            "keep": {"grid_every": 500_000, "checkpoint_every": 250_000},
        },
    ),
    "digits": Recipe(
        "the MNIST networks, half as wide, on the 5,000 embedded digits (no experiment of the paper)",
        {
            "model": {"network": "mnist", "width": 32},
            "data": {"class_path": "zoo.data.Digits", "init_args": {"batch_size": 50}},
            "images": 500_000,
            "evaluation": {"every": 100_000},
            "keep": {"grid_every": 50_000, "checkpoint_every": 50_000, "monitor": "fd_lenet2k"},
        },
    ),
}

if __name__ == "__main__":
    reproduce(WGANGP, RECIPES)
