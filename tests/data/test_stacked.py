"""Three digits in the channels."""

import pytest
import torch

from zoo.data import Digits, StackedMNIST
from zoo.errors import DataError
from zoo.experiments.suite import EvaluationSettings, Measurement
from zoo.models.dcgan import DCGAN


def test_each_channel_is_a_digit_and_the_label_names_all_three() -> None:
    data = StackedMNIST(digits="embedded", stacks=300, resolution=32)
    train, single = data.split("train"), Digits(resolution=32).split("train")
    assert (data.image_shape, data.num_classes, data.splits) == ((3, 32, 32), 1_000, ("train",))
    assert train.images.shape == (300, 3, 32, 32)
    assert train.labels is not None
    assert single.labels is not None
    assert train.class_names is not None
    for image, label in zip(train.images[:6], train.labels[:6].tolist(), strict=True):
        digits = [int(single.labels[(single.images[:, 0] == channel).flatten(1).all(1)][0]) for channel in image]
        assert digits == [int(digit) for digit in train.class_names[label]]
    assert len(train.labels.unique()) > 200  # drawn, not in order


def test_the_draws_are_the_same_for_everyone_and_a_validation_split_is_held_out() -> None:
    train, again = (StackedMNIST(digits="embedded", stacks=50).split("train") for _ in range(2))
    assert train.fingerprint == again.fingerprint
    assert torch.equal(train.images, again.images)
    assert StackedMNIST(digits="embedded", stacks=51).split("train").fingerprint != train.fingerprint
    held_out = StackedMNIST(digits="embedded", stacks=50, train_images=40).split("validation")
    assert torch.equal(held_out.images, train.images[40:])


def test_what_there_is_not() -> None:
    with pytest.raises(DataError, match="StackedMNIST has no test split"):
        StackedMNIST(digits="embedded", stacks=5).split("test")
    with pytest.raises(DataError, match="stacks at least 1"):
        StackedMNIST(stacks=0)


def test_evaluations_count_the_modes_of_such_images_alone() -> None:
    settings = EvaluationSettings(samples=20, real_images=20, extractors=["resnet"], batchnorm="running")
    module = DCGAN(network="community", resolution=32, width=2)
    measurement = Measurement(
        StackedMNIST(digits="embedded", stacks=20, resolution=32), settings=settings, testing=False
    )
    values = measurement(module)
    assert 1 <= values["modes20"] <= 20
    assert values["modes_kl20"] > 3  # ln 1000 - ln 20 at least
    assert measurement.protocols[measurement.hashes["modes20"]]["dataset"] == "StackedMNIST"
