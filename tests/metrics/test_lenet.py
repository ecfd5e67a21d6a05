import hashlib
import json
import os
import shutil

import pytest
import torch

from zoo.commands.train_lenet.training import accuracy, fit, shift, write
from zoo.data import MNIST, Digits
from zoo.errors import WeightsError
from zoo.metrics import LeNetExtractor
from zoo.metrics.lenet import SHIPPED_SHA256, WEIGHTS, to_lenet_input
from zoo.metrics.resnet import WEIGHTS as RESNET


@pytest.fixture(scope="module")
def lenet():
    return LeNetExtractor()


@pytest.fixture(scope="module")
def digits():
    return Digits().split("train")


@pytest.mark.skipif("ZOO_DATA" not in os.environ, reason="ZOO_DATA names no data folder")
def test_accuracy_on_mnists_test_images_is_the_cards(lenet):
    test = MNIST(root=os.environ["ZOO_DATA"], download=False).split("test")
    right = (lenet(test.images).logits.argmax(dim=1) == test.labels).float().mean()
    assert float(right) >= 0.99
    assert float(right) == pytest.approx(lenet.card["test_accuracy"], abs=2e-4)


def test_accuracy_on_the_embedded_digits(lenet, digits):
    right = (lenet(digits.images).logits.argmax(dim=1) == digits.labels).float().mean()
    assert float(right) >= 0.99
    assert WEIGHTS.stat().st_size < 2_000_000


def test_features_have_the_promised_shapes_and_do_not_depend_on_the_batch(lenet, digits):
    features, logits = lenet(digits.images[:600])
    assert features.shape == (600, lenet.dim) == (600, 128)
    assert logits.shape == (600, lenet.num_classes) == (600, 10)
    assert features.dtype == logits.dtype == torch.float32
    one = lenet(digits.images[300:301])
    assert torch.allclose(one.features[0], features[300], rtol=1e-4, atol=1e-4)
    assert features.std(dim=0).gt(0).float().mean() > 0.9  # few dead features


def test_card_and_name(lenet):
    assert lenet.name == "lenet"
    assert lenet.sha256 == SHIPPED_SHA256 == lenet.card["sha256"]
    assert {"seed", "epochs", "command", "torch", "test_accuracy"} <= set(lenet.card)


def test_input_is_padded_resized_and_greyed(lenet, digits):
    x = digits.images[:4]
    small = to_lenet_input(x)
    assert small.shape == (4, 1, 32, 32)
    assert torch.equal((small * 255).round().to(torch.uint8)[:, :, 2:-2, 2:-2], x)
    assert float(small[:, :, :2].abs().sum() + small[:, :, :, 30:].abs().sum()) == 0
    assert torch.equal(to_lenet_input(x.expand(-1, 3, -1, -1)), small)
    red = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    red[:, 0] = 255
    assert torch.allclose(to_lenet_input(red), torch.full((1, 1, 32, 32), 0.299))
    assert torch.allclose(to_lenet_input(torch.full((1, 1, 64, 48), 51, dtype=torch.uint8)), torch.tensor(0.2))


def test_damaged_missing_and_foreign_weights(tmp_path, lenet):
    copy = tmp_path / "lenet.safetensors"
    with pytest.raises(WeightsError, match=str(copy)):
        LeNetExtractor(copy)
    shutil.copy(WEIGHTS, copy)
    with pytest.raises(WeightsError, match=r"lenet\.json is missing"):
        LeNetExtractor(copy)
    shutil.copy(WEIGHTS.with_suffix(".json"), tmp_path)
    assert LeNetExtractor(copy).name == "lenet"
    blob = bytearray(copy.read_bytes())
    blob[-1] ^= 1
    copy.write_bytes(blob)
    with pytest.raises(WeightsError, match="damaged"):
        LeNetExtractor(copy)
    for card in ("", '{"sha256": "e4', "[1]", "7"):
        copy.with_suffix(".json").write_text(card)
        with pytest.raises(WeightsError, match=r"lenet\.json is no card"):
            LeNetExtractor(copy)
    copy.with_suffix(".json").write_text("{}")
    with pytest.raises(WeightsError, match=r"lenet\.json says None"):
        LeNetExtractor(copy)


@pytest.mark.parametrize("content", ["text", "weights"])
def test_a_whole_file_of_something_else_is_named(tmp_path, content):
    blob = b"hello" if content == "text" else RESNET.read_bytes()
    file = tmp_path / "other.safetensors"
    file.write_bytes(blob)
    file.with_suffix(".json").write_text(json.dumps({"sha256": hashlib.sha256(blob).hexdigest()}))
    with pytest.raises(WeightsError, match="no safetensors file" if content == "text" else "another network"):
        LeNetExtractor(file)


def test_training_learns_reproducibly_and_writes_a_loadable_pair(tmp_path, digits):
    images, labels = digits.images[:3000], digits.labels[:3000]
    state = torch.get_rng_state()
    net, twin = (fit(images, labels, seed=4, epochs=1) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), twin.parameters(), strict=True))
    right = accuracy(net, digits.images[3000:], digits.labels[3000:])
    assert 0.7 < right < 1
    out = tmp_path / "new" / "net.safetensors"
    write(net.state_dict(), out, card={"test_accuracy": right})
    extractor = LeNetExtractor(out)
    assert extractor.name == f"lenet-{extractor.sha256[:8]}"
    assert sorted(f.name for f in out.parent.iterdir()) == ["net.json", "net.safetensors"]
    assert json.loads(out.with_suffix(".json").read_text())["test_accuracy"] == right
    predicted = extractor(digits.images[3000:]).logits.argmax(dim=1)
    assert float((predicted == digits.labels[3000:]).float().mean()) == pytest.approx(right, abs=1e-3)


def test_shift_moves_by_two_pixels_at_most():
    torch.manual_seed(0)
    x = torch.zeros(400, 1, 32, 32)
    x[:, :, 10, 20] = 1
    moved = shift(x)
    assert moved.shape == x.shape
    where = moved.nonzero()
    assert len(where) == 400
    assert set(where[:, 2].tolist()) == {8, 9, 10, 11, 12}
    assert set(where[:, 3].tolist()) == {18, 19, 20, 21, 22}
