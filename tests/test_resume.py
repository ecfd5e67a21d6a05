"""A run that is interrupted and resumed is the run that never was, to the bit."""

import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from registry import SMALL, small_data, small_model
from toys import Recorder, ToyGAN, fit, same, state_of, toy_trainer

from zoo.models import MODELS
from zoo.models.base.module import AdversarialModule
from zoo.runs.record import read_metrics
from zoo.training import reproduce
from zoo.training.callbacks import CounterCheckpoint, Evaluation, SampleGrid
from zoo.training.loggers import JsonlLogger
from zoo.training.scripts import script_of

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("paper", MODELS)
def test_every_paper_resumes_to_the_bit(tmp_path: Path, paper: str) -> None:
    def part(folder: str, batches: int, *, resume: bool = False) -> AdversarialModule:
        torch.manual_seed(3)
        module = small_model(paper)
        torch.manual_seed(77)  # another process has another global stream
        checkpoint = tmp_path / folder / "last.ckpt" if resume else None
        callback = CounterCheckpoint(tmp_path / folder)
        fit(module, callback, data=small_data(paper), images=8 * batches, ckpt_path=checkpoint)
        return module

    whole = part("whole", 10)
    assert whole.generator_steps > 1
    for stop in (3, 7):  # a pass is of 6 batches; n_critic is 2 where it is not 1
        part(f"parts{stop}", stop)
        resumed = part(f"parts{stop}", 10, resume=True)
        assert same(state_of(tmp_path / "whole/last.ckpt"), state_of(tmp_path / f"parts{stop}/last.ckpt")), stop
        assert torch.equal(whole.sample(3, seed=1), resumed.sample(3, seed=1)), stop


class Killed(BaseException):
    """As if the process had ended here."""


class KilledAt(Callback):
    """Ends the process before the batch that follows so many images."""

    def __init__(self, images: int) -> None:
        self.images = images

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if pl_module.images_seen == self.images:
            raise Killed


@pytest.mark.parametrize("paper", MODELS)
def test_a_kill_after_the_first_evaluation_is_resumed_to_the_bit(tmp_path: Path, paper: str) -> None:
    def part(folder: str, *callbacks: Callback, resume: bool = False) -> None:
        torch.manual_seed(3)
        module = small_model(paper)
        torch.manual_seed(77 if resume else 5)
        logger = JsonlLogger(tmp_path / folder)
        if resume:
            logger.resume_at(0)
        callbacks += (
            SampleGrid(tmp_path / folder),
            Evaluation(lambda module: {"value": float(module.sample(4, seed=5).mean())}, every=24),
            CounterCheckpoint(tmp_path / folder, monitor="value"),
        )
        checkpoint = tmp_path / folder / "last.ckpt" if resume else None
        fit(module, *callbacks, data=small_data(paper), images=16, ckpt_path=checkpoint, logger=logger)

    part("whole")
    with pytest.raises(Killed):
        part("parts", KilledAt(0))
    part("parts", resume=True)
    for name in ("last.ckpt", "best.ckpt"):
        assert same(*(state_of(tmp_path / run / name) for run in ("whole", "parts")))
    whole, parts = (read_metrics(tmp_path / run / "metrics.jsonl") for run in ("whole", "parts"))
    for row in (*whole, *parts):
        del row["time"]
    assert sum(row.pop("resumed", 0) > 0 for row in parts) == 1
    assert whole == parts


@pytest.mark.parametrize("stop_at", ["best.ckpt", "images-000000024.ckpt", "last.ckpt"])
def test_a_kill_while_a_checkpoint_gets_its_names_leaves_none_out(tmp_path: Path, stop_at: str) -> None:
    """At 24 images one checkpoint is the best, a kept one and the last."""

    def part(folder: str, *, resume: bool = False) -> None:
        keeper = CounterCheckpoint(tmp_path / folder, keep_every=24, monitor="value")
        fall = Evaluation(lambda module: {"value": -float(module.images_seen)}, every=24)
        fit(toy(), fall, keeper, images=40, ckpt_path=tmp_path / folder / "last.ckpt" if resume else None)

    part("whole")
    rename = Path.replace

    def killed(path: Path, target: Path) -> Path:
        if Path(target).name == stop_at and (target.parent / "last.ckpt").exists():
            raise Killed
        return rename(path, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(Killed):
            part("parts")
    part("parts", resume=True)
    names = {path.name for path in (tmp_path / "whole").iterdir()}
    assert names == {path.name for path in (tmp_path / "parts").iterdir()} >= {"images-000000024.ckpt", "best.ckpt"}
    for name in names:
        assert same(*(state_of(tmp_path / run / name) for run in ("whole", "parts")))


def toy() -> ToyGAN:
    torch.manual_seed(3)
    return ToyGAN(n_critic=3, dropout=0.5, batchnorm=True)


@pytest.mark.parametrize("stop", [1, 4, 5, 13, 29])  # epochs are of 5 batches
def test_a_resumed_run_is_the_uninterrupted_run(tmp_path: Path, stop: int) -> None:
    whole, first, second = toy(), toy(), toy()
    fit(whole, CounterCheckpoint(tmp_path / "whole"), images=8 * 30)
    fit(first, CounterCheckpoint(tmp_path / "parts"), images=8 * stop)
    torch.manual_seed(77)  # another process has another global stream
    fit(second, CounterCheckpoint(tmp_path / "parts"), images=8 * 30, ckpt_path=tmp_path / "parts/last.ckpt")
    assert same(state_of(tmp_path / "whole/last.ckpt"), state_of(tmp_path / "parts/last.ckpt"))
    assert torch.equal(whole.sample_z(5), second.sample_z(5))
    assert torch.equal(whole.sample(5, seed=1), second.sample(5, seed=1))


def test_a_resumed_run_sees_the_image_after_the_last(tmp_path: Path) -> None:
    def batches(module: ToyGAN, **settings: object) -> list[torch.Tensor]:
        seen: list[torch.Tensor] = []
        preprocess = module.preprocess
        module.preprocess = lambda x: (seen.append(x.clone()), preprocess(x))[1]
        fit(module, CounterCheckpoint(tmp_path), **settings)
        return seen

    whole = batches(toy(), images=8 * 12)
    parts = batches(toy(), images=8 * 7) + batches(toy(), images=8 * 12, ckpt_path=tmp_path / "last.ckpt")
    assert len(whole) == len(parts) == 12
    assert all(torch.equal(a, b) for a, b in zip(whole, parts, strict=True))


@pytest.mark.parametrize(
    ("paper", "changed", "of_D", "of_G"),
    [
        ("dcgan", {"lr": 1e-5, "beta2": 0.9}, {"lr": 1e-5, "betas": (0.5, 0.9)}, {"lr": 1e-5, "betas": (0.5, 0.9)}),
        ("dcgan", {"l2": 1e-3}, {"lr": 2e-4, "weight_decay": 1e-3}, {"lr": 2e-4, "weight_decay": 1e-3}),
        ("lsgan", {"lr_G": 3e-5}, {"lr": 2e-4}, {"lr": 3e-5}),
        ("wgan", {"lr": 1e-6}, {"lr": 1e-6}, {"lr": 1e-6}),
    ],
)
def test_what_is_set_otherwise_when_a_run_goes_on_takes_effect(
    tmp_path: Path, paper: str, changed: dict[str, float], of_D: dict[str, Any], of_G: dict[str, Any]
) -> None:
    """An optimizer's stored state holds the rates of before, and config.yaml and the record name the new ones."""
    fit(small_model(paper), CounterCheckpoint(tmp_path), data=small_data(paper), images=16)
    first = torch.load(tmp_path / "last.ckpt", weights_only=True)["optimizer_states"]
    module = MODELS[paper](**{**SMALL[paper].model, **changed})
    fit(module, CounterCheckpoint(tmp_path), data=small_data(paper), images=32, ckpt_path=tmp_path / "last.ckpt")
    second = torch.load(tmp_path / "last.ckpt", weights_only=True)["optimizer_states"]
    for state, wanted, before in zip(second, (of_D, of_G), first, strict=True):
        (group,), (old,) = state["param_groups"], before["param_groups"]
        assert group == {**old, **wanted}
    steps = [int(state["state"][0].get("step", 0)) for state in (*first, *second)]
    assert steps[2] == 2 * steps[0]  # the moments went on


def test_without_the_random_states_the_resumed_run_differs(tmp_path: Path) -> None:
    """The control of the tests above: what they compare does depend on what the checkpoint adds."""
    whole, second = toy(), toy()
    fit(whole, CounterCheckpoint(tmp_path / "whole"), images=8 * 10)
    fit(toy(), CounterCheckpoint(tmp_path / "parts"), images=8 * 5)
    second.on_load_checkpoint = lambda checkpoint: None
    fit(second, CounterCheckpoint(tmp_path / "parts"), images=8 * 10, ckpt_path=tmp_path / "parts/last.ckpt")
    assert not same(state_of(tmp_path / "whole/last.ckpt"), state_of(tmp_path / "parts/last.ckpt"))


def test_looking_does_not_disturb(tmp_path: Path) -> None:
    """Grids, evaluations and extra checkpoints leave the run as it would have been without them."""
    fit(toy(), CounterCheckpoint(tmp_path / "plain"), images=8 * 20)
    fit(
        toy(),
        SampleGrid(tmp_path, every=24),
        Evaluation(lambda module: {"mean": float(module.sample(6, seed=5).mean())}, every=16),
        CounterCheckpoint(tmp_path / "watched", every=8, monitor="mean"),
        images=8 * 20,
    )
    assert same(state_of(tmp_path / "plain/last.ckpt"), state_of(tmp_path / "watched/last.ckpt"))


def test_counters_travel_with_the_weights() -> None:
    module = toy()
    recorder = Recorder(lambda m: m.images_seen)
    fit(module, recorder, images=8 * 7)
    assert recorder.seen == [8 * i for i in range(1, 8)]
    other = toy()
    other.load_state_dict(module.state_dict())
    assert (other.images_seen, other.discriminator_steps, other.generator_steps) == (56, 7, 2)
    assert {"images_seen", "discriminator_steps", "generator_steps"} <= set(module.state_dict())
    incomplete = module.state_dict()
    del incomplete["images_seen"]
    with pytest.raises(RuntimeError, match="images_seen"):
        other.load_state_dict(incomplete)


def script(paper: str, run_dir: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """A reproduction in a process of its own, on one thread: sums then have one order."""
    command = [sys.executable, str(ROOT / "reproductions" / f"{paper}.py"), "fit", "--run_dir", str(run_dir)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([*command, *arguments], env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As the processes of `script` have."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("paper", "options"),
    [pytest.param("gan", [], marks=pytest.mark.slow), ("dcgan", ["--model.width", "8"])],
    ids=["gan", "dcgan"],
)
@pytest.mark.usefixtures("one_thread")
def test_a_killed_process_resumes_to_the_bit(tmp_path: Path, paper: str, options: list[str]) -> None:
    """What is killed is a process; the run that nothing disturbs and the one that goes on are in this one."""
    images = "6000"
    common = ["--recipe", "digits", "--images", images, "--keep.checkpoint_every", "750", *options]
    common += ["--evaluation.every", "null", "--keep.monitor", "null"]
    recipes = script_of(paper).recipes
    killed = script(paper, tmp_path / "killed", *common)
    last = tmp_path / "killed/checkpoints/last.ckpt"
    while not last.exists() and killed.poll() is None:
        time.sleep(0.02)
    time.sleep(0.15)  # to some step after the checkpoint, or into the writing of the next
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL, "the process ended before it could be killed"
    reached = int(state_of(last)["state_dict"]["images_seen"])
    assert 0 < reached < int(images)
    reproduce(paper, recipes, arguments=["fit", "--run_dir", str(tmp_path / "whole"), *common])
    reproduce(paper, recipes, arguments=["fit", "--run_dir", str(tmp_path / "killed"), "--ckpt_path", "last"])
    a, b = state_of(tmp_path / "whole/checkpoints/last.ckpt"), state_of(last)
    assert int(a["state_dict"]["images_seen"]) >= int(images)
    assert same(a, b)
    grids = [sorted((tmp_path / run / "grids").iterdir())[-1].read_bytes() for run in ("whole", "killed")]
    assert grids[0] == grids[1]  # the next samples


@pytest.mark.parametrize("training", [True, False])
def test_fresh_latents_are_told_of_where_a_training_goes_on(training: bool) -> None:
    """`test` and `predict` of a run of two devices draw none of its streams."""
    module = ToyGAN()
    module.trainer = toy_trainer()
    module.trainer.training = training
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        module.on_load_checkpoint({"hyper_parameters": dict(module.hparams), "zoo": {"random_states": [{}, {}]}})
    assert ["2 devices and is resumed on 1" in str(warning.message) for warning in said] == [True] * training
