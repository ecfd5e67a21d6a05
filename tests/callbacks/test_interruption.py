"""Ctrl-C and SIGTERM: a checkpoint between two updates, from which the run goes on as if nothing had been."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from toys import ToyGAN, fit, same, state_of

from zoo.training.callbacks import CounterCheckpoint, Interrupted, SignalListener, StopOnSignal


class Sends(Callback):
    """Signals this process in the batches that end at these numbers of images."""

    def __init__(self, number: int, *at: int) -> None:
        self.number, self.at = number, at

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if pl_module.images_seen in self.at:
            os.kill(os.getpid(), self.number)


class AtStart(Sends):
    """Does so before the first batch, where the first measurement stands."""

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        os.kill(os.getpid(), self.number)


def train(folder: Path, *callbacks: Callback, images: int = 160, **settings: Any) -> None:
    listener, keeper = SignalListener(), CounterCheckpoint(folder, every=10_000)
    torch.manual_seed(0)
    module = ToyGAN(dropout=0.5, batchnorm=True)
    fit(module, listener, *callbacks, keeper, StopOnSignal(listener, keeper), images=images, **settings)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_goes_on_to_the_bit(tmp_path: Path, number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(Interrupted, match="stopped at 72 images") as stopped:
        train(tmp_path / "stopped", Sends(number, 72))
    assert stopped.value.status == 128 + number
    assert signal.getsignal(number) == before
    last = tmp_path / "stopped/last.ckpt"
    assert int(state_of(last)["state_dict"]["images_seen"]) == 72
    train(tmp_path / "stopped", ckpt_path=str(last))
    train(tmp_path / "whole")
    assert same(state_of(last), state_of(tmp_path / "whole/last.ckpt"))


def test_a_signal_before_the_first_batch(tmp_path: Path) -> None:
    with pytest.raises(Interrupted, match="stopped at 8 images"):
        train(tmp_path, AtStart(signal.SIGTERM))


class Impatient(AtStart):
    """Sends the signal again before the first batch is over."""

    def on_train_batch_start(self, *arguments: Any) -> None:
        os.kill(os.getpid(), self.number)


def test_a_signal_that_comes_twice_is_one(tmp_path: Path) -> None:
    """A terminal tells a study and its member, and the study passes it on: the member still writes its checkpoint."""
    with pytest.raises(Interrupted, match="stopped at 8 images"):
        train(tmp_path, Impatient(signal.SIGTERM))
    assert (tmp_path / "last.ckpt").exists()


def test_a_second_signal_stops_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoo.training.callbacks.interruption.SAME_SIGNAL", 0)
    with pytest.raises(Interrupted, match="stopped at once"):
        train(tmp_path, Impatient(signal.SIGINT))
    assert capsys.readouterr().err.count("once more: at once") == 1
    assert not (tmp_path / "last.ckpt").exists()


def test_a_run_that_ends_at_this_batch_ends_as_ever(tmp_path: Path) -> None:
    train(tmp_path, Sends(signal.SIGINT, 160))
    assert int(state_of(tmp_path / "last.ckpt")["state_dict"]["images_seen"]) == 160
