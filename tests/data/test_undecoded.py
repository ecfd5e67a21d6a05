"""Images that are decoded when they are asked for: parts of a set are not decoded either; files that cannot be read."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from zoo.data import CIFAR10, MNIST, ImageFolder
from zoo.data.arrays import ImageArray
from zoo.data.lazy import is_lazy, without_decoding
from zoo.errors import DataError

WriteImage = Callable[..., Path]


def write_classes(root: Path, write_image: WriteImage, *, side: int, mode: str = "RGB") -> Path:
    """Class folders 0, 1 and 2 of three images each."""
    for k in range(9):
        write_image(root / "train" / str(k % 3) / f"{k}.png", side, side, seed=k, mode=mode)
    return root


@pytest.mark.parametrize("kind", [CIFAR10, MNIST])
def test_some_classes_of_images_that_are_not_decoded(kind: Any, tmp_path: Path, write_image: WriteImage) -> None:
    grey = kind is MNIST
    root = write_classes(tmp_path / "in", write_image, side=28 if grey else 32, mode="L" if grey else "RGB")

    def taken() -> ImageArray:
        found: ImageArray = kind(root=str(root), classes=[2], download=False).split("train")
        return found

    decoded = taken()
    with without_decoding():
        part = taken()
    assert decoded.labels is not None
    assert decoded.labels.tolist() == [2, 2, 2]
    assert torch.equal(part.images[:], decoded.images)
    assert torch.equal(part.labels, decoded.labels)
    assert is_lazy(part) is not grey  # MNIST's are made an array, to be given their border


def test_what_is_drawn_of_undecoded_images_is_not_decoded(tmp_path: Path, write_image: WriteImage) -> None:
    for k in range(9):
        write_image(tmp_path / "in" / f"{k}.png", seed=k)
    decoded, lazy = (ImageFolder(root=str(tmp_path / "in"), on_the_fly=fly).split("train") for fly in (False, True))
    assert is_lazy(lazy.sample(4))
    assert is_lazy(lazy.slice(2, 6))
    assert torch.equal(lazy.sample(4).images[:], decoded.sample(4).images)
    assert torch.equal(lazy.sample(4).slice(1, 3).images[:], decoded.sample(4).slice(1, 3).images)
    odd = torch.arange(9) % 2 == 1
    assert torch.equal(lazy.images[odd], decoded.images[odd])
    assert np.array_equal(lazy.images.numpy()[odd.numpy()], decoded.images.numpy()[odd.numpy()])


@pytest.mark.parametrize("kind", [CIFAR10, MNIST])
def test_class_folders_without_images_are_one_error(kind: Any, tmp_path: Path) -> None:
    (tmp_path / "in" / "train" / "0").mkdir(parents=True)
    (tmp_path / "in" / "train" / "0" / "readme.txt").write_text("")
    with pytest.raises(DataError, match=r"train holds no images that are read here \(0 images; 1 left out: \.txt"):
        kind(root=str(tmp_path / "in"), download=False).split("train")


def test_a_damaged_part_of_an_archive_is_named(tmp_path: Path) -> None:
    file = tmp_path / "in.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for k in range(3):
            noise = np.random.default_rng(k).integers(0, 256, (300, 300, 3), dtype=np.uint8)
            Image.fromarray(noise).save(tmp_path / "x.jpg")
            archive.write(tmp_path / "x.jpg", f"{k}.jpg")
        place = archive.infolist()[1].header_offset + 50_000  # far behind the header of the image
    content = bytearray(file.read_bytes())
    content[place] ^= 255
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"1\.jpg cannot be read: Bad CRC-32"):
        ImageFolder(root=str(file), on_the_fly=True, resolution=8).split("train")


def test_without_a_cache_undecoded_images_are_read_all_the_same(
    tmp_path: Path, write_image: WriteImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_image(tmp_path / "in" / "a.png")
    data = ImageFolder(root=str(tmp_path / "in"), on_the_fly=True)
    monkeypatch.setenv("ZOO_CACHE", "/proc/nowhere")
    with pytest.warns(UserWarning, match="hash is not cached"):
        assert len(data.split("train")) == 1
