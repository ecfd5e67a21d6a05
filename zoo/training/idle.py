"""Settings of a model that have no effect under the value of another one.

Somebody who sets one compares a run with itself. Only the command line refuses them: checkpoints and files of settings
hold every setting of their model, also those that it did not use.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from zoo.errors import UsageError
from zoo.models.base.module import AdversarialModule
from zoo.models.networks.wgan_gp import SCRIPTS
from zoo.models.objectives import OBJECTIVES, Wasserstein
from zoo.models.wgan_gp_baselines import CONSTANTS

SGD = (
    *("lr_decay", "lr_min", "momentum_start", "momentum_end"),
    *("momentum_epochs", "momentum_first_epoch", "images_per_epoch"),
)
ADAM = ("beta1", "beta2")
DRAWN = ("channels", "architecture_seed", "filters")
Rows = tuple[tuple[str, tuple[Any, ...], tuple[str, ...]], ...]

#: By paper: a setting, values of it, and what has no effect under these.
IDLE: Mapping[str, Rows] = {
    "gan": (("optimizer", ("adam",), SGD), ("optimizer", ("sgd",), ("betas",))),
    "dcgan": (
        ("network", ("mnist_conditional",), ("channels",)),
        ("constant_images", (None,), ("decay_images",)),
    ),
    "cgan": (
        ("network", ("mnist",), ("width",)),
        ("network", ("convolutional",), (*SGD, "dropout", "sampling_dropout", "input_dropout")),
    ),
    "infogan": (("codes", (0,), ("categories",)), ("continuous", (0,), ("learn_sigma",))),
    "lsgan": (
        ("network", ("lsun112", "ring"), ("channels", "resolution", "batchnorm")),
        ("network", ("ring",), ("gain_std",)),
        ("batchnorm", ("none",), ("gain_std",)),
        ("loss", ("gan",), ("a", "b", "c")),
        ("optimizer", ("rmsprop",), ("beta1",)),
    ),
    "wgan": (("optimizer", ("rmsprop",), ("beta1",)),),
    "wgan_gp": (
        ("network", tuple(name for name in SCRIPTS if name != "random"), DRAWN),
        ("method", ("wgan-gp", "gan", "lsgan"), ("clip",)),
        ("method", ("wgan", "gan", "lsgan"), ("gp_weight", "one_sided")),
        ("num_classes", (None,), ("acgan_weight_D", "acgan_weight_G")),
        ("optimizer", ("rmsprop",), ADAM),
        ("fixed_generator", (True,), ("generator_batch", "n_critic", "decay_steps")),
    ),
    "pggan": (
        ("config", ("a", "b", "c", "d", "e*"), ("group_size",)),
        ("num_classes", (None,), ("acgan_weight",)),
    ),
    "stylegan": (
        ("loss", ("r1",), ("gp_weight", "drift")),
        ("loss", ("wgan_gp",), ("r1_gamma",)),
        ("config", ("A", "B"), ("mixing_prob", "w_average_beta", "truncation_cutoff")),
    ),
    "benchmark": (
        ("objective", tuple(name for name, kind in OBJECTIVES.items() if not kind.usual_weight), ("weight",)),
        ("objective", tuple(name for name, kind in OBJECTIVES.items() if kind is not Wasserstein), ("clip",)),
        ("optimizer", ("rmsprop",), ADAM),
    ),
}


def idle(paper: str, settings: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Each of these settings of a model that has no effect, with the setting and its value that make it so."""
    if settings.get("method") in CONSTANTS:
        settings = {**settings, "optimizer": settings.get("optimizer") or CONSTANTS[settings["method"]].optimizer}
    if paper == "infogan" and settings.get("network") == "celeba" and settings.get("continuous") is None:
        settings = {**settings, "continuous": 0}  # the network's own number
    if paper == "wgan" and settings.get("generator") == settings.get("critic") == "mlp":
        yield "extra_layers", "generator", "mlp, and critic too"
    if paper == "stylegan" and settings.get("batch_sizes"):
        yield "devices", "batch_sizes", settings["batch_sizes"]
    for by, values, names in IDLE.get(paper, ()):
        if settings.get(by) in values:
            yield from ((name, by, settings.get(by)) for name in names)


def refuse_idle(kind: type[AdversarialModule], settings: Mapping[str, Any], *, chosen: Collection[str]) -> None:
    """Raises UsageError for a setting that somebody chose, other than its default, and that has no effect.

    Args:
        kind: class of the model.
        settings: of the model.
        chosen: names of options, those of the model as "model.NAME".
    """
    defaults = inspect.signature(kind).parameters
    if "batch_sizes" in defaults and not {"data.batch_size", "data.init_args.batch_size"}.isdisjoint(chosen):
        raise UsageError(
            f"--data.batch_size does nothing: the batches of {kind.__name__} follow its schedule; set "
            '--model.batch_sizes, such as "{4: 16}" for 16 images at every resolution'
        )
    for name, by, value in idle(kind.paper, settings):
        if f"model.{name}" in chosen and settings.get(name) != defaults[name].default:
            raise UsageError(f"--model.{name} {settings[name]} does nothing where {by} is {value}: leave it out")
