"""Directions of a latent space, from the papers that introduced them:

- `closed_form`: Y. Shen, B. Zhou, Closed-Form Factorization of Latent Semantics in GANs (SeFA), CVPR 2021,
  arXiv 2007.06600;
- `principal`: E. Haerkoenen, A. Hertzmann, J. Lehtinen, S. Paris, GANSpace: Discovering Interpretable GAN Controls,
  NeurIPS 2020, arXiv 2004.02546;
- `towards_classes`: Y. Shen, J. Gu, X. Tang, B. Zhou, Interpreting the Latent Space of GANs for Semantic Face Editing
  (InterFaceGAN), CVPR 2020, arXiv 1907.10786.

Nothing is trained but linear maps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.errors import EvaluationError
from zoo.experiments.latents.space import Points, Space
from zoo.models.cgan import CGAN

SAMPLES = 2_000  # that PCA and linear models are fitted to
FEWEST = 20  # samples of a class, and of all others together


class Directions(NamedTuple):
    """Unit vectors of a space, the strongest first; on the CPU, wherever the model is.

    Attributes:
        vectors: [k, dim].
        deviations: standard deviation of the samples along each, [k]: the unit of a step.
        strengths: [k]; singular values, shares of the variance, or how well a linear model does.
        names: of each.
    """

    vectors: Tensor
    deviations: Tensor
    strengths: Tensor
    names: list[str]


def directions_of(space: Space, vectors: Tensor, strengths: Tensor, names: Sequence[str]) -> Directions:
    """Vectors [k, dim] brought to unit length; the sign is such that the largest entry is positive."""
    unit = F.normalize(vectors.float().cpu(), dim=1)
    largest = unit.gather(1, unit.abs().argmax(1, keepdim=True))
    unit = unit * largest.sign()
    deviations = torch.tensor([space.deviation(v) for v in unit])
    return Directions(unit, deviations, strengths.float().cpu(), list(names))


@torch.no_grad()
def closed_form(space: Space, *, k: int) -> Directions:
    """SeFA: unit vectors n that the first layer A stretches most, max |A n|: eigenvectors of A^T A (eq. 5 to 8).

    At most as many as entries of a latent are continuous.

    Raises:
        EvaluationError: weights that are not finite; a latent of categories alone.
    """
    weights = finite(space.first_layer().double(), "weights of the first layer")
    _, strengths, rows = torch.linalg.svd(weights, full_matrices=False)
    k = min(k, len(rows), int(moving(space).sum()))  # further ones are of strength 0, and of categories
    return directions_of(space, rows[:k], strengths[:k], [f"{i + 1}" for i in range(k)])


@torch.no_grad()
def principal(space: Space, *, k: int, samples: int = SAMPLES, seed: int = 0) -> Directions:
    """GANSpace: the principal axes of activations, carried over to latents by linear regression (eq. 2 and 3).

    The latents' direction u_j minimises sum |x_j u_j - z|^2 over the samples' coordinates x_j along axis j. What
    labels and categories do is taken off first: along what they tell apart, the latents that move have no direction.

    Raises:
        EvaluationError: activations that are not finite; a generator of one layer; a latent of categories alone.
    """
    points = space.draw(samples, seed=seed)
    activations = finite(space.activations(points).double(), "activations")
    activations = apart_from(unmoved(space, points), activations)
    vectors = space.vectors(points.x).double()
    vectors = (vectors - vectors.mean(0)) * moving(space)
    coordinates, shares = principal_coordinates(activations, k=k)
    basis = (coordinates.T @ vectors) / coordinates.square().sum(0)[:, None].clamp_min(1e-12)
    return directions_of(space, basis, shares, [f"{i + 1}" for i in range(len(basis))])


def principal_coordinates(values: Tensor, *, k: int) -> tuple[Tensor, Tensor]:
    """Coordinates [N, k] of centred values [N, d] along their principal axes, and the axes' shares of the variance [k].

    Exact, and without random numbers: by the smaller one of the matrices d x d and N x N.
    """
    wide = values.shape[1] > len(values)
    squares, vectors = torch.linalg.eigh(values @ values.T if wide else values.T @ values)  # in ascending order
    squares, vectors = squares.flip(0)[:k].clamp_min(0), vectors.flip(1)[:, :k]
    coordinates = vectors * squares.sqrt() if wide else values @ vectors
    return coordinates, squares / values.square().sum()


def moving(space: Space) -> Tensor:
    """`space.continuous()`; EvaluationError where there is nothing that a direction could move."""
    entries = space.continuous()
    if not entries.any():
        raise EvaluationError("the latent is categories alone, between which nothing lies: there is no direction")
    return entries


def finite(values: Tensor, what: str) -> Tensor:
    """The values; EvaluationError where one is NaN or infinite, as in a model that has diverged."""
    if bad := int((~values.isfinite()).sum()):
        raise EvaluationError(f"{bad} of {values.numel()} {what} are NaN or infinite: the model has diverged")
    return values


def unmoved(space: Space, points: Points) -> Tensor:
    """What tells points apart that no direction moves, [N, K]: a constant, their label, their categories."""
    parts = [torch.ones_like(points.x[:, :1])]
    if points.y is not None:
        parts.append(F.one_hot(points.y).to(points.x))
    return torch.cat([*parts, space.vectors(points.x)[:, ~space.continuous()]], 1).double()


def apart_from(known: Tensor, values: Tensor) -> Tensor:
    """Values [N, d] less what a linear map of `known` [N, K] says of them."""
    fit: Tensor = torch.linalg.pinv(known.T @ known, hermitian=True) @ (known.T @ values)
    return values - known @ fit


@torch.no_grad()
def towards_classes(space: Space, points: Points, classes: Tensor, *, names: Sequence[str] = ()) -> Directions:
    """InterFaceGAN: the normal of the plane between the samples of a class and all others.

    By Fisher's discriminant, the regression on whether a sample is of the class, and not by the paper's SVM: classes
    need not be balanced. Strengths are the shares of pairs that the direction orders rightly (area under ROC).

    Args:
        space: of the points.
        points: samples.
        classes: what a classifier says of them, int64 [N]; classes with fewer than FEWEST samples are left out.
        names: of the classes.

    Raises:
        EvaluationError: no class has enough samples, or all are of one.
    """
    counts = torch.bincount(classes).tolist()
    chosen = [c for c, n in enumerate(counts) if FEWEST <= n <= len(classes) - FEWEST]
    if not chosen:
        raise EvaluationError(f"the {len(classes)} samples are not of several classes: no direction leads to one")
    members = {(names[c] if names else str(c)): classes == c for c in chosen}
    found = along_attributes(space, points, {name: of.double() for name, of in members.items()})
    x = space.vectors(points.x).cpu()
    areas = [area_under_roc(x @ v, of) for v, of in zip(found.vectors, members.values(), strict=True)]
    return found._replace(strengths=torch.tensor(areas))


def area_under_roc(scores: Tensor, positive: Tensor) -> float:
    """The share of pairs of a positive and a negative, bool [N], in which the positive has the higher score [N]."""
    ranks = scores.argsort().argsort().double() + 1
    n, m = int(positive.sum()), int((~positive).sum())
    return (float(ranks[positive].sum()) - n * (n + 1) / 2) / (n * m)


@torch.no_grad()
def along_attributes(space: Space, points: Points, attributes: Mapping[str, Tensor]) -> Directions:
    """The direction that each attribute [N] of the samples grows along, by ridge regression; categories stay.

    The ridge is a tenth of the mean variance of a coordinate: it keeps to what samples vary in, which counts in W,
    where a few axes have most of the variance. Strengths are squared correlations.
    """
    x = space.vectors(points.x).double().cpu()
    x = x - x.mean(0)
    covariance = x.T @ x / len(x)
    ridge = 0.1 * covariance.diagonal().mean() * torch.eye(x.shape[1], dtype=x.dtype)
    vectors, shares = [], []
    for values in attributes.values():
        a = values.double() - values.double().mean()
        vectors.append(torch.linalg.solve(covariance + ridge, x.T @ a / len(x)) * moving(space).cpu())
        shares.append(torch.corrcoef(torch.stack([a, x @ vectors[-1]]))[0, 1].square().nan_to_num())
    return oriented(
        directions_of(space, torch.stack(vectors), torch.stack(shares), list(attributes)), torch.stack(vectors)
    )


def oriented(found: Directions, vectors: Tensor) -> Directions:
    """Directions with the signs of these vectors, which say which way is up."""
    signs = (found.vectors.double() * vectors).sum(1, keepdim=True).sign().float()
    return found._replace(vectors=found.vectors * signs)


@torch.no_grad()
def varied(space: Space, points: Points, found: Directions, *, steps: Tensor) -> Tensor:
    """Images [k, N, steps, C, H, W] in [-1, 1]: the points moved along each direction by `steps` [s] deviations."""
    n, images = len(points.x), []
    for vector, deviation in zip(found.vectors, found.deviations, strict=True):
        x = points.x.repeat_interleave(len(steps), 0)
        by = (steps * deviation).repeat(n)[:, None] * vector  # [N * s, dim]
        y = None if points.y is None else points.y.repeat_interleave(len(steps))
        images.append(space.pictures(Points(space.moved(x, by.to(x)), y)).unflatten(0, (n, len(steps))))  # type: ignore[no-untyped-call]
    return torch.stack(images)


@torch.no_grad()
def between_classes(space: Space, *, classes: int, steps: int, seed: int) -> Tensor:
    """From each class to the next one, all else the same: [classes, steps, C, H, W] in [-1, 1].

    A class direction of a model that is told the class: the one-hot label y_a moves straight to y_b.

    Raises:
        EvaluationError: labels are no vectors to this model.
    """
    module = space.module
    if not isinstance(module, CGAN):
        raise EvaluationError(f"{type(module).__name__} takes one class at a time, not shares of two, as cGAN does")
    points = space.draw(classes, seed=seed)
    start = F.one_hot(torch.arange(classes) % module.num_classes, module.num_classes).float()
    t = torch.linspace(0, 1, steps)[None, :, None]
    y = torch.lerp(start[:, None], start.roll(1, 1)[:, None], t).flatten(0, 1)  # [classes * steps, K]
    x = points.x.repeat_interleave(steps, 0)
    return space.pictures(Points(x, y.to(x.device))).unflatten(0, (classes, steps))  # type: ignore[no-untyped-call,no-any-return]
