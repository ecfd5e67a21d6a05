"""How a value was made, as an object whose hash is stored beside the value (DESIGN section 6)."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Weights = Literal["raw", "ema", "files"]
BatchNormMode = Literal["running", "reestimated", "batch"]

QUANTISATION = "((x.clamp(-1, 1) + 1) * 127.5).round() to uint8, once"
LENET_FULL = 10_000
INCEPTION_NAMES = {"fd": "fid", "is": "is", "kd": "kid", "fd_infinity": "fid_infinity"}
ORDER, FIRST = "one fixed permutation of the files", "the first of one fixed permutation of the files"
#: Left out of the hash where they are empty: earlier values keep theirs.
SINCE_LATER = ("settings", "labels", "sampling", "order", "reals")


@dataclass(frozen=True)
class EvalProtocol:
    """Everything that a value depends on besides the generator; two values compare only if their hashes are
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
    settings: str = ""  # of the measure, where it has any
    labels: str = ""  # the distribution that a conditional generator's labels were drawn from
    sampling: str = ""  # what the module does to its samples to compare them, where it does anything
    order: str = ""  # of images from files, where the value depends on it: on the first N, on pools, on splits
    reals: str = ""  # what is done to the reference's images, where anything is
    quantisation: str = QUANTISATION
    version: int = 1  # raised when a measure's definition changes under the same fields

    @property
    def hash(self) -> str:
        """First 12 hex digits of the sha256 of the fields as canonical JSON."""
        return protocol_hash(self.as_dict())

    def as_dict(self) -> dict[str, str | int]:
        """The fields, JSON-ready."""
        fields = dataclasses.asdict(self)
        return {name: value for name, value in fields.items() if value or name not in SINCE_LATER}

    def describe(self) -> str:
        """One line for people."""
        norm = f"{self.batchnorm}({self.batchnorm_samples})" if self.batchnorm_samples else self.batchnorm
        network = f"{self.extractor} {self.extractor_sha256[:8]}".rstrip()
        others = [
            f"{name} {value}"
            for name, value in (
                ("labels", self.labels),
                ("sampling:", self.sampling),
                ("settings:", self.settings),
                ("order:", self.order),
                ("reals:", self.reals),
                ("resize:", self.resize if self.extractor_sha256 else ""),
                ("uint8:", self.quantisation),
            )
            if value
        ]
        made = "" if self.weights == "files" else f", BatchNorm {norm}, seed {self.seed}, block {self.block}"
        return (
            f"[{self.hash}] {self.dataset}:{self.split} {self.dataset_fingerprint[:8]}, {self.n_real} real vs "
            f"{self.n_fake} fake, weights {self.weights}{made}, {network}, {', '.join(others)}"
        )


def protocol_hash(fields: Mapping[str, object]) -> str:
    """First 12 hex digits of the sha256 of plain fields as canonical JSON."""
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def batchnorm_mode(fields: Mapping[str, object]) -> str:
    """The BatchNormMode of plain fields, without a number of samples ("(2000)") or a rule ("where there is any")."""
    return str(fields.get("batchnorm")).partition("(")[0].partition(" ")[0]


def value_name(measure: str, extractor: str, n_fake: int, *, split: str = "train") -> str:
    """The name a value goes by: fid50k, is5k, kid500; fd_lenet (10,000 fakes), fd_lenet2k; fd_<other
    extractor>10k; fid50k_clean, fid10k_test; swd16384.

    Only the 2015 Inception network, whose extractor is named "inception", gives FID, IS and KID. The number
    of fakes is part of the name because every one of these measures is biased by it or noisier with less; the
    one exception is the LeNet's full protocol, `fd_lenet` with 10,000. Another resize than the papers', and another
    reference than the training split, follow. extractor: "" for measures of the pixels.
    """
    suffix = f"{n_fake // 1000}k" if n_fake % 1000 == 0 else str(n_fake)
    held_out = "" if split == "train" else f"_{split}"
    network, _, dialect = extractor.partition("-")
    if network == "inception" and dialect in ("", "clean", "torchmetrics"):
        known = INCEPTION_NAMES.get(measure, f"{measure}_inception")
        return known + suffix + (f"_{dialect}" if dialect else "") + held_out
    if extractor == "lenet" and n_fake == LENET_FULL:
        suffix = ""
    elif extractor[-1:].isdigit() or dialect:
        suffix = f"_{suffix}"  # fd_resnet-0a1b2c3d_10k: digits of a hash or a name are none of the number
    return f"{measure}{'_' if extractor else ''}{extractor}{suffix}{held_out}"
