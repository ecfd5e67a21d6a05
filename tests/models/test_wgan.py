"""WGAN: the schedule of critic updates, the clipping, the losses by hand, the networks against the authors' sizes."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.signal
import torch
from lightning.pytorch import Callback
from torch import Tensor, nn
from toys import DIAGNOSTICS, Recorder, ToyData, fit, same, state_of

from zoo.data import ImageArray
from zoo.experiments.wgan import measure_log, running_median
from zoo.models.wgan import WGAN
from zoo.nn.losses import wasserstein_critic_loss, wasserstein_generator_loss
from zoo.training.callbacks import CounterCheckpoint

LAYERS = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


class Grey16(ToyData):
    """Random 16x16 images, five batches an epoch."""

    native_resolution = 16

    def __init__(self, *, n: int = 20, batch_size: int = 4) -> None:
        super().__init__(n=n, batch_size=batch_size)
        images = torch.randint(256, (n, 1, 16, 16), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
        self.array = ImageArray(images, None, None, "0" * 64)


def tiny(**settings: Any) -> WGAN:
    torch.manual_seed(0)
    options: dict[str, Any] = {"channels": 1, "resolution": 16, "width_G": 2, "width_D": 2, "z_dim": 3}
    return WGAN(**{**options, **settings})


def count(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


# Losses.


def test_losses_against_hand_values() -> None:
    real, fake = torch.tensor([1.0, 4.0]), torch.tensor([-0.5, 0.5, 6.0])
    assert wasserstein_critic_loss(real, fake).item() == pytest.approx(2.0 - 2.5)
    assert wasserstein_generator_loss(fake).item() == pytest.approx(-2.0)


def test_the_critic_scores_reals_high_and_the_generator_seeks_high_scores() -> None:
    """A flipped sign fails: after one step of descent on its loss, each player is better off."""
    module = tiny(critic="mlp", generator="mlp", width_G=32, width_D=32)
    x = torch.ones(4, 1, 16, 16)
    for net, loss in ((module.D, module.discriminator_loss), (module.G, module.generator_loss)):
        z = torch.randn(64, 3)
        before = (module.D(x).mean() - module.D(module.G(z)).mean()).item()
        gradients = torch.autograd.grad(loss(x, None), list(net.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(net.parameters(), gradients, strict=True):
                parameter -= 1e-3 * gradient
            after = (module.D(x).mean() - module.D(module.G(z)).mean()).item()
        assert (after > before) is (net is module.D)


def test_reals_and_fakes_pass_through_the_critic_separately() -> None:
    module = tiny()
    seen: list[Tensor] = []
    module.D.register_forward_hook(lambda D, inputs, output: seen.append(inputs[0]))
    x = torch.rand(4, 1, 16, 16)
    module.discriminator_loss(x, None)
    assert [len(batch) for batch in seen] == [4, 4]
    assert torch.equal(seen[0], x)


# The schedule.


def authors_schedule(n_critic: int, *, warm_start: bool, updates: int) -> list[str]:
    """The sequence of updates as two nested loops: a slow second implementation."""

    def loop() -> Iterator[str]:
        gen_iterations = 0
        while True:
            warm = warm_start and (gen_iterations < 25 or gen_iterations % 500 == 0)
            yield from "D" * (100 if warm else n_critic)
            yield "G"
            gen_iterations += 1

    sequence = loop()
    return [next(sequence) for _ in range(updates)]


@pytest.mark.parametrize("n_critic", [1, 5])
@pytest.mark.parametrize("warm_start", [True, False])
def test_closed_form_of_the_schedule(n_critic: int, warm_start: bool) -> None:
    module = tiny(n_critic=n_critic, warm_start=warm_start)
    critic_steps, expected = 0, []
    for update in authors_schedule(n_critic, warm_start=warm_start, updates=20_000):
        critic_steps += update == "D"
        if update == "G":
            expected.append(critic_steps)
    assert len(expected) > 1_001  # beyond two of the later blocks of 100
    assert [module.critic_steps_before(g) for g in range(len(expected))] == expected


def counters(module: WGAN) -> tuple[int, int]:
    return module.discriminator_steps, module.generator_steps


def test_updates_follow_the_schedule_over_epoch_ends_and_a_resume(tmp_path: Path) -> None:
    """From just before the end of the warm start on: 100 critic updates a block, then 5, across two resumes."""

    def run(*budgets: int, folder: str) -> list[tuple[int, int]]:
        seen: list[tuple[int, int]] = []
        for i, budget in enumerate(budgets):
            module = tiny(generator="mlp", critic="mlp")
            module.discriminator_steps, module.generator_steps = 2_390, 23  # 4 * 2390 images, in block 23
            module.images_seen = 4 * 2_390
            recorder = Recorder(counters)
            options = {"ckpt_path": tmp_path / folder / "last.ckpt"} if i else {}
            fit(module, CounterCheckpoint(tmp_path / folder), recorder, data=Grey16(), images=4 * budget, **options)
            seen += recorder.seen
        return seen

    whole = run(2_520, folder="whole")
    parts = run(2_399, 2_403, 2_520, folder="parts")  # inside block 23, inside block 24, to the end
    steps = [d for d, _ in whole]
    assert steps == list(range(2_391, 2_521))
    generator = dict(whole)
    assert [d for d in steps if generator[d] > generator.get(d - 1, 23)] == [2_400, 2_500, 2_505, 2_510, 2_515, 2_520]
    assert parts == whole
    assert same(state_of(tmp_path / "whole/last.ckpt"), state_of(tmp_path / "parts/last.ckpt"))


@pytest.mark.parametrize(
    ("first", "then", "moves"),
    [
        ({"n_critic": 1}, {"n_critic": 5}, [45, 50, 55, 60]),  # not before 40 * 5 updates of the critic
        ({"n_critic": 4}, {"n_critic": 1}, [41, 42, 43, *range(44, 61)]),
        ({"n_critic": 2}, {"n_critic": 2, "warm_start": True}, [140]),
    ],
)
def test_another_n_critic_holds_from_where_a_run_goes_on(
    tmp_path: Path, first: dict[str, int], then: dict[str, int], moves: list[int]
) -> None:
    """Counted from the beginning, G waited for what the critic had not had, or moved at each update to make up."""
    at, end, until = 40, moves[-1], (moves[-1] + 40) // 2
    module = tiny(warm_start=False, **first)
    fit(module, CounterCheckpoint(tmp_path), data=Grey16(), images=4 * at)
    seen: list[tuple[int, int]] = []
    for budget in (until, end):  # it is kept over a further resume
        module = tiny(**{"warm_start": False, **then})
        recorder = Recorder(counters)
        there = CounterCheckpoint(tmp_path)
        fit(module, there, recorder, data=Grey16(), images=4 * budget, ckpt_path=tmp_path / "last.ckpt")
        seen += recorder.seen
    generator = dict(seen)
    assert list(generator) == list(range(at + 1, end + 1))
    assert [d for d in generator if generator[d] > generator.get(d - 1, at // first["n_critic"])] == moves


def test_without_warm_start_no_generator_update_is_lost_at_epoch_ends() -> None:
    module = tiny(warm_start=False)
    recorder = Recorder(counters)
    fit(module, recorder, data=Grey16(n=12), images=4 * 20)  # three batches an epoch
    assert recorder.seen == [(d, d // 5) for d in range(1, 21)]


def test_the_estimate_of_the_distance_is_reported_beside_the_losses() -> None:
    module = tiny(warm_start=False, n_critic=1)
    module.log_every = 1
    fit(module, data=Grey16(), images=4)
    assert set(module.latest) == {"loss_discriminator", "loss_generator", "wasserstein_estimate", *DIAGNOSTICS}
    difference = module.latest["score_real"] - module.latest["score_fake"]
    assert module.latest["wasserstein_estimate"] == pytest.approx(difference, abs=1e-6)
    assert module.latest["wasserstein_estimate"] == -module.latest["loss_discriminator"]


# Clipping.


class Watch(Callback):
    """Keeps the largest critic parameter at the moments that matter."""

    def __init__(self, module: WGAN) -> None:
        self.loss: list[float] = []
        self.hook: list[float] = []
        self.end: list[float] = []
        largest = lambda: max(p.detach().abs().max().item() for p in module.D.parameters())  # noqa: E731
        loss, hook = module.discriminator_loss, module.after_discriminator_update
        module.discriminator_loss = lambda x, y: (self.loss.append(largest()), loss(x, y))[1]
        module.after_discriminator_update = lambda: (hook(), self.hook.append(largest()))[0]
        self.largest = largest

    def on_train_batch_end(self, *arguments: Any) -> None:
        self.end.append(self.largest())


@pytest.mark.parametrize("clip_when", ["before", "after"])
def test_weights_are_clipped_at_the_right_moment(clip_when: Any) -> None:
    module = tiny(clip_when=clip_when, warm_start=False, lr=1e-3)
    watch = Watch(module)
    assert watch.largest() > 0.9  # BatchNorm's gains
    fit(module, watch, data=Grey16(), images=4 * 6)
    c = pytest.approx(0.01)
    if clip_when == "before":  # the gradient is taken at clipped weights, the step then leaves the cube
        assert watch.loss == [c] * 6
        assert min(watch.hook) > 0.0105
    else:  # the first gradient is taken at the initial weights, after that the cube is never left
        assert watch.loss[0] > 0.9
        assert watch.loss[1:] == [c] * 5
        assert watch.hook == [c] * 6


def test_every_critic_parameter_is_clipped_and_nothing_else() -> None:
    module = tiny(clip=0.02)
    for parameter in module.parameters():
        nn.init.constant_(parameter, -3.0)
    statistics = [buffer.clone() for buffer in module.D.buffers()]
    module.clip_weights()
    names = dict(module.D.named_parameters())
    norm = next(name for name, layer in module.D.named_modules() if isinstance(layer, nn.BatchNorm2d))
    assert {f"{norm}.weight", f"{norm}.bias"} <= set(names)
    assert all((parameter == -0.02).all() for parameter in names.values())
    assert all((parameter == -3).all() for parameter in module.G.parameters())
    assert all(torch.equal(a, b) for a, b in zip(statistics, module.D.buffers(), strict=True))


# Networks and constants.


def test_parameter_counts() -> None:
    """DCGAN 64: sums of k*k*in*out by hand; MLP: 4 linear layers of 512."""
    with torch.device("meta"):
        full, bare = WGAN(), WGAN(generator="dcgan_nobn", critic="dcgan_nobn")
        constant, mlp = WGAN(generator="dcgan_nobn_constant"), WGAN(generator="mlp", critic="mlp")
    pyramid = 16 * (100 * 512 + 512 * 256 + 256 * 128 + 128 * 64 + 64 * 3)
    assert count(full.G) == pyramid + 2 * (512 + 256 + 128 + 64)
    assert count(full.D) == 16 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 512) + 2 * (128 + 256 + 512)
    assert count(bare.G) == pyramid
    assert count(bare.D) == count(full.D) - 2 * (128 + 256 + 512)
    assert count(constant.G) == 16 * (100 * 64 + 3 * 64 * 64 + 64 * 3)
    assert count(full.G) > 10 * count(constant.G)  # section 4.3
    pixels = 3 * 64 * 64
    assert count(mlp.G) == 101 * 512 + 2 * 513 * 512 + 513 * pixels
    assert count(mlp.D) == (pixels + 1) * 512 + 2 * 513 * 512 + 513
    with torch.device("meta"):
        deeper = WGAN(extra_layers=2)
    assert count(deeper.G) - count(full.G) == 2 * (9 * 64 * 64 + 128) == count(deeper.D) - count(full.D)


@pytest.mark.parametrize("generator", ["dcgan", "dcgan_nobn", "dcgan_nobn_constant", "mlp"])
@pytest.mark.parametrize("critic", ["dcgan", "dcgan_nobn", "mlp"])
def test_shapes(generator: Any, critic: Any) -> None:
    with torch.device("meta"):
        module = WGAN(generator=generator, critic=critic, resolution=32, channels=1)
        images = module.G(torch.empty(5, 100))
        assert images.shape == (5, 1, 32, 32)
        assert module.D(images).shape == (5, 1)
    norms = [isinstance(layer, nn.BatchNorm2d) for layer in module.G.modules()]
    assert any(norms) is (generator == "dcgan")
    assert any(isinstance(layer, nn.BatchNorm2d) for layer in module.D.modules()) is (critic == "dcgan")
    assert not any(isinstance(layer, nn.Sigmoid) for layer in module.modules())
    assert isinstance(module.G[-1], nn.Tanh) is (generator != "mlp")


def test_samples_of_the_unbounded_generator_are_cut() -> None:
    module = tiny(generator="mlp")
    nn.init.constant_(module.G[-2].bias, 5.0)
    assert (module.sample(3, seed=0) == 1).all()
    assert module.G(torch.zeros(1, 3)).max() > 3


def test_initial_weights() -> None:
    torch.manual_seed(0)
    module = WGAN(resolution=32)
    weights = torch.cat([layer.weight.flatten() for layer in module.modules() if isinstance(layer, LAYERS)])
    assert weights.std().item() == pytest.approx(0.02, rel=0.01)
    assert (weights.abs() < 0.02).float().mean().item() == pytest.approx(math.erf(0.5**0.5), abs=0.005)
    gains = torch.cat([layer.weight.detach() for layer in module.modules() if isinstance(layer, nn.BatchNorm2d)])
    assert gains.mean().item() == pytest.approx(1, abs=0.005)
    assert gains.std().item() == pytest.approx(0.02, rel=0.1)
    first = WGAN(critic="mlp", resolution=16).D[1]
    bound = 768**-0.5  # PyTorch's default
    assert first.weight.abs().max().item() == pytest.approx(bound, rel=0.01)
    assert first.bias.abs().max().item() > bound / 2


def test_optimizers() -> None:
    for optimizer in tiny().configure_optimizers():
        assert type(optimizer) is torch.optim.RMSprop
        constants = {key: optimizer.defaults[key] for key in ("lr", "alpha", "eps", "momentum", "centered")}
        assert constants == {"lr": 5e-5, "alpha": 0.99, "eps": 1e-8, "momentum": 0, "centered": False}
    module = tiny(optimizer="adam")
    optimizers = module.configure_optimizers()
    assert [(type(o), o.defaults["betas"]) for o in optimizers] == [(torch.optim.Adam, (0.5, 0.999))] * 2
    assert optimizers[0].param_groups[0]["params"][0] is next(module.D.parameters())  # the critic's first


@pytest.mark.parametrize("resolution", [8, 48, 28])
def test_a_resolution_that_the_networks_lack(resolution: int) -> None:
    with pytest.raises(ValueError, match=f"power of two from 16 on, not {resolution}"):
        WGAN(resolution=resolution)


def test_defaults_are_those_of_algorithm_1() -> None:
    with torch.device("meta"):
        module = WGAN()
    assert (module.n_critic, module.clip, module.lr, module.z_dim, module.image_shape) == (
        5,
        0.01,
        5e-5,
        100,
        (3, 64, 64),
    )
    z = module.latents(5_000, generator=torch.Generator().manual_seed(0))
    assert z.var().item() == pytest.approx(1, rel=0.02)


def test_median_of_odd_width_is_centred_and_cut_short_at_the_ends() -> None:
    values = np.array([5.0, 1.0, 9.0, 2.0, 7.0, 3.0])
    slow = [sorted(values[max(0, i - 1) : i + 2]) for i in range(6)]
    expected = [float(np.mean([w[(len(w) - 1) // 2], w[len(w) // 2]])) for w in slow]
    assert running_median(values, width=3).tolist() == expected
    np.testing.assert_array_equal(running_median(values, width=3)[1:-1], scipy.signal.medfilt(values, 3)[1:-1])


def test_log_measures_rank_the_filtered_estimate_against_the_distance() -> None:
    """An estimate that falls with outliers, which the filter removes, and a distance that falls with it."""
    rows: list[dict[str, Any]] = [{"images_seen": 0, "fd_x": 1e6}]
    for step in range(1, 1001):
        rows.append({"images_seen": 10 * step, "wasserstein_estimate": 2 - step / 1000 + (5 if step % 7 == 0 else 0)})
        if step % 100 == 0:
            rows.append({"images_seen": 10 * step, "fd_x": 1000.0 - step, "test/fd_x": 3.0})
    values, protocol = measure_log(rows)
    assert values["wasserstein_spearman_fd_x"] == pytest.approx(1)
    assert values["wasserstein_estimate"] == pytest.approx(1 + 0.025, abs=0.01)  # median of the last half window
    assert protocol == {"measure": "critic's estimate", "median_filter": 101, "generator_updates": 1000}
    for row in rows:
        if "fd_x" in row:
            row["fd_x"] = -row["fd_x"]
    assert measure_log(rows).values["wasserstein_spearman_fd_x"] == pytest.approx(-1)
    assert measure_log(rows[:1]).values == {}
    assert "wasserstein_spearman_fd_x" not in measure_log(rows[:300]).values  # two evaluations are no curve


def test_the_estimate_is_logged_at_each_generator_update() -> None:
    module = tiny()
    loss = torch.tensor(1.0)
    assert module.report_due({"loss_discriminator": loss, "loss_generator": loss})
    assert not module.report_due({"loss_discriminator": loss})
