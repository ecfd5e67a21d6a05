"""What a card says of its figures: measured now, or out of the run's record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo.errors import UsageError
from zoo.experiments.measures import MEASURES
from zoo.experiments.suite import Measurement, measured_as_in
from zoo.metrics.alike import rule
from zoo.metrics.extractors import EXTRACTORS
from zoo.metrics.protocol import batchnorm_mode
from zoo.models.base.module import AdversarialModule
from zoo.models.trained import FinishedRun
from zoo.releases.claims import measure, settings_for

EVALUATION = ("extractors", "batchnorm", "real_images", "test_samples", "samples")  # settings that a card holds
UNUSUAL = {"split": "train", "mirror_reals": False, "across_papers": False}  # held where they are something else


def figures_entry(run: FinishedRun, module: AdversarialModule) -> dict[str, Any]:
    """The figures of the released weights, their protocols, and the settings they were taken with."""
    settings = settings_for(measured_as_in(run.config, run.data))
    taken = measure(module, run.data, settings)
    return {
        "evaluation": {name: getattr(settings, name) for name in EVALUATION}
        | {name: value for name, usual in UNUSUAL.items() if (value := getattr(settings, name)) != usual},
        **figures_of(taken),
    }


def figures_of(taken: Measurement) -> dict[str, Any]:
    """The card's entries of what was measured."""
    return {"figures": taken.latest, "protocols": taken.hashes, "protocol_texts": taken.protocols}


def recorded_figures(run: FinishedRun, checkpoint: str, *, precision: str) -> dict[str, Any]:
    """As `figures_entry`, out of the record: what `test` found at this checkpoint, in seconds.

    Raises:
        UsageError: rounded weights, or no `test` of this checkpoint.
    """
    if precision != "float32":
        raise UsageError(
            f"--figures record are of the weights as trained, and --precision {precision} rounds them: leave "
            "--precision out, or measure again (--figures measure)"
        )
    tests = {test["checkpoint"].removesuffix(".ckpt"): test for test in run.record["tests"]}
    if checkpoint not in tests:
        raise UsageError(
            f"{run.dir.result} has no figures of {checkpoint}.ckpt: take them with `zoo test {run.record['paper']} "
            f"--run_dir {run.dir.path} --ckpt_path {checkpoint}`, or at the export (--figures measure)"
        )
    test, known = tests[checkpoint], run.record["protocols"]
    texts = {key: known[key] for key in dict.fromkeys(test["protocols"].values())}
    used: dict[str, Any] = run.config.get("evaluation") or {}
    used = used | settings_of_test(test, texts, images=run.record["dataset"]["images"])
    settings = {name: used.get(name) for name in EVALUATION}
    settings |= {name: value for name, usual in UNUSUAL.items() if (value := used.get(name, usual)) != usual}
    return {
        "evaluation": {name: value for name, value in settings.items() if value is not None},
        "figures": test["values"],
        "protocols": test["protocols"],
        "protocol_texts": texts,
    }


def settings_of_test(test: Mapping[str, Any], texts: Mapping[str, Mapping[str, Any]], *, images: int) -> dict[str, Any]:
    """The settings that `test` was given, as its protocols say: others than its run was trained with, perhaps.

    Args:
        test: of the record.
        texts: protocols by hash.
        images: of the training split.

    Returns:
        fields of `EvaluationSettings`; none where no network's features were measured.
    """
    names = [name for name in test["protocols"] if (found := MEASURES.find(name)) and found.measure.name == "fd"]
    of_features = [text for text in (texts[test["protocols"][name]] for name in names) if "extractor" in text]
    if not of_features:
        return {}
    one, networks = of_features[0], [str(text["extractor"]).partition("-")[0] for text in of_features]
    full = all(
        name in EXTRACTORS and EXTRACTORS[name].samples == text["n_fake"]
        for name, text in zip(networks, of_features, strict=True)
    )
    whole = one["split"] == "train" and one["n_real"] == images
    return {
        "extractors": networks,
        "batchnorm": batchnorm_mode(one),
        "real_images": None if whole else one["n_real"],
        "test_samples": None if full else one["n_fake"],
        "split": one["split"],
        "mirror_reals": bool(one.get("reals")),
        "across_papers": one["weights"] == rule({}, batchnorm="", batchnorm_samples=0)["weights"],
    }
