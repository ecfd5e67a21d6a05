"""The project's own feature network for MNIST-like images: a LeNet that `zoo train-lenet` trains and that ships here.

Inception features of digits mean little (pytorch-fid issue 12), and its weights need a download. Figures from
this network are named `fd_lenet`, `is_lenet` and `kd_lenet`, never FID.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.metrics.features import FeatureExtractor, Features, fill, read_weights

WEIGHTS = Path(__file__).parent / "weights" / "lenet.safetensors"
SHIPPED_SHA256 = "e451fd857cbe157d8adc7b1f5ae0ac3aae06038672268b4c9cffa79e5e382cc4"
REMEDY = "reinstall the package or run `python -m zoo train-lenet`"
DIM, NUM_CLASSES, SIZE = 128, 10, 32


class LeNet(nn.Module):
    """Two 5x5 convolutions with max pooling and ReLU, then 800 -> 128 -> 10 (after LeCun et al. 1998, fig. 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, kernel_size=5)
        self.conv2 = nn.Conv2d(16, 32, kernel_size=5)
        self.fc1 = nn.Linear(800, DIM)
        self.fc2 = nn.Linear(DIM, NUM_CLASSES)

    def forward(self, x: Tensor) -> Features:
        """x: float [N, 1, 32, 32] in [0, 1]."""
        h = F.relu(F.max_pool2d(self.conv1(x), kernel_size=2))  # [N, 16, 14, 14]
        h = F.relu(F.max_pool2d(self.conv2(h), kernel_size=2))  # [N, 32, 5, 5]
        features = F.elu(self.fc1(h.flatten(1)))  # [N, 128]; ReLU left a quarter of them dead
        return Features(features, self.fc2(features))


def to_lenet_input(images: Tensor) -> Tensor:
    """uint8 [N, 1 or 3, H, W] -> float [N, 1, 32, 32] in [0, 1]; 28 x 28 is padded, other sizes are resized.

    Colour becomes ITU-R 601 luma; the integer weights make a tiled grey image give exactly the grey image's
    values.
    """
    x = images.float()
    if x.shape[1] == 3:
        x = (x * x.new_tensor([299.0, 587.0, 114.0]).view(1, 3, 1, 1)).sum(dim=1, keepdim=True) / 1000
    x = x / 255
    if x.shape[-2:] == (28, 28):
        return F.pad(x, (2, 2, 2, 2))
    if x.shape[-2:] != (SIZE, SIZE):
        x = F.interpolate(x, size=(SIZE, SIZE), mode="bilinear", align_corners=False, antialias=True)
    return x


class LeNetExtractor(FeatureExtractor):
    """LeNet features (d = 128, K = 10) with the shipped weights, or another file that `train_lenet` wrote.

    Raises WeightsError if the weights or their card are missing, or if the file's sha256 is not the card's (checked
    before a byte is parsed).
    """

    def __init__(self, weights: Path | str = WEIGHTS) -> None:
        super().__init__()
        path = Path(weights)
        blob, self.card = read_weights(path, network="LeNet", remedy=REMEDY)
        self.sha256 = str(self.card["sha256"])
        # A value's name tells which network it came from: another training of the LeNet has another name.
        self.name = "lenet" if self.sha256 == SHIPPED_SHA256 else f"lenet-{self.sha256[:8]}"
        self.dim, self.num_classes = DIM, NUM_CLASSES
        self.resize = "grey; 28x28 zero-padded to 32x32, other sizes bilinear antialias to 32x32; /255"
        with torch.random.fork_rng(devices=[]):  # the layers' initial values are overwritten, but drawing them counts
            self.net = LeNet()
        fill(self.net, blob, path=path, remedy=REMEDY)
        self.requires_grad_(False).eval()

    def extract(self, images: Tensor) -> Features:
        """See the base class."""
        result: Features = self.net(to_lenet_input(images))
        return result
