"""CIFAR-10 in its three layouts."""

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from reproductions.wgan import RECIPES
from zoo.data import CIFAR10
from zoo.data.cifar10 import CLASSES, read_batch
from zoo.errors import DataNotFoundError

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 3, 32, 32), dtype=np.uint8)
LABELS = [int(k) for k in np.random.default_rng(1).integers(0, 10, 20)]


def write_batches(folder: Path) -> None:
    folder.mkdir(parents=True)
    names = [f"data_batch_{k}" for k in range(1, 6)]
    for k, name in enumerate([*names, "test_batch"]):
        part = slice(4 * k, 4 * k + 4) if k < 5 else slice(0, 3)
        batch = {"data": IMAGES[part].reshape(-1, 3072), "labels": LABELS[part], "batch_label": name}
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))


@pytest.mark.parametrize("place", ["cifar-10-batches-py", ""])
def test_torchvision_s_batches(place: str, tmp_path: Path) -> None:
    write_batches(tmp_path / "in" / place)
    data = CIFAR10(root=str(tmp_path / "in"), download=False)
    train, test = data.split("train"), data.split("test")
    assert np.array_equal(train.images.numpy(), IMAGES)
    assert train.labels is not None
    assert train.labels.tolist() == LABELS
    assert len(test) == 3
    assert train.class_names == CLASSES
    assert (data.name, data.num_classes, data.image_shape) == ("CIFAR10", 10, (3, 32, 32))


@pytest.mark.parametrize("settings", [{}, {"interpolation": "lanczos"}, RECIPES["cifar10"].config["data"]["init_args"]])
def test_resized_batches(tmp_path: Path, settings: dict[str, Any]) -> None:
    """By Lanczos' filter, as ever; those that WGAN trains on bilinearly, as by its authors."""
    write_batches(tmp_path / "in")
    data = CIFAR10(root=str(tmp_path / "in"), **{**settings, "resolution": 64})
    assert data.image_shape == (3, 64, 64)
    filter = Image.Resampling.BILINEAR if "batch_size" in settings else Image.Resampling.LANCZOS
    for image, large in zip(IMAGES, data.split("train").images, strict=True):
        expected = Image.fromarray(image.transpose(1, 2, 0)).resize((64, 64), filter)
        assert np.array_equal(large.numpy(), np.asarray(expected).transpose(2, 0, 1))


def test_some_classes_keep_their_labels_and_hold_out_images(tmp_path: Path) -> None:
    """As a study of few photographs takes them: two of one class to train on, the others to compare with."""
    write_batches(tmp_path / "in")
    of_kind = [i for i, label in enumerate(LABELS) if label == 8]
    data = CIFAR10(root=str(tmp_path / "in"), download=False, classes=[8], train_images=2)
    train, others = data.split("train"), data.split("validation")
    assert np.array_equal(train.images.numpy(), IMAGES[of_kind[:2]])
    assert np.array_equal(others.images.numpy(), IMAGES[of_kind[2:]])
    assert train.labels is not None
    assert train.labels.tolist() == [8, 8]
    assert data.num_classes == 10
    whole = CIFAR10(root=str(tmp_path / "in"), download=False).split("train")
    assert len({whole.fingerprint, train.fingerprint, others.fingerprint}) == 3


class Malicious:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('code in a pickle was run')",)


def test_pickles_run_no_code(tmp_path: Path) -> None:
    file = tmp_path / "data_batch_1"
    file.write_bytes(pickle.dumps({"data": IMAGES, "labels": Malicious()}, protocol=2))
    with pytest.raises(ValueError, match=r"data_batch_1 is not a whole batch.*builtins\.exec|__builtin__\.exec"):
        read_batch(file)


def test_pickle_as_python_2_wrote_it(tmp_path: Path) -> None:
    # The official files come from Python 2: byte strings as SHORT_BINSTRING, NumPy under its old module name.
    stream = io.BytesIO()
    pickle._Pickler.save_bytes = _save_py2_bytes
    try:
        pickler = pickle._Pickler(stream, protocol=2)
        pickler.dispatch = {**pickler.dispatch, bytes: _save_py2_bytes}
        pickler.dump({b"data": IMAGES[:2].reshape(2, 3072), b"labels": LABELS[:2]})
    finally:
        del pickle._Pickler.save_bytes
    file = tmp_path / "batch"
    file.write_bytes(stream.getvalue().replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    images, labels = read_batch(file)
    assert np.array_equal(images, IMAGES[:2])
    assert labels.tolist() == LABELS[:2]


def _save_py2_bytes(pickler: object, value: bytes) -> None:
    head = b"U" + bytes([len(value)]) if len(value) < 256 else b"T" + len(value).to_bytes(4, "little")
    pickler.write(head + value)


@pytest.mark.parametrize("damage", ["truncated", "other images", "labels", "not a pickle"])
def test_damaged_batches_are_named(damage: str, tmp_path: Path) -> None:
    write_batches(tmp_path / "in")
    file = tmp_path / "in" / "data_batch_4"
    contents = {
        "truncated": file.read_bytes()[:-3000],
        "other images": pickle.dumps({"data": IMAGES.astype(np.float32), "labels": LABELS}, protocol=2),
        "labels": pickle.dumps({"data": IMAGES, "labels": LABELS[:-1]}, protocol=2),
        "not a pickle": b"<html>",
    }
    file.write_bytes(contents[damage])
    with pytest.raises(ValueError, match="data_batch_4 is not a whole batch of CIFAR-10"):
        CIFAR10(root=str(tmp_path / "in")).split("train")


@pytest.mark.parametrize("place", ["cifar10/train", "train"])
@pytest.mark.parametrize("digits", [False, True])
def test_class_folders(place: str, digits: bool, tmp_path: Path, write_image: Callable[..., Path]) -> None:
    for label, kind in enumerate(CLASSES):
        folder = str(label) if digits else kind
        for k in range(2):
            write_image(tmp_path / "in" / place / folder / f"{k}.png", 32, 32, value=(label, k, 0))
    train = CIFAR10(root=str(tmp_path / "in"), download=False).split("train")
    assert train.labels is not None
    assert len(train) == 20
    assert train.images[:, 0, 0, 0].tolist() == train.labels.tolist()
    assert train.class_names == CLASSES
    (tmp_path / "in" / place / "zebra").mkdir()
    write_image(tmp_path / "in" / place / "zebra" / "0.png", 32, 32)
    with pytest.raises(ValueError, match=r"outside the class folders.*zebra"):
        CIFAR10(root=str(tmp_path / "in"), download=False).split("train")


@pytest.mark.usefixtures("offline")
def test_absent_and_offline(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match=r"data_batch_1[\s\S]*no network[\s\S]*ZOO_DATA"):
        CIFAR10(root=str(tmp_path / "in")).prepare_data()
    assert not (tmp_path / "in").exists()


@pytest.mark.slow
def test_real_cifar10(real_data: Path) -> None:
    train = CIFAR10(download=False).split("train")
    assert train.images.shape == (50000, 3, 32, 32)
    assert train.labels is not None
    assert torch.bincount(train.labels).tolist() == [5000] * 10
    assert (train.images.double().mean((0, 2, 3)) / 255).tolist() == pytest.approx([0.4914, 0.4822, 0.4465], abs=2e-3)


def test_real_cifar10_classes(real_data: Path) -> None:
    test = CIFAR10(download=False).split("test")
    assert test.images.shape == (10000, 3, 32, 32)
    assert test.labels is not None
    assert torch.bincount(test.labels).tolist() == [1000] * 10
    # Ships and airplanes stand before blue, frogs and deer do not: only the right order of classes shows it.
    border = test.images[:, :, :4].double().mean((2, 3))
    blueness = [float((border[test.labels == k, 2] - border[test.labels == k, 0]).mean()) for k in range(10)]
    assert sorted(range(10), key=blueness.__getitem__)[-2:] in ([0, 8], [8, 0])
    assert sorted(range(10), key=blueness.__getitem__)[0] == CLASSES.index("frog")
