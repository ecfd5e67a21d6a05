"""The Frechet distance of two Gaussians against those of pytorch-fid, torchmetrics and torch-fidelity, side by side.

    python benchmarks/frechet_distance.py [--rounds 3] [--json FILE]

d = 2048 in float64, N = 10,000 and 1,000 samples a side: against scipy's sqrtm (pytorch-fid), torch.linalg's eigvals
(torchmetrics) and numpy's (torch-fidelity); with the reals' root known; and, for fewer samples than features, from the
samples. Seconds, and the relative error against singular values of the samples.

Every round goes there and back (A B C, then C B A); medians are printed, with the smallest and the largest. `--clock
cpu` counts processor seconds instead, for a machine that is shared; the number of threads is set by OMP_NUM_THREADS.
"""

import argparse
import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from side_by_side import add_options, begin, contest, keep, spread, table
from torch import Tensor

D = 2048  # features of Inception's last pooling
SAMPLES = (10_000, 1_000)  # a side


def activations(n: int, *, seed: int, shift: float = 0.0) -> Tensor:
    """float64 [n, 2048] like Inception's: positive, correlated, some never active."""
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(256, D, generator=torch.Generator().manual_seed(99)) / 16
    common = torch.randn(n, 256, generator=generator) @ mix
    x = (common + 0.5 * torch.randn(n, D, generator=generator) + shift).relu()
    x[:, :16] = 0
    return x.double()


def scipy_distance(a: Any, b: Any) -> float:
    """pytorch-fid's formula on (mean, covariance) pairs."""
    import numpy as np
    from scipy import linalg

    (m1, s1), (m2, s2) = ((m.numpy(), s.numpy()) for m, s in (a, b))
    root = linalg.sqrtm(s1 @ s2)
    return float(((m1 - m2) ** 2).sum() + np.trace(s1) + np.trace(s2) - 2 * np.trace(np.real(root)))


def torch_fidelity_distance(a: Any, b: Any) -> float:
    from torch_fidelity.metric_fid import fid_statistics_to_metric

    one, other = ({"mu": m.numpy(), "sigma": s.numpy()} for m, s in (a, b))
    return float(fid_statistics_to_metric(one, other, verbose=False)["frechet_inception_distance"])


def torchmetrics_distance(a: Any, b: Any) -> float:
    from torchmetrics.image.fid import _compute_fid

    return float(_compute_fid(*a, *b))


def distances(n: int, *, rounds: int, clock: str) -> dict[str, Any]:
    """All ways to one distance of n against n samples."""
    from zoo.metrics.frechet import Gaussian, covariance_root, distance

    real, fake = activations(n, seed=0), activations(n, seed=1, shift=0.05)
    pairs = [(x.mean(dim=0), torch.cov(x.T)) for x in (real, fake)]
    exact = reference(real, fake)
    a, b = (Gaussian(n, *pair) for pair in pairs)
    sides: dict[str, Callable[[], object]] = {
        "scipy sqrtm (pytorch-fid)": partial(scipy_distance, *pairs),
        "numpy eigvals (torch-fidelity)": partial(torch_fidelity_distance, *pairs),
        "torch eigvals (torchmetrics)": partial(torchmetrics_distance, *pairs),
        "zoo": lambda: distance(a, b),
        "zoo, reals' root known": partial(distance, a._replace(root=covariance_root(pairs[0][1])), b),
    }
    if n <= D:
        rows_a, rows_b = (Gaussian(n, x.mean(dim=0), None, rows=x - x.mean(dim=0)) for x in (real, fake))
        sides = {**sides, "zoo, from the samples (Gram)": lambda: distance(rows_a, rows_b)}
    values = {name: float(side()) for name, side in sides.items()}
    seconds = contest(sides, rounds=rounds, clock=clock)
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    fastest = list(medians)[-1]
    table(
        f"Frechet distance, d = {D}, N = {n} a side, float64",
        ("", "seconds", f"times {fastest!r}", "relative error"),
        [
            (name, spread(taken), f"{medians[name] / medians[fastest]:.2f}", f"{values[name] / exact - 1:.1e}")
            for name, taken in seconds.items()
        ],
    )
    return {"seconds": seconds, "error": {name: value / exact - 1 for name, value in values.items()}}


def reference(real: Tensor, fake: Tensor) -> float:
    """The distance by singular values of the samples themselves: no square root of a rounded eigenvalue."""
    x, y = ((z - z.mean(dim=0)) / (len(z) - 1) ** 0.5 for z in (real, fake))
    if len(x) > D:  # R'R = X'X: a quarter of the rows
        x, y = (torch.linalg.qr(z, mode="r").R for z in (x, y))
    root = torch.linalg.svdvals(x @ y.T).sum()
    mean = (real.mean(dim=0) - fake.mean(dim=0)).square().sum()
    return float(mean + x.square().sum() + y.square().sum() - 2 * root)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    arguments = parser.parse_args()
    begin(arguments)
    keep({str(n): distances(n, rounds=arguments.rounds, clock=arguments.clock) for n in SAMPLES}, arguments)


if __name__ == "__main__":
    main()
