"""Improved Training of Wasserstein GANs (Gulrajani et al., NIPS 2017, arXiv 1704.00028).

    python reproductions/wgan_gp.py fit  --recipe cifar10_resnet --data_dir DIR
    python reproductions/wgan_gp.py test --run_dir runs/wgan_gp/cifar10_resnet/NAME
    python reproductions/wgan_gp.py study --name toys             (the three sets of points, 100,000 generator updates)
    python reproductions/wgan_gp.py study --name surfaces         (figure 1a)
    python reproductions/wgan_gp.py study --name gradients        (figure 1b)
    python reproductions/wgan_gp.py study --name overfitting --data_dir DIR     (figure 5b)
    python reproductions/wgan_gp.py study --name architectures    (tables 2 and 5, scaled down to 80 networks on digits)

Reported and reached (written by `python -m zoo results --write`)
    Without a reported figure
    recipe               measure                                 best                           last               images       seed  commit            protocol
    celeba               fd_efficientnet10k                      307.4 at 150,000               318.6              170,672      0     a0f707f           c2fd6c961221
    celeba               is_efficientnet10k                      3.286 +/- 0.11 at 150,000      3.488 +/- 0.093    170,672      0     a0f707f           c2fd6c961221
    cifar10              fd_efficientnet10k                      196.1 at 576,576               196.1              576,576      0     7132784           59fbc136ddb6
    cifar10              is_efficientnet10k                      22.17 +/- 0.6 at 576,576       22.17 +/- 0.6      576,576      0     7132784           59fbc136ddb6
    mnist                fd_lenet                                4.05 at 1,200,000              4.05               1,200,000    0     8677964           cacc23a6fcf9
    mnist                is_lenet                                8.444 +/- 0.1 at 1,200,000     8.444 +/- 0.1      1,200,000    0     8677964           cacc23a6fcf9
    stacked              fd_resnet26k                            0.01961 at 2,500,032           0.01961            2,500,032    0     a3633f0           79ea758c9a4c
    stacked              is_resnet26k                            1.272 +/- 0.0047 at 2,500,032  1.272 +/- 0.0047   2,500,032    0     a3633f0           79ea758c9a4c
    stacked              modes26k                                1000 at 2,500,032              1000               2,500,032    0     a3633f0           976911b8ecb4
    stacked              modes_kl26k                             0.03529 at 2,500,032           0.03529            2,500,032    0     a3633f0           976911b8ecb4
    digits_random_gan    fd_lenet                                552.4 +/- 250                  552.4 +/- 250      32,000       0     66115e2, a436474  27eac9485077
    digits_random_gan    fd_lenet                                518.2 +/- 210                  518.2 +/- 210      32,000       0     a436474           e460d31d8cb1
    digits_random_gan    is_lenet                                2.039 +/- 1.5                  2.039 +/- 1.5      32,000       0     66115e2, a436474  27eac9485077
    digits_random_gan    is_lenet                                2.104 +/- 1.5                  2.104 +/- 1.5      32,000       0     a436474           e460d31d8cb1
    digits_random        fd_lenet                                282.3 +/- 160                  282.3 +/- 160      160,000      0     66115e2, a436474  27eac9485077
    digits_random        fd_lenet                                310.6 +/- 170                  310.6 +/- 170      160,000      0     a436474           e460d31d8cb1
    digits_random        is_lenet                                3.682 +/- 1.3                  3.682 +/- 1.3      160,000      0     66115e2, a436474  27eac9485077
    digits_random        is_lenet                                3.556 +/- 1.9                  3.556 +/- 1.9      160,000      0     a436474           e460d31d8cb1
    study architectures  only GAN, is_lenet above 2                                             1                               0     66115e2, a436474
    study architectures  only WGAN-GP, is_lenet above 2                                         10                              0     66115e2, a436474
    study architectures  both, is_lenet above 2                                                 6                               0     66115e2, a436474
    study architectures  neither, is_lenet above 2                                              3                               0     66115e2, a436474
    study architectures  only GAN, is_lenet above 4                                             0                               0     66115e2, a436474
    study architectures  only WGAN-GP, is_lenet above 4                                         6                               0     66115e2, a436474
    study architectures  both, is_lenet above 4                                                 3                               0     66115e2, a436474
    study architectures  neither, is_lenet above 4                                              11                              0     66115e2, a436474
    study architectures  only GAN, is_lenet above 6                                             0                               0     66115e2, a436474
    study architectures  only WGAN-GP, is_lenet above 6                                         1                               0     66115e2, a436474
    study architectures  both, is_lenet above 6                                                 0                               0     66115e2, a436474
    study architectures  neither, is_lenet above 6                                              19                              0     66115e2, a436474
    deep_penalty         wasserstein_exact                       2.945                          2.945              2,560,000    0     66115e2           4c22c1e04625
    deep_clip_0.1        wasserstein_exact                       0.2334                         0.2334             2,560,000    0     66115e2           4c22c1e04625
    deep_clip_0.01       wasserstein_exact                       2.244                          2.244              2,560,000    0     a436474           4c22c1e04625
    deep_clip_0.001      wasserstein_exact                       2.244                          2.244              2,560,000    0     a436474           4c22c1e04625
    mnist_1000           fd_lenet                                82.77                          82.77              500,000      0     2f5d17a           62109f12256a
    mnist_1000           is_lenet                                6.302                          6.302              500,000      0     2f5d17a           62109f12256a
    mnist_1000_clip      fd_lenet                                146.1                          146.1              500,000      0     2f5d17a           e58b6b3a8233
    mnist_1000_clip      is_lenet                                5.078                          5.078              500,000      0     2f5d17a           e58b6b3a8233
    toy_8gaussians       wasserstein_exact                       0.1296                         0.1296             128,000,000  0     63641d3           10ad889fc37f
    toy_8gaussians       share_modes_covered                     1                              1                  128,000,000  0     63641d3           10ad889fc37f
    toy_8gaussians       share_high_quality                      0.925                          0.925              128,000,000  0     63641d3           10ad889fc37f
    toy_25gaussians      wasserstein_exact                       0.111                          0.111              128,000,000  0     a436474           587d620c7cdc
    toy_25gaussians      share_modes_covered                     1                              1                  128,000,000  0     a436474           587d620c7cdc
    toy_25gaussians      share_high_quality                      0.778                          0.778              128,000,000  0     a436474           587d620c7cdc
    toy_swissroll        wasserstein_exact                       0.1056                         0.1056             128,000,000  0     a436474           4c22c1e04625
    study toys           wasserstein_exact of data, 8gaussians                                  0.09653 +/- 0.03                0     63641d3, a436474
    study toys           wasserstein_exact of data, 25gaussians                                 0.1012 +/- 0.025                0     63641d3, a436474
    study toys           wasserstein_exact of data, swissroll                                   0.09548 +/- 0.024               0     63641d3, a436474
End of the table

Reported (table 3): CIFAR-10 Inception score 7.86 +/- 0.07 without labels (`cifar10_resnet`) and 8.42 +/- 0.10 with
labels (`cifar10_acgan`), each of 50,000 samples. Whether at the best or the last checkpoint is not reported: compare
both. Figure 1 (points in the plane), figure 3 (curves without a table: `cifar10`, `cifar10_rmsprop`, `cifar10_clip`,
`cifar10_gan`) and figure 5b, the overfitting of 1,000 digits (`critic_gap_train` leaves `critic_gap_validation`), have
no tabulated values. Tables 2 and 5 count how many of 200 random architectures reach an Inception score with GAN, with
WGAN-GP, with both or neither: run `random_architectures` and `random_architectures_gan` with the same numbers
`--model.architecture_seed 0` to 199.

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
    fixed latents (`--evaluation.batchnorm batch` gives theirs). Conditional BatchNorm as well. BatchNorm of a critic
    (weight clipping on MNIST) has its moving averages where gradients and figure 5b's gaps are taken.
 7. TensorFlow's Adam adds epsilon to a root that is not bias-corrected; PyTorch's to one that is.
 8. The 1x1 convolutions of the residual shortcuts run before doubling and after pooling: the same values, less work.
 9. The CIFAR-10 ResNets' samples are cut off at (x + 1) * 128, which undoes the dequantisation; the authors cut off
    (x + 1) * 127.995.
10. The toy recipes draw every batch afresh. The authors' 25 Gaussians repeat a set of 100,000 points.
11. `mnist_1000` takes the network of the MNIST script and the first 1,000 training digits: the paper names
    neither ("large unregularized" networks, a random subset).
12. `lsun64` is "Good" of the authors' 64x64 script; the study `figure2` takes the seven architectures of figure 2,
    whose sizes are the script's. How long the paper trains them is not reported: 200,000 generator updates as in the
    script. The language model is not here. Where the 64x64 critics have layer norm with the penalty they have BatchNorm
    with another method, as in the script (but for the architecture that normalises nothing); D of `cifar10_gan` has
    BatchNorm, as in its script, while the MNIST script has it for weight clipping alone. The CIFAR-10 ResNets' script
    has no other method: `--model.method` changes their objective and its constants, not the networks.
13. `celeba`, `stacked` and `digits` are extensions without a reported figure.
14. `surface_*` trains the critic alone against reals plus N(0, I), as in figure 1a; `critic_surface` gives the
    contours. How long the paper trains it is not reported; the samples in the grids are of an untrained generator.
15. RMSProp has TensorFlow's decay of 0.9, but starts its average at 0 where TensorFlow starts at 1, and adds 1e-5 to
    the root where TensorFlow adds 1e-10 inside it.
16. `deep_*`, figure 1b: the paper says that both players are 12-layer ReLU MLPs without BatchNorm on the swiss roll,
    and that c is 0.1, 0.01 or 0.001. Read here as 12 layers of ReLU units and a linear one (the figure's axis has 13
    layers), with the toy script's 512 units, batch, learning rates and initial weights; lambda is 10 as in the text,
    since the script's 0.1 is for another network; 2,000 generator updates. "Gradient of the critic loss with respect
    to successive layers of activations" is that of E D(G(z)) - E D(x), without the penalty; its norm is over a batch.
17. Random architectures: table 1 and appendix B fix the choices, the size of the images, Adam's constants, 1e-3 of
    weight decay in normalised critics and 100,000 generator updates. Ours: depth 4 is DCGAN's linear layer and three
    5x5 layers of stride 2; deeper networks get 3x3 layers at 4x4, 8x8 and 16x16, spread evenly, the remainder at the
    smaller sizes; BatchNorm or layer norm behind all layers but G's last and D's first and last; the slope of leaky
    ReLU is 0.2; weights start as in the CIFAR-10 script; z is 128 N(0, 1); batches of 64; the weight decay enters
    Adam's gradient as 1e-3 w for all parameters of D. Which 200 were drawn is not reported: here they are numbered.
18. `digits_random` and `digits_random_gan` scale the study down: the embedded digits at 32x32, base filters 4, 8 or 16,
    batches of 16, 2,000 generator updates; success is judged by `is_lenet`, which is no Inception score. The study
    `architectures` takes numbers 0 to 79; `--earlier FILE` adds to the members of a record. An architecture is counted
    where both trainings came to their end: one whose losses are no longer finite leaves its pair out.
19. The study `surfaces` stops at 10,000 critic updates of the recipes' 100,000.
20. `mnist` trains on all 60,000 digits, the authors' script on the first 50,000 of them: `--data.train_images 50000`.
    The records are of 60,000, and their FD is from these. Pixel v is v / 255; in the file that the script fetches, v / 256.
21. How the paper brings LSUN to 64x64 is not said; its script, and its experiment with random architectures, take
    ImageNet's own copies at 64x64 and 32x32. Folders of larger images are cut to central squares and resized by
    Lanczos' filter.
22. Batches run through a fresh permutation of the images in every epoch and may straddle two epochs; the scripts leave
    out what is over at an epoch's end.
"""

from typing import Any

from zoo.training import Lazy, Member, Recipe, Study, reproduce

#: The rows of figure 2, in its order.
FIGURE_2 = (
    *("dcgan64", "dcgan64_constant", "mlp64", "dcgan64_unnormalised"),
    *("dcgan64_gated", "dcgan64_tanh", "resnet101"),
)
DISTRIBUTIONS = {"8gaussians": "8 Gaussians", "25gaussians": "25 Gaussians", "swissroll": "swiss roll"}


def points(summary: str, distribution: str, *, images: int, **model: Any) -> Recipe:
    """256 fresh points a batch."""
    return Recipe(
        summary,
        {
            "model": {"network": "toy", **model},
            "data": {
                "class_path": "zoo.data.ToyPoints",
                "init_args": {"distribution": distribution, "batch_size": 256},
            },
            "images": images,
            "keep": {"grid_every": 1_280_000, "checkpoint_every": 1_280_000},
        },
    )


def deep(summary: str, **model: Any) -> Recipe:
    """2,000 generator updates of the 12-layer MLPs on the swiss roll."""
    recipe = points(summary, "swissroll", images=2_560_000, **{"network": "toy_deep", **model})
    return Recipe(summary, {**recipe.config, "keep": {"grid_every": 256_000, "checkpoint_every": 256_000}})


def resnet(summary: str, *, reported: str, **model: Any) -> Recipe:
    """100,000 generator updates of five batches of 64; the reported Inception score."""
    return Recipe(
        summary,
        {
            "model": {"network": "cifar10_resnet", **model},
            "data": {"class_path": "zoo.data.CIFAR10", "init_args": {"batch_size": 64}},
            "images": 32_000_000,
            "keep": {"grid_every": 500_000, "checkpoint_every": 250_000},
        },
        reported={"is50k": reported},
    )


def figure3(summary: str, *, images: int, **model: Any) -> Recipe:
    """200,000 generator updates of the DCGAN-like networks."""
    return Recipe(
        f"figure 3: DCGAN-like networks on CIFAR-10, {summary}, 200,000 generator updates",
        {
            "model": {"network": "cifar10", **model},
            "data": {"class_path": "zoo.data.CIFAR10", "init_args": {"batch_size": 64}},
            "images": images,
            "keep": {"grid_every": 1_000_000, "checkpoint_every": 500_000},
        },
    )


def overfitting(summary: str, **model: Any) -> Recipe:
    """The critic on 1,000 digits, 20,000 generator updates as on the figure's axis."""
    return Recipe(
        f"figure 5b, the overfitting study: the critic on 1,000 digits, {summary}",
        {
            "model": {"network": "mnist", **model},
            "data": {"class_path": "zoo.data.MNIST", "init_args": {"batch_size": 50, "train_images": 1_000}},
            "images": 5_000_000,
            "evaluation": {"every": 50_000},
            "keep": {"grid_every": 250_000, "checkpoint_every": 250_000},
        },
    )


def random_architectures(summary: str, *, images: int, **model: Any) -> Recipe:
    """100,000 generator updates; architecture 0 unless told otherwise."""
    return Recipe(
        f"tables 2 and 5: random architecture number --model.architecture_seed, {summary}, on a folder of ImageNet",
        {
            "model": {"network": "random", "architecture_seed": 0, **model},
            "data": {"class_path": "zoo.data.ImageFolder", "init_args": {"batch_size": 64, "resolution": 32}},
            "images": images,
            "keep": {"grid_every": 500_000, "checkpoint_every": 500_000},
        },
    )


def digits_random(summary: str, *, images: int, **model: Any) -> Recipe:
    """2,000 generator updates of a random architecture on images of one channel."""
    settings = {"network": "random", "channels": 1, "filters": [4, 8, 16], "architecture_seed": 0}
    return Recipe(
        f"scaled down: random architecture number --model.architecture_seed, {summary}, on the 5,000 embedded digits",
        {
            "model": {**settings, **model},
            "data": {"class_path": "zoo.data.Digits", "init_args": {"batch_size": 16, "resolution": 32}},
            "images": images,
            "keep": {"grid_every": images // 4, "checkpoint_every": images // 4},
        },
    )


RECIPES = {
    "cifar10_resnet": resnet("table 3, without labels", reported="7.86 +/- 0.07"),
    "cifar10_acgan": resnet("table 3, with labels (AC-GAN)", reported="8.42 +/- 0.10", num_classes=10),
    "cifar10": figure3("penalty, Adam", images=64_000_000),
    "cifar10_rmsprop": figure3("penalty, RMSProp", images=64_000_000, optimizer="rmsprop"),
    "cifar10_clip": figure3("weight clipping", images=64_000_000, method="wgan"),
    "cifar10_gan": figure3("DCGAN", images=12_800_000, method="gan"),
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
    "mnist_1000": overfitting("penalty"),
    "mnist_1000_clip": overfitting("weight clipping", method="wgan"),
    **{
        f"toy_{name}": points(f"figure 1's data: {text}, the authors' script", name, images=128_000_000)
        for name, text in DISTRIBUTIONS.items()
    },
    **{
        f"surface_{name}": points(
            f"figure 1a, below: value surface of the critic on {text}, penalty",
            name,
            images=25_600_000,
            fixed_generator=True,
        )
        for name, text in DISTRIBUTIONS.items()
    },
    **{
        f"surface_clip_{name}": points(
            f"figure 1a, above: value surface of the critic on {text}, weight clipping",
            name,
            images=25_600_000,
            fixed_generator=True,
            method="wgan",
        )
        for name, text in DISTRIBUTIONS.items()
    },
    "deep_penalty": deep("figure 1b: 12-layer MLPs on the swiss roll, penalty"),
    **{
        f"deep_clip_{c}": deep(
            f"figure 1b: 12-layer MLPs on the swiss roll, weights clipped at {c}", method="wgan", clip=c
        )
        for c in (0.1, 0.01, 0.001)
    },
    "random_architectures": random_architectures("WGAN-GP", images=32_000_000),
    "random_architectures_gan": random_architectures("GAN", images=6_400_000, method="gan"),
    "lsun64": Recipe(
        "the authors' 64x64 ResNets on a folder of LSUN bedrooms (figure 5a's data), 200,000 generator updates",
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
    "stacked": Recipe(
        "extension: figure 3's DCGAN-like networks on three MNIST digits in the channels (1,000 modes)",
        {
            "model": {"network": "cifar10"},
            "data": {
                "class_path": "zoo.data.StackedMNIST",
                "init_args": {"batch_size": 64, "resolution": 32},
            },
            "images": 10_000_000,
            "evaluation": {"every": 500_000, "test_samples": 26_000},
            "keep": {"grid_every": 500_000, "checkpoint_every": 500_000, "monitor": "fd_resnet2k"},
        },
    ),
    "digits": Recipe(
        "the MNIST networks, half as wide, on the 5,000 embedded digits (no experiment of the paper)",
        {
            "model": {"network": "mnist", "width": 32},
            "data": {"class_path": "zoo.data.Digits", "init_args": {"batch_size": 50}},
            "images": 500_000,
            "evaluation": {"every": 100_000, "across_papers": True},
            "keep": {"grid_every": 50_000, "checkpoint_every": 50_000, "monitor": "fd_lenet2k"},
        },
    ),
    "digits_random": digits_random("WGAN-GP", images=160_000),
    "digits_random_gan": digits_random("GAN", images=32_000, method="gan"),
}

STUDIES = {
    "toys": Study(
        "WGAN-GP on 8 Gaussians, 25 Gaussians and the swiss roll at the length of the authors' script",
        {name: Member(text, ["--recipe", f"toy_{name}"]) for name, text in DISTRIBUTIONS.items()},
        Lazy("zoo.experiments.wgan_gp.toy_figures"),
        Lazy("zoo.experiments.wgan_gp.toy_findings"),
    ),
    "surfaces": Study(
        "figure 1a: value surfaces of critics under weight clipping (above) and the penalty (below)",
        {
            f"{method}-{name}": Member(f"{text}, {method}", ["--recipe", f"{recipe}_{name}"])
            for method, recipe in (("clipping", "surface_clip"), ("penalty", "surface"))
            for name, text in DISTRIBUTIONS.items()
        },
        Lazy("zoo.experiments.wgan_gp.surface_figures"),
        options=["--images", "2560000"],
    ),
    "figure2": Study(
        "figure 2: seven pairs of networks with four methods on a folder of LSUN bedrooms, 200,000 generator updates",
        {
            f"{method}-{network}": Member(
                f"{network}, {method}", [f"--model.network={network}", f"--model.method={method}"]
            )
            for network in FIGURE_2
            for method in ("gan", "lsgan", "wgan", "wgan-gp")
        },
        Lazy("zoo.experiments.wgan_gp.figure2_figures"),
        options=["--recipe=lsun64", "--generator_steps=200000"],
        grows=True,
    ),
    "gradients": Study(
        "figure 1b: gradient norms through a critic of 12 layers, and its weights, under clipping and the penalty",
        {
            "penalty": Member("penalty", ["--recipe", "deep_penalty"]),
            **{f"clip-{c}": Member(f"clipping, c = {c}", ["--recipe", f"deep_clip_{c}"]) for c in (0.1, 0.01, 0.001)},
        },
        Lazy("zoo.experiments.wgan_gp.gradient_figures"),
    ),
    "overfitting": Study(
        "figure 5b: the critic's gap between training and held-out digits",
        {
            "penalty": Member("penalty", ["--recipe", "mnist_1000"]),
            "clipping": Member("clipping", ["--recipe", "mnist_1000_clip"]),
        },
        Lazy("zoo.experiments.wgan_gp.overfitting_figures"),
        grows=True,
    ),
    "architectures": Study(
        "tables 2 and 5 scaled down: random architectures on the embedded digits, GAN against WGAN-GP",
        {
            f"{method}-{number}": Member(group, ["--recipe", recipe, f"--model.architecture_seed={number}"])
            for number in range(80)
            for method, group, recipe in (("gan", "GAN", "digits_random_gan"), ("wgan-gp", "WGAN-GP", "digits_random"))
        },
        Lazy("zoo.experiments.wgan_gp.architecture_figures"),
        Lazy("zoo.experiments.wgan_gp.architecture_findings"),
        grows=True,
    ),
    "mnist_search": Study(
        "a short search for the release on digits: rate and critic updates of narrow networks (no experiment of the paper)",
        {
            f"lr_{lr}-n_critic_{n}": Member(f"lr {lr}, n_critic {n}", [f"--model.lr={lr}", f"--model.n_critic={n}"])
            for lr, n in (("1e-4", 5), ("2e-4", 5), ("4e-4", 5), ("2e-4", 2), ("2e-4", 1))
        },
        Lazy("zoo.experiments.ablation.search_figures"),
        options=["--recipe=mnist", "--model.width=32", "--images=400000", "--evaluation.every=50000"],
        grows=True,
    ),
}

FIGURES = Lazy("zoo.experiments.wgan_gp.run_figures")

if __name__ == "__main__":
    reproduce("wgan_gp", RECIPES, figures=FIGURES, studies=STUDIES)
