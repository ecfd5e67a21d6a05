"""Settings out of files that travel: a run's config.yaml, and what --config names. No torch at import.

They name classes of this package alone: another class is code, and code comes in by the command line, where whoever
runs it has typed its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.errors import UsageError
from zoo.runs.plain import read_settings
from zoo.training.signatures import entries

#: Options of the trainer whose values may be classes.
OF_CLASSES = ("accelerator", "callbacks", "logger", "plugins", "profiler", "strategy")
#: Lightning's classes that only look on and take no function: what a resumed run goes on with.
HARMLESS = (
    *("lightning.pytorch.callbacks.DeviceStatsMonitor", "lightning.pytorch.callbacks.LearningRateMonitor"),
    *("lightning.pytorch.callbacks.Timer", "lightning.pytorch.loggers.CSVLogger"),
    "lightning.pytorch.loggers.TensorBoardLogger",
)


def settings_of(file: Path) -> dict[str, Any]:
    """The settings in a file that --config names.

    Raises:
        UsageError: there is no such file, or it names a class that is not this package's.
        RecordError: it cannot be read, or holds no settings.
    """
    try:
        settings = read_settings(file)
    except FileNotFoundError:
        raise UsageError(f"--config {file}: there is no such file") from None
    return without_foreign_code(settings, file=file, given={})


def without_foreign_code(settings: dict[str, Any], *, file: Path, given: Mapping[str, str]) -> dict[str, Any]:
    """The settings of a file, without those classes that the command line replaces.

    Args:
        settings: of the file, nested.
        file: for the message.
        given: options on the command line with their values; a data set that is named there again may stay.

    Raises:
        UsageError: a class that is not of this package, and that the command line does not name.
    """
    kept = dict(settings)
    for option, name in foreign_classes(settings):
        typed = given.get(option, given.get(f"{option}.class_path", given.get(f"{option}+")))
        if typed is None:
            raise UsageError(
                f"{file} names {name!r} as --{option}, which is no class of this package: nothing of it was imported "
                f"or called. Code comes in by the command line alone: take it out of the file, or type --{option} "
                "again"
            )
        if typed == name:
            continue
        group, _, part = option.rpartition(".")
        if group:
            kept[group] = {key: value for key, value in kept[group].items() if key != part}
        else:
            kept.pop(option, None)
    return kept


def foreign_classes(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(option, name) of each class in nested settings that is not one of this package's or of HARMLESS."""
    sets = "|".join([*entries("zoo.data", "DATASETS"), "ToyPoints"])
    for group, value in settings.items():
        parts = value.items() if group == "trainer" and isinstance(value, Mapping) else [("", value)]
        for part, own in parts:
            option = f"{group}.{part}" if part else group
            for name in class_names(own, plain=group == "data" or part in OF_CLASSES):
                data = group == "data" and re.fullmatch(rf"(zoo\.data\.(\w+\.)?)?({sets})", name)
                if not data and name not in HARMLESS:
                    yield option, name


def class_names(value: Any, *, plain: bool) -> Iterator[str]:
    """Class paths in a value, at any depth; with `plain`, also texts that read as the path of one."""
    if isinstance(value, Mapping):
        for key, own in value.items():
            if key == "class_path":
                yield str(own)
            else:
                yield from class_names(own, plain=False)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for own in value:
            yield from class_names(own, plain=plain)
    elif plain and isinstance(value, str) and "." in value:
        yield value


def flat_names(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"model.width": 8, "data.init_args.root": ...}: all settings by the names that the command line knows."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found |= flat_names(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value  # batch sizes have whole numbers as names
    return found
