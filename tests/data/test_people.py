"""Folders and archives as people have them: what is read, what is left out, what tells one set from another."""

import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile

import zoo.data.files as files_module
from zoo.commands.evaluate.subjects import read_folder
from zoo.data import ImageFolder
from zoo.data.listing import list_images, shown
from zoo.errors import ZooError


def make(root: Path, **settings: Any) -> ImageFolder:
    return ImageFolder(root=str(root), **settings)


def write(path: Path, colour: int, *, side: int = 8) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (side, side), (colour, 0, 0)).save(path)
    os.utime(path, ns=(10**18, 10**18))
    return path


def colours(images: Any) -> list[int]:
    return sorted(int(x[0, 0, 0]) for x in images)


def test_equal_names_sizes_and_times_are_not_equal_images(tmp_path: Path) -> None:
    for k, name in enumerate(("one", "two")):
        write(tmp_path / name / "x.bmp", k + 1)
        with zipfile.ZipFile(tmp_path / name / "same.zip", "w", zipfile.ZIP_STORED) as file:
            file.write(tmp_path / name / "x.bmp", "x.bmp")
        os.utime(tmp_path / name / "same.zip", ns=(10**18, 10**18))
    for sub in ("", "same.zip"):
        arrays = [make(tmp_path / name / sub).split("train") for name in ("one", "two")]
        assert [colours(array.images) for array in arrays] == [[1], [2]]
    found = [read_folder(str(tmp_path / name), resolution=None, skip_broken=False)[0] for name in ("one", "two")]
    assert [colours(array.images) for array in found] == [[1], [2]]
    lazy = [make(tmp_path / name, on_the_fly=True).split("train").fingerprint for name in ("one", "two")]
    assert lazy[0] != lazy[1]
    write(tmp_path / "one" / "x.bmp", 3)  # written over: size and time are what they were
    assert colours(make(tmp_path / "one").split("train").images) == [3]
    (tmp_path / "one").rename(tmp_path / "three")
    (tmp_path / "two").rename(tmp_path / "one")
    assert colours(make(tmp_path / "one").split("train").images) == [2]


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for k, name in enumerate(("a.png", "deep/b.gif", "c.jfif", "d.webp", "e.avif")):
        picture = Image.new("RGB", (8, 8), (10 * k, 0, 0))
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        picture.save(folder / name, format="JPEG" if name == "c.jfif" else None)
    (folder / "gone.png").symlink_to(folder / "nothing.png")
    os.mkfifo(folder / "pipe.png")
    (folder / "loop").symlink_to(folder)
    (folder / "deep" / "up").symlink_to(tmp_path)
    (folder / "notes.txt").write_text("no image")
    with Path(os.fsdecode(os.fsencode(folder) + b"/f\xe9.png")).open("wb") as file:
        Image.new("RGB", (8, 8), (50, 0, 0)).save(file, format="PNG")
    data = make(folder)
    assert len(data.split("train")) == 6
    found = data.found()
    for part in ("6 images", "a link to nothing (gone.png)", "no regular file (pipe.png)", ".txt, which is no kind"):
        assert part in found
    assert "2 left out: a link to a folder that is read already" in found
    assert read_folder(str(folder), resolution=None, skip_broken=True)[1][0].startswith(f"{folder}: 6 images")
    assert shown("a\x1b[2Jb\udce9") == "a\\x1b[2Jb\\udce9"
    (tmp_path / "out").mkdir()
    write(tmp_path / "out" / "x.png", 1)
    (folder / "elsewhere").symlink_to(tmp_path / "out")
    assert len(list_images(folder).names) == 7  # a link that leads out is followed


def test_images_are_opened_as_images_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    called = []
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *a, **k: called.append(a))
    (folder / "x.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n")
    with pytest.raises(ZooError, match=r"x\.png cannot be used"):
        make(folder).split("train")
    assert not called
    write(folder / "x.png", 1, side=32)
    monkeypatch.setattr(files_module, "LARGEST", 1000)
    monkeypatch.setattr(Image.Image, "load", lambda self: called.append(self))
    with pytest.raises(ZooError, match=r"x\.png cannot be used: it has 32 x 32 pixels, more than 1,000"):
        make(folder).split("train")
    assert not called  # refused before it is decoded


def test_every_opening_in_the_package_names_its_formats() -> None:
    import re

    for file in Path(files_module.__file__).parents[1].rglob("*.py"):
        for call in re.findall(r"\b(?:Image|images)\.open\([^\n]*", file.read_text()):
            assert "formats=" in call, (file, call)


def test_photographs_are_compared_as_they_are_shown(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying
    Image.new("RGB", (8, 12)).save(tmp_path / "in" / "a.jpg")
    Image.new("RGB", (12, 8)).save(tmp_path / "in" / "b.jpg", exif=exif)
    assert read_folder(str(tmp_path / "in"), resolution=None, skip_broken=False)[0].images.shape == (2, 3, 12, 8)
    assert make(tmp_path / "in", crop="none").split("train").images.shape == (2, 3, 12, 8)


@pytest.mark.parametrize("turned", [(5, 7), (6, 8)])
def test_a_tiff_that_is_stored_lying_has_the_size_that_it_is_shown_in(turned: tuple[int, int], tmp_path: Path) -> None:
    """Pillow turns these by itself."""
    (tmp_path / "in").mkdir()
    Image.new("RGB", (8, 12)).save(tmp_path / "in" / "a.tif")
    for k, orientation in enumerate(turned):
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.new("RGB", (12, 8)).save(tmp_path / "in" / f"b{k}.tif", exif=exif)
    assert read_folder(str(tmp_path / "in"), resolution=None, skip_broken=False)[0].images.shape == (3, 3, 12, 8)
    assert make(tmp_path / "in", crop="none").split("train").images.shape == (3, 3, 12, 8)
    Image.new("RGB", (12, 8)).save(tmp_path / "in" / "a.tif")
    with pytest.raises(ZooError, match=r"a\.tif, 12 x 8"):
        make(tmp_path / "in", crop="none").split("train")


def test_skip_broken_leaves_out_whatever_cannot_be_used(tmp_path: Path) -> None:
    write(tmp_path / "in" / "b.png", 1)
    Image.fromarray(np.full((8, 8), 1000, dtype=np.uint16)).save(tmp_path / "in" / "a.png")
    with pytest.raises(ZooError, match=r"a\.png.*8 bits.*--skip_broken"):
        read_folder(str(tmp_path / "in"), resolution=None, skip_broken=False)
    array, notes = read_folder(str(tmp_path / "in"), resolution=None, skip_broken=True)
    assert len(array) == 1
    assert notes == [f"1 of 2 files under {tmp_path / 'in'} cannot be used: a.png"]


def test_classes_are_those_of_the_training_split_in_natural_order(tmp_path: Path) -> None:
    for k, name in enumerate(("train/10", "train/2", "train/b", "test/10", "test/b")):
        write(tmp_path / "in" / name / "x.png", k)
    data = make(tmp_path / "in")
    assert data.split("train").class_names == data.split("test").class_names == ("2", "10", "b")
    labels = data.split("test").labels
    assert labels is not None
    assert dict(zip((int(x[0, 0, 0]) for x in data.split("test").images), labels.tolist(), strict=True)) == {3: 1, 4: 2}
    assert "3 classes (2, 10, b)" in data.found()
    write(tmp_path / "in" / "test" / "strange" / "x.png", 9)
    with pytest.raises(ZooError, match=r"outside the class folders \(2, 10, b\).*strange/x\.png"):
        make(tmp_path / "in").split("test")


def test_a_class_that_is_named_train(tmp_path: Path) -> None:
    for k, name in enumerate(("car", "plane", "train")):
        write(tmp_path / "in" / name / "x.png", k)
    assert make(tmp_path / "in").split("train").class_names == ("car", "plane", "train")
    write(tmp_path / "in" / "train" / "deep" / "x.png", 9)
    with pytest.raises(ZooError, match="holds a folder train beside car, plane: is it the training split, or a class"):
        make(tmp_path / "in").split("train")


def test_a_zip_as_data_root_is_its_folder(tmp_path: Path) -> None:
    for k, name in enumerate(("train/a/1", "train/b/2", "test/b/3")):
        write(tmp_path / "in" / f"{name}.png", k)
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as file:
        for path in sorted((tmp_path / "in").rglob("*.png")):
            file.write(path, path.relative_to(tmp_path))
    folder, packed = make(tmp_path / "in"), make(tmp_path / "in.zip")
    assert packed.splits == folder.splits == ("train", "test")
    for name in folder.splits:
        assert packed.split(name).fingerprint == folder.split(name).fingerprint
    assert len(read_folder(str(tmp_path / "in.zip"), resolution=None, skip_broken=False)[0]) == 3
    lazy = make(tmp_path / "in.zip", on_the_fly=True).split("train")
    assert colours(lazy.images[:]) == [0, 1]


@pytest.mark.parametrize("packed", [False, True])
def test_splits_in_capitals_are_splits_and_no_classes(packed: bool, tmp_path: Path) -> None:
    for k, name in enumerate(("Train/a/1", "Train/b/2", "Val/a/3", "TEST/b/4")):
        write(tmp_path / "in" / f"{name}.png", k)
    if packed:
        with zipfile.ZipFile(tmp_path / "in.zip", "w") as file:
            for path in sorted((tmp_path / "in").rglob("*.png")):
                file.write(path, path.relative_to(tmp_path))
    data = make(tmp_path / ("in.zip" if packed else "in"))
    assert data.splits == ("train", "validation", "test")
    assert data.split("train").class_names == ("a", "b")
    assert [colours(data.split(name).images) for name in data.splits] == [[0, 1], [2], [3]]


def test_a_class_that_is_named_train_in_capitals(tmp_path: Path) -> None:
    for k, name in enumerate(("Car", "Train")):
        write(tmp_path / "in" / name / "x.png", k)
    assert make(tmp_path / "in").split("train").class_names == ("Car", "Train")


@pytest.mark.parametrize(("side", "crop"), [((8, 8), "none"), ((8, 8), "center"), ((12, 8), "center")])
def test_sizes_cost_no_decoding(
    side: tuple[int, int], crop: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a PNG, whose EXIF may stand behind its pixels: 70,000 large ones would take half an hour at each start."""
    (tmp_path / "in").mkdir()
    for k in range(5):
        Image.new("RGB", side, (k, 0, 0)).save(tmp_path / "in" / f"{k}.png")
    decoded, load = [], ImageFile.ImageFile.load
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: (decoded.append(self), load(self))[1])
    assert make(tmp_path / "in", on_the_fly=True, crop=crop).split("train").images.shape == (5, 3, 8, 8)
    assert len({id(image) for image in decoded}) <= 1  # the first


@pytest.mark.parametrize("suffix", ["png", "webp", "jpg"])
@pytest.mark.parametrize("exif", [b"Exif\0\0garbage!", b"Exif\0\0II*\0\xff\xff"])
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_an_image_with_damaged_exif_is_shown_as_it_is_stored(suffix: str, exif: bytes, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.new("RGB", (8, 12)).save(tmp_path / "in" / f"x.{suffix}", exif=exif)
    assert make(tmp_path / "in", crop="none").split("train").images.shape == (1, 3, 12, 8)
    assert read_folder(str(tmp_path / "in"), resolution=None, skip_broken=True)[0].images.shape == (1, 3, 12, 8)


def test_where_the_first_file_is_broken_there_is_advice_too(tmp_path: Path) -> None:
    write(tmp_path / "in" / "b.png", 1)
    (tmp_path / "in" / "a.png").write_bytes(b"no image")
    with pytest.raises(ZooError, match=r"a\.png.*--skip_broken"):
        read_folder(str(tmp_path / "in"), resolution=None, skip_broken=False)
