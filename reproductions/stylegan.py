"""A Style-Based Generator Architecture for GANs (Karras, Laine, Aila, CVPR 2019, arXiv 1812.04948).

    python reproductions/stylegan.py fit  --recipe ffhq --data_dir DIR --devices 8
    python reproductions/stylegan.py test --run_dir runs/stylegan/ffhq/NAME
    python reproductions/stylegan.py study --name table1_small --data_dir DIR     (rows A to F scaled down to 32x32)
    python reproductions/stylegan.py study --name table2_small --data_dir DIR     (mixing, scaled down likewise)
    python reproductions/stylegan.py study --name finetune_colour --data_dir DIR  (from faces to 300 photographs of cars)

Reported and reached (written by `python -m zoo results --write`)
    Without a reported figure
    recipe                 measure                            best                        last             images   seed  commit                     protocol
    celeba64               fd_efficientnet10k                 107.2 at 116,536            107.2            116,536  0     f95cf41                    711e97e2008f
    celeba64               is_efficientnet10k                 2.879 +/- 0.052 at 116,536  2.879 +/- 0.052  116,536  0     f95cf41                    711e97e2008f
    cifar10                fd_efficientnet10k                 238.8 at 142,000            238.8            142,000  0     f95cf41                    b2471728aa58
    cifar10                is_efficientnet10k                 23.12 +/- 0.71 at 142,000   23.12 +/- 0.71   142,000  0     f95cf41                    b2471728aa58
    mnist                  fd_lenet                           5.726 at 560,000            5.726            560,000  0     fd57b8d                    d11d961ea6d8
    mnist                  is_lenet                           8.997 +/- 0.048 at 560,000  8.997 +/- 0.048  560,000  0     fd57b8d                    d11d961ea6d8
    study finetune_colour  share_of_images_scratch-augmented                              0.5                       0-2   9a8b3cd, 9aeafdf, d59d3ea
    study finetune_colour  share_of_images_finetuned                                      0.7507                    0-2   9a8b3cd, 9aeafdf, d59d3ea
    study finetune_colour  share_of_images_freeze-1                                       0.5                       0-2   9a8b3cd, 9aeafdf, d59d3ea
    study finetune_colour  share_of_images_augmented                                      0.5                       0-2   9a8b3cd, 9aeafdf, d59d3ea
End of the table

Reported (table 1, 1024x1024, lowest FID of 50,000 samples over the training): FFHQ rows A to F 8.04, 5.25, 4.85, 4.88,
4.42, 4.40; CelebA-HQ 7.79, 6.11, 5.34, 5.07, 5.06, 5.17. Table 2, one test latent: 4.42, 4.41, 4.40, 4.83 with 0, 50, 90
and 100 % mixing (`--model.mixing_prob`). Table 4, mapping depth on FFHQ: 5.06, 4.60, 4.43, 4.40 with 0, 1, 2, 8 layers
(`--model.mapping_layers`); the traditional generator (`ffhq_b`) 5.25 and 4.87 with 0 and 8. Path lengths: `path_length`.

Samples, grids and figures are of the averaged weights, with random noise and without truncation. While the network
grows, samples are enlarged to the final resolution, and the protocol of each figure says so.

Differences from the paper and from the authors' code
 1. Resolution, alpha and batch follow the images seen, batch by batch; the authors look at them every four batches.
 2. The generator's average takes the weights after G's update, the authors' those before it: our average after update k
    is theirs after k + 1.
 3. Images are kept at the stage's resolution. The authors enlarge them to the final one for D, which shrinks them
    again; R1 and the gradient penalty are then on a norm smaller by r / R, as here (`GrowingModule.gradient_scale`).
 4. Style mixing has one decision and one crossover for the batch of a device, as in the authors' code; the paper speaks
    of a percentage of images.
 5. The running average of w takes the mean over all devices, the authors' that of their first GPU.
 6. Upsampling and convolution are one transposed convolution from 32x32 on (the authors': from 128x128), and
    convolution and downsampling one strided convolution: the same maps, less work.
 7. Row C feeds w to the traditional input layer, as the authors' code does; the paper's figure feeds z.
 8. Row A is not among the settings of the authors' StyleGAN code. Here it is progressive GAN's generator and loss, from
    4x4, 12 million images, with this code's half-life of 10,000 images for the average (their PGGAN: 0.999 an update).
 9. How long the CelebA-HQ rows train is not reported: 12 million images for A, the code's 25 million for B to F. Their
    learning rate stops at 2e-3 (A: 3e-3, as the text can be read).
10. PyTorch's Adam adds epsilon to a root that is bias-corrected, the authors' to one that is not.
11. The minibatch statistic of several devices is that of each device's share, as theirs.
12. Truncation acts on the first 8 layers, as in the authors' figures; in a 32x32 network that is all of them.
13. Mixed precision (`--trainer.precision bf16-mixed`) is an extension; penalties run in float32 in any case.
14. FFHQ and CelebA-HQ are folders of images that you bring. LSUN is `folder` with `--data.horizontal_flip false` (cars,
    512x384, are not here). FID with two and more test latents (table 2) is not here.
15. `test` takes path lengths of digits by the project's LeNet (`ppl_full_w_lenet10k`), which compare among themselves
    only. The paper's are `path_length(model, VGG16LPIPS(...), face_crop=True)` on a checkpoint, with the two files of
    weights that zoo.metrics.lpips names; separability is zoo.metrics.separability, with classifiers that you bring.
16. Figures show other latents than the paper's, in its layout: `figure3_style_mixing`, `figure4_noise_deviation`,
    `figure5_noise`, `figure8_truncation` (psi acts on all layers there), `resolutions`, `growth`, `interpolation`.
17. FID is from 50,000 reals, each mirrored with probability 1/2, as by the authors; which 50,000 of FFHQ, and which are
    mirrored, are this project's draws. The extensions take every real of the split as it is: see
    `--evaluation.mirror_reals`.
18. `celeba64`, `celeba128`, `cifar10`, `folder`, `mnist` and `digits` are extensions without a reported figure; the
    last two have narrow networks, z and w of 64 numbers, and short phases.
19. The studies `table1_small` and `table2_small` ask for the order of the rows alone: CelebA at 32x32, narrow networks,
    250,000 images in batches of 8, an average of G's weights with a half-life of 1,000 images, R1 weight 0.1 (A:
    WGAN-GP), distances and path lengths by features of the project's ResNet. Of several test latents each takes over
    from the one before at a layer drawn uniformly. Nothing stands beside reported values.
20. Batches run through a fresh permutation of all images in every epoch; the authors draw from a buffer of 4 GB (1,366
    images of 1024x1024).
"""

from typing import Any

from zoo.training import Lazy, Member, Recipe, Study, reproduce
from zoo.training.finetune.cars import study_of_cars

#: Table 1: what the row adds, FID on CelebA-HQ, FID on FFHQ
TABLE_1: dict[str, tuple[str, str, str]] = {
    "A": ("baseline progressive GAN", "7.79", "8.04"),
    "B": ("+ tuning, bilinear up- and downsampling", "6.11", "5.25"),
    "C": ("+ mapping and styles", "5.34", "4.85"),
    "D": ("- traditional input", "5.07", "4.88"),
    "E": ("+ noise inputs", "5.06", "4.42"),
    "F": ("+ mixing regularisation", "5.17", "4.40"),
}
#: The authors' FID is from 50,000 reals, mirrored as in training; where there are fewer, they are taken again.
REALS = {"mirror_reals": True, "real_images": 50_000}
CAPPED = {4: 1e-3, 128: 1.5e-3, 256: 2e-3}  # the learning rates for CelebA-HQ


def images_of(class_path: str, **settings: Any) -> dict[str, Any]:
    """The schedule, not the data, sets the batch."""
    return {"class_path": f"zoo.data.{class_path}", "init_args": settings}


def table_1(row: str, *, dataset: str) -> Recipe:
    """A row of table 1 at 1024x1024: CelebA-HQ throughout and row A with WGAN-GP, the others with R1."""
    change, celebahq, ffhq = TABLE_1[row]
    model: dict[str, Any] = {"resolution": 1024, "config": row}
    if dataset == "CelebA-HQ" or row == "A":
        model["loss"] = "wgan_gp"
    if dataset == "CelebA-HQ" and row != "A":
        model["lrs"] = CAPPED
    images = 12_000_000 if row == "A" else 25_000_000
    return Recipe(
        f"table 1, row {row}: {change}; {dataset} at 1024x1024, a folder of images, batches of 8 GPUs",
        {
            "model": model,
            "data": images_of("ImageFolder", resolution=1024, horizontal_flip=True),
            "images": images,
            "evaluation": REALS,
            "keep": {"grid_every": 300_000, "checkpoint_every": 100_000},
        },
        reported={"fid50k": celebahq if dataset == "CelebA-HQ" else ffhq},
    )


def extension(summary: str, data: dict[str, Any], *, images: int, every: int, **model: Any) -> Recipe:
    """The paper's networks and phases, the released batches of one GPU."""
    return Recipe(
        f"extension: {summary}",
        {
            "model": {"devices": 1, **model},
            "data": data,
            "images": images,
            "keep": {"grid_every": every, "checkpoint_every": every},
        },
    )


RECIPES = {
    "ffhq": table_1("F", dataset="FFHQ"),
    "celebahq": table_1("F", dataset="CelebA-HQ"),
    **{f"ffhq_{row.lower()}": table_1(row, dataset="FFHQ") for row in "ABCDE"},
    **{f"celebahq_{row.lower()}": table_1(row, dataset="CelebA-HQ") for row in "ABCDE"},
    "celeba64": extension(
        "aligned CelebA at 64x64",
        images_of("CelebA", resolution=64, horizontal_flip=True),
        images=10_000_000,
        every=200_000,
        resolution=64,
    ),
    "celeba128": extension(
        "aligned CelebA at 128x128 (the whole width)",
        images_of("CelebA", resolution=128, crop=178, horizontal_flip=True),
        images=15_000_000,
        every=200_000,
        resolution=128,
    ),
    "cifar10": extension("CIFAR-10 at 32x32", images_of("CIFAR10"), images=10_000_000, every=200_000, resolution=32),
    "folder": extension(
        "a folder of your own images at 256x256 (for another power of two: data.resolution and model.resolution)",
        images_of("ImageFolder", resolution=256, horizontal_flip=True),
        images=15_000_000,
        every=200_000,
        resolution=256,
    ),
    "mnist": Recipe(
        "extension: MNIST at 32x32, narrow networks and short phases, about an hour on one CPU core",
        {
            "model": {
                "resolution": 32,
                "channels": 1,
                "z_dim": 64,
                "w_dim": 64,
                "fmap_base": 256,
                "fmap_max": 64,
                "stabilise_images": 40_000,
                "fade_images": 40_000,
                "batch_sizes": {4: 32},
            },
            "data": images_of("MNIST", resolution=32),
            "images": 560_000,
            "trainer": {"precision": "bf16-mixed"},
            "evaluation": {"every": 40_000},
            "keep": {
                "grid_every": 20_000,
                "checkpoint_every": 10_000,
                "archive_every": 80_000,
                "monitor": "fd_lenet2k",
            },
        },
    ),
    "digits": Recipe(
        "narrow networks at 32x32 and short phases on the 5,000 embedded digits (no experiment of the paper)",
        {
            "model": {
                "resolution": 32,
                "channels": 1,
                "z_dim": 64,
                "w_dim": 64,
                "mapping_layers": 4,
                "fmap_base": 256,
                "fmap_max": 32,
                "stabilise_images": 12_000,
                "fade_images": 12_000,
                "batch_sizes": {4: 32},
                "ema_half_life": 2_000.0,
            },
            "data": images_of("Digits", resolution=32),
            "images": 100_000,
            "trainer": {"precision": "bf16-mixed"},
            "evaluation": {"every": 25_000, "across_papers": True},
            "keep": {"grid_every": 12_000, "checkpoint_every": 12_000, "monitor": "fd_lenet2k"},
        },
    ),
}

#: Tables 1 and 2 in small: CelebA at 32x32, 16 to 64 maps, z and w of 64 numbers, phases of 10,000 images. Batches of 8
#: give four times as many updates for the same time as batches of 32; an average over 10,000 images would show in
#: each phase what the one before it had learnt.
SMALL = ["--recipe=celeba64", "--model.resolution=32", "--data.resolution=32", "--images=250000"]
SMALL += ["--model.fmap_base=256", "--model.fmap_max=64", "--model.z_dim=64", "--model.w_dim=64"]
SMALL += ["--model.stabilise_images=10000", "--model.fade_images=10000", "--model.batch_sizes={4: 8}"]
SMALL += ["--model.ema_half_life=1000"]
SMALL += ["--evaluation.extractors=[resnet]", "--evaluation.every=50000", "--keep.monitor=fd_resnet2k"]
SMALL += ["--keep.checkpoint_every=25000", "--keep.grid_every=50000"]
SMALL_R1 = ["--model.r1_gamma=0.1"]  # the paper's 10 is for 1024x1024


def small_row(row: str) -> list[str]:
    """A row of table 1 at 32x32: A with WGAN-GP, the others with R1, as for FFHQ."""
    return [f"--model.config={row}", *(["--model.loss=wgan_gp"] if row == "A" else SMALL_R1)]


#: What the release on digits may take from a short search: the loss, R1's weight, the rate, batch, phases and width; and
#: as much of w as few images can teach: a short mapping, which moves at a hundredth of the rate, and no mixing of styles.
PLAIN = ["--model.mapping_layers=2", "--model.mixing_prob=0"]
PENALISED, FASTER = ["--model.loss=wgan_gp"], ["--model.lrs={4: 0.002}"]
SEARCH = {
    "wgan_gp": PENALISED,
    "wgan_gp-mixing_0": [*PENALISED, "--model.mixing_prob=0"],
    "wgan_gp-mapping_2": [*PENALISED, "--model.mapping_layers=2"],
    "wgan_gp-mapping_2-mixing_0": [*PENALISED, *PLAIN],
    "wgan_gp-mapping_2-mixing_0-wide": [*PENALISED, *PLAIN, "--model.fmap_base=512"],
    "wgan_gp-mapping_2-mixing_0-lr_0.002": [*PENALISED, *PLAIN, *FASTER],
    "wgan_gp-mapping_2-mixing_0-lr_0.002-batch_32": [*PENALISED, *PLAIN, *FASTER, "--model.batch_sizes={4: 32}"],
    "wgan_gp-mapping_2-mixing_0-lr_0.002-phases_4000": [
        *(*PENALISED, *PLAIN, *FASTER),
        *("--model.stabilise_images=4000", "--model.fade_images=4000"),
    ],
    "r1_10": ["--model.r1_gamma=10"],
    "r1_10-mapping_2-mixing_0-lr_0.002": ["--model.r1_gamma=10", *PLAIN, *FASTER],
    "r1_0.1-lr_0.002": ["--model.r1_gamma=0.1", *FASTER],
}
SHORT = ["--recipe=mnist", "--trainer.precision=32-true", "--images=160000", "--evaluation.every=20000"]
SHORT += ["--model.stabilise_images=12000", "--model.fade_images=12000", "--keep.checkpoint_every=20000"]
SHORT += ["--model.batch_sizes={4: 8}", "--model.ema_half_life=1000"]

#: Of the release of faces, whose target was made for a core of a CPU: what every arm trains with, and the networks.
RELEASED_CONSTANTS = ["--model.batch_sizes={4: 8}", "--model.lrs={4: 0.002}", "--model.r1_gamma=0.5"]
RELEASED_CONSTANTS += ["--model.ema_half_life=2000"]
RELEASED_NETWORKS = ["--model.fmap_base=512", "--model.fmap_max=64", "--model.z_dim=64", "--model.w_dim=64"]
RELEASED_NETWORKS += ["--model.mapping_layers=4"]

MIXING = {"0": 0.0, "50": 0.5, "90": 0.9, "100": 1.0}  # per cent
STUDIES = {
    "table1_small": Study(
        "table 1 scaled down: rows A to F, CelebA at 32x32, narrow networks, 250,000 images for every row",
        {
            f"{row}-seed{seed}": Member(f"row {row} at 32x32", [*small_row(row), f"--seed_everything={seed}"])
            for seed in range(2)
            for row in TABLE_1
        },
        Lazy("zoo.experiments.stylegan_tables.table1_figures"),
        Lazy("zoo.experiments.stylegan_tables.table1_findings"),
        options=SMALL,
        grows=True,
    ),
    "finetune_colour": study_of_cars(
        "stylegan.celeba64",
        options=["--recipe", "celeba64", *RELEASED_CONSTANTS],
        scratch=[*RELEASED_NETWORKS, "--scale_phases", "true"],
        images=6_000,
        grows=True,
    ),
    "table2_small": Study(
        "table 2 scaled down: styles mixed in training against the number of latents at test time, CelebA at 32x32",
        {
            f"mixing_{per_cent}": Member(
                f"mixing {per_cent} %, at 32x32", [*small_row("F"), f"--model.mixing_prob={share}"]
            )
            for per_cent, share in MIXING.items()
        },
        Lazy("zoo.experiments.stylegan_tables.table2_figures"),
        Lazy("zoo.experiments.stylegan_tables.table2_findings"),
        options=SMALL,
        grows=True,
    ),
    "mnist_search": Study(
        "a short search for the release on digits: loss, R1's weight, rate, batch, phases, width and mapping (no experiment of the paper)",
        {name: Member(name, options) for name, options in SEARCH.items()},
        Lazy("zoo.experiments.ablation.search_figures"),
        options=SHORT,
        grows=True,
    ),
}

FIGURES = Lazy("zoo.experiments.stylegan.run_figures")

if __name__ == "__main__":
    reproduce("stylegan", RECIPES, figures=FIGURES, studies=STUDIES)
