"""cGAN: schedules, the conditional losses against plain autograd, sampling by label."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from cgan_toys import on_meta, small
from torch import Tensor, nn
from toys import DIAGNOSTICS, ToyData, fit

from zoo.data import Digits, ImageArray
from zoo.errors import UnsupportedSettingError
from zoo.experiments.cgan import class_rows, label_accuracy, measure, sample_classes
from zoo.models.cgan import CGAN


class LabelledDigits(ToyData):
    """A few 28x28 images that LeNet knows, as MNIST, with all splits."""

    name = "MNIST"
    extractor = "lenet"
    labelled_classes = 10
    native_resolution = 28
    splits = ("train", "validation", "test")

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        images = torch.randint(256, (16, 1, 28, 28), generator=generator, dtype=torch.uint8)
        self.array = ImageArray(images, torch.arange(16) % 10, None, "1" * 64)

    def split(self, name: Any) -> ImageArray:
        return self.array.slice(*{"train": (0, 16), "validation": (0, 5), "test": (5, 12)}[name])


class Unlabelled(ToyData):
    labelled_classes = None

    def __init__(self) -> None:
        super().__init__()
        self.array = ImageArray(self.array.images, None, None, self.array.fingerprint)


# Laws and schedules.


@pytest.mark.parametrize(("network", "low", "mean"), [("mnist", 0, 0.5), ("convolutional", -1, 0)])
def test_latents_are_uniform(network: Any, low: float, mean: float) -> None:
    z = on_meta(network=network).latents(4_000, generator=torch.Generator().manual_seed(0))
    assert z.shape == (4_000, 2_500 if network == "mnist" else 100)
    assert low <= z.min() < low + 0.001
    assert 0.999 < z.max() <= 1
    assert z.mean().item() == pytest.approx(mean, abs=0.01)
    assert z.var().item() == pytest.approx((1 - low) ** 2 / 12, rel=0.01)


def test_learning_rate_and_momentum_of_section_4_1(monkeypatch: pytest.MonkeyPatch) -> None:
    module = on_meta()
    optimizers = module.configure_optimizers()
    monkeypatch.setattr(module, "both_optimizers", lambda: optimizers)

    def schedule(steps: int, images: int) -> tuple[float, float]:
        module.discriminator_steps, module.images_seen = steps, images
        module.before_update()
        (group_D,), (group_G,) = (optimizer.param_groups for optimizer in optimizers)
        assert (group_D["lr"], group_D["momentum"]) == (group_G["lr"], group_G["momentum"])
        return group_D["lr"], group_D["momentum"]

    assert schedule(0, 0) == (0.1, 0.5)
    assert schedule(1, 100) == (pytest.approx(0.1 / 1.00004), 0.5)
    lr, momentum = schedule(50_000, 50_000 * 100)  # epoch 100
    assert lr == pytest.approx(0.1 * math.exp(-50_000 * math.log(1.00004)))
    assert momentum == pytest.approx(0.5 + 0.2 * 99 / 249)
    floor = math.ceil(math.log(1e5) / math.log(1.00004))  # about 288,000
    assert schedule(floor - 1000, 50_000 * 250)[0] > 1e-6
    assert schedule(floor, 50_000 * 250) == (1e-6, pytest.approx(0.7))
    assert schedule(2 * floor, 50_000 * 900) == (1e-6, pytest.approx(0.7))


# Equation 2.


def plain_losses(module: CGAN, x: Tensor, y: Tensor, *, z: Tensor) -> tuple[Tensor, Tensor]:
    """Both losses by probabilities and logarithms, labels by indexing."""
    labels = torch.zeros(len(y), module.num_classes)
    for row, label in zip(labels, y.tolist(), strict=True):
        row[label] = 1
    fake = module.G(z, labels)
    real = torch.sigmoid(module.D(x, labels))
    p = torch.sigmoid(module.D(fake, labels))
    return -0.5 * (real.log().mean() + (1 - p).log().mean()), -p.log().mean()


def test_losses_and_gradients_against_plain_autograd() -> None:
    module = small(width=4)
    for p in module.parameters():
        p.data.mul_(5)  # gradients worth comparing
    x, y = torch.rand(6, 1, 8, 8) * 2 - 1, torch.tensor([0, 2, 1, 2, 0, 2])
    draw = lambda: torch.rand(6, 100, generator=torch.Generator().manual_seed(3)) * 2 - 1  # noqa: E731
    for player, loss, which in ((module.D, module.discriminator_loss, 0), (module.G, module.generator_loss, 1)):
        module.latent_generator.manual_seed(3)
        value = loss(x, y)
        expected = plain_losses(module, x, y, z=draw())[which]
        assert value.item() == pytest.approx(expected.item(), rel=1e-5)
        parameters = list(player.parameters())
        for a, b in zip(torch.autograd.grad(value, parameters), torch.autograd.grad(expected, parameters), strict=True):
            assert b.norm() > 1e-6
            torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5 * b.norm().item())
        other = loss(x, (y + 1) % 3)  # both players look at the label
        assert abs(other.item() - value.item()) > 1e-4


def test_hand_values_of_the_losses() -> None:
    module = small()
    for p in module.D.parameters():
        nn.init.zeros_(p)  # D = 1/2
    x, y = torch.zeros(4, 1, 8, 8), torch.zeros(4, dtype=torch.int64)
    assert module.discriminator_loss(x, y).item() == pytest.approx(math.log(2))
    assert module.generator_loss(x, y).item() == pytest.approx(math.log(2))


def test_fakes_carry_the_labels_of_the_reals() -> None:
    module = small()
    seen: list[Tensor] = []
    for net in (module.G, module.D):
        net.register_forward_hook(lambda layer, inputs, output: seen.append(inputs[1]))
    y = torch.tensor([2, 0, 0, 1])
    module.discriminator_loss(torch.zeros(4, 1, 8, 8), y)
    module.generator_loss(torch.zeros(4, 1, 8, 8), y)
    assert len(seen) == 5
    assert all(torch.equal(labels, torch.eye(3)[y]) for labels in seen)


# Sampling by label.


@pytest.mark.parametrize("network", ["mnist", "convolutional"])
def test_a_sample_does_not_depend_on_the_other_labels(network: Any) -> None:
    torch.manual_seed(0)
    module = CGAN(network=network, width=8)
    a = module.sample(5, labels=torch.tensor([3, 0, 1, 2, 4]), seed=1)
    b = module.sample(5, labels=torch.tensor([3, 9, 9, 9, 4]), seed=1)
    assert a.shape == (5, 1, 28, 28)
    assert a.abs().max() <= 1
    torch.testing.assert_close(a[[0, 4]], b[[0, 4]])
    for i in (1, 2, 3):  # and it does depend on its own
        assert (a[i] - b[i]).abs().max() > 1e-4
    assert module.training  # and the mode is as before
    torch.testing.assert_close(module.sample(5, labels=torch.tensor([3, 0, 1, 2, 4]), seed=1), a)  # dropout too


@pytest.mark.parametrize("labels", [[0, 3], [-1, 0]])
def test_labels_outside_the_classes_are_refused(labels: list[int]) -> None:
    with pytest.raises(ValueError, match=r"0\.\.2"):
        small().sample(2, labels=torch.tensor(labels))


def test_class_rows() -> None:
    module = small()
    seen: list[Tensor] = []
    module.G.register_forward_hook(lambda layer, inputs, output: seen.append(inputs[1]))
    rows = class_rows(module)
    assert rows.shape == (3, 10, 1, 8, 8)
    assert torch.cat(seen).argmax(1).tolist() == [0] * 10 + [1] * 10 + [2] * 10


# Scales.


def test_scale_of_both_networks() -> None:
    pixels = torch.arange(256, dtype=torch.uint8).repeat(4)[:784].view(1, 1, 28, 28)
    paper, extension = on_meta(), on_meta(network="convolutional")
    torch.testing.assert_close(paper.preprocess(pixels), pixels.float() / 255)
    torch.testing.assert_close(extension.preprocess(pixels), pixels.float() / 127.5 - 1)
    for module in (paper, extension):
        shown = module.preprocess(pixels)
        module.G = Constant(shown)
        torch.testing.assert_close(module.generate(torch.zeros(1, 100), torch.zeros(1).long()), pixels / 127.5 - 1)


class Constant(nn.Module):
    """Makes one image, whatever is asked."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        self.image = image

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        return self.image.expand(len(z), -1, -1, -1)


# Training.


class BlackOrWhite(ToyData):
    """Class 0 is dark, class 1 is bright, with some noise."""

    labelled_classes = 2

    def __init__(self) -> None:
        super().__init__(n=64, batch_size=32)
        labels = torch.arange(64) % 2
        noise = torch.randint(60, (64, 1, 8, 8), generator=torch.Generator().manual_seed(0))
        self.array = ImageArray((noise + labels.view(-1, 1, 1, 1) * 195).to(torch.uint8), labels, None, "2" * 64)


def test_learns_what_a_label_means() -> None:
    module = small(num_classes=2, lr=2e-3)
    before = module.sample(64, labels=torch.arange(64) % 2, seed=0)
    assert (before[1::2].mean() - before[0::2].mean()).abs() < 0.2
    fit(module, data=BlackOrWhite(), images=32 * 200)
    after = module.sample(64, labels=torch.arange(64) % 2, seed=0)
    assert after[0::2].mean() < -0.3
    assert after[1::2].mean() > 0.3


def test_the_papers_network_moves_both_players_and_counts() -> None:
    module = CGAN()
    before = {name: p.clone() for name, p in module.named_parameters()}
    module.log_every = 1
    fit(module, data=LabelledDigits(), images=24)
    assert (module.images_seen, module.discriminator_steps, module.generator_steps) == (24, 3, 3)
    assert set(module.latest) == {"loss_discriminator", "loss_generator", *DIAGNOSTICS}
    assert all(not torch.equal(before[name], p) for name, p in module.named_parameters())


def test_data_without_labels_need_a_model_of_one_class() -> None:
    module = small(num_classes=1)
    fit(module, data=Unlabelled(), images=16)
    assert module.discriminator_steps == 2
    with pytest.raises(UnsupportedSettingError, match=r"no classes.*num_classes 1"):
        fit(small(), data=Unlabelled(), images=16)
    with pytest.raises(UnsupportedSettingError, match=r"3 classes.*num_classes 3"):
        fit(small(num_classes=10), images=16)
    with pytest.raises(UnsupportedSettingError, match="no labels"):
        small().generator_loss(torch.zeros(2, 1, 8, 8), None)


# Measures.


def real_digits(monkeypatch: pytest.MonkeyPatch, module: CGAN, *, shift: int) -> None:
    """Makes the module draw real digits, of the class `shift` beyond the one asked for."""
    array = Digits().split("train")
    assert array.labels is not None
    of_class = [array.images[array.labels == label] for label in range(10)]

    def generate(z: Tensor, y: Tensor) -> Tensor:
        images = [of_class[(label + shift) % 10][i % 50] for i, label in enumerate(y.tolist())]
        return torch.stack(images).float() / 127.5 - 1

    monkeypatch.setattr(module, "generate", generate)


@pytest.mark.parametrize(("shift", "low", "high"), [(0, 0.97, 1), (1, 0, 0.03)])
def test_label_accuracy_of_real_digits(monkeypatch: pytest.MonkeyPatch, shift: int, low: float, high: float) -> None:
    module = CGAN()
    real_digits(monkeypatch, module, shift=shift)
    images, labels = sample_classes(module, 60, seed=0)
    assert torch.bincount(labels).tolist() == [60] * 10
    assert low <= label_accuracy(images, labels) <= high


def test_measures_of_table_1_against_a_slow_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    module, data = CGAN(), LabelledDigits()

    def fewer(module: CGAN, n: int, *, seed: int) -> tuple[Tensor, Tensor]:
        assert n == 1_000  # as in the paper; the rest of this test needs no more than 20
        return sample_classes(module, 20, seed=seed)

    monkeypatch.setattr("zoo.experiments.cgan.sample_classes", fewer)
    values, protocol = measure(module, data, seed=5)
    images, labels = sample_classes(module, 20, seed=5)
    assert values["accuracy_lenet"] == pytest.approx(label_accuracy(images, labels))
    samples = (images.double().flatten(1).numpy() + 1) / 2
    sigma = values["parzen_sigma"]
    log_p = []
    for x in data.split("test").images.flatten(1).double().numpy() / 255:
        terms = [-((x - s) ** 2).sum() / (2 * sigma**2) for s in samples]
        log_p.append(np.logaddexp.reduce(terms) - math.log(len(terms)) - 392 * math.log(2 * math.pi * sigma**2))
    assert values["parzen_ll"] == pytest.approx(np.mean(log_p), rel=1e-5)
    assert values["parzen_ll_error"] == pytest.approx(np.std(log_p) / len(log_p) ** 0.5, rel=1e-3)
    assert "parzen_ll_validation" in values
    assert protocol["seed"] == 5


def test_no_measures_of_data_that_are_no_digits() -> None:
    assert measure(small(), ToyData(), seed=0).values == {}


def test_hyperparameters_rebuild_the_module() -> None:
    module = small()
    again = CGAN(**dict(module.hparams))
    again.load_state_dict(module.state_dict())
    torch.testing.assert_close(again.sample(3, seed=0), module.sample(3, seed=0))
