"""Checkpoint files: whole or not there, never executed, and refused by name where they do not fit."""

from __future__ import annotations

import errno
import os
import pickle
import random
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule
from torch import nn

from zoo.errors import CheckpointError
from zoo.runs.checkpoints import (
    AtomicCheckpointIO,
    check_compatible,
    collect_rng_state,
    read_checkpoint,
    restore_rng_state,
)


class Player(LightningModule):
    def __init__(self, *, width: int = 8, lr: float = 0.1, depth: int = 1) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.G = nn.Linear(4, width)
        self.D = nn.Sequential(*[nn.Linear(width, width) for _ in range(depth)])


class Rival(Player):
    pass


class Stranger(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.G = nn.Linear(4, 8)


def checkpoint_of(module: LightningModule, **zoo: Any) -> dict[str, Any]:
    return {
        "state_dict": module.state_dict(),
        "hyper_parameters": dict(module.hparams),
        "zoo": {"paper": "player", "class": type(module).__name__, "format": 1, **zoo},
    }


def big(seed: int = 0) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(seed)
    return {"state_dict": {f"w{i}": torch.randn(100, 100, generator=generator) for i in range(5)}, "epoch": seed}


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    tensors = a["state_dict"]
    return tensors.keys() == b["state_dict"].keys() and all(
        torch.equal(tensors[name], b["state_dict"][name]) for name in tensors
    )


# --- writing ---


def test_a_checkpoint_comes_back_and_nothing_else_stays(tmp_path: Path) -> None:
    path = tmp_path / "run" / "last.ckpt"
    io = AtomicCheckpointIO()
    io.save_checkpoint(big(0), path)
    (path.parent / "last.ckpt.tmp-999999").write_text("left by a killed process")
    io.save_checkpoint(big(1), path)
    read = io.load_checkpoint(path, map_location="cuda", weights_only=False)  # both are overruled
    assert same(read, big(1))
    assert not same(read, big(0))
    assert read["epoch"] == 1
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]


class FullAfter:
    """A file that takes `room` bytes and then fails as a full disk does, mid-write."""

    def __init__(self, file: Any, room: int) -> None:
        self.file, self.room = file, room

    def __enter__(self) -> FullAfter:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def write(self, data: Any) -> int:
        data = bytes(data)
        taken = self.file.write(data[: self.room])
        self.room -= taken
        if taken < len(data):
            raise OSError(errno.ENOSPC, "No space left on device")
        return int(taken)

    def flush(self) -> None:
        self.file.flush()

    def fileno(self) -> int:
        return int(self.file.fileno())


SIZES = [0, 10, 5_000, 100_000, 200_500]


@pytest.mark.parametrize("room", SIZES)
def test_a_full_disk_leaves_the_previous_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    path = tmp_path / "last.ckpt"
    io = AtomicCheckpointIO()
    io.save_checkpoint(big(0), path)
    before = path.read_bytes()
    assert len(before) > SIZES[-1]  # every room is too small
    whole_open = Path.open
    monkeypatch.setattr(Path, "open", lambda self, *a: FullAfter(whole_open(self, *a), room))
    with pytest.raises(CheckpointError) as caught:
        io.save_checkpoint(big(1), path)
    monkeypatch.undo()
    text = str(caught.value)
    assert f"could not write the checkpoint {path}" in text
    assert "No space left on device" in text
    assert "MiB are free" in text
    assert f"the previous checkpoint {path} is untouched" in text
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]
    assert same(read_checkpoint(path), big(0))


def test_a_limit_of_the_operating_system_fails_the_same_way(tmp_path: Path) -> None:
    kept = tmp_path / "images-000000064.ckpt"
    io = AtomicCheckpointIO()
    io.save_checkpoint(big(0), kept)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(CheckpointError, match=r"File too large.*previous checkpoint .*images-000000064\.ckpt is"):
            io.save_checkpoint(big(1), tmp_path / "last.ckpt")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [file.name for file in tmp_path.iterdir()] == [kept.name]


@pytest.mark.parametrize("failing", ["os.fsync", "pathlib.Path.replace"])
def test_the_last_steps_may_fail_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(failing, full)
    with pytest.raises(CheckpointError, match=r"No space left .*there is no earlier checkpoint"):
        AtomicCheckpointIO().save_checkpoint(big(), tmp_path / "last.ckpt")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_saved_and_an_interrupt_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CheckpointError, match=r"last\.ckpt"):
        AtomicCheckpointIO().save_checkpoint({"state_dict": {}, "f": lambda: 0}, tmp_path / "last.ckpt")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        AtomicCheckpointIO().save_checkpoint(big(), tmp_path / "last.ckpt")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match=r"file/checkpoints/last\.ckpt.*(Not a directory|File exists)"):
        AtomicCheckpointIO().save_checkpoint(big(), tmp_path / "file" / "checkpoints" / "last.ckpt")


# --- reading ---


class Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.mark),))


def test_code_in_a_checkpoint_is_not_executed(tmp_path: Path) -> None:
    mark, path = tmp_path / "executed", tmp_path / "evil.ckpt"
    torch.save({"state_dict": {}, "x": Evil(mark)}, path)
    with pytest.raises(CheckpointError, match=r"evil\.ckpt.*posix\.mkdir.*NOT executed.*not be trusted"):
        read_checkpoint(path)
    path.write_bytes(pickle.dumps({"state_dict": {}, "x": Evil(mark)}))
    with pytest.raises(CheckpointError, match=r"evil\.ckpt is a bare pickle.*NOT executed.*not be trusted"):
        read_checkpoint(path)
    assert not mark.exists()
    pickle.loads(path.read_bytes())
    assert mark.exists()  # it would have run


def test_a_missing_file_lists_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("")
    (tmp_path / "last.ckpt").write_text("")
    with pytest.raises(CheckpointError, match=r"best\.ckpt: the folder .* holds last\.ckpt, config\.yaml$"):
        read_checkpoint(tmp_path / "best.ckpt")
    with pytest.raises(CheckpointError, match=r"the folder .*nowhere does not exist"):
        read_checkpoint(tmp_path / "nowhere" / "best.ckpt")
    with pytest.raises(CheckpointError, match=r"it is a folder, which holds last\.ckpt"):
        read_checkpoint(tmp_path)


def test_a_damaged_file_is_never_loaded(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    torch.save(big(), path)
    whole = path.read_bytes()
    for length in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=rf"last\.ckpt \({length:,} bytes\) is truncated or damaged"):
            read_checkpoint(path)
    for at in (300, len(whole) // 2):  # the pickle; the weights, where torch.load itself sees nothing wrong
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(CheckpointError, match="truncated or damaged"):
            read_checkpoint(path)
    path.write_text("hello")
    with pytest.raises(CheckpointError, match="truncated or damaged"):
        read_checkpoint(path)
    path.write_bytes(whole)
    assert same(read_checkpoint(path), big())


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"weight": torch.zeros(2)}, r"no 'state_dict' \(its keys: weight\)\. It looks like a bare state_dict"),
        ({"epoch": 1}, r"no 'state_dict' \(its keys: epoch\)$"),
        ({}, r"its keys: nothing\)$"),
        ([1, 2], "it holds a list"),
        ({"state_dict": 3}, "no Lightning checkpoint"),
    ],
)
def test_another_kind_of_file_is_named(tmp_path: Path, content: Any, says: str) -> None:
    torch.save(content, tmp_path / "x.ckpt")
    with pytest.raises(CheckpointError, match=says):
        read_checkpoint(tmp_path / "x.ckpt")


# --- fitting ---


def test_the_same_model_fits_and_so_does_one_derived_from_it() -> None:
    check_compatible(checkpoint_of(Player()), Player(), "x.ckpt")
    check_compatible(checkpoint_of(Player(lr=0.2)), Player(), "x.ckpt")  # another learning rate fits the tensors
    check_compatible(checkpoint_of(Player()), Rival(), "x.ckpt")


def test_another_model_is_named_even_where_the_tensors_fit() -> None:
    with pytest.raises(CheckpointError, match=r"x\.ckpt was written by Rival \(paper 'player'\), this is Player"):
        check_compatible(checkpoint_of(Rival()), Player(), "x.ckpt")
    with pytest.raises(CheckpointError, match="was written by Stranger"):
        check_compatible(checkpoint_of(Stranger()), Player(), "x.ckpt")
    foreign = checkpoint_of(Player())
    del foreign["zoo"]
    with pytest.raises(CheckpointError, match="not written by this project"):
        check_compatible(foreign, Player(), "x.ckpt")
    with pytest.raises(CheckpointError, match="format 2, this version reads up to 1"):
        check_compatible(checkpoint_of(Player(), format=2), Player(), "x.ckpt")


def test_another_width_lists_tensors_and_hyperparameters() -> None:
    with pytest.raises(CheckpointError) as caught:
        check_compatible(checkpoint_of(Player(width=16, lr=0.2)), Player(), "x.ckpt")
    text = str(caught.value)
    assert "4 tensors differ" in text
    assert "G.weight: [16, 4] there, [8, 4] here" in text
    assert "hyperparameters that differ: lr: 0.2 there, 0.1 here; width: 16 there, 8 here" in text
    assert "depth" not in text


def test_missing_and_additional_tensors_are_listed() -> None:
    with pytest.raises(CheckpointError, match=r"D\.1\.weight: \[8, 8\] there, absent here"):
        check_compatible(checkpoint_of(Player(depth=2)), Player(), "x.ckpt")
    with pytest.raises(CheckpointError, match=r"D\.1\.weight: absent there, \[8, 8\] here"):
        check_compatible(checkpoint_of(Player()), Player(depth=2), "x.ckpt")
    with pytest.raises(CheckpointError, match=r"6 tensors differ(.|\n)*and 2 more"):
        check_compatible(checkpoint_of(Player(depth=4)), Player(), "x.ckpt")


# --- random streams ---


def draws() -> tuple[Any, ...]:
    """One draw of each kind, Gaussian ones twice: Python and NumPy keep the second of a pair for later."""
    return (
        random.random(),
        random.gauss(0, 1),
        np.random.rand(),  # noqa: NPY002
        np.random.standard_normal(),  # noqa: NPY002
        torch.rand(3).tolist(),
        torch.randn(3).tolist(),
    )


def test_random_streams_go_on_where_they_were(tmp_path: Path) -> None:
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    torch.manual_seed(1)
    draws()
    AtomicCheckpointIO().save_checkpoint({"state_dict": {}, "rng": collect_rng_state()}, tmp_path / "last.ckpt")
    expected = [draws() for _ in range(3)]
    other = draws()
    restore_rng_state(read_checkpoint(tmp_path / "last.ckpt")["rng"])  # loads with weights_only=True
    assert [draws() for _ in range(3)] == expected
    assert all(a != b for a, b in zip(other, expected[0], strict=True))


def test_collecting_disturbs_nothing() -> None:
    torch.manual_seed(2)
    random.seed(2)
    np.random.seed(2)  # noqa: NPY002
    expected = draws()
    torch.manual_seed(2)
    random.seed(2)
    np.random.seed(2)  # noqa: NPY002
    collect_rng_state()
    assert draws() == expected


def test_an_incomplete_state_changes_nothing() -> None:
    state = collect_rng_state()
    del state["torch"]
    before = torch.get_rng_state()
    with pytest.raises(CheckpointError, match=r"lacks \['torch'\]"):
        restore_rng_state(state)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_cuda_streams_go_on_too() -> None:
    torch.rand(1, device="cuda")
    state = collect_rng_state()
    assert len(state["cuda"]) == torch.cuda.device_count()
    expected = torch.rand(4, device="cuda")
    assert not torch.equal(torch.rand(4, device="cuda"), expected)
    restore_rng_state(state)
    assert torch.equal(torch.rand(4, device="cuda"), expected)
