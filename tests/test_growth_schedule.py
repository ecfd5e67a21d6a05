"""The growth schedule at every border: resolution, alpha, batch and learning rate by images seen."""

import math
from typing import Any

import numpy as np
import pytest

from zoo.models.pggan import schedule_of
from zoo.nn.schedules import RELEASED_BATCH_SIZES, GrowthSchedule, Stage

STYLEGAN_LRS = {8: 1e-3, 128: 1.5e-3, 256: 2e-3, 512: 3e-3}
FFHQ = {
    devices: GrowthSchedule(
        1024,
        start=8,
        stabilise_images=600_000,
        fade_images=600_000,
        batch_sizes=RELEASED_BATCH_SIZES[devices],
        lrs=STYLEGAN_LRS,
    )
    for devices in (1, 2, 4, 8)
}
CELEBAHQ_WGAN = GrowthSchedule(
    1024,
    start=8,
    stabilise_images=600_000,
    fade_images=600_000,
    batch_sizes=RELEASED_BATCH_SIZES[8],
    lrs={8: 1e-3, 128: 1.5e-3, 256: 2e-3},
)
SCHEDULES: dict[str, GrowthSchedule] = {
    "celebahq": schedule_of("celebahq", resolution=1024),
    "lsun": schedule_of("lsun", resolution=256),
    "cifar10": schedule_of("cifar10", resolution=32),
    **{f"table1 {row}": schedule_of("table1", resolution=128, config=row) for row in ("a", "b", "c", "d", "e", "f")},
    **{f"released {k}": schedule_of(f"released_{k}", resolution=1024) for k in (1, 2, 4, 8)},
    **{f"ffhq {devices}": schedule for devices, schedule in FFHQ.items()},
    "celebahq wgan": CELEBAHQ_WGAN,
    "no stabilising": GrowthSchedule(32, stabilise_images=0, fade_images=10),
    "no fading": GrowthSchedule(32, stabilise_images=10, fade_images=0),
}


def level_of_detail(schedule: GrowthSchedule, images: int) -> float:
    """Doublings still to come: constant while a resolution stabilises, falling by 1 in a straight line in a fade."""
    jump = 0 if schedule.fade_images else 1e-6
    length, knots = schedule.stabilise_images + schedule.fade_images, [(0.0, schedule.doublings)]
    for k in range(schedule.doublings):
        knots.append((k * length + schedule.stabilise_images - jump, schedule.doublings - k))
        knots.append(((k + 1) * length, schedule.doublings - k - 1))
    return float(np.interp(images, *zip(*knots, strict=True)))


def borders(schedule: GrowthSchedule) -> list[int]:
    length = schedule.stabilise_images + schedule.fade_images
    starts = [k * length for k in range(schedule.doublings + 1)]
    ends = [start + schedule.stabilise_images for start in starts[:-1]]
    return sorted({*starts, *ends})


@pytest.mark.parametrize("name", SCHEDULES)
def test_resolution_and_alpha_around_every_border(name: str) -> None:
    schedule = SCHEDULES[name]
    around = {b + d for b in borders(schedule) for d in (-1, 0, 1, 2)} | {schedule.grown_at * 3 + 5}
    around |= {b + schedule.fade_images // 2 for b in borders(schedule)}
    for images in sorted(i for i in around if i >= 0):
        lod, stage = round(level_of_detail(schedule, images), 7), schedule.at(images)
        assert stage.resolution == schedule.final >> math.floor(lod), images
        assert stage.alpha == pytest.approx(1 - (lod - math.floor(lod)), abs=1e-6), images
        assert schedule.phase(images) == 2 * (schedule.doublings - math.ceil(lod)) + (lod != math.floor(lod))
        assert stage.batch_size == schedule.batch_size(stage.resolution)


def stage(name: str, images: int) -> Stage:
    found = SCHEDULES[name].at(images)
    return found._replace(alpha=round(found.alpha, 9), lr=round(found.lr, 9))


def test_the_papers_celebahq_run() -> None:
    """Appendix A.1: 800k + 800k images, batch 16 down to 3, full resolution at 12.8 million images."""
    assert SCHEDULES["celebahq"].grown_at == 12_800_000
    assert stage("celebahq", 40_000) == (4, 1.0, 16, 1e-3)
    assert stage("celebahq", 800_000) == (4, 1.0, 16, 1e-3)
    assert stage("celebahq", 800_008) == (8, 1e-5, 16, 1e-3)
    assert stage("celebahq", 1_200_000) == (8, 0.5, 16, 1e-3)
    assert stage("celebahq", 1_600_000) == (8, 1.0, 16, 1e-3)
    assert stage("celebahq", 5 * 1_600_000 + 800_000) == (128, 1.0, 16, 1e-3)
    assert stage("celebahq", 5 * 1_600_000 + 800_016) == (256, 2e-5, 14, 1e-3)
    assert stage("celebahq", 6 * 1_600_000 + 1_000_000) == (512, 0.25, 6, 1e-3)
    assert stage("celebahq", 7 * 1_600_000 + 1_400_000) == (1024, 0.75, 3, 1e-3)
    assert stage("celebahq", 19_000_000) == (1024, 1.0, 3, 1e-3)
    for t in (0.0, 0.25, 0.5, 0.99):  # the ramp-up over the first 40,000 images
        expected = 1e-3 * math.exp(-5 * (1 - t) ** 2)
        assert SCHEDULES["celebahq"].at(int(40_000 * t)).lr == pytest.approx(expected, rel=1e-9)


def test_table_1_and_cifar10() -> None:
    assert stage("table1 a", 0) == stage("table1 a", 10_000_000) == (128, 1.0, 64, 1e-4)
    assert stage("table1 b", 0) == (4, 1.0, 64, 1e-4)
    assert stage("table1 c", 1_200_000) == (8, 0.5, 16, 1e-4)
    assert stage("table1 e", 8_000_000) == (128, 1.0, 16, 1e-4)
    assert stage("table1 f", 7_999_999)[::2] == (128, 16)
    assert stage("table1 f", 8_000_000) == (128, 1.0, 16, 1e-3)
    assert stage("cifar10", 0) == (4, 1.0, 16, 1e-3)
    assert stage("cifar10", 600_000) == (8, 0.5, 16, 1e-3)
    assert stage("cifar10", 2_400_000) == (32, 1.0, 16, 1e-3)


#: (images seen, resolution): the middle of each fade of the released configurations, from 4x4 and from 8x8
FROM_4 = [(k * 1_200_000 + 900_000, 8 << k) for k in range(8)]
FROM_8 = [(k * 1_200_000 + 900_000, 16 << k) for k in range(7)]
BATCHES = {
    1: {4: 128, 8: 128, 16: 128, 32: 64, 64: 32, 128: 16, 256: 8, 512: 4, 1024: 4},
    2: {4: 256, 8: 256, 16: 128, 32: 64, 64: 32, 128: 16, 256: 8, 512: 8, 1024: 8},
    4: {4: 512, 8: 256, 16: 128, 32: 64, 64: 32, 128: 16, 256: 16, 512: 16, 1024: 16},
    8: {4: 512, 8: 256, 16: 128, 32: 64, 64: 32, 128: 32, 256: 32, 512: 32, 1024: 32},
}
RELEASED_LRS = {
    1: {1024: 1.5e-3},
    2: {512: 1.5e-3, 1024: 2e-3},
    4: {256: 1.5e-3, 512: 2e-3, 1024: 3e-3},
    8: {128: 1.5e-3, 256: 2e-3, 512: 3e-3, 1024: 3e-3},
}


@pytest.mark.parametrize("devices", [1, 2, 4, 8])
def test_the_released_configurations(devices: int) -> None:
    name = f"released {devices}"
    assert SCHEDULES[name].grown_at == 9_600_000
    assert stage(name, 0) == (4, 1.0, BATCHES[devices][4], 1e-3)
    for images, side in FROM_4:
        assert stage(name, images) == (side, 0.5, BATCHES[devices][side], RELEASED_LRS[devices].get(side, 1e-3))
    name = f"ffhq {devices}"
    assert SCHEDULES[name].grown_at == 8_400_000
    assert stage(name, 0) == (8, 1.0, BATCHES[devices][8], 1e-3)
    for images, side in FROM_8:
        lr = {128: 1.5e-3, 256: 2e-3, 512: 3e-3, 1024: 3e-3}.get(side, 1e-3)
        assert stage(name, images) == (side, 0.5, BATCHES[devices][side], lr)
        assert stage("celebahq wgan", images).lr == min(lr, 2e-3)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"final": 48}, "48.*power of two"),
        ({"final": 8, "start": 16}, "start=16"),
        ({"final": 8, "stabilise_images": 0, "fade_images": 0}, "both 0"),
        ({"final": 8, "fade_images": -1}, "not be negative"),
        ({"final": 8, "batch_sizes": {8: 4}}, "batch_sizes=.*no entry for the resolution 4"),
        ({"final": 8, "lrs": {}}, "lrs=.*no entry"),
        ({"final": 8, "lrs": {4: 0.0}}, "lrs=.*positive"),
    ],
)
def test_schedules_that_cannot_be(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        GrowthSchedule(**settings)
