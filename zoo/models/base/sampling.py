"""Latents and samples of a module: p(z), the training stream's draws, and images from a bare module."""

import math
from collections.abc import Callable
from typing import ClassVar, Literal, NamedTuple

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from zoo.nn.modes import in_eval_mode

PIXELS_AT_A_TIME = 2**22  # of the images of a pass of G when sampling: 1,024 of 64x64


class Columns(NamedTuple):
    """Neighbouring entries of a latent and their distribution, for whoever draws latents without this package.

    Attributes:
        columns: how many.
        distribution: "normal" N(0, 1), "uniform" on [low, high), "one-hot" of so many categories, all as likely.
        low: of "uniform".
        high: of "uniform".
    """

    columns: int
    distribution: Literal["normal", "uniform", "one-hot"] = "normal"
    low: float | None = None
    high: float | None = None


class SamplingModule(LightningModule):
    """What a generator can be asked for.

    Attributes:
        G: the generator.
        G_ema: the average of its weights, of the papers that sample with it; else None.
        image_shape: of a sample, (C, H, W) or (2,).
        z_dim: dimension of the latent z.
        num_classes: number of classes if G is conditional on a label, else None.
        latent_generator: of this rank's training stream.
        has_truncation: whether `sample` takes truncation_psi.
    """

    G: nn.Module
    G_ema: nn.Module | None
    image_shape: tuple[int, ...]
    z_dim: int
    num_classes: int | None
    latent_generator: torch.Generator
    has_truncation: ClassVar[bool] = False

    @property
    def dtype_G(self) -> torch.dtype:
        """Type of G's weights and of what it is given: float32, unless the module was made `double()` or the like."""
        return next((weight.dtype for weight in self.G.parameters()), torch.float32)

    def latents(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """n draws of the prior p(z), [n, z_dim] on the CPU: standard normal unless the paper says otherwise."""
        return torch.randn(n, self.z_dim, generator=generator)

    @property
    def prior(self) -> tuple[Columns, ...]:
        """What `latents` draws, from the first column to the last; papers that override the one override the other."""
        return (Columns(self.z_dim),)

    def sample_z(self, n: int) -> Tensor:
        """n latents of this rank's training stream, [n, z_dim] on the module's device.

        Drawn on the CPU: the stream is the same whatever the device, and its state fits every checkpoint.
        """
        return self.latents(n, generator=self.latent_generator).to(self.device, non_blocking=True)

    def generate(self, z: Tensor, y: Tensor | None) -> Tensor:
        """Images [N, C, H, W] in [-1, 1] from latents z and labels y; papers with another scale convert here."""
        images: Tensor = self.G(z)
        return images

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """`generate`, for what calls a module as a function."""
        return self.generate(z, y)

    @torch.no_grad()
    def sample(
        self,
        n: int,
        *,
        labels: Tensor | None = None,
        seed: int | None = None,
        truncation_psi: float | None = None,
        ema: bool = True,
    ) -> Tensor:
        """n images from a bare module: no trainer, no data set, no logger.

        Args:
            n: number of images.
            labels: whole numbers [n] for conditional papers (default: drawn uniformly); unconditional ones refuse them.
            seed: makes the result a function of weights, n and seed; None draws from torch's global generator.
            truncation_psi: for the papers that have the truncation trick; the others refuse it.
            ema: use the averaged weights, where the paper keeps them.

        Returns:
            float32 [n, C, H, W] in [-1, 1] on the module's device.

        Raises:
            ValueError: labels or truncation for a paper that has none; labels that are not n of the model's classes.
        """
        if truncation_psi is not None and not self.has_truncation:
            raise ValueError(f"{type(self).__name__} has no truncation trick: leave truncation_psi out")
        z, y = self.draw(n, labels=labels, seed=seed)
        with in_eval_mode(self):
            return self.images_of(z, y, seed=seed, truncation_psi=truncation_psi, ema=ema).float()

    def images_of(
        self, z: Tensor, y: Tensor | None, *, seed: int | None, truncation_psi: float | None, ema: bool
    ) -> Tensor:
        """What `sample` makes of its latents; papers with averaged weights, truncation or noise look at the rest."""
        return self.some_at_a_time(self.generate, z, y)

    def some_at_a_time(self, make: Callable[[Tensor, Tensor | None], Tensor], z: Tensor, y: Tensor | None) -> Tensor:
        """make(z, y) of latents z [N, z_dim] and labels y [N], in parts: one pass of G does not grow with N."""
        most = max(1, PIXELS_AT_A_TIME // math.prod(self.image_shape[1:]))
        if len(z) <= most:
            return make(z, y)
        parts = [slice(i, i + most) for i in range(0, len(z), most)]
        return torch.cat([make(z[part], None if y is None else y[part]) for part in parts])

    def draw(self, n: int, *, labels: Tensor | None = None, seed: int | None = None) -> tuple[Tensor, Tensor | None]:
        """Latents [n, z_dim] and labels [n] (drawn uniformly where not given; None if unconditional) of `sample`."""
        if labels is not None and self.num_classes is None:
            raise ValueError(f"{type(self).__name__} is unconditional: leave labels out")
        if labels is not None:
            labels = torch.as_tensor(labels)
            whole = not (labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool)
            most = (self.num_classes or 0) - 1  # below 0, an index would count from the end
            if labels.shape != (n,) or not whole or ((labels < 0) | (labels > most)).any():
                raise ValueError(f"labels must be {n} whole numbers in 0..{most}, one for each image")
            labels = labels.long()
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        z = self.latents(n, generator=generator)
        if labels is None and self.num_classes is not None:
            labels = torch.randint(self.num_classes, (n,), generator=generator)
        return z.to(self.device, self.dtype_G), None if labels is None else labels.to(self.device)

    def predict_step(self, batch: tuple[int, int], batch_idx: int) -> Tensor:
        """`Trainer.predict` over pairs (number of images, seed), one at a time: images [n, C, H, W] in [-1, 1]."""
        n, seed = (int(value) for value in batch)  # a DataLoader makes tensors of them
        return self.sample(n, seed=seed)
