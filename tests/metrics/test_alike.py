"""One protocol for the generators of all papers: what the recipes on the digits are measured by."""

from typing import Any

import pytest
import torch

from zoo.data import Digits
from zoo.experiments.suite import EvaluationSettings, Measurement
from zoo.metrics import alike
from zoo.metrics.protocol import protocol_hash
from zoo.metrics.quantize import to_uint8
from zoo.models import MODELS
from zoo.training.scripts import papers, script_of


def measurement(recipe: dict[str, Any], **settings: Any) -> Measurement:
    data = Digits(resolution=recipe["data"]["init_args"].get("resolution"))
    return Measurement(data, settings=EvaluationSettings(**{**recipe["evaluation"], **settings}), testing=False)


@pytest.mark.parametrize("resolution", [28, 32])
def test_the_reference_is_that_of_32x32(resolution: int) -> None:
    found = alike.reference(Digits(resolution=resolution)).split("train")
    assert found.fingerprint == Digits(resolution=32).split("train").fingerprint
    assert torch.equal(found.images[:5, :, 2:-2, 2:-2], Digits().split("train").images[:5])


def test_all_recipes_on_the_digits_have_one_protocol() -> None:
    hashes, own = {}, {}
    for paper in papers():
        config = dict(script_of(paper).recipes["digits"].config)
        assert config["data"]["class_path"] == "zoo.data.Digits"
        with torch.device("cpu"):
            module = MODELS[paper](**config["model"])
        measured = measurement(config, samples=20)
        (evaluator,) = measured.prepare(module)
        changes = {"labels": "uniform" if module.num_classes else "", "sampling": getattr(module, "sampling", "")}
        protocol = evaluator.protocol(evaluator.columns[0], **changes)
        hashes[paper], own[paper] = protocol_hash(measured.protocol(protocol)), protocol.hash
        assert tuple(alike.sampler(module, measured.reference).image_shape) == (1, 32, 32)
    assert len(hashes) == 9
    assert len(set(hashes.values())) == 1
    assert len(set(own.values())) > 1  # each by itself


def test_a_border_changes_no_value_of_the_lenet() -> None:
    config = dict(script_of("gan").recipes["digits"].config)
    module = MODELS["gan"](**{**config["model"], "images_per_epoch": 10})
    across, alone = (measurement(config, samples=40, real_images=60, across_papers=on) for on in (True, False))
    assert across(module) == alone(module)
    assert across.hashes["fd_lenet40"] != alone.hashes["fd_lenet40"]
    assert across.protocols[across.hashes["fd_lenet40"]]["weights"] == "the average where one is kept"
    framed = to_uint8(alike.sampler(module, across.reference).sample(3, seed=1))
    assert torch.equal(framed[..., 2:-2, 2:-2], to_uint8(module.sample(3, seed=1)))
    assert int(framed[..., :2].sum() + framed[..., -2:, :].sum()) == 0


def test_other_data_and_sizes_stay_as_they_are() -> None:
    large = Digits(resolution=64)
    assert alike.reference(large) is large
    module = MODELS["dcgan"](network="community", resolution=64, channels=1, width=2)
    assert alike.sampler(module, large) is module
