"""When callbacks act, and where training stops."""

from pathlib import Path

import pytest
from toys import ToyData, ToyGAN, fit

from zoo.training.callbacks import CounterCheckpoint, Every, StopAtBudget


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
