"""Generative Adversarial Nets (Goodfellow et al., NIPS 2014, arXiv 1406.2661).

    python reproductions/gan.py fit  --recipe mnist --data_dir DIR
    python reproductions/gan.py test --run_dir runs/gan/mnist/NAME
    python reproductions/gan.py study --name parzen --data_dir DIR     (table 1 over seeds, and what decides it)

Reported and reached (written by `python -m zoo results --write`)
    With a reported figure
    recipe  measure    reported   best                        last           images      seed  commit   protocol
    mnist   parzen_ll  225 +/- 2  172.4 +/- 1.4 at 7,500,000  172.4 +/- 1.4  7,500,000   0     91a2008  f51cf66ef2ab
    mnist   parzen_ll  225 +/- 2  198.7                       201            25,000,000  0     e02aff4  f51cf66ef2ab

    Without a reported figure
    recipe        measure                                           best                          last             images      seed  commit   protocol
    celeba64      fd_efficientnet10k                                616.2 at 1,000,000            627.1            1,500,000   0     cff505c  be99dc2702b4
    celeba64      is_efficientnet10k                                4.083 +/- 0.083 at 1,000,000  4.26 +/- 0.082   1,500,000   0     cff505c  be99dc2702b4
    cifar10       fd_efficientnet10k                                815.7 at 1,500,000            815.7            1,500,000   0     d7011ac  e37ed0e8a352
    cifar10       is_efficientnet10k                                4.679 +/- 0.071 at 1,500,000  4.679 +/- 0.071  1,500,000   0     d7011ac  e37ed0e8a352
    mnist         fd_lenet                                          10.19 at 7,500,000            10.19            7,500,000   0     91a2008  a98a63801796
    mnist         is_lenet                                          8.61 +/- 0.067 at 7,500,000   8.61 +/- 0.067   7,500,000   0     91a2008  a98a63801796
    mnist         fd_lenet                                          8.294                         6.759            25,000,000  0     e02aff4  a98a63801796
    mnist         is_lenet                                          8.873                         8.91             25,000,000  0     e02aff4  a98a63801796
    study parzen  parzen_ll, 1,000 samples, seed0                                                 102.7                        0     e02aff4
    study parzen  parzen_sigma, 1,000 samples, seed0                                              0.2154                       0     e02aff4
    study parzen  parzen_ll, 10,000 samples, seed0                                                199.3                        0     e02aff4
    study parzen  parzen_sigma, 10,000 samples, seed0                                             0.1668                       0     e02aff4
    study parzen  parzen_ll, 40,000 samples, seed0                                                260.2                        0     e02aff4
    study parzen  parzen_sigma, 40,000 samples, seed0                                             0.1668                       0     e02aff4
    study parzen  parzen_ll, sigma of a finer grid, seed0                                         206.6                        0     e02aff4
    study parzen  parzen_sigma, of a finer grid, seed0                                            0.1791                       0     e02aff4
    study parzen  parzen_ll, sigma by all validation images, seed0                                199.3                        0     e02aff4
    study parzen  parzen_ll, sigma by the test images, seed0                                      206.6                        0     e02aff4
    study parzen  parzen_ll, latents 1, seed0                                                     198.7                        0     e02aff4
    study parzen  parzen_ll, latents 2, seed0                                                     199.1                        0     e02aff4
    study parzen  parzen_ll, 0.1 of G's units dropped, seed0                                      168.9                        0     e02aff4
    study parzen  parzen_ll, 0.5 of G's units dropped, seed0                                      63.4                         0     e02aff4
    study parzen  epoch of the best parzen_ll_validation, seed0                                   475                          0     e02aff4
End of the table

Differences from the paper and from the authors' configuration files
 1. The loss is the authors' code's: non-saturating for G, halved binary cross-entropy for D, both players moved at
    once from gradients of the same minibatch, latents and dropout mask. The paper's Algorithm 1 alternates:
    `--model.update alternating`.
 2. Duration: the authors stopped by hand and do not report when. The budgets are 500 epochs of 50,000 digits (or of
    CIFAR-10's 40,000). The first run above ended after 150 of them, its log-likelihood still rising; after 500, in the
    study `parzen`, it hardly does.
 3. Batches run through a fresh permutation of the training images in every epoch and may straddle two epochs.
 4. The configurations for CIFAR-10 train on contrast-normalised images, which cannot be undone image by image:
    samples are shown with the mean brightness and contrast of 10,000 training images, where the authors divide each
    batch by its largest value. FID and IS of these samples are ours; the paper reports none.
 5. The Toronto Face Database experiment is left out: the data are not public any more.
 6. The momentum grows from epoch 0 on and stands at 0.7 from epoch 249 on, as pylearn2 has it (epochs counted from 0).
    In the run above, and in `digits`, it is one epoch late: by 0.0008.
 7. `digits` is no experiment of the paper: 5,000 of the MNIST training digits, so that it runs without a download.
 8. `cifar10` and `celeba64` are extensions without a reported figure: the networks of the MNIST configuration, with as
    many outputs as images in colour have values, trained by Adam (`--model.optimizer`) at 2e-4. Algorithm 1 leaves the
    gradient-based rule open. With the configuration's SGD the losses did not stay finite, and at smaller rates G drew
    one face for all latents. CIFAR-10's own fully connected configuration is for 8,000 units: with 144 to 1,600
    (`--model.width`) first samples are nearly equal, and G drew one image for all latents. At 8,000 it was not trained.
"""

from zoo.training import Lazy, Member, Recipe, Study, reproduce

#: pylearn2 raises the momentum before the first epoch already: it grows from epoch 0 on and stands from epoch 249 on.
MOMENTUM = {"momentum_first_epoch": 0, "momentum_epochs": 249}

RECIPES = {
    "mnist": Recipe(
        "the paper's MNIST experiment (mnist.yaml), Table 1",
        {
            "model": {"network": "mnist", **MOMENTUM},
            "data": {
                "class_path": "zoo.data.MNIST",
                "init_args": {"batch_size": 100, "train_images": 50_000},
            },
            "images": 25_000_000,
            "evaluation": {"every": 2_500_000},
            "keep": {
                "grid_every": 1_000_000,
                "checkpoint_every": 500_000,
                "monitor": "parzen_ll_validation",
            },
        },
        reported={"parzen_ll": "225 +/- 2"},
    ),
    "cifar10_fully_connected": Recipe(
        "the paper's fully connected CIFAR-10 experiment (cifar10_fully_connected.yaml)",
        {
            "model": {"network": "cifar10_fully_connected", **MOMENTUM},
            "data": {
                "class_path": "zoo.data.CIFAR10",
                "init_args": {"batch_size": 100, "train_images": 40_000},
            },
            "images": 20_000_000,
            "keep": {"grid_every": 1_000_000, "checkpoint_every": 500_000},
        },
    ),
    "cifar10_convolutional": Recipe(
        "the paper's CIFAR-10 experiment with a convolutional D and a deconvolutional G (cifar10_convolutional.yaml)",
        {
            "model": {"network": "cifar10_convolutional", **MOMENTUM},
            "data": {
                "class_path": "zoo.data.CIFAR10",
                "init_args": {"batch_size": 128, "train_images": 40_000},
            },
            "images": 20_000_000,
            "keep": {"grid_every": 1_000_000, "checkpoint_every": 500_000},
        },
    ),
    "cifar10": Recipe(
        "extension: MNIST's networks for 32x32 images in colour, trained by Adam, on all 50,000 of CIFAR-10",
        {
            "model": {"network": "mnist_rgb32", "optimizer": "adam"},
            "data": {"class_path": "zoo.data.CIFAR10", "init_args": {"batch_size": 100}},
            "images": 5_000_000,
            "evaluation": {"every": 500_000},
            "keep": {"grid_every": 100_000, "checkpoint_every": 100_000},
        },
    ),
    "celeba64": Recipe(
        "extension: MNIST's networks for 64x64 images in colour, trained by Adam, on aligned CelebA",
        {
            "model": {"network": "mnist_rgb64", "optimizer": "adam"},
            "data": {
                "class_path": "zoo.data.CelebA",
                "init_args": {"batch_size": 100, "resolution": 64, "horizontal_flip": True},
            },
            "images": 5_000_000,
            "evaluation": {"every": 500_000},
            "keep": {"grid_every": 100_000, "checkpoint_every": 100_000},
        },
    ),
    "digits": Recipe(
        "the MNIST networks on the 5,000 embedded digits, for a first look (no experiment of the paper)",
        {
            "model": {"network": "mnist", "images_per_epoch": 5_000},
            "data": {"class_path": "zoo.data.Digits", "init_args": {"batch_size": 100}},
            "images": 300_000,
            "evaluation": {"every": 100_000, "across_papers": True},
            "keep": {"grid_every": 100_000, "checkpoint_every": 100_000, "monitor": "fd_lenet2k"},
        },
    ),
}

STUDIES = {
    "parzen": Study(
        "table 1 to where the log-likelihood stops rising, over seeds, and what it depends on beside the training",
        {f"seed{s}": Member("mnist", [f"--seed_everything={s}"]) for s in range(3)},
        Lazy("zoo.experiments.gan_parzen.parzen_figures"),
        Lazy("zoo.experiments.gan_parzen.parzen_findings"),
        options=["--recipe", "mnist", "--evaluation.every=1250000"],
        grows=True,
    )
}

if __name__ == "__main__":
    reproduce("gan", RECIPES, studies=STUDIES)
