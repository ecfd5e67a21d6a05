"""InfoGAN: the information term against closed forms and plain autograd, and who is moved by it."""

import math
from typing import Any

import pytest
import torch
from infogan_toys import CODES, Images16, on_meta, small, spread_weights
from torch import Tensor, nn
from toys import DIAGNOSTICS, Recorder, fit

from zoo.models.infogan import InfoGAN, categorical_information, continuous_information
from zoo.models.networks.infogan import CodeLayout, Codes

# Latents.


def test_latent_laws() -> None:
    z = on_meta().latents(20_000, generator=torch.Generator().manual_seed(0))
    assert z.shape == (20_000, 74)
    noise, category, continuous = z[:, :62], z[:, 62:72], z[:, 72:]
    for part in (noise, continuous):
        assert -1 <= part.min() < -0.999
        assert 0.999 < part.max() <= 1
        assert part.mean().item() == pytest.approx(0, abs=0.01)
        assert part.var().item() == pytest.approx(1 / 3, rel=0.02)
    assert (category.sum(1) == 1).all()
    assert set(category.unique().tolist()) == {0, 1}
    assert (category.mean(0) - 0.1).abs().max() < 0.01
    assert torch.corrcoef(continuous.T)[0, 1].abs() < 0.03


def test_codes_are_taken_from_their_places() -> None:
    layout = CodeLayout(2, 2, 3, 1)
    z = torch.tensor([[9.0, 9.0, 0, 1, 0, 0, 0, 1, 0.5]])
    codes = layout.codes_of(z)
    assert codes.categorical.tolist() == [[[0, 1, 0], [0, 0, 1]]]
    assert codes.continuous.tolist() == [[0.5]]
    assert (layout.z_dim, layout.parameters) == (9, 8)
    q = layout.parameters_of(torch.tensor([[1.0, 2, 3, 4, 5, 6, 7, 100]]))
    assert q.log_variance is not None
    assert q.categorical.tolist() == [[[1, 2, 3], [4, 5, 6]]]
    assert (q.continuous.item(), q.log_variance.item()) == (7, 8)  # a learnt sigma is kept within bounds


# The information term.


def one_hot(rows: list[int], k: int) -> Tensor:
    return torch.eye(k)[rows].unsqueeze(1)  # [N, 1, K]


def test_categorical_information_closed_forms() -> None:
    c = one_hot([0, 3, 9, 3], 10)
    assert categorical_information(torch.full((4, 1, 10), 3.0), c).item() == pytest.approx(0, abs=1e-6)  # uniform Q
    assert categorical_information(100 * c, c).item() == pytest.approx(math.log(10))  # certain and right
    assert categorical_information(100 * c.roll(1, 2), c).item() == pytest.approx(math.log(10) - 100)  # and wrong
    half = torch.full((4, 1, 10), -100.0)
    half[:, :, :5] = 0  # a Q that knows one bit: 1/5 on the right half
    assert categorical_information(half, one_hot([0, 1, 2, 4], 10)).item() == pytest.approx(math.log(2), rel=1e-5)
    both = torch.cat([100 * c, torch.zeros(4, 1, 10)], dim=1)  # codes add up
    assert categorical_information(both, torch.cat([c, c], dim=1)).item() == pytest.approx(math.log(10))


def test_continuous_information_with_sigma_1() -> None:
    c = torch.tensor([[0.5, -1.0], [0.25, 0.0]])
    mean = torch.tensor([[0.0, 1.0], [0.25, 0.5]])
    squares = (0.25 + 4 + 0 + 0.25) / 2
    expected = -0.5 * squares + 2 * (math.log(2) - 0.5 * math.log(2 * math.pi))
    assert continuous_information(mean, torch.zeros(2, 2), c).item() == pytest.approx(expected)


def test_continuous_information_with_learnt_sigma() -> None:
    generator = torch.Generator().manual_seed(0)
    c, mean, s = (torch.randn(7, 3, generator=generator) for _ in range(3))
    normal = torch.distributions.Normal(mean, s.exp().sqrt())
    expected = normal.log_prob(c).sum(1).mean() + 3 * math.log(2)
    torch.testing.assert_close(continuous_information(mean, s, c), expected)


def test_a_q_that_knows_nothing_gains_nothing_from_its_sigma() -> None:
    """For c ~ U(-1, 1) the best Gaussian has mean 0 and variance 1/3; it stays below the entropy ln 2."""
    c = torch.linspace(-1, 1, 20_001)[:, None]
    values = {
        s: continuous_information(torch.zeros_like(c), torch.full_like(c, math.log(s)), c).item()
        for s in (0.1, 1 / 3, 1.0)
    }
    assert values[1 / 3] == pytest.approx(math.log(2) - 0.5 * math.log(2 * math.pi * math.e / 3), abs=1e-3)
    assert 0 > values[1 / 3] > max(values[0.1], values[1.0])


@pytest.mark.parametrize("learn_sigma", [False, True])
def test_mutual_information_sums_its_parts(learn_sigma: bool) -> None:
    module = on_meta(**CODES, network="celeba", learn_sigma=learn_sigma)
    c = Codes(torch.eye(3)[torch.tensor([[0, 1], [2, 2]])], torch.tensor([[0.3, 0.1], [-0.4, 0.9]]))
    q = Codes(torch.randn(2, 2, 3), torch.randn(2, 2), torch.full((2, 2), 0.8))
    parts = module.mutual_information(c, q)
    categorical = categorical_information(q.categorical, c.categorical)
    log_variance = torch.full((2, 2), 0.8 if learn_sigma else 0.0)
    continuous = continuous_information(q.continuous, log_variance, c.continuous)
    torch.testing.assert_close(parts["mutual_information_categorical"], categorical)
    torch.testing.assert_close(parts["mutual_information"], categorical + continuous)


# Equation 6.


def plain_losses(module: InfoGAN, x: Tensor, z: Tensor, *, weight: float) -> tuple[Tensor, Tensor]:
    """Both losses by probabilities and logarithms, image by image."""
    layout = module.layout
    fake = module.G(z)
    features = module.D.trunk(fake)
    p, real = torch.sigmoid(module.D.head(features)), torch.sigmoid(module.D.head(module.D.trunk(x)))
    outputs, information = module.D.Q(features), torch.zeros(())
    for latent, output in zip(z, outputs, strict=True):
        for m in range(layout.codes):
            begin = m * layout.categories
            q = output[begin : begin + layout.categories].softmax(0)
            category = int(latent[layout.noise + begin :][: layout.categories].argmax())
            information = information + math.log(layout.categories) + q[category].log()
        for i in range(layout.continuous):
            mean = output[layout.codes * layout.categories + i]
            c = latent[layout.noise + layout.codes * layout.categories + i]
            density = torch.exp(-0.5 * (c - mean) ** 2) / math.sqrt(2 * math.pi)
            information = information + math.log(2) + density.log()
    information = information / len(z)
    loss_D = -(real.log().mean() + (1 - p).log().mean()) - weight * information
    return loss_D, -p.log().mean() - weight * information


def stream(module: InfoGAN, n: int, *, draws: int = 1) -> list[Tensor]:
    """The next latents of the module's stream, which stays where it is."""
    generator = torch.Generator()
    generator.set_state(module.latent_generator.get_state())
    return [module.latents(n, generator=generator) for _ in range(draws)]


@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_losses_and_gradients_against_plain_autograd(weight: float) -> None:
    module = small(information_weight=weight)
    spread_weights(module)
    x = torch.rand(5, 1, 16, 16) * 2 - 1
    for player, loss, which in ((module.D, module.discriminator_loss, 0), (module.G, module.generator_loss, 1)):
        (z,) = stream(module, 5)
        value, expected = loss(x, None), plain_losses(module, x, z, weight=weight)[which]
        assert value.item() == pytest.approx(expected.item(), rel=1e-4)
        without = plain_losses(module, x, z, weight=0)[which]
        assert abs(without.item() - value.item()) > 0.05  # the term is there to be seen
        parameters = [p for name, p in player.named_parameters() if not is_idle(name, player)]
        gradients = torch.autograd.grad(value, parameters)
        for a, b in zip(gradients, torch.autograd.grad(expected, parameters), strict=True):
            assert b.norm() > 1e-6
            assert (a - b).norm() < 1e-3 * b.norm()


def is_idle(name: str, player: nn.Module) -> bool:
    """Biases that a BatchNorm takes away again."""
    modules = dict(player.named_modules())
    parent, _, kind = name.rpartition(".")
    container, _, index = parent.rpartition(".")
    if kind != "bias" or not index.isdigit():
        return False
    after = modules.get(f"{container}.{int(index) + 1}".lstrip("."))
    return isinstance(after, nn.modules.batchnorm._BatchNorm)


def test_lambda_scales_the_term_in_both_losses() -> None:
    x, values = torch.zeros(4, 1, 16, 16), []
    for weight in (0.0, 1.0, 2.5):
        module = small(information_weight=weight)
        spread_weights_alike(module)
        values.append([module.discriminator_loss(x, None).item(), module.generator_loss(x, None).item()])
    for none, one, more in zip(*values, strict=True):
        assert abs(none - one) > 0.1
        assert none - more == pytest.approx(2.5 * (none - one), rel=1e-3)


def spread_weights_alike(module: InfoGAN) -> None:
    torch.manual_seed(7)
    spread_weights(module)
    module.latent_generator.manual_seed(7)


def test_hand_values_where_d_is_one_half() -> None:
    """D = 1/2, categorical part 0 (uniform Q), means 0: what is left is the squares of the continuous codes."""
    module = small()
    for p in module.D.parameters():
        nn.init.zeros_(p)
    for loss, expected in ((module.discriminator_loss, 2 * math.log(2)), (module.generator_loss, math.log(2))):
        (z,) = stream(module, 6)
        information = 2 * math.log(2) - math.log(2 * math.pi) - 0.5 * z[:, -2:].square().sum(1).mean().item()
        assert loss(torch.zeros(6, 1, 16, 16), None).item() == pytest.approx(expected - information, rel=1e-5)
    assert module.extra["mutual_information_categorical"].item() == pytest.approx(0, abs=1e-6)


def test_information_reaches_g_through_its_images() -> None:
    module = small()
    spread_weights(module)
    nn.init.zeros_(module.D.head.weight)  # the game itself gives no gradient
    gradients = torch.autograd.grad(module.generator_loss(torch.zeros(4, 1, 16, 16), None), list(module.G.parameters()))
    assert sum(float(g.norm()) for g in gradients) > 1e-4


def test_q_sees_no_real_images() -> None:
    module, seen = small(), []
    module.D.Q.register_forward_hook(lambda layer, inputs, output: seen.append(len(output)))
    module.discriminator_loss(torch.zeros(4, 1, 16, 16), None)
    module.generator_loss(torch.zeros(4, 1, 16, 16), None)
    assert seen == [4, 4]


def test_the_control_is_a_plain_gan_with_an_onlooker() -> None:
    x, gradients = torch.rand(5, 1, 16, 16), {}
    for name, settings in {"control": {"maximise_information": False}, "plain": {"information_weight": 0.0}}.items():
        module = small(**settings)
        spread_weights_alike(module)
        loss_D = module.discriminator_loss(x, None)
        parts = [module.D.trunk, module.D.head, module.D.Q]
        for part, net in zip(("trunk", "head", "Q"), parts, strict=True):
            gradient = torch.autograd.grad(loss_D, list(net.parameters()), retain_graph=True)
            gradients[name, part] = torch.cat([g.flatten() for g in gradient])
        gradient = torch.autograd.grad(module.generator_loss(x, None), list(module.G.parameters()))
        gradients[name, "G"] = torch.cat([g.flatten() for g in gradient])
    for part in ("trunk", "head", "G"):
        torch.testing.assert_close(gradients["control", part], gradients["plain", part], msg=part)
    assert gradients["control", "Q"].norm() > 1e-3
    assert not gradients["plain", "Q"].any()


# Training.


class Watched(InfoGAN):
    """Keeps weights and gradients after each player's update, and the latents drawn."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.steps: list[tuple[str, dict[str, Tensor], dict[str, Tensor | None]]] = []
        self.drawn: list[Tensor] = []

    def sample_z(self, n: int) -> Tensor:
        self.drawn.append(super().sample_z(n))
        return self.drawn[-1]

    def keep(self, player: str) -> None:
        weights = {name: p.detach().clone() for name, p in self.named_parameters()}
        gradients = {name: None if p.grad is None else p.grad.clone() for name, p in self.named_parameters()}
        self.steps.append((player, weights, gradients))

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        self.keep("start")
        (self.expected,) = [stream(self, 8, draws=2)]

    def after_discriminator_update(self) -> None:
        self.keep("D")

    def after_generator_update(self) -> None:
        self.keep("G")


def test_one_step_moves_trunk_and_q_with_d_and_g_alone_afterwards() -> None:
    torch.manual_seed(0)
    module = Watched(network="celeba", resolution=16, channels=1, **CODES)
    fit(module, data=Images16(), images=8)
    (_, start, _), (first, after_D, gradients_D), (second, after_G, gradients_G) = module.steps
    assert (first, second) == ("D", "G")
    for name in start:
        ours = name.startswith("D.")
        assert torch.equal(start[name], after_D[name]) is not ours, name
        assert torch.equal(after_D[name], after_G[name]) is ours, name
        if ours:  # G's step adds nothing to the gradients of trunk, D and Q
            assert torch.equal(gradients_D[name], gradients_G[name])
        else:
            assert gradients_D[name] is None
    assert gradients_D["D.Q.3.weight"].norm() > 1e-4
    assert [len(z) for z in module.drawn] == [8, 8]  # fresh latents for G
    for z, expected in zip(module.drawn, module.expected, strict=True):
        torch.testing.assert_close(z, expected)


def test_two_optimizers_with_the_papers_settings() -> None:
    module = on_meta()
    optimizer_D, optimizer_G = module.configure_optimizers()
    for optimizer, net, lr in ((optimizer_D, module.D, 2e-4), (optimizer_G, module.G, 1e-3)):
        (group,) = optimizer.param_groups
        assert isinstance(optimizer, torch.optim.Adam)
        assert (group["lr"], group["betas"]) == (lr, (0.5, 0.999))
        assert {id(p) for p in group["params"]} == {id(p) for p in net.parameters()}


def test_information_is_reported_beside_the_losses() -> None:
    module = small()
    module.log_every = 1
    fit(module, data=Images16(), images=16)
    assert set(module.latest) == {
        "loss_discriminator",
        "loss_generator",
        "mutual_information",
        "mutual_information_categorical",
        *DIAGNOSTICS,
    }


def test_information_rises() -> None:
    """From nothing to more than a third of its maximum, ln 3, within forty updates of each player."""
    module = small(codes=1, continuous=0)
    recorder = Recorder(lambda m: m.extra["mutual_information_categorical"].item())
    fit(module, recorder, data=Images16(), images=8 * 40)
    assert abs(recorder.seen[0]) < 0.2
    assert sum(recorder.seen[-10:]) / 10 > math.log(3) / 3


# Scales.


def test_scale_of_both_networks() -> None:
    for settings, shape in (({}, (28, 28)), ({"network": "celeba", "channels": 1, "resolution": 16}, (16, 16))):
        module = on_meta(**settings)
        pixels = torch.arange(256, dtype=torch.uint8).repeat(4)[: shape[0] ** 2].view(1, 1, *shape)
        x = module.preprocess(pixels)
        torch.testing.assert_close(x, pixels.float() / 255 if not settings else pixels.float() / 127.5 - 1)
        module.G = nn.Identity()
        torch.testing.assert_close(module.generate(x, None), pixels.float() / 127.5 - 1)


# Hyperparameters.


def test_hyperparameters_rebuild_the_module() -> None:
    module = small()
    again = InfoGAN(**dict(module.hparams))
    again.load_state_dict(module.state_dict())
    torch.testing.assert_close(again.sample(3, seed=0), module.sample(3, seed=0))
