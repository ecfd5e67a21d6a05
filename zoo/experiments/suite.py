"""The settings `--evaluation.*` made concrete: which measures a run takes, of how many samples."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from zoo.data import ImageDataModule, cache_dir
from zoo.data.base import Split
from zoo.errors import EvaluationError, UsageError, WeightsError
from zoo.experiments import cgan, dcgan, gan, infogan, lsgan, pggan, stylegan, wgan, wgan_gp_critic
from zoo.experiments.experiment import Experiment, Measured
from zoo.experiments.measures import MEASURES
from zoo.metrics import alike
from zoo.metrics.batchnorm import suitable_mode
from zoo.metrics.evaluator import Evaluator
from zoo.metrics.extractors import EXTRACTORS, load_extractor
from zoo.metrics.features import FeatureExtractor
from zoo.metrics.measures import WHILE_TRAINING
from zoo.metrics.presets import Column
from zoo.metrics.protocol import EvalProtocol, Weights, protocol_hash
from zoo.models.base.module import AdversarialModule

#: By the name of the paper; one that measures nothing of its own has no entry.
EXPERIMENTS: dict[str, Experiment[Any]] = {
    "gan": gan.EXPERIMENT,
    "dcgan": dcgan.EXPERIMENT,
    "cgan": cgan.EXPERIMENT,
    "infogan": infogan.EXPERIMENT,
    "lsgan": lsgan.EXPERIMENT,
    "wgan": wgan.EXPERIMENT,
    "wgan_gp": wgan_gp_critic.EXPERIMENT,
    "pggan": pggan.EXPERIMENT,
    "stylegan": stylegan.EXPERIMENT,
}

MODES = ("running", "reestimated", "batch")  # of BatchNorm, see zoo.metrics.batchnorm
LARGE = 64  # side from which photographs have the distance of patches too
TEST_SEED, TRAINING_SEED = 0, 1  # the best checkpoint is chosen on other latents than it is reported on


@dataclass
class EvaluationSettings:
    """Which measures a run takes, and when: the settings `--evaluation.*`."""

    every: int | None = None
    """Images between evaluations while training."""
    samples: int = 2_000
    """Generated images per evaluation while training."""
    test_samples: int | None = None
    """The same for test (default: full)."""
    real_images: int | None = None
    """Reference images (default: all)."""
    split: Literal["train", "validation", "test"] = "train"
    """Split of the reference; validation: what --data.train_images leaves out."""
    mirror_reals: bool = False
    """Mirror each of them with probability 1/2."""
    extractors: list[str] | None = None
    """inception, efficientnet, dinov2, resnet, lenet; default: what suits the data."""
    batchnorm: str = "reestimated"
    """G's BatchNorm: running, reestimated, batch"""
    across_papers: bool = False
    """One protocol for the generators of all papers: digits of 28x28 with a border, the average where one is kept."""


def measured_as_in(config: Mapping[str, Any], data: ImageDataModule) -> ImageDataModule:
    """A run's data set, measured by the feature network that the run's settings name, where they name one."""
    names = (config.get("evaluation") or {}).get("extractors") or [""]
    if names[0] in EXTRACTORS:
        data.extractor = names[0]
    return data


def build_evaluator(
    module: AdversarialModule | None,
    data: ImageDataModule,
    *,
    columns: Sequence[Column],
    measures: Sequence[str],
    n_fake: int,
    n_real: int | None = None,
    mirror_reals: bool = False,
    split: Split = "train",
    weights: Weights | None = None,
    batchnorm: str = "reestimated",
    batchnorm_samples: int = 10_000,
    seed: int = 0,
) -> Evaluator:
    """The evaluator of a module (None: of images that are there already) against a data set.

    Args:
        module: whose samples are measured.
        data: the reference.
        columns: extractors, each with its part of the reference.
        measures: names of zoo.metrics.measures.ALL.
        n_fake: generated images.
        n_real: reference images of the measures of pixels; None: all.
        mirror_reals: mirror each with probability 1/2; where more are wanted than there are, they are taken again.
        split: of the reference, likewise.
        weights: None takes the average where a paper keeps one, as the papers that do so evaluate it.
        batchnorm: of G; see zoo.metrics.batchnorm.
        batchnorm_samples: fakes for "reestimated" statistics.
        seed: of the latents.
    """
    return Evaluator(
        columns=columns,
        data=data,
        measures=measures,
        split=split,
        n_real=n_real,
        mirror_reals=mirror_reals,
        n_fake=n_fake,
        weights=weights or ("raw" if module is None or module.G_ema is None else "ema"),
        batchnorm="running" if module is None else suitable_mode(module.G, cast("Any", batchnorm)),
        batchnorm_samples=batchnorm_samples,
        seed=seed,
        cache_dir=cache_dir(),
        progress=True,
    )


class Measurement:
    """Takes all measures of a module; called on every rank, returns the same values on each.

    Args:
        data: the reference.
        settings: of the command line.
        testing: the full protocol of `test`, instead of the smaller one used while training.
        log: gives the rows of the run's metrics.jsonl, for the papers that measure a whole training on `test`.

    Attributes:
        latest: the values of the last call.
        hashes: protocol hash of each measure.
        protocols: protocol of each hash, plain types.
        notes: what was left out, and why.
    """

    def __init__(
        self,
        data: ImageDataModule,
        *,
        settings: EvaluationSettings,
        testing: bool,
        log: Callable[[], Sequence[Mapping[str, Any]]] = tuple,
    ) -> None:
        for name in settings.extractors or ():
            if name not in EXTRACTORS:
                raise UsageError(
                    f"unknown extractor {name!r} in --evaluation.extractors: there are {', '.join(EXTRACTORS)}"
                )
        if settings.batchnorm not in MODES:
            raise UsageError(f"--evaluation.batchnorm must be one of {', '.join(MODES)}, not {settings.batchnorm!r}")
        self.data, self.settings, self.testing, self.log = data, settings, testing, log
        self.reference = alike.reference(data) if settings.across_papers else data
        self.batchnorm_samples = 10_000 if testing else 2_000
        self.latest: dict[str, float] = {}
        self.hashes: dict[str, str] = {}
        self.protocols: dict[str, dict[str, Any]] = {}
        self.notes: list[str] = []
        self._evaluators: list[Evaluator] | None = None

    def prepare(self, module: AdversarialModule) -> list[Evaluator]:
        """The evaluators, with their networks: what cannot be measured is said here, before a training.

        Raises:
            EvaluationError: numbers that no figure can be made of.
            WeightsError: a network that was asked for is not at hand.
        """
        wanted = None if self.settings.mirror_reals else self.settings.real_images
        split = self.settings.split
        if wanted is not None and len(self.data.image_shape) == 3 and wanted > (there := len(self.data.split(split))):
            which = "training" if split == "train" else split
            raise EvaluationError(f"--evaluation.real_images {wanted}: {self.data.name} has {there:,} {which} images")
        experiment = EXPERIMENTS.get(module.paper, Experiment())
        if self._evaluators is None:
            extractors = self._extractors()
            pixels = (
                *(experiment.of_pixels(module) if experiment.of_pixels else ()),
                *getattr(self.data, "measures", ()),
            )
            if self._photographs and min(self.data.image_shape[1:]) >= LARGE and "swd" not in pixels:
                pixels = (*pixels, "swd_few")
            of_pixels = [()] * (len(extractors) - 1) + [pixels]  # of the last, with the most samples
            self._evaluators = [
                self._evaluator(extractor, module, measures=(*self._of_features(extractor), *more))
                for extractor, more in zip(extractors, of_pixels, strict=False)
            ]
        return self._evaluators

    def __call__(self, module: AdversarialModule) -> dict[str, float]:
        experiment = EXPERIMENTS.get(module.paper, Experiment())
        protocols: dict[str, dict[str, Any]] = {}  # by the value's name
        self.latest = {}
        for evaluator in self.prepare(module):
            result = evaluator.run(alike.sampler(module, self.reference) if self.settings.across_papers else module)
            self.latest |= result.values
            protocols |= {name: self.protocol(protocol) for name, protocol in result.protocols.items()}
        for values, protocol in self._of_paper(experiment, module):
            self.latest |= values
            protocols |= dict.fromkeys(values, protocol)
        for name in self.latest:
            if not MEASURES.require(name).attached:
                self.hashes[name] = protocol_hash(protocols[name])
                self.protocols[self.hashes[name]] = protocols[name]
        return self.latest

    @property
    def _photographs(self) -> bool:
        """Whether the data are images in colour, of anything."""
        return len(self.data.image_shape) == 3 and self.data.extractor == "efficientnet"

    def _of_features(self, extractor: FeatureExtractor) -> tuple[str, ...]:
        """What is taken of an extractor's features: of photographs precision and recall too, a score where it has
        classes."""
        names = tuple(name for name in WHILE_TRAINING if name != "is" or extractor.num_classes)
        if not self._photographs or extractor.name.startswith("inception"):
            return names
        return (*names, "pr" if self.testing else "pr_few")

    def protocol(self, protocol: EvalProtocol) -> dict[str, Any]:
        """A protocol, of the module or of all papers'."""
        if not self.settings.across_papers:
            return protocol.as_dict()
        samples = self.batchnorm_samples
        return alike.rule(protocol.as_dict(), batchnorm=self.settings.batchnorm, batchnorm_samples=samples)

    def _of_paper(self, experiment: Experiment[Any], module: AdversarialModule) -> Iterator[Measured]:
        """What the paper measures of its own."""
        seed = TEST_SEED if self.testing else TRAINING_SEED
        for measure in (experiment.while_training, experiment.on_test if self.testing else None):
            if measure is not None:
                yield measure(module, self.data, seed=seed)
        if self.testing and experiment.of_log is not None:
            yield experiment.of_log(self.log())

    def _evaluator(
        self, extractor: FeatureExtractor, module: AdversarialModule, *, measures: Sequence[str]
    ) -> Evaluator:
        full = EXTRACTORS.get(extractor.name, EXTRACTORS["inception"]).samples
        return build_evaluator(
            module,
            self.reference,
            columns=[Column(extractor, self.settings.split, self.settings.real_images)],
            split=self.settings.split,
            measures=measures,
            n_real=self.settings.real_images,
            mirror_reals=self.settings.mirror_reals,
            n_fake=(self.settings.test_samples or full) if self.testing else self.settings.samples,
            batchnorm=self.settings.batchnorm,
            batchnorm_samples=self.batchnorm_samples,
            seed=TEST_SEED if self.testing else TRAINING_SEED,
        )

    def _extractors(self) -> list[FeatureExtractor]:
        """Those asked for; else the data's own, and on `test` Inception too."""
        asked = self.settings.extractors
        if len(self.data.image_shape) != 3:
            return []  # points in the plane have the paper's own measures only
        names = dict.fromkeys(asked or [self.data.extractor, *["inception"] * self.testing])
        extractors = []
        for name in sorted(names, key="inception".__eq__):  # the one with the most samples last
            try:
                extractors.append(load_extractor(name))
            except WeightsError as error:
                if asked or name == self.data.extractor:
                    raise
                self.notes.append(f"FID, IS and KID of Inception features were not taken. {error}")
        return extractors
