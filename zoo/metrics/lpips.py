"""LPIPS with VGG-16 (Zhang et al. 2018, arXiv 1801.03924): the distance behind the perceptual path length."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import WeightsError
from zoo.metrics.features import full_float32, sha256_of
from zoo.metrics.processes import in_float64, state_device

CHANNELS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))  # VGG-16's convolutions by block
FIRST_LAYERS = (0, 5, 10, 17, 24)  # number of each block's first layer in torchvision's `features`
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NETWORK_URL = "https://download.pytorch.org/models/vgg16-397923af.pth"
LINEAR_URL = "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-vgg16-lpips.pth"


class VGG16LPIPS(nn.Module):
    """LPIPS distance of images [n, 3, H, W] in 0..255 (floats, not quantised), 16 pixels or more a side.

    Args:
        network: torchvision's VGG-16 weights (vgg16-397923af.pth).
        linear: LPIPS' linear layers for VGG-16 (vgg.pth of the authors, version 0.1).

    Raises WeightsError where a file is absent, damaged or of another network. `name` and `sha256` are for the
    protocol of a figure.
    """

    name = "vgg16_lpips"

    def __init__(self, network: Path | str, linear: Path | str) -> None:
        super().__init__()
        convolutions, weights = _load(network, NETWORK_URL), _load(linear, LINEAR_URL)
        self.sha256 = f"{sha256_of(Path(network))}+{sha256_of(Path(linear))}"
        self.blocks = nn.ModuleList()
        previous = 3
        for first, block in zip(FIRST_LAYERS, CHANNELS, strict=True):
            layers = nn.ModuleList()
            for i, channels in enumerate(block):
                with torch.random.fork_rng(devices=[]):
                    layer = nn.Conv2d(previous, channels, kernel_size=3, padding=1)
                for name in ("weight", "bias"):
                    _copy(getattr(layer, name), convolutions, f"features.{first + 2 * i}.{name}", source=network)
                layers.append(layer)
                previous = channels
            self.blocks.append(layers)
        for i, block in enumerate(CHANNELS):
            self.register_buffer(f"linear{i}", torch.zeros(1, block[-1], 1, 1))
            _copy(self.get_buffer(f"linear{i}"), weights, f"lin{i}.model.1.weight", source=linear)
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1))
        self.requires_grad_(False).eval()

    @torch.no_grad()
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Distances float64 [n]. Raises ValueError for other shapes."""
        if a.shape != b.shape or a.ndim != 4 or a.shape[1] != 3 or min(a.shape[-2:]) < 16:
            raise ValueError(f"LPIPS compares [n, 3, H, W] of 16 pixels or more, got {list(a.shape)}, {list(b.shape)}")
        with full_float32(a.device):
            # 0..255 to the scale that the authors' networks expect: theirs is [-1, 1] shifted, which is ImageNet's.
            x = (torch.cat([a, b]).float() / 255 - self.get_buffer("mean")) / self.get_buffer("std")
            total = torch.zeros(len(a), dtype=torch.float64, device=state_device(a.device))
            for i, block in enumerate(self.blocks):
                x = F.max_pool2d(x, kernel_size=2) if i else x
                assert isinstance(block, nn.ModuleList)
                for layer in block:
                    x = F.relu(layer(x))
                p, q = (x / (x.square().sum(dim=1, keepdim=True).sqrt() + 1e-10)).chunk(2)
                weighted = (self.get_buffer(f"linear{i}") * (p - q).square()).sum(dim=1)  # [n, H, W]
                total = total + in_float64(weighted).mean(dim=(1, 2))
        return total


def _load(path: Path | str, url: str) -> dict[str, Tensor]:
    file = Path(path)
    if not file.is_file():
        raise WeightsError(f"LPIPS weights: no file {file}. Get it from {url} and name it")
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise WeightsError(f"{file} is no weights file, or damaged ({type(error).__name__}). Get {url}") from error
    if not isinstance(state, dict):
        raise WeightsError(f"{file} holds a {type(state).__name__}, not weights by name. Get {url}")
    return state


def _copy(target: Tensor, state: dict[str, Tensor], name: str, *, source: Path | str) -> None:
    value = state.get(name)
    if value is None or value.shape != target.shape:
        found = "absent" if value is None else str(list(value.shape))
        raise WeightsError(f"{source} has the weights of another network: {name} is {found}, not {list(target.shape)}")
    with torch.no_grad():
        target.copy_(value)
