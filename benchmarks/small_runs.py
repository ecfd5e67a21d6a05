"""Runs of every paper that take seconds: the papers' loops in full, networks as small as their options allow."""

from typing import NamedTuple

#: No measurement, grid or checkpoint but the last.
QUIET = ["--evaluation.every", "null", "--keep.monitor", "null"]
QUIET += ["--keep.grid_every", "1000000", "--keep.checkpoint_every", "1000000"]


class Run(NamedTuple):
    """A recipe in small.

    Attributes:
        paper: its script.
        recipe: of the script.
        options: set beside the recipe.
        batch: real images a batch, which the options set.
        needs_data: whether the recipe's data set is one of files.
    """

    paper: str
    recipe: str
    options: list[str]
    batch: int = 8
    needs_data: bool = False

    def fit(self, folder: object, *, batches: int, more: list[str]) -> list[str]:
        """Arguments of a new run."""
        start = ["fit", "--recipe", self.recipe, "--seed_everything", "3", "--run_dir", str(folder)]
        return [*start, "--images", str(self.batch * batches), *QUIET, *self.options, *more]

    def resume(self, folder: object, *, batches: int) -> list[str]:
        """Arguments that bring a run to so many batches in all."""
        return ["fit", "--run_dir", str(folder), "--ckpt_path", "last", "--images", str(self.batch * batches)]


def growing(batch: int, *, images: int) -> list[str]:
    """A schedule of phases of so many images, batches of one size."""
    phases = ["--model.stabilise_images", str(images), "--model.fade_images", str(images)]
    return [*phases, "--model.batch_sizes", str(dict.fromkeys((4, 8, 16, 32), batch))]


def batches_of(n: int) -> list[str]:
    """The data's batch."""
    return ["--data.batch_size", str(n)]


NARROW = ["--model.width", "2", *batches_of(8)]
MAPS = ["--model.resolution", "16", "--data.resolution", "16", "--model.fmap_base", "16", "--model.fmap_max", "4"]
MAPS += ["--trainer.precision", "32-true"]
CELEBA_16 = ["--model.network", "celeba", "--model.channels", "1", "--model.resolution", "16"]
CELEBA_16 += ["--data.resolution", "16", "--model.lr_D", "2e-6", "--model.lr_G", "1e-5"]
TECHNIQUES = ["--model.feature_matching", "true", "--model.minibatch_discrimination", "true"]
TECHNIQUES += ["--model.historical_averaging", "0.01", "--model.label_smoothing", "0.9"]
TECHNIQUES += ["--model.instance_noise", "0.1"]

#: One of each paper, and of what a constructor's arguments choose: checkpoints of a few kilobytes, but for GAN and
#: InfoGAN, whose networks have one size.
SMALL = {
    "gan": Run("gan", "digits", batches_of(8)),
    "dcgan": Run("dcgan", "digits", [*NARROW, "--model.z_dim", "4"]),
    "dcgan_techniques": Run("dcgan", "digits", [*NARROW, "--model.z_dim", "4", *TECHNIQUES]),
    "dcgan_virtual_batchnorm": Run(
        "dcgan", "digits", [*NARROW, "--model.z_dim", "4", "--model.virtual_batchnorm", "true"]
    ),
    "wgan": Run(
        "wgan", "digits", ["--model.width_G", "2", "--model.width_D", "2", "--model.z_dim", "4", *batches_of(8)]
    ),
    "wgan_gp": Run("wgan_gp", "digits", NARROW),
    "wgan_gp_clipping": Run("wgan_gp", "digits", [*NARROW, "--model.method", "wgan"]),
    "wgan_gp_gan": Run("wgan_gp", "digits", [*NARROW, "--model.method", "gan"]),
    "lsgan": Run("lsgan", "digits", [*NARROW, "--model.z_dim", "4"]),
    "cgan": Run("cgan", "digits", NARROW),
    "infogan": Run("infogan", "digits", [*CELEBA_16, *batches_of(8)]),
    "pggan": Run("pggan", "digits", ["--model.z_dim", "4", *MAPS, *growing(8, images=128)]),
    "stylegan": Run(
        "stylegan",
        "digits",
        ["--model.z_dim", "4", "--model.w_dim", "4", "--model.mapping_layers", "2", *MAPS, *growing(8, images=128)],
    ),
}

FIRST_STEPS = {
    **{
        paper: Run(paper, "digits", batches_of(16), 16)
        for paper in ("gan", "dcgan", "wgan", "wgan_gp", "lsgan", "cgan", "infogan")
    },
    **{paper: Run(paper, "digits", growing(16, images=16), 16) for paper in ("pggan", "stylegan")},
    "lsgan ring": Run("lsgan", "ring", batches_of(64), 64),
    "lsgan ring_gan": Run("lsgan", "ring_gan", batches_of(64), 64),
    "wgan_gp digits_random": Run("wgan_gp", "digits_random", batches_of(16), 16),
    "wgan_gp digits_random_gan": Run("wgan_gp", "digits_random_gan", batches_of(16), 16),
    "wgan_gp toy_swissroll": Run("wgan_gp", "toy_swissroll", batches_of(64), 64),
    "wgan_gp surface_clip": Run("wgan_gp", "surface_clip_8gaussians", batches_of(64), 64),
    "wgan_gp deep_clip_0.01": Run("wgan_gp", "deep_clip_0.01", batches_of(64), 64),
    "wgan_gp mnist_1000_clip": Run("wgan_gp", "mnist_1000_clip", batches_of(16), 16, True),
    "wgan_gp cifar10_clip": Run("wgan_gp", "cifar10_clip", ["--model.width", "8", *batches_of(16)], 16, True),
    "wgan_gp cifar10_gan": Run("wgan_gp", "cifar10_gan", ["--model.width", "8", *batches_of(16)], 16, True),
    "wgan_gp cifar10_acgan": Run("wgan_gp", "cifar10_acgan", ["--model.width", "8", *batches_of(16)], 16, True),
    "dcgan mnist_conditional": Run("dcgan", "mnist_conditional", batches_of(16), 16, True),
    "cgan mnist": Run("cgan", "mnist", batches_of(16), 16, True),
    "infogan mnist_control": Run("infogan", "mnist_control", batches_of(16), 16, True),
    "pggan cifar10": Run("pggan", "cifar10", ["--model.fmap_max", "16", *growing(16, images=16)], 16, True),
}

#: WGAN's warm start: 100 updates of the critic before G's first.
WARM_START = Run("wgan", "digits", ["--model.warm_start", "true", *SMALL["wgan"].options])
