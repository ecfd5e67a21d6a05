"""A release opened: its card, its files checked before a byte is parsed, and the module built from them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo.adversarial import AdversarialModule
from zoo.models import MODELS
from zoo.releases.card import CARD_FILE, GRID_FILE, ReleaseError, read_card
from zoo.releases.precision import unpack
from zoo.resume import COUNTERS

AGAIN = "delete it and fetch or export the release again"


def sha256_of(path: Path) -> str:
    """sha256 of a file, hexadecimal.

    Raises:
        ReleaseError: no such file.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _digest(file)
    except FileNotFoundError as error:
        raise ReleaseError(f"{path} is missing: {AGAIN}") from error


def _digest(file: Any) -> str:  # Python 3.10
    digest = hashlib.sha256()
    while part := file.read(1 << 20):
        digest.update(part)
    return digest.hexdigest()


class Release:
    """The folder of a release.

    Attributes:
        folder: where it lies.
        card: see `zoo.releases.card`.

    Raises:
        ReleaseError: no release lies there, or its card is wrong.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.card = read_card(folder)

    def file(self, network: str) -> Path:
        """The weights file of "G", "G_ema" or "D"."""
        return self.folder / f"{network}.safetensors"

    def check_files(self) -> None:
        """Raises ReleaseError for a file that is missing or that is not the card's."""
        expected = {self.file(network): entry["sha256"] for network, entry in self.card["files"].items()}
        expected[self.folder / GRID_FILE] = self.card["grid"]["sha256"]
        for path, sha256 in expected.items():
            self._check_hash(path, sha256)

    def _check_hash(self, path: Path, sha256: str) -> None:
        found = sha256_of(path)
        if found != sha256:
            raise ReleaseError(
                f"{path} is not the file that {self.folder / CARD_FILE} describes (sha256 {found[:16]}..., the card "
                f"says {sha256[:16]}...): it is damaged or was swapped, and was not read; {AGAIN}"
            )

    def tensors(self) -> dict[str, Tensor]:
        """All tensors by their names in the module's state_dict, float32; hashes are checked first."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        tensors: dict[str, Tensor] = {}
        for network, entry in self.card["files"].items():
            path = self.file(network)
            self._check_hash(path, entry["sha256"])
            try:
                tensors |= unpack(load_file(path))
            except (SafetensorError, ValueError, KeyError) as error:
                raise ReleaseError(
                    f"{path} is no safetensors file ({error}): nothing in it was executed; do not trust this release"
                ) from error
        training = self.card["training"]
        return tensors | {name: torch.tensor(training[name]) for name in COUNTERS}

    def module(self) -> AdversarialModule:
        """The module with the released weights, in evaluation mode on the CPU."""
        name, settings = self.card["paper"], self.card["hyperparameters"]
        where = self.folder / CARD_FILE
        if name not in MODELS:
            raise ReleaseError(f"{where}: paper is {name!r}, which is none of {', '.join(MODELS)}")
        try:
            with torch.random.fork_rng(devices=[]):  # the initial weights are overwritten, but drawing them counts
                module = MODELS[name](**settings)
        except (TypeError, ValueError) as error:
            raise ReleaseError(f"{where}: {MODELS[name].__name__} refuses its hyperparameters: {error}") from error
        tensors = self.tensors()
        if problems := unlike(tensors, module.state_dict()):
            raise ReleaseError(
                f"{where} does not describe the weights beside it: {len(problems)} tensors differ, "
                f"{'; '.join(problems[:3])}; {AGAIN}"
            )
        module.load_state_dict(tensors)
        return module.eval()


def unlike(there: Mapping[str, Tensor], here: Mapping[str, Tensor]) -> list[str]:
    """What differs in names and shapes, a text each."""

    def shape(tensors: Mapping[str, Tensor], name: str) -> str:
        return str(list(tensors[name].shape)) if name in tensors else "absent"

    names = [*here, *(name for name in there if name not in here)]
    return [
        f"{name} is {shape(there, name)} in the files, {shape(here, name)} in the network"
        for name in names
        if shape(there, name) != shape(here, name)
    ]
