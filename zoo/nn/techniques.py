"""The layers of "Improved Techniques for Training GANs"; what switches them on is zoo/models/improved_gan.py.

T. Salimans, I. Goodfellow, W. Zaremba, V. Cheung, A. Radford, X. Chen, NIPS 2016, arXiv 1606.03498, section 3:
minibatch discrimination (3.2), historical averaging (3.3), virtual batch normalization (3.5).
"""

from typing import cast

import torch
from torch import Tensor, nn

from zoo.nn.precision import at_least_float32

REFERENCE = 64  # latents in the reference batch of virtual batch normalization
KERNELS, KERNEL_DIM = 100, 5  # B and C of minibatch discrimination in the authors' CIFAR-10 script


class MinibatchDiscrimination(nn.Module):
    """Appends to the features of an image how close it is to the other images of its batch (section 3.2).

    Maps features [N, A] to [N, A + B]. With M_i = f(x_i) T in R^(B x C), feature b of image i is the sum over j != i of
    exp(-||M_ib - M_jb||_1). (The printed sum includes j = i, a constant 1; the text speaks of the others, and the
    authors' code leaves it out.) Reals and samples must come in batches of their own.

    Args:
        features: A.
        kernels: B.
        kernel_dim: C.
    """

    def __init__(self, features: int, *, kernels: int = KERNELS, kernel_dim: int = KERNEL_DIM) -> None:
        super().__init__()
        # Rows of unit length: distances of a few units for features of order 1, and neither all sums 0 nor all N - 1.
        self.T = nn.Parameter(torch.randn(features, kernels, kernel_dim) / features**0.5)

    def forward(self, f: Tensor) -> Tensor:
        M = torch.einsum("na,abc->nbc", f, self.T)
        distance = (M[:, None] - M[None]).abs().sum(3)  # [N, N, B]
        closeness = (-distance).exp().sum(1) - 1  # [N, B]; exp(0) of an image and itself is exactly 1
        return torch.cat([f, closeness], 1)


class HistoricalAverage(nn.Module):
    """The mean of a network's parameters after each update so far, and the cost of being away from it (section 3.3).

    The mean is state, and travels in the checkpoint. Before the first update the cost is 0.

    Args:
        net: the network; its parameters are remembered, it is not kept.
    """

    average: Tensor
    updates: Tensor

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.register_buffer("average", torch.zeros_like(flat(net)))  # [P]
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def forward(self, net: nn.Module) -> Tensor:
        """||theta - (1/t) sum_i theta[i]||^2; the past is constant."""
        return (flat(net) - self.average).square().sum() * (self.updates > 0)

    @torch.no_grad()
    def update(self, net: nn.Module) -> None:
        """Takes the parameters as they are now into the mean."""
        self.updates += 1
        self.average += (flat(net) - self.average) / self.updates


def flat(net: nn.Module) -> Tensor:
    """All parameters of a network as one vector [P]."""
    return torch.cat([parameter.flatten() for parameter in net.parameters()])


class VirtualBatchNorm(nn.Module):
    """Normalises each example by the statistics of a fixed reference batch and of itself (section 3.5).

    Maps [R + N, C] or [R + N, C, H, W] to the same shape: the first R examples are the reference batch, which is
    normalised by its own statistics alone. The others have those of R + 1 examples, the reference's and their own, and
    so do not depend on each other. The paper gives no weights; these are of the authors' code, as is `eps`.

    Args:
        channels: C.
        reference: R.
        eps: added to the variance.
    """

    def __init__(self, channels: int, *, reference: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.reference, self.eps = reference, eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        h = at_least_float32(x)
        h = h.flatten(2) if x.dim() > 2 else h[..., None]  # [R + N, C, H * W]
        mean, power = self.combined(h.mean(2, keepdim=True)), self.combined(h.square().mean(2, keepdim=True))
        normalised = (h - mean) * (power - mean.square()).clamp(min=0).add(self.eps).rsqrt()
        return (normalised * self.weight[:, None] + self.bias[:, None]).view_as(x).to(x.dtype)

    def combined(self, moments: Tensor) -> Tensor:
        """Moments [R + N, C, 1] of each example to those that it is normalised by."""
        reference = moments[: self.reference].mean(0, keepdim=True)  # [1, C, 1]
        own = torch.lerp(reference, moments[self.reference :], 1 / (self.reference + 1))
        return torch.cat([reference.expand(self.reference, -1, -1), own])


class WithReference(nn.Module):
    """A generator that takes the reference latents along with each batch, and gives the batch's images alone.

    Args:
        net: maps [R + N, z_dim] to images, with VirtualBatchNorm layers of that R.
        reference: latents [R, z_dim], fixed from here on; part of the checkpoint.
    """

    reference: Tensor

    def __init__(self, net: nn.Module, reference: Tensor) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("reference", reference)

    def forward(self, z: Tensor) -> Tensor:
        """Images [N, C, H, W] of latents z [N, z_dim]; each depends on its own latent and the reference only."""
        images: Tensor = self.net(torch.cat([self.reference, z]))
        return images[len(self.reference) :]


def with_virtual_batchnorm(G: nn.Module, reference: Tensor) -> WithReference:
    """G with VirtualBatchNorm in place of every BatchNorm layer, and the reference latents [R, z_dim]."""

    def replace(net: nn.Module) -> None:
        for name, child in net.named_children():
            if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
                setattr(net, name, VirtualBatchNorm(child.num_features, reference=len(reference)))
            else:
                replace(child)

    replace(G)
    return WithReference(G, reference)


def last_layer(D: nn.Sequential) -> int:
    """The place of D's last linear or convolutional layer, the one that gives the logit."""
    return max(i for i, layer in enumerate(D) if isinstance(layer, nn.Linear | nn.Conv2d))


def with_minibatch_discrimination(D: nn.Sequential) -> nn.Sequential:
    """D with MinibatchDiscrimination before its last layer, which must see the whole map and give one logit."""
    last = last_layer(D)
    logit = cast(nn.Linear | nn.Conv2d, D[last])
    features = logit.weight.numel()
    head = nn.Linear(features + KERNELS, 1, bias=logit.bias is not None)
    return nn.Sequential(*D[:last], nn.Flatten(), MinibatchDiscrimination(features), head)
