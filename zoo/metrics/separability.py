"""Linear separability of a latent space (Karras et al. 2019, arXiv 1812.04948, section 4.2)."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.metrics.processes import in_float64


def linear_separability(latents: Tensor, logits: Tensor, *, keep: float = 0.5) -> Tensor:
    """exp(sum_i H(Y_i | X_i)), float64 []: 1 if a hyperplane tells every attribute, more if it does not.

    Y_i is the class that a classifier gives attribute i of the image, X_i the side of a linear SVM's plane that the
    latent lies on. The SVM is fitted to, and scored on, the `keep` share of samples that the classifier is surest of
    (the paper: 100,000 of 200,000, 40 attributes of CelebA-HQ). Classifiers of one's own give values of one's own.

    Args:
        latents: z or w of the samples, [N, d].
        logits: of each binary attribute, [N, A]: positive where the image has it.

    Raises ValueError for shapes that do not fit or values that are not finite.
    """
    if latents.ndim != 2 or logits.ndim != 2 or len(latents) != len(logits) or not 0 < keep <= 1:
        raise ValueError(
            f"latents [N, d] and logits [N, A] are needed, and 0 < keep <= 1; "
            f"got {list(latents.shape)}, {list(logits.shape)}, {keep}"
        )
    if not bool(latents.isfinite().all() & logits.isfinite().all()):
        raise ValueError("a latent or a logit is not finite: nothing to separate")
    n = max(1, round(keep * len(latents)))
    entropies = []
    for column in logits.T:
        sure = column.abs().topk(n).indices
        x, y = in_float64(latents[sure]), column[sure] > 0
        entropies.append(conditional_entropy(decide(x, fit_svm(x, y)), y))
    return torch.stack(entropies).sum().exp()


def fit_svm(x: Tensor, y: Tensor, *, C: float = 1.0) -> Tensor:
    """Weights and bias [d + 1] that minimise |w|^2 / 2 + C sum max(0, 1 - y (w.x + b))^2, the bias counted as a weight.

    That is scikit-learn's LinearSVC, solved in float64 by Newton steps with a line search: the problem is convex, the
    result does not depend on a seed. x [N, d], y bool [N].
    """
    x = torch.cat([x, torch.ones(len(x), 1, dtype=x.dtype, device=x.device)], dim=1)
    sign = y.to(x) * 2 - 1
    w = torch.zeros(x.shape[1], dtype=x.dtype, device=x.device)
    eye = torch.eye(len(w), dtype=x.dtype, device=x.device)

    def loss(v: Tensor) -> Tensor:
        return v.square().sum() / 2 + C * (1 - sign * (x @ v)).clamp(min=0).square().sum()

    for _ in range(100):
        slack = (1 - sign * (x @ w)).clamp(min=0)
        gradient = w - 2 * C * x.T @ (sign * slack)
        if float(gradient.norm()) < 1e-8 * max(1.0, C * len(x)):
            break
        active = x[slack > 0]
        step = torch.linalg.solve(eye + 2 * C * active.T @ active, gradient)
        size, now = 1.0, loss(w)
        while size > 1e-10 and float(loss(w - size * step)) > float(now - 1e-4 * size * (gradient @ step)):
            size /= 2
        w = w - size * step
    return w


def decide(x: Tensor, w: Tensor) -> Tensor:
    """The side of the plane w [d + 1] on which each x [N, d] lies, bool [N]."""
    return x @ w[:-1] + w[-1] > 0


def conditional_entropy(x: Tensor, y: Tensor) -> Tensor:
    """H(Y | X) of two binary columns, bool [N] each, in nats; float64 []."""
    joint = torch.stack([(x == a).logical_and(y == b).sum() for a in (False, True) for b in (False, True)])
    joint = joint.double() / len(x)
    entropy: Tensor = torch.special.entr(joint).sum() - torch.special.entr(joint.view(2, 2).sum(dim=1)).sum()
    return entropy
