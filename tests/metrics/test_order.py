"""What is measured of files does not depend on how they are sorted: classes come one after another in folders."""

import dataclasses

import pytest
import torch

from zoo.data import Digits, ImageArray
from zoo.metrics import Evaluator, LeNetExtractor
from zoo.metrics.protocol import FIRST, ORDER


class Sorted:
    """Digits sorted by class, as files come by name."""

    name, splits, mixed = "sorted", ("train",), False

    def __init__(self, n: int) -> None:
        data = Digits().split("train")
        assert data.labels is not None
        self.order = data.labels[:n].sort(stable=True).indices
        self.array = ImageArray(data.images[:n][self.order], data.labels[:n][self.order], None, "of the test")

    def split(self, name: str) -> ImageArray:
        return self.array


@pytest.fixture(scope="module")
def data() -> Sorted:
    return Sorted(600)


def evaluate(data: Sorted, images: torch.Tensor, **settings: object) -> tuple[dict[str, float], dict[str, object]]:
    evaluator = Evaluator([LeNetExtractor()], data=data, **settings)
    result = evaluator.run_images(images)
    return result.values, dict(result.protocols)


def test_is_of_sorted_files_is_that_of_shuffled_ones(data: Sorted) -> None:
    shuffled = data.array.images[torch.randperm(600, generator=torch.Generator().manual_seed(1))]
    measures = ["fd", "is", "kd"]
    by_class, protocols = evaluate(data, data.array.images, n_fake=600, measures=measures)
    mixed, _ = evaluate(data, shuffled, n_fake=600, measures=measures)
    assert by_class["is_lenet600"] == pytest.approx(mixed["is_lenet600"], rel=0.05)
    assert by_class["is_lenet600"] > 7  # of ten classes; a split of one class has 1
    assert {name: protocol.order for name, protocol in protocols.items()} == {
        **dict.fromkeys(("fd_lenet600", "kd_lenet600", "kd_lenet600_std"), ""),
        **dict.fromkeys(("is_lenet600", "is_lenet600_std"), ORDER),
    }
    fd = protocols["fd_lenet600"]
    assert "order" not in fd.as_dict()  # its hash is what it was
    assert dataclasses.replace(fd, order=ORDER).hash != fd.hash


def test_the_first_n_of_sorted_files_are_of_all_classes(data: Sorted) -> None:
    assert data.array.labels is not None
    settings = {"n_fake": 100, "n_real": 100, "measures": ["fd", "is"]}
    values, protocols = evaluate(data, data.array.images, **settings)
    assert values["is_lenet100"] > 5
    assert protocols["fd_lenet100"].order == FIRST
    taken = data.array.sample(100)
    assert taken.labels is not None
    assert len(taken.labels.unique()) == 10
    assert protocols["fd_lenet100"].dataset_fingerprint == taken.fingerprint
    assert taken.fingerprint != data.array.slice(0, 100).fingerprint
    assert data.array.sample(600) is data.array


def test_samples_of_a_generator_keep_their_protocols() -> None:
    evaluator = Evaluator([LeNetExtractor()], data=Digits(), n_fake=100, n_real=200)
    protocol = evaluator.protocol(evaluator.columns[0])
    assert "order" not in protocol.as_dict()
    assert protocol.dataset_fingerprint == Digits().split("train").slice(0, 200).fingerprint
