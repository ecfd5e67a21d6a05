"""When callbacks act, and where training stops."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import Timer
from toys import ToyData, ToyGAN, fit, toy_trainer

from zoo.training.again import passes_made
from zoo.training.callbacks import CounterCheckpoint, Evaluation, Every, StopAtBudget, TimeLimit


@pytest.mark.parametrize(("interval", "step"), [(10, 7), (7, 10), (10, 10), (25, 7), (1, 3)])
def test_every_against_counting_the_multiples(interval: int, step: int) -> None:
    every = Every(interval)
    for now in range(step, 40 * step, step):
        expected = any(image % interval == 0 for image in range(now - step + 1, now + 1))
        assert every.due(now) is expected, now


def test_every_seven_over_ten_by_hand() -> None:
    every = Every(10)
    assert [now for now in range(7, 71, 7) if every.due(now)] == [14, 21, 35, 42, 56, 63, 70]


def test_every_is_due_once_where_several_multiples_are_jumped_over() -> None:
    every = Every(10)
    assert [every.due(now) for now in (45, 49, 50, 50)] == [True, False, True, False]


def test_every_starts_where_a_resumed_run_does() -> None:
    assert not Every(10, start=21).due(28)
    assert Every(10, start=21).due(30)
    assert Every(10).due(28)


def test_every_without_interval_is_never_due() -> None:
    every = Every(None)
    assert not any(every.due(now) for now in range(0, 1000, 7))


@pytest.mark.parametrize("images", [0, -5])
def test_every_refuses_an_empty_interval(images: int) -> None:
    with pytest.raises(ValueError, match=f"at least 1 image, not {images}"):
        Every(images)


@pytest.mark.parametrize(("budget", "reached"), [(1, 8), (8, 8), (9, 16), (40, 40), (43, 48), (88, 88)])
def test_stops_at_the_first_batch_that_reaches_the_images(budget: int, reached: int) -> None:
    module = ToyGAN()
    fit(module, images=budget)  # 5 batches of 8 an epoch: budgets within, at the end of and beyond an epoch
    assert module.images_seen == reached


@pytest.mark.parametrize("n_critic", [1, 2, 5])
@pytest.mark.parametrize("budget", [1, 3])
def test_stops_at_the_first_batch_that_reaches_the_generator_steps(n_critic: int, budget: int) -> None:
    module = ToyGAN(n_critic=n_critic)
    fit(module, generator_steps=budget)
    assert module.generator_steps == budget
    assert module.discriminator_steps == budget * n_critic


def test_the_budget_that_is_reached_first_counts() -> None:
    module = ToyGAN(n_critic=2)
    fit(module, images=24, generator_steps=2)
    assert module.images_seen == 24
    module = ToyGAN(n_critic=2)
    fit(module, images=800, generator_steps=2)
    assert module.images_seen == 32


def test_spent() -> None:
    module = ToyGAN()
    module.images_seen, module.generator_steps = 100, 10
    assert not StopAtBudget().spent(module)
    assert StopAtBudget(images=100).spent(module)
    assert not StopAtBudget(images=101).spent(module)
    assert StopAtBudget(generator_steps=10).spent(module)
    assert not StopAtBudget(generator_steps=11).spent(module)


def test_a_run_resumed_with_its_budget_spent_trains_no_further(tmp_path: Path) -> None:
    fit(ToyGAN(), CounterCheckpoint(tmp_path), data=ToyData(n=40), images=24)
    module = ToyGAN()
    fit(module, ckpt_path=tmp_path / "last.ckpt", data=ToyData(n=40), images=24)
    assert module.images_seen == 24


def test_a_resumed_run_whose_time_is_up_comes_to_its_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Lightning's own Timer lets it end before any callback hears of it, and nothing is measured."""
    measured: list[int] = []

    def parts() -> tuple[Any, ...]:
        evaluation = Evaluation(lambda module: {"fd": float(measured.append(module.images_seen) or 1)}, every=1_000_000)
        return evaluation, TimeLimit(duration=timedelta(seconds=0.2)), CounterCheckpoint(tmp_path)

    fit(ToyGAN(), *parts(), images=10**9)
    assert len(measured) == 2  # before the first image and at the end
    saved = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert set(saved["callbacks"]["Timer"]) == set(Timer().state_dict())  # either reads the other's
    assert saved["callbacks"]["Timer"]["time_elapsed"]["train"] >= 0.2
    capsys.readouterr()
    module = ToyGAN()
    trainer = fit(module, *parts(), images=10**9, ckpt_path=str(tmp_path / "last.ckpt"))
    assert measured[2:] == [module.images_seen] == [int(saved["state_dict"]["images_seen"])]
    assert "a longer one goes on" in capsys.readouterr().out
    assert trainer.should_stop


@pytest.mark.parametrize("every", [None, 80])  # saved at its end alone; at its last batch too
def test_a_resumed_run_whose_passes_are_made_comes_to_its_end(tmp_path: Path, every: int | None) -> None:
    """Lightning's own max_epochs lets it end before any callback hears of it."""
    measured: list[int] = []

    def part(epochs: int, *, resume: bool = False) -> ToyGAN:
        evaluation = Evaluation(lambda module: {"fd": float(measured.append(module.images_seen) or 1)}, every=1_000_000)
        module, keeper = ToyGAN(), CounterCheckpoint(tmp_path, every=every)
        trainer = toy_trainer(evaluation, keeper, epochs=epochs, enable_checkpointing=True)
        trainer.fit(
            module, datamodule=ToyData(n=40), ckpt_path=tmp_path / "last.ckpt" if resume else None, weights_only=True
        )
        return module

    assert part(2).images_seen == 80
    assert passes_made(torch.load(tmp_path / "last.ckpt", weights_only=True)) == 2
    assert part(2, resume=True).images_seen == 80
    assert part(3, resume=True).images_seen == 120
    assert measured == [0, 80, 80, 120]
    assert passes_made(torch.load(tmp_path / "last.ckpt", weights_only=True)) == 3
    assert part(0).images_seen == 0
