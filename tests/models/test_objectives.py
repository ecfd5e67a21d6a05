"""The benchmark's module: every objective is its paper's own loss code, to the bit; the new losses by hand."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from toys import fit

from reproductions.benchmark import OBJECTIVES as MEMBERS
from zoo.data import Digits
from zoo.errors import UnsupportedSettingError
from zoo.models import CGAN, DCGAN, LSGAN, MODELS, TRAINED, WGAN, WGANGP, AdversarialModule, InfoGAN
from zoo.models.benchmark import Benchmark
from zoo.models.objectives import OBJECTIVES
from zoo.nn.losses import (
    hinge_discriminator_loss,
    non_saturating_generator_loss,
    r1_penalty,
    relativistic_loss,
    saturating_generator_loss,
)

Settings = dict[str, Any]
Paper = Callable[[], AdversarialModule]
SMALL: Settings = {"width": 2, "z_dim": 16}
ADAM: Settings = {"lr": 2e-4, "beta1": 0.5}


def digits() -> Digits:
    return Digits(batch_size=8, train_images=32, resolution=32)


class FreshLSGAN(LSGAN):
    """LSGAN with the benchmark's prior; G's turn has latents of its own."""

    def latents(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        return torch.randn(n, self.z_dim, generator=generator)

    def discriminator_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        loss = super().discriminator_loss(x, y)
        self.z = None
        return loss


class NormalCGAN(CGAN):
    """cGAN with the benchmark's prior."""

    def latents(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        return torch.randn(n, self.z_dim, generator=generator)


class PlainWGANGP(WGANGP):
    """WGAN-GP without its two ways to be faster: a fused Adam, and one batch of reals and samples."""

    def make_optimizer(self, net: nn.Module, *, weight_decay: float = 0.0) -> torch.optim.Optimizer:
        return torch.optim.Adam(net.parameters(), lr=self.lr, betas=(self.beta1, self.beta2))

    def outputs(self, x: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        return self.D(x), self.D(fake)


#: By objective: further settings of the benchmark's module, and the paper's own module with the same settings.
PAPERS: dict[str, tuple[Settings, Paper]] = {
    "non-saturating": (
        {**ADAM, "batchnorm_D": True},
        lambda: DCGAN(network="community", resolution=32, channels=1, **SMALL, **ADAM),
    ),
    "wgan": (
        {"optimizer": "rmsprop", "lr": 5e-5, "n_critic": 2, "batchnorm_D": True},
        lambda: WGAN(
            critic="dcgan",
            resolution=32,
            channels=1,
            width_G=2,
            width_D=2,
            z_dim=16,
            n_critic=2,
            clip_when="after",
            warm_start=False,
        ),
    ),
    "wgan-gp": (
        {"lr": 1e-4, "beta1": 0.5, "beta2": 0.9, "n_critic": 2, "weight": 10.0, "z_dim": 128},
        lambda: PlainWGANGP(
            network="random", channels=1, filters=[2], beta1=0.5, n_critic=2, weight_decay=0.0, lr=1e-4
        ),
    ),
    "lsgan": (
        {**ADAM, "z_dim": 16},
        lambda: FreshLSGAN(network="dcgan", resolution=32, channels=1, width=2, z_dim=16),
    ),
    "lsgan-pearson": (
        {**ADAM, "z_dim": 16},
        lambda: FreshLSGAN(network="dcgan", resolution=32, channels=1, width=2, z_dim=16, a=-1.0, b=1.0, c=0.0),
    ),
    "cgan": (
        {"z_dim": 100, "batchnorm_D": True},
        lambda: NormalCGAN(network="convolutional", resolution=32, width=2),
    ),
    "infogan": (
        {"z_dim": 74, "weight": 1.0},
        lambda: InfoGAN(network="celeba", channels=1, noise=62, codes=1, continuous=2, width=4, lr_D=2e-4, lr_G=2e-4),
    ),
}
#: Papers whose own networks are the benchmark's: nothing of theirs is replaced.
OWN_NETWORKS = ("non-saturating", "wgan", "cgan")


def train(module: AdversarialModule) -> dict[str, Tensor]:
    """The state after six updates of D."""
    fit(module, data=digits(), images=48)
    return module.state_dict()


@pytest.mark.parametrize("objective", PAPERS)
def test_a_member_is_its_papers_own_training_to_the_bit(objective: str) -> None:
    settings, paper = PAPERS[objective]
    torch.manual_seed(0)
    ours = Benchmark(objective=objective, **{**SMALL, **settings})
    theirs = paper().to(memory_format=torch.channels_last)  # cGAN and InfoGAN do without, which rounds otherwise
    if objective not in OWN_NETWORKS:
        twin = Benchmark(objective=objective, **{**SMALL, **settings})
        theirs.G, theirs.D = twin.G, twin.D
    for net in ("G", "D"):
        getattr(theirs, net).load_state_dict(getattr(ours, net).state_dict())
    own, other = train(ours), train(theirs)
    assert own.keys() == other.keys()
    assert int(own["generator_steps"]) == 6 // ours.n_critic
    assert all(torch.equal(value, other[name]) for name, value in own.items())


def test_networks_of_a_seed_are_those_of_dcgan() -> None:
    """Built in the same order, so that even the first weights agree without copying."""
    settings, paper = PAPERS["non-saturating"]
    torch.manual_seed(3)
    first = Benchmark(**SMALL, **settings).state_dict()
    torch.manual_seed(3)
    second = paper().state_dict()
    assert all(torch.equal(value, second[name]) for name, value in first.items())


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_trains_and_samples(objective: str) -> None:
    torch.manual_seed(0)
    module = Benchmark(objective=objective, weight=1.0, **SMALL)
    before = module.sample(2, seed=0)
    train(module)
    after = module.sample(2, seed=0)
    assert after.shape == (2, 1, 32, 32)
    assert torch.isfinite(after).all()
    assert not torch.equal(before, after)
    assert (objective in ("cgan",)) == (module.num_classes is not None)


@pytest.mark.parametrize("objective", ["hinge", "cgan", "infogan"])
def test_a_discriminator_without_batchnorm_can_tell_grey_images(objective: str) -> None:
    """Without biases it gives them the logit 0 for ever; and its first signals neither die away nor grow."""
    torch.manual_seed(0)
    module = Benchmark(objective=objective, width=16)
    label = torch.zeros(8, dtype=torch.long)
    noise = module.score(torch.randn(8, 1, 32, 32), label)
    assert 0.03 < noise.std() < 3
    train(module)
    assert module.score(torch.zeros(1, 1, 32, 32), label[:1]).item() != 0


def test_the_benchmark_is_no_paper() -> None:
    assert "benchmark" not in MODELS
    assert TRAINED["benchmark"] is Benchmark


def test_new_losses_by_hand() -> None:
    zeros = torch.zeros(3, 1)
    assert saturating_generator_loss(zeros).item() == pytest.approx(-math.log(2))
    real, fake = torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 1.0])
    assert hinge_discriminator_loss(real, fake).item() == pytest.approx((0 + 0.5) / 2 + (0 + 2) / 2)
    assert relativistic_loss(winner=real, loser=fake).item() == pytest.approx(
        (math.log1p(math.exp(-5)) + math.log1p(math.exp(0.5))) / 2
    )
    # both players of the first GAN agree on the direction, and the saturating one has the smaller gradient
    logits = torch.full((1,), -3.0, requires_grad=True)
    slopes = [
        torch.autograd.grad(loss(logits), logits)[0].item()
        for loss in (saturating_generator_loss, non_saturating_generator_loss)
    ]
    assert slopes == pytest.approx([-1 / (1 + math.exp(3)), -1 / (1 + math.exp(-3))])


def test_relativistic_objective_in_closed_form() -> None:
    """D linear, D(x) = w x: both penalties are |w|^2, so that R3GAN's add gamma |w|^2 to softplus(D(G(z)) - D(x))."""
    objective = OBJECTIVES["relativistic"](weight=4.0)
    w = torch.arange(4.0)
    D = lambda images: images.flatten(1) @ w[:, None]  # noqa: E731
    x, fake = torch.randn(5, 1, 2, 2), torch.randn(5, 1, 2, 2)
    penalty = objective.penalty(D, x, fake)
    assert penalty is not None
    assert penalty.item() == pytest.approx(w.square().sum().item())
    assert objective.of_discriminator(D(x), D(fake)).item() == pytest.approx(
        nn.functional.softplus(D(fake) - D(x)).mean().item()
    )
    assert objective.of_generator(D(fake), lambda: D(x)).item() == pytest.approx(
        nn.functional.softplus(D(x) - D(fake)).mean().item()
    )
    r1 = OBJECTIVES["r1"](weight=4.0).penalty(D, x, fake)
    assert r1 is not None
    assert r1.item() == pytest.approx(r1_penalty(D, x).item() / 2)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"objective": "wgangp"}, "no objective 'wgangp': choose from saturating"),
        ({"objective": "r1", "batchnorm_D": True}, "which BatchNorm in D would mix"),
        ({"resolution": 20}, "power of two"),
        ({"lr": 0.0}, "lr must be above 0"),
        ({"weight": -1.0}, "weight must be 0 or more"),
        ({"objective": "infogan", "z_dim": 11}, "z_dim=11: the codes of infogan take 12"),
    ],
)
def test_settings_that_cannot_be(settings: Settings, text: str) -> None:
    with pytest.raises(UnsupportedSettingError, match=text):
        Benchmark(**settings)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_prior_says_what_the_latents_are(objective: str) -> None:
    module = Benchmark(objective=objective, **SMALL)
    z = module.latents(64, generator=torch.Generator().manual_seed(0))
    parts = z.split([part.columns for part in module.prior], dim=1)
    for part, columns in zip(module.prior, parts, strict=True):
        assert (columns.abs().max() > 1) == (part.distribution == "normal")
        assert ((columns == 0) | (columns == 1)).all() == (part.distribution == "one-hot")


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_samples_of_a_module_in_another_precision(objective: str, dtype: torch.dtype) -> None:
    samples = Benchmark(objective=objective, **SMALL).to(dtype).sample(2, seed=0)
    assert samples.dtype == torch.float32
    assert samples.isfinite().all()


def test_an_objective_by_its_name_alone_has_its_penalty() -> None:
    weights = {name: Benchmark(objective=name, **SMALL).objective.weight for name in OBJECTIVES}
    assert {name: weight for name, weight in weights.items() if weight} == {
        name: settings["weight"] for name, settings in MEMBERS.items() if "weight" in settings
    }
    assert Benchmark(objective="wgan-gp", weight=0.0, **SMALL).objective.weight == 0


def test_clipping_leaves_frozen_weights_alone() -> None:
    module = Benchmark(objective="wgan", **SMALL)
    first, *others = module.D.parameters()
    torch.nn.init.constant_(first.requires_grad_(False), 0.5)
    with torch.no_grad():
        module.after_discriminator_update()
    assert (first == 0.5).all()
    assert all(weight.abs().max() <= 0.01 for weight in others)
