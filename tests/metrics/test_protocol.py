import dataclasses
import hashlib
import json

import pytest

from zoo.metrics import EvalProtocol, value_name

PROTOCOL = EvalProtocol(
    dataset="MNIST",
    dataset_fingerprint="f" * 64,
    split="train",
    n_real=60_000,
    n_fake=10_000,
    weights="raw",
    batchnorm="running",
    batchnorm_samples=0,
    extractor="lenet",
    extractor_sha256="a" * 64,
    resize="none",
    seed=0,
    block=250,
)


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(EvalProtocol)])
def test_hash_changes_with_every_field(field):
    value = getattr(PROTOCOL, field)
    changed = dataclasses.replace(PROTOCOL, **{field: value + 1 if isinstance(value, int) else f"{value}x"})
    assert changed.hash != PROTOCOL.hash


def test_hash_is_of_the_canonical_json():
    text = json.dumps(PROTOCOL.as_dict(), sort_keys=True, separators=(",", ":"))
    assert PROTOCOL.hash == hashlib.sha256(text.encode()).hexdigest()[:12]
    assert EvalProtocol(**json.loads(text)) == PROTOCOL
    assert dataclasses.replace(PROTOCOL).hash == PROTOCOL.hash


def test_frozen_and_described_in_one_line():
    with pytest.raises(dataclasses.FrozenInstanceError):
        PROTOCOL.seed = 1
    line = dataclasses.replace(PROTOCOL, batchnorm="reestimated", batchnorm_samples=500).describe()
    assert "\n" not in line
    for part in ("MNIST:train", "60000 real", "10000 fake", "reestimated(500)", "lenet aaaaaaaa", "seed 0"):
        assert part in line
    assert PROTOCOL.hash in PROTOCOL.describe()


@pytest.mark.parametrize(
    ("measure", "extractor", "n", "name"),
    [
        ("fd", "inception", 50_000, "fid50k"),
        ("is", "inception", 50_000, "is50k"),
        ("kd", "inception", 5_000, "kid5k"),
        ("fd", "inception", 10_000, "fid10k"),
        ("kd", "inception", 500, "kid500"),
        ("fd", "inception-12345678", 10_000, "fd_inception-12345678_10k"),
        ("fd", "lenet", 10_000, "fd_lenet"),
        ("is", "lenet", 10_000, "is_lenet"),
        ("kd", "lenet", 2_000, "kd_lenet2k"),
        ("fd", "lenet", 500, "fd_lenet500"),
        ("fd", "lenet", 2_500, "fd_lenet2500"),
        ("fd", "lenet-12345678", 10_000, "fd_lenet-12345678_10k"),
    ],
)
def test_value_names(measure, extractor, n, name):
    assert value_name(measure, extractor, n) == name


def test_names_of_other_references_and_of_pixels():
    assert value_name("fd", "inception", 10_000, split="test") == "fid10k_test"
    assert value_name("fd", "inception-torchmetrics", 50_000, split="test") == "fid50k_torchmetrics_test"
    assert value_name("precision", "inception", 10_000) == "precision_inception10k"
    assert value_name("fd_infinity", "inception", 50_000) == "fid_infinity50k"
    assert value_name("swd", "", 16_384) == "swd16384"


def test_later_fields_leave_the_hashes_of_earlier_figures_alone():
    fields = PROTOCOL.as_dict()
    assert not {"settings", "labels", "sampling"} & set(fields)
    assert len(fields) == 15
    assert dataclasses.replace(PROTOCOL, settings="k=3").as_dict() == {**fields, "settings": "k=3"}
