"""What `zoo pretrain` makes: each release's recipe, networks and times, on a core of a CPU and on a GPU."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Target:
    """A release to be made, on a GPU or on one core of a CPU: networks small enough to ship, trained long enough.

    Args:
        paper: of the reproduction script.
        data: name of the data in the release's name.
        recipe: of the paper.
        minutes: most time that its training may take on one core.
        core: options of `fit` on a CPU, beside the recipe's settings: narrow networks that see enough images.
        gpu_minutes: most time on an H100.
        gpu: options of `fit` there; without any, the recipe's own networks.
        precision: of the release; matrices of fully connected networks go to int8 or int4, to stay small.
    """

    paper: str
    data: str
    recipe: str
    minutes: int
    core: tuple[str, ...] = ()
    gpu_minutes: int = 60
    gpu: tuple[str, ...] = ()
    precision: str = "float16"

    @property
    def name(self) -> str:
        """Of the release."""
        return f"{self.paper}.{self.data}"

    def training(self, *, cuda: bool) -> tuple[list[str], int]:
        """The options of `fit` on a machine with a GPU or without, and the minutes."""
        options, minutes = (self.gpu, self.gpu_minutes) if cuda else (self.core, self.minutes)
        given = any(option.startswith("--trainer.precision") for option in options)
        precision = "bf16-mixed" if cuda or has_bfloat16() else "32-true"  # also where the recipe says otherwise
        return [f"--recipe={self.recipe}", *options, *[f"--trainer.precision={precision}"] * (not given)], minutes


def has_bfloat16() -> bool:
    """Whether this CPU multiplies in bfloat16 by instructions of its own; without them autocast is far slower."""
    cpuinfo = Path("/proc/cpuinfo")
    flags = cpuinfo.read_text(encoding="utf-8") if cpuinfo.is_file() else ""
    return "avx512_bf16" in flags or "amx_bf16" in flags


def fading(images: int) -> tuple[str, str]:
    """Phases of a growing network, in images."""
    return f"--model.stabilise_images={images}", f"--model.fade_images={images}"


EXACT, FLIPS = "--trainer.precision=32-true", "--data.horizontal_flip=true"
TF32 = (EXACT, "--matmul_precision=high")  # of narrow networks, which a GPU trains faster without casts
KEPT = ("--keep.grid_every=25000", "--keep.checkpoint_every=25000")
RARELY = ("--evaluation.every=250000",)
#: An evaluation of photographs takes half a minute to two of a core: as often as leaves it under a tenth of the
#: training, for slow networks (some 30 images a second), at 64x64, and for fast ones.
OFTEN, AT_64, FEWER = ("--evaluation.every=50000", *KEPT), ("--evaluation.every=150000", *KEPT), (*RARELY, *KEPT)
SELDOM = ("--evaluation.every=100000", "--keep.grid_every=100000", "--keep.checkpoint_every=100000", *TF32)
#: InfoGAN's lambda is 1; so told, it drew a few images of CIFAR-10 over and over, whatever the noise, with its own
#: rates and with equal ones.
LESS_INFORMATION = ("--model.information_weight=0.1", "--model.lr_G=0.0005")
#: Of WGAN on digits, by its search: G moves with each update of the critic, whose weights may be three times as large.
EAGER = ("--model.n_critic=1", "--model.warm_start=false", "--model.clip=0.03")
#: Of WGAN-GP on digits, by its search: as many updates of G as of the critic, and twice the paper's rate, which falls
#: to 0 in as many updates as the images have batches: at a constant one the distance rose and fell.
EQUAL_TURNS = ("--model.lr=0.0002", "--model.n_critic=1", "--model.decay_steps=24000")
#: Of WGAN on CIFAR-10: four times the paper's rate, in batches of 32. After 1.25 million images, where the best
#: checkpoint is, its critic told samples from reals no longer.
FASTER_CRITIC = ("--model.lr=0.0002", "--data.batch_size=32", "--images=1500000")
#: Of WGAN-GP's figure 2: the 64x64 ResNet takes several times as long, and gave no faces in its few updates.
BASELINE_64 = "--model.network=dcgan64"
DCGAN_32 = ("--model.network=community", "--model.resolution=32", "--data.batch_size=64", FLIPS)
FALLING = ("--model.constant_images=250000", "--model.decay_images=500000", "--images=750000")
STYLES = ("--model.z_dim=64", "--model.w_dim=64", "--model.mapping_layers=4")
SMALL = ("--model.resolution=32", "--data.resolution=32")


def filters(width: int) -> tuple[str, ...]:
    """Of both players of WGAN."""
    return f"--model.width_G={width}", f"--model.width_D={width}"


def grown(base: int, most: int, batches: str, images: int) -> tuple[str, ...]:
    """Feature maps, batches and phases of a growing network."""
    sizes = (f"--model.fmap_base={base}", f"--model.fmap_max={most}", f"--model.batch_sizes={batches}")
    return *sizes, *fading(images)


#: PGGAN's batches of 16 are the paper's; its gamma of 750 for CIFAR-10 belongs to 20 million images.
GROWN_64, GROWN_32 = grown(512, 64, "{4: 32, 32: 16}", 12_000), grown(512, 64, "{4: 16}", 15_000)
GAMMA_1 = "--model.gp_target=1"
GPU_64, GPU_32 = grown(2048, 96, "{4: 64, 64: 32}", 25_000), grown(1024, 80, "{4: 64}", 40_000)
#: StyleGAN's constants are for 25 million images at 1024x1024. Here R1 weighs less, the rate is twice theirs, and the
#: average of the weights is short; on a CPU batches of 8, which cost no more an image and move G four times as often.
R1_64, R1_32 = "--model.r1_gamma=0.5", "--model.r1_gamma=0.1"
FASTER = ("--model.lrs={4: 0.002}", "--model.ema_half_life=2000")
STYLED = grown(512, 64, "{4: 8}", 10_000)
#: Of StyleGAN on digits, by its search: the loss of the paper's CelebA-HQ rows, twice the rate, and two mapping layers
#: without mixing, as eight of them pass on a few directions of z, and few images do not teach them more.
PENALISED = ("--model.loss=wgan_gp", "--model.lrs={4: 0.002}", "--model.ema_half_life=15000")
UNMIXED = ("--model.mapping_layers=2", "--model.mixing_prob=0")

#: Digits, then CIFAR-10, then faces for all that need no labels. What a GPU trains is as wide as a release may be.
TARGETS = (
    Target("gan", "mnist", "mnist", 120, ("--images=7500000", "--evaluation.every=2500000", EXACT), precision="int8"),
    Target("dcgan", "mnist", "mnist", 60, ("--images=650000",)),
    Target("cgan", "mnist", "mnist", 120, ("--images=6000000", "--evaluation.every=500000", EXACT), precision="int8"),
    Target("infogan", "mnist", "mnist", 60, precision="int4"),
    Target("lsgan", "mnist", "mnist", 120, ("--images=1300000", "--model.width=32")),
    Target("wgan", "mnist", "mnist", 60, (*filters(32), *EAGER, "--model.lr=0.0002", "--images=1500000", *OFTEN)),
    Target(
        "wgan_gp",
        "mnist",
        "mnist",
        120,
        ("--model.width=32", *EQUAL_TURNS, "--images=1200000", *OFTEN),
    ),
    Target("pggan", "mnist", "mnist", 90),
    Target(
        "stylegan",
        "mnist",
        "mnist",
        120,
        (*PENALISED, *UNMIXED, "--model.batch_sizes={4: 8}", *fading(12_000), "--images=560000", EXACT),
    ),
    Target(
        "gan",
        "cifar10",
        "cifar10",
        60,
        core=("--model.width=960", "--images=1500000", FLIPS, EXACT),
        gpu=("--model.width=960", "--images=5000000", FLIPS, EXACT),
        precision="int8",
    ),
    Target(
        "dcgan",
        "cifar10",
        "cifar10",
        90,
        core=(*DCGAN_32, "--model.width=48", *FALLING, *FEWER),
        gpu=(*DCGAN_32, "--model.width=64", *FALLING, *SELDOM),
    ),
    Target(
        "cgan",
        "cifar10",
        "cifar10",
        90,
        core=("--model.width=32", "--data.batch_size=64", *FEWER),
        gpu=("--model.width=48", "--data.batch_size=64", FLIPS, *SELDOM),
    ),
    Target(
        "infogan",
        "cifar10",
        "cifar10",
        90,
        core=("--model.width=32", "--data.batch_size=64", *LESS_INFORMATION, FLIPS, *FEWER),
        gpu=("--model.width=32", *LESS_INFORMATION, FLIPS, *SELDOM),
    ),
    Target(
        "lsgan",
        "cifar10",
        "cifar10",
        90,
        core=("--model.width=48", FLIPS, *FEWER),
        gpu=("--model.width=48", "--model.z_dim=128", FLIPS, *SELDOM),
    ),
    Target(
        "wgan",
        "cifar10",
        "cifar10",
        100,
        core=(*filters(32), *SMALL, *FASTER_CRITIC, FLIPS, *FEWER),
        gpu=(*filters(48), *SMALL, "--model.lr=0.0001", FLIPS, *SELDOM),
    ),
    Target(
        "wgan_gp",
        "cifar10",
        "cifar10",
        100,
        core=("--model.width=32", *FEWER),
        gpu=("--model.network=cifar10_resnet", "--model.width=128", FLIPS, *SELDOM),
    ),
    Target(
        "pggan",
        "cifar10",
        "cifar10",
        100,
        core=(*GROWN_32, GAMMA_1, *OFTEN),
        gpu=(*GPU_32, GAMMA_1, FLIPS, *SELDOM),
        gpu_minutes=120,
    ),
    Target(
        "stylegan",
        "cifar10",
        "cifar10",
        100,
        core=(*STYLED, *STYLES, *FASTER, R1_32, *OFTEN),
        gpu=(*GPU_32, *STYLES, *FASTER, R1_32, FLIPS, *SELDOM),
    ),
    Target(
        "gan",
        "celeba64",
        "celeba64",
        60,
        core=("--model.width=288", "--images=1500000", EXACT),
        gpu=("--model.width=288", "--images=5000000", EXACT),
        precision="int8",
    ),
    Target(
        "dcgan",
        "celeba64",
        "celeba_community",
        100,
        core=("--model.width=32", "--data.batch_size=32", FLIPS, *AT_64),
        gpu=("--model.width=32", "--data.batch_size=64", FLIPS, *SELDOM),
    ),
    Target(
        "infogan",
        "celeba64",
        "celeba",
        100,
        core=("--model.width=24", "--data.batch_size=32", FLIPS, *AT_64),
        gpu=("--model.width=24", FLIPS, *SELDOM),
    ),
    Target(
        "lsgan",
        "celeba64",
        "celeba",
        100,
        core=("--model.width=24", "--data.batch_size=32", FLIPS, *AT_64),
        gpu=("--model.width=24", "--model.z_dim=128", FLIPS, *SELDOM),
    ),
    Target(
        "wgan",
        "celeba64",
        "celeba",
        100,
        core=(*filters(32), FLIPS, *AT_64),
        gpu=(*filters(32), "--model.lr=0.0001", FLIPS, *SELDOM),
    ),
    Target(
        "wgan_gp",
        "celeba64",
        "celeba",
        100,
        core=(BASELINE_64, "--model.width=24", "--model.lr=0.0002", "--data.batch_size=16", FLIPS, *AT_64),
        gpu=(BASELINE_64, "--model.width=32", "--model.lr=0.0002", FLIPS, *SELDOM),
    ),
    Target(
        "pggan",
        "celeba64",
        "celeba64",
        100,
        core=(*GROWN_64, *OFTEN),
        gpu=(*GPU_64, *SELDOM),
        gpu_minutes=180,
    ),
    Target(
        "stylegan",
        "celeba64",
        "celeba64",
        100,
        core=(*STYLED, *STYLES, *FASTER, R1_64, *OFTEN),
        gpu=(*GPU_64, *STYLES, *FASTER, R1_64, *SELDOM),
        gpu_minutes=180,
    ),
)
