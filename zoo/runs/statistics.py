"""What several runs say together: means with intervals, probabilities of improvement, ranks. No torch.

The words are the field's (Agarwal et al. 2021, "Deep reinforcement learning at the edge of the statistical precipice";
Lucic et al. 2018, "Are GANs created equal?"). A run that diverged counts with the worst value there is, an infinite
one: order statistics and ranks take it as it is, and the mean and the deviation of such runs are not finite.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from zoo.runs.measures import Better

Array = npt.NDArray[np.float64]

RESAMPLES = 2_000  # of a bootstrap
LEVEL = 0.95  # of its intervals
SEED = 0


class Interval(NamedTuple):
    """An estimate and its bootstrap percentile interval at LEVEL; both ends nan where one run tells of no spread."""

    value: float
    low: float
    high: float


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and standard deviation over runs (n - 1); of one run, no deviation. nan of none."""
    if not values:
        return math.nan, None
    if not np.isfinite(values).all():
        return (math.inf if max(values) == math.inf else -math.inf), None
    # in units of a power of two, which changes no digit: squares of what a diverging run reaches are no floats
    scale = 2.0 ** (math.frexp(max(map(abs, values)))[1] - 1)
    shares = np.asarray(values, dtype=np.float64) / scale
    return scale * float(shares.mean()), scale * float(shares.std(ddof=1)) if len(values) > 1 else None


def interquartile_mean(values: npt.ArrayLike) -> Array:
    """Mean of the middle half along the last axis: a quarter of the values, rounded down, is cut off at each end."""
    array = np.sort(np.asarray(values, dtype=np.float64), axis=-1)
    n = array.shape[-1]
    return np.asarray(array[..., n // 4 : n - n // 4].mean(-1))


def bootstrap(values: Sequence[float], statistic: Callable[[Array], Array] = interquartile_mean) -> Interval:
    """The statistic of the runs, and its percentile interval over RESAMPLES of them with replacement.

    Args:
        values: of at least one run.
        statistic: along the last axis of [..., n] values.
    """
    array = np.asarray(values, dtype=np.float64)
    value = float(statistic(array))
    if len(array) < 2:
        return Interval(value, math.nan, math.nan)
    return interval(value, statistic(array[resamples(len(array), np.random.default_rng(SEED))]))


def resamples(n: int, random: np.random.Generator) -> npt.NDArray[np.int64]:
    """RESAMPLES times n indices below n, [RESAMPLES, n]."""
    return random.integers(n, size=(RESAMPLES, n))


def interval(value: float, resampled: npt.ArrayLike) -> Interval:
    """A value with the percentiles of its resamples; values are picked, not interpolated, for they may be infinite."""
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(np.asarray(resampled, dtype=np.float64), [tail, 1 - tail], method="nearest")
    return Interval(value, float(low), float(high))


def probability_of_improvement(a: Sequence[float], b: Sequence[float], *, better: Better) -> Interval:
    """P(a run of A beats a run of B), ties counted half: the Mann-Whitney statistic over n_A n_B.

    Args:
        a: values of A's runs, at least one.
        b: values of B's runs, at least one.
        better: whether "lower" or "higher" values win.
    """
    sign = -1.0 if better == "lower" else 1.0
    first, second = sign * np.asarray(a, dtype=np.float64), sign * np.asarray(b, dtype=np.float64)
    wins = (first[:, None] > second) + 0.5 * (first[:, None] == second)  # [n_A, n_B]
    value = float(wins.mean())
    if len(first) < 2 or len(second) < 2:
        return Interval(value, math.nan, math.nan)
    random = np.random.default_rng(SEED)
    rows, columns = (resamples(len(group), random) for group in (first, second))
    return interval(value, wins[rows[:, :, None], columns[:, None, :]].mean((1, 2)))


def ranks(groups: Mapping[str, Sequence[float]], *, better: Better) -> dict[str, Interval]:
    """Each group's rank by its interquartile mean (1 is the best, ties share the mean of their ranks).

    The interval is over resamples of every group's runs at once; a group of one run has none. Groups without runs have
    no rank.
    """
    sign = -1.0 if better == "higher" else 1.0
    present = {name: sign * np.asarray(values, dtype=np.float64) for name, values in groups.items() if len(values)}
    if not present:
        return {}
    random = np.random.default_rng(SEED)
    own = rank(np.stack([interquartile_mean(values) for values in present.values()]))
    drawn = [interquartile_mean(values[resamples(len(values), random)]) for values in present.values()]
    resampled = rank(np.stack(drawn, axis=-1))  # [RESAMPLES, groups]
    found = {name: interval(float(own[i]), resampled[:, i]) for i, name in enumerate(present)}
    alone = {name: Interval(found[name].value, math.nan, math.nan) for name in present if len(present[name]) < 2}
    return found | alone


def rank(values: npt.ArrayLike) -> Array:
    """Ranks from 1 along the last axis, the lowest value first; ties share the mean of theirs."""
    array = np.asarray(values, dtype=np.float64)
    below = (array[..., :, None] > array[..., None, :]).sum(-1)
    equal = (array[..., :, None] == array[..., None, :]).sum(-1)
    return np.asarray(below + (equal + 1) / 2)


def rank_correlation(x: Sequence[float], y: Sequence[float]) -> Interval:
    """Spearman's correlation of pairs, ties with the mean of their ranks, and its bootstrap interval over the pairs.

    All are nan where x or y has one value alone; the ends are nan of fewer than three pairs.
    """
    pairs = np.stack([np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)])  # [2, n]
    value = float(correlation_of_ranks(pairs))
    if pairs.shape[1] < 3 or math.isnan(value):
        return Interval(value, math.nan, math.nan)
    drawn = pairs[:, resamples(pairs.shape[1], np.random.default_rng(SEED))]  # [2, RESAMPLES, n]
    resampled = correlation_of_ranks(drawn)
    return interval(value, resampled[np.isfinite(resampled)])  # without those that drew one value alone


def correlation_of_ranks(pairs: Array) -> Array:
    """Correlation of the ranks of pairs[0] and pairs[1] along their last axis; nan where all ranks of one are alike."""
    x, y = rank(pairs)
    x, y = x - x.mean(-1, keepdims=True), y - y.mean(-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((x * y).sum(-1) / np.sqrt((x * x).sum(-1) * (y * y).sum(-1)))


def expected_best(values: npt.ArrayLike, k: int, *, better: Better = "lower") -> Array:
    """Mean of the best of k of n runs along the last axis, drawn without replacement: what a search of k finds.

    In closed form: the i-th best value is the best of C(n - i, k - 1) of all C(n, k) draws.

    Raises:
        ValueError: k is not from 1 to n.
    """
    array = np.sort(np.asarray(values, dtype=np.float64), axis=-1)
    if better == "higher":
        array = array[..., ::-1]
    n = array.shape[-1]
    if not 1 <= k <= n:
        raise ValueError(f"the best of {k} needs {k} runs or more, at least 1: there are {n}")
    shares = np.array([math.comb(n - i, k - 1) / math.comb(n, k) for i in range(1, n - k + 2)])
    return np.asarray((array[..., : len(shares)] * shares).sum(-1))


def best_of(values: Sequence[float], k: int, *, better: Better = "lower") -> Interval:
    """`expected_best` with its bootstrap interval over the runs."""
    return bootstrap(values, lambda drawn: expected_best(drawn, k, better=better))
