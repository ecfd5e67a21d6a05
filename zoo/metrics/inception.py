"""The Inception network of 2015-12-05, as torch-fidelity ported it: the only features that may be called FID,
IS, KID.

Same values as torch-fidelity's own module (features equal to 1e-4), about twice as fast on a CPU: BatchNorm
folded into the convolutions, channels_last, small inner batches, and the TF1 resize as two matrix products.
"""

from __future__ import annotations

import copy
import io
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from zoo.errors import EvaluationError, WeightsError
from zoo.metrics.features import FeatureExtractor, Features, sha256_of
from zoo.metrics.resize import DESCRIPTIONS, Dialect, resize
from zoo.runs.download import blocks
from zoo.runs.folder import replacing
from zoo.runs.tensors import reason_unread

VARIABLE = "ZOO_INCEPTION_WEIGHTS"
FILE = "weights-inception-2015-12-05-6726825d.pth"
URL = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{FILE}"
OFFICIAL_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
SIZE = 299
LARGEST = 2**28  # bytes; the official file has 95 million
OTHERWISE = (
    "Without it: efficientnet for colour images (fd_efficientnet) or lenet for digits (fd_lenet), which install with "
    "this package. `zoo evaluate` takes them as --features lenet, `test` as --evaluation.extractors '[lenet]'."
)


class InceptionExtractor(FeatureExtractor):
    """pool_3 features (d = 2048) and logits without the bias (K = 1008: what the reference Inception Score
    uses).

    Weights: the argument, else the environment variable ZOO_INCEPTION_WEIGHTS, else torch hub's cache, else
    (with `download`) torch-fidelity's release. A file with another sha256 than the official port's is
    accepted, but its values are named fd_inception-<sha8> and so on. Raises WeightsError.

    dialect: how images are brought to 299 x 299 (see `zoo.metrics.resize`); any but the papers' "tf1" is part of the
    values' names.
    """

    def __init__(self, weights: Path | str | None = None, *, download: bool = True, dialect: Dialect = "tf1") -> None:
        super().__init__()
        path = find_weights(weights, download=download)
        self.sha256 = sha256_of(path)
        self.dim, self.num_classes = 2048, 1008
        self._speak(dialect)
        net = load_network(path)
        *trunk, fc = net.children()  # registered in the order of the forward pass
        layers: list[Any] = [m for m in net.modules() if isinstance(getattr(m, "bn", None), nn.BatchNorm2d)]
        for layer in layers:
            layer.conv, layer.bn = fuse_conv_bn_eval(layer.conv, layer.bn), nn.Identity()
        self.trunk = nn.Sequential(*trunk).to(memory_format=torch.channels_last)
        self.fc = fc
        self.requires_grad_(False).eval()

    def in_dialect(self, dialect: Dialect) -> InceptionExtractor:
        """The same network, not copied, with another resize before it."""
        other = copy.copy(self)
        other._speak(dialect)
        return other

    def _speak(self, dialect: Dialect) -> None:
        if dialect not in DESCRIPTIONS:
            raise EvaluationError(f"there is no dialect {dialect!r}: choose from {', '.join(DESCRIPTIONS)}")
        name = "inception" if self.sha256 == OFFICIAL_SHA256 else f"inception-{self.sha256[:8]}"
        self.name = name if dialect == "tf1" else f"{name}-{dialect}"
        self.dialect = dialect
        self.resize = DESCRIPTIONS[dialect].format(SIZE)

    def chunk_size(self, device: torch.device) -> int:
        """8 on a CPU, where larger activations fall out of the caches; 50 elsewhere."""
        return 8 if device.type == "cpu" else 50

    def extract(self, images: Tensor) -> Features:
        """See the base class."""
        # Resized before grey becomes three channels: a third of the work, the same values.
        x = (resize(images.float(), SIZE, dialect=self.dialect) - 128) / 128
        x = x.expand(-1, 3, -1, -1)
        features = self.trunk(x.contiguous(memory_format=torch.channels_last)).flatten(1)  # [n, 2048]
        return Features(features, features @ self.fc.weight.T)


def find_weights(weights: Path | str | None, *, download: bool) -> Path:
    """Where the weights file is, fetching it if allowed. Raises WeightsError naming every
    place."""
    named = weights or os.environ.get(VARIABLE)
    if named:
        if not Path(named).is_file():
            origin = "argument" if weights else f"environment variable {VARIABLE}"
            raise WeightsError(f"Inception weights: no file {named} ({origin}). {OTHERWISE}")
        return Path(named)
    cached = Path(torch.hub.get_dir()) / "checkpoints" / FILE
    if cached.is_file():
        return cached
    reason = "downloading was not allowed"
    if download:
        try:
            cached.parent.mkdir(parents=True, exist_ok=True)
            fetch(cached)
            return cached
        except OSError as error:
            reason = f"downloading failed: {error}"
    raise WeightsError(
        f"FID, IS and KID need Inception's weights, which are not here: no argument names them, {VARIABLE} is not set, "
        f"{reason}, and there is no\n  {cached}\nPut there, or name in {VARIABLE},\n  {URL}\n{OTHERWISE}"
    )


def fetch(cached: Path) -> None:
    """Brings the official file to the cache, in one step; OSError where it does not come or is another."""
    with replacing(cached) as temporary:
        with temporary.open("wb") as file:
            for block in blocks(URL, largest=LARGEST):
                file.write(block)
        if (found := sha256_of(temporary)) != OFFICIAL_SHA256:
            raise OSError(f"{URL} is another file than expected (sha256 {found[:16]}...)")


def load_network(path: Path) -> nn.Module:
    """torch-fidelity's module, filled from a file that is read with weights_only=True."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        # Its constructor unpickles without that safeguard, so it gets a copy of what was read safely.
        buffer = io.BytesIO()
        torch.save(state, buffer)
        buffer.seek(0)
        del state  # a hundred megabytes
        with torch.random.fork_rng(devices=[]):
            net: nn.Module = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=buffer)
    except Exception as error:
        raise WeightsError(
            f"{path} does not hold the weights of torch-fidelity's InceptionV3 "
            f"({reason_unread(error)}). The official file is {URL}. {OTHERWISE}"
        ) from error
    return net
