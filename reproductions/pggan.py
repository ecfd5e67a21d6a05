"""Progressive Growing of GANs for Improved Quality, Stability, and Variation (Karras et al., ICLR 2018, arXiv 1710.10196).

    python reproductions/pggan.py fit  --recipe cifar10 --data_dir DIR
    python reproductions/pggan.py test --run_dir runs/pggan/cifar10/NAME
    python reproductions/pggan.py study --name table1_small --data_dir DIR     (table 1 scaled down to 32x32)

Reported and reached (written by `python -m zoo results --write`)
    Without a reported figure
    recipe                          measure                                 best                         last              images   seed  commit   protocol
    celeba64                        fd_efficientnet10k                      204.6 at 269,408             204.6             269,408  0     7132784  5c648f0cf93a
    celeba64                        is_efficientnet10k                      2.9 +/- 0.07 at 269,408      2.9 +/- 0.07      269,408  0     7132784  5c648f0cf93a
    cifar10                         fd_efficientnet10k                      439.8 at 178,096             439.8             178,096  0     8f676c9  99e57cdb8755
    cifar10                         is_efficientnet10k                      7.461 +/- 0.21 at 178,096    7.461 +/- 0.21    178,096  0     8f676c9  99e57cdb8755
    mnist                           fd_lenet                                5.219 at 600,000             5.219             600,000  0     552ff50  604274c14ab4
    mnist                           is_lenet                                8.569 +/- 0.095 at 600,000   8.569 +/- 0.095   600,000  0     552ff50  604274c14ab4
    stacked                         fd_resnet26k                            0.2576 at 700,000            0.2576            700,000  0     bfe40b3  865018c99701
    stacked                         is_resnet26k                            1.262 +/- 0.0062 at 700,000  1.262 +/- 0.0062  700,000  0     bfe40b3  865018c99701
    stacked                         modes26k                                983 at 700,000               983               700,000  0     bfe40b3  968ec0a8deee
    stacked                         modes_kl26k                             0.4849 at 700,000            0.4849            700,000  0     bfe40b3  968ec0a8deee
    table1_a, row a at 32x32        fd_resnet10k                            3.897                        4.309             200,000  0     80eda16  482c34b66204
    table1_a, row a at 32x32        is_resnet10k                            1.56                         1.532             200,000  0     80eda16  482c34b66204
    table1_b, row b at 32x32        fd_resnet10k                            5.6                          5.6               200,000  0     80eda16  482c34b66204
    table1_b, row b at 32x32        is_resnet10k                            1.808                        1.808             200,000  0     80eda16  482c34b66204
    table1_c, row c at 32x32        fd_resnet10k                            4.019                        4.019             200,000  0     80eda16  482c34b66204
    table1_c, row c at 32x32        is_resnet10k                            1.662                        1.662             200,000  0     80eda16  482c34b66204
    table1_d, row d at 32x32        fd_resnet10k                            1.639                        1.639             200,000  0     80eda16  13f146b79ec0
    table1_d, row d at 32x32        is_resnet10k                            1.484                        1.484             200,000  0     80eda16  13f146b79ec0
    table1_e_star, row e* at 32x32  fd_resnet10k                            1.782                        1.782             200,000  0     80eda16  13f146b79ec0
    table1_e_star, row e* at 32x32  is_resnet10k                            1.441                        1.441             200,000  0     80eda16  13f146b79ec0
    table1_e, row e at 32x32        fd_resnet10k                            1.925                        1.925             200,000  0     80eda16  13f146b79ec0
    table1_e, row e at 32x32        is_resnet10k                            1.505                        1.505             200,000  0     80eda16  13f146b79ec0
    table1_f, row f at 32x32        fd_resnet10k                            2.192                        2.192             200,000  0     80eda16  13f146b79ec0
    table1_f, row f at 32x32        is_resnet10k                            1.528                        1.528             200,000  0     80eda16  13f146b79ec0
    table1_g, row g at 32x32        fd_resnet10k                            1.57                         1.57              200,000  0     80eda16  13f146b79ec0
    table1_g, row g at 32x32        is_resnet10k                            1.538                        1.538             200,000  0     80eda16  13f146b79ec0
    table1_h, row h at 32x32        fd_resnet10k                            0.7778                       0.7778            200,000  0     80eda16  13f146b79ec0
    table1_h, row h at 32x32        is_resnet10k                            1.561                        1.561             200,000  0     80eda16  13f146b79ec0
    study table1_small              swd10k_avg, row b minus row a                                        3.818                      0     80eda16
    study table1_small              swd10k_avg, row c minus row b                                        -12.21                     0     80eda16
    study table1_small              swd10k_avg, row d minus row c                                        -8.295                     0     80eda16
    study table1_small              swd10k_avg, row e* minus row d                                       -2.694                     0     80eda16
    study table1_small              swd10k_avg, row e minus row d                                        -1.499                     0     80eda16
    study table1_small              swd10k_avg, row f minus row e                                        -1.357                     0     80eda16
    study table1_small              swd10k_avg, row g minus row f                                        0.7017                     0     80eda16
    study table1_small              swd10k_avg, row h minus row g                                        -1.642                     0     80eda16
    study table1_small              swd10k_avg, steps of 8 that improve it                               6                          0     80eda16
    study table1_small              ms_ssim10k, row b minus row a                                        -0.01932                   0     80eda16
    study table1_small              ms_ssim10k, row c minus row b                                        0.0234                     0     80eda16
    study table1_small              ms_ssim10k, row d minus row c                                        0.0295                     0     80eda16
    study table1_small              ms_ssim10k, row e* minus row d                                       0.009086                   0     80eda16
    study table1_small              ms_ssim10k, row e minus row d                                        0.002099                   0     80eda16
    study table1_small              ms_ssim10k, row f minus row e                                        -0.01263                   0     80eda16
    study table1_small              ms_ssim10k, row g minus row f                                        -0.001822                  0     80eda16
    study table1_small              ms_ssim10k, row h minus row g                                        0.00185                    0     80eda16
    study table1_small              ms_ssim10k, steps of 8 that improve it                               3                          0     80eda16
End of the table

Reported: CIFAR-10 Inception score 8.80 +/- 0.05 without labels, the best run; 8.56 +/- 0.06 is recalled as the mean of
ten. CelebA-HQ at 1024x1024: FID of 50,000 samples 7.30, sliced Wasserstein distance 5.44e-3 (average of seven levels).
LSUN at 256x256: FID 8.34 (bedroom), 6.42 (church), 37.52 (cat). Table 1's cells are recalled, not read again; row b is
quoted alike in the README of GXU-GMU-MICCAI/PGAN-Paddle. The +/- 0.05 is from a third party's table.

Samples, grids and figures are of the averaged weights. While the network grows, samples are enlarged to the final
resolution by nearest neighbours, and the protocol of each figure says so; `resolution` and `alpha` are logged.

Differences from the paper and from the authors' code
 1. Resolution and alpha follow the images seen, batch by batch. With n_critic = 5 (rows a to c) the authors look at
    them once for five updates of D; their TensorFlow code looks at them every four batches.
 2. The generator's average takes the weights after G's update, the authors' those before it: our average after update k
    is theirs after k + 1.
 3. Images are kept at the stage's resolution. The authors enlarge them to the final one for D, which shrinks them
    again; the gradient penalty is then on a norm smaller by r / R, as it is here (`GrowingModule.gradient_scale`).
 4. D's dense layers, G's first layer and the 1x1 layers are as in the authors' code, which multiplies weights by
    gain / sqrt(fan-in); the paper's text divides by a constant.
 5. PyTorch's Adam adds epsilon to a root that is bias-corrected, the authors' to one that is not.
 6. Row e*: the minibatch discrimination layer starts from its constants. The authors set its scales and biases from 500
    reals first.
 7. Rows a to c generate with re-estimated BatchNorm statistics (`--evaluation.batchnorm batch` gives the authors'); on
    several devices each normalises its own share.
 8. Row h: the networks of Table 2, 20 million images. The paper trains "longer", without a number.
 9. `table1_*` take the authors' 128x128 pixels of aligned CelebA (rows 57 to 184, columns 25 to 152). Their copy holds
    all 202,599 images; here the official training split, where list_eval_partition.txt lies beside the images. For LSUN
    bedrooms, `--data ImageFolder --data.horizontal_flip false` with a folder of 128x128 images.
10. The minibatch statistic of several devices is that of each device's share (`group_size` null: the whole share).
    Latents of labels (AC-GAN) are drawn uniformly over the classes, the authors' from the training labels.
11. Means of 2x2 pixels are rounded to 8 bits once at each resolution, from the unrounded ones, a half to even: as
    theirs.
12. CelebA-HQ and LSUN are folders of images that you bring. The released Theano settings for LSUN take 100,000 images
    of all categories but bedroom and dog, and mirror them: add `--data.horizontal_flip true` for these.
13. The LSGAN variant with noise in D (appendix B) and the networks of the MNIST-1K experiment are not here. `stacked`
    has its data and its measure, with other networks.
14. Sliced Wasserstein distances and MS-SSIM are of the 8-bit samples that FID is of, the first 16,384 and 20,000 of
    them; `test` draws fewer of digits (10,000), and evaluations while training 2,000: the names say so. Patches and
    directions are this project's draws.
15. The video of the paper is `PGGAN.walk`; nearest neighbours (figure 10) are by pixels or the evaluation's features
    (`python -m zoo evaluate RUN --neighbours FILE`), not by five layers of VGG.
16. D of `celebahq_released` halves its maps before the leaky ReLU, as the TensorFlow code does by default
    (`--model.fused_scale true`), elsewhere after it, as Table 2 and the Theano code. The Theano code cuts faded reals
    off to whole grey levels, the TensorFlow code does not: `--model.truncate_faded true`, in the recipes of the paper's
    figures.
17. Where training mirrors images, each real is mirrored with probability 1/2 before FID and SWD, as by the authors, and
    FID on CelebA-HQ is from 50,000 reals. For LSUN every image is a real; the authors take as many as samples. The size
    of it: `zoo evaluate RUN`, with and without `--mirror_reals`.
18. `celeba64`, `celeba128`, `mnist`, `stacked`, `folder` and `digits` are extensions without a reported figure.
    `mnist`, `stacked` and `digits` have gamma 1, separate updates, batches of 32 in groups of 4, short phases and
    narrow networks; on CelebA and folders the batches and phases of the TensorFlow code, with D of Table 2.
19. The study `table1_small` asks for the order of the rows alone: 32x32 pixels, maps of 16 to 64 (h: 32 to 64), 200,000
    images for every row, h included, phases of 16,000. Its values stand beside no reported ones.
20. Batches run through a fresh permutation of all images in every epoch; the Theano code exchanges each image that it
    shows with one of the last half epoch, the TensorFlow code draws from a buffer of 4 GB (1,366 images of 1024x1024).
"""

from typing import Any

from zoo.training import Lazy, Member, Recipe, Study, reproduce

LEVELS = ("128", "64", "32", "16", "avg")
#: Table 1, CelebA: sliced Wasserstein distance x 1000 by level, MS-SSIM
TABLE_1: dict[str, tuple[str, str, str]] = {
    "a": ("WGAN-GP", "12.99 7.79 7.62 8.73 9.28", "0.2854"),
    "b": ("+ progressive growing", "4.62 2.64 3.78 6.06 4.28", "0.2838"),
    "c": ("+ small minibatch", "75.42 41.33 41.62 26.57 46.23", "0.4065"),
    "d": ("+ revised training parameters", "9.20 6.53 4.71 11.84 8.07", "0.3027"),
    "e*": ("+ minibatch discrimination", "10.76 6.28 6.04 16.29 9.84", "0.3057"),
    "e": ("minibatch standard deviation instead", "13.94 5.67 2.82 5.71 7.04", "0.2950"),
    "f": ("+ equalized learning rate", "4.42 3.28 2.32 7.52 4.39", "0.2902"),
    "g": ("+ pixelwise normalization", "4.06 3.04 2.02 5.13 3.56", "0.2845"),
    "h": ("converged, full networks", "2.42 2.17 2.24 4.99 2.96", "0.2828"),
}


#: FID on CelebA-HQ: as many reals as samples, mirrored as in training; the 30,000 images are gone through again.
REALS = {"mirror_reals": True, "real_images": 50_000}


def images_of(class_path: str, **settings: Any) -> dict[str, Any]:
    """The schedule, not the data, sets the batch."""
    return {"class_path": f"zoo.data.{class_path}", "init_args": settings}


def table_1(row: str) -> Recipe:
    """A row of the ablation on CelebA at 128x128."""
    change, distances, similarity = TABLE_1[row]
    reported = {f"swd16384_{level}": value for level, value in zip(LEVELS, distances.split(), strict=True)}
    base, images = (8_192, 20_000_000) if row == "h" else (2_048, 10_000_000)
    return Recipe(
        f"Table 1, row ({row}): {change}; CelebA at 128x128",
        {
            "model": {
                "resolution": 128,
                "schedule": "table1",
                "config": row,
                "fmap_base": base,
                "truncate_faded": True,
            },
            "data": images_of("CelebA", resolution=128, crop=128, crop_top=57, horizontal_flip=True),
            "images": images,
            "evaluation": {"mirror_reals": True},
            "keep": {"grid_every": 400_000, "checkpoint_every": 200_000},
        },
        reported={**reported, "ms_ssim20k": similarity},
    )


RECIPES = {
    "celebahq": Recipe(
        "section 6.3: CelebA-HQ at 1024x1024, a folder of images (19 million images)",
        {
            "model": {"resolution": 1024, "schedule": "celebahq", "truncate_faded": True},
            "data": images_of("ImageFolder", resolution=1024, horizontal_flip=True),
            "images": 19_000_000,
            "evaluation": REALS,
            "keep": {"grid_every": 400_000, "checkpoint_every": 100_000},
        },
        reported={"fid50k": "7.30", "swd16384_avg": "5.44"},
    ),
    "celebahq_released": Recipe(
        "the authors' TensorFlow settings for 8 devices on CelebA-HQ at 1024x1024 (--devices 8; 12 million images)",
        {
            "model": {"resolution": 1024, "schedule": "released_8", "group_size": 4, "fused_scale": True},
            "data": images_of("ImageFolder", resolution=1024, horizontal_flip=True),
            "images": 12_000_000,
            "evaluation": REALS,
            "keep": {"grid_every": 300_000, "checkpoint_every": 100_000},
        },
    ),
    "lsun256": Recipe(
        "section 6.4: an LSUN category at 256x256, a folder of images (bedroom FID 8.34)",
        {
            "model": {"resolution": 256, "schedule": "lsun", "truncate_faded": True},
            "data": images_of("ImageFolder", resolution=256),
            "images": 20_000_000,
            "keep": {"grid_every": 400_000, "checkpoint_every": 200_000},
        },
    ),
    "cifar10": Recipe(
        "section 6.5: CIFAR-10 without labels, gamma = 750 and joint updates: Inception score 8.80",
        {
            "model": {
                "resolution": 32,
                "schedule": "cifar10",
                "fmap_base": 4096,
                "fmap_max": 128,
                "gp_target": 750.0,
                "joint_update": True,
                "truncate_faded": True,
            },
            "data": images_of("CIFAR10"),
            "images": 20_000_000,
            "keep": {"grid_every": 400_000, "checkpoint_every": 200_000},
        },
        reported={"is50k": "8.80 +/- 0.05"},
    ),
    **{f"table1_{'e_star' if row == 'e*' else row}": table_1(row) for row in TABLE_1},
    "celeba64": Recipe(
        "extension: aligned CelebA at 64x64, the released settings for one device",
        {
            "model": {"resolution": 64, "schedule": "released_1", "group_size": 4},
            "data": images_of("CelebA", resolution=64, horizontal_flip=True),
            "images": 8_000_000,
            "keep": {"grid_every": 300_000, "checkpoint_every": 100_000},
        },
    ),
    "celeba128": Recipe(
        "extension: aligned CelebA at 128x128 (the whole width), the released settings for one device",
        {
            "model": {"resolution": 128, "schedule": "released_1", "group_size": 4},
            "data": images_of("CelebA", resolution=128, crop=178, horizontal_flip=True),
            "images": 12_000_000,
            "keep": {"grid_every": 300_000, "checkpoint_every": 100_000},
        },
    ),
    "mnist": Recipe(
        "extension: MNIST at 32x32, narrow networks and short phases, an hour and a half on one CPU core",
        {
            "model": {
                "resolution": 32,
                "channels": 1,
                "schedule": "cifar10",
                "fmap_base": 256,
                "fmap_max": 64,
                "stabilise_images": 30_000,
                "fade_images": 30_000,
                "batch_sizes": {4: 32},
                "group_size": 4,
            },
            "data": images_of("MNIST", resolution=32),
            "images": 600_000,
            "trainer": {"precision": "bf16-mixed"},
            "evaluation": {"every": 30_000},
            "keep": {
                "grid_every": 15_000,
                "checkpoint_every": 10_000,
                "archive_every": 60_000,
                "monitor": "fd_lenet2k",
            },
        },
    ),
    "stacked": Recipe(
        "extension: the networks of `mnist` on three MNIST digits in the channels (1,000 modes)",
        {
            "model": {
                "resolution": 32,
                "schedule": "cifar10",
                "fmap_base": 256,
                "fmap_max": 64,
                "stabilise_images": 100_000,
                "fade_images": 100_000,
                "batch_sizes": {4: 32},
                "group_size": 4,
            },
            "data": {
                "class_path": "zoo.data.StackedMNIST",
                "init_args": {"resolution": 32},
            },
            "images": 3_000_000,
            "evaluation": {"every": 250_000, "test_samples": 26_000},
            "keep": {"grid_every": 100_000, "checkpoint_every": 100_000, "monitor": "fd_resnet2k"},
        },
    ),
    "folder": Recipe(
        "extension: a folder of your own images at 256x256 (or data.resolution and model.resolution), for one device",
        {
            "model": {"resolution": 256, "schedule": "released_1", "group_size": 4},
            "data": images_of("ImageFolder", resolution=256, horizontal_flip=True),
            "images": 12_000_000,
            "keep": {"grid_every": 200_000, "checkpoint_every": 100_000},
        },
    ),
    "digits": Recipe(
        "narrow networks at 32x32 and short phases on the 5,000 embedded digits (no experiment of the paper)",
        {
            "model": {
                "resolution": 32,
                "channels": 1,
                "schedule": "cifar10",
                "fmap_base": 256,
                "fmap_max": 32,
                "stabilise_images": 12_000,
                "fade_images": 12_000,
                "batch_sizes": {4: 32},
                "group_size": 4,
                "ema_beta": 0.99,
            },
            "data": images_of("Digits", resolution=32),
            "images": 100_000,
            "trainer": {"precision": "bf16-mixed"},
            "evaluation": {"every": 25_000, "across_papers": True},
            "keep": {"grid_every": 12_000, "checkpoint_every": 12_000, "monitor": "fd_lenet2k"},
        },
    ),
}

#: Table 1 in small: half the levels, an eighth of the maps, a fiftieth of the images; batches and rates stay.
SMALL = ["--model.resolution=32", "--data.resolution=32", "--model.fmap_max=64", "--images=200000"]
SMALL += ["--model.stabilise_images=16000", "--model.fade_images=16000"]
SMALL += ["--evaluation.extractors=[resnet]", "--evaluation.every=50000", "--keep.monitor=fd_resnet2k"]
SMALL += ["--keep.checkpoint_every=25000", "--keep.grid_every=50000"]
NARROW, WIDE = ["--model.fmap_base=256"], ["--model.fmap_base=512"]


def small_row(row: str, seed: int) -> Member:
    """A row of table 1 at 32x32; the paper's last row has its full networks, here twice the maps of the other rows."""
    recipe = f"table1_{'e_star' if row == 'e*' else row}"
    width = WIDE if row == "h" else NARROW
    return Member(f"row {row} at 32x32", ["--recipe", recipe, *SMALL, *width, f"--seed_everything={seed}"])


STUDIES = {
    "table1_small": Study(
        "table 1 scaled down: CelebA at 32x32, narrow networks, 200,000 images for every row",
        {f"{row}-seed{seed}": small_row(row, seed) for seed in range(2) for row in TABLE_1},
        Lazy("zoo.experiments.pggan.table1_figures"),
        Lazy("zoo.experiments.pggan.table1_findings"),
        grows=True,
    ),
}

FIGURES = Lazy("zoo.experiments.pggan.run_figures")

if __name__ == "__main__":
    reproduce("pggan", RECIPES, figures=FIGURES, studies=STUDIES)
