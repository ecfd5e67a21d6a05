"""WGAN-GP: the losses against hand values, AC-GAN's weights, constants, schedules, scales."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from toys import Recorder, fit, same, state_of
from wgan_gp_toys import Bowl, Colour32, plane, tiny

from zoo.experiments.wgan_gp_critic import critic_surface
from zoo.metrics.quantize import to_uint8
from zoo.models.wgan_gp import WGANGP
from zoo.nn.losses import gradient_penalty
from zoo.training.callbacks import CounterCheckpoint

# The penalty.


@pytest.mark.parametrize(("norm", "expected"), [(0.25, 0.0), (1.0, 0.0), (3.0, 4.0)])
def test_the_one_sided_penalty_is_zero_up_to_norm_one(norm: float, expected: float) -> None:
    critic = lambda x: norm * x[:, 0]  # noqa: E731 - gradient (norm, 0)
    x, fake = torch.randn(5, 2), torch.randn(5, 2)
    assert gradient_penalty(critic, x, fake, one_sided=True).item() == pytest.approx(expected, abs=1e-6)
    assert gradient_penalty(critic, x, fake).item() == pytest.approx((norm - 1) ** 2, abs=1e-6)


class Still(nn.Module):
    """A generator of one point."""

    def forward(self, z: Tensor) -> Tensor:
        return torch.tensor([[0.0, 2.0]]).expand(len(z), 2)


@pytest.mark.parametrize("one_sided", [False, True])
@pytest.mark.parametrize("weight", [0.1, 10.0])
def test_critic_loss_against_hand_values(weight: float, one_sided: bool) -> None:
    """Interpolates of (4, 0) and (0, 2) are (4e, 2 - 2e); their norms are the gradient norms. A flipped sign fails."""
    module = tiny(gp_weight=weight, one_sided=one_sided)
    module.D, module.G = Bowl(), Still()
    x = torch.tensor([[4.0, 0.0]]).repeat(3, 1)
    torch.manual_seed(5)
    loss = module.discriminator_loss(x, None).item()
    torch.manual_seed(5)
    epsilon = torch.rand(3).tolist()
    excess = [math.hypot(4 * e, 2 - 2 * e) - 1 for e in epsilon]
    assert len(set(epsilon)) == 3  # one for each sample
    penalty = sum(max(0, value) ** 2 if one_sided else value**2 for value in excess) / 3
    assert loss == pytest.approx(2.0 - 8.0 + weight * penalty, rel=1e-5)  # E D(fake) - E D(x) + ...
    assert module.extra["wasserstein_estimate"].item() == pytest.approx(6.0)
    assert module.extra["gradient_penalty"].item() == pytest.approx(penalty, rel=1e-5)
    assert module.generator_loss(x, None).item() == pytest.approx(-2.0)


@pytest.mark.parametrize(
    ("method", "loss_D", "loss_G"),
    [
        ("wgan", 2.0 - 8.0, -2.0),
        ("gan", (math.log1p(math.exp(-8)) + math.log1p(math.exp(2))) / 2, math.log1p(math.exp(-2))),
        ("lsgan", ((8 - 1) ** 2 + 2**2) / 2, (2 - 1) ** 2),
    ],
)
def test_losses_of_the_other_methods_by_hand(method: Any, loss_D: float, loss_G: float) -> None:
    """D(x) = 8, D(G(z)) = 2; no penalty, whatever its weight."""
    module = tiny(method=method, gp_weight=100.0)
    module.D, module.G = Bowl(), Still()
    x = torch.tensor([[4.0, 0.0]]).repeat(3, 1)
    assert module.discriminator_loss(x, None).item() == pytest.approx(loss_D, rel=1e-5)
    assert module.generator_loss(x, None).item() == pytest.approx(loss_G, rel=1e-5)
    assert set(module.extra) == ({"wasserstein_estimate"} if method == "wgan" else set())
    assert module.scores_are_logits == (method == "gan")


def test_reals_and_samples_meet_batchnorm_apart() -> None:
    module = tiny("cifar10", method="wgan")
    sizes: list[int] = []
    module.D.register_forward_hook(lambda D, inputs, output: sizes.append(len(output)))
    x, fake = torch.randn(6, 3, 32, 32), 3 + torch.randn(6, 3, 32, 32)
    real_out, fake_out = module.outputs(x, fake)
    assert sizes == [6, 6]
    torch.testing.assert_close(real_out, module.D(x))
    torch.testing.assert_close(fake_out, module.D(fake))
    free = tiny("cifar10")
    free.D.register_forward_hook(lambda D, inputs, output: sizes.append(len(output)))
    real_out, fake_out = free.outputs(x, fake)
    assert sizes[-1] == 12  # one pass
    torch.testing.assert_close(real_out, free.D(x), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(fake_out, free.D(fake), atol=1e-4, rtol=1e-4)


def largest(net: nn.Module) -> float:
    return max(parameter.abs().max().item() for parameter in net.parameters())


@pytest.mark.parametrize("clip", [0.01, 0.1])
def test_clipping_holds_every_parameter_of_the_critic_after_each_update(clip: float) -> None:
    """BatchNorm's gains, which start at 1, are clipped as in the authors' code; the generator is not."""
    module = tiny("cifar10", method="wgan", clip=clip, lr=1e-3)
    recorder = Recorder(lambda m: (largest(m.D), largest(m.G)))
    fit(module, recorder, data=Colour32(), images=2 * 6)
    assert [critic for critic, _ in recorder.seen] == [pytest.approx(clip)] * 6
    assert all(generator > 0.9 for _, generator in recorder.seen)


@pytest.mark.parametrize("method", ["wgan-gp", "gan", "lsgan"])
def test_the_other_methods_do_not_clip(method: Any) -> None:
    module = tiny(method=method)
    fit(module, data=plane(), images=6 * 3)
    assert largest(module.D) > 0.5


@pytest.mark.parametrize(("method", "updates"), [("wgan-gp", 2), ("wgan", 2), ("gan", 10), ("lsgan", 10)])
def test_critic_updates_for_each_generator_update(method: Any, updates: int) -> None:
    module = tiny(method=method)
    fit(module, data=plane(), images=6 * 10)
    assert (module.discriminator_steps, module.generator_steps) == (10, updates)


def test_one_sided_reaches_the_loss() -> None:
    x = torch.randn(16, 2)
    losses = []
    for one_sided in (False, True):
        module = tiny(one_sided=one_sided, gp_weight=10.0)
        nn.init.zeros_(module.D[-1].weight)  # gradient 0
        losses.append(module.discriminator_loss(x, None).item())
    assert losses == pytest.approx([10.0, 0.0])


def test_no_gradient_of_the_critic_loss_reaches_the_generator_in_training() -> None:
    module = tiny(n_critic=100)
    before = [parameter.clone() for parameter in module.G.parameters()]
    fit(module, data=plane(), images=30)
    assert all(torch.equal(a, b) for a, b in zip(before, module.G.parameters(), strict=True))
    assert all(parameter.grad is None for parameter in module.G.parameters())


# AC-GAN.


class Scripted(nn.Module):
    """Score 0; class logits k of black images, 2k of all others."""

    def forward(self, x: Tensor) -> Tensor:
        total = x.flatten(1).abs().sum(1, keepdim=True)
        return torch.cat([total * 0, torch.arange(10.0) * (1.0 + (total > 0))], 1)


def test_weights_of_the_class_losses() -> None:
    module = tiny("cifar10_resnet", num_classes=10)
    module.D = Scripted()
    once, twice = (math.log(sum(math.exp(scale * k) for k in range(10))) for scale in (1, 2))
    x, y = torch.zeros(3, 3, 32, 32), torch.tensor([1, 1, 4])
    loss = module.discriminator_loss(x, y).item()
    assert loss == pytest.approx(10.0 + 1.0 * (once - 2), rel=1e-5)  # flat critic: penalty 1; reals alone
    labels: list[Tensor] = []
    module.G.register_forward_hook(lambda G, inputs, output: labels.append(inputs[1]))
    loss = module.generator_loss(x, y).item()
    assert len(labels[0]) == 6
    assert loss == pytest.approx(0.1 * (twice - 2 * labels[0].double().mean().item()), rel=1e-5)


def test_fakes_carry_the_labels_of_the_reals() -> None:
    module = tiny("cifar10_resnet", num_classes=10)
    labels: list[Tensor] = []
    module.G.register_forward_hook(lambda G, inputs, output: labels.append(inputs[1]))
    y = torch.tensor([7, 2])
    module.discriminator_loss(torch.zeros(2, 3, 32, 32), y)
    assert torch.equal(labels[0], y)
    with pytest.raises(ValueError, match="the data has no labels"):
        module.discriminator_loss(torch.zeros(2, 3, 32, 32), None)


def test_labels_of_generator_updates_are_uniform() -> None:
    module = tiny("cifar10_resnet", num_classes=10)
    labels: list[Tensor] = []
    module.samples = lambda z, y: (labels.append(y), torch.zeros(len(z), 3, 1, 1))[1]
    module.D = Scripted()
    module.generator_loss(torch.zeros(5_000, 1), None)
    assert labels[0].bincount(minlength=10).tolist() == pytest.approx([1_000] * 10, abs=120)


# Schedules.


@pytest.mark.parametrize(("network", "multiple"), [("cifar10_resnet", 2), ("cifar10", 1)])
def test_size_of_the_generator_batch(network: Any, multiple: int) -> None:
    module = tiny(network)
    sizes: list[int] = []
    module.G.register_forward_hook(lambda G, inputs, output: sizes.append(len(output)))
    module.discriminator_loss(torch.zeros(3, 3, 32, 32), None)
    module.generator_loss(torch.zeros(3, 3, 32, 32), None)
    assert sizes == [3, 3 * multiple]


def test_learning_rates_fall_linearly_to_zero() -> None:
    """The authors' iteration i is generator update i (from 1), then critic updates at the same rate 1 - i / steps."""
    module = tiny(decay_steps=4, n_critic=2, lr=1e-3)
    rates: list[tuple[str, float]] = []
    descend = module.descend

    def spy(optimizer: Any, loss: Tensor) -> None:
        player = "D" if optimizer.param_groups[0]["params"][0] is next(module.D.parameters()) else "G"
        rates.append((player, round(optimizer.param_groups[0]["lr"], 9)))
        descend(optimizer, loss)

    module.descend = spy
    fit(module, data=plane(), images=6 * 10)
    authors = [("D", 1e-3)] * 2
    for i in range(1, 5):
        rate = round(1e-3 * (1 - i / 4), 9)
        authors += [("G", rate), ("D", rate), ("D", rate)]
    assert rates == [*authors, ("G", 0.0)]


def test_no_decay_steps_are_no_decay() -> None:
    module = WGANGP(network="cifar10_resnet", width=2, decay_steps=0)
    module.before_update()  # asks no trainer for optimizers
    assert module.decay_steps == 0


@pytest.mark.parametrize(("method", "stop"), [("wgan-gp", 3), ("wgan-gp", 5), ("wgan-gp", 8), ("wgan", 5)])
def test_a_resumed_run_on_points_is_the_uninterrupted_run(tmp_path: Path, method: Any, stop: int) -> None:
    def run(folder: str, **settings: Any) -> None:
        module = tiny(method=method, n_critic=2, decay_steps=6)
        fit(module, CounterCheckpoint(tmp_path / folder), data=plane(), **settings)

    run("whole", images=6 * 10)
    run("parts", images=6 * stop)
    run("parts", images=6 * 10, ckpt_path=tmp_path / "parts/last.ckpt")
    assert same(state_of(tmp_path / "whole/last.ckpt"), state_of(tmp_path / "parts/last.ckpt"))


def test_constants_of_the_scripts() -> None:
    names = ("toy", "toy_deep", "mnist", "cifar10", "cifar10_resnet", "resnet64", "random", "dcgan64", "resnet101")
    with torch.device("meta"):
        found = {name: WGANGP(network=name) for name in names}
    constants = {
        n: (m.lr, (m.beta1, m.beta2), m.gp_weight, m.n_critic, m.generator_batch, m.decay_steps)
        for n, m in found.items()
    }
    assert constants == {
        "toy": (1e-4, (0.5, 0.9), 0.1, 5, 1, None),
        "toy_deep": (1e-4, (0.5, 0.9), 10.0, 5, 1, None),
        "mnist": (1e-4, (0.5, 0.9), 10.0, 5, 1, None),
        "cifar10": (1e-4, (0.5, 0.9), 10.0, 5, 1, None),
        "cifar10_resnet": (2e-4, (0.0, 0.9), 10.0, 5, 2, 100_000),
        "resnet64": (1e-4, (0.5, 0.9), 10.0, 5, 1, None),
        "random": (1e-4, (0.0, 0.9), 10.0, 5, 1, None),
        "dcgan64": (1e-4, (0.5, 0.9), 10.0, 5, 1, None),
        "resnet101": (1e-4, (0.5, 0.9), 10.0, 5, 1, None),
    }
    for optimizer in found["cifar10_resnet"].configure_optimizers():
        assert (type(optimizer), optimizer.defaults["betas"]) == (torch.optim.Adam, (0.0, 0.9))


@pytest.mark.parametrize("network", ["toy", "random"])
def test_constants_of_the_methods(network: Any) -> None:
    """Appendices B and E; RMSProp with the penalty is figure 3's."""
    adam, rmsprop = torch.optim.Adam, torch.optim.RMSprop
    beta1 = 0.5 if network == "toy" else 0.0
    for settings, kind, constants in (
        ({"method": "wgan-gp"}, adam, {"lr": 1e-4, "betas": (beta1, 0.9)}),
        ({"method": "wgan-gp", "optimizer": "rmsprop"}, rmsprop, {"lr": 5e-5, "alpha": 0.9}),
        ({"method": "wgan"}, rmsprop, {"lr": 5e-5, "alpha": 0.9, "momentum": 0}),
        ({"method": "gan"}, adam, {"lr": 2e-4, "betas": (0.5, 0.999)}),
        ({"method": "lsgan"}, rmsprop, {"lr": 1e-4, "alpha": 0.9}),
        ({"method": "gan", "lr": 1.0, "beta1": 0.25, "beta2": 0.75}, adam, {"lr": 1.0, "betas": (0.25, 0.75)}),
    ):
        module = tiny(network, **settings, filters=[2])
        for optimizer in module.configure_optimizers():
            assert type(optimizer) is kind
            assert {name: optimizer.defaults[name] for name in constants} == constants
    assert tiny(method="gan", n_critic=3).n_critic == 3
    assert tiny().configure_optimizers()[0].defaults["fused"]


def test_weight_decay_of_normalised_random_critics() -> None:
    seen = set()
    for seed in range(6):
        module = tiny("random", filters=[2], architecture_seed=seed, method="gan" if seed % 2 else "wgan-gp")
        critic, generator = (optimizer.defaults["weight_decay"] for optimizer in module.configure_optimizers())
        assert module.architecture is not None
        seen.add(module.architecture.D.normalisation)
        assert (critic, generator) == (1e-3 if module.architecture.D.normalisation else 0, 0)
    assert seen == {True, False}
    assert tiny("random", filters=[2], weight_decay=0.5).configure_optimizers()[0].defaults["weight_decay"] == 0.5
    assert tiny("resnet64").weight_decay == 0


def test_one_generator_update_for_five_of_the_critic_over_epoch_ends() -> None:
    module = tiny("cifar10_resnet", num_classes=10, width=2)
    module.log_every = 5
    recorder = Recorder(lambda m: m.generator_steps)
    fit(module, recorder, data=Colour32(), images=2 * 10)
    assert recorder.seen == [0, 0, 0, 0, 1, 1, 1, 1, 1, 2]
    expected = {"loss_discriminator", "loss_generator", "wasserstein_estimate", "gradient_penalty"}
    assert expected <= set(module.latest)


def test_a_fixed_generator_never_moves_and_the_critic_sees_noisy_reals() -> None:
    module = tiny(fixed_generator=True)
    x = torch.zeros(4_000, 2) + 3
    fake = module.fakes(x, None)
    assert (fake - x).mean(0).tolist() == pytest.approx([0, 0], abs=0.1)
    assert (fake - x).var(0).tolist() == pytest.approx([1, 1], rel=0.1)
    fit(module, data=plane(), images=6 * 12)
    assert (module.discriminator_steps, module.generator_steps) == (12, 0)
    surface = critic_surface(module, side=5)
    with torch.no_grad():
        assert surface[1, 4].item() == pytest.approx(module.score(torch.tensor([[-1.5, 3.0]])).item(), rel=1e-5)


# Scales.


def test_dequantised_grey_levels_come_back() -> None:
    module = tiny("cifar10_resnet")
    levels = torch.arange(256, dtype=torch.uint8).repeat(40).view(40, 1, 16, 16)
    x = module.preprocess(levels)
    cell = (x + 1) * 128 - levels.float()
    assert -1e-4 <= cell.min() < 0.01
    assert 0.99 < cell.max() <= 1.0001
    assert cell.mean().item() == pytest.approx(0.5, abs=0.01)
    module.samples = lambda z, y: ((levels.float() + 0.02 + 0.96 * torch.rand(levels.shape)) / 128) - 1
    assert torch.equal(to_uint8(module.generate(torch.zeros(1), None)), levels)


def test_other_scales() -> None:
    pixels = torch.tensor([0, 51, 255], dtype=torch.uint8)
    torch.testing.assert_close(tiny("mnist").preprocess(pixels), torch.tensor([0.0, 0.2, 1.0]))
    torch.testing.assert_close(tiny("cifar10").preprocess(pixels), torch.tensor([-1.0, -0.6, 1.0]))
    points = torch.randn(3, 2)
    assert tiny().preprocess(points) is points
    mnist = tiny("mnist")
    z = mnist.latents(4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(mnist.sample(4, seed=0), mnist.G(z).detach() * 2 - 1)
    assert tiny().sample(9, seed=0).shape == (9, 2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"network": "mnist", "num_classes": 10}, "mnist takes no labels"),
        ({"network": "mnist", "fixed_generator": True}, "use network=toy"),
        ({"network": "mnist", "batchnorm_D": True}, "leave batchnorm_D out"),
    ],
)
def test_settings_that_exclude_each_other(settings: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WGANGP(**settings)
