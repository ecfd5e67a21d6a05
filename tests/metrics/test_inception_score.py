import math

import pytest
import torch
from torch_fidelity.metric_isc import isc_features_to_metric

from zoo.metrics import InceptionScore


def score(logits, *, splits=10, order=None):
    metric = InceptionScore(num_samples=len(logits), num_classes=logits.shape[1], splits=splits)
    order = torch.arange(len(logits)) if order is None else order
    for part in order.split(37):
        metric.update(logits[part], index=part)
    mean, std = metric.compute()
    return float(mean), float(std)


def slow(logits, splits):
    n, scores = len(logits), []
    for s in range(splits):
        rows = logits[s * n // splits : (s + 1) * n // splits].double().softmax(dim=1).tolist()
        marginal = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
        kl = [sum(p * math.log(p / q) for p, q in zip(row, marginal, strict=True)) for row in rows]
        scores.append(math.exp(sum(kl) / len(kl)))
    mean = sum(scores) / splits
    return mean, math.sqrt(sum((s - mean) ** 2 for s in scores) / splits)


@pytest.fixture
def logits():
    return 2 * torch.randn(503, 7, generator=torch.Generator().manual_seed(0))


def test_uniform_predictions_score_1():
    assert score(torch.zeros(100, 10)) == (pytest.approx(1, abs=1e-12), pytest.approx(0, abs=1e-12))


@pytest.mark.parametrize("K", [2, 10])
def test_confident_predictions_of_K_classes_score_K(K):
    logits = torch.full((100 * K, K), -math.inf)
    logits[torch.arange(100 * K), torch.arange(100 * K) % K] = 0
    assert score(logits) == (pytest.approx(K, rel=1e-12), pytest.approx(0, abs=1e-9))


def test_one_class_only_scores_1():
    logits = torch.tensor([5.0, -5.0, 1.0]).expand(50, 3)
    assert score(logits)[0] == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("splits", [1, 3, 10])
def test_equals_slow_loop_and_torch_fidelity(logits, splits):
    value = score(logits, splits=splits)
    assert value == pytest.approx(slow(logits, splits), rel=1e-10)
    other = isc_features_to_metric(logits, splits=splits, shuffle=False)
    expected = (other["inception_score_mean"], other["inception_score_std"])
    assert value == pytest.approx(expected, rel=1e-5, abs=1e-9)
    assert value[0] > 1.5


def test_value_follows_the_index_not_the_order_of_arrival(logits):
    assert score(logits, order=torch.randperm(503)) == pytest.approx(score(logits), rel=1e-12)


def test_missing_and_repeated_samples_are_errors(logits):
    metric = InceptionScore(num_samples=503, num_classes=7)
    metric.update(logits[:500], index=torch.arange(500))
    with pytest.raises(ValueError, match="samples per split"):
        metric.compute()
    metric.update(logits[:3], index=torch.arange(3))
    with pytest.raises(ValueError, match="samples per split"):
        metric.compute()
    with pytest.raises(ValueError, match=r"0\.\.502"):
        metric.update(logits[:1], index=torch.tensor([503]))
    with pytest.raises(ValueError, match="logits must be"):
        metric.update(logits[:2], index=torch.arange(3))
    with pytest.raises(ValueError, match="splits"):
        InceptionScore(num_samples=5, num_classes=3)
