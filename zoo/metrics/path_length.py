"""Perceptual path length (Karras et al. 2019, arXiv 1812.04948, section 4.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from zoo.metrics.features import FeatureExtractor, full_float32
from zoo.metrics.pairs import refuse
from zoo.metrics.processes import in_float64
from zoo.nn.interpolation import lerp, slerp

EPSILON = 1e-4
LARGEST = 256  # images are brought down to it by box means before they are compared
FACE = (3 / 8, 7 / 8, 2 / 8, 6 / 8)  # top, bottom, left, right of the paper's crop, in shares of the side


class PerceptualPathLength(Metric):
    """Mean of d(G(t), G(t + epsilon)) / epsilon^2 over paths, without what lies outside the 1st to 99th percentile.

    Keyword arguments but `epsilon` are torchmetrics'.
    """

    higher_is_better = False
    is_differentiable = False
    full_state_update = False

    distances: list[Tensor]

    def __init__(self, *, epsilon: float = EPSILON, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.epsilon = epsilon
        self.add_state("distances", [], dist_reduce_fx="cat")

    def update(self, distances: Tensor) -> None:
        """Count perceptual distances [n] of pairs `epsilon` apart. Raises ValueError for one that is not finite, which
        would be trimmed as the largest."""
        refuse(~distances.isfinite(), "distances")
        self.distances.append(in_float64(distances))

    def compute(self) -> Tensor:
        """The trimmed mean, float64 []. Raises ValueError without pairs."""
        if isinstance(self.distances, list) and not self.distances:
            raise ValueError("a path length needs at least one pair")
        values = dim_zero_cat(self.distances).sort().values
        # The percentiles are order statistics, taken outwards, and belong to what is kept.
        last = len(values) - 1
        low, high = int(0.01 * last), -int(-0.99 * last // 1)
        return values[low : high + 1].mean() / self.epsilon**2


def perceptual_path_length(
    synthesize: Callable[[Tensor], Tensor],
    distance: Callable[[Tensor, Tensor], Tensor],
    *,
    latents: Callable[[int, torch.Generator], Tensor],
    mapping: Callable[[Tensor], Tensor] | None = None,
    sampling: Literal["full", "end"] = "full",
    pairs: int = 100_000,
    batch: int = 32,
    epsilon: float = EPSILON,
    face_crop: bool = False,
    seed: int = 0,
) -> Tensor:
    """Path length of a generator, float64 []; in W where a mapping is given, else in Z.

    Args:
        synthesize: latents [2n, ...] to images [2n, C, H, W] in [-1, 1]; rows i and i + n belong together and must get
            the same noise, without truncation. Not quantised: the differences are far below a grey level.
        distance: images [n, 3, H, W] in 0..255 and as many others to distances [n]: `VGG16LPIPS` for the paper's
            figure, else `ExtractorDistance`, which has to be named with it.
        latents: number and CPU generator to z [n, z_dim].
        mapping: z to w [n, ...]; the path is then straight in W (lerp), else it follows the sphere in Z (slerp).
        sampling: "full" draws t from U(0, 1); "end" takes t = 0.
        face_crop: compare the centre of the face only, as the paper does for FFHQ and CelebA-HQ.

    Every process takes all pairs. Raises ValueError for another `sampling`, or fewer than one pair.
    """
    if sampling not in ("full", "end") or pairs < 1 or batch < 1:
        raise ValueError(f"sampling is full or end, pairs and batch are positive; got {sampling!r}, {pairs}, {batch}")
    generator = torch.Generator().manual_seed(seed)
    metric = PerceptualPathLength(epsilon=epsilon, sync_on_compute=False)
    with torch.no_grad():
        for start in range(0, pairs, batch):
            n = min(batch, pairs - start)
            ends = latents(2 * n, generator)
            t = torch.rand(n, generator=generator) if sampling == "full" else torch.zeros(n)
            # TF32, a GPU's default for convolutions, rounds by more than epsilon: imitated, it makes 83 of 18 (digits).
            with full_float32(ends.device):
                images = synthesize(two_points(ends, t, mapping=mapping, epsilon=epsilon))
                images = prepare(images, face_crop=face_crop)
                metric.update(distance(images[:n], images[n:]).cpu())
    value: Tensor = metric.compute()
    return value


def two_points(
    ends: Tensor, t: Tensor, *, mapping: Callable[[Tensor], Tensor] | None = None, epsilon: float = EPSILON
) -> Tensor:
    """Latents [2n, ...]: the points t and then t + epsilon, t [n], of the paths between ends [2n, z_dim]'s halves."""
    along = lerp if mapping else slerp
    a, b = (mapping(ends) if mapping else ends).chunk(2)  # [n, ...] each
    t = t.to(a).view(-1, *[1] * (a.ndim - 1))
    return torch.cat([along(a, b, t), along(a, b, t + epsilon)])


def prepare(images: Tensor, *, face_crop: bool) -> Tensor:
    """Images [N, C, H, W] in [-1, 1] to what is compared: [N, 3, H', W'] in 0..255, 256 pixels a side at most."""
    height, width = images.shape[-2:]
    if face_crop:
        top, bottom, left, right = (int(s * side) for s, side in zip(FACE, (height, height, width, width), strict=True))
        images = images[:, :, top:bottom, left:right]
    factor = images.shape[-2] // LARGEST
    if factor > 1:
        images = F.avg_pool2d(images, factor)
    return (images.float() + 1).mul(127.5).expand(-1, 3, -1, -1)


class ExtractorDistance(nn.Module):
    """Squared distance of two images' features after both were brought to unit length: a value of that extractor
    only, which takes its name (ppl_lenet, ppl_inception)."""

    def __init__(self, extractor: FeatureExtractor) -> None:
        super().__init__()
        self.extractor = extractor
        self.name = extractor.name

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Images [n, 3, H, W] in 0..255, not quantised, and as many others: float64 [n]."""
        with full_float32(a.device):
            # extract, not the extractor itself: that insists on uint8, which would swallow the differences.
            parts = [
                self.extractor.extract(part).features
                for part in torch.split(torch.cat([a, b]), self.extractor.chunk_size(a.device))
            ]
        x, y = F.normalize(in_float64(torch.cat(parts)), dim=1).chunk(2)
        return (x - y).square().sum(dim=1)
