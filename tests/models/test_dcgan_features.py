"""DCGAN's features under a linear SVM: pooling by hand, the SVM against the one solved by Newton's steps."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from zoo.data import ImageArray
from zoo.experiments.dcgan_features import (
    accuracy,
    features_figures,
    features_findings,
    features_of,
    first_filters,
    fit_svms,
    pooled_features,
    svm_accuracy,
    untrained,
)
from zoo.metrics.separability import fit_svm
from zoo.models.dcgan import DCGAN


def test_features_are_maxima_of_every_layer_on_a_4x4_grid() -> None:
    D = nn.Sequential(nn.LeakyReLU(0.2), nn.Conv2d(1, 2, 2, stride=2), nn.LeakyReLU(0.5), nn.Flatten())
    x = torch.randn(3, 1, 8, 8)
    found = pooled_features(D, x, block=2)
    first = D[0](x)
    maps = D[2](D[1](first))
    assert found.shape == (3, 16 + 2 * 16)
    assert found[1, 0] == first[1, 0, :2, :2].max()
    torch.testing.assert_close(found[:, 16:], maps.flatten(1))  # 4x4 already
    assert sum(16 * c for c in (128, 128, 256, 256, 512, 512)) == 28_672  # the paper's number, of the widths below
    own = [layer.out_channels for layer in DCGAN(network="imagenet32").D if isinstance(layer, nn.Conv2d)]
    assert own == [128, 128, 256, 256, 512, 512]


def test_the_svms_are_those_of_newtons_steps() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(60, 5, dtype=torch.float64), torch.arange(60) % 3
    x[:, 0] += y
    found = fit_svms(x, y, classes=3, C=0.1)
    for k in range(3):
        torch.testing.assert_close(found[:, k], fit_svm(x, y == k, C=0.1), rtol=1e-3, atol=1e-4)
    assert accuracy(x, y, found) > 0.5


def test_separable_classes_are_told_apart() -> None:
    torch.manual_seed(0)
    y = torch.arange(90) % 3
    x = torch.randn(90, 4) * 0.1
    x[torch.arange(90), y] += 5
    reached, C = svm_accuracy((x, y), (x + 0.01, y), classes=3)
    assert reached == 1
    assert C == 1e-5  # the least of equals: with 1e-6 some are mistaken


def images_of(n: int) -> ImageArray:
    images = torch.randint(256, (n, 3, 32, 32), dtype=torch.uint8)
    return ImageArray(images, torch.arange(n) % 2, None, "0" * 64)


def test_members_whose_record_alone_is_there_are_passed_over() -> None:
    runs: Any = {"own_data-seed0": SimpleNamespace(record_alone=True)}
    assert features_findings(runs) == {}
    assert [*features_figures(runs)] == []


def test_features_and_filters_of_a_module() -> None:
    module = DCGAN(network="imagenet32", width=2)
    ((x, y),) = features_of(module, images_of(5))
    assert x.shape == (5, 16 * (2 + 2 + 4 + 4 + 8 + 8))
    assert y.tolist() == [0, 1, 0, 1, 0]
    filters = first_filters(module.D)
    assert filters.shape == (2, 3, 24, 24)
    assert filters.abs().amax((1, 2, 3)).tolist() == pytest.approx([1, 1])
    assert module.training


def test_batchnorm_has_the_statistics_of_the_training_images() -> None:
    """Of one batch of them features are those of training mode, whatever moving averages D has; of others too."""
    torch.manual_seed(0)
    module, train = DCGAN(network="imagenet32", width=2), images_of(128)
    (x, _), (other, _) = features_of(module, train, images_of(3))
    expected = pooled_features(module.D, module.preprocess(train.images))  # moves the averages
    torch.testing.assert_close(x, expected, rtol=1e-2, atol=1e-3)  # the variance is the unbiased one
    norms = [layer for layer in module.D if isinstance(layer, nn.BatchNorm2d)]
    for layer in norms:
        layer.running_mean.fill_(3.0)
        layer.running_var.fill_(9.0)
    again, _ = features_of(module, train, images_of(3))
    assert torch.equal(again[0], x)
    assert other.shape == (3, x.shape[1])
    assert norms[0].running_mean.tolist() == [3, 3]


@pytest.mark.parametrize("seed", [0, 1])
def test_the_untrained_d_is_that_of_the_members_seed(seed: int) -> None:
    torch.manual_seed(seed)
    module = DCGAN(network="imagenet32", width=2)
    module.seed = seed
    first = module.D[0].weight.detach().clone()
    with torch.no_grad():
        module.D[0].weight.zero_()
    torch.manual_seed(99)
    made = untrained(module)
    assert torch.equal(made.D[0].weight, first)
    assert torch.initial_seed() == 99
