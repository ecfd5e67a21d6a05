"""CelebA: crops, layouts, official splits."""

import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from zoo.data import CelebA
from zoo.errors import DataNotFoundError

WriteImage = Callable[..., Path]
NAMES = [f"{k:06}.png" for k in range(1, 6)]


@pytest.fixture
def faces(tmp_path: Path, write_image: WriteImage) -> Path:
    for k, name in enumerate(NAMES):
        write_image(tmp_path / "in" / "celeba" / "img_align_celeba" / name, 178, 218, seed=k)
    return tmp_path / "in"


def expected(file: Path, *, box: tuple[int, int, int, int], side: int) -> np.ndarray:
    image = Image.open(file).crop(box).resize((side, side), Image.Resampling.LANCZOS)
    return np.asarray(image).transpose(2, 0, 1)


def test_centre_crop(faces: Path) -> None:
    data = CelebA(root=str(faces))
    assert (data.name, data.num_classes, data.image_shape) == ("CelebA", None, (3, 64, 64))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train = data.split("train")
    assert train.labels is None
    for name, x in zip(NAMES, train.images, strict=True):
        file = faces / "celeba" / "img_align_celeba" / name
        assert np.array_equal(x.numpy(), expected(file, box=(35, 55, 143, 163), side=64))
    wide = CelebA(root=str(faces), crop=None, resolution=32).split("train")
    file = faces / "celeba" / "img_align_celeba" / NAMES[0]
    assert np.array_equal(wide.images[0].numpy(), expected(file, box=(0, 20, 178, 198), side=32))
    other = CelebA(root=str(faces), crop=140).split("train")
    bilinear = CelebA(root=str(faces), interpolation="bilinear").split("train")
    image = Image.open(faces / "celeba" / "img_align_celeba" / NAMES[0]).crop((35, 55, 143, 163))
    assert np.array_equal(
        bilinear.images[0].permute(1, 2, 0), np.asarray(image.resize((64, 64), Image.Resampling.BILINEAR))
    )
    lower = CelebA(root=str(faces), crop=128, crop_top=57, resolution=128).split("train")  # columns 25 to 152
    assert np.array_equal(lower.images[0].numpy(), expected(file, box=(25, 57, 153, 185), side=128))
    central = CelebA(root=str(faces), crop=128, resolution=128).split("train")
    arrays = (train, wide, other, lower, central, bilinear)
    assert len({array.fingerprint for array in arrays}) == 6


def test_crop_is_torchvision_s_centre_crop(faces: Path) -> None:
    from torchvision.transforms import CenterCrop

    file = faces / "celeba" / "img_align_celeba" / NAMES[0]
    for side in (107, 108, 140):
        x = CelebA(root=str(faces), crop=side, resolution=side).split("train").images[0]
        reference = np.asarray(CenterCrop(side)(Image.open(file))).transpose(2, 0, 1)
        assert np.array_equal(x.numpy(), reference)


def test_half_size_images_are_scaled_and_announced(tmp_path: Path, write_image: WriteImage) -> None:
    file = write_image(tmp_path / "in" / "img_align_celeba" / "000001.png", 89, 109)
    with pytest.warns(UserWarning, match=r"half size \(89 x 109\).*54 pixels.*64"):
        half = CelebA(root=str(tmp_path / "in")).split("train")
    assert np.array_equal(half.images[0].numpy(), expected(file, box=(18, 28, 72, 82), side=64))


def test_a_square_that_is_enlarged_is_announced(faces: Path) -> None:
    with pytest.warns(UserWarning, match=r"square of 108 pixels is enlarged to 128.*takes up to 178"):
        CelebA(root=str(faces), resolution=128).split("train")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CelebA(root=str(faces), resolution=128, crop=128).split("train")
        CelebA(root=str(faces), resolution=178, crop=None).split("train")


def test_other_sizes_are_refused(faces: Path, write_image: WriteImage) -> None:
    folder = faces / "celeba" / "img_align_celeba"
    write_image(folder / NAMES[3], 177, 218)
    with pytest.raises(ValueError, match=rf"{NAMES[3]}.*177 x 218 pixels, the others 178 x 218"):
        CelebA(root=str(faces)).split("train")
    write_image(folder / NAMES[0], 1024, 1024)
    with pytest.raises(ValueError, match=r"1024 x 1024.*178 x 218.*ImageFolder"):
        CelebA(root=str(faces)).split("train")


@pytest.mark.parametrize("place", ["celeba", ""])
def test_zip_and_folder_layouts(place: str, faces: Path, tmp_path: Path) -> None:
    folder = faces / "celeba" / "img_align_celeba"
    reference = CelebA(root=str(faces)).split("train")
    root = tmp_path / "other"
    (root / place).mkdir(parents=True)
    with zipfile.ZipFile(root / place / "img_align_celeba.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"img_align_celeba/{file.name}")
    packed = CelebA(root=str(root)).split("train")
    assert torch.equal(packed.images, reference.images)
    assert packed.fingerprint == reference.fingerprint
    assert [path.name for path in (root / place).iterdir()] == ["img_align_celeba.zip"]  # not unpacked
    assert torch.equal(CelebA(root=str(folder)).split("train").images, reference.images)


@pytest.mark.parametrize("kind", ["txt", "csv"])
def test_official_splits(kind: str, faces: Path) -> None:
    whole = CelebA(root=str(faces)).split("train").images
    numbers = (0, 2, 0, 1, 2)
    if kind == "txt":
        text = "".join(f"{name} {k}\n" for name, k in zip(NAMES, numbers, strict=True))
    else:
        text = "image_id,partition\n" + "".join(f"{name},{k}\n" for name, k in zip(NAMES, numbers, strict=True))
    (faces / "celeba" / f"list_eval_partition.{kind}").write_text(text)
    data = CelebA(root=str(faces))
    assert data.splits == ("train", "validation", "test")
    assert torch.equal(data.split("train").images, whole[[0, 2]])
    assert torch.equal(data.split("validation").images, whole[[3]])
    assert torch.equal(data.split("test").images, whole[[1, 4]])


def test_without_partition_there_is_only_train(faces: Path) -> None:
    data = CelebA(root=str(faces))
    data.prepare_data()
    assert data.splits == ("train",)
    assert len(data.split("train")) == 5
    for name in ("validation", "test"):
        with pytest.raises(ValueError, match=rf"CelebA has no {name} split.*list_eval_partition\.txt is absent"):
            data.split(name)
    held_out = CelebA(root=str(faces), train_images=3)
    assert (len(held_out.split("train")), len(held_out.split("validation"))) == (3, 2)


def test_damaged_partition(faces: Path) -> None:
    file = faces / "celeba" / "list_eval_partition.txt"
    file.write_text("<html>")
    with pytest.raises(ValueError, match=r"list_eval_partition\.txt has no lines"):
        CelebA(root=str(faces)).split("train")
    file.write_text("999999.png 0\n")
    with pytest.raises(ValueError, match="none of the 5 images"):
        CelebA(root=str(faces)).split("train")


def test_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataNotFoundError, match=r"img_align_celeba\.zip[\s\S]*quota[\s\S]*download=True"):
        CelebA(root=str(tmp_path / "in")).prepare_data()

    def over_quota(*_: object, **__: object) -> None:
        raise RuntimeError("The daily quota of the file is exceeded")

    monkeypatch.setattr("torchvision.datasets.CelebA", over_quota)
    with pytest.raises(DataNotFoundError, match=r"quota of the file is exceeded[\s\S]*ZOO_DATA"):
        CelebA(root=str(tmp_path / "in"), download=True).prepare_data()
    assert not list((tmp_path / "in").rglob("*"))


def test_bad_crop() -> None:
    with pytest.raises(ValueError, match="crop=200"):
        CelebA(crop=200)
    assert CelebA(crop=128, crop_top=90).crop_top == 90
    for top in (-1, 91):
        with pytest.raises(ValueError, match=f"crop_top={top}.*128 rows.*218"):
            CelebA(crop=128, crop_top=top)


def test_real_celeba(real_data: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        train = CelebA().split("train")
        folder = next(real_data.rglob("img_align_celeba"))
        files = sorted(folder.glob("*.jpg"))
        assert len(train) <= len(files)
        size = Image.open(files[0]).size
        side, left, top = (54, 18, 28) if size == (89, 109) else (108, 35, 55)
        reference = expected(files[0], box=(left, top, left + side, top + side), side=64)
        assert train.images.shape[1:] == (3, 64, 64)
        assert np.array_equal(train.images[0].numpy(), reference)
