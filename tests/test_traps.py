"""The known traps of the ecosystem (Lightning, torch), one test each: each fails when its trap is put back."""

import copy
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from torch import nn
from toys import Recorder, ToyData, ToyGAN, fit, toy_trainer

from zoo.errors import NonFiniteLossError, UnsupportedSettingError
from zoo.models import MODELS
from zoo.nn.layers import update_average
from zoo.training.callbacks import CounterCheckpoint

ROOT = Path(__file__).parents[1]


# 1. global_step counts every optimizer's steps.


@pytest.mark.parametrize("n_critic", [1, 2, 5])
def test_budgets_count_images_and_generator_steps_not_optimizer_steps(n_critic: int) -> None:
    module = ToyGAN(n_critic=n_critic)
    fit(module, images=8 * 20)
    assert (module.images_seen, module.discriminator_steps) == (160, 20)
    assert module.generator_steps == 20 // n_critic
    module = ToyGAN(n_critic=n_critic)
    trainer = fit(module, generator_steps=4)
    assert (module.generator_steps, module.discriminator_steps) == (4, 4 * n_critic)
    assert trainer.global_step == 4 + 4 * n_critic  # what a budget in Lightning's steps would have counted


def test_lightnings_own_callback_skips_what_ours_keeps(tmp_path: Path) -> None:
    """Not our code: the reason for ours (callbacks/test_checkpoint_callback.py). If this fails, Lightning is mended."""
    theirs = ModelCheckpoint(tmp_path, every_n_train_steps=7, save_top_k=-1, filename="{step}")
    fit(ToyGAN(), theirs, images=8 * 36, enable_checkpointing=True)
    assert not (tmp_path / "step=35.ckpt").exists()


# 2. batch_idx restarts at every epoch.


def test_generator_updates_are_not_lost_at_epoch_ends() -> None:
    module = ToyGAN(n_critic=5)
    recorder = Recorder(lambda m: (m.trainer.current_epoch, m.generator_steps))
    fit(module, recorder, data=ToyData(n=24, batch_size=8), images=8 * 30)  # three batches an epoch
    assert recorder.seen[-1][0] >= 9
    assert module.generator_steps == 6


# 3. plain ddp raises on a two-player module (the working strategy: test_two_processes.py).


def test_plain_ddp_is_refused_with_the_remedy() -> None:
    module = ToyGAN()
    trainer = toy_trainer(strategy="ddp", devices=2)
    module.trainer = trainer
    with pytest.raises(UnsupportedSettingError, match="ddp_find_unused_parameters_true"):
        module.setup("fit")


@pytest.mark.parametrize("precision", ["64-true", "bf16-true"])
def test_other_precisions_are_refused_for_a_trainer_of_ones_own(precision: Any) -> None:
    """Reals are float32: the first layer would fail on them, deep inside a step."""
    module = ToyGAN()
    module.trainer = toy_trainer(precision=precision)
    with pytest.raises(UnsupportedSettingError, match="there are 32-true and bf16-mixed"):
        module.setup("fit")


# 4. seed_everything gives every rank the same latents.


def test_latents_differ_between_ranks_and_seeds() -> None:
    draws = []
    for seed, rank in [(0, 0), (0, 1), (1, 0), (0, 0)]:
        module = ToyGAN()
        module.seed = seed
        module.reseed(rank)
        draws.append((module.sample_z(4), torch.rand(4)))
    (z, noise), (z_rank, noise_rank), (z_seed, _), (z_again, noise_again) = draws
    assert torch.equal(z, z_again)
    assert torch.equal(noise, noise_again)
    assert not torch.equal(z, z_rank)
    assert not torch.equal(noise, noise_rank)
    assert not torch.equal(z, z_seed)


# 5. Lightning checkpoints hold no RNG state and no position in the data: test_resume.py.


# 6. Lightning's averaging callback averages D as well, once a batch.


class Averaged(ToyGAN):
    """A paper with an averaged generator."""

    def __init__(self) -> None:
        super().__init__(n_critic=5, batchnorm=True)
        self.G_ema = copy.deepcopy(self.G).requires_grad_(False)
        self.averagings = 0

    def after_generator_update(self) -> None:
        self.averagings += 1
        update_average(self.G_ema, self.G, beta=0.5)


def test_the_average_moves_once_per_generator_update_and_leaves_the_discriminator_alone() -> None:
    module, plain = Averaged(), ToyGAN(n_critic=5, batchnorm=True)
    plain.load_state_dict(
        {key: value for key, value in module.state_dict().items() if not key.startswith("G_ema")}, strict=True
    )
    start = copy.deepcopy(module.G_ema)
    fit(module, images=8 * 10)
    fit(plain, images=8 * 10)
    assert module.averagings == module.generator_steps == 2
    for a, b in zip(module.D.parameters(), plain.D.parameters(), strict=True):
        assert torch.equal(a, b)
    for average, first, raw in zip(module.G_ema.parameters(), start.parameters(), module.G.parameters(), strict=True):
        assert not torch.equal(average, first)
        assert not torch.equal(average, raw)


# 7. Adam(betas=(0, 0.9)) raises: both must be floats.


@pytest.mark.parametrize("name", MODELS)
def test_optimizers_are_discriminator_first_with_float_betas(name: str) -> None:
    module = MODELS[name]()
    optimizers: Any = module.configure_optimizers()
    for net, optimizer in zip((module.D, module.G), optimizers, strict=True):
        assert {id(p) for g in optimizer.param_groups for p in g["params"]} == {id(p) for p in net.parameters()}
        assert all(isinstance(beta, float) for beta in optimizer.defaults.get("betas", ()))


# 8. gradient_clip_val is ignored in manual optimization, schedulers are not stepped (models/test_gan.py); LightningCLI
# adds --optimizer (test_refusals.py).


@pytest.mark.parametrize("setting", [{"gradient_clip_val": 1.0}, {"accumulate_grad_batches": 2}])
def test_settings_without_effect_are_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(MisconfigurationException, match="manual optimization"):
        fit(ToyGAN(), images=8, **setting)


# 9. fp16 with a gradient penalty gives nan (test_losses.py: in float32 under bf16); non-finite losses stop the run.


def test_16_mixed_is_refused_for_a_trainer_of_ones_own() -> None:
    module = ToyGAN()
    module.trainer = type("T", (), {"precision": "16-mixed"})()  # Lightning turns 16-mixed into bf16-mixed on a CPU
    with pytest.raises(UnsupportedSettingError, match="bf16-mixed"):
        module.setup("fit")


class Exploding(ToyGAN):
    def generator_loss(self, x: torch.Tensor, y: torch.Tensor | None) -> torch.Tensor:
        loss = super().generator_loss(x, y)
        return loss * (float("nan") if self.images_seen > 8 * 12 else 1.0)


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_last_good_checkpoint(tmp_path: Path) -> None:
    module = Exploding()
    module.log_every = 5
    with pytest.raises(NonFiniteLossError, match=re.escape(str(tmp_path / "last.ckpt"))):
        fit(module, CounterCheckpoint(tmp_path, every=8 * 4), images=8 * 100)
    assert module.images_seen <= 8 * 16
    good = torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"]
    assert int(good["images_seen"]) == 8 * 12
    assert all(torch.isfinite(value).all() for value in good.values())


class Torn(ToyGAN):
    """The update after 96 images overflows, by a loss that is finite."""

    def after_generator_update(self) -> None:
        if self.images_seen == 8 * 12:
            self.G[0].weight[0, 0] = float("inf")


def test_weights_that_the_last_update_tore_reach_no_checkpoint(tmp_path: Path) -> None:
    """The loss that would tell comes a step later, when the only checkpoint would be overwritten."""
    with pytest.raises(NonFiniteLossError, match=r"a weight became nan or infinite at .* images_seen=96 .*last\.ckpt"):
        fit(Torn(), CounterCheckpoint(tmp_path, every=8 * 4), images=8 * 100)
    good = torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"]
    assert int(good["images_seen"]) == 8 * 8
    assert all(torch.isfinite(value).all() for value in good.values())


# 10. compile G and D, never the module; penalty passes run eager; eager and compiled agree.


@pytest.mark.slow
def test_compiled_and_eager_agree() -> None:
    eager, compiled = ToyGAN(penalty=1.0), ToyGAN(penalty=1.0)
    compiled.load_state_dict(eager.state_dict())
    compiled.compile_networks()
    assert compiled.G._compiled_call_impl is not None
    assert compiled._compiled_call_impl is None
    for module in (eager, compiled):
        fit(module, images=8 * 4)
    for (name, a), b in zip(eager.named_parameters(), compiled.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5, msg=name)


# 11. torch >= 2.6 loads with weights_only=True: test_checkpoints.py.


# 12. BatchNorm(n, 0.8) sets eps.


@pytest.mark.parametrize("name", MODELS)
def test_batchnorm_constants_are_the_papers(name: str) -> None:
    for module in MODELS[name]().modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            assert (module.eps, module.momentum) in {(1e-8, 0.1), (1e-5, 0.1)}


def test_batchnorm_is_never_called_with_a_second_positional_argument() -> None:
    source = "\n".join(path.read_text() for path in (ROOT / "zoo").rglob("*.py"))
    assert not re.search(r"BatchNorm\dd\([^)=]*,\s*[\d.]", source)


# 13. lightning 2.6.2 and 2.6.3 were malicious uploads.


def test_the_malicious_releases_cannot_be_installed() -> None:
    from packaging.requirements import Requirement

    (line,) = re.findall(r'^ *"(lightning[>=<!][^"]*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    lightning = Requirement(line)
    assert not any(version in lightning.specifier for version in ("2.6.2", "2.6.3"))
    assert "2.6.6" in lightning.specifier


# 14. wandb, matplotlib and the like are imported where they are used.


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = (
        "import sys, zoo, zoo.__main__, zoo.runs.record; "
        "print([m for m in ('torch', 'numpy', 'yaml') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
    code = "import sys, zoo.training.cli, zoo.models; print([m for m in ('wandb', 'mlxtend') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
