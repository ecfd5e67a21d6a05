"""Measures of points against hand values, permutations and one-dimensional transport."""

from itertools import permutations

import pytest
import torch

from zoo.metrics.points import exact_wasserstein, mode_shares


def test_wasserstein_of_a_shift_is_its_length() -> None:
    a = torch.randn(200, 2)
    assert exact_wasserstein(a, a[torch.randperm(200)]) == pytest.approx(0, abs=1e-9)
    assert exact_wasserstein(a, a + torch.tensor([3.0, -4.0])) == pytest.approx(5, rel=1e-5)


def test_wasserstein_against_all_permutations() -> None:
    torch.manual_seed(0)
    a, b = torch.randn(6, 2), 2 * torch.randn(6, 2)
    best = min((a - b[list(order)]).norm(dim=1).mean().item() for order in permutations(range(6)))
    assert exact_wasserstein(a, b) == pytest.approx(best, rel=1e-5)


def test_wasserstein_in_one_dimension_is_that_of_the_sorted_values() -> None:
    a, b = torch.randn(300, 1), torch.rand(300, 1)
    assert exact_wasserstein(a, b) == pytest.approx((a.sort(0)[0] - b.sort(0)[0]).abs().mean().item(), rel=1e-5)


def test_wasserstein_against_the_hungarian_method() -> None:
    from scipy.optimize import linear_sum_assignment

    torch.manual_seed(1)
    a, b = torch.randn(300, 2), torch.randn(300, 2) * torch.tensor([0.5, 2.0]) + 1
    cost = torch.cdist(a.double(), b.double()).numpy()
    assert exact_wasserstein(a, b) == pytest.approx(cost[linear_sum_assignment(cost)].mean(), rel=1e-6)


def test_wasserstein_of_sets_of_different_sizes() -> None:
    """Half of the weight at 0 goes to 3 and half to (0, 4); repeating every point changes nothing."""
    one, two = torch.zeros(1, 2), torch.tensor([[3.0, 0.0], [0.0, 4.0]])
    assert exact_wasserstein(one, two) == pytest.approx(3.5)
    assert exact_wasserstein(two, one) == pytest.approx(3.5)
    torch.manual_seed(2)
    a, b = torch.randn(40, 2), torch.randn(60, 2)
    assert exact_wasserstein(a, b) == pytest.approx(exact_wasserstein(a.repeat(3, 1), b.repeat(2, 1)), rel=1e-6)


def test_unusable_points() -> None:
    with pytest.raises(ValueError, match=r"\[3, 2\] and \[4, 3\]"):
        exact_wasserstein(torch.zeros(3, 2), torch.zeros(4, 3))
    with pytest.raises(ValueError, match=r"\[3, 2\] and \[0, 2\]"):
        exact_wasserstein(torch.zeros(3, 2), torch.zeros(0, 2))
    with pytest.raises(ValueError, match="not finite"):
        exact_wasserstein(torch.zeros(3, 2), torch.full((3, 2), float("nan")))


def test_mode_shares_by_hand() -> None:
    modes = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    points = torch.tensor([[0.0, 0.29], [0.0, 0.31], [1.0, 0.0], [1.1, -0.1], [5.0, 5.0]])
    assert mode_shares(points, modes, std=0.1) == (2 / 4, 3 / 5)
    assert mode_shares(points, modes, std=0.1, sigmas=3.2) == (2 / 4, 4 / 5)
    assert mode_shares(modes, modes, std=0.1) == (1, 1)
    assert mode_shares(points + 10, modes, std=0.1) == (0, 0)
