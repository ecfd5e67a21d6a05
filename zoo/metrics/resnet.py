"""The project's own feature network for small natural images: a ResNet that `zoo train-resnet` trains on CIFAR-10.

For those who have no Inception weights at hand. Its values are named `fd_resnet`, `is_resnet` and `kd_resnet`, never
FID. The weights that ship classify 90.39 % of CIFAR-10's test images correctly, as measured on a copy whose images were
re-encoded as JPEG of quality 75, which it was also trained on (35 epochs, then 8 more with `--start`; see their card).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from zoo.errors import WeightsError
from zoo.metrics.features import FeatureExtractor, Features, fill, read_weights

WEIGHTS = Path(__file__).parent / "weights" / "resnet.safetensors"
SHIPPED_SHA256 = "38a55e1ac7c7a674a6877b784a4b4aa81179f07808b4d42100805b09f75139a3"
REMEDY = "reinstall the package, or train it with `python -m zoo train-resnet --data_dir DIR` and name the file"
WIDTH, NUM_CLASSES, SIZE = 32, 10, 32
MEAN, STD = (125.3, 123.0, 113.9), (63.0, 62.1, 66.7)  # of CIFAR-10's training images, in grey levels


class ConvBN(nn.Sequential):
    """3x3 convolution, BatchNorm, ReLU; with `pool`, maxima of 2x2 right after the convolution."""

    def __init__(self, channels_in: int, channels_out: int, *, pool: bool = False) -> None:
        super().__init__(
            nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1, bias=False),
            *([nn.MaxPool2d(2)] if pool else []),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(inplace=True),
        )


class Residual(nn.Module):
    """x + ConvBN(ConvBN(x)) (He et al. 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(ConvBN(channels, channels), ConvBN(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.body(x)
        return y


class ResNet(nn.Module):
    """Eleven layers: a stem of width w; stages of 2w, 4w and 8w, each halving the sides before a residual block."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        w = width
        self.dim = 8 * w
        self.trunk = nn.Sequential(
            ConvBN(3, w),
            ConvBN(w, 2 * w, pool=True),  # 16 x 16
            Residual(2 * w),
            ConvBN(2 * w, 4 * w, pool=True),  # 8 x 8
            Residual(4 * w),
            ConvBN(4 * w, 8 * w, pool=True),  # 4 x 4
            Residual(8 * w),
        )
        self.fc = nn.Linear(8 * w, NUM_CLASSES)

    def forward(self, x: Tensor) -> Features:
        """x: float [N, 3, 32, 32], normalised by MEAN and STD."""
        features = self.trunk(x).mean(dim=(2, 3))  # [N, 8w]
        return Features(features, self.fc(features))


def to_resnet_input(images: Tensor) -> Tensor:
    """Images [N, 1 or 3, H, W] in 0..255, uint8 or float -> float [N, 3, 32, 32], normalised; grey is tiled."""
    x = images.float()
    if x.shape[-2:] != (SIZE, SIZE):
        x = F.interpolate(x, size=(SIZE, SIZE), mode="bilinear", align_corners=False, antialias=True)
    mean, std = (x.new_tensor(v).view(1, 3, 1, 1) for v in (MEAN, STD))
    return (x.expand(-1, 3, -1, -1) - mean) / std


class ResNetExtractor(FeatureExtractor):
    """ResNet features (d = 256, K = 10) from weights that `train_resnet` wrote (kept in half, used in float32).

    Raises WeightsError if the weights or their card are missing, or if the file's sha256 is not the card's.
    """

    def __init__(self, weights: Path | str = WEIGHTS) -> None:
        super().__init__()
        self.net, self.card = read_network(Path(weights))
        self.sha256 = str(self.card["sha256"])
        self.name = "resnet" if self.sha256 == SHIPPED_SHA256 else f"resnet-{self.sha256[:8]}"
        self.resize = "grey tiled; other sizes than 32x32 bilinear antialias to it; mean and std of CIFAR-10"
        self.dim, self.num_classes = self.net.dim, NUM_CLASSES
        self.net.eval()
        for layer in [m for m in self.net.modules() if isinstance(m, ConvBN)]:
            convolution, normalisation = layer[0], layer[1]
            if isinstance(convolution, nn.Conv2d) and isinstance(normalisation, nn.BatchNorm2d):  # no pooling between
                layer[0], layer[1] = fuse_conv_bn_eval(convolution, normalisation), nn.Identity()
        self.net.to(memory_format=torch.channels_last)
        self.requires_grad_(False).eval()

    def chunk_size(self, device: torch.device) -> int:
        """Small on a CPU, where larger activations fall out of the caches."""
        return 25 if device.type == "cpu" else 250

    def extract(self, images: Tensor) -> Features:
        """See the base class."""
        result: Features = self.net(to_resnet_input(images).contiguous(memory_format=torch.channels_last))
        return result


def read_network(path: Path) -> tuple[ResNet, dict[str, Any]]:
    """The network that `train_resnet` wrote, in float32, and its card; errors as for the extractor."""
    blob, card = read_weights(path, network="ResNet", remedy=REMEDY)
    try:
        width = int(card["width"])
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{path.with_suffix('.json')} is no card of ResNet weights ({error!r}); {REMEDY}") from error
    with torch.random.fork_rng(devices=[]):
        net = ResNet(width)
    fill(net, blob, path=path, remedy=REMEDY)
    return net, card
