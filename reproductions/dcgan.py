"""Unsupervised Representation Learning with Deep Convolutional GANs (Radford et al., ICLR 2016, arXiv 1511.06434).

    python reproductions/dcgan.py fit  --recipe mnist --data_dir DIR
    python reproductions/dcgan.py test --run_dir runs/dcgan/mnist/NAME
    python reproductions/dcgan.py study --name finetune --data_dir DIR     (a digit left out of training, fine-tuned on)
    python reproductions/dcgan.py study --name finetune_colour --data_dir DIR    (from faces to 300 photographs of cars)
    python reproductions/dcgan.py study --name features --data_dir DIR     (own data's features under a linear SVM)

Reported and reached (written by `python -m zoo results --write`)
    With a reported figure
    recipe             measure       reported  best               last    images   seed  commit   protocol
    mnist_conditional  error_1nn50k  0.0298    0.0387 at 900,096  0.0387  900,096  0     66e0a76  c40da6e90139

    Without a reported figure
    recipe                 measure                                      best                         last              images   seed  commit   protocol
    celeba_community       fd_resnet10k                                 0.308 at 290,240             0.308             290,240  0     6d87187  e4f3816fac14
    celeba_community       is_resnet10k                                 1.483 +/- 0.018 at 290,240   1.483 +/- 0.018   290,240  0     6d87187  e4f3816fac14
    cifar10                fd_efficientnet10k                           253.2 at 750,016             253.2             750,016  0     7132784  59fbc136ddb6
    cifar10                is_efficientnet10k                           19.68 +/- 0.67 at 750,016    19.68 +/- 0.67    750,016  0     7132784  59fbc136ddb6
    mnist                  fd_lenet                                     9.767 at 600,064             11.04             650,112  0     6d7ccf4  fe804a5c1abd
    mnist                  is_lenet                                     8.203 +/- 0.052 at 600,064   8.141 +/- 0.088   650,112  0     6d7ccf4  fe804a5c1abd
    mnist_conditional      fd_lenet                                     1.452 at 900,096             1.452             900,096  0     66e0a76  68cc2f51377e
    mnist_conditional      is_lenet                                     9.739 +/- 0.021 at 900,096   9.739 +/- 0.021   900,096  0     66e0a76  68cc2f51377e
    stacked                fd_resnet26k                                 0.1206 at 600,000            0.1206            600,000  0     d47e1c0  79ea758c9a4c
    stacked                is_resnet26k                                 1.251 +/- 0.0032 at 600,000  1.251 +/- 0.0032  600,000  0     d47e1c0  79ea758c9a4c
    stacked                modes26k                                     1000 at 600,000              1000              600,000  0     d47e1c0  976911b8ecb4
    stacked                modes_kl26k                                  0.1175 at 600,000            0.1175            600,000  0     d47e1c0  976911b8ecb4
    cifar10                fd_resnet10k                                 15.97                        17.3              400,000  0     d47e1c0  b13bed26b8cf
    cifar10                is_resnet10k                                 2.149                        1.983             400,000  0     d47e1c0  b13bed26b8cf
    study features         svm_accuracy of own-data D, own_data-seed0                                0.666                      0     d47e1c0
    study features         svm_C of own-data D, own_data-seed0                                       0.0001                     0     d47e1c0
    study features         features of own-data D, own_data-seed0                                    10,752                     0     d47e1c0
    study features         svm_accuracy of untrained D, own_data-seed0                               0.6082                     0     d47e1c0
    study features         svm_C of untrained D, own_data-seed0                                      0.0001                     0     d47e1c0
    study features         features of untrained D, own_data-seed0                                   10,752                     0     d47e1c0
    study finetune         share_of_images_finetuned                                                 0.3006                     0     5d66324
    study finetune         share_of_images_freeze-1                                                  0.3518                     0     5d66324
    study finetune         share_of_images_freeze-2                                                  0.3006                     0     5d66324
    study finetune_colour  share_of_images_scratch-augmented                                         0.75                       0-2   4862c0e
    study finetune_colour  share_of_images_finetuned                                                 0.25                       0-2   4862c0e
    study finetune_colour  share_of_images_freeze-1                                                  0.25                       0-2   4862c0e
    study finetune_colour  share_of_images_augmented                                                 0.25                       0-2   4862c0e
End of the table

The paper trains on LSUN bedrooms, ImageNet-1k at 32x32 and 350,000 faces that were never released. It trains on neither
MNIST (but for a conditional network in its appendix) nor CIFAR-10 nor CelebA: the recipes on these are extensions
without a reported figure. Of the appendix's experiment on MNIST 2.98 % are recalled as the error of 1-NN on 50,000
samples, not read again: the table is a picture in the copies that were at hand.

Differences from the paper and from the authors' code
 1. Each batch of reals is followed by one update of D and one of G (Algorithm 1 of GAN with k = 1). The authors' script
    spends alternate minibatches on D and on G and uses the reals of the latter for nothing. So budgets and phases in
    images are half of theirs here, and updates of each player as many but for the short batches that end their epochs:
    34,180 (`faces`; theirs 34,188) and 39,063 (`mnist_conditional`; theirs 39,100).
 2. The authors' code generates with batch statistics at all times. Here figures are taken with BatchNorm statistics
    re-estimated on fixed latents (`--evaluation.batchnorm batch` gives theirs), so that a sample does not depend on its
    neighbours; grids use the running statistics.
 3. The authors' script adds 1e-5 times the weight to every gradient, the paper does not mention it: `--model.l2 1e-5`.
 4. `mnist_conditional`: the networks, [0, 1] images and the learning rate (constant for 100 epochs, linear to 0 over
    100) are those of the authors' script, which lowers it once an epoch: to at most 2e-6 above the line here. Its
    2.5e-5 of weight decay is not in the paper: `--model.l2 2.5e-5`. It trains on 50,000 of the digits drawn at random,
    here the first 50,000. The 1-NN classifier is scored on the 10,000 test digits, theirs on 10,000 validation digits,
    with running statistics.
 5. Their Adam lets beta1 decay by 1e-8 at each step; ours is constant.
 6. `community` (4x4 kernels, 64 filters, normal latents) is the Torch port's network, not the authors'.
 7. The CIFAR-10 classification with ImageNet-trained features (82.8 %) needs ImageNet-1k and is not run. The study
    `features` is the same protocol (maps of every convolution, max-pooled to 4x4, a linear L2-SVM) with D trained on
    CIFAR-10 itself, narrower, and with C chosen on 10,000 training images: another experiment than the reported one.
 8. `digits` and `mnist` pad the 28x28 digits to 32x32 with black, as LeNet-5 did.
 9. Techniques of a later paper (zoo/models/improved_gan.py) are off in every recipe. To switch them on:
    `--model.techniques.feature_matching true`, and likewise `minibatch_discrimination true`, `historical_averaging
    0.01`, `label_smoothing 0.9`, `virtual_batchnorm true`, `instance_noise 0.1` (Salimans et al. 2016; Sønderby et al.
    2017). Where the text of Salimans et al. and their code differ, the text is followed: the code takes the mean
    absolute difference of features, not the squared norm, and from a batch that D has not just been trained on; it
    learns a scale and a bias for each kernel of minibatch discrimination.
10. `faces` resizes the central square of each image. The authors' are stored at 128x128, and they train on the central
    64x64 of these pixels: cut yours to the face.
11. Batches run through a fresh permutation of the images in every epoch and may straddle two epochs; the last batch of
    an epoch of theirs is smaller.
"""

from zoo.training import Lazy, Member, Recipe, Study, reproduce
from zoo.training.finetune.cars import study_of_cars

RECIPES = {
    "faces": Recipe(
        "the authors' 64x64 faces network on a folder of your own face images (theirs were not released)",
        {
            "model": {"network": "faces64"},
            "data": {
                "class_path": "zoo.data.ImageFolder",
                "init_args": {"batch_size": 128, "resolution": 64},
            },
            "images": 4_375_000,  # half of 25 epochs of 350,000: as many updates of each player
            "keep": {"grid_every": 175_000, "checkpoint_every": 175_000},
        },
    ),
    "mnist_conditional": Recipe(
        "the paper's conditional MNIST experiment (section 8.1): error of 1-NN on 50,000 labelled samples",
        {
            "model": {"network": "mnist_conditional", "constant_images": 2_500_000, "decay_images": 2_500_000},
            "data": {"class_path": "zoo.data.MNIST", "init_args": {"batch_size": 128, "train_images": 50_000}},
            "images": 5_000_000,  # half of 100 + 100 epochs of 50,000: as many updates of each player
            "evaluation": {"every": 500_000},
            "keep": {"grid_every": 250_000, "checkpoint_every": 250_000, "monitor": "fd_lenet2k"},
        },
        reported={"error_1nn50k": "0.0298"},
    ),
    "celeba": Recipe(
        "extension: the authors' 64x64 faces network on aligned CelebA (108x108 centre crop)",
        {
            "model": {"network": "faces64"},
            "data": {"class_path": "zoo.data.CelebA", "init_args": {"batch_size": 128, "resolution": 64}},
            "images": 5_000_000,
            "keep": {"grid_every": 200_000, "checkpoint_every": 200_000},
        },
    ),
    "celeba_community": Recipe(
        "extension: the community 64x64 network on aligned CelebA",
        {
            "model": {"network": "community", "resolution": 64},
            "data": {"class_path": "zoo.data.CelebA", "init_args": {"batch_size": 128, "resolution": 64}},
            "images": 5_000_000,
            "keep": {"grid_every": 200_000, "checkpoint_every": 200_000},
        },
    ),
    "cifar10": Recipe(
        "extension: the authors' 32x32 ImageNet network trained on CIFAR-10 itself",
        {
            "model": {"network": "imagenet32"},
            "data": {"class_path": "zoo.data.CIFAR10", "init_args": {"batch_size": 128}},
            "images": 5_000_000,
            "keep": {"grid_every": 250_000, "checkpoint_every": 250_000},
        },
    ),
    "mnist": Recipe(
        "extension: the community network at 32x32 on MNIST",
        {
            "model": {"network": "community", "resolution": 32, "channels": 1},
            "data": {"class_path": "zoo.data.MNIST", "init_args": {"batch_size": 128, "resolution": 32}},
            "images": 1_500_000,
            "evaluation": {"every": 100_000},
            "keep": {"grid_every": 50_000, "checkpoint_every": 50_000, "monitor": "fd_lenet2k"},
        },
    ),
    "stacked": Recipe(
        "extension: the community network at 32x32 on three MNIST digits in the channels (1,000 modes)",
        {
            "model": {"network": "community", "resolution": 32},
            "data": {
                "class_path": "zoo.data.StackedMNIST",
                "init_args": {"batch_size": 64, "resolution": 32},
            },
            "images": 3_000_000,
            "evaluation": {"every": 250_000, "test_samples": 26_000},
            "keep": {"grid_every": 250_000, "checkpoint_every": 250_000, "monitor": "fd_resnet2k"},
        },
    ),
    "digits": Recipe(
        "the community network at 32x32, half as wide, on the 5,000 embedded digits (no experiment of the paper)",
        {
            "model": {"network": "community", "resolution": 32, "channels": 1, "width": 32},
            "data": {"class_path": "zoo.data.Digits", "init_args": {"batch_size": 64, "resolution": 32}},
            "images": 150_000,
            "evaluation": {"every": 50_000, "across_papers": True},
            "keep": {"grid_every": 25_000, "checkpoint_every": 50_000, "monitor": "fd_lenet2k"},
        },
    ),
}

NINES = ["--data.classes", "[9]", "--images", "60000", "--keep.checkpoint_every", "6000", "--keep.grid_every", "6000"]
NINES += ["--evaluation.every", "3000", "--evaluation.samples", "1000", "--keep.monitor", "fd_lenet1k"]
TUNED = ["--init_from", "{study}/source", *NINES]

#: The authors' 32x32 network, 48 filters wide instead of 128: 10,752 features instead of 28,672.
FEATURES = ["--recipe", "cifar10", "--model.width=48", "--images=400000", "--evaluation.extractors=[resnet]"]
FEATURES += ["--evaluation.every=100000", "--keep.monitor=fd_resnet2k", "--keep.checkpoint_every=25000"]

STUDIES = {
    "finetune_colour": study_of_cars(
        "dcgan.celeba64",
        options=["--recipe", "celeba_community", "--data.batch_size", "32", "--evaluation.batchnorm", "running"],
        scratch=["--model.width", "32"],
        images=16_000,
    ),
    "finetune": Study(
        "nines, by a network trained on the digits 0 to 8, against one trained from scratch with the same budget",
        {
            "source": Member("0 to 8", ["--data.classes", "[0,1,2,3,4,5,6,7,8]", "--images", "300000"]),
            "scratch": Member("9, from scratch", NINES),
            "finetuned": Member("9, fine-tuned", TUNED),
            "freeze-1": Member("9, fine-tuned, first block of D frozen", [*TUNED, "--freeze_d", "1"]),
            "freeze-2": Member("9, fine-tuned, first two blocks of D frozen", [*TUNED, "--freeze_d", "2"]),
        },
        Lazy("zoo.experiments.finetune.study_figures"),
        Lazy("zoo.experiments.finetune.study_findings"),
        options=["--recipe", "mnist", "--model.width", "32"],
    ),
    "features": Study(
        "section 5.1's linear SVM on D's features, with D trained on CIFAR-10 itself (the paper's: on ImageNet-1k)",
        {f"own_data-seed{s}": Member("D trained on CIFAR-10", [f"--seed_everything={s}"]) for s in range(2)},
        Lazy("zoo.experiments.dcgan_features.features_figures"),
        Lazy("zoo.experiments.dcgan_features.features_findings"),
        options=FEATURES,
        grows=True,
    ),
}

if __name__ == "__main__":
    reproduce("dcgan", RECIPES, studies=STUDIES)
