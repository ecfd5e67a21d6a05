import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.spatial.distance import jensenshannon

from zoo.errors import EvaluationError
from zoo.metrics.ndb import StatisticallyDifferentBins, jensen_shannon, k_means, z_test

CENTRES = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]]).double()


def blobs(counts, *, seed=0):
    g = torch.Generator().manual_seed(seed)
    x = [c + torch.randn(n, 2, generator=g).double() for c, n in zip(CENTRES, counts, strict=True)]
    return torch.cat(x)[torch.randperm(sum(counts), generator=g)]


def run(real, fake, **settings):
    metric = StatisticallyDifferentBins.fit(real, **settings)
    for part in fake.split(41):
        metric.update(part)
    return tuple(float(v) for v in metric.compute())


def test_k_means_finds_separated_blobs():
    x = blobs([50, 80, 30, 60])
    centres = k_means(x, 4, generator=torch.Generator().manual_seed(0), iterations=50)
    nearest = torch.cdist(centres, CENTRES).argmin(dim=1)
    assert sorted(nearest.tolist()) == [0, 1, 2, 3]
    for centre, k in zip(centres, nearest, strict=True):
        members = x[torch.cdist(x, CENTRES).argmin(dim=1) == k]
        assert torch.allclose(centre, members.mean(dim=0))


def test_counts_a_lost_mode_and_its_divergence():
    real = blobs([500] * 4)
    share, jsd = run(real, blobs([500] * 4, seed=1), bins=4)
    assert (share, jsd) == (0, pytest.approx(0, abs=1e-12))
    share, jsd = run(real, blobs([0, 600, 700, 700], seed=2), bins=4)
    assert share == 1
    assert jsd == pytest.approx(jensenshannon([0.25] * 4, [0, 0.3, 0.35, 0.35]) ** 2, rel=1e-9)
    share, _ = run(real, blobs([505, 495, 400, 600], seed=3), bins=4)
    assert share == 0.5


def test_z_is_the_chi_square_test_of_two_proportions():
    real, fake = torch.tensor([40, 60, 0, 900]), torch.tensor([30, 20, 0, 450])
    for k, z in enumerate(z_test(real, fake).tolist()):
        a, b = int(real[k]), int(fake[k])
        if a + b == 0:
            assert z == 0
            continue
        table = np.array([[a, 1000 - a], [b, 500 - b]])
        assert z**2 == pytest.approx(stats.chi2_contingency(table, correction=False).statistic, rel=1e-9)


def test_held_out_reals_differ_in_about_five_percent():
    x = torch.rand(6000, 3, generator=torch.Generator().manual_seed(4))
    shares = [run(x[:4000], x[4000:], bins=50, seed=s)[0] for s in range(3)]
    assert 0 < sum(shares) / 3 < 0.13


def test_divergence_of_disjoint_histograms():
    assert float(jensen_shannon(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]))) == pytest.approx(math.log(2))


def test_images_of_many_pixels_are_looked_at_in_a_sixth_of_them():
    images = torch.randint(0, 256, (60, 3, 20, 20), generator=torch.Generator().manual_seed(5)).to(torch.uint8)
    metric = StatisticallyDifferentBins.fit(images, bins=5)
    assert metric.centres.shape == (5, 200)
    assert len(set(metric.dimensions.tolist())) == 200
    metric.update(images)
    assert torch.equal(metric.found, metric.counts)
    assert tuple(float(v) for v in metric.compute()) == (0, 0)


def test_bad_input():
    with pytest.raises(ValueError, match="cannot fill"):
        StatisticallyDifferentBins.fit(torch.rand(5, 2), bins=6)
    with pytest.raises(ValueError, match="no fakes"):
        StatisticallyDifferentBins.fit(torch.rand(50, 2), bins=2).compute()


def test_pixels_that_are_nan_are_in_no_bin():
    reals = torch.rand(50, 4)
    bins = StatisticallyDifferentBins.fit(reals, bins=3)
    reals[0, 0] = torch.nan
    with pytest.raises(EvaluationError, match="1 of 200 pixels are NaN"):
        bins.update(reals)
    with pytest.raises(EvaluationError, match="1 of 200 pixels are NaN"):
        StatisticallyDifferentBins.fit(reals, bins=3)
