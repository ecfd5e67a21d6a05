"""InfoGAN's latents and networks (Chen et al. 2016, appendix C): G, and D with Q on its trunk."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.models.base.sampling import Columns

LOG_VARIANCE = (-8.0, 8.0)  # bounds of a learnt sigma: without them Q gains for ever by shrinking it


class Codes(NamedTuple):
    """What c holds, and in the same layout what Q says of it.

    Attributes:
        categorical: one-hot codes, or Q's logits [N, M, K].
        continuous: codes in [-1, 1], or Q's means [N, C].
        log_variance: Q's log sigma^2 [N, C]; None for codes.
    """

    categorical: Tensor
    continuous: Tensor
    log_variance: Tensor | None = None


class CodeLayout(NamedTuple):
    """The latent [noise | M one-hot codes of K categories | C continuous codes] of section 4 and appendix C."""

    noise: int
    codes: int
    categories: int
    continuous: int

    @property
    def z_dim(self) -> int:
        """Values of noise and codes together."""
        return self.noise + self.codes * self.categories + self.continuous

    @property
    def prior(self) -> tuple[Columns, ...]:
        """What `draw` draws, from the first column to the last."""
        categorical = [Columns(self.categories, "one-hot")] * self.codes
        parts = [Columns(self.noise, "uniform", -1, 1), *categorical, Columns(self.continuous, "uniform", -1, 1)]
        return tuple(part for part in parts if part.columns)

    @property
    def parameters(self) -> int:
        """Outputs of Q: a logit for each category, mean and log variance for each continuous code."""
        return self.codes * self.categories + 2 * self.continuous

    def draw(self, n: int, *, generator: torch.Generator | None) -> Tensor:
        """n latents [n, z_dim]: noise and continuous codes U(-1, 1), categories uniform."""
        noise = torch.rand(n, self.noise, generator=generator) * 2 - 1
        category = torch.randint(self.categories, (n, self.codes), generator=generator)
        continuous = torch.rand(n, self.continuous, generator=generator) * 2 - 1
        return torch.cat([noise, F.one_hot(category, self.categories).flatten(1).float(), continuous], dim=1)

    def codes_of(self, z: Tensor) -> Codes:
        """The codes c within latents z [N, z_dim]."""
        _, categorical, continuous = z.split([self.noise, self.codes * self.categories, self.continuous], dim=1)  # type: ignore[no-untyped-call]
        return Codes(categorical.unflatten(1, (self.codes, self.categories)), continuous)

    def parameters_of(self, outputs: Tensor) -> Codes:
        """Q's outputs [N, parameters] taken apart."""
        sizes = [self.codes * self.categories, self.continuous, self.continuous]
        logits, mean, log_variance = outputs.split(sizes, dim=1)  # type: ignore[no-untyped-call]
        return Codes(logits.unflatten(1, (self.codes, self.categories)), mean, log_variance.clamp(*LOG_VARIANCE))


LAYOUTS = {"mnist": CodeLayout(62, 1, 10, 2), "celeba": CodeLayout(128, 10, 10, 0)}  # appendix C.1, C.3


class Discriminator(nn.Module):
    """D and Q: one trunk, two heads.

    Args:
        trunk: images [N, C, H, W] to features [N, features].
        features: width of the trunk's output.
        layout: of the codes that Q predicts.
        slope: of the leaky ReLU in Q's head.
    """

    def __init__(self, trunk: nn.Module, *, features: int, layout: CodeLayout, slope: float) -> None:
        super().__init__()
        self.layout = layout
        self.trunk = trunk
        self.head = nn.Linear(features, 1)
        self.Q = nn.Sequential(
            nn.Linear(features, 128), nn.BatchNorm1d(128), nn.LeakyReLU(slope), nn.Linear(128, layout.parameters)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Logits of D, [N, 1]."""
        return self.head(self.trunk(x))  # type: ignore[no-any-return]

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """torch.compile of the parts, so that with_codes is compiled too.

        Were forward alone compiled, its update of BatchNorm's running statistics would invalidate the backward pass of
        an earlier with_codes.
        """
        for part in (self.trunk, self.head, self.Q):
            part.compile(*args, **kwargs)

    def with_codes(self, x: Tensor, *, detach_trunk: bool = False) -> tuple[Tensor, Codes]:
        """Logits of D [N, 1], and what Q says of the codes; detach_trunk keeps Q's gradient in Q's own head."""
        features = self.trunk(x)
        outputs = self.Q(features.detach() if detach_trunk else features)
        return self.head(features), self.layout.parameters_of(outputs)


def mnist_generator(z_dim: int) -> nn.Sequential:
    """z [N, z_dim] to images [N, 1, 28, 28] in [0, 1] (Table 1)."""
    return nn.Sequential(
        nn.Linear(z_dim, 1024),
        nn.BatchNorm1d(1024),
        nn.ReLU(),
        nn.Linear(1024, 7 * 7 * 128),
        nn.BatchNorm1d(7 * 7 * 128),
        nn.ReLU(),
        nn.Unflatten(1, (128, 7, 7)),
        nn.ConvTranspose2d(128, 64, 4, stride=2, padding=1),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.ConvTranspose2d(64, 1, 4, stride=2, padding=1),
        nn.Sigmoid(),
    )


def mnist_trunk(slope: float) -> nn.Sequential:
    """Images [N, 1, 28, 28] in [0, 1] to features [N, 1024] (Table 1)."""
    return nn.Sequential(
        nn.Conv2d(1, 64, 4, stride=2, padding=1),
        nn.LeakyReLU(slope),
        nn.Conv2d(64, 128, 4, stride=2, padding=1),
        nn.BatchNorm2d(128),
        nn.LeakyReLU(slope),
        nn.Flatten(),
        nn.Linear(128 * 7 * 7, 1024),
        nn.BatchNorm1d(1024),
        nn.LeakyReLU(slope),
    )


def celeba_generator(z_dim: int, *, channels: int, resolution: int, width: int) -> nn.Sequential:
    """z [N, z_dim] to images [N, C, H, H] in [-1, 1] (Table 3: H = 32; no BatchNorm on the 128 and 64 stages)."""
    side, first = resolution // 16, 7 * width
    return nn.Sequential(
        nn.Linear(z_dim, side * side * first),
        nn.BatchNorm1d(side * side * first),
        nn.ReLU(),
        nn.Unflatten(1, (first, side, side)),
        nn.ConvTranspose2d(first, 4 * width, 4, stride=2, padding=1),
        nn.BatchNorm2d(4 * width),
        nn.ReLU(),
        nn.ConvTranspose2d(4 * width, 2 * width, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1),
        nn.Tanh(),
    )


def celeba_trunk(slope: float, *, channels: int, width: int) -> nn.Sequential:
    """Images [N, C, H, H] in [-1, 1] to features [N, 4 width (H/8)^2] (Table 3: H = 32, width 64)."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 4, stride=2, padding=1),
        nn.LeakyReLU(slope),
        nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
        nn.BatchNorm2d(2 * width),
        nn.LeakyReLU(slope),
        nn.Conv2d(2 * width, 4 * width, 4, stride=2, padding=1),
        nn.BatchNorm2d(4 * width),
        nn.LeakyReLU(slope),
        nn.Flatten(),
    )


def initialise(net: nn.Module) -> None:
    """Weights N(0, 0.02), for convolutions truncated at 0.04, as the authors'; BatchNorm gains N(1, 0.02)."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.trunc_normal_(module.weight, std=0.02, a=-0.04, b=0.04)
        elif isinstance(module, nn.Linear | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)
