"""The cache: whole or absent, never half."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import zoo.data.arrays as arrays
from zoo.data.arrays import Decoded, ImageArray, cache_dir, cached, from_memory

PIXELS = np.random.default_rng(0).integers(0, 256, (7, 3, 4, 5), dtype=np.uint8)
LABELS = np.arange(7, dtype=np.int64) % 3


class Builder:
    """Decodes PIXELS in two blocks and counts how often."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.calls = 0
        self.stop_after = stop_after

    def __call__(self) -> Decoded:
        self.calls += 1
        return Decoded(self.blocks(), 7, (3, 4, 5), LABELS, ("a", "b", "c"))

    def blocks(self) -> Iterator[np.ndarray]:
        yield PIXELS[:4]
        if self.stop_after == 4:
            raise KeyboardInterrupt
        yield PIXELS[4:]


def get(build: Builder, source: str = "files", **recipe: object) -> ImageArray:
    return cached("test", build, source=source, recipe=recipe)


def entries(cache: Path) -> list[str]:
    return sorted(path.suffix for path in cache.rglob("*") if path.is_file())


def test_second_reading_does_not_decode(cache: Path) -> None:
    build = Builder()
    first, second = get(build), get(build)
    assert build.calls == 1
    for array in (first, second):
        assert array.images.dtype == torch.uint8
        assert array.labels is not None
        assert np.array_equal(array.images.numpy(), PIXELS)
        assert array.labels.tolist() == LABELS.tolist()
        assert array.class_names == ("a", "b", "c")
    assert first.fingerprint == second.fingerprint
    assert entries(cache) == [".json", ".npy", ".npy"]


def test_memory_mapped_above_the_limit(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    monkeypatch.setattr(arrays, "MEMORY_MAP_ABOVE", PIXELS.size - 1)
    build = Builder()
    array = get(build)
    before = {path: path.read_bytes() for path in cache.rglob("*.npy")}
    array.images.zero_()  # copy on write: the file must not change under other processes
    assert {path: path.read_bytes() for path in cache.rglob("*.npy")} == before
    assert np.array_equal(get(build).images.numpy(), PIXELS)
    assert build.calls == 1


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("damage", ["truncate", "append", "empty", "labels", "json", "missing"])
def test_damaged_entry_is_built_again(damage: str, mapped: bool, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "MEMORY_MAP_ABOVE", 0 if mapped else 1 << 30)
    build = Builder()
    get(build)
    images, labels = next(cache.rglob("*.images.npy")), next(cache.rglob("*.labels.npy"))
    data = images.read_bytes()
    if damage == "truncate":
        images.write_bytes(data[:-1])
    elif damage == "append":
        images.write_bytes(data + bytes(2000))
    elif damage == "empty":
        images.write_bytes(b"")
    elif damage == "labels":
        np.save(labels, LABELS[:-1])
    elif damage == "json":
        next(cache.rglob("*.json")).write_text('{"key": ')
    else:
        images.unlink()
    assert np.array_equal(get(build).images.numpy(), PIXELS)
    assert build.calls == 2
    get(build)
    assert build.calls == 2


def test_entry_under_a_foreign_key_is_not_trusted(cache: Path) -> None:
    build = Builder()
    get(build)
    meta_file = next(cache.rglob("*.json"))
    meta_file.write_text(json.dumps({**json.loads(meta_file.read_text()), "key": "0" * 64}))
    get(build)
    assert build.calls == 2


def test_interrupted_build_leaves_nothing(cache: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        get(Builder(stop_after=4))
    assert entries(cache) == []
    assert np.array_equal(get(Builder()).images.numpy(), PIXELS)


def test_crash_between_write_and_rename(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(self: Path, target: Path) -> Path:
        raise OSError("power failure")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", crash)
        # As after kill -9, the temporary file stays.
        patch.setattr(Path, "unlink", lambda self, missing_ok=False: None)
        with pytest.raises(OSError, match="power failure"):
            get(Builder())
    assert [suffix[:4] for suffix in entries(cache)] == [".tmp"]
    build = Builder()
    assert np.array_equal(get(build).images.numpy(), PIXELS)
    assert build.calls == 1


def test_crash_before_the_last_file(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = Path.replace

    def crash(self: Path, target: Path) -> Path:
        if str(target).endswith(".json"):
            raise OSError("power failure")
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", crash)
        with pytest.raises(OSError, match="power failure"):
            get(Builder())
    build = Builder()
    get(build)
    assert build.calls == 1  # the images alone are not an entry


def test_too_few_images_are_refused(cache: Path) -> None:
    with pytest.raises(ValueError, match="decoded 4 images, expected 7"):
        cached("test", lambda: Decoded([PIXELS[:4]], 7, (3, 4, 5), None, None), source="", recipe={})
    with pytest.raises(ValueError, match="expected uint8"):
        cached("test", lambda: Decoded([PIXELS / 255], 7, (3, 4, 5), None, None), source="", recipe={})
    assert entries(cache) == []


def test_key_and_fingerprint_follow_what_they_depend_on(monkeypatch: pytest.MonkeyPatch) -> None:
    build = Builder()
    base = get(build, resolution=4)
    assert get(build, "touched files", resolution=4).fingerprint == base.fingerprint  # same pixels, same data
    assert build.calls == 2
    assert get(build, resolution=5).fingerprint != base.fingerprint
    assert build.calls == 3
    monkeypatch.setattr(arrays, "CODE_VERSION", arrays.CODE_VERSION + 1)
    get(build, resolution=4)
    assert build.calls == 4


def test_fingerprint_sees_pixels_order_and_labels() -> None:
    def fingerprint(images: np.ndarray, labels: np.ndarray | None = LABELS) -> str:
        return from_memory(images, labels, class_names=None, recipe={}).fingerprint

    changed = PIXELS.copy()
    changed[6, 2, 3, 4] ^= 1
    others = [changed, PIXELS[::-1].copy(), PIXELS.reshape(7, 3, 5, 4)]
    prints = [
        fingerprint(PIXELS),
        *map(fingerprint, others),
        fingerprint(PIXELS, None),
        fingerprint(PIXELS, LABELS[::-1]),
    ]
    assert len(set(prints)) == len(prints)
    assert fingerprint(PIXELS.copy()) == prints[0]
    build = Builder()
    assert get(build).fingerprint == prints[0]  # cached or not is no difference


def test_slice() -> None:
    whole = from_memory(PIXELS, LABELS, class_names=("a", "b", "c"), recipe={})
    part = whole.slice(2, 5)
    assert len(part) == 3
    assert np.array_equal(part.images.numpy(), PIXELS[2:5])
    assert part.labels is not None
    assert part.labels.tolist() == LABELS[2:5].tolist()
    assert len({whole.fingerprint, part.fingerprint, whole.slice(2, 6).fingerprint}) == 3
    assert whole.slice(0, 7) is whole
    with pytest.raises(ValueError, match="7 images"):
        whole.slice(5, 8)


def test_cache_dir(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path))
    assert cache_dir() == tmp_path
    monkeypatch.delenv("ZOO_CACHE")
    assert cache_dir() == Path.home() / ".cache" / "lightning-gan-zoo"


def test_unwritable_cache_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "file"))
    with pytest.raises(OSError, match="ZOO_CACHE"):
        get(Builder())


def test_racing_processes_agree(cache: Path) -> None:
    pids = []
    for _ in range(4):
        pid = os.fork()
        if pid == 0:
            try:
                ok = all(np.array_equal(get(Builder()).images.numpy(), PIXELS) for _ in range(5))
            except BaseException:
                ok = False
            os._exit(0 if ok else 1)
        pids.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0, 0, 0, 0]
    assert entries(cache) == [".json", ".npy", ".npy"]
