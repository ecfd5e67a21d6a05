"""PGGAN's networks, losses and updates against PAPERS' tables, closed forms and slow computations."""

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from growing_process_run import main, small, train
from test_two_processes import run
from torch import Tensor, nn
from torch.nn import functional as F
from toys import Recorder, same, state_of

from zoo.callbacks import CounterCheckpoint
from zoo.layers import EqualizedConv2d, EqualizedLinear, MinibatchStddev, PixelNorm
from zoo.models import MODELS
from zoo.models.pggan import (
    PGGAN,
    ROWS,
    Discriminator,
    Generator,
    LayerNorm,
    MinibatchDiscrimination,
    Row,
    smooth_latents,
)


def count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def slow_counts(resolution: int, *, base: int, most: int, z: int, channels: int = 3) -> tuple[int, int]:
    """Weights and biases layer by layer, as Table 2 lists them, and a 1x1 to and from RGB for each resolution."""

    def nf(stage: int) -> int:
        return min(base // 2**stage, most)

    g = z * nf(1) * 16 + nf(1) + nf(1) * nf(1) * 9 + nf(1) + nf(1) * channels + channels
    d = (nf(1) + 1) * nf(1) * 9 + nf(1) + nf(1) * 16 * nf(0) + nf(0) + nf(0) + 1 + channels * nf(1) + nf(1)
    for k in range(3, int(math.log2(resolution)) + 1):
        new, old = nf(k - 1), nf(k - 2)
        g += (old * new + new * new) * 9 + 2 * new + new * channels + channels
        d += (new * new + new * old) * 9 + new + old + channels * new + new
    return g, d


@pytest.mark.parametrize(
    ("resolution", "base", "most", "z", "expected"),
    [
        (1024, 8192, 512, 512, (23_079_115, 23_087_249)),
        (128, 2048, 512, 512, (13_629_810, 13_636_897)),
        (32, 4096, 128, 128, (1_296_908, 1_298_689)),
        (256, 8192, 512, 512, None),
        (4, 64, 16, 7, None),
    ],
)
def test_parameter_counts(resolution: int, base: int, most: int, z: int, expected: tuple[int, int] | None) -> None:
    with torch.device("meta"):
        G = Generator(resolution, z_dim=z, width=(base, most))
        D = Discriminator(resolution, width=(base, most))
    assert (
        (count(G), count(D)) == slow_counts(resolution, base=base, most=most, z=z) == (expected or (count(G), count(D)))
    )


def test_the_registry_builds_the_papers_network() -> None:
    with torch.device("meta"):
        module = MODELS["pggan"](resolution=64)  # type: ignore[call-arg]
    assert isinstance(module, PGGAN)
    assert module.image_shape == (3, 64, 64)
    assert module.z_dim == 512
    assert (count(module.G), count(module.D)) == slow_counts(64, base=8192, most=512, z=512)
    with pytest.raises(ValueError, match="resolution=48 must be a power of two"):
        PGGAN(resolution=48)
    with pytest.raises(ValueError, match="config b updates D 5 times"):
        PGGAN(resolution=8, config="b", joint_update=True)


# The networks against functional code with the same weights.


def convolve(x: Tensor, layer: EqualizedConv2d, gain: float) -> Tensor:
    fan_in = layer.weight[0].numel()
    return F.conv2d(x, layer.weight * gain / fan_in**0.5, layer.bias, padding=layer.weight.shape[2] // 2)


def normalise(x: Tensor) -> Tensor:
    return x / (x.square().mean(1, keepdim=True) + 1e-8).sqrt()


def double(x: Tensor) -> Tensor:
    return x.repeat_interleave(2, 2).repeat_interleave(2, 3)


def halve(x: Tensor) -> Tensor:
    return (x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 4


def slow_generator(G: Generator, z: Tensor, *, resolution: int, alpha: float) -> Tensor:
    def stack(h: Tensor, layers: nn.Module) -> Tensor:
        for layer in layers.children():
            if isinstance(layer, EqualizedConv2d):
                h = normalise(F.leaky_relu(convolve(h, layer, 2**0.5), 0.2))
        return h

    dense, bias = G.input[0], G.input_bias
    # The original: a 4x4 convolution of the 1x1 latent, padded on all sides, with He's fan-in of the whole kernel.
    kernel = dense.weight.view(-1, 4, 4, dense.weight.shape[1]).permute(0, 3, 1, 2).flip(2, 3)
    he = 2**0.5 / (16 * dense.weight.shape[1]) ** 0.5
    h = F.conv2d(normalise(z)[:, :, None, None], kernel * he, padding=3) + bias
    h = stack(normalise(F.leaky_relu(h, 0.2)), G.first)
    images = [convolve(h, G.to_rgb[0], 1.0)]
    for block, to_rgb in zip(G.blocks, list(G.to_rgb)[1:], strict=True):
        h = stack(double(h), block)
        images.append(convolve(h, to_rgb, 1.0))
    k = int(math.log2(resolution)) - 2
    return images[k] if alpha == 1 else (1 - alpha) * double(images[k - 1]) + alpha * images[k]


def slow_discriminator(D: Discriminator, x: Tensor, *, alpha: float) -> Tensor:
    def stack(h: Tensor, layers: nn.Module) -> Tensor:
        for layer in layers.children():
            if isinstance(layer, EqualizedConv2d):
                h = F.leaky_relu(convolve(h, layer, 2**0.5), 0.2)
        return h

    k = int(math.log2(x.shape[3])) - 2
    h = stack(x, D.from_rgb[k])
    for stage in range(k, 0, -1):
        h = halve(stack(h, D.blocks[stage - 1]))
        if stage == k:
            h = alpha * h + (1 - alpha) * stack(halve(x), D.from_rgb[k - 1])
    std = ((h - h.mean(0)).square().mean(0) + 1e-8).sqrt().mean()
    h = torch.cat([h, torch.full_like(h[:, :1], float(std))], 1)
    h = stack(h, D.last).flatten(1)
    dense = next(layer for layer in D.last if isinstance(layer, EqualizedLinear))
    h = F.leaky_relu(F.linear(h, dense.weight * (2 / h.shape[1]) ** 0.5, dense.bias), 0.2)
    return F.linear(h, D.score.weight / h.shape[1] ** 0.5, D.score.bias)


def networks(resolution: int = 16) -> tuple[Generator, Discriminator]:
    torch.manual_seed(1)
    G = Generator(resolution, channels=2, z_dim=5, width=(32, 8))
    D = Discriminator(resolution, channels=2, width=(32, 8))
    for net in (G, D):
        for name, parameter in net.named_parameters():
            if "bias" in name:
                nn.init.normal_(parameter)
    return G, D


@pytest.mark.parametrize(("resolution", "alpha"), [(4, 1.0), (8, 0.3), (8, 1.0), (16, 0.5), (16, 1.0)])
def test_networks_against_functional_code(resolution: int, alpha: float) -> None:
    G, D = networks()
    z, x = torch.randn(6, 5), torch.randn(6, 2, resolution, resolution)
    with torch.no_grad():
        images = G(z, resolution=resolution, alpha=alpha)
        assert images.shape == (6, 2, resolution, resolution)
        torch.testing.assert_close(images, slow_generator(G, z, resolution=resolution, alpha=alpha))
        torch.testing.assert_close(D(x, alpha=alpha), slow_discriminator(D, x, alpha=alpha))


@pytest.mark.parametrize("config", ["b", "d", "e*", "h"])
def test_a_fade_begins_with_the_smaller_network_and_ends_with_the_larger(config: str) -> None:
    module = small(config=config).eval()
    z, x = torch.randn(4, module.z_dim), torch.randn(4, 1, 16, 16)
    with torch.no_grad():
        for side in (8, 16):
            smaller, larger = (module.G(z, resolution=r) for r in (side // 2, side))
            assert torch.equal(module.G(z, resolution=side, alpha=0.0), double(smaller))
            assert torch.equal(module.G(z, resolution=side, alpha=1.0), larger)
            reals = x[..., :side, :side].contiguous()
            shrunk = F.avg_pool2d(reals, 2)
            assert torch.equal(module.D(reals, alpha=0.0), module.D(shrunk))
            half = module.G(z, resolution=side, alpha=0.5)
            if config != "b":  # there tanh comes last
                torch.testing.assert_close(half, (double(smaller) + larger) / 2)
            else:
                assert (half.atanh() - (double(smaller).atanh() + larger.atanh()) / 2).abs().max() < 1e-4


def test_layers_above_the_stage_get_no_gradient() -> None:
    G, D = networks()
    D(G(torch.randn(4, 5), resolution=8, alpha=0.5), alpha=0.5).sum().backward()
    for net in (G, D):
        for name, parameter in net.named_parameters():
            above = name.startswith(("blocks.1.", "to_rgb.2.", "from_rgb.2."))
            assert (parameter.grad is None) == above, name
    G, D = networks()
    D(G(torch.randn(4, 5), resolution=16)).sum().backward()
    for net, old in ((G, "to_rgb"), (D, "from_rgb")):
        for name, parameter in net.named_parameters():
            assert (parameter.grad is None) == name.startswith((f"{old}.0.", f"{old}.1.")), name


# The rows of Table 1.


def kinds(net: nn.Module) -> set[type[nn.Module]]:
    return {type(module) for module in net.modules()}


@pytest.mark.parametrize(
    ("row", "norms", "n_critic", "beta2", "drift", "z", "batch", "lr", "start"),
    [
        ("a", True, 5, 0.9, 0.0, 128, 64, 1e-4, 128),
        ("b", True, 5, 0.9, 0.0, 128, 64, 1e-4, 4),
        ("c", True, 5, 0.9, 0.0, 128, 16, 1e-4, 4),
        ("d", False, 1, 0.99, 0.001, 512, 16, 1e-4, 4),
        ("e*", False, 1, 0.99, 0.001, 512, 16, 1e-4, 4),
        ("e", False, 1, 0.99, 0.001, 512, 16, 1e-4, 4),
        ("f", False, 1, 0.99, 0.001, 512, 16, 1e-3, 4),
        ("g", False, 1, 0.99, 0.001, 512, 16, 1e-3, 4),
    ],
)
def test_rows_of_table_1(
    row: Any, norms: bool, n_critic: int, beta2: float, drift: float, z: int, batch: int, lr: float, start: int
) -> None:
    with torch.device("meta"):
        module = PGGAN(resolution=128, schedule="table1", config=row, fmap_base=2048)
    found = kinds(module.G) | kinds(module.D)
    assert (
        (nn.BatchNorm2d in kinds(module.G)) == (nn.ReLU in kinds(module.G)) == (LayerNorm in kinds(module.D)) == norms
    )
    assert (nn.LeakyReLU in kinds(module.G)) != norms
    assert (MinibatchStddev in found) == (row in "efg" and row != "e*")
    assert (MinibatchDiscrimination in found) == (row == "e*")
    pixel_norms = sum(isinstance(m, PixelNorm) for m in module.G.modules())
    assert pixel_norms == (1 + 2 * 6 if row == "g" else 1)
    scales = {m.scale == 1 for net in (module.G, module.D) for m in net.modules() if isinstance(m, EqualizedConv2d)}
    assert scales == ({False} if row in "fg" else {True})
    assert (module.n_critic, module.beta2, module.drift_weight, module.z_dim) == (n_critic, beta2, drift, z)
    assert module.ema_beta == {"a": 0.999**20, "b": 0.999**20, "c": 0.999**5}.get(row, 0.999)
    stage = module.growth.at(0)
    assert (stage.batch_size, stage.lr, stage.resolution) == (batch, lr, start)
    optimizer_D, optimizer_G = module.configure_optimizers()
    for optimizer in (optimizer_D, optimizer_G):
        assert optimizer.defaults["betas"] == (0.0, beta2)
        assert optimizer.defaults["eps"] == 1e-8


def test_rows_without_equalized_rates_start_from_the_same_function() -> None:
    torch.manual_seed(3)
    plain = Generator(8, z_dim=4, width=(16, 8), row=Row(equalized=False))
    torch.manual_seed(3)
    equalized = Generator(8, z_dim=4, width=(16, 8), row=Row())
    z = torch.randn(3, 4)
    torch.testing.assert_close(plain(z, resolution=8), equalized(z, resolution=8))
    for a, b in zip(plain.modules(), equalized.modules(), strict=True):
        if isinstance(a, EqualizedConv2d | EqualizedLinear):
            assert a.scale == 1 != b.scale
            assert a.weight.std() < 0.7 * b.weight.std()


def test_layer_norm_against_a_slow_loop() -> None:
    layer = LayerNorm(3)
    with torch.no_grad():
        layer.gain.fill_(1.5)
        layer.bias.copy_(torch.tensor([1.0, 2.0, 3.0]).view(3, 1, 1))
    x = torch.randn(2, 3, 4, 4) * 5 + 1
    expected = torch.stack(
        [(image - image.mean()) / (image.var(correction=0) + 1e-4).sqrt() * 1.5 for image in x]
    ) + torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1)
    torch.testing.assert_close(layer(x).detach(), expected)


def test_minibatch_discrimination_against_a_slow_loop() -> None:
    layer = MinibatchDiscrimination(4, kernels=3, dimensions=2)
    nn.init.normal_(layer.log_scale, std=0.3)
    x = torch.randn(5, 4)
    out = layer(x).detach()
    assert torch.equal(out[:, :4], x)
    for n in range(5):
        for k in range(3):
            total = -1.0
            for other in range(5):
                if other == n:
                    continue
                distance = 0.0
                for d in range(2):
                    theta = layer.theta[:, k, d].detach()
                    w = theta / theta.norm() * layer.log_scale[k, d].detach().exp()
                    distance += abs(float(x[n] @ w - x[other] @ w))
                total += math.exp(-distance)
            assert out[n, 4 + k].item() == pytest.approx(total, abs=1e-5)


# The losses.


class Linear(nn.Module):
    """A critic of gradient w at every point: w . x + b."""

    def __init__(self, norm: float, *, pixels: int, bias: float = 0.0) -> None:
        super().__init__()
        direction = torch.randn(pixels)
        self.w, self.b = nn.Parameter(direction / direction.norm() * norm), bias

    def forward(self, x: Tensor, *, alpha: float = 1.0) -> Tensor:
        return (x.flatten(1) @ self.w + self.b)[:, None]


@pytest.mark.parametrize("gamma", [1.0, 750.0])
@pytest.mark.parametrize(("images_seen", "side"), [(0, 4), (30, 8), (200, 16)])
def test_penalty_and_drift_in_closed_form(gamma: float, images_seen: int, side: int) -> None:
    """At resolution r the norm is that of the gradient with respect to R x R images: r / R of the critic's."""
    module = small(gp_target=gamma)
    module.images_seen = images_seen
    assert module.stage.resolution == side
    x, fake = torch.randn(6, 1, side, side), torch.randn(6, 1, side, side)
    for norm in (0.5, 3.0, 900.0):
        module.D = D = Linear(norm, pixels=side * side, bias=2.0)
        scores, fakes = D(x)[:, 0].detach(), D(fake)[:, 0].detach()
        loss = module.critic_loss(x, None, fake, None).item()
        penalty = 10 / gamma**2 * (norm * side / 16 - gamma) ** 2
        expected = fakes.mean() - scores.mean() + penalty + 0.001 * scores.square().mean()
        assert loss == pytest.approx(float(expected), rel=1e-4, abs=1e-4)
        assert module.beside["gradient_penalty"].item() == pytest.approx(penalty / 10, rel=1e-4)
        assert module.beside["wasserstein_estimate"].item() == pytest.approx(
            float(scores.mean() - fakes.mean()), rel=1e-3
        )
        assert module.adversary_loss(fake, None).item() == pytest.approx(-float(fakes.mean()), rel=1e-4)


def test_the_penalty_is_that_of_full_size_images() -> None:
    """Against the authors' way: the images enlarged to R x R, a critic that shrinks them, the gradient at full size."""
    module = small(group_size=None)
    module.images_seen = 20  # fading in 8x8
    x, fake = torch.randn(4, 1, 8, 8), torch.randn(4, 1, 8, 8)
    torch.manual_seed(11)
    module.critic_loss(x, None, fake, None)
    torch.manual_seed(11)
    epsilon = torch.rand(4).view(-1, 1, 1, 1)
    full = (epsilon * double(x) + (1 - epsilon) * double(fake)).requires_grad_()
    (gradient,) = torch.autograd.grad(module.D(F.avg_pool2d(full, 2), alpha=module.stage.alpha).sum(), full)
    expected = (gradient.flatten(1).norm(dim=1) - 1).square().mean()
    assert module.beside["gradient_penalty"].item() == pytest.approx(expected.item(), rel=1e-4)


def test_reals_and_samples_are_judged_apart() -> None:
    """The minibatch statistic of reals must not see samples."""
    module = small(gp_weight=0.0, drift_weight=0.0, group_size=None)
    x, fake = torch.randn(4, 1, 4, 4), torch.randn(4, 1, 4, 4) * 5
    loss = module.critic_loss(x, None, fake, None)
    torch.testing.assert_close(loss, module.D(fake).mean() - module.D(x).mean())
    together = module.D(torch.cat([x, fake]))
    assert (loss - (together[4:].mean() - together[:4].mean())).abs() > 1e-4


def test_labels_as_in_acgan() -> None:
    module = small(num_classes=3, acgan_weight=2.0, gp_weight=0.0, drift_weight=0.0)
    x, fake = torch.randn(5, 1, 4, 4), torch.randn(5, 1, 4, 4)
    y, y_fake = torch.tensor([0, 1, 2, 0, 1]), torch.tensor([2, 2, 1, 0, 0])
    module.D.last[0].group_size = None
    real_out, fake_out = module.D(x), module.D(fake)
    assert real_out.shape == (5, 4)

    def slow(out: Tensor, labels: Tensor) -> Tensor:
        return -sum(out[i, 1:].log_softmax(0)[label] for i, label in enumerate(labels)) / len(labels)

    wasserstein = fake_out[:, 0].mean() - real_out[:, 0].mean()
    expected = wasserstein + 2 * (slow(real_out, y) + slow(fake_out, y_fake))
    torch.testing.assert_close(module.critic_loss(x, y, fake, y_fake), expected)
    torch.testing.assert_close(module.adversary_loss(fake, y_fake), -fake_out[:, 0].mean() + 2 * slow(fake_out, y_fake))
    with pytest.raises(ValueError, match="num_classes is set, but the data has no labels"):
        module.critic_loss(x, None, fake, y_fake)
    images, labels = module.fakes(200)
    assert images.shape == (200, 1, 4, 4)
    assert set(labels.tolist()) == {0, 1, 2}
    one, other = (module.sample(1, seed=1, labels=torch.tensor([label])) for label in (0, 1))
    assert not torch.equal(one, other)


# The updates.


def test_a_joint_update_uses_the_weights_before_either() -> None:
    module = small(joint_update=True, drift_weight=0.1, lrs={4: 0.01}, group_size=None)
    x = torch.randn(8, 1, 4, 4)
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    drawn: list[Tensor] = []
    fakes = module.fakes
    module.fakes = lambda n: (drawn.append(fakes(n)[0]), (drawn[-1], None))[1]  # type: ignore[method-assign, func-returns-value]
    losses: dict[str, Tensor] = {}
    module.report = lambda found: losses.update(found)  # type: ignore[method-assign]
    module.on_after_batch_transfer = lambda batch, index: (x, None)  # type: ignore[method-assign]
    torch.manual_seed(2)
    train(module, world=1, images=8)
    assert len(drawn) == 1  # the same samples for both players
    assert (module.discriminator_steps, module.generator_steps, module.images_seen) == (1, 1, 8)
    slow = small(joint_update=True, drift_weight=0.1, lrs={4: 0.01}, group_size=None)
    with torch.no_grad():
        for name, parameter in slow.named_parameters():
            parameter.copy_(before[name])
    torch.testing.assert_close(losses["loss_generator"], -slow.D(drawn[0]).mean().detach())
    loss_G = -slow.D(slow.G(slow_latents(module), resolution=4)).mean()
    gradients = torch.autograd.grad(loss_G, list(slow.G.parameters()), allow_unused=True)
    for (name, old), gradient in zip(slow.G.named_parameters(), gradients, strict=True):
        new = dict(module.G.named_parameters())[name]
        if gradient is None:
            assert torch.equal(new, old)
        else:  # Adam's first step without momentum
            torch.testing.assert_close(new, old - 0.01 * gradient / (gradient.abs() + 1e-8), rtol=1e-3, atol=2e-4)


def slow_latents(module: PGGAN) -> Tensor:
    """The first latents of a run from the start."""
    twin = small()
    twin.seed = module.seed
    twin.reseed(0)
    return twin.sample_z(8)


@pytest.mark.parametrize("config", ["b", "e*", "h"])
def test_a_run_of_each_kind_grows(config: Any) -> None:
    module = small(config=config)
    recorder = Recorder(lambda m: m.trainer.optimizers[0].param_groups[0]["lr"])
    train(module, recorder, world=1, images=72)
    assert module.images_seen == 72
    assert (
        module.discriminator_steps
        == len(recorder.seen)
        == module.n_critic * module.generator_steps + len(recorder.seen) % module.n_critic
    )
    assert module.sample(4, seed=0).isfinite().all()
    assert set(recorder.seen) == {1e-3}


def test_the_average_has_a_decay_per_update() -> None:
    module = small(ema_beta=0.9)
    looks: list[tuple[Tensor, Tensor]] = []
    weights = [module.G_ema.input[0].weight.clone()]
    look = Recorder(lambda m: looks.append((m.G_ema.input[0].weight.clone(), m.G.input[0].weight.detach().clone())))
    train(module, look, world=1, images=32)
    for average, raw in looks:
        torch.testing.assert_close(average, 0.9 * weights[-1] + 0.1 * raw)
        weights.append(average)


# Borders of this run: 4x4 to 12, fade to 24, 8x8 to 36, fade to 48; batches start at 0 8 16 24 32 40 44 48 ...
@pytest.mark.parametrize("stop", [16, 24, 40, 44])
@pytest.mark.parametrize("settings", [{}, {"joint_update": True, "num_classes": 10}], ids=["plain", "joint"])
def test_a_resumed_run_is_the_uninterrupted_run(tmp_path: Path, stop: int, settings: dict[str, Any]) -> None:
    train(small(**settings), CounterCheckpoint(tmp_path / "whole"), world=1, images=56)
    train(small(**settings), CounterCheckpoint(tmp_path / "parts"), world=1, images=stop)
    last = tmp_path / "parts/last.ckpt"
    assert int(state_of(last)["state_dict"]["images_seen"]) == stop
    torch.manual_seed(77)
    train(small(**settings), CounterCheckpoint(tmp_path / "parts"), world=1, images=56, ckpt_path=last)
    assert same(state_of(tmp_path / "whole/last.ckpt"), state_of(last))


def test_two_processes_grow_as_one(tmp_path: Path, shared_cache: Path) -> None:
    """Parameters equal those of one process on the joint batch; a run resumed inside a fade is the whole run."""
    work = str(Path(__file__).parents[1] / "growing_process_run.py")
    main(tmp_path, 1)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    run(*launcher, work, str(tmp_path), "2", cache=shared_cache)
    one = torch.load(tmp_path / "grown-1-0.pt", weights_only=True)
    two, other = (torch.load(tmp_path / f"grown-2-{rank}.pt", weights_only=True) for rank in (0, 1))
    assert one["images_seen"] == two["images_seen"] == 64
    for name in ("alternating", "jointly"):
        for key, value in one[name].items():
            torch.testing.assert_close(two[name][key], value, rtol=1e-3, atol=1e-4, msg=f"{name} {key}")
    for found in (one, two, other):
        assert same(found["whole"], found["resumed"])
    assert same(two["whole"], other["whole"])
    whole, parts = (state_of(tmp_path / "2" / name / "last.ckpt") for name in ("whole", "parts"))
    assert same(whole, parts)


def test_widths_halve_from_resolution_to_resolution() -> None:
    G, D = Generator(64, width=(64, 16), z_dim=3), Discriminator(64, width=(64, 16))
    assert [layer.weight.shape[1] for layer in G.to_rgb] == [16, 16, 8, 4, 2]
    assert [layer[0].weight.shape[0] for layer in D.from_rgb] == [16, 16, 8, 4, 2]
    assert [block[0].weight.shape[:2] for block in G.blocks] == [(b, a) for a, b in pairwise([16, 16, 8, 4, 2])]
    assert ROWS["h"] == ROWS["g"] == Row()


def test_interpolation_follows_the_sphere_from_end_to_end() -> None:
    module = grown()
    a, b = torch.randn(2, module.z_dim), torch.randn(2, module.z_dim)
    images = module.interpolate(a, b, steps=3)
    assert images.shape == (2, 3, 1, 16, 16)
    unit = [z / z.norm(dim=1, keepdim=True) for z in (a, b)]
    for i, z in enumerate((a, unit[0] + unit[1], b)):  # half way on the great circle; G forgets the length
        expected = module.generate(z, None)
        torch.testing.assert_close(images[:, i], expected, rtol=1e-4, atol=1e-5)
    raw = module.interpolate(a, b, steps=2, ema=False)
    torch.testing.assert_close(raw[:, 0], module.generate(a, None, ema=False), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(raw[:, 0], images[:, 0])
    module, z = grown(config="a"), torch.randn(2, 128)  # a latent of unit mean square is as long as one of the prior
    ends = module.interpolate(z[:1], z[1:], steps=2)[0]
    expected = module.generate(z / z.square().mean(1, keepdim=True).sqrt(), None)
    torch.testing.assert_close(ends, expected, rtol=1e-4, atol=1e-5)


def test_a_video_walks_slowly_over_the_whole_prior() -> None:
    """Latents of nearby frames are correlated as blurred white noise is, exp(-d^2 / 4 sigma^2), also over the end."""
    z = smooth_latents(torch.randn(400, 300, generator=torch.Generator().manual_seed(0)), sigma=5.0)
    assert z.square().mean().item() == pytest.approx(1, abs=1e-5)
    for distance in (1, 5, 10, 100):
        for a, b in ((z[:-distance], z[distance:]), (z, z.roll(distance, 0))):
            assert (a * b).mean().item() == pytest.approx(math.exp(-(distance**2) / 100), abs=0.03)
    module = grown()
    video = module.walk(6, sigma=2.0, seed=3)
    assert video.shape == (6, 1, 16, 16)
    assert torch.equal(video[::2], module.walk(6, every=2, sigma=2.0, seed=3))
    torch.manual_seed(3)
    slow = smooth_latents(module.latents(6), sigma=2.0)
    torch.testing.assert_close(video, module.generate(slow, None), rtol=1e-4, atol=1e-5)


def test_many_images_of_classes_are_made_in_blocks() -> None:
    module = grown(num_classes=3)
    z, y = torch.randn(70, module.z_dim), torch.arange(70) % 3
    expected = module.generate(z, y)
    torch.testing.assert_close(module.images_from(z, y), expected, rtol=1e-4, atol=1e-5)
    way = module.interpolate(z[:2], z[2:4], steps=2, labels=y[:2])
    torch.testing.assert_close(way[:, 0], module.generate(z[:2], y[:2]), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(way[:, 1], module.generate(z[2:4], y[:2]), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="num_classes"):
        module.images_from(z, None)
    with pytest.raises(ValueError, match="num_classes"):
        grown().images_from(z, y)


def grown(**settings: Any) -> PGGAN:
    """16x16, past all borders; G and its average differ."""
    torch.manual_seed(0)
    growth = {"stabilise_images": 8, "fade_images": 8}
    module = PGGAN(resolution=16, channels=1, schedule="cifar10", fmap_base=64, fmap_max=8, **{**growth, **settings})
    for parameter in module.G_ema.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    module.images_seen = module.growth.grown_at
    return module.eval().requires_grad_(False)
