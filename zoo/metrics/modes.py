"""How many of the 1,000 combinations of stacked digits samples show, and how evenly (Metz et al. 2017).

L. Metz, B. Poole, D. Pfau, J. Sohl-Dickstein: Unrolled Generative Adversarial Networks, ICLR 2017, arXiv 1611.02163.
Which digit a channel shows is said by the project's LeNet; each paper has a classifier of its own. PacGAN (Lin et al.
2018) takes 26,000 samples, progressive GAN (Karras et al. 2018) 25,600. Of so many of the data themselves all modes are
found, and the divergence is about 999 / (2 * 26,000) = 0.02 nats: that is its bias.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric

from zoo.errors import EvaluationError
from zoo.metrics.lenet import LeNetExtractor

MODES = 1_000


class ModesValues(NamedTuple):
    """Combinations with a sample at least, and KL(samples || uniform) in nats, 0 .. ln 1000; each float64 []."""

    found: Tensor
    kl: Tensor


def modes_values(counts: Tensor) -> ModesValues:
    """Of the number of samples of each mode, [K]; combinations without a sample add nothing to the divergence."""
    shares = counts.double() / counts.sum()
    kl = torch.special.xlogy(shares, shares * len(counts)).sum()
    return ModesValues((counts > 0).sum().double(), kl)


class StackedModes(Metric):
    """Counts the combinations that images of three digits in their channels show.

    Args:
        classifier: of images [n, 1, H, W], with ten classes; None takes the project's LeNet.
    """

    higher_is_better = True
    is_differentiable = False
    full_state_update = False

    counts: Tensor

    def __init__(self, classifier: LeNetExtractor | None = None) -> None:
        super().__init__()
        self.classifier = classifier or LeNetExtractor()
        self.add_state("counts", torch.zeros(MODES, dtype=torch.int64), dist_reduce_fx="sum")

    def classify(self, images: Tensor) -> Tensor:
        """The combinations 100 red + 10 green + blue, int64 [n], of uint8 images [n, 3, H, W].

        Raises:
            EvaluationError: images that have not three channels.
        """
        if images.dim() != 4 or images.shape[1] != 3:
            raise EvaluationError(f"modes are of three digits in the channels, the images are {list(images.shape[1:])}")
        digits = self.classifier(images.flatten(0, 1)[:, None]).logits.argmax(1).view(-1, 3)
        numbers: Tensor = (digits * digits.new_tensor([100, 10, 1])).sum(1)
        return numbers

    def update(self, images: Tensor) -> None:
        """Count images, uint8 [n, 3, H, W]."""
        self.counts = self.counts + torch.bincount(self.classify(images), minlength=MODES).to(self.counts.device)

    def compute(self) -> ModesValues:
        """Raises EvaluationError without images."""
        if not int(self.counts.sum()):
            raise EvaluationError("there are no samples to count the modes of")
        return modes_values(self.counts)
