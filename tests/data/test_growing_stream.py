"""GrowingStream and its pyramid against slow references."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from zoo.data import Digits
from zoo.data.arrays import ImageArray, cache_dir
from zoo.data.growing import GrowingStream, block_means, pyramid
from zoo.data.stream import ImageStream
from zoo.errors import DataError
from zoo.nn.schedules import GrowthSchedule

#: 4x4 up to image 20, fading 8x8 up to 30, 8x8 up to 50, fading 16x16 up to 60
GROWTH = GrowthSchedule(16, stabilise_images=20, fade_images=10, batch_sizes={4: 6, 8: 4, 16: 2})


def images(n: int = 10, side: int = 16, *, channels: int = 2, labelled: bool = True) -> ImageArray:
    generator = torch.Generator().manual_seed(n + side)
    pixels = torch.randint(256, (n, channels, side, side), generator=generator, dtype=torch.uint8)
    return ImageArray(pixels, torch.arange(n) if labelled else None, None, f"random {n} {side} {channels}")


def borders(until: int) -> list[int]:
    """First images of the batches."""
    found, at = [], 0
    while at < until:
        found.append(at)
        at += GROWTH.at(at).batch_size
    return found


def test_each_level_is_repeated_2x2_means_rounded_once() -> None:
    data = images(3)
    levels = pyramid(data, start=4, final=16)
    assert list(levels) == [16, 8, 4]
    assert levels[16] is data
    exact = data.images.numpy().astype(np.float64)
    for side in (8, 4):
        exact = (exact[..., ::2, ::2] + exact[..., 1::2, ::2] + exact[..., ::2, 1::2] + exact[..., 1::2, 1::2]) / 4
        assert np.array_equal(levels[side].images.numpy(), np.rint(exact).astype(np.uint8))
        assert torch.equal(levels[side].labels, data.labels)
    # Rounding each level from the rounded one above would be another set of images.
    again = np.rint(levels[8].images.numpy().reshape(3, 2, 4, 2, 4, 2).mean((3, 5)))
    assert (again != levels[4].images.numpy()).any()


def test_a_half_goes_to_the_even_grey_level() -> None:
    pixels = torch.tensor([[0, 0, 1, 1], [1, 1, 2, 2], [2, 2, 3, 3], [3, 3, 255, 255]], dtype=torch.uint8)
    data = ImageArray(pixels.view(1, 1, 4, 4), None, None, "halves")
    (means,) = block_means(data, side=2)
    assert means.tolist() == [[[[0, 2], [2, 129]]]]  # 0.5, 1.5, 2.5, 129


def test_the_largest_blocks_are_exact() -> None:
    pixels = torch.full((1, 1, 1024, 1024), 255, dtype=torch.uint8)
    pixels[..., :256, :256] = torch.arange(256, dtype=torch.uint8)
    pixels[..., :256, 128] += 1  # mean 127.5 + 1/256: not a half
    (means,) = block_means(ImageArray(pixels, None, None, "large"), side=4)
    assert means[0, 0, 0].tolist() == [128, 255, 255, 255]


def test_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    data = images(7)
    whole = np.concatenate(list(block_means(data, side=8)))
    monkeypatch.setattr("zoo.data.growing.CHUNK", 3 * data.images[0].numel())
    chunks = list(block_means(data, side=8))
    assert [len(chunk) for chunk in chunks] == [3, 3, 1]
    assert np.array_equal(np.concatenate(chunks), whole)


def test_levels_are_made_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path))
    first = pyramid(images(), start=4, final=16)
    assert len(list((cache_dir() / "images").glob("pyramid-*.images.npy"))) == 2
    monkeypatch.setattr("zoo.data.growing.block_means", lambda *_, **__: pytest.fail("computed again"))
    second = pyramid(images(), start=4, final=16)
    assert all(torch.equal(first[side].images, second[side].images) for side in (4, 8))
    assert first[4].fingerprint == second[4].fingerprint != first[8].fingerprint
    with pytest.raises(pytest.fail.Exception):
        pyramid(images(9), start=4, final=16)  # other images have an entry of their own


def test_batches_are_those_of_the_plain_stream_made_smaller() -> None:
    data = images()
    levels = pyramid(data, start=4, final=16)
    stream = GrowingStream(data, growth=GROWTH, seed=3, horizontal_flip=True)
    plain = ImageStream(data, batch_size=1, seed=3, horizontal_flip=True)
    seen, expected = 0, borders(80)
    while seen < 80:
        stream.position = lambda at=seen: at
        for x, y in stream:
            stage = GROWTH.at(seen)
            assert seen == expected.pop(0)
            assert x.shape == (stage.batch_size, 2, stage.resolution, stage.resolution)
            assert x.dtype == torch.uint8
            for i in range(len(x)):
                own, label = plain.batch(seen + i)
                assert int(label) == int(y[i])
                small = levels[stage.resolution].images[int(y[i])]
                mirrored = not torch.equal(own[0], data.images[int(y[i])])
                assert torch.equal(x[i], small.flip(-1) if mirrored else small)
            seen += len(x)
    assert not expected


def test_an_iteration_is_the_rest_of_a_pass() -> None:
    data = images(10)
    stream = GrowingStream(data, growth=GROWTH)
    for position in range(0, 70):
        stream.position = lambda at=position: at
        at = position
        for x, _ in stream:
            assert at // 10 == position // 10  # each batch begins within the pass
            at += len(x)
        assert at // 10 > position // 10
    assert not hasattr(stream, "__len__")


def test_the_position_is_read_once() -> None:
    reads: list[int] = []
    stream = GrowingStream(images(30), growth=GROWTH, position=lambda: (reads.append(1), 1000 * (len(reads) - 1))[1])
    assert [len(x) for x, _ in stream] == [6, 6, 6, 6, 4, 4]  # 0 6 12 18 | 24 28; the fade begins after image 20
    assert reads == [1]


def test_a_batch_belongs_to_the_stage_of_its_first_image() -> None:
    stream = GrowingStream(images(100), growth=GROWTH)
    shapes = [tuple(x.shape[::3]) for x, _ in stream]
    assert shapes[:4] == [(6, 4)] * 4  # image 18 is in the 4x4 stage, and with it 20 to 23
    assert shapes[4:11] == [(4, 8)] * 7  # 24, 28, ..., 48: with it 51, which would be in the 16x16 stage
    assert shapes[11:13] == [(2, 16)] * 2


@pytest.mark.parametrize("start", [0, 7, 18, 24, 44, 52])
def test_devices_share_one_run(start: int) -> None:
    data = images()
    whole = list(GrowingStream(data, growth=GROWTH, horizontal_flip=True, position=lambda: start))
    ranks = [
        list(GrowingStream(data, growth=GROWTH, horizontal_flip=True, rank=r, world_size=2, position=lambda: start))
        for r in (0, 1)
    ]
    assert len(whole) == len(ranks[0]) == len(ranks[1])
    for k, (x, y) in enumerate(whole):
        for rank in (0, 1):
            assert torch.equal(ranks[rank][k][0], x[rank::2])
            assert torch.equal(ranks[rank][k][1], y[rank::2])


def test_unlabelled_data() -> None:
    x, y = next(iter(GrowingStream(images(labelled=False), growth=GROWTH)))
    assert x.shape == (6, 2, 4, 4)
    assert y is None


def test_bad_settings() -> None:
    with pytest.raises(DataError, match=r"batch_size=2 .*number of devices, 4"):
        GrowingStream(images(), growth=GrowthSchedule(16, batch_sizes={4: 8, 16: 2}), world_size=4)
    with pytest.raises(DataError, match=r"images are 16x16, but the network grows to 32x32.*data\.resolution"):
        GrowingStream(images(), growth=GrowthSchedule(32))
    with pytest.raises(DataError, match="position in the data is -1"):
        iter(GrowingStream(images(), growth=GROWTH, position=lambda: -1))


def test_the_data_module_grows_with_the_module() -> None:
    data = Digits(resolution=32, batch_size=64, train_images=1_000, seed=4, horizontal_flip=True)
    growth = GrowthSchedule(32, stabilise_images=20, fade_images=10, batch_sizes={4: 8})
    module = SimpleNamespace(growth=growth, images_seen=30)
    trainer = SimpleNamespace(lightning_module=module, global_rank=1, world_size=2, training=True)
    data.trainer = trainer
    data.prepare_data()
    stream = data.train_dataloader()
    assert isinstance(stream, GrowingStream)
    x, y = next(iter(stream))
    expected = GrowingStream(
        data.split("train"), growth=growth, seed=4, horizontal_flip=True, rank=1, world_size=2, position=lambda: 30
    )
    x_expected, y_expected = next(iter(expected))
    assert torch.equal(x, x_expected)
    assert torch.equal(y, y_expected)
    assert x.shape == (4, 1, 8, 8)
    module.growth = None
    assert isinstance(data.train_dataloader(), ImageStream)
