"""Where commands write: checked before the work, not after it. No torch at import."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from zoo.errors import UsageError
from zoo.experiments.pictures.film import SUFFIXES
from zoo.runs.extras import require

FILMS = SUFFIXES


def output_file(name: str, *, option: str = "--out", suffixes: Sequence[str] = (".png",)) -> Path:
    """A file that can be written, in a folder that whoever writes it makes where it is not there.

    Nothing is made here: what follows may yet be refused.

    Raises:
        UsageError: a suffix that promises another format, a folder of that name, or a folder that cannot be written.
    """
    path = Path(name).expanduser()
    if suffixes and path.suffix.lower() not in suffixes:
        raise UsageError(f"{option} {name}: what is written there is {' or '.join(suffixes)}, so name it so")
    if path.suffix.lower() == ".mp4":
        require("imageio_ffmpeg", purpose=f"{option} {name}: an MP4")
    if path.is_dir():
        raise UsageError(f"{option} {name} is a folder: name a file in it")
    refuse_unwritable(path.parent, option=f"{option} {name}:", name=str(path.parent))
    if path.exists() and not (path.is_file() and os.access(path, os.W_OK)):
        raise UsageError(f"{option} {name} cannot be written over: name another file")
    return path


def picture_file(name: str) -> Path:
    """A PNG or, by its suffix, a film; errors as for `output_file`."""
    return output_file(name, suffixes=(".png", *FILMS))


def is_film(name: str | Path) -> bool:
    """Whether a name promises a film."""
    return Path(name).suffix.lower() in FILMS


def output_folder(name: str) -> Path:
    """A folder that files can be written into; made where it is not there.

    Raises:
        UsageError: it cannot be made, or nothing can be written there.
    """
    path = Path(name).expanduser()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {name} cannot be made a folder ({error.strerror}): name another place") from error
    refuse_unwritable(path, option="--out", name=name)
    return path


def refuse_unwritable(folder: Path, *, option: str, name: str) -> None:
    """Raises UsageError where a folder is none, cannot be made, or nothing can be written into it."""
    folder = folder.absolute()
    there = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
    if not there.is_dir():
        raise UsageError(f"{option} {name} cannot be made a folder ({there} is none): name another place")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(f"{option} {name}: nothing can be written into {there}; name another place")


def integers(text: str, *, option: str) -> list[int]:
    """The numbers of 0,1,2. Raises UsageError for anything else, and where there is none."""
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or any(abs(number) >= 2**63 for number in numbers):  # a tensor holds 64 bits
        raise UsageError(f"{option} takes integers with commas between, like 0,1,2, not {text!r}")
    return numbers
