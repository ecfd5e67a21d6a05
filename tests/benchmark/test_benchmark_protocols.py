"""Members of `zoo benchmark` are measured alike, but for the labels of those that have some."""

import json
from pathlib import Path

import pytest
from pages import ROOT
from played_benchmark import Place

from zoo.commands.benchmark.page import findings
from zoo.commands.benchmark.record import PLACE, keep, labelled, of_one_protocol, read_record, without_labels
from zoo.data import Digits
from zoo.errors import RecordError
from zoo.experiments.suite import EvaluationSettings, Measurement
from zoo.metrics.protocol import protocol_hash
from zoo.models.benchmark import Benchmark
from zoo.models.objectives import OBJECTIVES
from zoo.runs.folder import RunDir
from zoo.runs.record import read_result, write_result


def test_every_objective_has_one_protocol_but_for_its_labels() -> None:
    keys, own = set(), set()
    for objective in OBJECTIVES:
        module = Benchmark(objective=objective, width=2)
        settings = EvaluationSettings(extractors=["lenet"], samples=20)
        (evaluator,) = Measurement(Digits(resolution=32), settings=settings, testing=False).prepare(module)
        changes = {"labels": "uniform" if module.num_classes else "", "sampling": getattr(module, "sampling", "")}
        protocol = evaluator.protocol(evaluator.columns[0], **changes)
        own.add(protocol.hash)
        keys.add(without_labels({"protocols": {protocol.hash: protocol.as_dict()}}, protocol.hash))
    assert len(own) == 2  # cGAN's and that of all others
    assert len(keys) == 1
    assert keys < own


@pytest.mark.parametrize("file", sorted((ROOT / PLACE).glob("*.json")), ids=lambda file: file.stem)
def test_the_committed_members_are_measured_alike(file: Path) -> None:
    record = read_record(file)
    of_one_protocol(record.members, record.curve)
    assert labelled(record) == [name for name in ("cgan",) if name in record.objectives.values()]


def test_drawn_labels_alone_keep_no_members_apart(place: Place) -> None:
    """cGAN's protocol names them, and ended the preset `digits` at its first such member."""
    place.run()
    (key,) = read_result(place.folder / "wgan-seed1")["protocols"]
    plain: dict[str, object] = {"dataset": "toy", "version": 1}
    drawn = {**plain, "labels": "uniform"}
    for member, fields in (
        ("hinge-seed0", plain),
        ("hinge-seed1", plain),
        ("wgan-seed0", plain),
        ("wgan-seed1", drawn),
    ):
        rehash(place, member, key, fields)
    record = place.record()
    assert labelled(record) == ["wgan"]
    said = "wgan: told the labels of the images, and sampled with labels drawn uniformly."
    assert said in [*findings(record)]
    assert said in [*findings(read_record(keep(record, place.folder)))]
    rehash(place, "wgan-seed1", protocol_hash(drawn), {**drawn, "version": 2})
    with pytest.raises(RecordError, match=r"hinge-seed0 .* and wgan-seed1 .* cannot be compared"):
        place.record()


def rehash(place: Place, member: str, key: str, fields: dict[str, object]) -> None:
    """Puts a protocol in the place of that with a hash."""
    run = RunDir(place.folder / member)
    new = protocol_hash(fields)
    text = run.result.read_text().replace(json.dumps(key), json.dumps(new))
    write_result(run, json.loads(text) | {"protocols": {new: fields}})
