"""Objectives and penalties that several papers share, as pure functions of logits and images.

"Logit" is D's output before the sigmoid: D(x) = sigmoid(logit). Losses are scalars to be minimised.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.nn.precision import at_least_float32


def bce_discriminator_loss(real_logits: Tensor, fake_logits: Tensor, *, real_label: float = 1.0) -> Tensor:
    """-E[log D(x)] - E[log(1 - D(G(z)))] (Goodfellow et al. 2014, eq. 1, negated); 2 ln 2 where D = 1/2.

    Args:
        real_logits: logits of real images, any shape.
        fake_logits: logits of generated images, any shape.
        real_label: alpha, the target of D for reals; below 1, one-sided label smoothing (Salimans et al. 2016, section
            3.4): -E[alpha log D(x) + (1 - alpha) log(1 - D(x))] in the first term. The target for samples is 0.
    """
    loss = F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()
    if real_label != 1:  # log D(x) - log(1 - D(x)) is the logit
        loss = loss + (1 - real_label) * real_logits.mean()
    return loss


def non_saturating_generator_loss(fake_logits: Tensor) -> Tensor:
    """-E[log D(G(z))] (Goodfellow et al. 2014, section 3); ln 2 where D = 1/2."""
    return F.softplus(-fake_logits).mean()


def saturating_generator_loss(fake_logits: Tensor) -> Tensor:
    """E[log(1 - D(G(z)))] (Goodfellow et al. 2014, Algorithm 1): the minimax game's own; -ln 2 where D = 1/2."""
    return -F.softplus(fake_logits).mean()


def hinge_discriminator_loss(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))] (Lim & Ye 2017; Miyato et al. 2018, eq. 16); 2 where D = 0.

    Its generator minimises -E[D(G(z))], `wasserstein_generator_loss`.
    """
    return F.relu(1 - real_scores).mean() + F.relu(1 + fake_scores).mean()


def relativistic_loss(winner: Tensor, loser: Tensor) -> Tensor:
    """E[softplus(-(C(winner) - C(loser)))] over pairs (Jolicoeur-Martineau 2019, RSGAN); ln 2 where C is constant.

    D minimises it with reals as winners, G with samples: each image is compared with one of the other kind.

    Args:
        winner: scores of the images that shall have the higher ones, any shape.
        loser: those of the others, in the same shape.
    """
    return F.softplus(loser - winner).mean()


def feature_matching_loss(real_features: Tensor, fake_features: Tensor) -> Tensor:
    """||E f(x) - E f(G(z))||_2^2 (Salimans et al. 2016, section 3.1), for G; no gradient flows into the reals.

    Args:
        real_features: activations of a hidden layer of D on reals, [N, ...].
        fake_features: the same on samples, [M, ...].
    """
    return (real_features.detach().mean(0) - fake_features.mean(0)).square().sum()


def wasserstein_critic_loss(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """E[f(G(z))] - E[f(x)] (Arjovsky et al. 2017, Algorithm 1, line 5, negated).

    Minus the critic's estimate of the Wasserstein distance, up to the factor of its Lipschitz constant.

    Args:
        real_scores: f of real images, any shape.
        fake_scores: f of generated images, any shape.
    """
    return fake_scores.mean() - real_scores.mean()


def wasserstein_generator_loss(fake_scores: Tensor) -> Tensor:
    """-E[f(G(z))] (Arjovsky et al. 2017, Algorithm 1, line 10)."""
    return -fake_scores.mean()


def gradient_penalty(
    D: Callable[[Tensor], Tensor],
    x: Tensor,
    fake: Tensor,
    *,
    epsilon: Tensor | None = None,
    target: float = 1.0,
    one_sided: bool = False,
) -> Tensor:
    """E[(||grad D(x_hat)||_2 - target)^2] at x_hat = epsilon x + (1 - epsilon) fake (Gulrajani et al. 2017, eq. 3).

    One epsilon per sample. Runs in float32 (of float64 images in float64) outside any autocast and torch.compile, whose
    graphs cannot be differentiated twice. The weight (lambda) is the caller's.

    Args:
        D: critic, [N, ...] to [N] or [N, 1].
        x: real images [N, ...].
        fake: generated images [N, ...]; no gradient flows into them.
        epsilon: mixing coefficients [N] in [0, 1]; drawn uniformly if None.
        target: gradient norm at which the penalty vanishes.
        one_sided: penalise norms above `target` only, E[max(0, norm - target)^2] (section 4, "two-sided penalty").
    """
    with torch.autocast(x.device.type, enabled=False), torch.compiler.set_stance("force_eager"):
        if epsilon is None:
            epsilon = torch.rand(len(x)).to(x.device)
        x, fake = at_least_float32(x), at_least_float32(fake.detach())
        epsilon = epsilon.to(x.dtype).view(-1, *[1] * (x.dim() - 1))  # [N, 1, 1, 1]
        x_hat = (epsilon * x + (1 - epsilon) * fake).requires_grad_()
        (gradient,) = torch.autograd.grad(D(x_hat).sum(), x_hat, create_graph=True)  # [N, ...]
        excess = gradient.flatten(1).norm(2, dim=1) - target  # [N]
        penalty: Tensor = (excess.relu() if one_sided else excess).square().mean()
        return penalty


def r1_penalty(D: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """E ||grad D(x)||^2 on reals: the mean over images of the summed squared gradients (Mescheder et al. 2018, eq. 9).

    On samples it is their R2; no gradient flows into the images.

    Runs in float32 or float64 outside any autocast and outside torch.compile, as gradient_penalty does. The weight
    (gamma / 2) is the caller's.

    Args:
        D: discriminator, [N, ...] to logits [N] or [N, 1].
        x: real images [N, ...]; samples for R2.
    """
    with torch.autocast(x.device.type, enabled=False), torch.compiler.set_stance("force_eager"):
        x = at_least_float32(x.detach()).requires_grad_()
        (gradient,) = torch.autograd.grad(D(x).sum(), x, create_graph=True)  # [N, ...]
        penalty: Tensor = gradient.flatten(1).square().sum(1).mean()
        return penalty
