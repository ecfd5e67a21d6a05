"""Wasserstein GAN (Arjovsky et al., ICML 2017, arXiv 1701.07875).

    python reproductions/wgan.py fit  --recipe celeba --data_dir DIR
    python reproductions/wgan.py test --run_dir runs/wgan/celeba/NAME
    python reproductions/wgan.py study --name analytic               (figures 1 and 2)
    python reproductions/wgan.py study --name mnist --data_dir DIR   (figures 3 and 4, on MNIST)

Reported and reached (written by `python -m zoo results --write`)
    Without a reported figure
    recipe   measure             best                          last             images     seed  commit   protocol
    celeba   fd_efficientnet10k  137.1 at 2,400,000            142              2,581,504  0     7132784  c2fd6c961221
    celeba   is_efficientnet10k  2.459 +/- 0.077 at 2,400,000  2.435 +/- 0.06   2,581,504  0     7132784  c2fd6c961221
    cifar10  fd_efficientnet10k  385.5 at 1,250,016            393.5            1,661,280  0     9c46ee1  38c8a1479903
    cifar10  is_efficientnet10k  8.272 +/- 0.24 at 1,250,016   7.75 +/- 0.21    1,661,280  0     9c46ee1  38c8a1479903
    mnist    fd_lenet            19.79 at 1,500,032            19.79            1,500,032  0     c1281a0  fe804a5c1abd
    mnist    is_lenet            7.876 +/- 0.071 at 1,500,032  7.876 +/- 0.071  1,500,032  0     c1281a0  fe804a5c1abd
End of the table

The paper reports no FID, IS or likelihood. Its claims are a curve and pictures: the critic's estimate of the distance
falls as samples improve (figure 3), and training survives generators without BatchNorm or without convolutions
(figures 5 to 7). All of it is on LSUN bedrooms at 64x64; the released script also reads CIFAR-10 scaled up to 64x64.
The curve is `wasserstein_estimate` in metrics.jsonl (the figures show it after a median filter of width 101).

Differences from the paper and from the authors' code
 1. Weights are clipped before each critic update, as in the authors' code, so that the generator meets a critic that is
    one step outside the cube. Algorithm 1 clips after the update: `--model.clip_when after`.
 2. The 100 critic updates before each of the first 25 and every 500th generator update are in the authors' code and not
    in the paper: `--model.warm_start false`.
 3. The authors' critic loop is cut short where an epoch ends, after a smaller batch, and the generator is updated early.
    Here a block of critic updates goes on over the epoch's end, and so does a batch.
 4. The signs of the critic are the paper's (reals score high); the code's are the opposite. The same game.
 5. The authors' critic returns the mean of its scores over the batch, ours the scores; the losses take the mean.
 6. The paper's text calls the MLP a "4-layer" network of 512 units in sections 4.2 and 4.3 and gives it 4 hidden
    layers in the caption of figure 3. Ours follows the code: four linear layers. The code's MLP critic has 64 units
    unless told otherwise; ours has the paper's 512.
 7. The authors keep BatchNorm's batch statistics when they draw samples. Here figures are taken with statistics
    re-estimated on fixed latents (`--evaluation.batchnorm batch` gives theirs).
 8. The MLP's images are not bounded, as in the code; they are cut to [-1, 1] where they are shown or measured.
 9. `cifar10` has an experiment in neither text nor figures: it is a path of the authors' script. `celeba`, `mnist` and
    `digits` are extensions; the last two are at 32x32 (28x28 and a black border).
10. `digits` leaves the warm start out: it would take 2,500 of its 4,700 critic updates.
11. `bedrooms*` and `cifar10` are resized bilinearly, as in the authors' script, all else by Lanczos' filter. The
    authors resize first and then cut the square out.
12. Figure 3's MLP pair with a "much too high" learning rate cannot be repeated: the rate is not reported.
"""

from typing import Any

from zoo.training import Lazy, Member, Recipe, Study, reproduce

RESIZED = {"batch_size": 64, "resolution": 64, "interpolation": "bilinear"}  # as by torchvision


def bedrooms(summary: str, **model: Any) -> Recipe:
    """64x64 images from a folder, 25 epochs of LSUN's 3,033,042 bedrooms."""
    return Recipe(
        summary,
        {
            "model": model,
            "data": {"class_path": "zoo.data.ImageFolder", "init_args": RESIZED},
            "images": 75_800_000,
            "keep": {"grid_every": 1_000_000, "checkpoint_every": 500_000},
        },
    )


RECIPES = {
    "bedrooms": bedrooms("figures 3 and 5: DCGAN generator and critic on a folder of LSUN bedrooms"),
    "bedrooms_nobn": bedrooms(
        "figure 6: generator without BatchNorm and of constant width", generator="dcgan_nobn_constant"
    ),
    "bedrooms_mlp": bedrooms("figures 3 and 7: MLP generator, DCGAN critic", generator="mlp"),
    "bedrooms_mlp_critic": bedrooms("MLP generator and MLP critic of figure 3", generator="mlp", critic="mlp"),
    "cifar10": Recipe(
        "a path of the authors' script: CIFAR-10 scaled up to 64x64, 25 epochs (no figure in the paper)",
        {
            "model": {},
            "data": {"class_path": "zoo.data.CIFAR10", "init_args": RESIZED},
            "images": 1_250_000,
            "keep": {"grid_every": 50_000, "checkpoint_every": 50_000},
        },
    ),
    "celeba": Recipe(
        "extension: the networks of figure 5 on aligned CelebA",
        {
            "model": {},
            "data": {"class_path": "zoo.data.CelebA", "init_args": {"batch_size": 64, "resolution": 64}},
            "images": 10_000_000,
            "keep": {"grid_every": 250_000, "checkpoint_every": 250_000},
        },
    ),
    "mnist": Recipe(
        "extension: DCGAN generator and critic at 32x32 on MNIST",
        {
            "model": {"resolution": 32, "channels": 1},
            "data": {"class_path": "zoo.data.MNIST", "init_args": {"batch_size": 64, "resolution": 32}},
            "images": 3_000_000,
            "evaluation": {"every": 100_000},
            "keep": {"grid_every": 100_000, "checkpoint_every": 100_000, "monitor": "fd_lenet2k"},
        },
    ),
    "digits": Recipe(
        "DCGAN networks at 32x32, half as wide, on the 5,000 embedded digits (no experiment of the paper)",
        {
            "model": {"resolution": 32, "channels": 1, "width_G": 32, "width_D": 32, "warm_start": False},
            "data": {"class_path": "zoo.data.Digits", "init_args": {"batch_size": 64, "resolution": 32}},
            "images": 300_000,
            "evaluation": {"every": 100_000, "across_papers": True},
            "keep": {"grid_every": 50_000, "checkpoint_every": 50_000, "monitor": "fd_lenet2k"},
        },
    ),
}

EAGER = ("--model.warm_start=false", "--model.n_critic=1")  # G moves once for each update of the critic
#: The warm start takes 160,000 images, in which G moves 25 times.
SEARCH = {
    "lr_5e-5": ["--model.lr=5e-5"],
    "lr_2e-4": ["--model.lr=2e-4"],
    "lr_5e-4": ["--model.lr=5e-4"],
    "lr_5e-4-clip_0.03": ["--model.lr=5e-4", "--model.clip=0.03"],
    "lr_5e-4-cold": ["--model.lr=5e-4", "--model.warm_start=false"],
    "lr_5e-4-cold-n_critic_2": ["--model.lr=5e-4", "--model.warm_start=false", "--model.n_critic=2"],
    "lr_5e-4-cold-n_critic_1": ["--model.lr=5e-4", *EAGER],
    "lr_2e-4-cold-n_critic_1": ["--model.lr=2e-4", *EAGER],
    "lr_5e-4-cold-n_critic_1-clip_0.03": ["--model.lr=5e-4", *EAGER, "--model.clip=0.03"],
    "lr_5e-4-cold-n_critic_1-clip_0.1": ["--model.lr=5e-4", *EAGER, "--model.clip=0.1"],
    "lr_5e-4-cold-n_critic_1-clip_0.3": ["--model.lr=5e-4", *EAGER, "--model.clip=0.3"],
    "lr_5e-4-cold-n_critic_1-width_D_64": ["--model.lr=5e-4", *EAGER, "--model.width_D=64"],
    "lr_5e-4-cold-n_critic_1-adam": ["--model.lr=5e-4", *EAGER, "--model.optimizer=adam"],
}

STUDIES = {
    "analytic": Study(
        "figures 1 and 2, computed: parallel lines; optimal discriminator and critic of two Gaussians",
        {},
        Lazy("zoo.experiments.wgan.analytic_figures"),
    ),
    "mnist": Study(
        "figures 3 and 4 on MNIST (extension): WGAN's estimate beside the JS estimate of a DCGAN",
        {
            "wgan": Member("WGAN", ["--recipe", "mnist"]),
            "gan": Member("DCGAN", ["--recipe", "mnist"], paper="dcgan"),
        },
        Lazy("zoo.experiments.wgan.against_gan_figures"),
    ),
    "mnist_search": Study(
        "a short search for the release on digits: rate, bound, critic updates of narrow networks (no experiment of the paper)",
        {name: Member(name, options) for name, options in SEARCH.items()},
        Lazy("zoo.experiments.ablation.search_figures"),
        options=[
            "--recipe=mnist",
            "--model.width_G=32",
            "--model.width_D=32",
            "--images=300000",
            "--evaluation.every=50000",
        ],
        grows=True,
    ),
}

FIGURES = Lazy("zoo.experiments.wgan.run_figures")

if __name__ == "__main__":
    reproduce("wgan", RECIPES, figures=FIGURES, studies=STUDIES)
