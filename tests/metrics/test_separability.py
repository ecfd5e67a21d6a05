import math

import pytest
import torch
from sklearn.metrics import mutual_info_score
from sklearn.svm import LinearSVC

from zoo.metrics.separability import conditional_entropy, decide, fit_svm, linear_separability


def draw(n=400, d=5, *, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)).double()


def test_svm_is_sklearns():
    x = draw()
    y = x[:, 0] + 0.5 * x[:, 1] + 0.8 * draw(seed=1)[:, 0] > 0.3
    svm = LinearSVC(dual=False, tol=1e-10, max_iter=10_000).fit(x.numpy(), y.numpy())
    w = fit_svm(x, y)
    assert w[:-1].tolist() == pytest.approx(svm.coef_[0].tolist(), rel=1e-5)
    assert float(w[-1]) == pytest.approx(float(svm.intercept_[0]), rel=1e-5)
    assert decide(x, w).tolist() == svm.predict(x.numpy()).tolist()


def test_conditional_entropy_by_mutual_information():
    x, y = draw(seed=2)[:, 0] > 0, draw(seed=2)[:, 0] + 0.7 * draw(seed=3)[:, 0] > 0.4
    p = float(y.double().mean())
    expected = -p * math.log(p) - (1 - p) * math.log(1 - p) - mutual_info_score(x.numpy(), y.numpy())
    assert float(conditional_entropy(x, y)) == pytest.approx(expected, rel=1e-9)
    assert float(conditional_entropy(y, y)) == pytest.approx(0, abs=1e-12)


def test_1_where_planes_tell_all_2_to_the_attributes_where_they_tell_nothing():
    x = draw(1000)
    separable = torch.stack([x[:, 0], -x[:, 1] + 0.1], dim=1)
    assert float(linear_separability(x, separable)) == pytest.approx(1, abs=0.02)
    hidden = torch.stack([x[:, 0] * x[:, 1], x[:, 2] * x[:, 3]], dim=1)
    assert float(linear_separability(x, hidden)) == pytest.approx(4, rel=0.1)


def test_only_the_sure_half_is_looked_at():
    x = draw(600)
    logits = x[:, :1].clone()
    unsure = logits.abs()[:, 0] < logits.abs().median()
    logits[unsure] *= -1  # wrong, but unsure
    assert float(linear_separability(x, logits)) == pytest.approx(1, abs=0.02)
    assert float(linear_separability(x, logits, keep=1.0)) > 1.3


def test_bad_input():
    with pytest.raises(ValueError, match="are needed"):
        linear_separability(draw(5), draw(4))
    with pytest.raises(ValueError, match="not finite"):
        linear_separability(draw(5), draw(5) / 0)
