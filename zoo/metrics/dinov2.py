"""Features of DINOv2 (Oquab et al., TMLR 2024, arXiv 2304.07193), as torch-fidelity takes them: ViT-B/14, class token.

They agree better with people than Inception's do (Stein et al., NeurIPS 2023, arXiv 2306.04675). Neither the network
nor its weights (Apache 2.0, 330 MB) come with this package, and nothing here downloads them: both are looked for where
torch.hub puts them. The network is code of its authors in that folder, which this runs. Its values are named
`fd_dinov2`, `kd_dinov2`; there are no classes, and so no score.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zoo.errors import WeightsError
from zoo.metrics.features import FeatureExtractor, Features, sha256_of
from zoo.metrics.resize import resize
from zoo.runs.tensors import reason_unread

VARIABLE = "ZOO_DINOV2_WEIGHTS"
MODEL, FILE, CODE = "dinov2_vitb14", "dinov2_vitb14_pretrain.pth", "facebookresearch_dinov2_main"
URL = f"https://dl.fbaipublicfiles.com/dinov2/{MODEL}/{FILE}"
SIZE, DIM = 224, 768
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
REMEDY = (
    f"Where there is a network, python -c \"import torch; torch.hub.load('facebookresearch/dinov2', '{MODEL}')\" puts "
    f"both there; else copy that folder from another machine. A weights file elsewhere ({URL}) is named by {VARIABLE}. "
    "Without it: efficientnet, which installs with this package"
)


class DinoV2Extractor(FeatureExtractor):
    """DINOv2's ViT-B/14 (d = 768, no logits), from torch.hub's folder.

    Args:
        weights: the file; else ZOO_DINOV2_WEIGHTS names it, else it lies among torch.hub's checkpoints.

    Raises:
        WeightsError: the network's code or its weights are not there, or are something else.
    """

    def __init__(self, weights: Path | str | None = None) -> None:
        super().__init__()
        code, file = find_files(weights)
        self.name, self.sha256 = "dinov2", sha256_of(file)
        self.dim, self.num_classes = DIM, 0
        self.resize = f"grey tiled; TF1 bilinear to {SIZE}x{SIZE}; ImageNet's mean and deviation"
        self.net = read_network(code, file)
        self.requires_grad_(False).eval()

    def chunk_size(self, device: torch.device) -> int:
        """Small on a CPU, where larger activations fall out of the caches."""
        return 8 if device.type == "cpu" else 100

    def extract(self, images: Tensor) -> Features:
        """See the base class."""
        x = resize(images.float(), SIZE, dialect="tf1").expand(-1, 3, -1, -1)
        mean, std = (x.new_tensor(values).view(3, 1, 1) for values in (MEAN, STD))
        features = self.net((x / 255 - mean) / std)
        return Features(features.float(), features.new_zeros(len(images), 0))


def find_files(weights: Path | str | None) -> tuple[Path, Path]:
    """The folder of the network's code and the file of its weights; WeightsError names every place."""
    hub = Path(torch.hub.get_dir())
    named = weights or os.environ.get(VARIABLE)
    code, file = hub / CODE, Path(named) if named else hub / "checkpoints" / FILE
    wanted = {"network": code / "hubconf.py", "weights": file}
    if missing := [f"no {what} at {path}" for what, path in wanted.items() if not path.is_file()]:
        raise WeightsError(f"DINOv2's features: {' and '.join(missing)}. {REMEDY}")
    return code, file


def read_network(code: Path, file: Path) -> nn.Module:
    """The authors' module, filled from a file that is read with weights_only=True."""
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
        with plain_attention(), torch.random.fork_rng(devices=[]), contextlib.redirect_stdout(io.StringIO()):
            hub: Any = torch.hub
            net: Any = hub.load(str(code), MODEL, source="local", pretrained=False)
        net.load_state_dict(state)
    except Exception as error:  # whatever a stranger's module raises
        raise WeightsError(
            f"DINOv2's features: {code} with {file} gives no {MODEL} ({reason_unread(error)}). {REMEDY}"
        ) from error
    network: nn.Module = net
    return network


@contextlib.contextmanager
def plain_attention() -> Iterator[None]:
    """Inside, the authors' code does without xFormers, as for torch-fidelity: features do not depend on it."""
    before = os.environ.get("XFORMERS_DISABLED")
    os.environ["XFORMERS_DISABLED"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["XFORMERS_DISABLED"]
        else:
            os.environ["XFORMERS_DISABLED"] = before
