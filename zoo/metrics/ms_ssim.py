"""Multi-scale structural similarity (Wang et al. 2003) between pairs of samples: low where samples differ (Odena et
al. 2017, arXiv 1610.09585, section 4.2)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric

from zoo.errors import EvaluationError
from zoo.metrics.processes import in_float64

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the five scales, finest first
WINDOW, SIGMA = 11, 1.5
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


class PairwiseMSSSIM(Metric):
    """Mean MS-SSIM of the sample pairs (0, 1), (2, 3), ...: the PGGAN paper takes 10,000 pairs.

    1 if all samples are alike. Below 32 x 32 the coarsest of the five scales are degenerate; below 16 x 16 it is
    refused.
    """

    higher_is_better = False
    is_differentiable = False
    full_state_update = False

    total: Tensor
    pairs: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("pairs", torch.tensor(0, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, images: Tensor, *, index: Tensor) -> None:
        """Count uint8 images [n, C, H, W] of these global indices, int64 [n], in order; a partner that is missing at
        the end leaves its sample out. Raises ValueError where a pair is torn apart."""
        whole = len(images) // 2 * 2
        first, second = index[:whole:2], index[1:whole:2]
        if bool((first % 2).any()) or not torch.equal(first + 1, second):
            raise EvaluationError("samples must come in pairs (2i, 2i + 1): draw them in blocks of an even number")
        values = ms_ssim(images[:whole:2], images[1:whole:2])
        self.total = self.total + values.sum()
        self.pairs = self.pairs + len(values)

    def compute(self) -> Tensor:
        """The mean, float64 []. Raises ValueError without a pair."""
        if not int(self.pairs):
            raise EvaluationError("MS-SSIM needs at least two samples")
        return self.total / self.pairs


def ms_ssim(a: Tensor, b: Tensor) -> Tensor:
    """MS-SSIM of each pair of images in 0..255, [N, C, H, W] of any type: float64 [N] in [0, 1].

    Negative contrast terms, of which no root can be taken, count as 0.
    """
    if a.shape != b.shape or a.ndim != 4 or min(a.shape[-2:]) < 16:
        raise EvaluationError(
            f"MS-SSIM compares pairs of images [N, C, H, W] of 16 pixels or more a side, got {list(a.shape)} and "
            f"{list(b.shape)}: leave ms_ssim out"
        )
    a, b = in_float64(a), in_float64(b)
    product = torch.ones(len(a), dtype=torch.float64, device=a.device)
    for scale, weight in enumerate(WEIGHTS):
        luminance_contrast, contrast = similarity(a, b)
        last = scale == len(WEIGHTS) - 1
        product = product * (luminance_contrast if last else contrast).clamp(min=0) ** weight
        a, b = (F.avg_pool2d(x, 2) if min(x.shape[-2:]) > 1 else x for x in (a, b))
    return product


def similarity(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """SSIM and its contrast-structure part, each the mean over an image: [N]. The window shrinks to small images."""
    n, c, h, w = a.shape
    sides = [min(WINDOW, h), min(WINDOW, w)]
    stack = torch.cat([a, b, a * a, b * b, a * b]).reshape(5 * n * c, 1, h, w)
    for dim, side in zip((2, 3), sides, strict=True):
        x = torch.arange(side, dtype=torch.float64, device=a.device) - (side - 1) / 2
        kernel = torch.exp(-x.square() / (2 * (SIGMA * side / WINDOW) ** 2))
        shape = [1, 1, 1, 1]
        shape[dim] = side
        stack = F.conv2d(stack, (kernel / kernel.sum()).view(shape))
    mean_a, mean_b, aa, bb, ab = stack.view(5, n, c, *stack.shape[-2:])
    var = aa - mean_a.square() + bb - mean_b.square()
    contrast = (2 * (ab - mean_a * mean_b) + C2) / (var + C2)
    luminance = (2 * mean_a * mean_b + C1) / (mean_a.square() + mean_b.square() + C1)
    return (luminance * contrast).mean(dim=(1, 2, 3)), contrast.mean(dim=(1, 2, 3))
