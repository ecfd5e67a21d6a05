"""ImageDataModule under a Trainer: positions, resumption, devices."""

import tarfile
import warnings
import zipfile
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from zoo.data import CIFAR10, DATASETS, MNIST, Digits, ImageDataModule
from zoo.data.base import OneEmptyBatch, download
from zoo.data.stream import epoch_order
from zoo.errors import DataNotFoundError


class Recorder(LightningModule):
    """Counts images as the adversarial modules do, and notes the labels of every batch."""

    images_seen: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.register_buffer("images_seen", torch.zeros((), dtype=torch.int64))
        self.seen: list[list[int]] = []
        self.tested = 0

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        x, y = batch
        assert x.dtype == torch.uint8
        self.seen.append(y.tolist())
        self.images_seen += len(x)
        return self.weight.sum()

    def test_step(self, batch: tuple[None, None], batch_idx: int) -> None:
        assert list(batch) == [None, None]
        self.tested += 1

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def trainer(
    folder: Path, *, steps: int = -1, epochs: int | None = None, callbacks: list[Callback] | None = None
) -> Trainer:
    return Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        devices=1,
        max_steps=steps,
        max_epochs=epochs,
        logger=False,
        callbacks=callbacks,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def digits() -> Digits:
    return Digits(batch_size=32, train_images=100, seed=3)


def reference(count: int) -> list[list[int]]:
    labels = digits().split("train").labels
    assert labels is not None
    places = [int(epoch_order(3, i // 100, 100)[i % 100]) for i in range(32 * count)]
    flat = [int(labels[place]) for place in places]
    return [flat[k : k + 32] for k in range(0, len(flat), 32)]


def test_passes_continue_where_the_last_one_stopped(tmp_path: Path) -> None:
    module = Recorder()
    trainer(tmp_path, epochs=4).fit(module, datamodule=digits())
    assert module.seen == reference(12)  # 3 batches of 32 a pass, 4 images over: they open the next pass
    assert int(module.images_seen) == 384


@pytest.mark.parametrize("interrupted_after", [1, 2, 3, 4, 6, 7])
def test_resumed_run_sees_the_next_image(interrupted_after: int, tmp_path: Path) -> None:
    class Save(Callback):
        def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
            if trainer.global_step == interrupted_after:
                trainer.save_checkpoint(tmp_path / "last.ckpt")

    trainer(tmp_path, steps=interrupted_after + 1, callbacks=[Save()]).fit(Recorder(), datamodule=digits())
    resumed = Recorder()
    run = trainer(tmp_path, epochs=4)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*dataloader is not resumable.*")
        run.fit(resumed, datamodule=digits(), ckpt_path=tmp_path / "last.ckpt")
    assert resumed.seen == reference(12)[interrupted_after:]
    assert run.current_epoch == 4


def test_run_that_was_stopped_goes_on_with_the_next_image(tmp_path: Path) -> None:
    # Lightning takes the pass in which max_steps stopped it for a whole one; the images must not notice.
    first, second = Recorder(), Recorder()
    run = trainer(tmp_path, steps=4)
    run.fit(first, datamodule=digits())
    run.save_checkpoint(tmp_path / "last.ckpt")
    trainer(tmp_path, steps=12).fit(second, datamodule=digits(), ckpt_path=tmp_path / "last.ckpt")
    assert first.seen + second.seen == reference(12)


def test_trainer_test_runs_one_empty_batch(tmp_path: Path) -> None:
    module = Recorder()
    trainer(tmp_path).test(module, datamodule=digits(), verbose=False)
    assert module.tested == 1
    assert len(OneEmptyBatch()) == 1


def test_devices_must_divide_the_batch() -> None:
    data = Digits(batch_size=10)

    class ThreeDevices:
        lightning_module = None
        global_rank = 1
        world_size = 3

    data.trainer = ThreeDevices()
    with pytest.raises(ValueError, match=r"batch_size=10.*number of devices, 3"):
        data.train_dataloader()
    data.batch_size = 12
    x, y = next(iter(data.train_dataloader()))
    assert (len(x), data.train_dataloader().rank) == (4, 1)
    assert y is not None


def test_without_trainer_or_counter_it_begins_at_the_start() -> None:
    _, y = next(iter(digits().train_dataloader()))
    assert y is not None
    assert y.tolist() == reference(1)[0]


def test_root_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ZOO_DATA", str(tmp_path))
    assert all(kind().root == tmp_path for kind in DATASETS.values())
    assert Digits(root="elsewhere").root == Path("elsewhere")
    monkeypatch.delenv("ZOO_DATA")
    assert Digits().root == Path("data")


@pytest.mark.parametrize("kind", DATASETS.values())
@pytest.mark.parametrize("argument", ["batch_size", "resolution", "train_images"])
def test_bad_numbers(kind: type[ImageDataModule], argument: str) -> None:
    with pytest.raises(ValueError, match=f"{argument}=0"):
        kind(**{argument: 0})


def test_splits() -> None:
    assert Digits().splits == ("train",)
    assert Digits(train_images=100).splits == ("train", "validation")
    assert MNIST().splits == CIFAR10().splits == ("train", "test")


def test_unknown_split() -> None:
    with pytest.raises(ValueError, match="'valid'"):
        Digits().split("valid")


def test_a_split_is_read_once() -> None:
    data = digits()
    assert data.split("train") is data.split("train")


@pytest.mark.parametrize("name", DATASETS)
def test_registry(name: str) -> None:
    assert DATASETS[name].name == name
    assert DATASETS[name].__name__ == name


@pytest.mark.parametrize("kind", [Exception, EOFError, zipfile.BadZipFile, tarfile.ReadError])
def test_whatever_a_download_fails_of_is_one_error(kind: type[Exception], tmp_path: Path) -> None:
    """gdown's errors, of a quota that is used up, are plain exceptions."""

    def fetch(folder: str) -> None:
        (Path(folder) / "half").write_text("")
        raise kind("too many users have viewed this file")

    with pytest.raises(DataNotFoundError, match="too many users"):
        download("Faces", fetch, root=tmp_path / "in", looked_for=["in"])
    assert not list(tmp_path.iterdir())
