"""What InfoGAN is measured by: errors of its code, the information that images tell of it, traversals."""

import copy
import itertools
import math
from typing import Any

import pytest
import torch
from infogan_toys import Images16, small, spread_weights
from torch import Tensor, nn

from zoo.experiments import infogan
from zoo.experiments.infogan import (
    code_errors,
    estimate_information,
    even_blocks,
    measure,
    measure_readings,
    predict_codes,
    traversals,
)
from zoo.models.infogan import InfoGAN
from zoo.models.networks.infogan import CodeLayout, Codes


def brute_force(predicted: list[int], labels: list[int], k: int) -> float:
    """Smallest error over all one-to-one matchings."""
    return min(
        sum(matching[p] != y for p, y in zip(predicted, labels, strict=True)) / len(labels)
        for matching in itertools.permutations(range(k))
    )


def test_code_errors_against_all_matchings() -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(10):
        predicted, labels = (torch.randint(5, (23,), generator=generator) for _ in range(2))
        one_to_one, majority = code_errors(predicted, labels, categories=5, classes=5)
        assert one_to_one == pytest.approx(brute_force(predicted.tolist(), labels.tolist(), 5))
        best = sum(max(sum((predicted == p) & (labels == y)).item() for y in range(5)) for p in range(5))
        assert majority == pytest.approx(1 - best / 23)
        assert majority <= one_to_one + 1e-9


def test_code_errors_by_hand() -> None:
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    assert code_errors(torch.tensor([2, 2, 0, 0, 1, 1]), labels, categories=3, classes=3) == (0, 0)
    one_to_one, majority = code_errors(torch.tensor([0, 1, 2, 2, 2, 2]), labels, categories=3, classes=3)
    assert one_to_one == pytest.approx(3 / 6)  # 0 -> 0, 2 -> 1 (or 2); the other 0 and two of four have no category
    assert majority == pytest.approx(2 / 6)  # 0 and 1 both become class 0
    assert code_errors(torch.zeros(6, dtype=torch.int64), labels, categories=3, classes=3)[0] == pytest.approx(4 / 6)


class Oracle(nn.Module):
    """Reads the codes from "images" that are latents, with the given certainty."""

    def __init__(self, layout: CodeLayout, certainty: float) -> None:
        super().__init__()
        self.layout, self.certainty = layout, certainty

    def with_codes(self, z: Tensor) -> tuple[Tensor, Codes]:
        codes = self.layout.codes_of(z)
        return z[:, :1], Codes(self.certainty * codes.categorical, codes.continuous, torch.zeros_like(codes.continuous))


@pytest.mark.parametrize(("certainty", "expected"), [(100.0, 2 * math.log(3)), (0.0, 0.0)])
def test_estimate_of_the_information(certainty: float, expected: float) -> None:
    module = small()
    module.G = nn.Identity()
    del module.D
    module.D = Oracle(module.layout, certainty)
    values = estimate_information(module, seed=0, n=2_000)
    assert values["mutual_information_categorical"] == pytest.approx(expected, abs=1e-5)
    assert values["mutual_information"] == pytest.approx(expected + 2 * math.log(2) - math.log(2 * math.pi), abs=1e-5)


def test_measures_leave_the_module_as_it_was_and_repeat() -> None:
    module, data = small(), Images16()
    before = copy.deepcopy(module.state_dict())
    a = estimate_information(module, seed=3, n=200, block=100)
    assert a == estimate_information(module, seed=3, n=200, block=100)
    assert a != estimate_information(module, seed=4, n=200, block=100)
    images = data.array.images
    codes = predict_codes(module, images, reference=images)
    assert torch.equal(codes[:7], predict_codes(module, images[:7], reference=images))  # whatever the neighbours
    assert set(codes.tolist()) <= {0, 1, 2}
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert module.training
    assert module.D.Q[1].training


def test_measures_of_labelled_and_unlabelled_data(monkeypatch: pytest.MonkeyPatch) -> None:
    module, data = small(), Images16()
    seen: dict[str, Any] = {}

    def predict(module: InfoGAN, images: Tensor, *, reference: Tensor) -> Tensor:
        seen["images"] = images
        labels: Any = data.array.labels
        return (labels + 1) % 3  # a perfect Q, up to the names of its categories

    monkeypatch.setattr(infogan, "predict_codes", predict)
    information = {"mutual_information": 1.0}
    monkeypatch.setattr(infogan, "estimate_information", lambda module, *, seed: information)
    values, protocol = measure(module, data, seed=2)
    assert values == {"mutual_information": 1.0, "code_error": 0.0, "code_error_majority": 0.0}
    assert seen["images"] is data.split("test").images
    assert protocol["seed"] == 2
    monkeypatch.setattr(Images16, "labelled_classes", None)
    assert measure(module, data, seed=2).values == information


def test_errors_by_batchnorm_statistics_and_the_classes_that_have_a_category(monkeypatch: pytest.MonkeyPatch) -> None:
    module, data = small(), Images16()
    labels: Any = data.array.labels
    read: dict[str, Tensor] = {
        "running": labels,
        "batch": torch.where(torch.arange(40) < 10, (labels + 1) % 3, labels),
        "reestimated": labels.clamp(max=1),  # category 2 stays empty, classes 1 and 2 (13 of each) share category 1
    }
    seen = []

    def predict(module: InfoGAN, images: Tensor, *, reference: Tensor, mode: str = "reestimated", **_: int) -> Tensor:
        seen.append(mode)
        return read[mode]

    monkeypatch.setattr(infogan, "predict_codes", predict)
    values, protocol = measure_readings(module, data, seed=0)
    assert values == {"code_error_running": 0.0, "code_error_batch": 0.25, "code_classes": 2.0}
    assert sorted(seen) == ["batch", "reestimated", "running"]
    assert protocol["n_real"] == 40
    monkeypatch.setattr(Images16, "labelled_classes", None)
    assert measure_readings(module, data, seed=0).values == {}


def test_statistics_of_batches_are_not_those_of_the_training() -> None:
    module, images = small(), Images16().array.images
    module.D.trunk.train()
    for _ in range(3):
        module.D(module.preprocess(images[:8]).mul(3))
    spread_weights(module)
    running, batch, again = (
        predict_codes(module, images, reference=images, mode=mode, block=10) for mode in ("running", "batch", "batch")
    )
    assert torch.equal(batch, again)
    assert not torch.equal(running, batch)
    first = predict_codes(module, images[:10], reference=images, mode="batch", block=10)
    assert torch.equal(first, batch[:10])  # each block is read on its own


def test_no_block_is_a_single_image() -> None:
    """BatchNorm refuses one: a folder of 501 training images, or of 126 test images, could not be measured."""
    module, images = small(), Images16().array.images
    assert len(predict_codes(module, images, reference=images[:21], block=20)) == 40
    assert len(predict_codes(module, images[:21], reference=images, mode="batch", block=20)) == 21
    assert [len(block) for block in even_blocks(images, 25)] == [20, 20]


def test_traversals_change_one_code_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    module = small()
    monkeypatch.setattr(module, "generate", lambda z, y: z)
    grids = traversals(module)
    assert list(grids) == ["c1", "c2", "c3", "c4"]
    places = {"c1": slice(6, 9), "c2": slice(9, 12), "c3": slice(12, 13), "c4": slice(13, 14)}
    for name, grid in grids.items():
        place = places[name]
        others = torch.ones(14, dtype=torch.bool)
        others[place] = False
        assert (grid[:, :, others] == grid[:, :1, others]).all()
        assert not torch.equal(grid[0, 0, others], grid[1, 0, others])
        varied = torch.eye(3) if name in ("c1", "c2") else torch.linspace(-2, 2, 10)[:, None]
        torch.testing.assert_close(grid[:, :, place], varied.expand(5, -1, -1))
