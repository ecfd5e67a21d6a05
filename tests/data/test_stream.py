"""ImageStream against a slow reference: the run's images written out one by one."""

from collections import Counter

import numpy as np
import pytest
import torch

from zoo.data.arrays import ImageArray
from zoo.data.stream import ImageStream, epoch_flips, epoch_order


def numbered(size: int) -> ImageArray:
    """Image k has the pixels [[k, k], [0, 255]] (so that a mirrored one differs) and the label k."""
    images = torch.zeros(size, 1, 2, 2, dtype=torch.uint8)
    images[:, 0, 0, :] = torch.arange(size, dtype=torch.uint8)[:, None]
    images[:, 0, 1, 1] = 255
    return ImageArray(images, torch.arange(size), None, "0" * 64)


def labels_of(stream: ImageStream) -> list[int]:
    return [int(label) for _, y in stream for label in y]


def reference(seed: int, size: int, first: int, count: int) -> list[int]:
    return [int(epoch_order(seed, i // size, size)[i % size]) for i in range(first, first + count)]


def test_batches_follow_the_definition() -> None:
    data = numbered(10)
    passes = []
    for position in (0, 9, 18, 27):  # 3 batches of 3 a pass: the last image of an epoch opens the next pass
        passes += labels_of(ImageStream(data, batch_size=3, seed=5, position=lambda p=position: p))
    assert passes == reference(5, 10, 0, 36)


@pytest.mark.parametrize("batch_size", [1, 3, 4, 10, 23])
def test_each_image_is_seen_exactly_once_per_epoch(batch_size: int) -> None:
    stream = ImageStream(numbered(10), batch_size=batch_size, seed=1)
    seen = [int(k) for p in range(0, 10 * batch_size, batch_size) for k in stream.batch(p)[1]]
    assert len(seen) == 10 * batch_size
    assert set(Counter(seen).values()) == {batch_size}
    assert all(sorted(seen[e * 10 : e * 10 + 10]) == list(range(10)) for e in range(batch_size))


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    orders = {tuple(epoch_order(seed, epoch, 50).tolist()) for seed in range(4) for epoch in range(4)}
    assert len(orders) == 16


def test_order_is_frozen() -> None:
    assert epoch_order(0, 0, 8).tolist() == [6, 3, 5, 0, 7, 2, 1, 4]
    assert epoch_order(3, 2, 8).tolist() == [1, 7, 0, 2, 4, 5, 6, 3]


@pytest.mark.parametrize("start", [0, 7, 12])
@pytest.mark.parametrize("flip", [False, True])
def test_devices_share_one_run(start: int, flip: bool) -> None:
    data = numbered(10)
    whole_x, whole_y = ImageStream(data, batch_size=6, horizontal_flip=flip).batch(start)
    for world in (2, 3):
        for rank in range(world):
            x, y = ImageStream(data, batch_size=6, horizontal_flip=flip, rank=rank, world_size=world).batch(start)
            assert torch.equal(y, whole_y[rank::world])
            assert torch.equal(x, whole_x[rank::world])


@pytest.mark.parametrize("position", range(0, 14))
def test_resumes_with_the_next_image(position: int) -> None:
    # Also where the position is no multiple of the batch (a checkpoint of a run with another batch size).
    stream = ImageStream(numbered(10), batch_size=4, seed=2, position=lambda: position)
    seen = labels_of(stream)
    assert seen == reference(2, 10, position, len(seen))
    assert len(stream) == 2
    assert len(seen) == 4 * (2 - (position // 4) % 2)


def test_a_resumed_pass_ends_where_the_uninterrupted_one_does() -> None:
    data = numbered(13)
    whole = labels_of(ImageStream(data, batch_size=3, position=lambda: 12))
    for done in range(4):
        rest = labels_of(ImageStream(data, batch_size=3, position=lambda done=done: 12 + 3 * done))
        assert rest == whole[3 * done :]


def test_position_is_read_once_when_iteration_begins() -> None:
    counter = {"images": 0, "reads": 0}

    def position() -> int:
        counter["reads"] += 1
        return counter["images"]

    iterator = iter(ImageStream(numbered(12), batch_size=3, position=position))
    seen = []
    for _, y in iterator:
        seen += y.tolist()
        counter["images"] += 1000  # a counter that runs ahead or behind must not matter
    assert counter["reads"] == 1
    assert seen == reference(0, 12, 0, 12)


def test_batch_larger_than_the_data_set() -> None:
    stream = ImageStream(numbered(3), batch_size=8)
    assert len(stream) == 1
    assert labels_of(stream) == reference(0, 3, 0, 8)


def test_pixels_are_untouched_without_flips() -> None:
    data = ImageArray(torch.randint(0, 256, (9, 3, 4, 5), dtype=torch.uint8), None, None, "")
    x, y = next(iter(ImageStream(data, batch_size=9)))
    assert y is None
    assert x.dtype == torch.uint8
    assert torch.equal(x, data.images[epoch_order(0, 0, 9)])
    x.zero_()
    assert data.images.any()  # a batch is a copy


def test_flips_are_a_function_of_seed_epoch_and_image() -> None:
    data = numbered(200)
    stream = ImageStream(data, batch_size=64, seed=7, horizontal_flip=True)
    for start in (0, 150, 390):
        x, y = stream.batch(start)
        for offset in range(64):
            image = int(y[offset])
            mirrored = bool(epoch_flips(7, (start + offset) // 200, 200)[image])
            expected = data.images[image].flip(-1) if mirrored else data.images[image]
            assert torch.equal(x[offset], expected)
    # Every image is mirrored in some epochs and not in others, in about half of all cases.
    flips = np.stack([epoch_flips(7, epoch, 200) for epoch in range(40)])
    assert 0.48 < flips.mean() < 0.52
    assert flips.mean(0).min() > 0.1
    assert flips.mean(0).max() < 0.9


def test_a_seed_gives_the_same_order_with_and_without_flips() -> None:
    data = numbered(10)
    assert labels_of(ImageStream(data, batch_size=5)) == labels_of(
        ImageStream(data, batch_size=5, horizontal_flip=True)
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"batch_size": 8, "world_size": 3}, "batch_size=8.*number of devices, 3"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"batch_size": 4, "rank": 2, "world_size": 2}, "rank=2"),
        ({"batch_size": 4, "seed": -1}, "seed=-1"),
    ],
)
def test_bad_arguments(arguments: dict[str, int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ImageStream(numbered(10), **arguments)


def test_negative_position() -> None:
    with pytest.raises(ValueError, match="position in the data is -1"):
        iter(ImageStream(numbered(10), batch_size=2, position=lambda: -1))


def test_empty_data() -> None:
    with pytest.raises(ValueError, match="no images"):
        ImageStream(numbered(0), batch_size=2)
