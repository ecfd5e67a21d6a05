"""Toy distributions: moments and modes against closed forms, the stream against its definition."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp
from sklearn.datasets import make_swiss_roll
from torch import Tensor

from zoo.data.stream import ImageStream
from zoo.data.toy import BLOCK, DISTRIBUTIONS, PointStream, ToyPoints, draw
from zoo.errors import DataError


def points(distribution: Any, n: int = 100_000) -> Tensor:
    return torch.from_numpy(draw(distribution, n, seed=(7,)))


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_points_are_float32_pairs_and_a_function_of_the_seed(distribution: Any) -> None:
    a = draw(distribution, 50, seed=(1, 2))
    assert (a.dtype, a.shape) == (np.float32, (50, 2))
    assert (a == draw(distribution, 50, seed=(1, 2))).all()
    assert (a != draw(distribution, 50, seed=(1, 3))).any()


@pytest.mark.parametrize(
    ("distribution", "mean", "variance"),
    [
        ("8gaussians", (0, 0), ((4 / 2 + 0.02**2) / 1.414**2,) * 2),
        ("25gaussians", (0, 0), ((4 * 2 + 0.05**2) / 2.828**2,) * 2),
        ("ring", (0, 1 / 9), (4 / 9 + 1e-4, 5 / 9 - 1 / 81 + 1e-4)),  # E sin^2 = 4/9, E cos^2 = 5/9
    ],
)
def test_moments(distribution: str, mean: tuple[float, ...], variance: tuple[float, ...]) -> None:
    x = points(distribution).double()
    assert x.mean(0).tolist() == pytest.approx(mean, abs=0.01)
    assert x.var(0).tolist() == pytest.approx(variance, rel=0.01)


@pytest.mark.parametrize(
    ("distribution", "count", "radius"), [("8gaussians", 8, 2 / 1.414), ("25gaussians", 25, None), ("ring", 8, 1)]
)
def test_modes(distribution: Any, count: int, radius: float | None) -> None:
    data, x = ToyPoints(distribution=distribution), points(distribution)
    assert data.modes is not None
    assert data.modes.shape == (count, 2)
    if radius is not None:
        assert data.modes.norm(dim=1).tolist() == pytest.approx([radius] * count, rel=1e-6)
    else:
        assert sorted({round(v, 4) for v in data.modes.flatten().tolist()}) == [
            round(k * 2 / 2.828, 4) for k in range(-2, 3)
        ]
    distance, nearest = torch.cdist(x, data.modes).min(1)
    # Rayleigh: 1 - exp(-3^2 / 2) of an isotropic Gaussian lies within 3 sigma.
    assert (distance <= 3 * data.mode_std).float().mean().item() == pytest.approx(1 - math.exp(-4.5), abs=0.001)
    weights = nearest.bincount(minlength=count) / len(x)
    doubled = int(weights.argmax()) if distribution == "ring" else None
    expected = [2 / 9 if k == doubled else 1 / (9 if distribution == "ring" else count) for k in range(count)]
    assert weights.tolist() == pytest.approx(expected, abs=0.005)
    if doubled is not None:
        assert data.modes[doubled].tolist() == pytest.approx([0, 1], abs=1e-6)


def test_the_swiss_roll_is_scikit_learns() -> None:
    theirs = make_swiss_roll(n_samples=20_000, noise=0.25, random_state=0)[0][:, [0, 2]] / 7.5
    ours = points("swissroll", 20_000).numpy()
    directions = [(1, 0), (0, 1), (0.6, 0.8), (0.8, -0.6)]
    for a, b in directions:
        assert ks_2samp(ours @ [a, b], theirs @ [a, b]).pvalue > 1e-3
    assert ks_2samp(ours[:, 0], theirs[:, 1]).pvalue < 1e-6  # the two coordinates are told apart
    assert ks_2samp(np.hypot(*ours.T), np.hypot(*theirs.T)).pvalue > 1e-3
    assert ToyPoints(distribution="swissroll").modes is None


def stream(**settings: Any) -> PointStream:
    data = ToyPoints(distribution="25gaussians", batch_size=settings.pop("batch_size", 6), seed=3)
    made = data.train_dataloader()
    for name, value in settings.items():
        setattr(made, name, value)
    return made


def test_the_stream_follows_its_definition_whatever_the_batch() -> None:
    blocks = [draw("25gaussians", BLOCK, seed=(3, k, 2)) for k in range(4)]
    run = torch.from_numpy(np.concatenate(blocks))
    for batch_size in (1, 6, 1000, 5000):
        made = stream(batch_size=batch_size)
        for start in (0, 6, BLOCK - 3, BLOCK, 2 * BLOCK - 1):
            x, y = made.batch(start)
            assert torch.equal(x, run[start : start + batch_size])
            assert y is None
    assert len(run.unique(dim=0)) == len(run)  # every point is fresh


def test_devices_share_one_run_and_position_resumes() -> None:
    whole, _ = stream().batch(BLOCK - 2)
    for rank in range(3):
        x, _ = stream(rank=rank, world_size=3).batch(BLOCK - 2)
        assert torch.equal(x, whole[rank::3])
    made = stream(position=lambda: 6 * 1997)
    rest = [x for x, _ in made]
    assert len(rest) == 3  # what is left of the second pass of 1,000 batches
    assert torch.equal(rest[0], made.batch(6 * 1997)[0])
    assert isinstance(made, ImageStream)


def test_splits_are_apart_from_each_other_and_from_training() -> None:
    data = ToyPoints(distribution="8gaussians")
    train, test = data.split("train"), data.split("test")
    assert train.images.shape == (10_000, 2)
    assert train.fingerprint != test.fingerprint
    assert train.fingerprint == ToyPoints(seed=5).split("train").fingerprint
    seen = torch.cat([train.images, test.images, data.train_dataloader().batch(0)[0]])
    assert len(seen.unique(dim=0)) == len(seen)
    assert data.splits == ("train", "test")
    assert data.image_shape == (2,)
    with pytest.raises(DataError, match="no validation split"):
        data.split("validation")


def test_unknown_distribution() -> None:
    with pytest.raises(DataError, match="unknown distribution 'spiral': there are 8gaussians, "):
        ToyPoints(distribution="spiral")
