"""Frechet distance between the Gaussians fitted to two sets of features (Heusel et al. 2017, arXiv
1706.08500, eq. 6)."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric

from zoo.errors import EvaluationError
from zoo.metrics.pairs import Side, refuse
from zoo.metrics.processes import in_float64

TOLERANCE = 3e-8  # relative rounding error that the faster way to a value may cost
PIVOT = 100  # how far above rounding noise the smallest conditional variance must be for Cholesky's factor
SMALL = 256  # up to this many singular values the accurate way takes no time either


class Gaussian(NamedTuple):
    """A set of n features as the distance sees it, float64 on the CPU.

    Either its centred rows are known (n <= d, S = rows' rows / (n - 1)), or its covariance is, and perhaps a root.
    """

    n: int
    mean: Tensor  # [d]
    cov: Tensor | None  # [d, d]
    rows: Tensor | None = None  # [n, d], their mean subtracted
    root: Tensor | None = None  # [d, r] with root root' = cov

    def trace(self) -> Tensor:
        """tr S, []."""
        if self.rows is not None:
            flat = self.rows.flatten()
            return flat.dot(flat) / (self.n - 1)
        assert self.cov is not None
        return self.cov.trace()

    def factor(self) -> Tensor:
        """A [d, r] with A A' = S."""
        if self.rows is not None:
            factor: Tensor = self.rows.T / (self.n - 1) ** 0.5
            return factor
        assert self.cov is not None
        return covariance_root(self.cov) if self.root is None else self.root


class FrechetDistance(Metric):
    """|mu_r - mu_f|^2 + tr(S_r + S_f - 2 (S_r S_f)^(1/2)) of features [N, dim], with unbiased covariances.

    Called FID only on 2015 Inception features. The states are sums in float64, so the value does not depend
    on the batch size, the order, or (beyond rounding) the number of processes. At most `dim` rows wait on each side:
    they enter the sums together, and a side that never has more is measured without its covariance (Gram form).
    """

    higher_is_better = False
    is_differentiable = False
    full_state_update = False

    real_n: Tensor
    real_sum: Tensor
    real_outer: Tensor
    real_rows: list[Tensor]
    real_root: Tensor
    root_n: Tensor  # of the reals whose covariance real_root belongs to
    fake_n: Tensor
    fake_sum: Tensor
    fake_outer: Tensor
    fake_rows: list[Tensor]

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        for side in ("real", "fake"):
            self.add_state(f"{side}_n", torch.tensor(0, dtype=torch.int64), dist_reduce_fx="sum")
            self.add_state(f"{side}_sum", torch.zeros(dim, dtype=torch.float64), dist_reduce_fx="sum")
            self.add_state(f"{side}_outer", torch.zeros(dim, dim, dtype=torch.float64), dist_reduce_fx="sum")
            self.add_state(f"{side}_rows", [], dist_reduce_fx="cat")
        self.add_state("real_root", torch.zeros(dim, dim, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("root_n", torch.tensor(0, dtype=torch.int64), dist_reduce_fx="sum")
        for name in ("real_outer", "fake_outer", "real_root"):
            # What `reset` copies: one zero, seen d x d times. At d = 2048 that saves 100 MB.
            self._defaults[name] = torch.zeros(1, 1, dtype=torch.float64).expand(dim, dim)

    def update(self, features: Tensor, *, side: Side) -> None:
        """Count features [n, dim] (n may be 0) to one side. Raises ValueError for another shape, and for what is not
        finite.

        Under torch.distributed a process without features says so by an update with n = 0.
        """
        if features.ndim != 2 or features.shape[1] != self.dim:
            raise EvaluationError(f"features must be [N, {self.dim}], got {list(features.shape)}")
        refuse(~features.isfinite(), "features")
        rows: list[Tensor] = getattr(self, f"{side}_rows")
        rows.append(features)
        if sum(len(part) for part in rows) > self.dim:
            self.flush(side)

    def flush(self, side: Side) -> None:
        """Move the waiting rows of this process into the sums."""
        rows: list[Tensor] = getattr(self, f"{side}_rows")
        if any(len(part) for part in rows):
            x = in_float64(torch.cat(rows))
            self._add(side, torch.tensor(len(x), device=x.device), x.sum(dim=0))
            outer: Tensor = getattr(self, f"{side}_outer")
            outer.addmm_(x.T, x)
            setattr(self, f"{side}_rows", [rows[0][:0]])  # an empty part keeps the state's shape for the others

    def add_moments(self, n: Tensor, total: Tensor, outer: Tensor, *, side: Side, root: Tensor | None = None) -> None:
        """Count features known by their number [], sum [dim] and sum of outer products [dim, dim] only.

        root: a root [dim, r] of the reals' covariance, if it is known: `compute` then need not find it.
        """
        self._add(side, n, total)
        getattr(self, f"{side}_outer").add_(outer)
        if root is not None:
            # Of a fixed shape, so that the processes' states can be summed.
            self.real_root = torch.nn.functional.pad(root, (0, self.dim - root.shape[1]))
            self.root_n = self.real_n.clone()
        # Called by itself this is an update, too: torchmetrics' memory of the last value and its warning must go.
        self._update_count, self._computed = max(self._update_count, 1), None

    def _add(self, side: Side, n: Tensor, total: Tensor) -> None:
        setattr(self, f"{side}_n", getattr(self, f"{side}_n") + n)
        getattr(self, f"{side}_sum").add_(total)

    def gaussian(self, side: Side) -> Gaussian:
        """The Gaussian of a side. Raises ValueError with fewer than two samples; warns with N <= dim."""
        waiting = getattr(self, f"{side}_rows")
        parts = waiting if isinstance(waiting, list) else [waiting]
        x = torch.cat([torch.zeros(0, self.dim), *(part.cpu() for part in parts)]).double()
        # The CPU's LAPACK gives the same value whatever device the features came from.
        n, total, outer = (getattr(self, f"{side}_{name}").cpu() for name in ("n", "sum", "outer"))
        count = int(n) + len(x)
        if count < 2:
            raise EvaluationError(f"a Frechet distance needs two samples or more on each side, got {count} {side}")
        if count <= self.dim:
            warnings.warn(
                f"{count} {side} samples for {self.dim} features: singular covariance, distance biased upwards",
                stacklevel=3,
            )
        mean = (total + x.sum(dim=0)) / count
        if len(x) == count and count <= self.dim:
            return Gaussian(count, mean, cov=None, rows=x - mean)
        cov = torch.addmm(outer, x.T, x) if len(x) else outer
        cov = (cov - count * torch.outer(mean, mean)) / (count - 1)
        known = side == "real" and int(self.root_n) == count
        return Gaussian(count, mean, cov, root=_trim(self.real_root.cpu()) if known else None)

    def compute(self) -> Tensor:
        """The distance, float64 []. Raises ValueError with fewer than two samples on a side; warns with N <=
        dim."""
        return distance(self.gaussian("real"), self.gaussian("fake"))


def distance(real: Gaussian, fake: Gaussian) -> Tensor:
    """The squared Frechet distance of two Gaussians, float64 [].

    tr (S_r S_f)^(1/2) is the sum of the singular values of A'B where S_r = AA', S_f = BB': the square roots of the
    eigenvalues of A'S_f A, and of B'S_r B. That asks for one factor only, and rows are a factor: no d x d root is
    needed where a side has fewer samples than features.
    """
    traces = real.trace() + fake.trace()
    # The factor with fewer columns: the smaller eigenvalue problem, without the zeros of a singular product.
    by_real = real.rows is not None or fake.rows is None
    if real.rows is not None and fake.rows is not None:
        by_real = real.n <= fake.n
    one, other = (real, fake) if by_real else (fake, real)
    A = one.factor()
    if other.rows is not None:
        product = (other.rows @ A) / (other.n - 1) ** 0.5  # [m, r]
        gram = product.T @ product
    else:
        assert other.cov is not None
        gram = lower_congruence(A, other.cov) if is_lower(A) else A.T @ other.cov @ A  # [r, r]
    apart = (real.mean - fake.mean).square().sum() + traces
    if len(gram) > SMALL:
        root, error = root_sum(gram)
        if 2 * error <= TOLERANCE * abs(float(apart - 2 * root)):
            return apart - 2 * root
    value: Tensor = apart - 2 * torch.linalg.svdvals(A.T @ other.factor()).sum()
    return value


def root_sum(gram: Tensor) -> tuple[Tensor, float]:
    """Sum of the square roots of a positive semi-definite matrix' eigenvalues, [], and the rounding error to expect.

    Eigenvalues carry an absolute error e of about eps times the largest one, their roots min(sqrt(e), e / 2 root):
    much where the spectrum is wide or ends in zeros, and nothing to speak of for the features of most networks.
    """
    values = torch.linalg.eigvalsh(gram).clamp(min=0)
    noise = 4 * torch.finfo(values.dtype).eps * values[-1]
    roots = values.sqrt()
    errors = torch.minimum(noise.sqrt(), noise / (2 * roots).clamp(min=1e-300))
    return roots.sum(), float(errors.sum())


def covariance_root(cov: Tensor) -> Tensor:
    """A [d, r] with AA' = cov, up to directions whose variance is rounding noise: 0 above the diagonal if that can be.

    Cholesky's factor takes a tenth of an eigendecomposition's time, but is good only where no feature depends on the
    others. Features that never vary do no harm: they have no columns.
    """
    noise = len(cov) * torch.finfo(cov.dtype).eps
    varies = cov.diagonal() != 0
    factor, failed = torch.linalg.cholesky_ex(cov + (~varies).to(cov).diag())
    pivots = factor.diagonal()[varies].square()
    if not failed and len(pivots) and pivots.min() > PIVOT * noise * pivots.max():
        lower: Tensor = factor[:, varies]
        return lower
    values, vectors = torch.linalg.eigh(cov)
    keep = values > values[-1].clamp(min=0) * noise
    root: Tensor = vectors[:, keep] * values[keep].sqrt()
    return root


def is_lower(A: Tensor) -> bool:
    """Whether A [d, r] is 0 above its diagonal."""
    return not bool(A.triu(1).any())


def lower_congruence(L: Tensor, S: Tensor, *, blocks: int = 16) -> Tensor:
    """The lower triangle of L' S L, which is all that eigvalsh reads; L [d, r] is 0 above its diagonal, S symmetric.

    By blocks of columns, which leaves out two thirds of the products: they are 0, or known by symmetry.
    """
    r = L.shape[1]
    gram = L.new_zeros(r, r)
    for start in range(0, r, -(-r // blocks)):
        tail, block = slice(start, None), slice(start, start + -(-r // blocks))
        gram[tail, block] = L[tail, tail].T @ (S[tail, tail] @ L[tail, block])
    return gram


def _trim(root: Tensor) -> Tensor:
    """Without its columns of zeros."""
    return root[:, root.any(dim=0)]
