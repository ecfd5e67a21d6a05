"""Statistics over runs, against scipy, closed forms and slow second computations."""

import itertools
import math

import numpy as np
import pytest
from played_benchmark import benchmark_of
from scipy import stats

from zoo.commands.benchmark.tables import reached
from zoo.runs.statistics import (
    LEVEL,
    bootstrap,
    expected_best,
    interquartile_mean,
    mean_and_deviation,
    probability_of_improvement,
    rank,
    rank_correlation,
    ranks,
)

INF = math.inf
RUNS = np.random.default_rng(5).normal(10, 2, size=9).tolist()


def test_mean_and_deviation() -> None:
    assert mean_and_deviation([1.0, 2.0, 4.5]) == pytest.approx((2.5, np.std([1, 2, 4.5], ddof=1)))
    assert mean_and_deviation([3.0]) == (3.0, None)
    mean, deviation = mean_and_deviation([1e250, 3e250])  # whose squares are no floats
    assert (mean, deviation) == pytest.approx((2e250, math.sqrt(2) * 1e250))
    assert mean_and_deviation([1.7e308, 1.7e308, 0.0])[0] == pytest.approx(1.7e308 / 3 * 2)
    assert mean_and_deviation([0.0, 0.0]) == (0.0, 0.0)
    assert mean_and_deviation([1.0, INF]) == (INF, None)
    assert math.isnan(mean_and_deviation([])[0])


@pytest.mark.parametrize("n", range(1, 10))
def test_interquartile_mean_is_scipys_trimmed_mean(n: int) -> None:
    assert float(interquartile_mean(RUNS[:n])) == pytest.approx(stats.trim_mean(RUNS[:n], 0.25))


def test_one_diverged_run_of_four_does_not_move_the_interquartile_mean_out_of_reach() -> None:
    assert float(interquartile_mean([1.0, 2.0, 3.0, INF])) == 2.5
    assert float(interquartile_mean([1.0, 2.0, INF, INF])) == INF


def test_bootstrap_intervals_are_scipys() -> None:
    own = bootstrap(RUNS, lambda values: values.mean(-1))
    theirs = stats.bootstrap(
        (RUNS,), np.mean, n_resamples=20_000, method="percentile", confidence_level=LEVEL, rng=1
    ).confidence_interval
    assert own.value == pytest.approx(np.mean(RUNS))
    assert (own.low, own.high) == pytest.approx(tuple(theirs), abs=0.1)
    assert own == bootstrap(RUNS, lambda values: values.mean(-1))  # the same each time
    alone = bootstrap([3.0])
    assert alone.value == 3
    assert math.isnan(alone.low)
    assert bootstrap([1.0, 1.0, INF]).high == INF


def test_probability_of_improvement_is_mann_whitneys() -> None:
    a, b = [1.0, 2.0, 2.0, 7.0], [2.0, 3.0, 0.5]
    u = stats.mannwhitneyu(a, b).statistic  # pairs in which a is the larger, ties half
    found = probability_of_improvement(a, b, better="higher")
    assert found.value == pytest.approx(u / 12)
    assert found.low <= found.value <= found.high
    assert probability_of_improvement(a, b, better="lower").value == pytest.approx(1 - u / 12)
    assert probability_of_improvement([1.0, INF], [INF, INF], better="lower").value == 0.75  # two that diverged tie
    sure = probability_of_improvement([1.0, 2.0], [3.0, 4.0], better="lower")
    assert sure == (1.0, 1.0, 1.0)


def test_rank_correlation_is_spearmans() -> None:
    random = np.random.default_rng(0)
    x = np.round(random.standard_normal(40), 1)  # with ties
    y = x + random.standard_normal(40)
    y[3] = math.inf
    found = rank_correlation(list(x), list(y))
    assert found.value == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    assert -1 < found.low < found.value < found.high < 1
    assert rank_correlation([1, 2, 3], [9, 8, 7]) == (-1, -1, -1)
    assert all(math.isnan(end) for end in rank_correlation([1, 1, 1], [9, 8, 7]))
    assert rank_correlation([1, 2], [1, 2])[0] == 1
    assert math.isnan(rank_correlation([1, 2], [1, 2])[1])


def test_ranks() -> None:
    assert rank([3.0, 1.0, 3.0, INF]).tolist() == stats.rankdata([3, 1, 3, INF]).tolist()
    groups = {"a": [1.0, 1.1], "b": [5.0, 5.1], "none": [], "c": [5.0, 5.1]}
    found = ranks(groups, better="lower")
    assert {name: place.value for name, place in found.items()} == {"a": 1.0, "b": 2.5, "c": 2.5}
    assert found["a"] == (1.0, 1.0, 1.0)
    assert (found["b"].low, found["b"].high) == (2.0, 3.0)
    alone = ranks({"a": [1.0], "b": [2.0]}, better="higher")["a"]
    assert alone.value == 2
    assert math.isnan(alone.low)  # and not [2, 2], as if another seed could change nothing
    assert ranks({"a": []}, better="lower") == {}


@pytest.mark.parametrize("k", [1, 2, 4, 6])
def test_the_expected_best_of_k_is_the_mean_over_all_draws(k: int) -> None:
    values = RUNS[:6]
    draws = list(itertools.combinations(values, k))
    assert float(expected_best(values, k)) == pytest.approx(np.mean([min(draw) for draw in draws]))
    assert float(expected_best(values, k, better="higher")) == pytest.approx(np.mean([max(draw) for draw in draws]))


def test_the_expected_best_with_diverged_runs_and_bad_k() -> None:
    assert float(expected_best([1.0, 2.0, INF], 2)) == pytest.approx((1 + 1 + 2) / 3)
    assert float(expected_best([1.0, INF, INF], 2)) == INF
    for k in (0, 4):
        with pytest.raises(ValueError, match=f"best of {k}"):
            expected_best([1.0, 2.0, 3.0], k)


@pytest.mark.parametrize(("n", "share"), [(3, 0.75), (5, 0.90)])
def test_how_often_intervals_of_few_runs_hold_the_truth(n: int, share: float) -> None:
    """As the note of the benchmark's table says. Of three, an interval reaches from the lowest to the highest."""
    random = np.random.default_rng(2)
    intervals = [bootstrap(random.standard_normal(n).tolist()) for _ in range(1_000)]
    assert np.mean([low <= 0 <= high for _, low, high in intervals]) == pytest.approx(share, abs=0.02)
    assert f"{share:.0%}".replace("%", " %") in reached(benchmark_of()).note
