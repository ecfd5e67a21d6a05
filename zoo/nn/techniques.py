"""Six techniques that steady a GAN's training, each a switch; all of them are off unless asked for.

T. Salimans, I. Goodfellow, W. Zaremba, V. Cheung, A. Radford, X. Chen, "Improved Techniques for Training GANs", NIPS
2016, arXiv 1606.03498, section 3: feature matching (3.1), minibatch discrimination (3.2), historical averaging (3.3),
one-sided label smoothing (3.4), virtual batch normalization (3.5). Instance noise: C. K. Sønderby et al., "Amortised
MAP Inference for Image Super-resolution", ICLR 2017, arXiv 1610.04490; M. Arjovsky, L. Bottou, "Towards Principled
Methods for Training GANs", ICLR 2017, arXiv 1701.04862, section 3.

The losses among them are in losses.py. A paper's module composes `Techniques` in; each class stands on its own too.
"""

from collections.abc import Callable
from typing import Literal, cast

import torch
from torch import Tensor, nn

from zoo.errors import UnsupportedSettingError

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
        h = x.float().flatten(2) if x.dim() > 2 else x.float()[..., None]  # [R + N, C, H * W]
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


class Techniques(nn.Module):
    """The switches, and what the techniques have to remember.

    Args:
        feature_matching: G minimises the distance of mean features (`feature_matching_loss`) instead of D's verdict.
        minibatch_discrimination: D sees how close an image is to the others of its batch.
        historical_averaging: weight of each player's squared distance to its past mean; 0 is off.
        label_smoothing: D's target for reals, such as 0.9; that of samples stays 0. None is 1.
        virtual_batchnorm: G is normalised by a fixed reference batch; each of its passes costs `REFERENCE` more images.
        instance_noise: standard deviation of Gaussian noise on all that D sees, at the start; 0 is off.
        instance_noise_images: real images in which that falls linearly to 0.

    Raises:
        UnsupportedSettingError: a value out of range.
    """

    def __init__(
        self,
        *,
        feature_matching: bool = False,
        minibatch_discrimination: bool = False,
        historical_averaging: float = 0.0,
        label_smoothing: float | None = None,
        virtual_batchnorm: bool = False,
        instance_noise: float = 0.0,
        instance_noise_images: int = 100_000,
    ) -> None:
        super().__init__()
        if label_smoothing is not None and not 0.5 < label_smoothing <= 1:
            raise UnsupportedSettingError(
                f"label_smoothing={label_smoothing} is D's target for reals and must lie above 0.5 and up to 1 "
                "(0.9 takes a tenth off)"
            )
        if min(historical_averaging, instance_noise) < 0:
            raise UnsupportedSettingError(
                f"historical_averaging={historical_averaging} and instance_noise={instance_noise} must not be negative"
            )
        if instance_noise_images < 1:
            raise UnsupportedSettingError(f"instance_noise_images={instance_noise_images} must be at least 1")
        self.feature_matching, self.minibatch_discrimination = feature_matching, minibatch_discrimination
        self.historical_averaging, self.virtual_batchnorm = historical_averaging, virtual_batchnorm
        self.real_label = 1.0 if label_smoothing is None else label_smoothing
        self.instance_noise, self.instance_noise_images = instance_noise, instance_noise_images
        self.history = nn.ModuleDict()  # of "D" and "G"

    @property
    def of_layers(self) -> list[str]:
        """Those switched on that need a D or G which is a plain sequence of layers."""
        return [
            name
            for name in ("feature_matching", "minibatch_discrimination", "virtual_batchnorm")
            if getattr(self, name)
        ]

    def built_into(
        self, G: nn.Module, D: nn.Module, *, latents: Callable[[int], Tensor]
    ) -> tuple[nn.Module, nn.Module]:
        """The players with the layers that were asked for; `latents` draws the reference batch."""
        if self.virtual_batchnorm:
            G = with_virtual_batchnorm(G, latents(REFERENCE))
        if self.minibatch_discrimination:
            assert isinstance(D, nn.Sequential)
            D = with_minibatch_discrimination(D)
        if self.historical_averaging:
            self.history.update({"D": HistoricalAverage(D), "G": HistoricalAverage(G)})
        return G, D

    def sigma(self, images_seen: int) -> float:
        """Standard deviation of the instance noise at this moment of the run."""
        return self.instance_noise * max(0.0, 1 - images_seen / self.instance_noise_images)

    def noisy(self, x: Tensor, *, images_seen: int) -> Tensor:
        """x + sigma epsilon with epsilon ~ N(0, I) from torch's global stream, which checkpoints carry."""
        sigma = self.sigma(images_seen)
        return x if sigma == 0 else torch.add(x, torch.randn_like(x), alpha=sigma)

    def historical_cost(self, player: Literal["D", "G"], net: nn.Module) -> Tensor | float:
        """What is added to this player's loss."""
        return self.historical_averaging * self.history[player](net) if self.history else 0.0

    def remember(self, player: Literal["D", "G"], net: nn.Module) -> None:
        """To be called after each update of this player."""
        if self.history:
            cast(HistoricalAverage, self.history[player]).update(net)
