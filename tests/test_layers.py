"""Shared layers against slow loops."""

import copy

import pytest
import torch
from torch import nn

from zoo.layers import Maxout, uniform_, update_average


def test_maxout_against_a_slow_loop() -> None:
    layer = Maxout(3, 4, pieces=5)
    nn.init.normal_(layer.linear.bias)
    x = torch.randn(6, 3)
    weight, bias = layer.linear.weight.detach(), layer.linear.bias.detach()
    expected = torch.tensor(
        [
            [
                max(float(weight[5 * unit + piece] @ row + bias[5 * unit + piece]) for piece in range(5))
                for unit in range(4)
            ]
            for row in x
        ]
    )
    torch.testing.assert_close(layer(x).detach(), expected)
    assert sum(p.numel() for p in layer.parameters()) == 4 * 5 * (3 + 1)


def test_maxout_sends_the_gradient_to_the_winning_piece_alone() -> None:
    layer = Maxout(2, 1, pieces=3)
    with torch.no_grad():
        layer.linear.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]]))
        layer.linear.bias.zero_()
    layer(torch.tensor([[0.5, 2.0]])).sum().backward()
    assert layer.linear.weight.grad.tolist() == [[0, 0], [0.5, 2], [0, 0]]


def test_uniform_reaches_every_layer_and_zeroes_biases() -> None:
    net = nn.Sequential(
        nn.Linear(100, 50),
        nn.Sequential(nn.Conv2d(20, 20, 5), nn.ConvTranspose2d(20, 20, 5, bias=False)),
        Maxout(50, 20, pieces=5),
        nn.BatchNorm2d(20),
    )
    uniform_(net, bound=0.3)
    for layer in (net[0], *net[1], net[2].linear):
        weight = layer.weight.detach()
        assert 0.29 < weight.max() <= 0.3
        assert -0.3 <= weight.min() < -0.29
        assert weight.std().item() == pytest.approx(0.3 / 3**0.5, rel=0.05)
        assert layer.bias is None or not layer.bias.any()
    assert (net[3].weight == 1).all()


def networks() -> tuple[nn.Module, nn.Module]:
    """Two networks of one architecture with different weights and BatchNorm statistics."""
    first = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    second = copy.deepcopy(first)
    with torch.no_grad():
        for parameter in second.parameters():
            parameter.add_(torch.randn_like(parameter))
    second(torch.randn(16, 3) + 5)
    return first, second


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9, 1.0])
def test_average_of_parameters(beta: float) -> None:
    average, G = networks()
    before = [p.clone() for p in average.parameters()]
    raw = [p.clone() for p in G.parameters()]
    update_average(average, G, beta=beta)
    for new, old, parameter, unchanged in zip(average.parameters(), before, G.parameters(), raw, strict=True):
        torch.testing.assert_close(new, beta * old + (1 - beta) * parameter)
        assert torch.equal(parameter, unchanged)  # the trained network itself does not move
        assert new.grad_fn is None
    if beta in (0.0, 1.0):
        exact = raw if beta == 0 else before
        assert all(torch.equal(new, old) for new, old in zip(average.parameters(), exact, strict=True))


def test_batchnorm_statistics_are_copied_not_averaged() -> None:
    average, G = networks()
    assert not torch.equal(average[1].running_mean, G[1].running_mean)
    update_average(average, G, beta=1.0)  # parameters stay, buffers do not
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        assert torch.equal(getattr(average[1], name), getattr(G[1], name))
    assert average[1].running_mean is not G[1].running_mean
    assert G[1].num_batches_tracked == 1


def test_average_of_another_architecture_is_refused() -> None:
    with pytest.raises(ValueError):
        update_average(nn.Sequential(nn.Linear(3, 4)), nn.Sequential(nn.Linear(3, 4, bias=False)), beta=0.5)
