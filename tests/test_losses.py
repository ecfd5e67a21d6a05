"""Losses and the gradient penalty against closed forms worked out with `math`."""

import math

import pytest
import torch
from torch import Tensor, nn

from zoo.nn.layers import MinibatchStddev
from zoo.nn.losses import bce_discriminator_loss, gradient_penalty, non_saturating_generator_loss, r1_penalty


def sigmoid(t: float) -> float:
    return 1 / (1 + math.exp(-t))


def test_an_undecided_discriminator_costs_two_ln_two() -> None:
    half = torch.zeros(5, 1)  # D = 1/2
    assert bce_discriminator_loss(half, half).item() == pytest.approx(2 * math.log(2))
    assert non_saturating_generator_loss(half).item() == pytest.approx(math.log(2))


@pytest.mark.parametrize(("real", "fake"), [(0.7, -1.3), (-2.0, 0.4), (3.0, 3.0)])
def test_losses_of_single_logits(real: float, fake: float) -> None:
    loss_D = bce_discriminator_loss(torch.tensor([real]), torch.tensor([fake]))
    assert loss_D.item() == pytest.approx(-math.log(sigmoid(real)) - math.log(1 - sigmoid(fake)), rel=1e-5)
    loss_G = non_saturating_generator_loss(torch.tensor([fake]))
    assert loss_G.item() == pytest.approx(-math.log(sigmoid(fake)), rel=1e-5)


def test_losses_are_means_over_each_batch() -> None:
    real, fake = [0.1, -0.8, 2.0], [1.5, -0.3]  # unequal sizes: a mean over the joined batch would differ
    loss = bce_discriminator_loss(torch.tensor(real), torch.tensor(fake))
    expected = sum(-math.log(sigmoid(t)) for t in real) / 3 + sum(-math.log(1 - sigmoid(t)) for t in fake) / 2
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_losses_stay_finite_at_logits_whose_sigmoid_rounds_to_one() -> None:
    assert bce_discriminator_loss(torch.tensor([-200.0]), torch.tensor([300.0])).item() == pytest.approx(500)
    assert non_saturating_generator_loss(torch.tensor([-200.0])).item() == pytest.approx(200)


def linear_critic(norm: float, *, column: bool = False) -> tuple[nn.Parameter, nn.Module]:
    """x -> <w, x> on [N, 2, 3, 3] with ||w|| = norm."""
    direction = torch.randn(18, generator=torch.Generator().manual_seed(1))
    critic = nn.Sequential(nn.Flatten(), nn.Linear(18, 1), nn.Identity() if column else nn.Flatten(0))
    weight = nn.Parameter((norm * direction / direction.norm())[None])
    critic[1].weight = weight
    return weight, critic


def half_square(x: Tensor) -> Tensor:
    """A critic whose gradient at x is x itself."""
    return x.square().flatten(1).sum(1) / 2


@pytest.mark.parametrize("column", [False, True])
@pytest.mark.parametrize("norm", [0.25, 1.0, 3.0])
def test_penalty_of_a_linear_critic_of_norm_n(norm: float, column: bool) -> None:
    weight, critic = linear_critic(norm, column=column)
    x, fake = torch.randn(6, 2, 3, 3), torch.randn(6, 2, 3, 3)
    for epsilon in (None, torch.zeros(6), torch.rand(6)):
        penalty = gradient_penalty(critic, x, fake, epsilon=epsilon)
        assert penalty.item() == pytest.approx((norm - 1) ** 2, abs=1e-5)
    assert gradient_penalty(critic, x, fake, target=0.0).item() == pytest.approx(norm**2, rel=1e-5)
    gradient_penalty(critic, x, fake).backward()
    expected = 2 * (norm - 1) * weight.detach() / norm  # d(n - 1)^2 / dw
    torch.testing.assert_close(weight.grad, expected, atol=1e-5, rtol=1e-4)


def test_penalty_at_the_mixed_point_of_each_sample() -> None:
    x, fake = torch.randn(4, 1, 2, 2), 3 * torch.randn(4, 1, 2, 2)
    epsilon = [0.0, 0.2, 0.7, 1.0]
    penalty = gradient_penalty(half_square, x, fake, epsilon=torch.tensor(epsilon))
    expected = 0.0
    for i, e in enumerate(epsilon):
        point = [e * a + (1 - e) * b for a, b in zip(x[i].flatten().tolist(), fake[i].flatten().tolist(), strict=True)]
        expected += (math.sqrt(sum(value**2 for value in point)) - 1) ** 2 / 4
    assert penalty.item() == pytest.approx(expected, rel=1e-5)
    batch_wide = gradient_penalty(half_square, x, fake, epsilon=torch.full((4,), 0.7))
    assert penalty.item() != pytest.approx(batch_wide.item(), rel=1e-2)


def test_epsilon_is_drawn_once_for_each_sample() -> None:
    seen: list[Tensor] = []

    def critic(x: Tensor) -> Tensor:
        seen.append(x.detach().clone())
        return half_square(x)

    ones, zeros = torch.ones(500, 1, 2, 2), torch.zeros(500, 1, 2, 2)  # x_hat is epsilon itself
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        gradient_penalty(critic, ones, zeros)
    epsilon = seen[0].flatten(1)
    assert (epsilon == epsilon[:, :1]).all()  # the same for every pixel of an image
    assert len(epsilon[:, 0].unique()) > 490  # another for every image
    assert 0 <= epsilon.min() < 0.02
    assert 0.98 < epsilon.max() <= 1
    assert epsilon[:, 0].mean().item() == pytest.approx(0.5, abs=0.05)
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], seen[2])


def test_no_gradient_flows_into_the_fakes() -> None:
    fake = torch.randn(3, 2, 3, 3, requires_grad=True)
    _, critic = linear_critic(2.0)
    gradient_penalty(critic, torch.randn(3, 2, 3, 3), fake).backward()
    assert fake.grad is None


def test_penalty_of_a_flat_critic_is_differentiable() -> None:
    weight, critic = linear_critic(0.0)  # where ||w|| has a kink
    weight.data.zero_()
    penalty = gradient_penalty(critic, torch.randn(3, 2, 3, 3), torch.randn(3, 2, 3, 3))
    penalty.backward()
    assert penalty.item() == pytest.approx(1)
    assert weight.grad is not None
    assert weight.grad.isfinite().all()


def test_penalty_runs_in_float32_under_autocast() -> None:
    _, critic = linear_critic(1.7)
    dtypes: list[torch.dtype] = []
    critic[1].register_forward_hook(lambda module, inputs, output: dtypes.append(output.dtype))
    x, fake = torch.randn(6, 2, 3, 3), torch.randn(6, 2, 3, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        critic(x)
        penalty = gradient_penalty(critic, x.bfloat16(), fake.bfloat16())
    assert dtypes == [torch.bfloat16, torch.float32]
    assert penalty.dtype is torch.float32
    assert penalty.item() == pytest.approx(0.49, abs=1e-5)  # bfloat16 would be off by 1e-2


def test_penalties_of_float64_are_float64() -> None:
    critic = nn.Sequential(nn.Conv2d(1, 2, 3), MinibatchStddev(2), nn.Flatten(), nn.Linear(12, 1)).double()
    x, fake = torch.randn(2, 4, 1, 4, 4, dtype=torch.float64)
    for penalty in (gradient_penalty(critic, x, fake), r1_penalty(critic, x)):
        assert penalty.dtype is torch.float64
        penalty.backward()


def test_penalty_runs_eagerly_with_a_compiled_critic() -> None:
    """A compiled graph cannot be differentiated twice: aot_eager, which needs no compiler, refuses as inductor does."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(18, 8), nn.Softplus(), nn.Linear(8, 1))
    x, fake, epsilon = torch.randn(4, 2, 3, 3), torch.randn(4, 2, 3, 3), torch.rand(4)
    eager = torch.autograd.grad(gradient_penalty(net, x, fake, epsilon=epsilon), net[1].weight)
    net.compile(backend="aot_eager")
    compiled = torch.autograd.grad(gradient_penalty(net, x, fake, epsilon=epsilon), net[1].weight)
    assert torch.equal(eager[0], compiled[0])

    def plain() -> None:
        point = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(net(point).sum(), point, create_graph=True)
        gradient.sum().backward()

    with pytest.raises(RuntimeError, match=r"double backward|create_graph=False"):  # the trap is still there
        plain()
