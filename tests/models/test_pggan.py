"""PGGAN's losses, updates and sampling against closed forms and slow computations."""

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

from reproductions.pggan import RECIPES
from zoo.models.networks.pggan import (
    ROWS,
    Discriminator,
    Generator,
    Row,
)
from zoo.models.pggan import PGGAN, smooth_latents
from zoo.training.callbacks import CounterCheckpoint

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
        assert module.extra["gradient_penalty"].item() == pytest.approx(penalty / 10, rel=1e-4)
        assert module.extra["wasserstein_estimate"].item() == pytest.approx(
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
    full = epsilon * F.interpolate(x, scale_factor=2) + (1 - epsilon) * F.interpolate(fake, scale_factor=2)
    full.requires_grad_()
    (gradient,) = torch.autograd.grad(module.D(F.avg_pool2d(full, 2), alpha=module.stage.alpha).sum(), full)
    expected = (gradient.flatten(1).norm(dim=1) - 1).square().mean()
    assert module.extra["gradient_penalty"].item() == pytest.approx(expected.item(), rel=1e-4)


def test_the_theano_code_cuts_faded_reals_off_to_whole_grey_levels() -> None:
    torch.manual_seed(0)
    x = torch.randint(256, (8, 1, 8, 8), dtype=torch.uint8)
    x[0] = torch.arange(64).view(8, 8) // 2 * 2  # means that are whole numbers
    module, plain = small(truncate_faded=True), small()
    for seen, alpha in ((14, 1 / 6), (20, 2 / 3), (23, 11 / 12)):
        module.images_seen = plain.images_seen = seen
        assert module.stage.alpha == pytest.approx(alpha)
        means = x.double().view(8, 1, 4, 2, 4, 2).mean((3, 5)).repeat_interleave(2, 2).repeat_interleave(2, 3)
        levels = (x + (means - x) * (1 - module.stage.alpha) + 1e-9).floor()
        torch.testing.assert_close(module.preprocess(x), levels.float() / 127.5 - 1, atol=2e-7, rtol=0)
        above = (plain.preprocess(x) - module.preprocess(x)).mean().item() * 127.5
        assert 0.2 < above < 0.6  # the authors' reals are darker
    module.images_seen = plain.images_seen = 30  # nothing fades
    assert torch.equal(module.preprocess(x), plain.preprocess(x))
    cut_off = {name for name, recipe in RECIPES.items() if recipe.config["model"].get("truncate_faded")}
    assert cut_off == {"celebahq", "lsun256", "cifar10", *(name for name in RECIPES if name.startswith("table1_"))}


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
    module.fakes = lambda n: (drawn.append(fakes(n)[0]), (drawn[-1], None))[1]
    losses: dict[str, Tensor] = {}
    module.report = lambda found: losses.update(found)
    module.on_after_batch_transfer = lambda batch, index: (x, None)
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
@pytest.mark.parametrize("settings", [{}, {"joint_update": True, "num_classes": 10}], ids=["plain", "joint"])
def test_a_resumed_run_is_the_uninterrupted_run(tmp_path: Path, settings: dict[str, Any]) -> None:
    train(small(**settings), CounterCheckpoint(tmp_path / "whole"), world=1, images=56)
    for stop in (16, 24, 40, 44):
        folder = tmp_path / str(stop)
        last = folder / "last.ckpt"
        train(small(**settings), CounterCheckpoint(folder), world=1, images=stop)
        assert int(state_of(last)["state_dict"]["images_seen"]) == stop
        torch.manual_seed(77)
        train(small(**settings), CounterCheckpoint(folder), world=1, images=56, ckpt_path=last)
        assert same(state_of(tmp_path / "whole/last.ckpt"), state_of(last)), stop


@pytest.mark.slow
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
    torch.testing.assert_close(video[::2], module.walk(6, every=2, sigma=2.0, seed=3))  # batches of another size
    torch.manual_seed(3)
    slow = smooth_latents(module.latents(6), sigma=2.0)
    torch.testing.assert_close(video, module.generate(slow, None), rtol=1e-4, atol=1e-5)
    for settings in ({"frames": 6, "sigma": 0.0}, {"frames": 0}, {"frames": 6, "every": 0}):  # the first gave NaN
        with pytest.raises(ValueError, match="must be"):
            module.walk(**settings)


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
