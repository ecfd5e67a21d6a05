"""The folder of a run: its names, and how a file of it is written in one step."""

import json
import os
from pathlib import Path

import pytest

from zoo.data.arrays import _replacing
from zoo.errors import RecordError, ReleaseError
from zoo.releases.find import fetch
from zoo.runs.folder import RunDir, name_at, replacing, sweep, write_atomically
from zoo.runs.lock import RunLock


def test_a_run_has_these_names(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "runs" / "gan")
    made = {path.relative_to(run.path).as_posix() for path in run.path.rglob("*")}
    assert made == {"grids", "checkpoints"}
    names = [run.config, run.metrics, run.result, run.wandb_id, run.last_checkpoint, run.best_checkpoint]
    assert [path.relative_to(run.path).as_posix() for path in names] == [
        "config.yaml",
        "metrics.jsonl",
        "result.json",
        "wandb_id",
        "checkpoints/last.ckpt",
        "checkpoints/best.ckpt",
    ]
    assert run.grid_at(25_000_000).name == "images-025000000.png"
    assert run.grid_at(9_984) < run.grid_at(10_048)  # names sort as numbers


@pytest.mark.parametrize("trace", ["config.yaml", "metrics.jsonl", "checkpoints/last.ckpt"])
def test_a_folder_that_holds_a_run_is_not_taken_again(tmp_path: Path, trace: str) -> None:
    assert not RunDir(tmp_path / "absent").holds_run
    run = RunDir.create(tmp_path / "run")
    assert not run.holds_run  # empty folders are no run
    RunDir.create(run.path)
    (run.path / trace).write_text("x")
    assert run.holds_run
    way = "resume with --ckpt_path last" if trace.endswith(".ckpt") else "it has no last.ckpt .* remove the folder"
    with pytest.raises(RecordError, match=rf"run holds a run already \({trace}\): {way}, or choose another"):
        RunDir.create(run.path)
    assert (run.path / trace).read_text() == "x"
    assert RunDir.create(run.path, resume=True) == run


def test_a_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match=r"cannot make the run's folder .*file"):
        RunDir.create(tmp_path / "file")


def test_atomic_writing_keeps_the_old_file_on_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    write_atomically(path, "old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RecordError, match=r"could not write .*a\.txt: .*No space left"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    monkeypatch.undo()
    write_atomically(path, "new é")
    assert path.read_bytes() == "new é".encode()
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]
    with pytest.raises(RecordError, match="nowhere"):
        write_atomically(tmp_path / "nowhere" / "a.txt", "x")


@pytest.mark.parametrize("failing", ["body", "fsync", "rename", "interrupt"])
def test_what_cannot_be_replaced_is_untouched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    if failing in ("fsync", "rename"):
        monkeypatch.setattr(*((os, "fsync", full) if failing == "fsync" else (Path, "replace", full)))

    def write() -> None:
        with replacing(path) as temporary:
            temporary.write_bytes(b"half")
            assert (temporary.parent, path.read_bytes()) == (tmp_path, b"old")
            if failing == "body":
                full()
            if failing == "interrupt":
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt if failing == "interrupt" else OSError):
        write()
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("a.bin", b"old")]


@pytest.mark.parametrize("older_s", [0.0, 100.0])
def test_what_dead_processes_left_is_swept(tmp_path: Path, older_s: float) -> None:
    """Files and folders; of a folder without a lock only what is old, and whose process is known."""
    dead = 2**22 + 1  # above the largest number of a process
    old, new, odd = (tmp_path / name for name in (f"a.tmp-{dead}-ab", f"b/c.tmp-{dead}-cd", "d.tmp-x"))
    alive, mine = (tmp_path / name for name in (f"e.tmp-{os.getpid()}-ab", "f.npy"))
    for path in (old, new, odd, alive, mine):
        path.mkdir(parents=True)
        (path / "half").touch()
    os.utime(old, (0, 0))
    sweep(tmp_path, older_s=older_s)
    assert [path.exists() for path in (old, new, odd)] == [False, older_s > 0, older_s > 0]
    assert alive.exists()
    assert mine.exists()


@pytest.mark.parametrize("place", ["cache", "releases"])
def test_caches_and_releases_are_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path))
    folder = tmp_path / ("images" if place == "cache" else "releases")
    left = folder / f".x.tmp-{2**22 + 1}-ab"
    left.mkdir(parents=True)
    os.utime(left, (0, 0))
    if place == "cache":
        with _replacing(folder / "entry.json") as file:
            file.write(b"{}")
    else:
        with pytest.raises(ReleaseError, match="could not be fetched"):
            fetch("file:///nowhere", "dcgan.x", "0" * 64)
    assert not left.exists()
    assert [path.name for path in folder.iterdir()] == ["entry.json"] * (place == "cache")


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    sync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda file: (order.append("fsync"), sync(file))[1])
    monkeypatch.setattr(Path, "replace", lambda self, to: (order.append("rename"), replace(self, to))[1])
    write_atomically(tmp_path / "a.txt", "x")
    assert order == ["fsync", "rename"]
    with replacing(tmp_path / "b.png", sync=False) as temporary:
        temporary.write_bytes(b"x")
    assert order == ["fsync", "rename", "rename"]


def test_names_by_images_seen_there_and_back(tmp_path: Path) -> None:
    run, order = RunDir.create(tmp_path / "run"), (0, 999_936, 1_000_064)
    for images_seen in (1_000_064, 0, 999_936):
        run.grid_at(images_seen).touch()
        (run.checkpoints / f"{name_at(images_seen)}.ckpt").touch()
    run.last_checkpoint.touch()
    assert list(run.all_grids().items()) == [(n, run.grid_at(n)) for n in order]
    assert list(run.all_checkpoints().items()) == [(n, run.checkpoints / f"{name_at(n)}.ckpt") for n in order]


def test_a_lock_of_another_machine_says_what_to_do_if_that_is_down(tmp_path: Path) -> None:
    """On NFS the lock of a machine that crashed may last; a file that is removed gives a new one."""
    held, second = RunLock(tmp_path), RunLock(tmp_path)
    held.take()
    with pytest.raises(RecordError, match=r"--run_dir/--name$"):
        second.take()
    held.path.write_text(json.dumps({"process": 7, "host": "node7", "command": "zoo fit"}))
    with pytest.raises(RecordError, match=rf"process 7 on node7.*if that machine is down, remove {held.path}$"):
        second.take()
    held.path.unlink()
    second.take()
    second.free()
    held.free()
