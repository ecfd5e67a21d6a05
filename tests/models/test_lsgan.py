"""LSGAN: losses and optima in closed form, shared latents, networks and constants of the authors' scripts."""

import math
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from toys import Recorder, fit

from reproductions.lsgan import RECIPES
from zoo.data.toy import ToyPoints
from zoo.experiments.lsgan import measure
from zoo.models.lsgan import (
    LSGAN,
    PEARSON,
    ZERO_ONE,
    Coding,
    least_squares_discriminator_loss,
    least_squares_generator_loss,
)


def tiny(**settings: Any) -> LSGAN:
    torch.manual_seed(0)
    options: dict[str, Any] = {"network": "dcgan", "channels": 1, "resolution": 16, "width": 4, "z_dim": 5}
    return LSGAN(**{**options, **settings})


def count(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def test_losses_against_hand_values() -> None:
    real, fake = torch.tensor([0.5, 2.0]), torch.tensor([0.25, -1.0, 0.0])
    D = least_squares_discriminator_loss(real, fake, a=-1, b=1)
    assert D.item() == pytest.approx(((0.25 + 1) / 2 + (1.5625 + 0 + 1) / 3) / 2)
    G = least_squares_generator_loss(fake, c=0.5)
    assert G.item() == pytest.approx((0.0625 + 2.25 + 0.25) / 3 / 2)


@pytest.mark.parametrize("coding", [PEARSON, ZERO_ONE, Coding(-0.5, 2.0, 0.7)])
def test_the_best_discriminator_of_a_discrete_game(coding: Coding) -> None:
    """D* = (b p_d + a p_g) / (p_d + p_g). Found by descent on the module's loss, five outcomes."""
    p_d, p_g = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.0]), torch.tensor([0.4, 0.1, 0.25, 0.05, 0.2])
    outcomes_d = torch.arange(5).repeat_interleave((p_d * 20).round().long())
    outcomes_g = torch.arange(5).repeat_interleave((p_g * 20).round().long())
    D = torch.zeros(5, requires_grad=True)
    for _ in range(400):
        loss = least_squares_discriminator_loss(D[outcomes_d], D[outcomes_g], a=coding.a, b=coding.b)
        (gradient,) = torch.autograd.grad(loss, D)
        D = (D - 2 * gradient).detach().requires_grad_()
    best = (coding.b * p_d + coding.a * p_g) / (p_d + p_g)
    torch.testing.assert_close(D.detach(), best, atol=1e-4, rtol=1e-4)
    # With the Pearson coding (eq. 8), 2 C(G) is the Pearson chi-square of p_d + p_g from 2 p_g.
    value = 2 * (
        least_squares_generator_loss(best[outcomes_d], c=coding.c)
        + least_squares_generator_loss(best[outcomes_g], c=coding.c)
    )
    chi_square = ((2 * p_g - (p_d + p_g)).square() / (p_d + p_g)).sum()
    assert (value.item() == pytest.approx(chi_square.item(), rel=1e-4)) is (coding is PEARSON)


def test_the_pearson_condition() -> None:
    assert PEARSON.is_pearson
    assert Coding(0.3, 2.3, 1.3).is_pearson
    assert not ZERO_ONE.is_pearson
    assert not Coding(-1, 1, 0.5).is_pearson
    assert not Coding(0, 1, 0).is_pearson


@pytest.mark.parametrize(("a", "b", "c"), [(-1, 1, 0.5), (0, 1, 0), (0, 2, 2)])
def test_a_coding_of_neither_kind_warns(a: float, b: float, c: float) -> None:
    with pytest.warns(UserWarning, match="b - c = 1 and b - a = 2"):
        tiny(a=a, b=b, c=c)


def test_the_warning_claims_nothing_of_a_coding_whose_losses_minimise_a_multiple() -> None:
    """(0, 1, 1/2) has b - a = 2 (b - c): a quarter of the Pearson chi-square."""
    with pytest.warns(UserWarning, match=r"without b - a = 2 \(b - c\) the losses minimise no Pearson"):
        tiny(a=0, b=1, c=0.5)


@pytest.mark.parametrize("loss", ["lsgan", "gan"])
def test_cross_entropy_scores_are_logits(loss: Any) -> None:
    """The health watch looks for saturation where they are."""
    assert tiny(loss=loss).scores_are_logits == (loss == "gan")


@pytest.mark.parametrize("settings", [{}, {"a": -1.0, "b": 1.0, "c": 0.0}, {"a": 1.0, "b": 3.0, "c": 2.0}])
def test_the_papers_codings_do_not_warn(settings: dict[str, float]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tiny(**settings)


class Mean(nn.Module):
    """A discriminator whose score is the mean pixel."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1).mean(1, keepdim=True)


class Constant(nn.Module):
    """A generator of one value."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, z: Tensor) -> Tensor:
        return torch.full((len(z), 1, 16, 16), self.value)


def scripted(fake: float, **settings: Any) -> LSGAN:
    module = tiny(**settings)
    module.G, module.D = Constant(fake), Mean()
    return module


@pytest.mark.parametrize(("real", "fake"), [(0.7, -1.3), (1.0, 0.0)])
def test_losses_of_the_module(real: float, fake: float) -> None:
    x = torch.full((3, 1, 16, 16), real)
    zero_one, pearson = scripted(fake), scripted(fake, a=-1.0, b=1.0, c=0.0)
    assert zero_one.discriminator_loss(x, None).item() == pytest.approx(((real - 1) ** 2 + fake**2) / 2, abs=1e-6)
    assert zero_one.generator_loss(x, None).item() == pytest.approx((fake - 1) ** 2 / 2, rel=1e-5)
    assert pearson.discriminator_loss(x, None).item() == pytest.approx(
        ((real - 1) ** 2 + (fake + 1) ** 2) / 2, rel=1e-5
    )
    assert pearson.generator_loss(x, None).item() == pytest.approx(fake**2 / 2, abs=1e-6)
    gan = scripted(fake, loss="gan")
    p_real, p_fake = 1 / (1 + math.exp(-real)), 1 / (1 + math.exp(-fake))
    assert gan.discriminator_loss(x, None).item() == pytest.approx(-math.log(p_real) - math.log(1 - p_fake), rel=1e-5)
    assert gan.generator_loss(x, None).item() == pytest.approx(-math.log(p_fake), rel=1e-5)


def test_both_players_see_the_same_latents_and_each_step_new_ones() -> None:
    module = tiny(network="ring", width=8)
    seen: list[Tensor] = []
    module.G.register_forward_hook(lambda G, inputs, output: seen.append(inputs[0]))
    fit(module, data=ToyPoints(distribution="ring", batch_size=6), images=18)
    assert len(seen) == 6
    assert all(torch.equal(seen[i], seen[i + 1]) for i in (0, 2, 4))
    assert not torch.equal(seen[0], seen[2])
    module.generator_loss(torch.zeros(4, 2), None)  # without a turn of D before it
    assert len(seen[-1]) == 4


def test_one_generator_update_for_each_of_the_discriminators() -> None:
    module = tiny(network="ring", width=8)
    recorder = Recorder(lambda m: (m.discriminator_steps, m.generator_steps, m.images_seen))
    fit(module, recorder, data=ToyPoints(distribution="ring", batch_size=6), images=18)
    assert recorder.seen == [(1, 1, 6), (2, 2, 12), (3, 3, 18)]


# Networks and constants.


def test_parameter_counts() -> None:
    """Sums of kernel areas times channels, by hand."""
    with torch.device("meta"):
        lsun, study = LSGAN(), LSGAN(network="dcgan", batchnorm="none")
        ring = LSGAN(network="ring")
    conv = [25 * a * b + b for a, b in ((3, 64), (64, 128), (128, 256), (256, 512))]
    assert count(lsun.D) == sum(conv) + 2 * (128 + 256 + 512) + 512 * 49 + 1
    assert count(study.D) == sum(conv) + 512 * 16 + 1
    layers = ((256, 256), (256, 256), (256, 256), (256, 256), (256, 128), (128, 64), (64, 3))
    linear = 1025 * 256 * 49 + 2 * 256
    assert count(lsun.G) == linear + sum(9 * a * b + b for a, b in layers) + 2 * (4 * 256 + 128 + 64)
    pyramid = ((512, 256), (256, 128), (128, 64), (64, 3))
    assert count(study.G) == 1025 * 512 * 16 + sum(25 * a * b + b for a, b in pyramid)
    assert count(ring.G) == 257 * 128 + 129 * 128 + 129 * 2
    assert count(ring.D) == 3 * 128 + 129 * 128 + 129


@pytest.mark.parametrize(
    ("settings", "shape"),
    [
        ({"network": "lsun112"}, (3, 112, 112)),
        ({"network": "dcgan"}, (3, 64, 64)),
        ({"network": "dcgan", "resolution": 32, "channels": 1}, (1, 32, 32)),
        ({"network": "ring"}, (2,)),
    ],
)
def test_shapes(settings: dict[str, Any], shape: tuple[int, ...]) -> None:
    with torch.device("meta"):
        module = LSGAN(**settings)
        samples = module.G(torch.empty(4, module.z_dim))
        assert samples.shape[1:] == shape == module.image_shape
        assert module.D(samples).shape == (4, 1)
    assert not any(isinstance(layer, nn.Sigmoid) for layer in module.modules())


@pytest.mark.parametrize(("batchnorm", "G", "D"), [("both", 2, 1), ("discriminator", 0, 1), ("none", 0, 0)])
def test_where_batchnorm_is(batchnorm: Any, G: int, D: int) -> None:
    module = tiny(batchnorm=batchnorm)
    norms = [sum(isinstance(layer, nn.BatchNorm2d) for layer in net.modules()) for net in (module.G, module.D)]
    assert norms == [G, D]
    assert not isinstance(module.D[1], nn.BatchNorm2d)


def test_initial_weights() -> None:
    torch.manual_seed(0)
    module = LSGAN(network="dcgan", width=32, z_dim=100)
    convolutions = torch.cat([m.weight.detach().flatten() for m in module.modules() if isinstance(m, nn.Conv2d)])
    others = torch.cat(
        [m.weight.detach().flatten() for m in module.modules() if isinstance(m, nn.ConvTranspose2d | nn.Linear)]
    )
    assert convolutions.abs().max().item() == pytest.approx(0.04, rel=1e-3)
    assert convolutions.std().item() == pytest.approx(0.02 * 0.8796, rel=0.01)  # of a normal cut at two sigma
    assert others.abs().max().item() > 0.07
    assert others.std().item() == pytest.approx(0.02, rel=0.01)
    kinds = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
    assert not any(m.bias.any() for m in module.modules() if isinstance(m, kinds))
    ring = LSGAN(network="ring")
    for layer in [*ring.G, *ring.D]:
        if isinstance(layer, nn.Linear):
            w = layer.weight.detach()
            gram = w @ w.T if len(w) <= w.shape[1] else w.T @ w
            torch.testing.assert_close(gram, 1.4**2 * torch.eye(len(gram)), atol=1e-4, rtol=0)
            assert not layer.bias.any()


@pytest.mark.parametrize("recipe", ["study_discriminator_adam_lsgan", "study_discriminator_rmsprop_gan", "cifar10"])
def test_first_gains_of_batchnorm(recipe: str) -> None:
    """N(1, 0.02) in the authors' folders of the stability study; 1 in their other code, as elsewhere here."""
    module = tiny(**{**RECIPES[recipe].config["model"], "resolution": 64, "channels": 1, "width": 16})
    gains = torch.cat([m.weight.detach() for m in module.D.modules() if isinstance(m, nn.BatchNorm2d)])
    if recipe == "cifar10":
        assert (gains == 1).all()
    else:
        assert gains.mean().item() == pytest.approx(1, abs=0.006)
        assert gains.std().item() == pytest.approx(0.02, rel=0.2)


@pytest.mark.parametrize(("network", "uniform"), [("lsun112", True), ("dcgan", True), ("ring", False)])
def test_latents(network: Any, uniform: bool) -> None:
    with torch.device("meta"):
        module = LSGAN(network=network)
    with torch.device("cpu"):
        z = module.latents(500, generator=torch.Generator().manual_seed(0))
    assert z.shape == (500, 1024 if uniform else 256)
    assert z.var().item() == pytest.approx(1 / 3 if uniform else 1, rel=0.02)
    assert bool(z.abs().max() <= 1) is uniform


@pytest.mark.parametrize(
    ("network", "rates"), [("lsun112", (1e-3, 1e-3)), ("dcgan", (2e-4, 2e-4)), ("ring", (1e-4, 1e-3))]
)
def test_optimizers(network: Any, rates: tuple[float, float]) -> None:
    with torch.device("meta"):
        module = LSGAN(network=network)
        rms = LSGAN(network=network, optimizer="rmsprop", lr_G=3e-5)
    optimizers = module.configure_optimizers()
    assert [(type(o), o.defaults["lr"], o.defaults["betas"]) for o in optimizers] == [
        (torch.optim.Adam, rate, (0.5, 0.999)) for rate in rates
    ]
    assert optimizers[0].param_groups[0]["params"][0] is next(module.D.parameters())  # D's first
    theirs = rms.configure_optimizers()
    assert [(type(o), o.defaults["lr"], o.defaults["alpha"]) for o in theirs] == [
        (torch.optim.RMSprop, rate, 0.9) for rate in (rates[0], 3e-5)
    ]


def test_ring_measures() -> None:
    data = ToyPoints(distribution="ring")
    assert data.modes is not None
    modes = data.modes

    class Half(nn.Module):
        """Hits modes 0 to 5 for positive first latents and misses otherwise."""

        def forward(self, z: Tensor) -> Tensor:
            return torch.where(z[:, :1] > 0, modes[torch.arange(len(z)) % 6], torch.full((1, 2), 3.0))

    module = LSGAN(network="ring")
    module.G = Half()
    values, protocol = measure(module, data, seed=1)
    assert values["share_modes_covered"] == 6 / 8
    assert values["share_high_quality"] == pytest.approx(0.5, abs=0.02)
    assert protocol["seed"] == 1
    assert measure(module, data, seed=1).values == values
    assert measure(tiny(), data, seed=1) == ({}, {})

    class Collapsed(nn.Module):
        """One point outside the ring: all transport goes there."""

        def forward(self, z: Tensor) -> Tensor:
            return torch.tensor([[0.0, 2.0]]).expand(len(z), 2)

    module.G = Collapsed()
    test = data.split("test").images[:1_000]
    distance = measure(module, data, seed=1).values["wasserstein_exact"]
    assert distance == pytest.approx((test - torch.tensor([0.0, 2.0])).norm(dim=1).mean().item(), rel=1e-6)


def test_points_and_images_are_scaled_alike_for_both_players() -> None:
    points = torch.randn(4, 2)
    assert LSGAN(network="ring").preprocess(points) is points
    pixels = torch.tensor([0, 51, 255], dtype=torch.uint8)
    torch.testing.assert_close(tiny().preprocess(pixels), torch.tensor([-1.0, -0.6, 1.0]))
    assert LSGAN(network="ring").sample(7, seed=0).shape == (7, 2)
    assert tiny().sample(3, seed=0).abs().max() <= 1


@pytest.mark.parametrize("resolution", [8, 28])
def test_a_resolution_that_the_networks_lack(resolution: int) -> None:
    with pytest.raises(ValueError, match=f"power of two from 16 on, not {resolution}"):
        LSGAN(network="dcgan", resolution=resolution)
