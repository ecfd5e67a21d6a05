"""What comes over from trained weights, and how it is changed where channels, classes or resolution differ."""

from typing import Any

import pytest
import torch
from registry import SMALL
from torch import Tensor

from zoo.errors import CheckpointError
from zoo.models import MODELS
from zoo.models.base.module import AdversarialModule
from zoo.nn.layers import EqualizedConv2d
from zoo.releases.weights import Weights
from zoo.training.finetune.adapt import Source, Transfer, rebuild, to_channels_of_G, transfer

CONVOLUTIONAL: dict[str, dict[str, Any]] = {
    "dcgan": SMALL["dcgan"].model,
    "cgan": {"network": "convolutional", "num_classes": 3, "width": 8},
    "infogan": {"network": "celeba", "channels": 1},
    "lsgan": SMALL["lsgan"].model,
    "wgan": SMALL["wgan"].model,
    "wgan_gp": {"network": "random", "channels": 1, "filters": [4]},
    "pggan": SMALL["pggan"].model,
    "stylegan": SMALL["stylegan"].model,
}


def trained(paper: str, *, images_seen: int = 10_000, **settings: Any) -> Weights:
    """Weights as a training might have left them: every number differs from how it started."""
    torch.manual_seed(1)
    module = MODELS[paper](**settings)
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if tensor.is_floating_point():
                tensor.add_(0.1 * torch.rand_like(tensor) if "var" in name else 0.1 * torch.randn_like(tensor))
    module.images_seen, module.discriminator_steps = images_seen, 7
    state = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    return Weights(paper, dict(settings), state, "there")


def tuned(weights: Weights, **settings: Any) -> tuple[AdversarialModule, AdversarialModule, Transfer]:
    """The source's module, a module made from it with other settings, and the report."""
    source = rebuild(weights)
    own = {} if source.resolution is None else {"start_resolution": source.resolution}
    torch.manual_seed(2)
    module = MODELS[weights.paper](**{**weights.hyperparameters, **own, **settings})
    report = transfer(source, module)
    return source.module.eval(), module.eval(), report


def players(module: AdversarialModule) -> set[str]:
    return {name for name in module.state_dict() if name.split(".")[0] in ("G", "G_ema", "D")}


@pytest.mark.parametrize("paper", MODELS)
def test_into_the_same_network_everything_matches(paper: str) -> None:
    weights = trained(paper, **SMALL[paper].model)
    source, module, report = tuned(weights)
    assert set(report.matched) == players(module)
    assert (report.adapted, report.new, report.unused) == ({}, {}, {})
    assert torch.equal(source.sample(3, seed=4), module.sample(3, seed=4))
    state = module.state_dict()
    assert all(torch.equal(state[name], weights.tensors[name]) for name in players(module))
    assert (module.images_seen, module.discriminator_steps, module.generator_steps) == (0, 0, 0)


def labels(module: AdversarialModule, n: int) -> Tensor | None:
    return None if module.num_classes is None else torch.arange(n) % module.num_classes


@pytest.mark.parametrize("paper", CONVOLUTIONAL)
def test_grey_to_colour_keeps_both_players_answers(paper: str) -> None:
    source, module, report = tuned(trained(paper, **CONVOLUTIONAL[paper]), channels=3)
    x = torch.rand(4, *source.image_shape) * 2 - 1
    y, z = labels(source, 4), source.latents(4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(module.score(x.expand(-1, 3, -1, -1), y), source.score(x, y), rtol=1e-4, atol=1e-5)
        torch.manual_seed(5)  # StyleGAN's noise
        grey = source.generate(z, y)
        torch.manual_seed(5)
        torch.testing.assert_close(module.generate(z, y), grey.expand(-1, 3, -1, -1), rtol=1e-4, atol=1e-5)
    assert report.adapted
    assert not report.new


@pytest.mark.parametrize("paper", CONVOLUTIONAL)
def test_colour_to_grey_keeps_the_answer_of_d(paper: str) -> None:
    source, module, report = tuned(trained(paper, **{**CONVOLUTIONAL[paper], "channels": 3}), channels=1)
    x = torch.rand(4, *module.image_shape) * 2 - 1
    y = labels(source, 4)
    with torch.no_grad():
        torch.testing.assert_close(module.score(x, y), source.score(x.expand(-1, 3, -1, -1), y), rtol=1e-4, atol=1e-5)
    assert not report.new


def test_colour_to_grey_takes_the_mean_of_what_g_paints() -> None:
    source, module, _ = tuned(trained("dcgan", **{**SMALL["dcgan"].model, "channels": 3}), channels=1)
    z = source.latents(2)
    with torch.no_grad():
        painted = source.G[:-1](z).mean(1, keepdim=True)  # before the tanh
        torch.testing.assert_close(module.G(z), painted.tanh(), rtol=1e-4, atol=1e-5)
    bias = torch.tensor([1.0, 2.0, 6.0])
    assert to_channels_of_G(bias, 0, 1).tolist() == [3.0]
    assert to_channels_of_G(torch.tensor([4.0]), 0, 3).tolist() == [4.0] * 3


CONDITIONAL: dict[str, dict[str, Any]] = {
    "cgan": CONVOLUTIONAL["cgan"],
    "wgan_gp": {"network": "cifar10_resnet", "width": 8},
    "pggan": {**SMALL["pggan"].model, "resolution": 8},
}


@pytest.mark.parametrize("paper", CONDITIONAL)
@pytest.mark.parametrize(("there", "here"), [(3, 5), (5, 3)])
def test_classes_that_both_have_keep_their_images_and_scores(paper: str, there: int, here: int) -> None:
    weights = trained(paper, **{**CONDITIONAL[paper], "num_classes": there})
    source, module, report = tuned(weights, num_classes=here)
    y = torch.tensor([0, 1, 2, 2])
    z = source.latents(4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        images = source.generate(z, y)
        torch.testing.assert_close(module.generate(z, y), images, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(module.score(images, y), source.score(images, y), rtol=1e-4, atol=1e-5)
        if paper != "cgan":  # D classifies
            torch.testing.assert_close(module.D(images)[:, :4], source.D(images)[:, :4], rtol=1e-4, atol=1e-5)
    assert report.adapted
    assert not report.new


def test_new_classes_are_as_they_were_initialised() -> None:
    weights = trained("cgan", **CONVOLUTIONAL["cgan"])
    _, module, _ = tuned(weights, num_classes=5)
    torch.manual_seed(2)
    fresh = MODELS["cgan"](**{**weights.hyperparameters, "num_classes": 5})
    first = "D.layers.0.weight"
    assert torch.equal(module.state_dict()[first][:, 4:], fresh.state_dict()[first][:, 4:])  # 1 channel, 3 classes
    assert torch.equal(module.state_dict()[first][:, :4], weights.tensors[first])


def test_channels_and_classes_at_once() -> None:
    source, module, report = tuned(trained("cgan", **CONVOLUTIONAL["cgan"]), channels=3, num_classes=5)
    x, y = torch.rand(3, *source.image_shape), torch.arange(3)
    with torch.no_grad():
        torch.testing.assert_close(module.score(x.expand(-1, 3, -1, -1), y), source.score(x, y), rtol=1e-4, atol=1e-5)
    assert report.adapted["D.layers.0.weight"] == "1 channels to 3, 3 classes to 5, 2 of them new"


@pytest.mark.parametrize("paper", ["dcgan", "lsgan", "wgan"])
def test_a_ladder_of_twice_the_resolution_keeps_what_lies_next_to_the_image(paper: str) -> None:
    weights = trained(paper, **SMALL[paper].model)
    source, module, report = tuned(weights, resolution=64)
    last_G = [name for name in source.state_dict() if name.startswith("G.") and name.endswith("weight")][-1]
    last_here = [name for name in module.state_dict() if name.startswith("G.") and name.endswith("weight")][-1]
    assert torch.equal(module.state_dict()[last_here], weights.tensors[last_G])
    convolutions_D = [name for name, tensor in source.named_parameters() if name.startswith("D.") and tensor.dim() == 4]
    kept = convolutions_D if paper == "lsgan" else convolutions_D[:-1]  # the others' last one gives the score
    assert set(kept) <= set(report.matched)
    assert {name.split(".")[0] for name in report.new} == {"G", "D"}
    assert module.score(torch.zeros(2, 1, 64, 64)).shape == (2, 1)


@pytest.mark.parametrize("paper", ["pggan", "stylegan"])
def test_a_growing_network_goes_on_where_its_source_stopped(paper: str) -> None:
    weights = trained(paper, **{**SMALL[paper].model, "resolution": 16})
    source, module, report = tuned(weights, resolution=32)
    growth = module.growth
    assert (growth.at(0).resolution, growth.at(15).alpha, growth.at(24)[:2], growth.at(32)[:2]) == (
        16,
        1.0,
        (32, 0.5),
        (32, 1.0),
    )
    z, images = torch.randn(2, module.z_dim), []
    for each in (module, source):
        torch.manual_seed(1)  # of noise
        images.append(each.generate(z, None, upscale=False))
    assert torch.equal(*images)
    newest = ("blocks.2", "to_rgb.3", "from_rgb.3", "stages.3", "stages.2", "noise6", "noise7")
    assert all(any(part in name for part in newest) for name in report.new)
    assert (report.adapted, report.unused) == ({}, {})


def test_a_source_stopped_in_a_fade_counts_as_grown_to_the_resolution_before() -> None:
    def resolution(images_seen: int) -> int | None:
        return rebuild(trained("pggan", images_seen=images_seen, **SMALL["pggan"].model)).resolution

    assert [resolution(images) for images in (0, 16, 24, 32, 56, 1_000)] == [4, 4, 4, 8, 8, 32]
    grown = trained("pggan", **SMALL["pggan"].model)
    del grown.tensors["images_seen"]  # a release without counters
    assert rebuild(grown).resolution == 32
    assert rebuild(trained("dcgan", **SMALL["dcgan"].model)).resolution is None


def test_equalized_layers_keep_the_weights_that_they_compute_with() -> None:
    """Row f keeps He's factor out of the stored weights, row e in them."""
    source, module, report = tuned(trained("pggan", **{**SMALL["pggan"].model, "config": "f"}), config="e")
    x = torch.rand(4, 1, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(module.score(x), source.score(x), rtol=1e-4, atol=1e-5)
    assert any(how.startswith("rescaled") for how in report.adapted.values())
    assert EqualizedConv2d(1, 2, 3).scale != EqualizedConv2d(3, 2, 3).scale


def test_what_does_not_fit_is_refused() -> None:
    weights = trained("lsgan", **SMALL["lsgan"].model)
    with pytest.raises(CheckpointError, match="is of lsgan, this is dcgan"):
        transfer(rebuild(weights), MODELS["dcgan"](**SMALL["dcgan"].model))
    with pytest.raises(CheckpointError, match="nothing of there fits this model's G"):
        transfer(rebuild(weights), MODELS["lsgan"](network="ring"))
    generator = {name: tensor for name, tensor in weights.tensors.items() if name.startswith("G.")}
    with pytest.raises(CheckpointError, match=r"lacks \d+ tensors .* D\."):
        rebuild(weights._replace(tensors=generator))
    with pytest.raises(CheckpointError, match="does not fit its own settings"):
        rebuild(weights._replace(hyperparameters={**weights.hyperparameters, "width": 16}))


def test_building_the_source_leaves_the_random_stream_alone() -> None:
    weights = trained("dcgan", **SMALL["dcgan"].model)
    before = torch.get_rng_state()
    assert isinstance(rebuild(weights), Source)
    assert torch.equal(before, torch.get_rng_state())
