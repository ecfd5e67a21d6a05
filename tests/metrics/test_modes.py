"""The modes of stacked digits: histograms whose answer is known, and the digits themselves."""

import math

import pytest
import torch
from torch import Tensor

from zoo.data import StackedMNIST
from zoo.errors import EvaluationError
from zoo.metrics.measures import MODES_IMAGES, PixelMeasures
from zoo.metrics.modes import MODES, StackedModes, modes_values


@pytest.fixture(scope="module")
def stacks() -> StackedMNIST:
    return StackedMNIST(digits="embedded", stacks=200, resolution=32)


def test_histograms_whose_modes_and_divergence_are_known() -> None:
    even, half, one = torch.full((MODES,), 26), torch.zeros(MODES, dtype=torch.int64), torch.zeros(MODES)
    half[::2], one[123] = 3, 7
    for counts, found, divergence in ((even, 1_000, 0), (half, 500, math.log(2)), (one, 1, math.log(1_000))):
        values = modes_values(counts)
        assert values.found == found
        assert values.kl.item() == pytest.approx(divergence, abs=1e-12)
    uneven = modes_values(torch.tensor([3, 1, 0, 0]))
    assert uneven.kl.item() == pytest.approx(0.75 * math.log(3) + 0.25 * math.log(1))


def test_a_sample_of_the_uniform_distribution_has_the_bias_that_the_page_names() -> None:
    drawn = torch.randint(MODES, (26_000,), generator=torch.Generator().manual_seed(0))
    values = modes_values(torch.bincount(drawn, minlength=MODES))
    assert values.found == MODES
    assert values.kl.item() == pytest.approx(999 / 52_000, rel=0.15)


def test_the_classifier_reads_red_green_and_blue(stacks: StackedMNIST) -> None:
    images, labels = stacks.split("train").images, stacks.split("train").labels
    assert labels is not None
    metric = StackedModes()
    read = metric.classify(images)
    assert (read == labels).float().mean() > 0.95
    assert (
        metric.classify(images.flip(1)) == labels % 10 * 100 + labels // 10 % 10 * 10 + labels // 100
    ).float().mean() > 0.95
    for part in (images[:120], images[120:]):
        metric.update(part)
    assert torch.equal(metric.counts, torch.bincount(read, minlength=MODES))
    assert metric.compute().found == len(read.unique())
    one: Tensor = images[:1].expand(50, -1, -1, -1)
    metric.reset()
    metric.update(one)
    assert metric.compute().found == 1
    assert metric.compute().kl.item() == pytest.approx(math.log(1_000))


def test_images_that_are_no_stacks_are_named() -> None:
    with pytest.raises(EvaluationError, match=r"three digits in the channels, the images are \[1, 32, 32\]"):
        StackedModes().update(torch.zeros(2, 1, 32, 32, dtype=torch.uint8))
    with pytest.raises(EvaluationError, match="no samples"):
        StackedModes().compute()


def test_values_are_of_the_first_26000_samples(stacks: StackedMNIST) -> None:
    images = stacks.split("train").images
    measures = PixelMeasures(["modes"], n_fake=30_000, device=torch.device("cpu"))
    index = torch.arange(MODES_IMAGES - 60, MODES_IMAGES + 40)
    measures.update(images[:100], index, index)
    found, divergence = measures.values()
    assert (found.measure, found.n_fake, divergence.measure) == ("modes", 26_000, "modes_kl")
    assert found.value == len(StackedModes().classify(images[:60]).unique())
    assert "e451fd85" in found.settings  # the classifier's weights
