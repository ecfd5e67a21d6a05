"""WGAN-GP: the loss against hand values, AC-GAN's weights, schedules, scales, networks of the authors' sizes."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from toys import Recorder, fit, same, state_of

from zoo.adversarial import in_eval_mode
from zoo.callbacks import CounterCheckpoint
from zoo.data import ImageArray, ImageDataModule
from zoo.data.toy import ToyPoints
from zoo.layers import SameConv2d, SameConvTranspose2d
from zoo.losses import gradient_penalty
from zoo.metrics.quantize import to_uint8
from zoo.models.wgan_gp import WGANGP, ClassBatchNorm2d, CriticBlock, UpBlock, convolution, deconvolution, linear


class Colour32(ImageDataModule):
    """Random 32x32 images with ten labels, three batches an epoch."""

    name = "Colour32"
    labelled_classes = 10
    native_resolution = 32

    def __init__(self, *, train_images: int | None = None) -> None:
        super().__init__(batch_size=2, train_images=train_images)
        images = torch.randint(256, (6, 3, 32, 32), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
        self.array = ImageArray(images, torch.arange(6), None, "0" * 64)

    def _load(self, name: str) -> ImageArray:
        return self.array


def tiny(network: Any = "toy", **settings: Any) -> WGANGP:
    torch.manual_seed(0)
    return WGANGP(network=network, **{"width": 8 if network == "toy" else 4, **settings})


def count(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def plane(n: int = 6) -> ToyPoints:
    return ToyPoints(batch_size=n)


# The penalty.


@pytest.mark.parametrize(("norm", "expected"), [(0.25, 0.0), (1.0, 0.0), (3.0, 4.0)])
def test_the_one_sided_penalty_is_zero_up_to_norm_one(norm: float, expected: float) -> None:
    critic = lambda x: norm * x[:, 0]  # noqa: E731 - gradient (norm, 0)
    x, fake = torch.randn(5, 2), torch.randn(5, 2)
    assert gradient_penalty(critic, x, fake, one_sided=True).item() == pytest.approx(expected, abs=1e-6)
    assert gradient_penalty(critic, x, fake).item() == pytest.approx((norm - 1) ** 2, abs=1e-6)


class Bowl(nn.Module):
    """D(x) = |x|^2 / 2, whose gradient is x."""

    def forward(self, x: Tensor) -> Tensor:
        return x.square().sum(1, keepdim=True) / 2


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
    assert module.beside["wasserstein_estimate"].item() == pytest.approx(6.0)
    assert module.beside["gradient_penalty"].item() == pytest.approx(penalty, rel=1e-5)
    assert module.generator_loss(x, None).item() == pytest.approx(-2.0)


def test_one_sided_reaches_the_loss() -> None:
    x = torch.randn(16, 2)
    losses = []
    for one_sided in (False, True):
        module = tiny(one_sided=one_sided, gp_weight=10.0)
        nn.init.zeros_(module.D[-1].weight)  # type: ignore[index]  # gradient 0
        losses.append(module.discriminator_loss(x, None).item())
    assert losses == pytest.approx([10.0, 0.0])


def test_no_gradient_of_the_critic_loss_reaches_the_generator_in_training() -> None:
    module = tiny(n_critic=100)
    before = [parameter.clone() for parameter in module.G.parameters()]
    fit(module, data=plane(), images=30)  # type: ignore[arg-type]
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
    module.samples = lambda z, y: (labels.append(y), torch.zeros(len(z), 3, 1, 1))[1]  # type: ignore[func-returns-value,method-assign,assignment]
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

    module.descend = spy  # type: ignore[method-assign,assignment]
    fit(module, data=plane(), images=6 * 10)  # type: ignore[arg-type]
    authors = [("D", 1e-3)] * 2
    for i in range(1, 5):
        rate = round(1e-3 * (1 - i / 4), 9)
        authors += [("G", rate), ("D", rate), ("D", rate)]
    assert rates == [*authors, ("G", 0.0)]


@pytest.mark.parametrize("stop", [3, 5, 8])
def test_a_resumed_run_on_points_is_the_uninterrupted_run(tmp_path: Path, stop: int) -> None:
    def run(folder: str, **settings: Any) -> None:
        module = tiny(n_critic=2, decay_steps=6)
        fit(module, CounterCheckpoint(tmp_path / folder), data=plane(), **settings)  # type: ignore[arg-type]

    run("whole", images=6 * 10)
    run("parts", images=6 * stop)
    run("parts", images=6 * 10, ckpt_path=tmp_path / "parts/last.ckpt")
    assert same(state_of(tmp_path / "whole/last.ckpt"), state_of(tmp_path / "parts/last.ckpt"))


def test_constants_of_the_scripts() -> None:
    with torch.device("meta"):
        found = {name: WGANGP(network=name) for name in ("toy", "mnist", "cifar10", "cifar10_resnet", "resnet64")}  # type: ignore[arg-type]
    constants = {
        n: (m.lr, m.betas, m.gp_weight, m.n_critic, m.generator_batch, m.decay_steps) for n, m in found.items()
    }
    assert constants == {
        "toy": (1e-4, (0.5, 0.9), 0.1, 5, 1, None),
        "mnist": (1e-4, (0.5, 0.9), 10.0, 5, 1, None),
        "cifar10": (1e-4, (0.5, 0.9), 10.0, 5, 1, None),
        "cifar10_resnet": (2e-4, (0.0, 0.9), 10.0, 5, 2, 100_000),
        "resnet64": (1e-4, (0.5, 0.9), 10.0, 5, 1, None),
    }
    for optimizer in found["cifar10_resnet"].configure_optimizers():
        assert (type(optimizer), optimizer.defaults["betas"]) == (torch.optim.Adam, (0.0, 0.9))


def test_one_generator_update_for_five_of_the_critic_over_epoch_ends() -> None:
    module = tiny("cifar10_resnet", num_classes=10, width=2)
    module.log_every = 5
    recorder = Recorder(lambda m: m.generator_steps)
    fit(module, recorder, data=Colour32(), images=2 * 10)  # type: ignore[arg-type]
    assert recorder.seen == [0, 0, 0, 0, 1, 1, 1, 1, 1, 2]
    expected = {"loss_discriminator", "loss_generator", "wasserstein_estimate", "gradient_penalty"}
    assert set(module.latest) == expected


def test_a_fixed_generator_never_moves_and_the_critic_sees_noisy_reals() -> None:
    module = tiny(fixed_generator=True)
    x = torch.zeros(4_000, 2) + 3
    fake = module.fakes(x, None)
    assert (fake - x).var(0).tolist() == pytest.approx([1, 1], rel=0.1)
    fit(module, data=plane(), images=6 * 12)  # type: ignore[arg-type]
    assert (module.discriminator_steps, module.generator_steps) == (12, 0)
    surface = module.critic_surface(side=5)
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
    module.samples = lambda z, y: ((levels.float() + 0.02 + 0.96 * torch.rand(levels.shape)) / 128) - 1  # type: ignore[method-assign,assignment]
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


# Networks.


@pytest.mark.parametrize(
    ("settings", "G", "D"),
    [
        ({"network": "mnist"}, 1_554_177, 1_030_145),
        ({"network": "cifar10"}, 5_179_907, 4_114_689),
        ({"network": "cifar10_resnet"}, 1_204_483, 1_053_825),
        ({"network": "cifar10_resnet", "num_classes": 10}, 1_218_307, 1_055_115),
        ({"network": "toy"}, 3 * 512 + 2 * 513 * 512 + 513 * 2, 3 * 512 + 2 * 513 * 512 + 513),
    ],
)
def test_parameter_counts(settings: Any, G: int, D: int) -> None:
    with torch.device("meta"):
        module = WGANGP(**settings)
    assert (count(module.G), count(module.D)) == (G, D)


def test_parameter_counts_of_the_64x64_resnet() -> None:
    with torch.device("meta"):
        module = WGANGP(network="resnet64")
        images = module.G(torch.empty(2, 128))
        assert images.shape == (2, 3, 64, 64)
        assert module.D(images).shape == (2, 1)
    ups = ((512, 512), (512, 256), (256, 128), (128, 64))
    G = 129 * 8192 + sum(9 * a * b + 9 * b * b + b + (a + 1) * b + 2 * (a + b) for a, b in ups) + 128 + 64 * 27 + 3
    downs = ((64, 128), (128, 256), (256, 512), (512, 512))
    D = 27 * 64 + 64 + sum(9 * a * a + 9 * a * b + b + (a + 1) * b + 4 * a for a, b in downs) + 8193
    assert (count(module.G), count(module.D)) == (G, D)


@pytest.mark.parametrize("network", ["mnist", "cifar10", "cifar10_resnet", "resnet64"])
def test_no_critic_normalises_over_the_batch(network: Any) -> None:
    """A score depends on no other sample, so the penalty is each sample's own."""
    module = tiny(network)
    x = torch.rand(4, *module.image_shape)
    torch.testing.assert_close(module.D(x)[:1], module.D(x[:1]), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("side", [7, 8, 28])
@pytest.mark.parametrize(("kernel", "stride"), [(5, 2), (3, 1), (3, 2)])
def test_same_padding_against_written_out_sums(side: int, kernel: int, stride: int) -> None:
    """TensorFlow's rule: output o reads rows o * stride - before ... of the input."""
    layer = SameConv2d(1, 1, kernel, stride=stride, bias=False)
    x = torch.randn(1, 1, side, side)
    out = layer(x)
    steps = math.ceil(side / stride)
    assert out.shape == (1, 1, steps, steps)
    before = max(0, (steps - 1) * stride + kernel - side) // 2
    for o, p in ((0, 0), (1, 0), (steps - 1, steps - 1)):
        total = 0.0
        for i in range(kernel):
            for j in range(kernel):
                row, column = o * stride - before + i, p * stride - before + j
                if 0 <= row < side and 0 <= column < side:
                    total += layer.weight[0, 0, i, j].item() * x[0, 0, row, column].item()
        assert out[0, 0, o, p].item() == pytest.approx(total, abs=1e-4)


@pytest.mark.parametrize(("kernel", "stride"), [(5, 2), (3, 2), (3, 1)])
def test_the_transposed_layer_is_the_adjoint(kernel: int, stride: int) -> None:
    """<conv(x), y> = <x, transposed(y)> with the same kernel: the definition of conv2d_transpose."""
    up = SameConvTranspose2d(2, 3, kernel, stride=stride)
    down = SameConv2d(3, 2, kernel, stride=stride, bias=False)
    down.weight.data = up.weight.data
    nn.init.zeros_(up.bias)  # type: ignore[arg-type]
    y, x = torch.randn(2, 2, 4, 4), torch.randn(2, 3, 4 * stride, 4 * stride)
    assert up(y).shape == x.shape
    torch.testing.assert_close((down(x) * y).sum(), (x * up(y)).sum(), atol=1e-3, rtol=1e-4)


def test_conditional_batchnorm_has_a_gain_and_a_bias_for_each_class() -> None:
    norm = ClassBatchNorm2d(3, num_classes=2)
    norm.gain.data = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    norm.bias.data = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, -1.0]])
    x, y = torch.randn(6, 3, 4, 4), torch.tensor([0, 1, 1, 0, 1, 0])
    mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)  # over the batch, whatever the class
    out = norm(x, y)
    for n in range(6):
        for c in range(3):
            expected = (x[n, c] - mean[c]) / (variance[c] + 1e-5).sqrt() * norm.gain[y[n], c] + norm.bias[y[n], c]
            torch.testing.assert_close(out[n, c], expected, atol=1e-4, rtol=1e-4)
    plain, reference = ClassBatchNorm2d(3, num_classes=None), nn.BatchNorm2d(3)
    torch.testing.assert_close(plain(x), reference(x), atol=1e-5, rtol=1e-5)
    with in_eval_mode(plain), in_eval_mode(reference):
        torch.testing.assert_close(plain(x), reference(x), atol=1e-5, rtol=1e-5)


def test_residual_blocks_against_the_order_of_the_authors() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 4, 4, 4)
    up = UpBlock(4, 6, num_classes=None, bias=True)
    doubled = F.interpolate(F.relu(up.norm1(x)), scale_factor=2)
    expected = up.conv2(F.relu(up.norm2(up.conv1(doubled)))) + up.shortcut(F.interpolate(x, scale_factor=2))
    torch.testing.assert_close(up(x, None), expected, atol=1e-5, rtol=1e-4)
    down = CriticBlock(4, 6)
    expected = F.avg_pool2d(down.conv2(F.relu(down.conv1(F.relu(x)))), 2) + F.avg_pool2d(down.shortcut(x), 2)
    torch.testing.assert_close(down(x), expected, atol=1e-5, rtol=1e-4)
    flat = CriticBlock(4, 4, down=False)
    torch.testing.assert_close(flat(x), flat.conv2(F.relu(flat.conv1(F.relu(x)))) + x)
    first = CriticBlock(4, 6, first=True)
    assert first.conv1.out_channels == 6
    expected = F.avg_pool2d(first.conv2(F.relu(first.conv1(x))), 2) + first.shortcut(F.avg_pool2d(x, 2))
    torch.testing.assert_close(first(x), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("layer", "variance"),
    [
        (lambda: linear(100, 300), 2 / 400),
        (lambda: linear(100, 300, he=True), 2 / 100),
        (lambda: convolution(30, 50, 3), 4 / (9 * 80)),
        (lambda: convolution(30, 50, 3, he=False), 2 / (9 * 80)),
        (lambda: convolution(30, 50, 5, stride=2), 4 / (25 * 30 + 25 * 50 / 4)),
        (lambda: deconvolution(60, 30), 4 / (25 * 60 / 4 + 25 * 30)),
    ],
)
def test_initial_weights(layer: Any, variance: float) -> None:
    torch.manual_seed(0)
    made = layer()
    assert made.weight.var().item() == pytest.approx(variance, rel=0.03)
    assert made.weight.abs().max().item() == pytest.approx((3 * variance) ** 0.5, rel=0.01)  # uniform
    assert not made.bias.any()


def test_which_layers_are_he_and_which_glorot() -> None:
    torch.manual_seed(0)
    module = WGANGP(num_classes=10)
    block = module.G.blocks[0]  # type: ignore[union-attr,index]
    for layer, variance in (
        (block.conv1, 4 / (9 * 256)),
        (block.shortcut, 2 / 256),
        (module.G.output, 2 / (9 * 131)),
        (module.G.input[0], 2 / (128 + 2048)),  # type: ignore[index]
        (module.D[-1].score, 2 / 129),  # type: ignore[index,union-attr]
        (module.D[-1].classes, 2 / 138),  # type: ignore[index,union-attr]
    ):
        assert layer.weight.var().item() == pytest.approx(variance, rel=0.2)  # type: ignore[union-attr,operator]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"network": "mnist", "num_classes": 10}, "mnist takes no labels"),
        ({"network": "mnist", "fixed_generator": True}, "use network=toy"),
    ],
)
def test_settings_that_exclude_each_other(settings: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WGANGP(**settings)


# The paper's own measures.


def test_measures_in_the_plane() -> None:
    module, data = tiny(), ToyPoints(distribution="25gaussians")
    real = data.split("test").images
    module.sample = lambda n, *, seed: real[:n] + torch.tensor([3.0, 4.0])  # type: ignore[method-assign,assignment]
    values, protocol = module.paper_measures(data, seed=2)
    assert values["wasserstein_exact"] == pytest.approx(5, rel=1e-4)
    assert values["share_high_quality"] == 0
    module.sample = lambda n, *, seed: real[-n:]  # type: ignore[method-assign,assignment]
    values, _ = module.paper_measures(data, seed=2)
    assert 0 < values["wasserstein_exact"] < 0.2
    assert values["share_modes_covered"] == 1
    assert values["share_high_quality"] == pytest.approx(1 - math.exp(-4.5), abs=0.015)
    assert (protocol["seed"], protocol["n_fake"]) == (2, 1_000)


def test_the_critics_gap_on_training_and_held_out_images() -> None:
    module, data = tiny("cifar10"), Colour32(train_images=4)
    state = torch.get_rng_state()
    values, protocol = module.paper_measures(data, seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    fake = None
    with torch.no_grad(), in_eval_mode(module):
        for name in ("train", "validation"):
            score = module.score(module.preprocess(data.split(name).images)).mean().item()  # type: ignore[arg-type]
            fake = score - values[f"critic_gap_{name}"] if fake is None else fake
            assert values[f"critic_gap_{name}"] == pytest.approx(score - fake, abs=1e-4)
    assert protocol["n_real"] == {"train": 4, "validation": 2}
    assert module.paper_measures(data, seed=3).values == values
    assert module.paper_measures(Colour32(), seed=3) == ({}, {})
