"""What is said before a training starts, and the settings that follow from others."""

from types import SimpleNamespace
from typing import Any

import pytest
from registry import SMALL

from zoo.errors import UsageError
from zoo.models import MODELS
from zoo.models.base.build import outline
from zoo.models.pggan import PGGAN
from zoo.models.stylegan import StyleGAN
from zoo.nn.schedules import GrowthSchedule
from zoo.training.forecast import images_after, updates_within
from zoo.training.outlook import follow_the_settings, monitored, outlook
from zoo.training.report import budget_of


def said(paper: str, *, recipe: str = "digits", batch: int = 64, **budget: Any) -> str:
    module = MODELS[paper](**SMALL[paper].model)
    settings = {"images": None, "generator_steps": None, "data": {"init_args": {"batch_size": batch}}, **budget}
    text = "\n".join(outlook(module, recipe=recipe, settings=settings))
    assert (module.discriminator_steps, module.generator_steps) == (0, 0)
    return text


def test_a_budget_that_means_nothing_is_told_with_the_recipes_own() -> None:
    assert "this budget is 23 updates of G" in said("wgan", images=3_000)
    assert "the recipe's own is 150,000 images" in said("dcgan", images=3_000)
    assert "9 updates of G" in said("dcgan", generator_steps=9)
    assert said("dcgan", images=150_000) == ""
    assert said("dcgan") == ""  # no budget


def test_the_schedule_is_told_and_whether_the_budget_gets_there() -> None:
    text = said("pggan", images=60)  # two batches of eight a phase: 32x32 is whole at 96
    assert "4x4, 8x8 from 16 (whole at 32), 16x16 from 48 (whole at 64), 32x32 from 80 (whole at 96)" in text
    assert "warning: a budget of 60 images ends at 16x16, which is faded in to" in text
    assert "--images 192" in text
    assert "warning" not in said("pggan", images=96)
    assert "grows" not in said("dcgan", images=96)


@pytest.mark.parametrize(
    ("budget", "trainer", "ends"),
    [
        ({"images": 1_000}, {}, "1,000 images"),
        ({"images": 1_000, "generator_steps": 2_000}, {"max_epochs": -1}, "1,000 images or 2,000 generator steps"),
        ({}, {"max_time": "00:01:40:00"}, "00:01:40:00 (--trainer.max_time)"),
        ({"images": 10}, {"max_time": {"hours": 1}}, "10 images or {'hours': 1} (--trainer.max_time)"),
        ({}, {"max_epochs": 3}, "3 epochs (--trainer.max_epochs)"),
        ({}, {"max_epochs": -1, "max_time": None}, "no budget: stop by Ctrl-C"),
    ],
)
def test_all_that_ends_a_training_is_said(budget: dict[str, int], trainer: dict[str, Any], ends: str) -> None:
    assert budget_of({"images": None, "generator_steps": None, **budget, "trainer": trainer}) == ends


class Settings(SimpleNamespace):
    """As jsonargparse's."""

    def __contains__(self, name: str) -> bool:
        return hasattr(self, name)

    def as_dict(self) -> dict[str, Any]:
        return vars(self)


def settings(*, images: int | None, model: dict[str, Any], scale: bool = True) -> Any:
    keep, evaluation = Settings(monitor="fd_lenet2k"), Settings(samples=500)
    return Settings(images=images, model=Settings(**model), scale_phases=scale, keep=keep, evaluation=evaluation)


GROWING = {"resolution": 32, "start_resolution": 4, "stabilise_images": 800, "fade_images": 400}


def test_phases_are_scaled_to_the_budget_and_scaling_again_changes_nothing() -> None:
    config = settings(images=7_200, model=GROWING)
    for _ in range(2):  # as a config.yaml does that is read again
        follow_the_settings(config, PGGAN)
        assert (config.model.stabilise_images, config.model.fade_images) == (800, 400)  # 3 x 1,200 is half of 7,200
    config = settings(images=720, model=GROWING)
    for _ in range(2):
        follow_the_settings(config, PGGAN)
        assert (config.model.stabilise_images, config.model.fade_images) == (80, 40)


@pytest.mark.parametrize(
    ("images", "model"),
    [
        (1_140, {**GROWING, "resolution": 16, "stabilise_images": 600_000, "fade_images": 600_000}),  # 142.5 images
        (1_350, {**GROWING, "resolution": 64, "stabilise_images": 600_000, "fade_images": 1_200_000}),
        (1_000, {**GROWING, "stabilise_images": 0, "fade_images": 800}),
        (1_000, {**GROWING, "stabilise_images": 800, "fade_images": 0}),
    ],
)
def test_phases_that_are_rounded_stay_when_the_run_goes_on(images: int, model: dict[str, Any]) -> None:
    config = settings(images=images, model=model)
    follow_the_settings(config, PGGAN)
    first = config.model.stabilise_images, config.model.fade_images
    follow_the_settings(config, PGGAN)
    assert (config.model.stabilise_images, config.model.fade_images) == first
    config.images = 4 * images  # a larger budget is something else
    follow_the_settings(config, PGGAN)
    assert sum((config.model.stabilise_images, config.model.fade_images)) == pytest.approx(4 * sum(first), abs=6)


def test_updates_of_a_growing_network_are_counted_in_the_batches_of_each_resolution() -> None:
    """Batches of 64 and 16, phases of 100: after 0, 64, 128 (8x8 fades in from 100), then in steps of 16."""
    growth = GrowthSchedule(final=8, stabilise_images=100, fade_images=100, batch_sizes={4: 64, 8: 16})
    seen = [0]
    while seen[-1] < 500:
        seen.append(seen[-1] + growth.at(seen[-1]).batch_size)
    assert seen[:4] == [0, 64, 128, 144]
    for updates, images in enumerate(seen):
        assert images_after(updates, growth, batch=64) == images
    for images in range(1, 500):
        assert updates_within(images, growth, batch=64) == sum(at < images for at in seen)
    assert (images_after(7, None, batch=10), updates_within(61, None, batch=10)) == (70, 7)


def test_start_and_phases_that_are_left_out_are_those_of_the_module() -> None:
    """StyleGAN begins at 8x8, so that 32x32 is two doublings of phases away; PGGAN's come with its schedule's name."""
    own = {"start_resolution": None, "stabilise_images": 600, "fade_images": 600}
    for kind, model, images, phase in (
        (StyleGAN, {"resolution": 32, **own}, 4_800, 600),
        (PGGAN, {"resolution": 64, "schedule": "released_1", **dict.fromkeys(own)}, 8_000, 500),
    ):
        config = settings(images=images, model=model)
        follow_the_settings(config, kind)
        assert (config.model.stabilise_images, config.model.fade_images) == (phase, phase)
        growth = outline(kind, config.model.as_dict()).growth
        assert growth is not None and growth.grown_at == images / 2  # noqa: PT018 - for mypy


@pytest.mark.parametrize(
    ("images", "model", "message"),
    [
        (None, GROWING, "set --images"),
        (100, {"resolution": 32}, "does not"),
        (100, {**GROWING, "start_resolution": 32}, "starts at its full"),
    ],
)
def test_scaling_that_makes_no_sense(images: int | None, model: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        follow_the_settings(settings(images=images, model=model), PGGAN)


@pytest.mark.parametrize(
    ("name", "samples", "follows"),
    [
        ("fd_lenet2k", 500, "fd_lenet500"),
        ("fd_lenet2k", 2_000, "fd_lenet2k"),
        ("fd_lenet2k", 10_000, "fd_lenet"),
        ("fid2k", 5_000, "fid5k"),
        ("fd_resnet2k", 500, "fd_resnet500"),
        ("parzen_ll", 500, "parzen_ll"),
        (None, 500, None),
    ],
)
def test_the_monitor_follows_the_number_of_samples(name: str | None, samples: int, follows: str | None) -> None:
    assert monitored(name, samples=samples) == follows
