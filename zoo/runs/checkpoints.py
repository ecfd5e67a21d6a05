"""Checkpoint files: written in one step, read without executing anything, refused by name where they do not fit."""

from __future__ import annotations

import contextlib
import os
import pickle
import random
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch import LightningModule
from torch import Tensor

from zoo.errors import CheckpointError
from zoo.runs.folder import replacing
from zoo.runs.tensors import check_weights, refuse_claims

__all__ = [
    "CHECKPOINT_FORMAT",
    "AtomicCheckpointIO",
    "check_compatible",
    "collect_rng_state",
    "read_checkpoint",
    "restore_rng_state",
    "tensor_differences",
]

CHECKPOINT_FORMAT = 1  # checkpoint["zoo"]["format"] of the files that this version writes


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's checkpoint plugin, writing to a temporary name in the same folder and then renaming.

    A crash or a full disk at any moment leaves the previous checkpoint whole.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        """Write `checkpoint` to `path`.

        Raises:
            CheckpointError: it could not be written (a full disk, for one). The temporary file is gone, and what lay
                at `path` before is untouched.
        """
        path = Path(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as temporary, temporary.open("wb") as file:
                torch.save(checkpoint, file)
        except Exception as error:
            raise CheckpointError(_save_failure(path, error)) from error
        for stale in path.parent.glob(f"{path.name}.tmp-*"):  # of a run that was killed while it saved
            with contextlib.suppress(OSError):
                stale.unlink()

    def load_checkpoint(
        self, path: str | os.PathLike[str], map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """`read_checkpoint(path)`: on the CPU and never executing code, whatever the options say."""
        return read_checkpoint(path)


def _save_failure(path: Path, error: BaseException) -> str:
    # torch turns an OSError of the file into "unexpected pos 1024 vs 918" and keeps the cause as context.
    cause = next((link for link in _chain(error) if isinstance(link, OSError)), error)
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    free = shutil.disk_usage(folder).free
    if path.exists():
        previous = f"the previous checkpoint {path} is untouched and still usable"
    elif others := sorted(path.parent.glob("*.ckpt"), key=lambda other: other.stat().st_mtime):
        previous = f"the previous checkpoint {others[-1]} is untouched and still usable"
    else:
        previous = "there is no earlier checkpoint in this folder"
    return (
        f"could not write the checkpoint {path}: {type(cause).__name__}: {cause}"
        f" ({free / 2**20:,.1f} MiB are free in {folder}); {previous}. Nothing half-written was left behind."
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Load a Lightning checkpoint on the CPU, without executing anything in it.

    Returns:
        the checkpoint's dict; "state_dict" is among its keys.

    Raises:
        CheckpointError: no such file, a damaged file, a pickle with code in it, or no Lightning checkpoint.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(_missing_file(path))
    _check_archive(path)
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(_refused_pickle(path, error)) from error
    except Exception as error:  # a file that was made to be wrong raises nearly anything
        first = (str(error) or type(error).__name__).splitlines()[0]
        raise CheckpointError(f"{_damaged(path)}: {first}") from error
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("state_dict"), Mapping):
        raise CheckpointError(_no_lightning_checkpoint(path, checkpoint))
    refuse_claims(checkpoint, path)
    return checkpoint


def _missing_file(path: Path) -> str:
    if path.is_dir():
        held = f"it is a folder, which holds {_listing(path)}"
    elif path.parent.is_dir():
        held = f"the folder {path.parent} holds {_listing(path.parent)}"
    else:
        held = f"the folder {path.parent} does not exist"
    return f"there is no checkpoint file {path}: {held}"


def _listing(folder: Path, *, most: int = 12) -> str:
    """Names in a folder, checkpoints first."""
    names = sorted((entry.name for entry in folder.iterdir()), key=lambda n: (not n.endswith(".ckpt"), n))
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) + more) or "nothing"


def _damaged(path: Path) -> str:
    return (
        f"the checkpoint {path} ({path.stat().st_size:,} bytes) is truncated or damaged;"
        " use an earlier one from the same folder, or copy or download it again"
    )


def _check_archive(path: Path) -> None:
    """Check the zip's checksums: `torch.load` does not, and would hand over flipped bits as weights."""
    try:
        with zipfile.ZipFile(path) as archive:
            _check_sizes(path, archive)
            bad = archive.testzip()
    except zipfile.BadZipFile as error:
        with path.open("rb") as file:
            head = file.read(2)
        if head[:1] == b"\x80" and head[1:] in (b"\x02", b"\x03", b"\x04", b"\x05"):
            raise CheckpointError(
                f"{path} is a bare pickle, which may hold code: it was NOT executed and should not be trusted;"
                " checkpoints are zip files (torch.save writes them since torch 1.6)"
            ) from error
        raise CheckpointError(f"{_damaged(path)}: {error}") from error
    except OSError as error:
        raise CheckpointError(f"could not read the checkpoint {path}: {error}") from error
    if bad is not None:
        raise CheckpointError(f"{_damaged(path)}: the checksum of its part {bad} is wrong")


def _check_sizes(path: Path, archive: zipfile.ZipFile) -> None:
    """Before anything is unpacked: torch stores its parts as they are, so together they are no larger than the file."""
    size, parts = path.stat().st_size, archive.infolist()
    for part in parts:
        if part.compress_type != zipfile.ZIP_STORED or part.flag_bits & 1:
            raise CheckpointError(
                f"{path} holds a part that is packed or encrypted ({part.filename}: {part.compress_size:,} bytes that "
                f"claim to be {part.file_size:,}), as torch.save writes none: it was NOT unpacked and should not be "
                "trusted"
            )
    if (claimed := sum(part.file_size for part in parts)) > size:
        raise CheckpointError(
            f"{path} has {size:,} bytes, and its parts claim {claimed:,}: it was NOT unpacked and should not be trusted"
        )


def _refused_pickle(path: Path, error: pickle.UnpicklingError) -> str:
    try:
        names = ", ".join(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    except Exception:  # not every refused pickle can be listed; the refusal stands
        names = ""
    wants = names or type(error).__name__
    return (
        f"the checkpoint {path} holds code, not just tensors and plain types ({wants}):"
        " it was NOT executed and should not be trusted. This project's own checkpoints hold nothing but those"
    )


def _no_lightning_checkpoint(path: Path, content: object) -> str:
    if not isinstance(content, dict):
        return f"{path} is no Lightning checkpoint: it holds a {type(content).__name__}, not a dict"
    names = ", ".join(str(key) for key in list(content)[:8]) or "nothing"
    hint = ""
    if content and all(isinstance(value, Tensor) for value in content.values()):
        hint = ". It looks like a bare state_dict: load it with `module.load_state_dict(torch.load(...))`"
    return f"{path} is no Lightning checkpoint: it has no 'state_dict' (its keys: {names}){hint}"


def check_compatible(checkpoint: Mapping[str, Any], module: LightningModule, path: str | os.PathLike[str]) -> None:
    """Check, before anything is changed, that `checkpoint` (from `read_checkpoint`) fits `module`.

    checkpoint["zoo"] = {"paper": str, "class": str, "format": int, ...} names the writer; a class derived from the
    writer's is accepted. Then names and shapes of all tensors are compared.

    Args:
        checkpoint: what was read.
        module: that is to take it.
        path: of the file.

    Raises:
        CheckpointError: written by another model or in a newer format, a part that is missing, no tensor or not
            finite, or tensors that differ (another width); the text lists the first few with both shapes, and the
            hyperparameters that differ.
    """
    origin = checkpoint.get("zoo")
    here = type(module).__name__
    if not isinstance(origin, Mapping) or "class" not in origin:
        raise CheckpointError(f"{path} was not written by this project (no 'zoo' entry); this is {here}")
    if type(origin.get("format", 0)) is not int:
        raise CheckpointError(f"{path}: zoo.format is {origin['format']!r}, not a whole number")
    if origin.get("format", 0) > CHECKPOINT_FORMAT:
        raise CheckpointError(
            f"{path} has format {origin['format']}, this version reads up to {CHECKPOINT_FORMAT}:"
            " pip install -U lightning-gan-zoo"
        )
    if origin["class"] not in {kind.__name__ for kind in type(module).__mro__}:
        raise CheckpointError(
            f"{path} was written by {origin['class']} (paper {origin.get('paper')!r}), this is {here};"
            f" name a checkpoint of {here}, or run the reproduction that wrote this one"
        )
    check_weights(checkpoint, Path(path))
    if differences := tensor_differences(checkpoint["state_dict"], module.state_dict()):
        raise CheckpointError(_unlike_tensors(checkpoint, module, path=path, differences=differences))


def tensor_differences(written: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Names whose tensors are absent on one side or differ in shape, each with both shapes: there, and here."""

    def shape(tensors: Mapping[str, Any], name: str) -> str:
        return str(list(tensors[name].shape)) if name in tensors else "absent"

    def same(name: str) -> bool:
        return name in written and name in wanted and written[name].shape == wanted[name].shape

    names = [*wanted, *(name for name in written if name not in wanted)]
    return [f"{name}: {shape(written, name)} there, {shape(wanted, name)} here" for name in names if not same(name)]


def _unlike_tensors(
    checkpoint: Mapping[str, Any],
    module: LightningModule,
    *,
    path: str | os.PathLike[str],
    differences: list[str],
    most: int = 4,
) -> str:
    more = f"\n  ... and {len(differences) - most} more" if len(differences) > most else ""
    there, here = dict(checkpoint.get("hyper_parameters") or {}), dict(module.hparams)
    unlike = [
        f"{name}: {there.get(name, 'absent')!r} there, {here.get(name, 'absent')!r} here"
        for name in sorted({*there, *here})
        if name not in there or name not in here or there[name] != here[name]
    ]
    return (
        f"{path} does not fit this {type(module).__name__}: {len(differences)} tensors differ"
        + "".join(f"\n  {line}" for line in differences[:most])
        + more
        + "\nhyperparameters that differ: "
        + ("; ".join(unlike) or "none")
        + "\nBuild the module with the checkpoint's hyperparameters, or start without this checkpoint."
    )


def collect_rng_state() -> dict[str, Any]:
    """State of this process's random streams: Python's, NumPy's global one, torch's on the CPU and all CUDA devices.

    Plain types and tensors only, so that a checkpoint holding it loads with `weights_only=True`. "cuda" is empty
    where this process has not used CUDA.
    """
    version, words, gauss = random.getstate()
    numpy_state: Any = np.random.get_state(legacy=False)  # noqa: NPY002 - the global stream is what must be kept
    return {
        "python": {"version": version, "words": torch.tensor(words, dtype=torch.int64), "gauss": gauss},
        "numpy": {
            "key": torch.from_numpy(numpy_state["state"]["key"].astype(np.int64)),
            "pos": int(numpy_state["state"]["pos"]),
            "has_gauss": int(numpy_state["has_gauss"]),
            "gauss": float(numpy_state["gauss"]),
        },
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],  # type: ignore[no-untyped-call]
    }


def restore_rng_state(state: Mapping[str, Any]) -> None:
    """Put back what `collect_rng_state` gave. Devices that this machine does not have are left out.

    Raises:
        CheckpointError: `state` lacks one of the streams.
    """
    if missing := {"python", "numpy", "torch", "cuda"} - state.keys():
        raise CheckpointError(f"the random state lacks {sorted(missing)}; it has {sorted(state)}")
    python, numpy_state = state["python"], state["numpy"]
    random.setstate((python["version"], tuple(python["words"].tolist()), python["gauss"]))
    key = numpy_state["key"].numpy().astype(np.uint32)
    np.random.set_state(  # noqa: NPY002
        ("MT19937", key, numpy_state["pos"], numpy_state["has_gauss"], numpy_state["gauss"])
    )
    torch.set_rng_state(state["torch"].cpu())
    for device, device_state in zip(range(torch.cuda.device_count()), state["cuda"], strict=False):
        torch.cuda.set_rng_state(device_state.cpu(), device)
