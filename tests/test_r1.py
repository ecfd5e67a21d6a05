"""R1 against closed forms, in both directions."""

import pytest
import torch
from torch import Tensor, nn

from zoo.nn.losses import r1_penalty


def test_a_linear_discriminator_is_penalised_by_its_squared_norm() -> None:
    a = torch.tensor([[[1.0, -2.0], [0.5, 3.0]]])  # [1, 2, 2], squared norm 14.25
    x = torch.randn(5, 1, 2, 2)
    assert r1_penalty(lambda x: (x * a).sum((1, 2, 3)), x).item() == pytest.approx(14.25)
    assert r1_penalty(lambda x: (x * a).sum((1, 2, 3))[:, None] + 7, x).item() == pytest.approx(14.25)


def test_it_sums_over_pixels_and_averages_over_images() -> None:
    """D(x) = sum x^2 / 2 has the gradient x: E ||x||^2."""
    x = torch.randn(6, 3, 4, 4)
    assert r1_penalty(lambda x: x.square().sum((1, 2, 3)) / 2, x).item() == pytest.approx(
        x.square().sum().item() / 6, rel=1e-5
    )


def test_its_gradient_reaches_the_discriminator_and_not_the_images() -> None:
    """For D(x) = w x the penalty is w^2: its derivative is 2 w."""
    w = torch.tensor(1.5, requires_grad=True)
    x = torch.randn(4, 1, requires_grad=True)
    r1_penalty(lambda x: w * x, x).backward()
    assert w.grad is not None
    assert w.grad.item() == pytest.approx(3.0)
    assert x.grad is None


def test_it_agrees_with_finite_differences() -> None:
    torch.manual_seed(0)
    D = nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.Softplus(), nn.Linear(8, 1)).double()
    x = torch.randn(3, 1, 2, 2, dtype=torch.float64)
    total, step = 0.0, 1e-5
    for i in range(3):
        for pixel in range(4):
            shift = torch.zeros(4, dtype=torch.float64)
            shift[pixel] = step
            up, down = D(x[i : i + 1] + shift.view(1, 1, 2, 2)), D(x[i : i + 1] - shift.view(1, 1, 2, 2))
            total += ((up - down) / (2 * step)).item() ** 2
    assert r1_penalty(lambda x: D(x.double()), x).item() == pytest.approx(total / 3, rel=1e-5)


def test_it_runs_in_float32_under_autocast() -> None:
    seen: list[torch.dtype] = []
    layer = nn.Linear(8, 1)

    def D(x: Tensor) -> Tensor:
        out: Tensor = layer(x)
        seen.append(out.dtype)
        return out

    with torch.autocast("cpu", dtype=torch.bfloat16):
        penalty = r1_penalty(D, torch.randn(4, 8).bfloat16())
    assert seen == [torch.float32]
    assert penalty.item() == pytest.approx(layer.weight.square().sum().item(), rel=1e-6)


def test_a_compiled_discriminator_is_run_eagerly() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1))
    x = torch.randn(3, 4)
    eager = r1_penalty(net, x)
    net.compile(backend="eager")
    compiled = r1_penalty(net, x)
    compiled.backward()
    assert torch.equal(eager, compiled)
    assert net[0].weight.grad is not None
