"""The kernel distance beside torch-fidelity's, and beside one that computes every subset's matrices, side by side.

    python benchmarks/kernel_distance.py [--rounds 3] [--json FILE]

100 subsets of 1,000 features a side: of 2,000 fakes while training and of 10,000 at a test, against 10,000 reals, with
84 features (LeNet), 128 (ResNet) and 1,280 (EfficientNet). The zoo's own is measured twice: the first time, and with
the reals' terms known, as in every later evaluation of a run.
"""

import argparse
import statistics
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import torch
from side_by_side import add_options, begin, contest, keep, spread, table
from torch import Tensor

from zoo.metrics import kernel_distance
from zoo.metrics.kernel_distance import KernelDistance, Known

REALS, FAKES, DIMENSIONS = 10_000, (2_000, 10_000), (84, 128, 1_280)


def features(n: int, d: int, *, seed: int) -> Tensor:
    """float32 [n, d], positive."""
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)).relu()


def of_zoo(real: Tensor, fake: Tensor, known: Known) -> float:
    """The mean over the subsets."""
    metric = KernelDistance()
    metric.known = known
    for x, side in ((real, "real"), (fake, "fake")):
        metric.update(x, index=torch.arange(len(x)), side=side)
    return float(metric.compute().mean)


def one_by_one(real: Tensor, fake: Tensor) -> float:
    """The same without what saves work."""
    with patch.object(kernel_distance, "sums_at_once", kernel_distance.sums_one_by_one):
        return of_zoo(real, fake, {})


def of_torch_fidelity(real: Tensor, fake: Tensor) -> float:
    """Its other subsets give another value within their spread."""
    from torch_fidelity.metric_kid import kid_features_to_metric

    found = kid_features_to_metric(real, fake, kid_subsets=100, kid_subset_size=1000, verbose=False)
    return float(found["kernel_inception_distance_mean"])


def distances(n: int, d: int, *, rounds: int, clock: str) -> dict[str, Any]:
    """All ways to one distance."""
    real, fake = features(REALS, d, seed=0), features(n, d, seed=1)
    known: Known = {}
    exact = of_zoo(real, fake, known)
    sides: dict[str, Callable[[], object]] = {
        "torch-fidelity": lambda: of_torch_fidelity(real, fake),
        "zoo, subset by subset": lambda: one_by_one(real, fake),
        "zoo, first": lambda: of_zoo(real, fake, {}),
        "zoo, reals' terms known": lambda: of_zoo(real, fake, known),
    }
    seconds = contest(sides, rounds=rounds, clock=clock)
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    fastest = list(medians)[-1]
    table(
        f"kernel distance, d = {d}, {REALS:,} reals, {n:,} fakes",
        ("", "seconds", f"times {fastest!r}"),
        [(name, spread(taken), f"{medians[name] / medians[fastest]:.2f}") for name, taken in seconds.items()],
    )
    return {"seconds": seconds, "error": one_by_one(real, fake) / exact - 1}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    arguments = parser.parse_args()
    begin(arguments)
    found = {
        f"{d} features, {n} fakes": distances(n, d, rounds=arguments.rounds, clock=arguments.clock)
        for d in DIMENSIONS
        for n in FAKES
    }
    keep(found, arguments)


if __name__ == "__main__":
    main()
