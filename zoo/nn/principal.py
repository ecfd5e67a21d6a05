"""A sigmoid layer that starts from the principal components of the data."""

import torch
from torch import Tensor, nn

MOST = 10_000  # images that are looked at
FLATTEST = 0.05  # of the sigmoid's slope, at most 0.25: dark and bright pixels would take too much of the variance


@torch.no_grad()
def start_at_principal_components(layer: nn.Linear, hidden: Tensor, images: Tensor, *, components: int = 100) -> None:
    """Sets weights and bias so that sigmoid(layer(h)) has, to first order, the images' mean and main directions.

    The first `components` principal components of the hidden values, each of unit variance, stand for those of the
    images about the logit of their mean, each with its standard deviation.

    Args:
        layer: [width] to [outputs], before a sigmoid.
        hidden: what it is fed for many latents, [n, width].
        images: [N, outputs] in [0, 1]; MOST are looked at.
        components: at most this many, and no more than there are.
    """
    x = images[:MOST].float()
    mean = x.mean(0).clamp(1e-3, 1 - 1e-3)
    slope = (mean * (1 - mean)).clamp_min(FLATTEST)
    k = min(components, len(x) - 1, hidden.shape[1], len(hidden) - 1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # of the search for the components, which is randomised
        _, spread, directions = torch.pca_lowrank((x - x.mean(0)) / slope, q=k, center=False)
        _, own_spread, own = torch.pca_lowrank(hidden.float(), q=k)
    deviations = spread / (len(x) - 1) ** 0.5
    scales = (len(hidden) - 1) ** 0.5 / own_spread.clamp_min(1e-6 * float(own_spread[0]))
    weight = (directions * deviations) @ (own * scales).T  # [outputs, k] @ [k, width]
    layer.weight.copy_(weight)
    layer.bias.copy_(torch.logit(mean) - weight @ hidden.float().mean(0))
