"""A module that follows a growth schedule, with players of a few parameters."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from registry import small_data, small_model
from torch import Tensor, nn
from torch.nn import functional as F
from toys import Recorder, fit, same, state_of

from zoo.data import ImageArray, ImageDataModule
from zoo.errors import UnsupportedSettingError
from zoo.experiments.pggan import of_pixels
from zoo.experiments.suite import EXPERIMENTS, EvaluationSettings, Measurement
from zoo.models import MODELS
from zoo.models.base.growing import GrowingModule, averaged_copy
from zoo.nn.layers import downscale2d, fade, upscale2d
from zoo.nn.losses import bce_discriminator_loss, non_saturating_generator_loss
from zoo.nn.schedules import GrowthSchedule, Stage
from zoo.training.callbacks import CounterCheckpoint, Evaluation, SampleGrid


class Data(ImageDataModule):
    """n random grey images of 16x16."""

    name = "Random"
    channels = 1
    native_resolution = 16

    def __init__(self, n: int = 50) -> None:
        super().__init__(batch_size=1)  # the schedule's holds
        pixels = torch.randint(256, (n, 1, 16, 16), generator=torch.Generator().manual_seed(5), dtype=torch.uint8)
        self.array = ImageArray(pixels, None, None, f"random {n}")

    def _load(self, name: str) -> ImageArray:
        return self.array


class Painter(nn.Module):
    """One dense layer to each of 4x4, 8x8 and 16x16; the newer is faded in."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(3, side * side) for side in (4, 8, 16))

    def image(self, z: Tensor, side: int) -> Tensor:
        return torch.tanh(self.layers[side.bit_length() - 3](z)).view(-1, 1, side, side)

    def forward(self, z: Tensor, *, resolution: int, alpha: float) -> Tensor:
        new = self.image(z, resolution)
        return new if alpha == 1 else fade(upscale2d(self.image(z, resolution // 2)), new, alpha=alpha)


class Judge(nn.Module):
    """One score for each resolution."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(side * side, 1) for side in (4, 8, 16))

    def forward(self, x: Tensor, *, alpha: float) -> Tensor:
        new: Tensor = self.layers[x.shape[3].bit_length() - 3](x.flatten(1))
        if alpha == 1:
            return new
        return fade(self.layers[x.shape[3].bit_length() - 4](downscale2d(x).flatten(1)), new, alpha=alpha)


#: 4x4 up to image 24, fading 8x8 up to 44, 8x8 up to 68, fading 16x16 up to 88; batches of 6, of 4 and of 2
SMALL = GrowthSchedule(
    16,
    stabilise_images=24,
    fade_images=20,
    batch_sizes={4: 6, 8: 4, 16: 2},
    lrs={4: 0.01, 8: 0.02, 16: 0.03},
    ramp_up_images=12,
)


class Toy(GrowingModule):
    paper = "toy"

    def __init__(self, *, n_critic: int = 1, growth: GrowthSchedule = SMALL) -> None:
        super().__init__(image_shape=(1, 16, 16), z_dim=3, growth=growth, n_critic=n_critic, ema_half_life=20)
        self.save_hyperparameters("n_critic")
        torch.manual_seed(4)
        self.G, self.D = Painter(), Judge()
        self.G_ema = averaged_copy(self.G)
        self.seen: list[tuple[int, Stage, Tensor]] = []
        self.log_every = 1

    def synthesise(self, G: nn.Module, z: Tensor, y: Tensor | None) -> Tensor:
        return G(z, resolution=self.stage.resolution, alpha=self.stage.alpha)

    def discriminator_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        self.seen.append((self.images_seen, self.stage, x.clone()))
        fake = self.synthesise(self.G, self.sample_z(len(x)), None)
        return bce_discriminator_loss(self.D(x, alpha=self.stage.alpha), self.D(fake, alpha=self.stage.alpha))

    def generator_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        assert x.shape[3] == self.stage.resolution  # the stage does not change within a step
        return non_saturating_generator_loss(
            self.D(self.synthesise(self.G, self.sample_z(len(x)), None), alpha=self.stage.alpha)
        )

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [torch.optim.Adam(net.parameters(), lr=0.5, betas=(0.0, 0.99)) for net in (self.D, self.G)]


def starts(until: int) -> list[int]:
    """First images of the batches up to `until`, by the rule that a batch belongs to the stage of its first image."""
    found, at = [], 0
    while at < until:
        found.append(at)
        at += SMALL.at(at).batch_size
    return found


def test_the_run_follows_the_schedule() -> None:
    module, rates = Toy(), Recorder(lambda m: [g["lr"] for o in m.trainer.optimizers for g in o.param_groups])
    fit(module, rates, data=Data(), images=120)
    assert [images for images, _, _ in module.seen] == starts(120)
    assert starts(120)[:9] == [0, 6, 12, 18, 24, 30, 34, 38, 42]
    assert starts(120)[9:18] == [46, 50, 54, 58, 62, 66, 70, 72, 74]
    for (images, at, x), lrs in zip(module.seen, rates.seen, strict=True):
        assert at == SMALL.at(images)
        assert x.shape == (at.batch_size, 1, at.resolution, at.resolution)
        assert lrs == [at.lr] * 2
    assert module.images_seen == 120


def test_reals_are_as_sharp_as_the_layers_that_are_in() -> None:
    module = Toy()
    x = torch.randint(256, (3, 1, 8, 8), dtype=torch.uint8)
    plain = x.float() / 127.5 - 1
    blurred = plain.view(3, 1, 4, 2, 4, 2).mean((3, 5)).repeat_interleave(2, 2).repeat_interleave(2, 3)
    for images, alpha in [(34, 0.5), (43, 0.95), (50, 1.0)]:
        module.images_seen = images
        assert module.stage.alpha == pytest.approx(alpha)
        torch.testing.assert_close(module.preprocess(x), (1 - alpha) * blurred + alpha * plain)
    large = torch.randint(256, (3, 1, 16, 16), dtype=torch.uint8)
    torch.testing.assert_close(module.preprocess(large), downscale2d(large.float() / 127.5 - 1))


def test_adam_starts_anew_when_a_fade_begins_or_ends() -> None:
    def steps(module: Toy) -> list[float]:
        """Updates that Adam remembers, of each player (the oldest of its parameters)."""
        states = [list(optimizer.state.values()) for optimizer in module.trainer.optimizers]
        return [max((float(state["step"]) for state in found), default=0) for found in states]

    module, recorder = Toy(), Recorder(steps)
    fit(module, recorder, data=Data(), images=120)
    expected, memory = [], 0
    for images in starts(120):
        following = images + SMALL.at(images).batch_size
        memory = 0 if SMALL.phase(following) != SMALL.phase(images) else memory + 1
        expected.append([memory, memory])
    assert recorder.seen == expected
    assert [images for images, (memory, _) in zip(starts(120), expected, strict=True) if memory == 0] == [
        24,
        42,
        66,
        86,
    ]


def test_layers_that_are_not_in_get_no_gradient_and_do_not_move() -> None:
    module = Toy()
    before = {name: p.clone() for name, p in module.named_parameters()}
    fit(module, data=Data(), images=24)
    for name, parameter in module.named_parameters():
        grown = ".layers.0." in name
        assert torch.equal(parameter, before[name]) != grown, name
        if not grown:
            assert parameter.grad is None, name


def test_the_average_follows_with_a_half_life_in_images() -> None:
    module = Toy()
    averages: list[Tensor] = [module.G_ema.layers[0].weight.clone()]
    raw: list[tuple[int, Tensor]] = []

    def look(m: Toy) -> None:
        averages.append(m.G_ema.layers[0].weight.clone())
        raw.append((m.seen[-1][1].batch_size, m.G.layers[0].weight.detach().clone()))

    fit(module, Recorder(look), data=Data(), images=46)
    assert len(raw) == len(starts(46)) == 9
    for k, (batch, weight) in enumerate(raw):
        beta = 0.5 ** (batch / 20)
        torch.testing.assert_close(averages[k + 1], beta * averages[k] + (1 - beta) * weight)
    assert not any(parameter.requires_grad for parameter in module.G_ema.parameters())


def test_samples_are_of_the_average_and_of_the_final_size() -> None:
    module = Toy()
    fit(module, data=Data(), images=34)  # alpha 0.5
    z = torch.randn(5, 3, generator=torch.Generator().manual_seed(9))
    for ema, net in ((True, module.G_ema), (False, module.G)):
        own = module.generate(z, None, ema=ema, upscale=False)
        expected = 0.5 * net.image(z, 8) + 0.5 * net.image(z, 4).repeat_interleave(2, 2).repeat_interleave(2, 3)
        torch.testing.assert_close(own, expected.detach())
        large = module.sample(5, seed=9, ema=ema)
        assert torch.equal(large, own.repeat_interleave(2, 2).repeat_interleave(2, 3))
    assert not torch.equal(module.sample(5, seed=9), module.sample(5, seed=9, ema=False))
    assert torch.equal(module.sample(5, seed=9), module.sample(5, seed=9))
    module.G_ema.layers[0].weight.data.mul_(0)
    module.G_ema.layers[0].bias.data.fill_(100)
    module.synthesise = lambda G, z, y: 3 * G(z, resolution=4, alpha=1.0)
    assert module.sample(2).max() == 1  # linear outputs are cut off
    with pytest.raises(ValueError, match="truncation"):
        module.sample(1, truncation_psi=0.5)
    with pytest.raises(ValueError, match="labels"):
        module.sample(1, labels=torch.zeros(1, dtype=torch.long))


def test_gradients_are_those_of_full_size_images() -> None:
    """The norm with respect to an enlarged image, times one over the enlargement, computed at full size."""
    module = Toy()
    for images, side in [(0, 4), (50, 8), (200, 16)]:
        module.images_seen = images
        small = torch.randn(1, 1, side, side, requires_grad=True)
        full = F.interpolate(small.detach(), size=(16, 16)).requires_grad_()
        shrunk = F.avg_pool2d(full, 16 // side)
        (g_small,) = torch.autograd.grad(module.D(small, alpha=1.0).sum(), small)
        (g_full,) = torch.autograd.grad(module.D(shrunk, alpha=1.0).sum(), full)
        torch.testing.assert_close(g_full.norm(), g_small.norm() * module.gradient_scale)


# Borders of this run: 24|30 (fade begins), 42|46 (ends), 66|70, 86|88; 46 and 70 change the batch.
@pytest.mark.parametrize("n_critic", [1, 3])
def test_a_resumed_run_is_the_uninterrupted_run(tmp_path: Path, n_critic: int) -> None:
    whole = Toy(n_critic=n_critic)
    fit(whole, CounterCheckpoint(tmp_path / "whole"), data=Data(), images=110)
    for stop in (6, 30, 34, 38, 46, 50, 70, 72, 88, 90):
        first, second = (Toy(n_critic=n_critic) for _ in range(2))
        folder = tmp_path / str(stop)
        fit(first, CounterCheckpoint(folder), data=Data(), images=stop)
        assert first.images_seen == stop
        torch.manual_seed(77)
        fit(second, CounterCheckpoint(folder), data=Data(), images=110, ckpt_path=folder / "last.ckpt")
        assert same(state_of(tmp_path / "whole/last.ckpt"), state_of(folder / "last.ckpt")), stop
        joined = [*first.seen, *second.seen]
        assert [images for images, _, _ in joined] == [images for images, _, _ in whole.seen], stop
        assert all(torch.equal(a[2], b[2]) for a, b in zip(joined, whole.seen, strict=True)), stop
        assert torch.equal(whole.sample(4, seed=1), second.sample(4, seed=1)), stop


def test_phases_that_would_put_a_run_elsewhere_are_refused(tmp_path: Path) -> None:
    """It went on at 16x16, whose layers had never been faded in, or back at 4x4."""
    fit(Toy(), CounterCheckpoint(tmp_path), data=Data(), images=34)  # inside the first fade
    for name, images in (("stabilise_images", 4), ("fade_images", 40)):
        other = Toy(growth=dataclasses.replace(SMALL, **{name: images}))
        with pytest.raises(
            UnsupportedSettingError, match=r"34 images this run stands at 8x8 with alpha 0\.5, and with"
        ):
            fit(other, data=Data(), images=40, ckpt_path=tmp_path / "last.ckpt")
    fit(Toy(), CounterCheckpoint(tmp_path / "grown"), data=Data(), images=110)
    longer = Toy(growth=dataclasses.replace(SMALL, fade_images=10))  # where all has grown, phases change nothing
    fit(longer, data=Data(), images=120, ckpt_path=tmp_path / "grown/last.ckpt")
    assert longer.images_seen >= 120


def test_looking_does_not_disturb(tmp_path: Path) -> None:
    fit(Toy(), CounterCheckpoint(tmp_path / "plain"), data=Data(), images=60)
    look = Evaluation(lambda module: {"mean": float(module.sample(6, seed=5).mean())}, every=10)
    kept = CounterCheckpoint(tmp_path / "watched", every=8)
    fit(Toy(), SampleGrid(tmp_path, every=10, n=4), look, kept, data=Data(), images=60)
    assert same(state_of(tmp_path / "plain/last.ckpt"), state_of(tmp_path / "watched/last.ckpt"))
    assert len(list(tmp_path.glob("images-*.png"))) >= 6


def test_resolution_and_alpha_are_logged() -> None:
    module, recorder = Toy(), Recorder(lambda m: (m.latest["resolution"], round(m.latest["alpha"], 5)))
    fit(module, recorder, data=Data(), images=50)
    assert recorder.seen[:8] == [(4, 1)] * 5 + [(8, 0.3), (8, 0.5), (8, 0.7)]


def test_schedule_and_images_must_agree() -> None:
    with pytest.raises(ValueError, match=r"ends at 16x16, .*\(1, 32, 32\)"):
        GrowingModule(image_shape=(1, 32, 32), z_dim=2, growth=SMALL)


@pytest.mark.parametrize("paper", ["pggan", "stylegan"])
def test_tables_out_of_a_checkpoint_have_text_for_keys(paper: str) -> None:
    settings: Any = {"resolution": 8, "fmap_max": 4, "batch_sizes": {"4": 8, "8": 2}, "lrs": {"4": 1e-3, "8": 2e-3}}
    module: Any = MODELS[paper](**settings)
    assert [module.growth.at(10**7)[i] for i in (0, 2, 3)] == [8, 2, 2e-3]
    assert module.growth.batch_size(4) == 8


def test_evaluations_take_the_measures_of_pixels() -> None:
    module = small_model("pggan")
    wanted = EvaluationSettings(samples=20, real_images=20, batchnorm="running")
    measurement = Measurement(small_data("pggan"), settings=wanted, testing=False)
    values = measurement(module)
    assert {"fd_lenet20", "swd20_avg", "swd20_32", "swd20_16", "ms_ssim20"} <= set(values)
    assert values["swd20_avg"] == pytest.approx((values["swd20_32"] + values["swd20_16"]) / 2)
    assert measurement.protocols[measurement.hashes["swd20_avg"]]["extractor"] == "pixels"
    small: Any = MODELS["pggan"](resolution=8, fmap_max=4)
    assert of_pixels(small) == ()  # both need 16 pixels
    assert EXPERIMENTS["dcgan"].of_pixels is None
