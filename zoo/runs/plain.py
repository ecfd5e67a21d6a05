"""YAML and JSON of files that travel: plain types alone, of a size that people and runs write. No torch at import."""

from __future__ import annotations

import json
import os
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import RecordError

if TYPE_CHECKING:
    import yaml

LARGEST, LARGEST_YAML = 64 * 2**20, 2**20  # bytes
DEEPEST = 100  # brackets within brackets: YAML's own scanner takes time by the square of them
MOST_VALUES = 100_000  # of a YAML file whose aliases are written out: nine lines of nine aliases each are a billion


def read_json(path: str | os.PathLike[str]) -> Any:
    """The content of a JSON file.

    Raises:
        FileNotFoundError: it is absent.
        RecordError: it cannot be read, is no JSON, or is too large or too deep.
    """
    return as_json(_read(Path(path)), str(path))


def as_json(content: bytes, where: str) -> Any:
    """JSON that was read already; `where` names it in the RecordError."""
    try:
        return json.loads(content)
    except RecursionError as error:
        raise RecordError(f"{where} cannot be read as JSON: its values are nested too deeply") from error
    except ValueError as error:  # UTF-8's too, and that of a number with thousands of digits
        raise RecordError(f"{where} cannot be read as JSON: {error}") from error


def read_yaml(path: str | os.PathLike[str]) -> Any:
    """The content of a YAML file; what YAML could make of other types, or of aliases without end, is refused.

    Raises:
        FileNotFoundError: it is absent.
        RecordError: it cannot be read, is no YAML, or is too large or too deep.
    """
    import yaml

    content = _read(Path(path), largest=LARGEST_YAML)
    if max(accumulate((mark in b"[{") - (mark in b"]}") for mark in content), default=0) > DEEPEST:
        raise RecordError(f"{path} cannot be read as YAML: its values are nested too deeply")
    try:
        tree = yaml.compose(content, Loader=yaml.SafeLoader)
        if tree is not None and _values(tree, {}) > MOST_VALUES:
            raise RecordError(f"{path} cannot be read as YAML: its aliases stand for more than {MOST_VALUES:,} values")
        return yaml.safe_load(content)
    except RecursionError as error:
        raise RecordError(f"{path} cannot be read as YAML: its values are nested too deeply") from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise RecordError(f"{path} cannot be read as YAML: {' '.join(str(error).split())}") from error


def read_settings(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The settings in a YAML file, by their names.

    Raises:
        FileNotFoundError: it is absent.
        RecordError: it cannot be read, or holds no settings.
    """
    settings = read_yaml(path)
    if not isinstance(settings, dict) or not all(isinstance(name, str) for name in settings):
        raise RecordError(f"{path} holds no settings (empty, or no 'name: value' lines): name the config.yaml of a run")
    return settings


def _read(path: Path, *, largest: int = LARGEST) -> bytes:
    """A regular file of no more than so many bytes: a pipe would wait for ever."""
    try:
        if path.exists() and not path.is_file():
            raise RecordError(f"{path} cannot be read: it is {'a folder' if path.is_dir() else 'no regular file'}")
        if (size := path.stat().st_size) > largest:
            raise RecordError(f"{path} cannot be read: it has {size:,} bytes, and such files have at most {largest:,}")
        return path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise RecordError(f"{path} cannot be read: {error.strerror or error}") from error


def _values(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node stands for, each alias counted with all that it names; RecursionError for a circle."""
    if id(node) not in known:
        below = [] if isinstance(node.value, str) else node.value
        parts = [part for pair in below for part in (pair if isinstance(pair, tuple) else (pair,))]
        known[id(node)] = 1 + sum(_values(part, known) for part in parts)
    return known[id(node)]
