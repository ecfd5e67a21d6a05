"""DCGAN: the three networks against the paper's figures and rules, the losses against hand values."""

import copy
import math
import os
from typing import Any

import pytest
import torch
from pages import text_of
from torch import Tensor, nn
from torch.nn import functional as F

from reproductions.dcgan import RECIPES
from zoo.data import MNIST
from zoo.experiments.dcgan import error_1nn, in_rows, nearest_rows
from zoo.models.dcgan import DCGAN

NETWORKS = ("faces64", "imagenet32", "community")
LAYERS = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


@pytest.fixture(scope="module", params=NETWORKS)
def network(request: pytest.FixtureRequest) -> DCGAN:
    torch.manual_seed(0)
    return DCGAN(network=request.param)


def count(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


@pytest.mark.parametrize(("name", "G", "D"), [("faces64", 18_885_760, 17_232_768), ("community", 3_576_704, 2_765_568)])
def test_parameter_counts(name: Any, G: int, D: int) -> None:
    with torch.device("meta"):
        module = DCGAN(network=name)
    assert (count(module.G), count(module.D)) == (G, D)


def test_imagenet_features_are_those_of_section_5_1() -> None:
    with torch.device("meta"):
        module = DCGAN(network="imagenet32")
        maps = []
        for layer in module.D.modules():
            if isinstance(layer, nn.Conv2d):
                layer.register_forward_hook(lambda layer, inputs, output: maps.append(output))
        module.D(torch.empty(2, 3, 32, 32))
        features = torch.cat([F.adaptive_max_pool2d(x, 4).flatten(1) for x in maps], 1)
    assert features.shape == (2, 28_672)
    assert [tuple(x.shape[1:]) for x in maps] == [
        (128, 32, 32),
        (128, 16, 16),
        (256, 16, 16),
        (256, 8, 8),
        (512, 8, 8),
        (512, 4, 4),
    ]


@pytest.mark.parametrize(
    ("settings", "maps"),
    [
        ({"network": "faces64"}, [(1024, 4), (512, 8), (256, 16), (128, 32), (3, 64)]),
        ({"network": "imagenet32"}, [(512, 4), (512, 8), (256, 8), (256, 16), (128, 16), (128, 32), (3, 32)]),
        ({"network": "community"}, [(512, 4), (256, 8), (128, 16), (64, 32), (3, 64)]),
        ({"network": "community", "resolution": 32, "channels": 1}, [(256, 4), (128, 8), (64, 16), (1, 32)]),
        ({"network": "community", "resolution": 8, "width": 6}, [(6, 4), (3, 8)]),
    ],
)
def test_maps_of_the_generator(settings: dict[str, Any], maps: list[tuple[int, int]]) -> None:
    with torch.device("meta"):
        module = DCGAN(**settings)
        sizes = []
        for layer in module.G.modules():
            if isinstance(layer, nn.Unflatten | nn.Conv2d | nn.ConvTranspose2d):
                layer.register_forward_hook(lambda layer, inputs, output: sizes.append(tuple(output.shape[1:3])))
        images = module.G(torch.empty(2, module.z_dim))
    assert [size for size in sizes if size != (module.z_dim, 1)] == maps  # a 1x1 map is z itself
    assert images.shape[1:] == module.image_shape
    assert module.D(images).shape == (2, 1)


def test_weights_are_normal_and_nothing_but_batchnorm_has_a_bias(network: DCGAN) -> None:
    for net in (network.G, network.D):
        weights = torch.cat([layer.weight.flatten() for layer in net.modules() if isinstance(layer, LAYERS)])
        assert weights.mean().item() == pytest.approx(0, abs=1e-4)
        assert weights.std().item() == pytest.approx(0.02, rel=0.01)
        assert (weights.abs() < 0.02).float().mean().item() == pytest.approx(math.erf(0.5**0.5), abs=0.005)  # normal
        assert all(layer.bias is None for layer in net.modules() if isinstance(layer, LAYERS))


def test_batchnorm_gains_are_normal_around_one(network: DCGAN) -> None:
    norms = [layer for layer in network.modules() if isinstance(layer, NORMS)]
    gains = torch.cat([layer.weight.detach() for layer in norms])
    assert gains.mean().item() == pytest.approx(1, abs=0.005)
    assert gains.std().item() == pytest.approx(0.02, rel=0.1)
    assert not any(layer.bias.any() for layer in norms)
    assert {layer.eps for layer in norms} == ({1e-5} if network.network == "community" else {1e-8})


def test_every_layer_is_normalised_but_the_two_next_to_the_image_and_the_last(network: DCGAN) -> None:
    """The guidelines of section 3: where BatchNorm is, which activations there are, no pooling."""
    for net, bare, activation in ((network.G, [-1], nn.ReLU), (network.D, [0, -1], nn.LeakyReLU)):
        layers = [layer for layer in net if not isinstance(layer, nn.Flatten | nn.Unflatten)]
        places = [i for i, layer in enumerate(layers) if isinstance(layer, LAYERS)]
        for i in places:
            normalised = i + 1 < len(layers) and isinstance(layers[i + 1], NORMS)
            assert normalised is (i not in [places[k] for k in bare])
            if normalised:
                assert isinstance(layers[i + 2], activation)
        kinds = {type(layer) for layer in layers} - {*LAYERS, *NORMS}
        assert kinds == ({nn.ReLU, nn.Tanh} if net is network.G else {nn.LeakyReLU})
    assert isinstance(network.G[-1], nn.Tanh)
    assert isinstance(network.D[1], nn.LeakyReLU)
    assert {layer.negative_slope for layer in network.D if isinstance(layer, nn.LeakyReLU)} == {0.2}


@pytest.mark.parametrize(
    ("name", "kernels"), [("faces64", {(5, 5)}), ("imagenet32", {(3, 3)}), ("community", {(4, 4)})]
)
def test_kernels(name: Any, kernels: set[tuple[int, int]]) -> None:
    with torch.device("meta"):
        module = DCGAN(network=name)
    convolutions = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]
    assert {layer.kernel_size for layer in convolutions} == kernels


@pytest.mark.parametrize(("name", "z_dim"), [("faces64", 100), ("imagenet32", 256), ("community", 100)])
def test_latents(name: Any, z_dim: int) -> None:
    with torch.device("meta"):
        module = DCGAN(network=name)
    z = module.latents(2_000, generator=torch.Generator().manual_seed(0))
    assert z.shape == (2_000, z_dim)
    assert z.mean().item() == pytest.approx(0, abs=0.01)
    if name == "community":  # N(0, 1)
        assert z.var().item() == pytest.approx(1, rel=0.02)
        assert (z.abs() < 1).float().mean().item() == pytest.approx(math.erf(0.5**0.5), abs=0.005)
    else:  # U(-1, 1)
        assert z.var().item() == pytest.approx(1 / 3, rel=0.02)
        assert -1 <= z.min() < -0.999
        assert 0.999 < z.max() <= 1


class Mean(nn.Module):
    """A discriminator whose logit is the mean pixel."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1).mean(1, keepdim=True)


class Constant(nn.Module):
    """A generator of images of one value."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, z: Tensor) -> Tensor:
        return torch.full((len(z), 3, 8, 8), self.value)


def scripted(fake: float) -> DCGAN:
    """A module whose logits are known: the mean of the reals, and `fake`."""
    module = DCGAN(network="community", resolution=8, width=2)
    module.G, module.D = Constant(fake), Mean()
    return module


@pytest.mark.parametrize(("real", "fake"), [(0.7, -1.3), (-0.4, 2.0)])
def test_losses_against_hand_values(real: float, fake: float) -> None:
    module, x = scripted(fake), torch.full((4, 3, 8, 8), real)
    p_real, p_fake = 1 / (1 + math.exp(-real)), 1 / (1 + math.exp(-fake))
    expected = -math.log(p_real) - math.log(1 - p_fake)  # summed, not halved
    assert module.discriminator_loss(x, None).item() == pytest.approx(expected, rel=1e-5)
    assert module.generator_loss(x, None).item() == pytest.approx(-math.log(p_fake), rel=1e-5)


def test_reals_and_fakes_are_normalised_separately() -> None:
    torch.manual_seed(0)
    module = DCGAN(network="community", resolution=16, width=8)
    x = torch.rand(6, 3, 16, 16)
    nn.init.normal_(module.D[-2].weight, 0, 0.2)
    module.latent_generator.manual_seed(1)
    loss = module.discriminator_loss(x, None).item()
    fake = module.G(module.latents(6, generator=torch.Generator().manual_seed(1)))
    apart = F.softplus(-module.D(x)).mean() + F.softplus(module.D(fake)).mean()
    real_logits, fake_logits = module.D(torch.cat([x, fake])).chunk(2)
    joined = F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()
    assert loss == pytest.approx(apart.item(), rel=1e-5)
    assert loss != pytest.approx(joined.item(), rel=1e-2)


def test_each_player_gets_latents_of_its_own() -> None:
    module = DCGAN(network="community", resolution=8, width=2)
    seen: list[Tensor] = []
    module.G.register_forward_hook(lambda G, inputs, output: seen.append(inputs[0]))
    module.latent_generator.manual_seed(5)
    x = torch.zeros(3, 3, 8, 8)
    module.discriminator_loss(x, None)
    module.generator_loss(x, None)
    stream = torch.Generator().manual_seed(5)
    assert all(torch.equal(z, module.latents(3, generator=stream)) for z in seen)
    assert len(seen) == 2


@pytest.mark.parametrize("name", ["imagenet32", "community"])
def test_channels_last_changes_no_value(name: Any) -> None:
    torch.manual_seed(0)
    module = DCGAN(network=name, resolution=32, width=8)
    plain = copy.deepcopy(module).to(memory_format=torch.contiguous_format)
    convolutions = [m for m in module.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    assert all(m.weight.is_contiguous(memory_format=torch.channels_last) for m in convolutions)
    assert not all(
        m.weight.is_contiguous(memory_format=torch.channels_last)
        for m in plain.modules()
        if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)
    )
    z = module.latents(4)
    torch.testing.assert_close(module.G(z), plain.G(z), atol=1e-5, rtol=1e-4)
    x = torch.rand(4, 3, 32, 32)
    torch.testing.assert_close(module.D(x), plain.D(x), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"network": "faces64", "resolution": 32}, "faces64 makes 64x64 images; for 32 use network=community"),
        ({"network": "imagenet32", "resolution": 64}, "imagenet32 makes 32x32 images; for 64 use network=community"),
        ({"network": "community", "resolution": 48}, "power of two from 8 on, not 48"),
        ({"network": "community", "resolution": 4}, "power of two from 8 on, not 4"),
    ],
)
def test_a_resolution_that_a_network_lacks(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DCGAN(**settings)


def test_optimizers_have_the_constants_of_section_4() -> None:
    module = DCGAN(network="community", resolution=8, width=2)
    for optimizer in module.configure_optimizers():
        assert type(optimizer) is torch.optim.Adam
        constants = {key: optimizer.defaults[key] for key in ("lr", "betas", "eps", "weight_decay")}
        assert constants == {"lr": 2e-4, "betas": (0.5, 0.999), "eps": 1e-8, "weight_decay": 0.0}
    authors = DCGAN(network="community", resolution=8, width=2, l2=1e-5)
    assert [optimizer.defaults["weight_decay"] for optimizer in authors.configure_optimizers()] == [1e-5, 1e-5]


def test_samples_are_in_range_and_reals_too() -> None:
    module = DCGAN(network="community", resolution=16, width=4, channels=1)
    samples = module.sample(5, seed=0)
    assert samples.shape == (5, 1, 16, 16)
    assert samples.abs().max() <= 1
    pixels = torch.tensor([0, 51, 255], dtype=torch.uint8)
    torch.testing.assert_close(module.preprocess(pixels), torch.tensor([-1.0, -0.6, 1.0]))


class TestConditionalMNIST:
    """The appendix's network (section 8.1)."""

    def test_parameters_and_shapes(self) -> None:
        module = DCGAN(network="mnist_conditional")
        counts = [sum(p.numel() for p in net.parameters()) for net in (module.G, module.D)]
        assert counts == [6_820_538, 6_688_202]
        assert not any(m.affine for m in module.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d))
        images = module.sample(4, labels=torch.tensor([0, 1, 2, 9]), seed=0)
        assert images.shape == (4, 1, 28, 28)
        assert images.min() >= -1
        assert images.max() <= 1
        x = module.preprocess(torch.full((3, 1, 28, 28), 255, dtype=torch.uint8))
        assert x.max() == 1
        assert module.D(x, torch.tensor([1, 2, 3])).shape == (3, 1)

    def test_the_label_reaches_both_players_and_no_other_sample(self) -> None:
        module = DCGAN(network="mnist_conditional").eval()
        labels = torch.tensor([3, 3, 3, 3])
        one = module.sample(4, labels=labels, seed=5)
        other = module.sample(4, labels=torch.tensor([3, 7, 3, 3]), seed=5)
        assert not torch.equal(one[1], other[1])
        assert torch.equal(one[[0, 2, 3]], other[[0, 2, 3]])
        x = torch.rand(2, 1, 28, 28)
        assert not torch.equal(module.D(x, torch.tensor([0, 1])), module.D(x, torch.tensor([1, 1])))

    def test_learning_rate_is_constant_then_linear_to_zero(self) -> None:
        module = DCGAN(network="mnist_conditional", constant_images=1000, decay_images=500, lr=0.1)
        optimizers = tuple(module.configure_optimizers())
        module.both_optimizers = lambda: optimizers
        for images, expected in [(0, 0.1), (1000, 0.1), (1250, 0.05), (1500, 0.0), (1600, 0.0)]:
            module.images_seen = images
            module.before_update()
            assert [o.param_groups[0]["lr"] for o in optimizers] == pytest.approx([expected] * 2)

    def test_nearest_rows_against_cdist(self) -> None:
        x, points = torch.rand(700, 9), torch.rand(300, 9)
        assert torch.equal(nearest_rows(x, points), torch.cdist(x.double(), points.double()).argmin(1))


@pytest.mark.slow
@pytest.mark.skipif("ZOO_DATA" not in os.environ, reason="needs ZOO_DATA, a folder with the real data")
def test_what_a_nearest_neighbour_errs_with_the_digits_themselves() -> None:
    """What its samples are to be compared with, as the pages say."""
    train, test = (MNIST(root=os.environ["ZOO_DATA"]).split(name) for name in ("train", "test"))
    assert train.labels is not None
    points, labels = in_rows(train), train.labels
    errors = [error_1nn(test, points[:n], labels[:n]) for n in (50_000, 60_000)]
    assert errors == pytest.approx([0.0334, 0.0309], abs=1e-4)
    few, all_of_them = (f"{100 * error:.2f} %" for error in errors)
    page = text_of("docs/dcgan.md")
    assert f"themselves in place of samples it errs on {few}, with all 60,000 on {all_of_them}" in page
    assert all(f"{few}" in text_of(name) for name in ("README.md", "docs/results.md"))


@pytest.mark.parametrize(("recipe", "epochs", "images"), [("faces", 25, 350_000), ("mnist_conditional", 200, 50_000)])
def test_each_player_is_updated_as_often_as_in_the_authors_scripts(recipe: str, epochs: int, images: int) -> None:
    """Which update one player with each minibatch, in turn."""
    config = RECIPES[recipe].config
    assert config["images"] // config["data"]["init_args"]["batch_size"] == epochs * images // 128 // 2
    if recipe == "mnist_conditional":
        assert config["model"]["constant_images"] == config["model"]["decay_images"] == config["images"] // 2
