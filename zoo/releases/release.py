"""A release opened: its card, its files checked before a byte is parsed, and the module built from them."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from zoo.errors import ReleaseError, UnsupportedSettingError
from zoo.metrics.features import sha256_of
from zoo.models import MODELS
from zoo.models.base.build import build, outline
from zoo.models.base.module import AdversarialModule
from zoo.models.base.state import COUNTERS
from zoo.models.trained import current_settings
from zoo.releases.card import CARD_FILE, GRID_FILE, read_card
from zoo.releases.precision import unpack
from zoo.runs.checkpoints import tensor_differences

AGAIN = "delete it and fetch or export the release again"


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
        if not path.is_file():
            raise ReleaseError(f"{path} is missing: {AGAIN}")
        found = sha256_of(path)
        if found != sha256:
            raise ReleaseError(
                f"{path} is not the file that {self.folder / CARD_FILE} describes (sha256 {found[:16]}..., the card "
                f"says {sha256[:16]}...): it is damaged or was swapped, and was not read; {AGAIN}"
            )

    def tensors(self) -> dict[str, Tensor]:
        """All tensors by their names in the module's state_dict, float32; hashes are checked first."""
        from safetensors import SafetensorError
        from safetensors.torch import load

        tensors: dict[str, Tensor] = {}
        for network, entry in self.card["files"].items():
            path = self.file(network)
            self._check_hash(path, entry["sha256"])
            try:
                tensors |= unpack(load(path.read_bytes()))
            except (SafetensorError, ValueError, KeyError, TypeError, IndexError, RuntimeError) as error:
                raise ReleaseError(
                    f"{path} is no safetensors file ({error}): nothing in it was executed; do not trust this release"
                ) from error
        training = self.card["training"]
        return tensors | {name: torch.tensor(training[name]) for name in COUNTERS}

    def module(self) -> AdversarialModule:
        """The module with the released weights, in evaluation mode on the CPU."""
        name = self.card["paper"]
        where = self.folder / CARD_FILE
        if name not in MODELS:
            raise ReleaseError(f"{where}: paper is {name!r}, which is none of {', '.join(MODELS)}")
        kind, settings = MODELS[name], current_settings(name, self.card["hyperparameters"])
        try:
            wanted = outline(kind, settings).state_dict()
        except UnsupportedSettingError as error:
            raise ReleaseError(f"{where}: {kind.__name__} refuses its hyperparameters: {error}") from error
        tensors = self.tensors()
        if problems := tensor_differences(tensors, wanted):
            raise ReleaseError(
                f"{where} does not describe the weights beside it: {len(problems)} tensors differ, "
                f"{'; '.join(problems[:3])}; {AGAIN}"
            )
        for network, tensor in tensors.items():
            if tensor.is_floating_point() and not tensor.isfinite().all():
                raise ReleaseError(f"{self.folder}: its tensor {network} holds nan or infinity: {AGAIN}")
        with torch.random.fork_rng(devices=[]):  # the initial weights are overwritten, but drawing them counts
            module = build(kind, settings)
        module.load_state_dict(tensors)
        return module.eval()
