"""Shared layers against slow loops."""

import copy

import pytest
import torch
from torch import nn

from zoo.nn import layers
from zoo.nn.layers import (
    DownConv2d,
    EqualizedConv2d,
    EqualizedLinear,
    Maxout,
    MinibatchStddev,
    PixelNorm,
    UpConv2d,
    downscale2d,
    fade,
    feature_maps,
    resolutions,
    uniform_,
    update_average,
    upscale2d,
)


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


@pytest.mark.parametrize(("gain", "multiplier"), [(2**0.5, 1.0), (1.0, 1.0), (2**0.5, 0.01)])
def test_equalized_linear_against_a_slow_loop(gain: float, multiplier: float) -> None:
    layer = EqualizedLinear(3, 2, gain=gain, lr_multiplier=multiplier)
    nn.init.normal_(layer.bias)
    x, weight, bias = torch.randn(4, 3), layer.weight.detach(), layer.bias.detach()
    expected = [
        [
            sum(float(row[i] * weight[o, i]) for i in range(3)) * gain / 3**0.5 * multiplier
            + float(bias[o]) * multiplier
            for o in range(2)
        ]
        for row in x
    ]
    torch.testing.assert_close(layer(x).detach(), torch.tensor(expected))


@pytest.mark.parametrize(("kernel", "gain"), [(3, 2**0.5), (1, 1.0)])
def test_equalized_convolution_against_a_slow_loop(kernel: int, gain: float) -> None:
    layer = EqualizedConv2d(2, 3, kernel, gain=gain)
    nn.init.normal_(layer.bias)
    x, reach = torch.randn(1, 2, 4, 5), kernel // 2
    weight, bias = layer.weight.detach(), layer.bias.detach()
    expected = torch.zeros(1, 3, 4, 5)
    for o in range(3):
        for row in range(4):
            for column in range(5):
                total = 0.0
                for i in range(2):
                    for a in range(-reach, reach + 1):
                        for b in range(-reach, reach + 1):
                            if 0 <= row + a < 4 and 0 <= column + b < 5:
                                total += float(weight[o, i, a + reach, b + reach] * x[0, i, row + a, column + b])
                expected[0, o, row, column] = total * gain / (2 * kernel**2) ** 0.5 + float(bias[o])
    torch.testing.assert_close(layer(x).detach(), expected)


def test_equalized_weights_at_the_start() -> None:
    linear, slow, convolution = (
        EqualizedLinear(200, 300),
        EqualizedLinear(200, 300, lr_multiplier=0.01),
        EqualizedConv2d(60, 110, 3),
    )
    for layer, std in ((linear, 1), (slow, 100), (convolution, 1)):
        assert layer.weight.mean().item() == pytest.approx(0, abs=0.02 * std)
        assert layer.weight.std().item() == pytest.approx(std, rel=0.02)
        assert not layer.bias.any()
    x = torch.randn(500, 200)  # He's gain: a ReLU halves the mean square, sqrt(2) doubles it
    for layer in (linear, slow):
        assert layer(x).square().mean().item() == pytest.approx(2, rel=0.05)
    assert EqualizedLinear(2, 2, bias=False).bias is None
    assert EqualizedConv2d(2, 2, 1, bias=False).bias is None
    with pytest.raises(ValueError, match="kernel=4 must be odd"):
        EqualizedConv2d(1, 1, 4)


def test_adam_moves_equalized_weights_by_the_same_share_of_their_range() -> None:
    for inputs in (4, 400):
        layer = EqualizedLinear(inputs, 2, lr_multiplier=0.1)
        before = (layer.weight * layer.scale).clone()
        optimizer = torch.optim.Adam(layer.parameters(), lr=1e-3, betas=(0.0, 0.99))
        layer(torch.ones(1, inputs)).sum().backward()
        optimizer.step()
        moved = (layer.weight * layer.scale - before).abs()
        assert moved.mean().item() == pytest.approx(1e-3 * 2**0.5 / inputs**0.5 * 0.1, rel=0.01)


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4, 5)])
def test_pixel_norm_against_a_slow_loop(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape) * 7
    flat = x.flatten(2) if x.dim() == 4 else x[:, :, None]
    expected = flat.clone()
    for n in range(shape[0]):
        for pixel in range(flat.shape[2]):
            squares = [float(flat[n, c, pixel]) ** 2 for c in range(shape[1])]
            expected[n, :, pixel] /= (sum(squares) / len(squares) + 1e-8) ** 0.5
    torch.testing.assert_close(PixelNorm()(x), expected.view(shape))
    assert not PixelNorm()(torch.zeros(shape)).any()
    assert PixelNorm(eps=1.0)(torch.ones(1, 5)).tolist()[0] == pytest.approx([0.5**0.5] * 5)


@pytest.mark.parametrize(("n", "group_size"), [(8, 4), (6, 2), (3, 4), (6, None), (1, 4)])
def test_minibatch_stddev_against_a_slow_loop(n: int, group_size: int | None) -> None:
    """Group m holds the images m, m + M, m + 2M, ... and not neighbours."""
    x = torch.randn(n, 3, 2, 2) * torch.arange(1, n + 1).view(-1, 1, 1, 1)
    out = MinibatchStddev(group_size)(x)
    assert out.shape == (n, 4, 2, 2)
    assert torch.equal(out[:, :3], x)
    size = n if group_size is None else min(group_size, n)
    groups = n // size
    for i in range(n):
        members = [x[j].flatten() for j in range(n) if j % groups == i % groups]
        assert len(members) == size
        deviations = []
        for feature in range(12):
            values = [float(member[feature]) for member in members]
            mean = sum(values) / size
            deviations.append((sum((v - mean) ** 2 for v in values) / size + 1e-8) ** 0.5)
        torch.testing.assert_close(out[i, 3], torch.full((2, 2), sum(deviations) / 12))


def test_minibatch_stddev_of_equal_images_and_of_uneven_groups() -> None:
    out = MinibatchStddev(4)(torch.ones(4, 2, 2, 2))
    torch.testing.assert_close(out[:, 2], torch.full((4, 2, 2), 1e-4))
    with pytest.raises(ValueError, match="batch of 6 images on this device cannot be cut into groups of 4"):
        MinibatchStddev(4)(torch.ones(6, 2, 2, 2))
    with pytest.raises(ValueError, match="group_size=0"):
        MinibatchStddev(0)


def test_upscaling_and_downscaling_against_slow_loops() -> None:
    x = torch.randn(2, 3, 4, 6)
    up, down = upscale2d(x), downscale2d(x)
    assert up.shape == (2, 3, 8, 12)
    assert down.shape == (2, 3, 2, 3)
    for row in range(8):
        for column in range(12):
            assert torch.equal(up[:, :, row, column], x[:, :, row // 2, column // 2])
    for row in range(2):
        for column in range(3):
            block = [x[:, :, 2 * row + a, 2 * column + b] for a in (0, 1) for b in (0, 1)]
            torch.testing.assert_close(down[:, :, row, column], sum(block) / 4)
    torch.testing.assert_close(downscale2d(up), x)


@pytest.mark.parametrize(("kind", "kernel"), [(UpConv2d, 3), (UpConv2d, 5), (DownConv2d, 3), (DownConv2d, 1)])
def test_fused_convolutions_against_the_plain_form(
    monkeypatch: pytest.MonkeyPatch, kind: type[EqualizedConv2d], kernel: int
) -> None:
    """Values, gradients and the second derivatives that R1 takes; with learnt biases."""
    layer = kind(3, 2, kernel, gain=1.3).double()
    nn.init.normal_(layer.bias)
    x = torch.randn(2, 3, 6, 8, dtype=torch.double, requires_grad=True)

    def results() -> list[torch.Tensor]:
        y = layer(x)
        (slope,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        return [y, slope, *torch.autograd.grad(slope.square().sum(), [x, *layer.parameters()])]

    def plain(z: torch.Tensor) -> torch.Tensor:
        return nn.functional.conv2d(z, layer.weight * layer.scale, layer.bias, padding=kernel // 2)

    by_hand = plain(upscale2d(x)) if kind is UpConv2d else downscale2d(plain(x))
    both = []
    for fused_from in (1000, 4):
        monkeypatch.setattr(layers, "FUSED_FROM", fused_from)
        both.append(results())
        torch.testing.assert_close(both[-1][0], by_hand)
    for a, b in zip(*both, strict=True):
        torch.testing.assert_close(a, b)


def test_the_form_of_a_convolution_follows_the_larger_side(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    monkeypatch.setattr(layers, "shifted_sum", lambda weight, f=layers.shifted_sum: taken.append(1) or f(weight))
    for layer, side, fused in [(UpConv2d, 8, 0), (UpConv2d, 16, 1), (DownConv2d, 16, 0), (DownConv2d, 32, 1)]:
        taken.clear()
        layer(1, 1, 3)(torch.randn(1, 1, side, side))
        assert len(taken) == fused, (layer, side)


def test_fade_is_exact_at_its_ends() -> None:
    old, new = torch.randn(1000), torch.randn(1000) * 1e6
    assert torch.equal(fade(old, new, alpha=0.0), old)
    assert torch.equal(fade(old, new, alpha=1.0), new)
    for alpha in (0.25, 0.5, 0.9):
        torch.testing.assert_close(fade(old, new, alpha=alpha), (1 - alpha) * old + alpha * new)


def test_feature_maps_of_the_papers_networks() -> None:
    def maps(base: int, most: int, final: int) -> list[int]:
        return [feature_maps(side, fmap_base=base, fmap_max=most) for side in resolutions(final)]

    assert maps(8192, 512, 1024) == [512, 512, 512, 512, 256, 128, 64, 32, 16]
    assert maps(2048, 512, 128) == [512, 512, 256, 128, 64, 32]
    assert maps(4096, 128, 32) == [128, 128, 128, 128]
    assert maps(8, 512, 64) == [4, 2, 1, 1, 1]  # never none
    assert feature_maps(2, fmap_base=256, fmap_max=512) == 256


def test_resolutions() -> None:
    assert resolutions(4) == [4]
    assert resolutions(64, start=8) == [8, 16, 32, 64]
    for final, start, words in [
        (48, 4, "resolution=48"),
        (2048, 4, "2048"),
        (2, 4, "resolution=2"),
        (64, 6, "start=6"),
    ]:
        with pytest.raises(ValueError, match=f"{words}.* must be a power of two"):
            resolutions(final, start=start)
    with pytest.raises(ValueError, match="start=16 is above resolution=8"):
        resolutions(8, start=16)
