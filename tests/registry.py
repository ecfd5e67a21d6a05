"""Every paper of the registry in small, for the tests that go over all of them."""

from typing import Any, NamedTuple

from zoo.data import Digits, ImageDataModule
from zoo.models import MODELS
from zoo.models.base.module import AdversarialModule


class Small(NamedTuple):
    """Constructor arguments of a small network, and of data that suits it."""

    model: dict[str, Any]
    data: dict[str, Any]


#: Two batches a phase: the ten batches of a test cross growth borders and fades.
GROWING = {"stabilise_images": 16, "fade_images": 16, "batch_sizes": {4: 8, 8: 8, 16: 8, 32: 8}}

#: One row a paper; `settings` in the model are those of its most demanding loop.
SMALL: dict[str, Small] = {
    "gan": Small({"network": "mnist"}, {}),
    "dcgan": Small({"network": "community", "resolution": 32, "channels": 1, "width": 8}, {"resolution": 32}),
    "cgan": Small({"network": "mnist"}, {}),
    "infogan": Small(  # the network for MNIST has no width, and a checkpoint of 157 MB
        {"network": "celeba", "channels": 1, "width": 8, "noise": 16, "codes": 1, "continuous": 2}, {"resolution": 32}
    ),
    "lsgan": Small({"network": "dcgan", "resolution": 32, "channels": 1, "width": 8, "z_dim": 16}, {"resolution": 32}),
    "wgan": Small(
        {"resolution": 32, "channels": 1, "width_G": 8, "width_D": 8, "n_critic": 2, "warm_start": False},
        {"resolution": 32},
    ),
    "wgan_gp": Small({"network": "mnist", "width": 8, "n_critic": 2}, {}),
    "pggan": Small(
        {"resolution": 32, "channels": 1, "fmap_base": 64, "fmap_max": 8, **GROWING},
        {"resolution": 32},
    ),
    "stylegan": Small(
        {"resolution": 32, "channels": 1, "fmap_base": 64, "fmap_max": 8, "z_dim": 8, "w_dim": 8, **GROWING},
        {"resolution": 32},
    ),
}


def small_model(paper: str) -> AdversarialModule:
    """The paper's module in small, weights from torch's global seed."""
    return MODELS[paper](**SMALL[paper].model)


def small_data(paper: str) -> ImageDataModule:
    """Embedded digits in the module's shape, in batches of 8."""
    return Digits(batch_size=8, train_images=48, **SMALL[paper].data)
