import copy
import hashlib
import json
import os

import pytest
import torch

from zoo.commands.train_lenet.training import write
from zoo.commands.train_resnet import training
from zoo.commands.train_resnet.training import Kept, accuracy, augment, cut_out, fit, in_half_precision, move, one_cycle
from zoo.errors import CheckpointError, WeightsError
from zoo.metrics import ResNetExtractor
from zoo.metrics.resnet import SHIPPED_SHA256, WEIGHTS, ResNet, to_resnet_input


def blocks(n, *, seed):
    """Images of ten classes that differ in where a bright block stands and in its colour."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(10, (n,), generator=generator)
    images = torch.randint(0, 90, (n, 3, 32, 32), generator=generator)
    for image, label in zip(images, labels.tolist(), strict=True):
        top = 6 * (label % 5)
        image[label // 5, top : top + 8] += 150
    return images.to(torch.uint8), labels


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    images, labels = blocks(768, seed=0)
    net = fit(images, labels, seed=3, epochs=2, width=4)
    exact = copy.deepcopy(net.state_dict())
    file = tmp_path_factory.mktemp("resnet") / "resnet.safetensors"
    write(in_half_precision(net), file, card={"width": 4, "test_accuracy": 0.5})
    return net, file, exact


def test_learns_reproducibly_and_leaves_the_random_state_alone(trained):
    images, labels = blocks(768, seed=0)
    state = torch.get_rng_state()
    twin = fit(images, labels, seed=3, epochs=2, width=4)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(twin.parameters(), trained[0].parameters(), strict=True))
    assert not twin.training
    assert accuracy(trained[0], *blocks(300, seed=1)) > 0.5


def test_an_interrupted_training_goes_on_to_the_same_bits(trained, tmp_path, monkeypatch):
    images, labels = blocks(768, seed=0)
    kept = Kept(tmp_path / "state.resume", run={"seed": 3})

    def interrupted(net, optimizer, *, epoch):
        Kept.save(kept, net, optimizer, epoch=epoch)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(kept, "save", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fit(images, labels, seed=3, epochs=2, width=4, kept=kept)
    steps = []
    step = training._step
    monkeypatch.setattr(training, "_step", lambda *arguments: steps.append(1) or step(*arguments))
    again = fit(images, labels, seed=3, epochs=2, width=4, kept=kept)
    assert len(steps) == 768 // 128
    assert all(torch.equal(v, again.state_dict()[k]) for k, v in trained[2].items())
    with pytest.raises(CheckpointError, match=r"not \{'seed': 4\}; delete it"):
        fit(images, labels, seed=4, epochs=2, width=4, kept=Kept(kept.file, run={"seed": 4}))
    kept.file.write_bytes(kept.file.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="damaged; delete it"):
        fit(images, labels, seed=3, epochs=2, width=4, kept=kept)


def test_extractor_gives_the_networks_features_from_half_precision(trained):
    net, file, _ = trained
    extractor = ResNetExtractor(file)
    images, _ = blocks(60, seed=2)
    with torch.no_grad():
        expected = net.half().float()(to_resnet_input(images))
    result = extractor(images)
    assert result.features.shape == (60, extractor.dim) == (60, 32)
    assert torch.allclose(result.features, expected.features, rtol=1e-3, atol=1e-4)
    assert torch.allclose(result.logits, expected.logits, rtol=1e-3, atol=1e-3)
    assert torch.allclose(extractor(images[:7]).features, result.features[:7], rtol=1e-4, atol=1e-5)
    assert extractor.name == f"resnet-{extractor.sha256[:8]}"
    assert extractor(images[:2, :1, :20, :24]).features.isfinite().all()


def test_the_shipped_network_is_small_and_named_by_its_kind():
    shipped = ResNetExtractor()
    assert shipped.name == "resnet"
    assert shipped.sha256 == SHIPPED_SHA256 == shipped.card["sha256"]
    assert shipped.card["test_accuracy"] >= 0.9
    assert WEIGHTS.stat().st_size < 5e6
    assert shipped.dim == ResNet().dim == 256


@pytest.mark.skipif("ZOO_DATA" not in os.environ, reason="needs CIFAR-10 (ZOO_DATA)")
def test_the_shipped_network_knows_cifar10():
    from zoo.data import CIFAR10

    test = CIFAR10(root=os.environ["ZOO_DATA"]).split("test")
    assert accuracy(ResNetExtractor().net, test.images[:1000], test.labels[:1000]) > 0.87  # 3 standard errors below


def test_refining_goes_on_from_trained_weights_and_averages_them(trained, monkeypatch):
    images, labels = blocks(768, seed=0)
    seen, moved = [], []
    step, move = training._step, training.move
    monkeypatch.setattr(training, "_step", lambda net, optimizer, x, y: seen.append(x) or step(net, optimizer, x, y))
    monkeypatch.setattr(training, "move", lambda *nets, share: moved.append(share) or move(*nets, share=share))
    start = copy.deepcopy(trained[0])
    refined = fit(images, labels, seed=3, epochs=1, width=4, start=start)
    assert moved == pytest.approx([0.002] * 6)
    pairs = zip(refined.parameters(), start.parameters(), strict=True)
    distance = max(float((a - b).detach().abs().max()) for a, b in pairs)
    assert 0 < distance < 0.02  # six steps of which a five-hundredth each counts
    assert all(torch.equal(a, b) for a, b in zip(start.parameters(), trained[0].parameters(), strict=True))
    border = torch.stack(seen).flatten(0, 1)
    assert not (border == 0).all(dim=1).flatten(1).any()  # no hole, which would be a square of zeros


def test_the_average_moves_by_its_share():
    mean, net = ResNet(4), ResNet(4)
    expected = [0.75 * a + 0.25 * b for a, b in zip(mean.parameters(), net.parameters(), strict=True)]
    move(mean, net, share=0.25)
    for value, wanted in zip(mean.parameters(), expected, strict=True):
        torch.testing.assert_close(value, wanted)


def test_input_is_normalised_resized_and_tiled():
    flat = torch.full((1, 1, 40, 40), 200, dtype=torch.uint8)
    x = to_resnet_input(flat)
    assert x.shape == (1, 3, 32, 32)
    assert x[0, :, 5, 5].tolist() == pytest.approx([74.7 / 63, 77 / 62.1, 86.1 / 66.7], rel=1e-5)


def test_augmentation_moves_by_four_pixels_at_most_and_mirrors():
    x = torch.arange(32 * 32).view(1, 1, 32, 32).expand(400, 3, 32, 32).float()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        y = augment(x)
    rows, columns = (y[:, 0] // 32), (y[:, 0] % 32)
    # The middle pixel, which no mirrored edge reaches: moved by -4 .. 4, mirrored or not.
    assert set((rows[:, 16, 16] - 16).int().tolist()) == set(range(-4, 5))
    direction = columns[:, 16, 17] - columns[:, 16, 16]
    assert 120 < int((direction == 1).sum()) < 280
    assert int((direction.abs() == 1).sum()) == 400
    plain = direction == 1
    assert set((columns[plain, 16, 16] - 16).int().tolist()) == set(range(-4, 5))
    assert set((columns[~plain, 16, 16] - 15).int().tolist()) == set(range(-4, 5))


def test_holes_are_of_ten_pixels_and_anywhere():
    x = torch.ones(400, 3, 32, 32)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        hole = cut_out(x) == 0
    assert torch.equal(hole[:, 0], hole[:, 2])
    for side in (hole[:, 0].any(dim=1), hole[:, 0].any(dim=2)):  # which columns, which rows
        count = side.sum(dim=1)
        assert int(count.max()) == 10
        assert int(count.min()) >= 5
        assert torch.equal(
            hole[:, 0].sum(dim=(1, 2)), hole[:, 0].any(dim=1).sum(dim=1) * hole[:, 0].any(dim=2).sum(dim=1)
        )
        assert side.double().mean(dim=0).min() > 0.1
        assert int((side.int().diff(dim=1) == 1).sum(dim=1).max()) <= 1  # one piece


def test_one_cycle_rises_and_falls_to_0():
    assert [one_cycle(p) for p in (0, 0.125, 0.25, 0.625, 1)] == pytest.approx([0, 0.5, 1, 0.5, 0])


def test_damaged_and_missing_files(trained, tmp_path):
    with pytest.raises(WeightsError, match=r"missing; reinstall the package, or train it with"):
        ResNetExtractor(tmp_path / "absent.safetensors")
    file = tmp_path / "resnet.safetensors"
    file.write_bytes(trained[1].read_bytes()[:-1])
    card = trained[1].with_suffix(".json").read_text()
    file.with_suffix(".json").write_text(card)
    with pytest.raises(WeightsError, match="sha256"):
        ResNetExtractor(file)
    other = ResNet(4)
    del other.trunk[3]
    write(in_half_precision(other), file, card={"width": 4})
    with pytest.raises(WeightsError, match="another network"):
        ResNetExtractor(file)
    file.write_bytes(b"hello")
    file.with_suffix(".json").write_text(json.dumps({"sha256": hashlib.sha256(b"hello").hexdigest(), "width": 4}))
    with pytest.raises(WeightsError, match="no safetensors file"):
        ResNetExtractor(file)
    file.with_suffix(".json").write_text(json.dumps({"sha256": hashlib.sha256(b"hello").hexdigest()}))
    with pytest.raises(WeightsError, match="no card"):
        ResNetExtractor(file)
