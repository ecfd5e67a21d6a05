"""The feature extractors that a command line names."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import EvaluationError

if TYPE_CHECKING:
    from zoo.metrics.features import FeatureExtractor


def load_extractors(names: list[str], weights: str | None, *, image_shape: tuple[int, ...]) -> list[FeatureExtractor]:
    """The named extractors; `weights` is the file of the only one. Raises EvaluationError for an unknown name."""
    from zoo.metrics.extractors import EXTRACTORS, load_extractor

    refuse_unknown_features(names)
    if weights is not None and len(names) > 1:
        raise EvaluationError(f"--features_weights is a file for one extractor, and there are {', '.join(names)}")
    return [
        load_extractor(name, weights) if name in EXTRACTORS else users_extractor(name, image_shape=image_shape)
        for name in dict.fromkeys(names)
    ]


def refuse_unknown_features(names: list[str]) -> None:
    """Raises EvaluationError for a name that is no network of this package, nor PACKAGE:NAME."""
    from zoo.metrics.extractors import EXTRACTORS

    if unknown := [name for name in names if name not in EXTRACTORS and ":" not in name]:
        raise EvaluationError(
            f"there are no features {unknown[0]!r}: choose from {', '.join(EXTRACTORS)}, "
            "or name a torch module of yours as PACKAGE:NAME"
        )


def users_extractor(where: str, *, image_shape: tuple[int, ...]) -> FeatureExtractor:
    """The extractor or torch module that PACKAGE:NAME is, or makes when it is called without arguments.

    What it makes of the reals is computed at each call, since a cache could not know it from what it was before.
    """
    from torch import nn

    from zoo.metrics.features import RESERVED, FeatureExtractor, ModuleExtractor

    package, _, name = where.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(import_module(package), name)
        net = found if isinstance(found, nn.Module) else found()
    except Exception as error:  # a stranger's code raises anything
        raise EvaluationError(f"--features {where} cannot be made: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(Path.cwd()))
    if isinstance(net, FeatureExtractor):
        if not type(net).__module__.startswith("zoo."):
            net.lasting = False  # as of any module of the user's: its code may change under the same name
            if net.name.partition("-")[0] in RESERVED:
                raise EvaluationError(
                    f"--features {where} goes by {net.name!r}, and its figures would by those of another network: "
                    f"choose a name that is none of {', '.join(RESERVED)}"
                )
        return net
    if not isinstance(net, nn.Module):
        raise EvaluationError(f"--features {where} is a {type(net).__name__}, not a torch module")
    return ModuleExtractor(net, name=name, image_shape=image_shape)
