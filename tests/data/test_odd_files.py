"""What else people have in their folders: names, numbers, formats, links that lead out, images that change."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image

import zoo
from zoo.commands.sample import labels_of
from zoo.data import ImageFolder
from zoo.data.listing import EXTENSIONS, list_images, natural
from zoo.errors import DataError, ReleaseError, UsageError
from zoo.releases.card import check_card
from zoo.training.report import found_by

WriteImage = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path, write_image: WriteImage) -> Path:
    """Two images."""
    for k in range(2):
        write_image(tmp_path / "in" / f"{k}.png", 16, 8, seed=k)
    return tmp_path / "in"


def test_a_link_out_of_the_folder_that_loops_there_is_read_once(
    folder: Path, tmp_path: Path, write_image: WriteImage
) -> None:
    write_image(tmp_path / "elsewhere" / "deep" / "x.png", 16, 8)
    (tmp_path / "elsewhere" / "deep" / "loop").symlink_to(tmp_path / "elsewhere" / "deep")
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    assert list_images(folder).names == ("0.png", "1.png", "linked/deep/x.png")


def test_names_are_printed_without_what_steers_a_terminal(folder: Path) -> None:
    for name in (b"caf\xe9.png", b"\x1b[31mred.png"):
        (folder / os.fsdecode(name)).write_bytes((folder / "0.png").read_bytes())
    assert len(ImageFolder(root=str(folder), on_the_fly=True).split("train")) == 4
    for path in folder.iterdir():
        path.write_bytes(b"no image")
    with pytest.raises(DataError) as error:
        ImageFolder(root=str(folder)).split("train")
    assert str(error.value).isprintable()


def test_classes_sort_as_people_count_and_otherwise_as_text() -> None:
    assert sorted(map(str, range(12)), key=natural) == [str(k) for k in range(12)]
    text = ["A", "a", "a b", "a-b", "a1", "a_b", "b"]
    assert sorted(text, key=natural) == sorted(text)
    assert sorted({"1", "01", "001"}, key=natural) == ["001", "01", "1"]  # in one order, always


@pytest.mark.parametrize("suffix", ["gif", "jfif", "avif", "jp2", "tif", "pbm", "qoi"])
def test_what_pillow_reads_is_read(suffix: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    assert f".{suffix}" in EXTENSIONS
    try:
        Image.new("1" if suffix == "pbm" else "RGB", (16, 16)).save(
            tmp_path / "in" / f"x.{suffix}", format={"jfif": "JPEG"}.get(suffix)
        )
    except (KeyError, ValueError):
        pytest.skip("this Pillow does not write it")
    assert ImageFolder(root=str(tmp_path / "in")).split("train").images.shape == (1, 3, 16, 16)


def resumed(data: ImageFolder, state: dict[str, Any]) -> None:
    data.trainer = SimpleNamespace(training=True)
    data.load_state_dict(state)


def test_a_resume_on_changed_images_of_any_split_is_refused(tmp_path: Path, write_image: WriteImage) -> None:
    root = tmp_path / "in"
    for name in ("train", "test"):
        write_image(root / name / "x.png")
    data = ImageFolder(root=str(root))
    for name in data.splits:
        data.split(name)
    state = data.state_dict()
    resumed(ImageFolder(root=str(root)), state)
    resumed(ImageFolder(root=str(root)), {key: value for key, value in state.items() if key != "others"})  # as before
    write_image(root / "test" / "y.png", seed=1)
    with pytest.raises(DataError, match=r"other images of the test split than this run was measured against"):
        resumed(ImageFolder(root=str(root)), state)
    write_image(root / "train" / "y.png", seed=1)
    with pytest.raises(DataError, match=r"2 now, 1 then"):
        resumed(ImageFolder(root=str(root)), state)


def test_on_the_fly_a_copy_is_the_same_data_and_twins_are_not(tmp_path: Path, write_image: WriteImage) -> None:
    def prints(name: str) -> str:
        return ImageFolder(root=str(tmp_path / name), on_the_fly=True).split("train").fingerprint

    for k in range(300):  # more than are looked into for the key of a cache
        os.utime(write_image(tmp_path / "a" / f"{k:03}.bmp", 2, 2, value=(k % 256, 0, 0)), ns=(10**18, 10**18))
    shutil.copytree(tmp_path / "a", tmp_path / "b", copy_function=shutil.copyfile)
    shutil.copytree(tmp_path / "a", tmp_path / "c")
    for k in range(300):
        os.utime(
            write_image(tmp_path / "c" / f"{k:03}.bmp", 2, 2, value=((k + (k == 9)) % 256, 0, 0)), ns=(10**18,) * 2
        )
    assert prints("a") == prints("b") != prints("c")


def test_names_of_classes_are_kept_and_taken_for_labels(tmp_path: Path, write_image: WriteImage) -> None:
    for name in ("cat", "10", "2"):
        write_image(tmp_path / "in" / name / "x.png")
    data = ImageFolder(root=str(tmp_path / "in"))
    found = found_by(data)["found"]
    assert found == {"summary": "3 images; 3 classes (2, 10, cat)", "class_names": ["2", "10", "cat"]}
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    torch.save({"state_dict": {}, "ImageFolder": data.state_dict()}, run / "checkpoints" / "last.ckpt")
    assert labels_of("cat, 10,2,0", str(run)) == [2, 1, 2, 0]
    assert labels_of("2,1", str(run)) == [2, 1]  # numbers alone are numbers
    with pytest.raises(UsageError, match="no class dog; its classes are 2, 10, cat"):
        labels_of("cat,dog", str(run))


def test_a_card_may_name_the_classes() -> None:
    shipped = next((Path(zoo.__file__).parent / "releases" / "shipped").glob("*/card.json"))
    card = json.loads(shipped.read_text())
    card["data"]["class_names"] = ["a", "b"]
    check_card(card, shipped)
    card["data"]["class_names"] = "a"
    with pytest.raises(ReleaseError, match=r"data\.class_names must be a list"):
        check_card(card, shipped)
