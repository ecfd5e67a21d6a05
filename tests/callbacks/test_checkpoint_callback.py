"""Checkpoints by the counters: none skipped, each holding what its name says."""

from pathlib import Path
from typing import Any

import pytest
import torch
from toys import Recorder, ToyData, ToyGAN, fit

from zoo.training.callbacks import CounterCheckpoint, Evaluation


def images_in(path: Path) -> int:
    """images_seen of a checkpoint file."""
    return int(torch.load(path, weights_only=True)["state_dict"]["images_seen"])


def borders(batch_size: int, interval: int, budget: int) -> set[int]:
    """The counters at which a batch reached or crossed a multiple, counted image by image."""
    crossed, seen = set(), 0
    while seen < budget:
        multiples = [image for image in range(seen + 1, seen + batch_size + 1) if image % interval == 0]
        seen += batch_size
        if multiples:
            crossed.add(seen)
    return crossed


@pytest.mark.parametrize("n_critic", [1, 2, 5])
@pytest.mark.parametrize("batch_size", [4, 7])
@pytest.mark.parametrize("interval", [7, 10, 28])
def test_no_border_is_skipped(tmp_path: Path, n_critic: int, batch_size: int, interval: int) -> None:
    callback = CounterCheckpoint(tmp_path, keep_every=interval)
    fit(ToyGAN(n_critic=n_critic), callback, data=ToyData(n=30, batch_size=batch_size), images=100)
    kept = {int(path.stem.split("-")[1]): path for path in tmp_path.glob("images-*.ckpt")}
    assert set(kept) == borders(batch_size, interval, 100)
    assert all(images_in(path) == name for name, path in kept.items())
    assert images_in(tmp_path / "last.ckpt") == -(-100 // batch_size) * batch_size
    assert not list(tmp_path.glob("*.tmp*"))


def test_last_is_written_at_each_border_and_at_the_end(tmp_path: Path) -> None:
    last = tmp_path / "last.ckpt"
    callback = CounterCheckpoint(tmp_path, every=20)
    # A checkpoint callback runs after all others: the recorder sees what lay on disk before this batch's writing.
    recorder = Recorder(lambda module: (module.images_seen, images_in(last) if last.exists() else None))
    assert callback.last_path == ""
    fit(ToyGAN(), recorder, callback, images=64)
    assert recorder.seen == [(8, None), (16, None), (24, None), (32, 24), (40, 24), (48, 40), (56, 40), (64, 40)]
    assert images_in(last) == 64
    assert callback.last_path == str(last)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.ckpt"]


def test_last_is_written_where_the_trainer_stops_by_itself(tmp_path: Path) -> None:
    fit(ToyGAN(), CounterCheckpoint(tmp_path), max_epochs=2)
    assert images_in(tmp_path / "last.ckpt") == 80


def test_borders_go_on_after_a_resume(tmp_path: Path) -> None:
    fit(ToyGAN(), CounterCheckpoint(tmp_path, keep_every=20), images=24)  # 32, the next, crosses no border
    fit(ToyGAN(), CounterCheckpoint(tmp_path, keep_every=20), images=64, ckpt_path=tmp_path / "last.ckpt")
    assert {path.name for path in tmp_path.glob("images-*")} == {f"images-{n:09d}.ckpt" for n in (24, 40, 64)}


class Scripted:
    """A measure whose value at each counter is given."""

    def __init__(self, values: dict[int, float]) -> None:
        self.values = values

    def __call__(self, module: Any) -> dict[str, float]:
        return {"fd": self.values[module.images_seen]}


VALUES = {0: 9.0, 8: 5.0, 16: 7.0, 24: 2.0, 32: 2.0, 40: 6.0, 48: 3.0, 56: 8.0}


def train_with_measure(folder: Path, *, better: str, images: int, resume: bool = False) -> CounterCheckpoint:
    callback = CounterCheckpoint(folder, monitor="fd", better=better)
    ckpt_path = folder / "last.ckpt" if resume else None
    fit(ToyGAN(), Evaluation(Scripted(VALUES), every=8), callback, images=images, ckpt_path=ckpt_path)
    return callback


@pytest.mark.parametrize(
    ("better", "at"), [("lower", [0, 8, 8, 24, 24, 24, 24, 24]), ("higher", [0, 0, 0, 0, 0, 0, 0, 0])]
)
def test_best_follows_the_measure(tmp_path: Path, better: str, at: list[int]) -> None:
    for index, images in enumerate(range(8, 57, 8), start=1):
        folder = tmp_path / str(images)
        callback = train_with_measure(folder, better=better, images=images)
        assert images_in(folder / "best.ckpt") == at[index]
        assert callback.best_value == VALUES[at[index]]
        assert images_in(folder / "last.ckpt") == images


def test_a_measure_that_is_not_taken_is_named_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    callback = CounterCheckpoint(tmp_path, monitor="fd2k", better="lower")
    fit(ToyGAN(), Evaluation(Scripted(VALUES), every=8), callback, images=24)
    assert capsys.readouterr().err.count("fd2k (keep.monitor) is not measured here: choose from fd\n") == 1
    assert not (tmp_path / "best.ckpt").exists()


def test_best_survives_a_resume(tmp_path: Path) -> None:
    train_with_measure(tmp_path, better="lower", images=32)
    weights = torch.load(tmp_path / "best.ckpt", weights_only=True)["state_dict"]["G.0.weight"]
    callback = train_with_measure(tmp_path, better="lower", images=56, resume=True)  # 6, 3 and 8 are worse than 2
    assert callback.best_value == 2.0
    assert images_in(tmp_path / "best.ckpt") == 24
    assert images_in(tmp_path / "last.ckpt") == 56
    assert torch.equal(weights, torch.load(tmp_path / "best.ckpt", weights_only=True)["state_dict"]["G.0.weight"])


def test_a_resumed_run_can_find_a_better_one(tmp_path: Path) -> None:
    train_with_measure(tmp_path, better="lower", images=16)
    assert images_in(tmp_path / "best.ckpt") == 8
    train_with_measure(tmp_path, better="lower", images=40, resume=True)
    assert images_in(tmp_path / "best.ckpt") == 24


def test_a_value_that_is_not_finite_is_never_best(tmp_path: Path) -> None:
    module, callback = ToyGAN(), CounterCheckpoint(tmp_path, monitor="fd")
    trainer = fit(module, callback, images=8)
    for value in (float("nan"), float("-inf")):
        callback.offer(trainer, module, value)
        assert callback.best_value is None
        assert not (tmp_path / "best.ckpt").exists()
    callback.offer(trainer, module, 4.0)
    assert images_in(tmp_path / "best.ckpt") == 8


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_best_of_another_future_or_folder_is_not_this_trainings(tmp_path: Path, elsewhere: bool) -> None:
    first, there = tmp_path / "first", tmp_path / ("second" if elsewhere else "first")
    fit(
        ToyGAN(), Evaluation(Scripted(VALUES), every=8), CounterCheckpoint(first, keep_every=8, monitor="fd"), images=32
    )
    assert images_in(first / "best.ckpt") == 24
    values = {24: 6.0, 32: 5.5, 40: 7.0}  # from 16 on, where 5.0 (at 8) was the best, it goes another way
    callback = CounterCheckpoint(there, monitor="fd")
    start = first / "images-000000016.ckpt"
    fit(ToyGAN(), Evaluation(Scripted(values), every=8), callback, images=40, ckpt_path=start)
    assert images_in(there / "best.ckpt") == 32
    assert callback.best_value == 5.5


def test_what_was_best_by_another_measure_is_no_best(tmp_path: Path) -> None:
    """6 of a score is better than none, and not worse than a distance of 2."""
    train_with_measure(tmp_path, better="lower", images=32)
    callback = CounterCheckpoint(tmp_path, monitor="fd", better="higher", goes_on=False)
    start = tmp_path / "last.ckpt"
    fit(ToyGAN(), Evaluation(Scripted(VALUES), every=8), callback, images=48, ckpt_path=start)
    assert (images_in(tmp_path / "best.ckpt"), callback.best_value) == (40, 6.0)
