"""Reals that are mirrored as in training, and as many as the authors take."""

import dataclasses
from typing import Any

import pytest
import torch
from metrics_toys import ToyData, ToyExtractor, ToyModule

from reproductions import pggan, stylegan
from zoo.data import Digits
from zoo.errors import EvaluationError
from zoo.experiments.suite import EvaluationSettings, Measurement
from zoo.metrics import Evaluator
from zoo.metrics.protocol import value_name
from zoo.metrics.reals import MIRRORED, mirrored, reference_of
from zoo.models.pggan import PGGAN


def evaluated(data: ToyData, **settings: Any) -> Any:
    measures = ["fd", "kd", "nn_pixels"]
    return Evaluator([ToyExtractor()], data=data, measures=measures, n_fake=100, block=50, **settings).run(ToyModule())


def test_each_real_is_itself_or_its_mirror_image_and_the_set_is_gone_through_again() -> None:
    real = ToyData(200).array
    many = mirrored(real, 500, mixed=True)
    flipped = (many.images[:] != real.images.repeat(3, 1, 1, 1)[:500]).flatten(1).any(1)
    expected = torch.where(flipped[:, None, None, None], real.images.flip(3).repeat(3, 1, 1, 1)[:500], many.images[:])
    assert torch.equal(many.images[:], expected)
    assert 190 < int(flipped.sum()) < 310
    assert not torch.equal(flipped[:200], flipped[200:400])  # other draws in the second pass
    assert torch.equal(many.images[torch.tensor([7, 450])], expected[[7, 450]])
    assert torch.equal(mirrored(real, 500, mixed=True).images[3:9], expected[3:9])
    assert len(mirrored(real, None, mixed=True)) == 200
    assert not torch.equal(mirrored(real, 50, mixed=False).images[:], expected[:50])  # of one permutation
    assert len({mirrored(real, n, mixed=m).fingerprint for n in (200, 500) for m in (True, False)}) == 4


@pytest.mark.parametrize("n_real", [None, 130, 500])
def test_values_are_those_of_the_mirrored_images(n_real: int | None) -> None:
    data, explicit = ToyData(200), ToyData(200)
    explicit.array = dataclasses.replace(data.array, images=mirrored(data.array, n_real, mixed=True).images[:])
    found, wanted = evaluated(data, n_real=n_real, mirror_reals=True), evaluated(explicit)
    assert found.values == wanted.values
    if n_real is None:
        assert found.values["fd_toy100"] != evaluated(data).values["fd_toy100"]
    for protocol in found.protocols.values():
        assert (protocol.reals, protocol.n_real) == (MIRRORED, n_real or 200)
        assert MIRRORED in protocol.describe()
    assert not any("reals" in protocol.as_dict() for protocol in wanted.protocols.values())


def test_without_it_the_reals_are_what_they_were() -> None:
    data = ToyData(200)
    assert reference_of(data, "train", None, mirror=False) is data.array
    assert reference_of(data, "train", 90, mirror=False).fingerprint == data.array.slice(0, 90).fingerprint


def test_more_reals_than_there_are_only_where_they_are_mirrored() -> None:
    module = PGGAN(resolution=32, channels=1, fmap_max=2)
    for mirror in (False, True):
        settings = EvaluationSettings(real_images=90, mirror_reals=mirror, extractors=["lenet"])
        measurement = Measurement(Digits(resolution=32, train_images=40), settings=settings, testing=False)
        if mirror:
            (evaluator,) = measurement.prepare(module)
            assert len(evaluator.reference(evaluator.columns[0])) == len(evaluator.reference(None)) == 90
        else:
            with pytest.raises(EvaluationError, match=r"real_images 90: Digits has 40 training images"):
                measurement.prepare(module)


def test_a_run_is_measured_against_the_images_that_it_holds_out() -> None:
    """`--evaluation.split validation`; values and protocols say so, and those of the training split stay."""
    module = PGGAN(resolution=32, channels=1, fmap_max=2)
    data = Digits(resolution=32, train_images=4_960)
    for split, suffix, count in (("train", "", 4_960), ("validation", "_validation", 40)):
        settings = EvaluationSettings(split=split, samples=16, extractors=["lenet"])
        (evaluator,) = Measurement(data, settings=settings, testing=False).prepare(module)
        assert len(evaluator.reference(evaluator.columns[0])) == len(evaluator.reference(None)) == count
        assert evaluator.protocol(evaluator.columns[0]).split == split
        assert value_name("fd", "lenet", 16, split=evaluator.columns[0].split) == f"fd_lenet16{suffix}"
    settings = EvaluationSettings(split="validation", real_images=90, extractors=["lenet"])
    with pytest.raises(EvaluationError, match=r"real_images 90: Digits has 40 validation images"):
        Measurement(data, settings=settings, testing=False).prepare(module)


def test_recipes_beside_a_reported_figure_take_the_authors_reals() -> None:
    """Wherever training mirrors images, and nowhere else; the extensions take what they took."""
    for script in (pggan, stylegan):
        for name, recipe in script.RECIPES.items():
            data, settings = recipe.config["data"], EvaluationSettings(**recipe.config.get("evaluation", {}))
            paper = bool(recipe.reported) or name == "celebahq_released"
            mirrored_in_training = bool(data["init_args"].get("horizontal_flip"))
            assert settings.mirror_reals == (paper and mirrored_in_training), name
            many = settings.mirror_reals and not name.startswith("table1_")
            assert settings.real_images == (50_000 if many else None), name
