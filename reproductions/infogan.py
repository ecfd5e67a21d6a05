"""InfoGAN (Chen et al., NIPS 2016, arXiv 1606.03657).

    python reproductions/infogan.py fit  --recipe mnist --data_dir DIR
    python reproductions/infogan.py test --run_dir runs/infogan/mnist/NAME
    python reproductions/infogan.py study --name mnist --data_dir DIR    (figures 1 and 2, three seeds)
    python reproductions/infogan.py study --name codes --data_dir DIR    (the 5 % error: its distribution over seeds)

Reported and reached (written by `python -m zoo results --write`)
    With a reported figure
    recipe                   measure                         reported            best               last               images     seed  commit            protocol
    mnist, paper             mutual_information_categorical  near ln 10 = 2.303  2.299 +/- 0.0014   2.299 +/- 0.0011   640,000    3-11  a3633f0, d47e1c0  b25ca38075e3
    mnist, paper             code_error                      0.05                0.1561 +/- 0.067   0.156 +/- 0.068    640,000    3-11  a3633f0, d47e1c0  b25ca38075e3
    mnist, slope_0.01        mutual_information_categorical  near ln 10 = 2.303  2.291 +/- 0.00062  2.291 +/- 0.00062  256,000    3-5   a3633f0           b25ca38075e3
    mnist, slope_0.01        code_error                      0.05                0.2864 +/- 0.013   0.2864 +/- 0.013   256,000    3-5   a3633f0           b25ca38075e3
    mnist, digits_55000      mutual_information_categorical  near ln 10 = 2.303  2.292 +/- 0.00013  2.292 +/- 0.00062  256,000    3-5   a3633f0           b25ca38075e3
    mnist, digits_55000      code_error                      0.05                0.2892 +/- 0.078   0.283 +/- 0.073    256,000    3-5   a3633f0           b25ca38075e3
    mnist, both_of_the_code  mutual_information_categorical  near ln 10 = 2.303  2.294 +/- 0.0013   2.294 +/- 0.0013   256,000    3-5   a3633f0           b25ca38075e3
    mnist, both_of_the_code  code_error                      0.05                0.2142 +/- 0.044   0.2142 +/- 0.044   256,000    3-5   a3633f0           b25ca38075e3
    mnist, twice_as_long     mutual_information_categorical  near ln 10 = 2.303  2.3                2.299              1,280,000  3     bfe40b3           b25ca38075e3
    mnist, twice_as_long     code_error                      0.05                0.1296             0.1295             1,280,000  3     bfe40b3           b25ca38075e3
    mnist                    mutual_information_categorical  near ln 10 = 2.303  2.298 +/- 0.0019   2.298 +/- 0.0019   640,000    0-2   aded353           b25ca38075e3
    mnist                    code_error                      0.05                0.2017 +/- 0.031   0.2017 +/- 0.031   640,000    0-2   aded353           b25ca38075e3

    Without a reported figure
    recipe         measure                                                          best                        last             images     seed  commit                     protocol
    celeba         fd_efficientnet10k                                               137.7 at 1,025,536          137.7            1,025,536  0     7132784                    c2fd6c961221
    celeba         is_efficientnet10k                                               3.14 +/- 0.11 at 1,025,536  3.14 +/- 0.11    1,025,536  0     7132784                    c2fd6c961221
    cifar10        fd_efficientnet10k                                               444.5 at 403,392            444.5            403,392    0     253e4ca                    59fbc136ddb6
    cifar10        is_efficientnet10k                                               9.709 +/- 0.28 at 403,392   9.709 +/- 0.28   403,392    0     253e4ca                    59fbc136ddb6
    study codes    code_error median, slope_0.01                                                                0.2914                      3-11  a3633f0, bfe40b3, d47e1c0
    study codes    code_error best, slope_0.01                                                                  0.2712                      3-11  a3633f0, bfe40b3, d47e1c0
    study codes    code_error worst, slope_0.01                                                                 0.2967                      3-11  a3633f0, bfe40b3, d47e1c0
    study codes    runs, slope_0.01                                                                             3                           3-11  a3633f0, bfe40b3, d47e1c0
    study codes    runs_at_5_percent, slope_0.01                                                                0                           3-11  a3633f0, bfe40b3, d47e1c0
    study codes    runs_needed_at_least, slope_0.01                                                             1.413                       3-11  a3633f0, bfe40b3, d47e1c0
    study codes    code_error minus that of the paper's settings, slope_0.01                                    0.05067                     3-11  a3633f0, bfe40b3, d47e1c0
    study codes    seeds in common, slope_0.01                                                                  3                           3-11  a3633f0, bfe40b3, d47e1c0
    study codes    code_error median, digits_55000                                                              0.3186                      3-11  a3633f0, bfe40b3, d47e1c0
    study codes    code_error best, digits_55000                                                                0.1994                      3-11  a3633f0, bfe40b3, d47e1c0
    study codes    code_error worst, digits_55000                                                               0.331                       3-11  a3633f0, bfe40b3, d47e1c0
    study codes    runs, digits_55000                                                                           3                           3-11  a3633f0, bfe40b3, d47e1c0
    study codes    runs_at_5_percent, digits_55000                                                              0                           3-11  a3633f0, bfe40b3, d47e1c0
    study codes    runs_needed_at_least, digits_55000                                                           1.413                       3-11  a3633f0, bfe40b3, d47e1c0
    study codes    code_error minus that of the paper's settings, digits_55000                                  0.04723                     3-11  a3633f0, bfe40b3, d47e1c0
    study codes    seeds in common, digits_55000                                                                3                           3-11  a3633f0, bfe40b3, d47e1c0
    study codes    code_error median, both_of_the_code                                                          0.1902                      3-11  a3633f0, bfe40b3, d47e1c0
    study codes    code_error best, both_of_the_code                                                            0.1875                      3-11  a3633f0, bfe40b3, d47e1c0
    study codes    code_error worst, both_of_the_code                                                           0.2649                      3-11  a3633f0, bfe40b3, d47e1c0
    study codes    runs, both_of_the_code                                                                       3                           3-11  a3633f0, bfe40b3, d47e1c0
    study codes    runs_at_5_percent, both_of_the_code                                                          0                           3-11  a3633f0, bfe40b3, d47e1c0
    study codes    runs_needed_at_least, both_of_the_code                                                       1.413                       3-11  a3633f0, bfe40b3, d47e1c0
    study codes    code_error minus that of the paper's settings, both_of_the_code                              -0.02157                    3-11  a3633f0, bfe40b3, d47e1c0
    study codes    seeds in common, both_of_the_code                                                            3                           3-11  a3633f0, bfe40b3, d47e1c0
    study codes    code_error median, paper                                                                     0.1653                      3-11  a3633f0, bfe40b3, d47e1c0
    study codes    code_error best, paper                                                                       0.039                       3-11  a3633f0, bfe40b3, d47e1c0
    study codes    code_error worst, paper                                                                      0.2572                      3-11  a3633f0, bfe40b3, d47e1c0
    study codes    runs, paper                                                                                  9                           3-11  a3633f0, bfe40b3, d47e1c0
    study codes    runs_at_5_percent, paper                                                                     1                           3-11  a3633f0, bfe40b3, d47e1c0
    study codes    runs_needed_at_least, paper                                                                  2.073                       3-11  a3633f0, bfe40b3, d47e1c0
    study codes    runs_needed_at_most, paper                                                                   356                         3-11  a3633f0, bfe40b3, d47e1c0
    study codes    code_error median, twice_as_long                                                             0.1295                      3-11  a3633f0, bfe40b3, d47e1c0
    study codes    code_error best, twice_as_long                                                               0.1295                      3-11  a3633f0, bfe40b3, d47e1c0
    study codes    code_error worst, twice_as_long                                                              0.1295                      3-11  a3633f0, bfe40b3, d47e1c0
    study codes    runs, twice_as_long                                                                          1                           3-11  a3633f0, bfe40b3, d47e1c0
    study codes    runs_at_5_percent, twice_as_long                                                             0                           3-11  a3633f0, bfe40b3, d47e1c0
    study codes    runs_needed_at_least, twice_as_long                                                          1.026                       3-11  a3633f0, bfe40b3, d47e1c0
    mnist          fd_lenet                                                         4.122 +/- 0.55              4.122 +/- 0.55   640,000    0-2   aded353                    69d6533c2db7
    mnist          is_lenet                                                         9.643 +/- 0.081             9.643 +/- 0.081  640,000    0-2   aded353                    69d6533c2db7
    mnist_control  fd_lenet                                                         2.744                       2.744            640,000    0     aded353                    69d6533c2db7
    mnist_control  is_lenet                                                         9.082                       9.082            640,000    0     aded353                    69d6533c2db7
End of the table

Differences from the paper and from the authors' code
 1. The leaky ReLU's slope is the paper's 0.1; the code has 0.01: `--model.slope 0.01`.
 2. Duration: the paper reports none; 5,000 updates of each player with batches of 128 are those of the code's launcher.
 3. Probabilities enter logarithms as logits; the code adds 1e-8 to each probability instead.
 4. H(c) of a continuous code is that of U(-1, 1), ln 2 nats; the code averages a standard normal's log density. Both
    are constants. With sigma = 1 (the code's MNIST setting) the continuous part of L_I stays below 0 nats: the curve to
    hold against ln 10 is `mutual_information_categorical`.
 5. A learnt sigma (`--model.learn_sigma true`) has its log variance kept within -8..8, for else Q gains without end.
 6. One lambda serves all codes, as in the code; the paper speaks of a smaller one for continuous codes.
 7. The paper says neither how categories are matched to digits for its 5 % error nor on which images: `code_error` is
    the best one-to-one matching on the 10,000 test images, `code_error_majority` gives each category its most frequent
    digit. BatchNorm statistics of D and Q, which met reals and fakes in separate batches, are re-estimated on 2,000
    training images.
 8. `mnist_control` is figure 1's plain GAN with an auxiliary Q. How the authors trained that Q is not said: here its
    own head alone learns, so that D and G are a plain GAN's.
 9. CelebA's crop is not reported: the central 108x108 pixels. Durations on CelebA and SVHN are not reported.
10. CelebA at 64x64 and CIFAR-10 are extensions: Table 3's layers, for 64x64 on maps of twice the size. SVHN (an
    ImageFolder of 32x32 images), 3-D faces and chairs have no recipe; SVHN's latents are
    `--model.noise 124 --model.codes 4 --model.continuous 4`.
11. `digits` is no experiment of the paper; its code errors are of the 5,000 training images, labels unseen.
12. All 60,000 digits are trained on. The code's loader keeps the first 5,000 back and trains on the other 55,000 (the
    paper does not say): `--data.train_images 55000` takes as many, the first ones. The records are of 60,000.
13. TensorFlow's Adam adds epsilon to a root that is not bias-corrected; PyTorch's to one that is.
14. Batches run through a fresh permutation of the images in every epoch and may straddle two epochs; the code leaves
    out what is over at an epoch's end.
"""

from zoo.training import Lazy, Member, Recipe, Study, reproduce

MNIST = {
    "data": {"class_path": "zoo.data.MNIST", "init_args": {"batch_size": 128}},
    "generator_steps": 5_000,
    "evaluation": {"every": 64_000},
    "keep": {"grid_every": 64_000, "checkpoint_every": 64_000, "monitor": "fd_lenet2k"},
}

RECIPES = {
    "mnist": Recipe(
        "the paper's MNIST experiment (appendix C.1), which reports 5 % error of the categorical code",
        {"model": {"network": "mnist"}, **MNIST},
        reported={"code_error": "0.05", "mutual_information_categorical": "near ln 10 = 2.303"},
    ),
    "mnist_control": Recipe(
        "figure 1's control: a plain GAN with an auxiliary Q, MNIST",
        {"model": {"network": "mnist", "maximise_information": False}, **MNIST},
    ),
    "celeba32": Recipe(
        "the paper's CelebA experiment at 32x32 (appendix C.3); crop and duration are ours",
        {
            "model": {"network": "celeba"},
            "data": {"class_path": "zoo.data.CelebA", "init_args": {"batch_size": 128, "resolution": 32}},
            "images": 5_000_000,
            "keep": {"grid_every": 200_000, "checkpoint_every": 200_000},
        },
    ),
    "celeba": Recipe(
        "extension: the CelebA network's layers at 64x64",
        {
            "model": {"network": "celeba", "resolution": 64},
            "data": {"class_path": "zoo.data.CelebA", "init_args": {"batch_size": 128, "resolution": 64}},
            "images": 5_000_000,
            "keep": {"grid_every": 200_000, "checkpoint_every": 200_000},
        },
    ),
    "cifar10": Recipe(
        "extension: SVHN's latents and shapes (appendix C.2) on CIFAR-10",
        {
            "model": {"network": "celeba", "noise": 124, "codes": 4, "continuous": 4},
            "data": {"class_path": "zoo.data.CIFAR10", "init_args": {"batch_size": 128}},
            "images": 5_000_000,
            "keep": {"grid_every": 250_000, "checkpoint_every": 250_000},
        },
    ),
    "digits": Recipe(
        "the MNIST network on the 5,000 embedded digits, for a first look (no experiment of the paper)",
        {
            "model": {"network": "mnist"},
            "data": {"class_path": "zoo.data.Digits", "init_args": {"batch_size": 64}},
            "images": 60_000,
            "evaluation": {"every": 20_000, "across_papers": True},
            "keep": {"grid_every": 20_000, "checkpoint_every": 20_000, "monitor": "fd_lenet2k"},
        },
    ),
}

#: What may move the error of the code, one by one: in the authors' code but not in the paper, or left open by it. What
#: is told apart after 2,000 updates stops there, and is compared with the paper's settings after as many.
SHORT = ["--images", "256000"]
ARMS = {
    "paper": [],
    "slope_0.01": [*SHORT, "--model.slope", "0.01"],
    "digits_55000": [*SHORT, "--data.train_images", "55000"],
    "both_of_the_code": [*SHORT, "--model.slope", "0.01", "--data.train_images", "55000"],
    "twice_as_long": ["--generator_steps", "10000"],
}
#: In this order; seeds 0 to 2 are those of study `mnist`.
CODE_RUNS = [
    *[("paper", s) for s in range(3, 6)],
    *[(arm, s) for s in range(3, 6) for arm in ("slope_0.01", "digits_55000", "both_of_the_code")],
    *[("paper", s) for s in range(6, 15)],
    *[("twice_as_long", s) for s in range(3, 5)],
]

STUDIES = {
    "mnist": Study(
        "figures 1 and 2 and the 5 % error: three seeds of InfoGAN, and a plain GAN with an auxiliary Q",
        {
            **{
                f"infogan-seed{s}": Member("InfoGAN", ["--recipe", "mnist", f"--seed_everything={s}"]) for s in range(3)
            },
            "control-seed0": Member("GAN with auxiliary Q", ["--recipe", "mnist_control"]),
        },
        Lazy("zoo.experiments.infogan.mnist_figures"),
    ),
    "codes": Study(
        "the 5 % error of the categorical code: its distribution over seeds, and what moves it",
        {f"{arm}-seed{s}": Member(arm, [*ARMS[arm], f"--seed_everything={s}"]) for arm, s in CODE_RUNS},
        Lazy("zoo.experiments.infogan_codes.code_figures"),
        Lazy("zoo.experiments.infogan_codes.code_findings"),
        options=["--recipe", "mnist"],
        grows=True,
    ),
}

FIGURES = Lazy("zoo.experiments.infogan.run_figures")

if __name__ == "__main__":
    reproduce("infogan", RECIPES, figures=FIGURES, studies=STUDIES)
