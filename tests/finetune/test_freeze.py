"""FreezeD: which layers of D those are, and that training leaves them alone."""

from typing import Any

import pytest
import torch
from registry import SMALL, small_data
from torch.nn.modules.batchnorm import _BatchNorm
from toys import fit

from zoo.data import Digits
from zoo.errors import UnsupportedSettingError
from zoo.models import MODELS
from zoo.models.base.module import AdversarialModule
from zoo.models.networks.gan import convolutional_discriminator
from zoo.training.finetune.adapt import Source, Transfer, transfer
from zoo.training.finetune.freeze import blocks_of, freeze_discriminator

#: Networks with convolutions in D, the resolution of their data, and their blocks.
NETWORKS: dict[str, tuple[str, dict[str, Any], int | None, int]] = {
    "dcgan": ("dcgan", SMALL["dcgan"].model, 32, 3),
    "dcgan_conditional": ("dcgan", {"network": "mnist_conditional"}, None, 2),
    "cgan": ("cgan", {"network": "convolutional", "width": 8, "resolution": 32}, 32, 3),
    "infogan": ("infogan", {"network": "mnist"}, None, 2),
    "lsgan": ("lsgan", SMALL["lsgan"].model, 32, 3),
    "wgan": ("wgan", SMALL["wgan"].model, 32, 3),
    "wgan_after": ("wgan", {**SMALL["wgan"].model, "clip_when": "after"}, 32, 3),
    "wgan_gp": ("wgan_gp", SMALL["wgan_gp"].model, None, 3),
    "wgan_gp_clipped": ("wgan_gp", {**SMALL["wgan_gp"].model, "method": "wgan"}, None, 3),
    "pggan": ("pggan", SMALL["pggan"].model, 32, 0),
    "pggan_grown": ("pggan", {**SMALL["pggan"].model, "start_resolution": 32}, 32, 3),
    "stylegan_half_grown": ("stylegan", {**SMALL["stylegan"].model, "start_resolution": 16}, 32, 2),
}


def build(name: str) -> tuple[AdversarialModule, Digits]:
    paper, settings, resolution, _ = NETWORKS[name]
    torch.manual_seed(3)
    return MODELS[paper](**settings), Digits(batch_size=8, train_images=48, resolution=resolution)


@pytest.mark.parametrize("name", NETWORKS)
def test_blocks_are_counted_from_the_image(name: str) -> None:
    module, _ = build(name)
    blocks = blocks_of(module)
    assert len(blocks) == NETWORKS[name][3]
    parameters = [{id(p) for layer in block for p in layer.parameters()} for block in blocks]
    assert all(parameters)
    assert all(not (a & b) for i, a in enumerate(parameters) for b in parameters[:i])
    head = list(module.D.parameters())[-1]  # the score's
    assert not any(id(head) in block for block in parameters)


def test_of_a_growing_network_it_is_the_layers_of_the_resolution_it_begins_with() -> None:
    module, _ = build("stylegan_half_grown")
    from_rgb, stages = module.D.from_rgb, module.D.stages
    assert [[id(layer) for layer in block] for block in blocks_of(module)] == [
        [id(from_rgb[2]), id(stages[1])],  # 16x16 to 8x8
        [id(from_rgb[1]), id(stages[0])],
    ]


def test_residual_blocks_stay_whole() -> None:
    module = MODELS["wgan_gp"](network="cifar10_resnet", width=8)
    assert [type(block[0]).__name__ for block in blocks_of(module)] == ["CriticBlock"] * 4
    module.D = convolutional_discriminator()  # of the first GAN: convolutional maxout
    assert [type(block[0]).__name__ for block in blocks_of(module)] == ["ConvMaxout"] * 3


def changed(name: str, *, frozen: int) -> tuple[set[str], set[str]]:
    """Names of D's parameters and buffers that two steps changed, and of those that are frozen."""
    module, data = build(name)
    with torch.no_grad():
        for tensor in module.D.parameters():
            tensor.add_(0.05)  # beyond what is clipped to
    before = {key: value.clone() for key, value in module.state_dict().items()}
    held = freeze_discriminator(module, frozen) if frozen else []
    fit(module, data=data, images=16)
    assert (module.discriminator_steps, module.images_seen) == (2, 16)
    after = module.state_dict()
    return {key for key in before if key.startswith("D.") and not torch.equal(before[key], after[key])}, set(held)


@pytest.mark.parametrize("name", [name for name in NETWORKS if NETWORKS[name][3]])
def test_two_steps_change_all_but_what_is_frozen(name: str) -> None:
    moved, _ = changed(name, frozen=0)
    moved_beside, held = changed(name, frozen=2)
    assert held & moved
    assert moved_beside == moved - held
    assert moved_beside  # the rest learns


def test_frozen_batchnorm_normalises_by_what_it_knows() -> None:
    module, data = build("dcgan")
    names = freeze_discriminator(module, 2)
    assert "D.3.running_mean" in names
    norms = [layer for layer in module.D.modules() if isinstance(layer, _BatchNorm)]
    fit(module, data=data, images=16)
    assert [layer.training for layer in norms] == [False, True]
    module.sample(2, seed=0)  # looks at samples in evaluation mode and goes back
    assert [layer.training for layer in norms] == [False, True]


@pytest.mark.parametrize(
    ("paper", "settings", "blocks", "text"),
    [
        ("gan", {"network": "mnist"}, 1, "MLP"),
        ("cgan", {"network": "mnist"}, 1, "MLP"),
        ("wgan", {**SMALL["wgan"].model, "critic": "mlp"}, 1, "MLP"),
        ("lsgan", {"network": "ring"}, 2, "MLP"),
        ("pggan", SMALL["pggan"].model, 1, "not grown beyond"),
        ("dcgan", SMALL["dcgan"].model, 4, "has 3 blocks"),
    ],
)
def test_what_cannot_be_frozen_is_refused(paper: str, settings: dict[str, Any], blocks: int, text: str) -> None:
    with pytest.raises(UnsupportedSettingError, match=text):
        freeze_discriminator(MODELS[paper](**settings), blocks)


def test_layers_that_learnt_nothing_are_not_frozen() -> None:
    module, _ = build("dcgan")
    transfer = Transfer("there", new={"D.2.weight": [16, 8, 4, 4]})
    freeze_discriminator(module, 1, transfer=transfer)
    with pytest.raises(UnsupportedSettingError, match=r"D\.2\.weight, which there has nothing for"):
        freeze_discriminator(module, 2, transfer=transfer)


def test_layers_of_grey_images_are_not_frozen_before_coloured_ones() -> None:
    settings = SMALL["dcgan"].model
    source = Source(MODELS["dcgan"](**settings), "grey")
    module = MODELS["dcgan"](**{**settings, "channels": 3})
    taken = transfer(source, module)
    with pytest.raises(UnsupportedSettingError, match=r"D\.0\.weight, which comes from grey .* never see a colour"):
        freeze_discriminator(module, 1, transfer=taken)
    assert all(parameter.requires_grad for parameter in module.D.parameters())
    back = MODELS["dcgan"](**settings)
    taken = transfer(Source(module, "colour"), back)
    assert "D.0.weight" in freeze_discriminator(back, 1, transfer=taken)


def test_the_first_gan_updates_both_players_with_frozen_layers() -> None:
    module = MODELS["gan"](network="mnist", update="simultaneous")
    for parameter in module.D[1].parameters():  # as freezing would
        parameter.requires_grad_(False)
    before = [p.clone() for p in module.D[1].parameters()], next(module.D[-1].parameters()).clone()
    fit(module, data=small_data("gan"), images=16)
    assert all(torch.equal(a, b) for a, b in zip(before[0], module.D[1].parameters(), strict=True))
    assert not torch.equal(before[1], next(module.D[-1].parameters()))
