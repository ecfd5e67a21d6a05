"""What `fit --dry_run` says, that it writes nothing, and the images that are decoded on the fly."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from command_line import zoo
from PIL import Image
from registry import small_model

from zoo.data import ImageFolder
from zoo.data.arrays import in_blocks
from zoo.data.growing import GrowingStream, pyramid
from zoo.errors import UsageError
from zoo.experiments import cgan, dcgan, gan
from zoo.experiments.infogan import predict_codes
from zoo.models.infogan import InfoGAN
from zoo.nn.schedules import GrowthSchedule
from zoo.training import dry_run
from zoo.training.forecast import Forecast, Phase, Turns, cache_lines, phases_of, times
from zoo.training.words import Words


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """40 colour images of 40 x 48 pixels."""
    images = np.random.default_rng(0).integers(0, 256, (40, 48, 40, 3), dtype=np.uint8)
    (tmp_path / "images").mkdir()
    for i, pixels in enumerate(images):
        Image.fromarray(pixels).save(tmp_path / f"images/{i:02}.png")
    return tmp_path / "images"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dry_run, "SECONDS", 0.0)
    monkeypatch.setattr(dry_run, "LEAST", 2)


@pytest.mark.usefixtures("quick")
def test_nothing_is_written_and_all_is_said(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    before = sorted(tmp_path.rglob("*"))
    options = ["--model.resolution", "32", "--model.network", "community", "--model.width", "2", "--images", "6400"]
    options += [
        "--data",
        "ImageFolder",
        "--data.root",
        str(folder),
        "--data.resolution",
        "32",
        "--data.batch_size",
        "8",
    ]
    options += ["--model.channels", "3", "--evaluation.every", "3200", "--evaluation.samples", "20"]
    options += ["--evaluation.extractors", "[resnet]", "--keep.monitor", "fd_resnet20", "--keep.archive_every", "3200"]
    monkeypatch.setattr(dry_run, "IMAGES", 24)  # fewer than the reals that are wanted
    # What takes no second in all is not named, as these evaluations on a fast machine.
    monkeypatch.setattr(Forecast, "evaluating", property(lambda forecast: 2.0 * forecast.evaluations))
    options += ["--evaluation.real_images", "40"]
    zoo("dcgan", "fit", "--recipe", "digits", *options, "--dry_run")
    out = capsys.readouterr().out
    assert sorted(tmp_path.rglob("*")) == before
    for said in (
        "40 training images of 3 x 32 x 32",
        "6,400 images: 800 updates of D, 800 of G",
        "3 evaluations 0:00:06",
        "123 kB of decoded images in",  # 40 x 3 x 32 x 32
        "4 checkpoints of",  # last, best, two kept
        "GB at most" if "GB at most" in out else "MB at most",
    ):
        assert said in out


@pytest.mark.usefixtures("quick")
def test_a_growing_network_is_measured_in_each_phase(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--model.fmap_base", "64", "--model.fmap_max", "4", "--evaluation.every", "null", "--keep.monitor", "null"]
    phases = ["--model.stabilise_images", "600", "--model.fade_images", "400", "--model.resolution", "32"]
    zoo("pggan", "fit", "--recipe", "digits", *sizes, *phases, "--images", "1500", "--dry_run")
    out = capsys.readouterr().out
    assert [line.split()[:3] for line in out.splitlines() if " images  " in line] == [
        ["4x4", "600", "images"],
        ["8x8", "fading", "in"],
        ["8x8", "500", "images"],
    ]
    assert not Path("runs").exists()


@pytest.mark.usefixtures("quick")
def test_devices_of_the_trainer_and_its_limit_of_time_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--model.width", "2", "--data.batch_size", "16", "--evaluation.every", "null", "--keep.monitor", "null"]
    options += ["--trainer.devices", "2", "--trainer.accelerator", "cpu", "--trainer.max_time", "00:00:00:01"]
    zoo("dcgan", "fit", "--recipe", "digits", *options, "--dry_run")
    out = capsys.readouterr().out
    assert "one of 2" in out
    assert "--trainer.max_time 00:00:00:01 ends it before that" in out


@pytest.mark.usefixtures("quick")
def test_nobody_is_told_of_loaders_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    """GAN asks for the training images where a foreign loader gives the batches, and this one is ours."""
    zoo("gan", "fit", "--recipe", "digits", "--model.width=16", "--evaluation.every=null", "--images=200", "--dry_run")
    assert "start_from" not in capsys.readouterr().err


@pytest.mark.usefixtures("quick")
def test_passes_of_the_trainer_are_a_budget(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--model.width", "2", "--data.batch_size", "16", "--evaluation.every", "null", "--keep.monitor", "null"]
    zoo(
        "dcgan", "fit", "--recipe", "digits", *options, "--data.train_images=100", "--trainer.max_epochs=3", "--dry_run"
    )
    assert "budget   288 images: 18 updates of D" in capsys.readouterr().out  # six whole batches a pass


@pytest.mark.parametrize(
    ("words", "message"),
    [(["test", "--dry_run"], "is of fit"), (["fit", "--dry_run=perhaps"], "true or false")],
)
def test_it_is_of_fit_and_says_yes_or_no(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        _ = Words.of(words).dry_run
    assert Words.of(["fit", "--dry_run", "--images", "3"]).rest == ["--images", "3"]


class Clock:
    """Counters, and a generator that moves after 10 updates of D, then after every fifth."""

    discriminator_steps = generator_steps = 0

    def generator_is_due(self) -> bool:
        return self.discriminator_steps >= 10 + 5 * self.generator_steps


def test_turns_of_the_generator_beyond_what_was_simulated() -> None:
    turns = Turns.of(clock := Clock())
    assert (clock.discriminator_steps, clock.generator_steps) == (0, 0)
    assert [turns.updates_of_D(n) for n in (1, 2, 100, 100_000)] == [10, 15, 505, 500_005]
    assert [turns.updates_of_G(n) for n in (9, 10, 505, 500_005)] == [0, 1, 100, 100_000]
    with pytest.raises(UsageError, match="never moves"):
        Turns([]).updates_of_D(1)


def test_how_often_things_happen() -> None:
    def often(every: int | None, budget: int) -> int:
        return times(every, budget=budget, batch=8, at_start=True)

    assert often(None, 80) == 2  # first and last
    assert often(40, 80) == 3  # 0, 40, 80
    assert often(30, 80) == 4  # 0, 32, 64, 80
    assert often(30, 81) == 4  # the budget is passed at 88, and 90 never comes: 0, 32, 64, 88


def test_the_sum_of_the_parts() -> None:
    phase = Phase(0, 800, 8, first=0.5, with_G=[0.2], without_G=[0.1, 0.1], grid=0.25)
    forecast = Forecast([phase], share=0.2, evaluations=3, grids=4, checkpoints=2)
    forecast.evaluation, forecast.reals, forecast.checkpoint = 10.0, 5.0, 0.5
    updates = 100 * (0.2 * 0.2 + 0.8 * 0.1) + 0.5 - 0.12
    assert forecast.updates == pytest.approx(updates)
    assert forecast.training == pytest.approx(updates + 3 * 10 + 2 * 4 * 0.25 + 2 * 0.5)
    assert any("and 0:00:05 for the reals' features" in line for line in forecast.lines())


def test_evaluations_that_take_long_are_said_and_how_to_make_them_a_tenth() -> None:
    phase = Phase(0, 8_000, 8, first=0.1, with_G=[0.1], without_G=[], grid=0.0)
    forecast = Forecast([phase], share=1.0, evaluations=40, evaluation=1.0)  # 100 s of updates, 40 s
    assert forecast.measured_share == pytest.approx(40 / 140)
    line = forecast.advice(200)
    assert "evaluations take 29% of it: --evaluation.every 1000 or fewer --evaluation.samples for 10%" in line
    forecast.evaluations = 8  # every 1,000 images
    assert forecast.measured_share < 0.1
    assert forecast.advice(1_000) == ""


def test_what_the_cache_keeps_is_no_part_of_the_evaluations() -> None:
    """The 50,000 reals of CIFAR-10 take minutes once on a machine, and were counted in each run's share."""
    phase = Phase(0, 8_000, 8, first=0.1, with_G=[0.1], without_G=[], grid=0.0)
    forecast = Forecast([phase], share=1.0, evaluations=4, evaluation=1.0, reals=500.0)
    assert forecast.measured_share == pytest.approx(4 / 104)
    assert forecast.advice(2_000) == ""
    assert "         and 0:08:20 for the reals' features, unless the cache has them already" in forecast.lines()


def test_the_phases_that_a_budget_reaches() -> None:
    growth = GrowthSchedule(final=16, stabilise_images=100, fade_images=50)
    assert [(p.start, p.images, p.title) for p in phases_of(growth, budget=400, batch=1)] == [
        (0, 100, "4x4"),
        (100, 50, "8x8 fading in"),
        (150, 100, "8x8"),
        (250, 50, "16x16 fading in"),
        (300, 100, "16x16"),
    ]
    assert [p.title for p in phases_of(growth, budget=150, batch=1)] == ["4x4", "8x8 fading in"]


def test_a_large_cache_is_offered_another_way(tmp_path: Path) -> None:
    text = "\n".join(cache_lines(220 * 10**9, tmp_path, lazy=True, fly=False))
    assert "220.0 GB of decoded images" in text
    assert "--data.on_the_fly true" in text
    assert "on_the_fly" not in "\n".join(cache_lines(10**6, tmp_path, lazy=True, fly=False))


def test_decoded_on_the_fly_it_is_the_same_training(folder: Path) -> None:
    growth = GrowthSchedule(final=32, start=8, stabilise_images=16, fade_images=16, batch_sizes={8: 8})
    arrays = [
        ImageFolder(root=str(folder), resolution=32, on_the_fly=fly, train_images=32).split("train")
        for fly in (False, True)
    ]
    kept, fly = arrays
    assert (len(fly), fly.images.shape) == (len(kept), kept.images.shape)
    assert torch.equal(fly.images[3:9], kept.images[3:9])
    assert torch.equal(fly.images[torch.tensor([5, 1])], kept.images[[5, 1]])
    assert torch.equal(fly.images[31], kept.images[31])
    streams = [GrowingStream(array, growth=growth, seed=3, horizontal_flip=True) for array in arrays]
    for (x, _), (other, _) in zip(*streams, strict=True):
        assert torch.equal(x, other)
    assert fly.fingerprint != kept.fingerprint
    assert len({array.fingerprint for array in pyramid(fly, start=8, final=32).values()}) == 3


def test_papers_measure_against_images_that_are_decoded_on_the_fly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GAN's and CGAN's log-likelihood and DCGAN's neighbours ended in a traceback: they took them for a tensor."""
    for split in ("train", "validation", "test"):
        for k in range(10):
            (tmp_path / split / str(k)).mkdir(parents=True)
            Image.new("L", (28, 28), 25 * k).save(tmp_path / split / str(k) / "x.png")
    monkeypatch.setattr(cgan, "label_accuracy", lambda images, labels: 0.5)
    for paper in (gan, cgan):
        monkeypatch.setattr(
            paper, "parzen_measures", lambda x, *, validation, test, **_: {"sums": validation + 2 * test}
        )
    noise = torch.rand(1_000, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    module: Any = SimpleNamespace(
        network="mnist",
        num_classes=10,
        image_shape=(1, 28, 28),
        device=torch.device("cpu"),
        sample=lambda n, *, seed, labels=None: noise[:n, :, :size, :size],
    )
    for experiment, size in ((gan, 28), (cgan, 28), (dcgan, 4)):
        kept, fly = (
            ImageFolder(root=str(tmp_path), resolution=size, channels=1, on_the_fly=on_the_fly)
            for on_the_fly in (False, True)
        )
        kept.extractor = fly.extractor = "lenet"
        found, others = (experiment.measure(module, data, seed=0).values for data in (kept, fly))
        assert found.keys() == others.keys() > set()
        assert all(torch.equal(torch.as_tensor(found[name]), torch.as_tensor(others[name])) for name in found)


def test_papers_measure_and_start_on_images_that_are_decoded_on_the_fly(folder: Path) -> None:
    """They are no tensor: InfoGAN's codes of the test images stopped a dry run, and GAN takes the mean image."""
    kept, fly = (
        ImageFolder(root=str(folder), resolution=28, channels=1, on_the_fly=on_the_fly).split("train").images
        for on_the_fly in (False, True)
    )
    assert torch.equal(torch.cat([*in_blocks(fly, 7)]), kept)
    infogan, gan = InfoGAN(), small_model("gan")
    codes = [predict_codes(infogan, images, reference=images, block=8) for images in (kept, fly)]
    assert torch.equal(*codes)
    biases = []
    for images in (kept, fly):
        gan.start_from(images)
        biases.append(gan.G[-2].bias.clone())
    assert torch.equal(*biases)
