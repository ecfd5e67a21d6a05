"""How a figure was made, as an object whose hash is stored beside the figure (DESIGN section 6)."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Measure = Literal["fd", "is", "kd"]
Weights = Literal["raw", "ema"]
BatchNormMode = Literal["running", "reestimated", "batch"]

QUANTISATION = "((x.clamp(-1, 1) + 1) * 127.5).round() to uint8, once"
LENET_FULL = 10_000
INCEPTION_NAMES: dict[Measure, str] = {"fd": "fid", "is": "is", "kd": "kid"}


@dataclass(frozen=True)
class EvalProtocol:
    """Everything that a figure depends on besides the generator; two figures compare only if their hashes are
    equal."""

    dataset: str  # name of the reference data set
    dataset_fingerprint: str  # sha256 of what its pixels depend on
    split: str
    n_real: int
    n_fake: int
    weights: Weights
    batchnorm: BatchNormMode
    batchnorm_samples: int  # fakes that "reestimated" statistics come from, else 0
    extractor: str
    extractor_sha256: str
    resize: str
    seed: int
    block: int  # fakes are drawn `block` at a time, each block from its own seed
    quantisation: str = QUANTISATION
    version: int = 1  # raised when a measure's definition changes under the same fields

    @property
    def hash(self) -> str:
        """First 12 hex digits of the sha256 of the fields as canonical JSON."""
        return protocol_hash(self.as_dict())

    def as_dict(self) -> dict[str, str | int]:
        """The fields, JSON-ready."""
        return dataclasses.asdict(self)

    def describe(self) -> str:
        """One line for people."""
        norm = f"{self.batchnorm}({self.batchnorm_samples})" if self.batchnorm_samples else self.batchnorm
        return (
            f"{self.dataset}:{self.split} {self.n_real} real vs {self.n_fake} fake, {self.weights} weights, "
            f"BatchNorm {norm}, {self.extractor} {self.extractor_sha256[:8]}, seed {self.seed}, "
            f"block {self.block} [{self.hash}]"
        )


def protocol_hash(fields: Mapping[str, object]) -> str:
    """First 12 hex digits of the sha256 of plain fields as canonical JSON."""
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def value_name(measure: Measure, extractor: str, n_fake: int) -> str:
    """The name a figure goes by: fid50k, is5k, kid500; fd_lenet (10,000 fakes), fd_lenet2k; fd_<other
    extractor>10k.

    Only the 2015 Inception network, whose extractor is named "inception", gives FID, IS and KID. The number
    of fakes is part of the name because every one of these measures is biased by it or noisier with less; the
    one exception is the LeNet's full protocol, `fd_lenet` with 10,000.
    """
    suffix = f"{n_fake // 1000}k" if n_fake % 1000 == 0 else str(n_fake)
    if extractor == "inception":
        return INCEPTION_NAMES[measure] + suffix
    if extractor == "lenet" and n_fake == LENET_FULL:
        suffix = ""
    return f"{measure}_{extractor}{suffix}"
