"""What a feature extractor is: uint8 images in, fp32 features and logits out, the same for every caller.

A value is only comparable if the network, its weights, its resize and its precision are: an extractor
carries the first three as text (they go into `EvalProtocol`) and fixes the last.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from zoo.errors import EvaluationError, WeightsError

E = TypeVar("E", bound="FeatureExtractor")
RESERVED = ("inception", "efficientnet", "lenet", "resnet", "dinov2")


class Features(NamedTuple):
    """What one forward pass yields; FD and KD read `features`, IS reads `logits`."""

    features: Tensor  # float32 [N, d]
    logits: Tensor  # float32 [N, K]


@contextlib.contextmanager
def full_float32(device: torch.device) -> Iterator[None]:
    """No autocast and no TF32 or bf16 shortcuts inside: a value must not depend on the trainer's precision
    flags."""
    with torch.autocast(device.type, enabled=False), _ieee_kernels():
        yield


@contextlib.contextmanager
def _ieee_kernels() -> Iterator[None]:
    backends: Any = torch.backends
    flags: tuple[Any, ...]
    value: str | bool
    if hasattr(backends.cuda.matmul, "fp32_precision"):  # torch >= 2.9; mixing it with the older flags raises
        flags = (backends.cuda.matmul, backends.cudnn.conv, backends.mkldnn.matmul, backends.mkldnn.conv)
        attribute, value = "fp32_precision", "ieee"
    else:
        flags, attribute, value = (backends.cuda.matmul, backends.cudnn), "allow_tf32", False
    before = [getattr(flag, attribute) for flag in flags]
    try:
        for flag in flags:
            setattr(flag, attribute, value)
        yield
    finally:
        for flag, old in zip(flags, before, strict=True):
            setattr(flag, attribute, old)


class FeatureExtractor(nn.Module, ABC):
    """Frozen network from uint8 images [N, C, H, W] to `Features`: always eval mode, no gradients, fp32
    without TF32.

    A subclass sets the attributes below and writes `extract`.
    """

    name: str  # goes into the values' names: fd_<name>
    sha256: str  # of the weights, 64 hex digits
    dim: int  # d
    num_classes: int  # K
    resize: str  # what happens to the image before the first layer, for the protocol
    lasting: bool = True  # whether name and weights identify it, so that what it made of images may be kept

    @abstractmethod
    def extract(self, images: Tensor) -> Features:
        """`forward` without the checks; images are uint8 [n, C, H, W] with n <= `chunk_size`."""

    def chunk_size(self, device: torch.device) -> int:
        """Images per inner pass. Fixed, so that the features do not depend on the caller's batch."""
        return 250

    @torch.no_grad()
    def forward(self, images: Tensor) -> Features:
        """Features of uint8 images [N, C, H, W], 0..255. Raises TypeError for another dtype, ValueError for
        another shape."""
        if images.dtype != torch.uint8:
            raise TypeError(
                f"{self.name}: images must be uint8 in 0..255, got {images.dtype}; "
                "convert floats in [-1, 1] once with zoo.metrics.to_uint8"
            )
        if images.ndim != 4 or images.shape[1] not in (1, 3):
            raise ValueError(f"{self.name}: images must be [N, 1 or 3, H, W], got {list(images.shape)}")
        with full_float32(images.device):
            chunks = images.split(self.chunk_size(images.device))  # type: ignore[no-untyped-call]
            parts = [self.extract(chunk) for chunk in chunks]
        return Features(torch.cat([p.features for p in parts]), torch.cat([p.logits for p in parts]))

    def train(self: E, mode: bool = True) -> E:
        """Stays in eval mode: an extractor in train mode once moved a published FID from 49 to 98 (PEERS
        section 4)."""
        return super().train(False)


class ModuleExtractor(FeatureExtractor):
    """Any module as an extractor: uint8 images [n, C, H, W] to features [n, d], or to (features, logits [n, K]).

    Resizing and scaling are the module's own business. Without logits there is no Inception-like score.

    Args:
        net: the module; it is set to eval mode and frozen.
        name: what the values are called after, fd_<name>: letters, digits and "_" only.
        image_shape: (C, H, W) of the images that will come; d and K are found by a pass of two grey ones.

    Raises EvaluationError for another name, or where the module cannot take such images or returns something else.
    """

    def __init__(self, net: nn.Module, *, name: str, image_shape: tuple[int, ...]) -> None:
        super().__init__()
        if not name.replace("_", "").isalnum() or name.lower() in RESERVED:
            raise EvaluationError(f"features must be named in letters and digits, and not {RESERVED}; got {name!r}")
        self.net, self.name = net, name.lower()
        self.lasting = False  # its code may change, and nothing here would tell
        self.resize = "the module's own"
        self.requires_grad_(False).eval()
        self.sha256 = sha256_of_state(net)
        self.dim = self.num_classes = 0
        try:
            with torch.no_grad():
                found = self.extract(torch.full((2, *image_shape), 127, dtype=torch.uint8))
        except Exception as error:  # whatever a stranger's module raises
            raise EvaluationError(
                f"{name} cannot take uint8 images of shape {list(image_shape)}: {type(error).__name__}: {error}"
            ) from error
        self.dim, self.num_classes = found.features.shape[1], found.logits.shape[1]

    def extract(self, images: Tensor) -> Features:
        """See the base class."""
        found = self.net(images)
        features, logits = (found[0], found[1]) if isinstance(found, tuple) else (found, None)
        if features.ndim != 2 or len(features) != len(images):
            raise ValueError(f"features must be [{len(images)}, d], got {list(features.shape)}")
        return Features(features.float(), features.new_zeros(len(images), 0) if logits is None else logits.float())


def read_weights(path: Path, *, network: str, remedy: str) -> tuple[bytes, dict[str, Any]]:
    """A weights file that a training of this package wrote, and the JSON card beside it.

    Raises:
        WeightsError: one of them is missing, the card is none, or the file's sha256 is not the card's.
    """
    card_file = path.with_suffix(".json")
    for file in (path, card_file):
        if not file.is_file():
            raise WeightsError(f"{network} weights: {file} is missing; {remedy}")
    try:
        card = json.loads(card_file.read_bytes())
    except ValueError as error:
        raise WeightsError(f"{card_file} is no card of {network} weights ({error!r}); {remedy}") from error
    if not isinstance(card, dict):
        raise WeightsError(f"{card_file} is no card of {network} weights ({card!r}); {remedy}")
    blob = path.read_bytes()
    sha256 = hashlib.sha256(blob).hexdigest()
    if sha256 != card.get("sha256"):
        raise WeightsError(
            f"{path}: sha256 is {sha256}, but {card_file.name} says {card.get('sha256')}: the file is damaged or was "
            f"replaced; {remedy}"
        )
    return blob, card


def fill(net: nn.Module, blob: bytes, *, path: Path, remedy: str) -> None:
    """Loads a network's weights, in float32, out of a safetensors file that was read already; batch counts stay.

    Raises:
        WeightsError: it is no such file, or holds another network's weights.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    counts = {name: value for name, value in net.state_dict().items() if name.endswith("num_batches_tracked")}
    try:
        net.load_state_dict(counts | {name: value.float() for name, value in load(blob).items()})
    except SafetensorError as error:
        raise WeightsError(f"{path} is no safetensors file ({error}); {remedy}") from error
    except RuntimeError as error:
        raise WeightsError(f"{path} holds another network ({str(error).splitlines()[1].strip()}); {remedy}") from error


def sha256_of_state(net: nn.Module) -> str:
    """sha256 of a module's parameters and buffers with their names, 64 hex digits."""
    digest = hashlib.sha256()
    for name, value in net.state_dict().items():
        digest.update(f"{name} {value.dtype} {list(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def sha256_of(path: Path) -> str:
    """sha256 of a file, 64 hex digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()
