"""ImageFolder and the decoding of image files, against PIL called by hand."""

import os
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import zoo.data.files as files_module
from zoo.data import ImageFolder
from zoo.data.files import Preparation, load_files, resize
from zoo.data.listing import list_images, list_zip
from zoo.errors import DataNotFoundError

WriteImage = Callable[..., Path]


def make(root: Path, **settings: object) -> ImageFolder:
    return ImageFolder(root=str(root), **settings)


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).transpose(2, 0, 1)


def test_plain_folder_is_read_whole_in_the_order_of_names(tmp_path: Path, write_image: WriteImage) -> None:
    for k, name in enumerate(["b.png", "a.PNG", "c/d.bmp"]):
        write_image(tmp_path / "in" / name, 6, 6, seed=k)
    write_image(tmp_path / "in" / ".hidden.png")
    (tmp_path / "in" / "notes.txt").write_text("no image")
    data = make(tmp_path / "in")
    array = data.split("train")
    expected = [pixels(Image.open(tmp_path / "in" / name)) for name in ("a.PNG", "b.png", "c/d.bmp")]
    assert np.array_equal(array.images.numpy(), np.stack(expected))
    assert array.labels is None
    assert data.num_classes is None
    assert data.image_shape == (3, 6, 6)


def test_class_folders_give_labels(tmp_path: Path, write_image: WriteImage) -> None:
    for k, kind in enumerate(("cat", "ant", "bee")):
        for i in range(4):
            write_image(tmp_path / "in" / kind / f"{i}.png", value=(k, i, 0))
    data = make(tmp_path / "in", resolution=8)
    array = data.split("train")
    assert array.class_names == ("ant", "bee", "cat")
    assert data.num_classes == 3
    assert array.labels is not None
    colour_to_label = {0: 2, 1: 0, 2: 1}
    assert array.labels.tolist() == [colour_to_label[int(x[0, 0, 0])] for x in array.images]
    assert len({(int(x[0, 0, 0]), int(x[1, 0, 0])) for x in array.images}) == 12
    assert array.labels.tolist() != sorted(array.labels.tolist())  # shuffled, the same way each time
    assert torch.equal(make(tmp_path / "in").split("train").images, array.images)
    plain = make(tmp_path / "in", labelled=False)
    assert plain.split("train").labels is None
    assert plain.num_classes is None


def test_images_held_out_by_name_are_said_to_be(tmp_path: Path, write_image: WriteImage) -> None:
    """Of folders that are no classes the first are trained on, and the others held out."""
    for k, kind in enumerate(("ant", "bee")):
        for i in range(4):
            write_image(tmp_path / "in" / kind / f"{i}.png", value=(k, i, 0))
    with pytest.warns(UserWarning, match="train_images=4 trains on the first images by name and holds out the last"):
        train = make(tmp_path / "in", labelled=False, train_images=4).split("train")
    assert not train.images[:, 0].any()  # ants alone
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert make(tmp_path / "in", train_images=4).split("train").images[:, 0].any()
        make(tmp_path / "in", labelled=False).split("train")
        make(tmp_path / "in", labelled=False, train_images=8).split("train")


def test_split_folders(tmp_path: Path, write_image: WriteImage) -> None:
    for k, name in enumerate(("train", "val", "test")):
        write_image(tmp_path / "in" / name / "x.png", value=(k, 0, 0))
    data = make(tmp_path / "in")
    assert data.splits == ("train", "validation", "test")
    assert make(tmp_path / "in" / "train").splits == ("train",)
    assert [int(data.split(name).images[0, 0, 0, 0]) for name in ("train", "validation", "test")] == [0, 1, 2]
    with pytest.raises(ValueError, match="no test split"):
        make(tmp_path / "in" / "train").split("test")


def test_central_square_is_resized(tmp_path: Path, write_image: WriteImage) -> None:
    source = write_image(tmp_path / "in" / "wide.png", 40, 20)
    image = Image.open(source)
    array = make(tmp_path / "in", resolution=10).split("train")
    expected = image.crop((10, 0, 30, 20)).resize((10, 10), Image.Resampling.LANCZOS)
    assert np.array_equal(array.images[0].numpy(), pixels(expected))
    other = make(tmp_path / "in", resolution=10, interpolation="bilinear").split("train")
    expected = image.crop((10, 0, 30, 20)).resize((10, 10), Image.Resampling.BILINEAR)
    assert np.array_equal(other.images[0].numpy(), pixels(expected))
    assert other.fingerprint != array.fingerprint
    assert np.array_equal(make(tmp_path / "in").split("train").images[0].numpy(), pixels(image.crop((10, 0, 30, 20))))
    assert make(tmp_path / "in", crop="none").split("train").images.shape == (1, 3, 20, 40)
    with pytest.raises(ValueError, match=r"wide\.png.*not square \(40 x 20\)"):
        make(tmp_path / "in", crop="none", resolution=10).split("train")


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1", "LA", "CMYK"])
def test_any_mode_becomes_rgb_or_grey(mode: str, tmp_path: Path, write_image: WriteImage) -> None:
    suffix = "tif" if mode == "CMYK" else "png"
    source = write_image(tmp_path / "in" / f"x.{suffix}", mode=mode)
    array = make(tmp_path / "in").split("train")
    assert np.array_equal(array.images[0].numpy(), pixels(Image.open(source).convert("RGB")))
    grey = make(tmp_path / "in", channels=1)
    assert grey.split("train").images.shape == (1, 1, 8, 8)
    assert grey.image_shape == (1, 8, 8)
    assert np.array_equal(grey.split("train").images[0, 0].numpy(), np.asarray(Image.open(source).convert("L")))


def test_sixteen_bit_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(np.full((8, 8), 1000, dtype=np.uint16)).save(tmp_path / "in" / "deep.png")
    with pytest.raises(ValueError, match=r"deep\.png.*8 bits"):
        make(tmp_path / "in").split("train")


@pytest.mark.parametrize("kind", [2, 4, 6])  # PNG's colours, grey and colours with transparency
@pytest.mark.parametrize("lazy", [False, True])
def test_sixteen_bit_colours_are_refused_too(kind: int, lazy: bool, tmp_path: Path) -> None:
    """Pillow reads their upper bytes alone, which makes an image half a level darker."""

    def part(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    row = b"\0" + np.full(12 * {2: 3, 4: 2, 6: 4}[kind], 0x01FF, dtype=">u2").tobytes()
    head = part(b"IHDR", struct.pack(">IIBBBBB", 12, 8, 16, kind, 0, 0, 0))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "deep.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + head + part(b"IDAT", zlib.compress(8 * row)) + part(b"IEND", b"")
    )
    with pytest.raises(ValueError, match=r"deep\.png.*16 bits a channel"):
        make(tmp_path / "in", on_the_fly=lazy).split("train")


def test_photographs_stand_upright(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    image = Image.new("RGB", (8, 8))
    image.paste((255, 255, 255), (0, 0, 8, 4))  # white above
    exif = Image.Exif()
    exif[0x0112] = 3  # stored upside down
    image.rotate(180).save(tmp_path / "in" / "x.png", exif=exif)
    x = make(tmp_path / "in").split("train").images[0]
    assert (x[:, :4] == 255).all()
    assert (x[:, 4:] == 0).all()


def test_sizes_that_differ_need_a_resolution(tmp_path: Path, write_image: WriteImage) -> None:
    write_image(tmp_path / "in" / "big.png", 30, 20)
    write_image(tmp_path / "in" / "small.png", 12, 16)
    with pytest.raises(ValueError, match=r"differ in size.*small\.png, 12 x 16.*resolution"):
        make(tmp_path / "in").split("train")
    assert make(tmp_path / "in", resolution=12).split("train").images.shape == (2, 3, 12, 12)


def test_small_images_need_permission(tmp_path: Path, write_image: WriteImage, cache: Path) -> None:
    write_image(tmp_path / "in" / "big.png", 30, 20)
    write_image(tmp_path / "in" / "small.png", 12, 16)
    with pytest.raises(ValueError, match=r"1 of 2 .*resolution=16.*small\.png \(12 x 16\).*allow_upscale=True"):
        make(tmp_path / "in", resolution=16).split("train")
    assert not cache.exists()
    allowed = make(tmp_path / "in", resolution=16, allow_upscale=True).split("train")
    expected = Image.open(tmp_path / "in" / "small.png").crop((0, 2, 12, 14)).resize((16, 16), Image.Resampling.LANCZOS)
    assert np.array_equal(allowed.images[1].numpy(), pixels(expected))
    with pytest.raises(ValueError, match="allow_upscale"):  # not excused by the cache of the run before
        make(tmp_path / "in", resolution=16).split("train")


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_truncated_image_is_named(suffix: str, tmp_path: Path, write_image: WriteImage, cache: Path) -> None:
    write_image(tmp_path / "in" / f"a.{suffix}", 64, 64)
    damaged = write_image(tmp_path / "in" / f"b.{suffix}", 64, 64)
    damaged.write_bytes(damaged.read_bytes()[: damaged.stat().st_size // 2])
    with pytest.raises(ValueError, match=rf"b\.{suffix} cannot be used"):
        make(tmp_path / "in").split("train")
    assert not list(cache.rglob("*.*"))


def test_file_that_is_no_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "page.png").write_text("<html>")
    with pytest.raises(ValueError, match=r"page\.png cannot be used"):
        make(tmp_path / "in").split("train")


def test_empty_and_absent_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(DataNotFoundError, match=r"no image there.*\.jpg"):
        make(tmp_path / "in").split("train")
    with pytest.raises(DataNotFoundError, match="no such folder"):
        make(tmp_path / "elsewhere").split("train")


def test_changed_file_is_seen(tmp_path: Path, write_image: WriteImage) -> None:
    write_image(tmp_path / "in" / "a.bmp", value=(1, 0, 0))
    before = make(tmp_path / "in").split("train")
    changed = write_image(tmp_path / "in" / "a.bmp", value=(2, 0, 0))  # the same length
    os.utime(changed, ns=(0, 12345))
    after = make(tmp_path / "in").split("train")
    assert [int(array.images[0, 0, 0, 0]) for array in (before, after)] == [1, 2]
    assert before.fingerprint != after.fingerprint
    os.utime(changed, ns=(0, 99999))  # touched: decoded again, but the same data
    assert make(tmp_path / "in").split("train").fingerprint == after.fingerprint
    write_image(tmp_path / "in" / "b.bmp", value=(3, 0, 0))
    assert len(make(tmp_path / "in").split("train")) == 2


def test_parallel_decoding_keeps_the_order(
    tmp_path: Path,
    write_image: WriteImage,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for k in range(40):
        write_image(tmp_path / "in" / f"{k:03}.png", value=(k, 0, 0))
    monkeypatch.setattr(files_module, "LARGE", 10)
    monkeypatch.setattr(files_module, "BLOCK_BYTES", 3 * 3 * 8 * 8)  # blocks of three images
    array = make(tmp_path / "in").split("train")
    assert array.images[:, 0, 0, 0].tolist() == list(range(40))
    assert "\r" not in capsys.readouterr().err  # no bar where there is no terminal
    (tmp_path / "in" / "020.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"020\.png cannot be used"):
        make(tmp_path / "in").split("train")


def test_zip_archive_equals_folder(tmp_path: Path, write_image: WriteImage, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "in.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for k in range(30):
            name = write_image(tmp_path / "in" / f"{k:03}.png", seed=k).name
            file.write(tmp_path / "in" / name, f"in/{name}")
        file.writestr("__MACOSX/in/._000.png", b"no image")
    prepare = Preparation(3, square=None, resolution=None)
    folder = load_files("test", list_images(tmp_path / "in"), prepare, recipe={})
    packed = load_files("test", list_zip(archive), prepare, recipe={})
    assert torch.equal(folder.images, packed.images)
    monkeypatch.setattr(files_module, "LARGE", 10)
    monkeypatch.setattr(files_module, "BLOCK_BYTES", 3 * 8 * 8)
    parallel = load_files("test", list_zip(archive), prepare, recipe={"again": True})
    assert torch.equal(folder.images, parallel.images)
    archive.write_bytes(archive.read_bytes()[:-50])
    with pytest.raises(ValueError, match=r"in\.zip is not a whole zip archive"):
        list_zip(archive)


def test_resize_of_arrays_is_pil_s() -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 32, 32), dtype=np.uint8)
    resized = np.concatenate(list(resize(images, Preparation(3, square=None, resolution=20))))
    for image, small in zip(images, resized, strict=True):
        expected = Image.fromarray(image.transpose(1, 2, 0)).resize((20, 20), Image.Resampling.LANCZOS)
        assert np.array_equal(small, pixels(expected))


def test_bad_settings(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="crop='left'"):
        make(tmp_path, crop="left")
    with pytest.raises(ValueError, match="channels=2"):
        make(tmp_path, channels=2)
