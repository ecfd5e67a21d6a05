"""StyleGAN: losses by hand, style mixing, the average of w, resuming inside a fade."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from stylegan_process_run import main
from stylegan_toys import Grey16, lively, tiny
from test_two_processes import run
from torch import Tensor, nn
from torch.nn import functional as F
from toys import Recorder, ToyData, fit, same, state_of

from zoo.data import ImageArray
from zoo.models import MODELS
from zoo.models.stylegan import StyleGAN
from zoo.nn.layers import update_average
from zoo.training.callbacks import CounterCheckpoint

# The published settings.


def test_the_registry_builds_the_papers_networks() -> None:
    with torch.device("meta"):
        G, D = (MODELS["stylegan"](resolution=64).get_submodule(name) for name in "GD")
    assert sum(p.numel() for p in G.parameters()) == 25_137_935
    assert sum(p.numel() for p in D.parameters()) == 22_498_049


def test_the_schedule_of_ffhq() -> None:
    """From 8x8, 600k + 600k images a resolution: 1024x1024 is in after 8.4M (appendix C)."""
    module = tiny(resolution=1024, stabilise_images=600_000, fade_images=600_000, batch_sizes=None, lrs=None)
    growth = module.growth
    assert growth.grown_at == 8_400_000
    stages = [growth.at(seen) for seen in (0, 599_999, 900_000, 2_400_000, 4_500_000, 5_500_000, 6_700_000, 25_000_000)]
    assert [s.resolution for s in stages] == [8, 8, 16, 32, 128, 256, 512, 1024]
    assert [s.batch_size for s in stages] == [256, 256, 128, 64, 32, 32, 32, 32]
    assert [s.lr for s in stages] == [1e-3, 1e-3, 1e-3, 1e-3, 1.5e-3, 2e-3, 3e-3, 3e-3]
    assert stages[2].alpha == 0.5


@pytest.mark.parametrize(
    ("config", "start", "mixing", "depth"),
    [("A", 4, 0, 0), ("B", 8, 0, 0), ("C", 8, 0, 8), ("E", 8, 0, 8), ("F", 8, 0.9, 8)],
)
def test_the_rows_of_table_1(config: Any, start: int, mixing: float, depth: int) -> None:
    module = tiny(config=config, mapping_layers=None)
    assert module.growth.start == start
    assert module.mixing_prob == mixing
    assert len(module.G.mapping) == 1 + 2 * depth
    fit(module, data=Grey16(), images=60)
    assert module.sample(2, seed=0).shape == (2, 1, 16, 16)


def test_adam_is_the_papers() -> None:
    for optimizer in tiny(lrs=None).configure_optimizers():
        assert optimizer.defaults["betas"] == (0.0, 0.99)
        assert optimizer.defaults["eps"] == 1e-8
        assert optimizer.defaults["lr"] == 1e-3


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="w_dim=5 must be z_dim=6"):
        tiny(mapping_layers=0, w_dim=5)
    with pytest.raises(ValueError, match="devices=3"):
        tiny(devices=3)
    with pytest.raises(ValueError, match="power of two"):
        tiny(resolution=24)


# The losses.


def stub(module: StyleGAN, fake: Tensor, slope: float) -> None:
    """G gives `fake`, D is `slope` times the sum of the pixels."""
    module.fakes = lambda n: fake * 1
    module.D.forward = lambda x, *, alpha: slope * x.flatten(1).sum(1, keepdim=True)


def test_the_losses_by_hand() -> None:
    """D(x) = s sum(x): its squared gradient is s^2 times the number of pixels; gamma / 2 is 5."""
    module = tiny()
    module.images_seen = 48  # fully grown
    x, fake = torch.rand(3, 1, 16, 16), torch.rand(3, 1, 16, 16)
    stub(module, fake, 0.01)
    real_scores, fake_scores = 0.01 * x.sum((1, 2, 3)), 0.01 * fake.sum((1, 2, 3))
    expected = F.softplus(fake_scores).mean() + F.softplus(-real_scores).mean() + 5 * 0.01**2 * 256
    torch.testing.assert_close(module.discriminator_loss(x, None), expected)
    torch.testing.assert_close(module.generator_loss(x, None), F.softplus(-fake_scores).mean())
    module = tiny(loss="wgan_gp")
    module.images_seen = 48
    stub(module, fake, 0.01)
    expected = fake_scores.mean() - real_scores.mean() + 10 * (0.01 * 16 - 1) ** 2
    torch.testing.assert_close(module.discriminator_loss(x, None), expected + 0.001 * real_scores.square().mean())
    torch.testing.assert_close(module.generator_loss(x, None), -fake_scores.mean())


def test_penalties_below_the_final_resolution_are_those_of_enlarged_images() -> None:
    """D as the authors have it, on 16x16 images that it shrinks itself, against ours on 8x8 images."""
    x, fake = torch.rand(3, 1, 8, 8), torch.rand(3, 1, 8, 8)
    enlarged = F.interpolate(x, scale_factor=2).requires_grad_()
    slope = 0.3
    (gradient,) = torch.autograd.grad(slope * F.avg_pool2d(enlarged, 2).sum(), enlarged)
    squared = gradient.square().sum((1, 2, 3))
    module = tiny()
    stub(module, fake, slope)
    module.discriminator_loss(x, None)
    torch.testing.assert_close(module.extra["r1_penalty"], squared.mean())
    module = tiny(loss="wgan_gp")
    stub(module, fake, slope)
    module.discriminator_loss(x, None)
    torch.testing.assert_close(module.extra["gradient_penalty"], (squared.sqrt() - 1).square().mean())


def test_the_losses_reach_their_own_player() -> None:
    """D's loss leaves G alone; G's reaches everything that is run, mapping included."""
    module = lively(tiny())
    x = torch.rand(4, 1, 16, 16) * 2 - 1
    module.discriminator_loss(x, None).backward()
    assert all(p.grad is None for p in module.G.parameters())
    assert all(
        (p.grad is None) == name.startswith(("from_rgb.0", "from_rgb.1")) for name, p in module.D.named_parameters()
    )
    module.generator_loss(x, None).backward()
    unused = ("synthesis.to_rgb.0", "synthesis.to_rgb.1")  # fully grown
    assert all((p.grad is None) == name.startswith(unused) for name, p in module.G.named_parameters())


# Style mixing.


def test_mixing_changes_exactly_the_layers_from_the_crossover_on() -> None:
    module = tiny(mixing_prob=1.0)
    w = torch.zeros(3, 6)
    crossovers = set()
    for _ in range(200):
        styles = module.mix(w, layers=6)
        assert styles.shape == (3, 6, 6)
        own = (styles == 0).all(2)  # [N, layers]
        crossover = int(own[0].sum())
        assert own[:, :crossover].all()
        assert not own[:, crossover:].any()
        assert (styles[:, crossover:] == styles[:, -1:]).all()  # one second style
        assert not torch.equal(styles[0, -1], styles[1, -1])  # of an own z for each image
        crossovers.add(crossover)
    assert crossovers == {1, 2, 3, 4, 5}  # uniform over [1, layers)


@pytest.mark.parametrize("probability", [0.0, 0.5, 0.9, 1.0])
def test_mixing_has_its_probability(probability: float) -> None:
    module = tiny(mixing_prob=probability)
    w = torch.zeros(1, 6)
    mixed = sum(bool(module.mix(w, layers=4).any()) for _ in range(400)) / 400
    assert mixed == pytest.approx(probability, abs=0.08)
    assert probability not in (0.0, 1.0) or mixed == probability


def test_mixing_is_of_the_layers_that_are_run() -> None:
    """At 8x8 there are four layers: all crossovers lie among them."""
    module = tiny(mixing_prob=1.0)
    seen: list[int] = []
    whole = module.mix
    module.mix = lambda w, *, layers: (seen.append(layers), whole(w, layers=layers))[1]
    module.fakes(2)
    module.images_seen = 40
    module.fakes(2)
    assert seen == [4, 6]


def test_without_mixing_no_second_latent_is_drawn() -> None:
    module, twin = tiny(mixing_prob=0.0), tiny(mixing_prob=0.0)
    module.fakes(3)
    twin.sample_z(3)
    assert torch.equal(module.latent_generator.get_state(), twin.latent_generator.get_state())


# The average of w.


def test_the_average_moves_by_its_decay() -> None:
    module = tiny(w_average_beta=0.75)
    module.track(torch.full((4, 6), 2.0))
    module.track(torch.cat([torch.zeros(2, 6), torch.full((2, 6), 2.0)]))
    torch.testing.assert_close(module.G.w_average, torch.full((6,), 0.75 * 0.5 + 0.25 * 1.0))


def test_the_average_converges_to_the_mean_of_w() -> None:
    module = lively(tiny(w_average_beta=0.98))
    with torch.no_grad():
        for _ in range(600):
            module.track(module.G.mapping(module.sample_z(64)))
        w = module.G.mapping(torch.randn(20_000, 6))
    error = (module.G.w_average - w.mean(0)).norm()
    assert error < 0.05 * w.std(0).norm()


def test_every_pass_in_training_is_tracked_and_no_pass_in_sampling() -> None:
    module = tiny()
    before = module.G.w_average.clone()
    module.sample(3, seed=0)
    assert torch.equal(module.G.w_average, before)
    x = torch.rand(8, 1, 8, 8)
    module.discriminator_loss(x, None)
    after_D = module.G.w_average.clone()
    module.generator_loss(x, None)
    assert len({tuple(w.tolist()) for w in (before, after_D, module.G.w_average)}) == 3


def test_the_averaged_generator_takes_the_average_of_w_as_it_is() -> None:
    module = tiny()
    module.G.w_average.fill_(3.0)
    update_average(module.G_ema, module.G, beta=0.9)
    assert torch.equal(module.G_ema.w_average, module.G.w_average)


def test_the_averaged_generator_has_its_half_life_in_images() -> None:
    """After 40 images at a half-life of 40, half of the difference is left, whatever the batch."""
    for batch in (8, 4):
        module = tiny(ema_half_life=40, batch_sizes={4: batch})
        with torch.no_grad():
            for parameter in module.G.parameters():
                parameter.zero_()
        start = copy.deepcopy(module.G_ema.synthesis.to_rgb[0].weight)
        for _ in range(40 // batch):
            module.after_generator_update()
        torch.testing.assert_close(module.G_ema.synthesis.to_rgb[0].weight, start / 2)


# Training.


def test_a_compiled_module_takes_the_same_steps() -> None:
    """The compiler's bookkeeping runs, its arithmetic is torch's own."""
    x = torch.rand(4, 1, 16, 16)
    results = []
    for compiled in (False, True):
        module = lively(tiny())
        module.images_seen = 24  # inside the fade
        if compiled:
            for net in (module.G.mapping, module.G.synthesis, module.D):
                net.compile(backend="eager")
        module.latent_generator.manual_seed(0)
        torch.manual_seed(0)
        loss = module.discriminator_loss(x, None)
        loss.backward()
        results.append((loss.detach(), module.D.from_rgb[0].weight.grad))
    torch.testing.assert_close(results[0], results[1])


def test_compiling_leaves_no_part_of_a_training_pass_out(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[nn.Module] = []
    monkeypatch.setattr(nn.Module, "compile", lambda net, **options: called.append(net))
    module = tiny()
    module.compile_networks()
    assert called == [module.G.mapping, module.G.synthesis, module.D]


class Bright4(ToyData):
    """4x4 images, all one bright grey."""

    native_resolution = 4

    def __init__(self) -> None:
        super().__init__()
        self.array = ImageArray(torch.full((40, 1, 4, 4), 230, dtype=torch.uint8), None, None, "0" * 64)


def test_it_learns_a_grey_level() -> None:
    """Reals that are all one bright grey: samples get brighter."""
    module = tiny(resolution=4, ema_half_life=20)
    before = module.sample(32, seed=0).mean()
    fit(module, data=Bright4(), images=800)
    assert module.sample(32, seed=0).mean() > before + 0.3


class SaveAt(Callback):
    """Keeps the checkpoint of one moment."""

    def __init__(self, path: Path, images: int) -> None:
        self.path, self.images = path, images

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if pl_module.images_seen == self.images:
            trainer.save_checkpoint(self.path, weights_only=False)


def test_a_resumed_run_is_the_uninterrupted_one(tmp_path: Path) -> None:
    """Before and at the beginning of the fade (where the batch changes), inside it, at its end, and after."""
    moments = {images: tmp_path / f"{images}.ckpt" for images in (8, 16, 28, 48, 60)}
    keepers = [SaveAt(path, images) for images, path in moments.items()]
    fit(tiny(), *keepers, data=Grey16(), images=64, enable_checkpointing=True)
    fit(tiny(), CounterCheckpoint(tmp_path / "whole"), data=Grey16(), images=72)
    whole = state_of(tmp_path / "whole/last.ckpt")
    assert int(whole["state_dict"]["images_seen"]) == 72
    for images, path in moments.items():
        torch.manual_seed(12345)
        fit(tiny(), CounterCheckpoint(tmp_path / "resumed"), data=Grey16(), images=72, ckpt_path=path)
        assert same(whole, state_of(tmp_path / "resumed/last.ckpt")), images


def test_the_stages_of_a_run() -> None:
    recorder = Recorder(lambda module: (module.images_seen, module.stage.resolution, round(module.stage.alpha, 3)))
    fit(tiny(), recorder, data=Grey16(), images=56)
    assert recorder.seen[:4] == [(8, 8, 1.0), (16, 8, 1.0), (24, 16, 0.25), (28, 16, 0.375)]
    assert recorder.seen[-1] == (56, 16, 1.0)


def test_hyperparameters_survive_a_checkpoint(tmp_path: Path) -> None:
    fit(tiny(), CounterCheckpoint(tmp_path), data=Grey16(), images=24)
    content = torch.load(tmp_path / "last.ckpt", weights_only=True)
    module = StyleGAN(**content["hyper_parameters"])
    module.load_state_dict(content["state_dict"])
    assert module.stage.resolution == 16
    assert module.stage.alpha == 0.25
    assert torch.equal(module.G.w_average, content["state_dict"]["G.w_average"])
    assert content["state_dict"]["G.w_average"].abs().sum() > 0


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path: Path, shared_cache: Path) -> None:
    """Weights and the average of w: those of one process with the whole batch, and the same on both."""
    work = str(Path(__file__).parents[1] / "stylegan_process_run.py")
    main(tmp_path, 1)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    run(*launcher, work, str(tmp_path), "2", cache=shared_cache)
    one = torch.load(tmp_path / "styles-1-0.pt", weights_only=True)
    two, other = (torch.load(tmp_path / f"styles-2-{rank}.pt", weights_only=True) for rank in (0, 1))
    for key, value in one["C"].items():
        torch.testing.assert_close(two["C"][key], value, rtol=1e-3, atol=1e-4, msg=key)
    assert one["C"]["G.w_average"].abs().sum() > 0
    assert same(two, other)
