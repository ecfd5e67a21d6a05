"""Conditional Generative Adversarial Nets (Mirza & Osindero 2014, arXiv 1411.1784).

    python reproductions/cgan.py fit  --recipe mnist --data_dir DIR
    python reproductions/cgan.py test --run_dir runs/cgan/mnist/NAME

Reported and reached (written by `python -m zoo results --write`)
    With a reported figure
    recipe  measure    reported     best                        last           images     seed  commit   protocol
    mnist   parzen_ll  132 +/- 1.8  185.2 +/- 2.5 at 5,000,000  185.2 +/- 2.5  5,000,000  0     e2b4ce2  290c7faeaaf2

    Without a reported figure
    recipe   measure             best                          last             images     seed  commit   protocol
    cifar10  fd_efficientnet10k  342.2 at 696,704              342.2            696,704    0     7132784  d0547c79f296
    cifar10  is_efficientnet10k  13.02 +/- 0.49 at 696,704     13.02 +/- 0.49   696,704    0     7132784  d0547c79f296
    mnist    fd_lenet            7.432 at 5,000,000            7.432            5,000,000  0     e2b4ce2  0d03e053dbde
    mnist    is_lenet            9.728 +/- 0.023 at 5,000,000  9.728 +/- 0.023  5,000,000  0     e2b4ce2  0d03e053dbde
End of the table

The authors released no code, and the paper leaves much open.

Differences from the paper, and choices where it does not say
 1. The loss of G is the non-saturating one, and D's is halved, as in the code of the first GAN, whose learning rate,
    batch size and momentum the paper repeats. The players move in turn (Algorithm 1 of GAN with k = 1), each with
    fresh latents; the paper says neither.
 2. Fakes are made for the labels of the reals in the same batch.
 3. Dropout of 1/2 "to both G and D" stands after every hidden layer and on no input. `--model.input_dropout 0.2` adds
    the one that the first GAN has on D's image. Samples are drawn with G's dropout, which the paper leaves open: it is
    where the trained network takes its noise from (`--model.sampling_dropout false` gives one image a class).
 4. Initial weights are those of the first GAN, U(-0.05, 0.05) in G and U(-0.005, 0.005) in D; biases are 0.
 5. The momentum grows over 250 epochs and training uses the first 50,000 digits, as for the first GAN. The duration is
    not reported: here 500 epochs. In the run above the momentum is one epoch late: by 0.0008. The paper stops at the
    best Parzen log-likelihood of validation images, which is what `best` is.
 6. `accuracy_lenet`, the share of samples that a classifier takes for their label, is ours.
 7. The convolutional network is ours: DCGAN's guidelines with the one-hot label joined to z and, as constant maps, to
    the images; Adam, z ~ U(-1, 1). It carries the extensions to CIFAR-10 and CelebA (which has no labels here, hence
    one class that says nothing).
 8. The experiment on Flickr tags is left out.
"""

from zoo.training import Lazy, Recipe, reproduce

RECIPES = {
    "mnist": Recipe(
        "the paper's MNIST experiment (section 4.1), Table 1",
        {
            "model": {"network": "mnist", "momentum_first_epoch": 0, "momentum_epochs": 249},
            "data": {"class_path": "zoo.data.MNIST", "init_args": {"batch_size": 100, "train_images": 50_000}},
            "images": 25_000_000,
            "evaluation": {"every": 2_500_000},
            "keep": {"grid_every": 1_000_000, "checkpoint_every": 500_000, "monitor": "parzen_ll_validation"},
        },
        reported={"parzen_ll": "132 +/- 1.8"},
    ),
    "mnist_convolutional": Recipe(
        "extension: the convolutional network on MNIST",
        {
            "model": {"network": "convolutional"},
            "data": {"class_path": "zoo.data.MNIST", "init_args": {"batch_size": 128}},
            "images": 1_500_000,
            "evaluation": {"every": 100_000},
            "keep": {"grid_every": 50_000, "checkpoint_every": 50_000, "monitor": "fd_lenet2k"},
        },
    ),
    "cifar10": Recipe(
        "extension: the convolutional network on CIFAR-10 and its ten classes",
        {
            "model": {"network": "convolutional", "channels": 3, "resolution": 32},
            "data": {"class_path": "zoo.data.CIFAR10", "init_args": {"batch_size": 128}},
            "images": 5_000_000,
            "keep": {"grid_every": 250_000, "checkpoint_every": 250_000},
        },
    ),
    "celeba": Recipe(
        "extension: the convolutional network on aligned CelebA at 64x64, one class for all",
        {
            "model": {"network": "convolutional", "channels": 3, "resolution": 64, "num_classes": 1},
            "data": {"class_path": "zoo.data.CelebA", "init_args": {"batch_size": 128, "resolution": 64}},
            "images": 5_000_000,
            "keep": {"grid_every": 200_000, "checkpoint_every": 200_000},
        },
    ),
    "digits": Recipe(
        "the convolutional network, half as wide, on the 5,000 embedded digits (no experiment of the paper)",
        {
            "model": {"network": "convolutional", "width": 32},
            "data": {"class_path": "zoo.data.Digits", "init_args": {"batch_size": 64}},
            "images": 150_000,
            "evaluation": {"every": 50_000, "across_papers": True},
            "keep": {"grid_every": 25_000, "checkpoint_every": 50_000, "monitor": "fd_lenet2k"},
        },
    ),
}

FIGURES = Lazy("zoo.experiments.cgan.run_figures")

if __name__ == "__main__":
    reproduce("cgan", RECIPES, figures=FIGURES)
