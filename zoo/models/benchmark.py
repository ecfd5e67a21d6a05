"""One pair of networks for every objective: what the benchmark trains. It is no paper.

The networks are DCGAN's in their community variant (4x4 kernels, N(0, 0.02) weights), z ~ N(0, I) but for InfoGAN's,
images in [-1, 1]. A D without BatchNorm has biases, and first weights that keep its signals at one scale (He et al.
2015): without the biases no D can tell an image of zeros from the decision boundary, and G stays there.
Objectives are in objectives.py; every one of them is a paper's, and its class says which.
"""

from typing import Literal

import torch
from torch import Tensor

from zoo.errors import UnsupportedSettingError
from zoo.models.base.module import AdversarialModule
from zoo.models.base.sampling import Columns
from zoo.models.networks.dcgan import initialise, initialise_for_leaky_relu
from zoo.models.objectives import OBJECTIVES


class Benchmark(AdversarialModule):
    """DCGAN's 32x32 networks under any objective (zoo/models/objectives.py), with Adam or RMSProp.

    Args:
        objective: one of `OBJECTIVES`.
        channels: of the images.
        resolution: height and width, a power of two from 8 on.
        width: filters of the layer next to the image.
        z_dim: dimension of z.
        batchnorm_D: BatchNorm in D. Objectives with a penalty on single images forbid it.
        optimizer: "adam" or "rmsprop", of both players.
        lr: learning rate of both players.
        beta1: Adam's first moment decay.
        beta2: Adam's second moment decay.
        n_critic: updates of D for each of G.
        weight: of the penalty: lambda of WGAN-GP, gamma of R1 and of R1 + R2, lambda of InfoGAN; None takes 10 for
            WGAN-GP and R1, 1 for R1 + R2 and InfoGAN.
        clip: bound on the critic's weights, of WGAN.

    Raises:
        ValueError: an unknown objective, BatchNorm where it is forbidden, a resolution that the networks lack, or a
            z_dim without room for InfoGAN's codes.
    """

    paper = "benchmark"

    def __init__(
        self,
        *,
        objective: str = "non-saturating",
        channels: int = 1,
        resolution: int = 32,
        width: int = 32,
        z_dim: int = 128,
        batchnorm_D: bool = False,
        optimizer: Literal["adam", "rmsprop"] = "adam",
        lr: float = 2e-4,
        beta1: float = 0.5,
        beta2: float = 0.999,
        n_critic: int = 1,
        weight: float | None = None,
        clip: float = 0.01,
    ) -> None:
        if objective not in OBJECTIVES:
            raise UnsupportedSettingError(f"there is no objective {objective!r}: choose from {', '.join(OBJECTIVES)}")
        if resolution < 8 or resolution & (resolution - 1):
            raise UnsupportedSettingError(f"resolution must be a power of two from 8 on, not {resolution}")
        kind = OBJECTIVES[objective]
        if kind.forbids_batchnorm and batchnorm_D:
            raise UnsupportedSettingError(f"{objective} penalises single images, which BatchNorm in D would mix")
        super().__init__(
            image_shape=(channels, resolution, resolution),
            z_dim=z_dim,
            n_critic=n_critic,
            num_classes=kind.num_classes,
        )
        self.save_hyperparameters()
        self.objective = kind(weight=weight, clip=clip)
        self.scores_are_logits = kind.logits  # type: ignore[misc]
        self.optimizer, self.lr, self.betas = optimizer, lr, (beta1, beta2)
        self.G, self.D = self.objective.networks(
            z_dim=z_dim, width=width, channels=channels, resolution=resolution, batchnorm_D=batchnorm_D
        )
        initialise(self)
        if not batchnorm_D:
            initialise_for_leaky_relu(self.D)
        self.to(memory_format=torch.channels_last)  # same values, faster convolutions

    def latents(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """The objective's prior, N(0, I) but for InfoGAN's uniform noise and codes. [n, z_dim]."""
        return self.objective.latents(n, self.z_dim, generator=generator)

    @property
    def prior(self) -> tuple[Columns, ...]:
        return self.objective.prior(self.z_dim)

    def discriminator_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        return self.objective.discriminator_loss(self, x, y)

    def generator_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        return self.objective.generator_loss(self, x, y)

    def after_discriminator_update(self) -> None:
        self.objective.after_discriminator_update(self.D)

    def score(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        scores: Tensor = self.D(x, *self.objective.condition(y))
        return scores

    def generate(self, z: Tensor, y: Tensor | None) -> Tensor:
        """Images [N, C, H, W] in [-1, 1]."""
        images: Tensor = self.G(z, *self.objective.condition(y))
        return images

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """PyTorch's constants, but for the rates and decays."""
        players = (self.D, self.G)
        if self.optimizer == "rmsprop":
            return [torch.optim.RMSprop(net.parameters(), lr=self.lr) for net in players]
        return [torch.optim.Adam(net.parameters(), lr=self.lr, betas=self.betas) for net in players]
