"""Feature extractors, one metric a file, and the evaluator that runs them under a protocol.

Names load on first use: importing a part must not import torchmetrics or torch-fidelity for those who do not
evaluate.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.metrics.batchnorm import batchnorm_statistics as batchnorm_statistics
    from zoo.metrics.evaluator import EvalResult as EvalResult
    from zoo.metrics.evaluator import Evaluator as Evaluator
    from zoo.metrics.features import FeatureExtractor as FeatureExtractor
    from zoo.metrics.features import Features as Features
    from zoo.metrics.frechet import FrechetDistance as FrechetDistance
    from zoo.metrics.inception import InceptionExtractor as InceptionExtractor
    from zoo.metrics.inception import InceptionUnavailableError as InceptionUnavailableError
    from zoo.metrics.inception_score import InceptionScore as InceptionScore
    from zoo.metrics.kernel_distance import KernelDistance as KernelDistance
    from zoo.metrics.lenet import LeNetExtractor as LeNetExtractor
    from zoo.metrics.lenet import LeNetWeightsError as LeNetWeightsError
    from zoo.metrics.parzen import ParzenLogLikelihood as ParzenLogLikelihood
    from zoo.metrics.protocol import EvalProtocol as EvalProtocol
    from zoo.metrics.protocol import value_name as value_name
    from zoo.metrics.quantize import to_uint8 as to_uint8

_MODULES = {
    "EvalProtocol": "protocol",
    "EvalResult": "evaluator",
    "Evaluator": "evaluator",
    "FeatureExtractor": "features",
    "Features": "features",
    "FrechetDistance": "frechet",
    "InceptionExtractor": "inception",
    "InceptionScore": "inception_score",
    "InceptionUnavailableError": "inception",
    "KernelDistance": "kernel_distance",
    "LeNetExtractor": "lenet",
    "LeNetWeightsError": "lenet",
    "ParzenLogLikelihood": "parzen",
    "batchnorm_statistics": "batchnorm",
    "to_uint8": "quantize",
    "value_name": "protocol",
}


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return getattr(importlib.import_module(f"zoo.metrics.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(_MODULES)
