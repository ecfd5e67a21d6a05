"""A paper's module from settings that somebody typed, or that came with a file: a wrong one becomes one line here."""

import inspect
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

import torch

from zoo.errors import UnsupportedSettingError, ZooError
from zoo.models.base.module import AdversarialModule
from zoo.models.base.ranges import wrong_setting


def build(kind: type[AdversarialModule], settings: Mapping[str, Any]) -> AdversarialModule:
    """The module of these settings: the one place where a wrong one becomes one line.

    Raises:
        UnsupportedSettingError: naming the class, and what is wrong.
    """
    return _made(kind, settings, device=None)


def outline(kind: type[AdversarialModule], settings: Mapping[str, Any]) -> AdversarialModule:
    """The same without numbers, on torch's device `meta`: names and shapes, at no cost whatever the settings say.

    Raises:
        UnsupportedSettingError: as `build`.
    """
    with torch.random.fork_rng(devices=[]):
        return _made(kind, settings, device="meta")


def wrong_choice(kind: type[AdversarialModule], settings: Mapping[str, Any]) -> str | None:
    """What is wrong with the first setting that must be one of a few words and is none of them."""
    for name, hint in get_type_hints(kind.__init__).items():
        if get_origin(hint) is Literal and name in settings and settings[name] not in get_args(hint):
            return f"{name} must be one of {', '.join(map(str, get_args(hint)))}, not {settings[name]!r}"
    return None


def _made(kind: type[AdversarialModule], settings: Mapping[str, Any], *, device: str | None) -> AdversarialModule:
    name = kind.__name__
    known = inspect.signature(kind).parameters
    if not isinstance(settings, Mapping):
        raise UnsupportedSettingError(f"{name} is made of named settings, not of a {type(settings).__name__}")
    if unknown := [str(key) for key in settings if key not in known]:
        raise UnsupportedSettingError(f"{name} has no setting {unknown[0]}: it has {', '.join(known)}")
    if wrong := wrong_setting(settings) or wrong_choice(kind, settings):
        raise UnsupportedSettingError(f"{name}: {wrong}")
    try:
        if device is None:
            return kind(**settings)
        with torch.device(device):
            return kind(**settings)
    except ZooError:
        raise
    except Exception as error:  # of a layer or a table: whatever it is, these settings led there
        what = str(error).splitlines()[0] if str(error) else type(error).__name__
        known_kind = isinstance(error, ValueError)
        raise UnsupportedSettingError(f"{name}: {what if known_kind else f'{type(error).__name__}: {what}'}") from error
