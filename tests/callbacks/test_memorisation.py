"""The alarm for a D that knows its training images by heart."""

from pathlib import Path

import pytest
import torch
from registry import small_data, small_model
from toys import ToyData, ToyGAN, fit, same, state_of

from zoo.data import ImageArray, ImageDataModule
from zoo.errors import DataNotFoundError
from zoo.models.base.module import AdversarialModule
from zoo.training.callbacks import CounterCheckpoint, MemorisationWatch
from zoo.training.callbacks.memorisation import Scores, evenly_spaced, score_sets
from zoo.training.loggers import JsonlLogger, read_metrics


def test_r_v_has_its_closed_form() -> None:
    train, fake = torch.tensor([3.0, 5.0]), torch.tensor([-1.0, 1.0])
    for held_out, r_v in (([4.0, 4.0], 0.0), ([0.0, 0.0], 1.0), ([3.0, 2.0], 0.375), ([5.0, 5.0], -0.25)):
        assert Scores(train, torch.tensor(held_out), fake).r_v == pytest.approx(r_v)
    assert Scores(train, train, train).r_v == 0.0  # D tells nothing apart


def test_a_gap_within_chance_is_not_certain() -> None:
    generator = torch.Generator().manual_seed(0)
    train = torch.randn(500, generator=generator)
    held_out = torch.randn(500, generator=generator)
    assert not Scores(train, held_out, train - 0.01).certain
    assert not Scores(train, held_out + 0.5, train).certain  # the other way round
    assert Scores(train, held_out - 0.5, train - 1).certain


class Memory(ToyGAN):
    """A D that gives 1 to the images it was shown, 0 to all others."""

    known: torch.Tensor

    def score(self, x: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        return (x[:, None] == self.known[None]).flatten(2).all(2).any(1).float()


class Split(ToyData):
    """64 training images, 40 others to test on."""

    def __init__(self) -> None:
        super().__init__(n=104)

    def _load(self, name: str) -> ImageArray:
        return self.array.slice(0, 64) if name == "train" else self.array.slice(64, 104)


def test_it_warns_once_and_names_the_remedies(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    module, data = Memory(), Split()
    module.known = module.preprocess(data.split("train").images)
    fit(module, MemorisationWatch(every=16), CounterCheckpoint(tmp_path), data=data, images=64)
    text = capsys.readouterr().err
    assert text.count("warning") == 1
    assert "warning at 16 images: D memorises: r_v = 1.00 is above 0.5" in text
    for remedy in ("--augment color,translation,cutout", "--freeze_d", "stop early"):
        assert remedy in text


def test_it_is_silent_over_a_d_that_generalises(capsys: pytest.CaptureFixture[str]) -> None:
    module, data = Memory(), Split()
    module.known = module.preprocess(data.array.images)
    fit(module, MemorisationWatch(every=16), data=data, images=32)
    assert capsys.readouterr().err == ""


def test_without_held_out_images_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    class TrainOnly(ToyData):
        def _official_splits(self) -> tuple[str, ...]:
            return ("train",)

    fit(ToyGAN(), MemorisationWatch(every=16), data=TrainOnly(), images=32)
    assert "--data.train_images" in capsys.readouterr().err


def test_test_images_that_are_not_there_are_no_held_out_ones(capsys: pytest.CaptureFixture[str]) -> None:
    class WithoutTest(Split):
        def _load(self, name: str) -> ImageArray:
            if name == "test":
                raise DataNotFoundError("Toy", looked_for=["t10k-images-idx3-ubyte"], reason="")
            return super()._load(name)

    fit(ToyGAN(), MemorisationWatch(every=16), data=WithoutTest(), images=32)
    assert "no warning comes when D memorises" in capsys.readouterr().err


def test_it_looks_at_the_end_of_a_training_that_no_budget_ends(tmp_path: Path) -> None:
    module, data = Memory(), Split()
    module.known = module.preprocess(data.split("train").images)
    fit(module, MemorisationWatch(every=24), data=data, epochs=1, logger=JsonlLogger(tmp_path))
    assert [row["images_seen"] for row in read_metrics(tmp_path / "metrics.jsonl") if "r_v" in row] == [24, 48, 64]


def scores(module: AdversarialModule, data: ImageDataModule) -> Scores:
    return score_sets(module, evenly_spaced(data.split("train"), 32), evenly_spaced(data.split("validation"), 32))


@pytest.mark.parametrize("paper", ["dcgan", "cgan", "wgan_gp", "infogan", "stylegan"])
def test_judging_disturbs_nothing(paper: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    module, data = small_model(paper), small_data(paper)
    fit(module, data=data, images=16)
    module.D.train()
    state, streams = module.state_dict(), (torch.get_rng_state(), module.latent_generator.get_state())
    before = {name: value.clone() for name, value in state.items()}
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)  # of other processes
    first, second = scores(module, data), scores(module, data)
    assert same(list(first), list(second))
    assert [len(part) for part in first] == [32, 32, 32]
    assert len({float(part.mean()) for part in first}) == 3
    assert same(before, dict(module.state_dict()))
    assert torch.equal(streams[0], torch.get_rng_state())
    assert torch.equal(streams[1], module.latent_generator.get_state())
    assert module.D.training


def test_a_watched_run_is_the_run_that_was_not(tmp_path: Path) -> None:
    for name, callbacks in (("plain", []), ("watched", [MemorisationWatch(every=8)])):
        torch.manual_seed(0)
        module = small_model("dcgan")
        fit(module, *callbacks, CounterCheckpoint(tmp_path / name), data=small_data("dcgan"), images=24)
    assert same(state_of(tmp_path / "plain/last.ckpt"), state_of(tmp_path / "watched/last.ckpt"))
