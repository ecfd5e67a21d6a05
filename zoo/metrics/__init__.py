"""Feature extractors, one metric a file, and the evaluator that runs them under a protocol.

Names load on first use: importing a part must not import torchmetrics or torch-fidelity for those who do not
evaluate.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.metrics.batchnorm import batchnorm_statistics as batchnorm_statistics
    from zoo.metrics.density_coverage import DensityCoverage as DensityCoverage
    from zoo.metrics.dinov2 import DinoV2Extractor as DinoV2Extractor
    from zoo.metrics.efficientnet import EfficientNetExtractor as EfficientNetExtractor
    from zoo.metrics.evaluator import Evaluator as Evaluator
    from zoo.metrics.features import FeatureExtractor as FeatureExtractor
    from zoo.metrics.features import Features as Features
    from zoo.metrics.features import ModuleExtractor as ModuleExtractor
    from zoo.metrics.frechet import FrechetDistance as FrechetDistance
    from zoo.metrics.frechet_infinity import FrechetInfinity as FrechetInfinity
    from zoo.metrics.inception import InceptionExtractor as InceptionExtractor
    from zoo.metrics.inception_score import InceptionScore as InceptionScore
    from zoo.metrics.kernel_distance import KernelDistance as KernelDistance
    from zoo.metrics.lenet import LeNetExtractor as LeNetExtractor
    from zoo.metrics.lpips import VGG16LPIPS as VGG16LPIPS
    from zoo.metrics.modes import StackedModes as StackedModes
    from zoo.metrics.ms_ssim import PairwiseMSSSIM as PairwiseMSSSIM
    from zoo.metrics.ndb import StatisticallyDifferentBins as StatisticallyDifferentBins
    from zoo.metrics.nearest import NearestNeighbours as NearestNeighbours
    from zoo.metrics.parzen import ParzenLogLikelihood as ParzenLogLikelihood
    from zoo.metrics.path_length import ExtractorDistance as ExtractorDistance
    from zoo.metrics.path_length import PerceptualPathLength as PerceptualPathLength
    from zoo.metrics.path_length import perceptual_path_length as perceptual_path_length
    from zoo.metrics.precision_recall import PrecisionRecall as PrecisionRecall
    from zoo.metrics.presets import PRESETS as PRESETS
    from zoo.metrics.presets import Column as Column
    from zoo.metrics.presets import preset_columns as preset_columns
    from zoo.metrics.protocol import EvalProtocol as EvalProtocol
    from zoo.metrics.protocol import value_name as value_name
    from zoo.metrics.quantize import to_uint8 as to_uint8
    from zoo.metrics.resnet import ResNetExtractor as ResNetExtractor
    from zoo.metrics.result import EvalResult as EvalResult
    from zoo.metrics.separability import linear_separability as linear_separability
    from zoo.metrics.swd import SlicedWasserstein as SlicedWasserstein

_MODULES = {
    "Column": "presets",
    "DensityCoverage": "density_coverage",
    "DinoV2Extractor": "dinov2",
    "EfficientNetExtractor": "efficientnet",
    "EvalProtocol": "protocol",
    "EvalResult": "result",
    "Evaluator": "evaluator",
    "ExtractorDistance": "path_length",
    "FeatureExtractor": "features",
    "Features": "features",
    "FrechetDistance": "frechet",
    "FrechetInfinity": "frechet_infinity",
    "InceptionExtractor": "inception",
    "InceptionScore": "inception_score",
    "KernelDistance": "kernel_distance",
    "LeNetExtractor": "lenet",
    "ModuleExtractor": "features",
    "NearestNeighbours": "nearest",
    "PRESETS": "presets",
    "PairwiseMSSSIM": "ms_ssim",
    "ParzenLogLikelihood": "parzen",
    "PerceptualPathLength": "path_length",
    "PrecisionRecall": "precision_recall",
    "ResNetExtractor": "resnet",
    "SlicedWasserstein": "swd",
    "StackedModes": "modes",
    "StatisticallyDifferentBins": "ndb",
    "VGG16LPIPS": "lpips",
    "batchnorm_statistics": "batchnorm",
    "linear_separability": "separability",
    "perceptual_path_length": "path_length",
    "preset_columns": "presets",
    "to_uint8": "quantize",
    "value_name": "protocol",
}


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return getattr(importlib.import_module(f"zoo.metrics.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(_MODULES)
