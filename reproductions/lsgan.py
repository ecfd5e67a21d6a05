"""Least Squares Generative Adversarial Networks (Mao et al., ICCV 2017, arXiv 1611.04076).

    python reproductions/lsgan.py fit  --recipe ring
    python reproductions/lsgan.py test --run_dir runs/lsgan/ring/NAME
    python reproductions/lsgan.py study --name ring    (LSGAN against GAN, ten seeds each)

Reported and reached (written by `python -m zoo results --write`)
    Without a reported figure
    recipe    measure              best                         last               images      seed  commit                              protocol
    celeba    fd_efficientnet10k   180.3 at 500,032             204                556,800     0     7132784                             c2fd6c961221
    celeba    is_efficientnet10k   2.98 +/- 0.12 at 500,032     2.846 +/- 0.11     556,800     0     7132784                             c2fd6c961221
    cifar10   fd_efficientnet10k   262.8 at 714,304             262.8              714,304     0     7132784                             59fbc136ddb6
    cifar10   is_efficientnet10k   17.94 +/- 0.36 at 714,304    17.94 +/- 0.36     714,304     0     7132784                             59fbc136ddb6
    mnist     fd_lenet             6.701 at 1,200,000           7.025              1,300,032   0     2f5d17a                             fe804a5c1abd
    mnist     is_lenet             8.538 +/- 0.06 at 1,200,000  8.483 +/- 0.084    1,300,032   0     2f5d17a                             fe804a5c1abd
    ring      share_modes_covered  0.9 +/- 0.11                 0.9 +/- 0.11       17,920,000  0-9   2f7ea92, 66115e2, 7967e44, aca12b9  acedd2606d9c
    ring      share_high_quality   0.05566 +/- 0.064            0.05566 +/- 0.064  17,920,000  0-9   2f7ea92, 66115e2, 7967e44, aca12b9  acedd2606d9c
    ring      wasserstein_exact    0.2203 +/- 0.037             0.2203 +/- 0.037   17,920,000  0-9   2f7ea92, 66115e2, 7967e44, aca12b9  acedd2606d9c
    ring_gan  share_modes_covered  0.7875 +/- 0.35              0.7875 +/- 0.35    17,920,000  0-9   66115e2                             acedd2606d9c
    ring_gan  share_high_quality   0.2259 +/- 0.21              0.2259 +/- 0.21    17,920,000  0-9   66115e2                             acedd2606d9c
    ring_gan  wasserstein_exact    0.256 +/- 0.26               0.256 +/- 0.26     17,920,000  0-9   66115e2                             acedd2606d9c
End of the table

The paper reports pictures, no FID or IS: on a ring of Gaussians LSGAN covers the ring while the regular GAN collapses
(compare `ring` with `ring_gan`), and on LSUN bedrooms LSGAN still gives images without BatchNorm (the eight recipes
`study_*`). The ring is measured here by `share_modes_covered` and `share_high_quality` (within 3 sigma of a mode) of
10,000 samples: this project's protocol, not the paper's.

Differences from the paper and from the authors' code
 1. Losses are means over the batch, as in the paper. The code sums over it (and halves once more on the ring): with
    Adam or RMSProp the same updates but for epsilon.
 2. The 0-1 coding (eq. 9) is the default, as in the authors' LSUN script. Their folder without BatchNorm in both
    players has the Pearson coding (-1, 1, 0), and so have the recipes `study_none_*_lsgan`.
 3. The authors' folders pair no BatchNorm in G with Adam, and none in both with RMSProp; the paper's claims are of
    these. The other two pairs of the grid have the same constants.
 4. RMSProp has TensorFlow's decay of 0.9, but starts its average at 0 where TensorFlow starts at 1, and adds 1e-5 to
    the root where TensorFlow adds 1e-10 inside it.
 5. On the ring, the authors update both players in one call, whose order TensorFlow does not fix; here G follows D.
    Both players see the same latents, here as there.
 6. The ring's data keep the authors' linspace(0, 2 pi, 9): 8 modes, one with twice the weight.
 7. How long the stability study trains is not reported (its flag says 5,000,000 batches): here 100,000 batches.
 8. `lsun112` and `study_*` are given a folder of images, of which the central square is taken; the authors' script
    squeezes the whole of LSUN's to a square. Both are bilinear. Samples are measured with
    re-estimated BatchNorm statistics, the authors' sampler uses the running ones (`--evaluation.batchnorm running`).
 9. The 3,740 classes of Chinese characters (HWDB1.0, a conditional network) are not here.
10. BatchNorm's gains begin as N(1, 0.02) in `study_discriminator_*`, as in the authors' folders, and at 1 in all else,
    as in their network for 112x112.
11. The paper has no MNIST, CIFAR-10 or CelebA network: `mnist`, `cifar10`, `celeba` and `digits` are extensions, the
    stability study's networks with BatchNorm in both players, at 32x32 for all but CelebA.
12. TensorFlow's and Keras's Adam add epsilon to a root that is not bias-corrected; PyTorch's to one that is.
13. Batches run through a fresh permutation of all images in every epoch; the authors draw from a buffer of 10,000 (1,000
    in their script for 112x112).
"""

from typing import Any

from zoo.training import Lazy, Member, Recipe, Study, reproduce


def folder(summary: str, *, resolution: int, images: int, **model: Any) -> Recipe:
    """A folder of LSUN's images, batches of 64."""
    return Recipe(
        summary,
        {
            "model": model,
            "data": {
                "class_path": "zoo.data.ImageFolder",
                "init_args": {"batch_size": 64, "resolution": resolution, "interpolation": "bilinear"},
            },
            "images": images,
            "keep": {"grid_every": images // 64, "checkpoint_every": images // 128},
        },
    )


def study(batchnorm: str, optimizer: str, loss: str) -> Recipe:
    """One cell of the stability study."""
    where = {"discriminator": "no BatchNorm in G", "none": "no BatchNorm in G and D"}[batchnorm]
    model: dict[str, Any] = {"network": "dcgan", "batchnorm": batchnorm, "optimizer": optimizer, "loss": loss}
    if batchnorm != "none":
        model["gain_std"] = 0.02
    elif loss == "lsgan":
        model |= {"a": -1.0, "b": 1.0, "c": 0.0}
    return folder(f"stability study on LSUN: {where}, {optimizer}, {loss}", resolution=64, images=6_400_000, **model)


def ring(summary: str, **model: Any) -> Recipe:
    """35,000 updates on 512 points each."""
    return Recipe(
        summary,
        {
            "model": {"network": "ring", **model},
            "data": {"class_path": "zoo.data.ToyPoints", "init_args": {"distribution": "ring", "batch_size": 512}},
            "images": 17_920_000,
            "keep": {"grid_every": 2_560_000, "checkpoint_every": 2_560_000, "archive_every": 2_560_000},
        },
    )


def extension(data: str, *, images: int, batch_size: int = 64, channels: int = 3, **settings: Any) -> dict[str, Any]:
    """The stability study's networks with BatchNorm in both players, at 32x32."""
    return {
        "model": {"network": "dcgan", "resolution": 32, "channels": channels, **settings},
        "data": {"class_path": f"zoo.data.{data}", "init_args": {"batch_size": batch_size, "resolution": 32}},
        "images": images,
        "keep": {"grid_every": images // 30, "checkpoint_every": images // 30},
    }


LENET = {"monitor": "fd_lenet2k"}
MNIST = extension("MNIST", images=1_500_000, channels=1)
DIGITS = extension("Digits", images=150_000, channels=1, width=32)

RECIPES = {
    "lsun112": folder("LSUN scenes at 112x112", resolution=112, images=64_000_000, network="lsun112"),
    **{
        f"study_{batchnorm}_{optimizer}_{loss}": study(batchnorm, optimizer, loss)
        for batchnorm in ("discriminator", "none")
        for optimizer in ("adam", "rmsprop")
        for loss in ("lsgan", "gan")
    },
    "ring": ring("ring of Gaussians, least squares"),
    "ring_gan": ring("ring of Gaussians, cross-entropy: the regular GAN beside it", loss="gan"),
    "celeba": Recipe(
        "extension: the stability study's networks with BatchNorm on aligned CelebA at 64x64",
        {
            "model": {"network": "dcgan"},
            "data": {"class_path": "zoo.data.CelebA", "init_args": {"batch_size": 64, "resolution": 64}},
            "images": 5_000_000,
            "keep": {"grid_every": 200_000, "checkpoint_every": 200_000},
        },
    ),
    "cifar10": Recipe(
        "extension: the same networks at 32x32 on CIFAR-10",
        extension("CIFAR10", images=5_000_000),
    ),
    "mnist": Recipe(
        "extension: the same networks at 32x32 on MNIST",
        {**MNIST, "evaluation": {"every": 100_000}, "keep": {**MNIST["keep"], **LENET}},
    ),
    "digits": Recipe(
        "the same networks at 32x32, half as wide, on the 5,000 embedded digits (no experiment of the paper)",
        {**DIGITS, "evaluation": {"every": 50_000, "across_papers": True}, "keep": {**DIGITS["keep"], **LENET}},
    ),
}

STUDIES = {
    "ring": Study(
        "the mixture experiment: ten seeds of LSGAN and ten of the regular GAN on the ring of Gaussians",
        {
            f"{loss}-seed{seed}": Member(group, ["--recipe", recipe, f"--seed_everything={seed}"])
            for loss, group, recipe in (("lsgan", "LSGAN", "ring"), ("gan", "GAN", "ring_gan"))
            for seed in range(10)
        },
        Lazy("zoo.experiments.lsgan.ring_figures"),
    )
}

FIGURES = Lazy("zoo.experiments.lsgan.run_figures")

if __name__ == "__main__":
    reproduce("lsgan", RECIPES, figures=FIGURES, studies=STUDIES)
