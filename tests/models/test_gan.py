"""GAN's training: the schedules, and the simultaneous update against plain autograd."""

import copy
import math
from typing import Any

import pytest
import torch
from gan_toys import NETWORKS, linear_layers, on_meta
from lightning.pytorch import Callback, Trainer
from torch import Tensor, nn
from toys import ToyData, fit

from reproductions.cgan import RECIPES as CGAN_RECIPES
from reproductions.gan import MOMENTUM, RECIPES
from zoo.data import ImageArray
from zoo.experiments.gan import measure
from zoo.models.gan import GAN

# Schedules.


@pytest.mark.parametrize(
    ("epoch", "momentum"),
    [(0, 0.5), (1, 0.5), (2, 0.5 + 0.2 / 249), (125, 0.5 + 0.2 * 124 / 249), (250, 0.7), (300, 0.7)],
)
def test_momentum_by_epoch(epoch: int, momentum: float) -> None:
    assert on_meta("mnist").schedule.momentum(epoch) == pytest.approx(momentum, abs=1e-12)


def test_the_recipes_raise_the_momentum_as_pylearn2_does() -> None:
    """Its extension counts the epochs that are about to begin, the first as 1: 0.5 there, 0.7 in number 250."""
    for name in ("mnist", "cifar10_fully_connected", "cifar10_convolutional"):
        schedule = on_meta(**RECIPES[name].config["model"]).schedule
        for number in range(1, 300):
            alpha = min(1.0, (number - 1) / (250 - 1))
            assert schedule.momentum(number - 1) == pytest.approx(0.5 * (1 - alpha) + 0.7 * alpha, abs=1e-12)
    assert schedule.momentum(1) == pytest.approx(0.5008, abs=1e-5)
    assert RECIPES["digits"].config["model"].get("momentum_first_epoch") is None
    assert CGAN_RECIPES["mnist"].config["model"].items() >= MOMENTUM.items()  # which takes over what it does not say


class Optimizers:
    """What `before_update` needs of the trainer's optimizers."""

    def __init__(self, module: GAN) -> None:
        self.both = module.configure_optimizers()
        module.both_optimizers = lambda: self.both

    def read(self, key: str) -> float:
        D, G = (optimizer.param_groups[0][key] for optimizer in self.both)
        assert D == G
        return float(D)


@pytest.mark.parametrize(
    ("network", "lr"), [("mnist", 0.1), ("cifar10_fully_connected", 0.025), ("cifar10_convolutional", 0.004)]
)
def test_learning_rate_by_update(network: str, lr: float) -> None:
    module = on_meta(network)
    optimizers = Optimizers(module)
    assert optimizers.read("lr") == lr
    for update in (0, 1, 1_000, 1_000_000):
        module.discriminator_steps = update
        module.before_update()
        assert optimizers.read("lr") == pytest.approx(lr * math.exp(-update * math.log(1.000004)), rel=1e-9)
    module.discriminator_steps = 10_000_000
    module.before_update()
    assert optimizers.read("lr") == 1e-6  # the floor


def test_adam_has_a_constant_rate_and_no_schedule() -> None:
    module = on_meta("mnist_rgb64", optimizer="adam")
    optimizers = Optimizers(module)
    for update in (0, 1_000_000):
        module.discriminator_steps, module.images_seen = update, 100 * update
        module.before_update()
        assert optimizers.read("lr") == 2e-4
        assert [optimizer.param_groups[0]["betas"] for optimizer in optimizers.both] == [(0.5, 0.999)] * 2
    assert isinstance(optimizers.both[0], torch.optim.Adam)
    assert on_meta("mnist", optimizer="adam", lr=1e-3).configure_optimizers()[1].defaults["lr"] == 1e-3


@pytest.mark.parametrize(
    ("settings", "images", "epoch"),
    [
        ({"network": "mnist"}, 99_999, 1),
        ({"network": "mnist"}, 100_000, 2),
        ({"network": "cifar10_convolutional"}, 80_000, 2),
        ({"network": "cifar10_fully_connected"}, 40_000 * 125, 125),
        ({"network": "mnist", "images_per_epoch": 5_000}, 5_000 * 250, 250),
    ],
)
def test_epochs_of_the_momentum_are_counted_in_images(settings: dict[str, Any], images: int, epoch: int) -> None:
    module = on_meta(**settings)
    optimizers = Optimizers(module)
    module.images_seen = images
    module.before_update()
    expected = 0.5 + 0.2 * min(max(epoch - 1, 0), 249) / 249
    assert optimizers.read("momentum") == pytest.approx(expected, abs=1e-12)


# The update.


class Digits28(ToyData):
    """16 random images in the shape of MNIST."""

    native_resolution = 28

    def __init__(self) -> None:
        super().__init__(n=16, batch_size=8)
        images = torch.randint(256, (16, 1, 28, 28), generator=torch.Generator().manual_seed(3), dtype=torch.uint8)
        self.array = ImageArray(images, None, None, "0" * 64)


class Snapshot(Callback):
    """Both players, the batch and the random streams before each update, and the gradients that it took."""

    def __init__(self) -> None:
        self.before: list[dict[str, Any]] = []
        self.after: list[dict[str, Any]] = []

    def on_train_batch_start(self, trainer: Trainer, pl_module: GAN, batch: Any, batch_idx: int) -> None:
        self.before.append(
            {
                "G": copy.deepcopy(pl_module.G),
                "D": copy.deepcopy(pl_module.D),
                "x": batch[0].clone(),
                "latents": pl_module.latent_generator.get_state(),
                "dropout": torch.get_rng_state(),
            }
        )

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.after.append(
            {
                name: [(p.grad.clone(), p.detach().clone()) for p in getattr(pl_module, name).parameters()]
                for name in ("G", "D")
            }
            | {"copy_of_D": copy.deepcopy(pl_module.D)}
        )


def train(*, update: Any, dropout: bool, batches: int = 1) -> Snapshot:
    """`batches` updates of a GAN whose D is larger than at its start, so that its gradients are worth comparing."""
    torch.manual_seed(0)
    module = GAN(update=update)
    for layer in linear_layers(module.D):
        layer.weight.data.mul_(10)
    for layer in module.D.modules():
        if isinstance(layer, nn.Dropout) and not dropout:
            layer.p = 0.0
    snapshot = Snapshot()
    fit(module, snapshot, data=Digits28(), images=8 * batches)
    return snapshot


def latents_of(state: Tensor, draws: int) -> list[Tensor]:
    """The next z, each U(-sqrt 3, sqrt 3) of [8, 100], from a state of the latent stream."""
    generator = torch.Generator()
    generator.set_state(state)
    return [(torch.rand(8, 100, generator=generator) * 2 - 1) * 3**0.5 for _ in range(draws)]


def plain_gradients(before: dict[str, Any]) -> dict[str, list[Tensor]]:
    """Both players' gradients before either moves: probabilities, logarithms and autograd, nothing else."""
    G, D, x = before["G"], before["D"], before["x"]
    torch.set_rng_state(before["dropout"])
    fake = torch.sigmoid(D(G(latents_of(before["latents"], 1)[0])))  # D(G(z)) once: one dropout mask for both losses
    real = torch.sigmoid(D(x))
    loss_D = -0.5 * (real.log().mean() + (1 - fake).log().mean())
    loss_G = -fake.log().mean()
    return {
        "D": list(torch.autograd.grad(loss_D, list(D.parameters()), retain_graph=True)),
        "G": list(torch.autograd.grad(loss_G, list(G.parameters()))),
    }


def distance(taken: list[tuple[Tensor, Tensor]], expected: list[Tensor]) -> float:
    """Largest difference in any parameter's gradient, relative to that gradient's size."""
    assert all(reference.norm() > 1e-6 for reference in expected)  # nothing is equal for being zero
    return max(
        float((gradient - reference).norm() / reference.norm())
        for (gradient, _), reference in zip(taken, expected, strict=True)
    )


@pytest.mark.parametrize("dropout", [False, True])
def test_simultaneous_gradients_are_those_before_either_moves(dropout: bool) -> None:
    snapshot = train(update="simultaneous", dropout=dropout, batches=2)
    for before, after in zip(snapshot.before, snapshot.after, strict=True):
        expected = plain_gradients(before)
        for name in ("D", "G"):
            assert distance(after[name], expected[name]) < 1e-5
            largest = max(
                float((gradient - reference).abs().max())
                for (gradient, _), reference in zip(after[name], expected[name], strict=True)
            )
            assert largest < 1e-6


def test_the_first_update_is_a_step_of_sgd_for_both() -> None:
    snapshot = train(update="simultaneous", dropout=True)
    for name in ("D", "G"):
        for old, (gradient, new) in zip(snapshot.before[0][name].parameters(), snapshot.after[0][name], strict=True):
            torch.testing.assert_close(new, old - 0.1 * gradient)
            assert not torch.equal(new, old)


def test_the_second_update_carries_half_of_the_first() -> None:
    snapshot = train(update="simultaneous", dropout=True, batches=2)
    lr = 0.1 / 1.000004
    for name in ("D", "G"):
        old = snapshot.before[1][name].parameters()
        for p, (first, _), (second, new) in zip(old, snapshot.after[0][name], snapshot.after[1][name], strict=True):
            torch.testing.assert_close(new, p - lr * (second + 0.5 * first))


def test_alternating_updates_the_generator_against_the_new_discriminator_with_fresh_latents() -> None:
    snapshot = train(update="alternating", dropout=False)
    before, after = snapshot.before[0], snapshot.after[0]
    simultaneous = plain_gradients(before)
    assert distance(after["D"], simultaneous["D"]) < 1e-5
    assert distance(after["G"], simultaneous["G"]) > 1e-2
    _, z = latents_of(before["latents"], 2)
    loss = -torch.sigmoid(after["copy_of_D"](before["G"](z))).log().mean()
    assert distance(after["G"], list(torch.autograd.grad(loss, list(before["G"].parameters())))) < 1e-5


def test_alternating_losses_are_halved_for_the_discriminator_alone() -> None:
    module = GAN(update="alternating")
    for parameter in module.D.parameters():
        nn.init.zeros_(parameter)  # D = 1/2
    x = torch.rand(4, 784)
    assert module.discriminator_loss(x, None).item() == pytest.approx(math.log(2))
    assert module.generator_loss(x, None).item() == pytest.approx(math.log(2))
    nn.init.constant_(module.D[-1].bias, 0.7)  # D = 0.668 everywhere
    p = 1 / (1 + math.exp(-0.7))
    expected = -0.5 * (math.log(p) + math.log(1 - p))
    assert module.discriminator_loss(x, None).item() == pytest.approx(expected, rel=1e-5)
    assert module.generator_loss(x, None).item() == pytest.approx(-math.log(p), rel=1e-5)


def test_a_learnt_output_bias_is_not_started_anew() -> None:
    """Fine-tuning begins with the source's G, not with its weights and the bias of an untrained one."""
    module, images = GAN(width=16), torch.full((4, 1, 28, 28), 51, dtype=torch.uint8)
    module.start_from(images)
    torch.testing.assert_close(module.G[-2].bias.detach(), torch.full((784,), math.log(0.2 / 0.8)))
    torch.nn.init.constant_(module.G[-2].bias, 3.0)
    module.start_from(images)
    assert (module.G[-2].bias == 3).all()


@pytest.mark.parametrize("update", ["simultaneous", "alternating"])
def test_counters_advance_together(update: Any) -> None:
    module = GAN(update=update)
    fit(module, data=Digits28(), images=24)
    assert (module.images_seen, module.discriminator_steps, module.generator_steps) == (24, 3, 3)


@pytest.mark.parametrize("network", NETWORKS)
def test_no_parzen_measure_without_the_splits_of_table_1(network: str) -> None:
    data = ToyData()  # no validation split
    assert measure(on_meta(network), data, seed=0).values == {}
