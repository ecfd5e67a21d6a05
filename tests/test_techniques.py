"""The six techniques against slow computations; each of them switched on in DCGAN, and resumed to the bit."""

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor, nn
from toys import fit, same, state_of

from zoo.data import Digits
from zoo.models.dcgan import DCGAN
from zoo.models.improved_gan import Techniques
from zoo.models.trained import current_settings, load_module
from zoo.nn.losses import bce_discriminator_loss, feature_matching_loss
from zoo.nn.techniques import (
    HistoricalAverage,
    MinibatchDiscrimination,
    VirtualBatchNorm,
    WithReference,
    with_minibatch_discrimination,
    with_virtual_batchnorm,
)
from zoo.training import reproduce
from zoo.training.callbacks import CounterCheckpoint
from zoo.training.plan import inherited_settings
from zoo.training.recipes import Recipe

RECIPES = {
    "digits": Recipe(
        "tiny",
        {
            "model": {"network": "community", "resolution": 8, "channels": 1, "width": 4},
            "data": {"class_path": "zoo.data.Digits", "init_args": {"batch_size": 8, "resolution": 8}},
        },
    )
}
SWITCHES: dict[str, Any] = {
    "feature_matching": True,
    "minibatch_discrimination": True,
    "historical_averaging": 0.1,
    "label_smoothing": 0.9,
    "virtual_batchnorm": True,
    "instance_noise": 0.5,
}


def small(*, resolution: int = 8, **techniques: Any) -> DCGAN:
    return DCGAN(network="community", resolution=resolution, channels=1, width=4, z_dim=6, techniques=techniques)


# Losses.


@pytest.mark.parametrize("alpha", [0.7, 0.9, 1.0])
def test_smoothed_labels_by_hand(alpha: float) -> None:
    real, fake = [0.3, -1.2, 2.0], [0.5, -0.4]
    D = [1 / (1 + math.exp(-t)) for t in real]
    first = -sum(alpha * math.log(p) + (1 - alpha) * math.log(1 - p) for p in D) / 3
    second = -sum(math.log(1 - 1 / (1 + math.exp(-t))) for t in fake) / 2
    loss = bce_discriminator_loss(torch.tensor(real), torch.tensor(fake), real_label=alpha)
    assert loss.item() == pytest.approx(first + second, rel=1e-5)


def test_the_best_discriminator_under_smoothing_is_alpha_p_over_p_plus_q() -> None:
    """On four points with probabilities p and q (section 3.4), found by descent on the logits."""
    p, q = torch.tensor([0.5, 0.3, 0.2, 0.0]), torch.tensor([0.1, 0.3, 0.4, 0.2])
    logits = nn.Parameter(torch.zeros(4))
    optimizer = torch.optim.LBFGS([logits], max_iter=200)
    rows = [i for i, share in enumerate(p) for _ in range(round(10 * float(share)))]
    columns = [i for i, share in enumerate(q) for _ in range(round(10 * float(share)))]

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = bce_discriminator_loss(logits[rows], logits[columns], real_label=0.8)
        value.backward()
        return value

    optimizer.step(loss)
    torch.testing.assert_close(torch.sigmoid(logits).detach(), 0.8 * p / (p + q), atol=2e-3, rtol=0)


def test_feature_matching_against_a_slow_loop() -> None:
    real, fake = torch.randn(5, 2, 3, requires_grad=True), torch.randn(4, 2, 3, requires_grad=True)
    expected = 0.0
    for i in range(2):
        for j in range(3):
            expected += (sum(f[i, j].item() for f in real) / 5 - sum(f[i, j].item() for f in fake) / 4) ** 2
    loss = feature_matching_loss(real, fake)
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    loss.backward()
    assert real.grad is None
    assert fake.grad is not None


# Layers.


def test_minibatch_discrimination_against_a_slow_loop() -> None:
    layer = MinibatchDiscrimination(3, kernels=4, kernel_dim=2)
    f = torch.randn(5, 3)
    T = layer.T.detach()
    out = layer(f)
    assert torch.equal(out[:, :3], f)
    for i in range(5):
        for b in range(4):
            total = 0.0
            for j in range(5):
                if j != i:
                    difference = [float((f[i] - f[j]) @ T[:, b, c]) for c in range(2)]
                    total += math.exp(-sum(abs(d) for d in difference))
            assert out[i, 3 + b].item() == pytest.approx(total, rel=1e-4, abs=1e-6)


def test_closeness_of_a_collapsed_and_of_a_single_image() -> None:
    layer = MinibatchDiscrimination(7)
    collapsed = layer(torch.randn(1, 7).expand(6, 7))
    assert torch.equal(collapsed[:, 7:], torch.full((6, 100), 5.0))
    assert torch.equal(layer(torch.randn(1, 7))[:, 7:], torch.zeros(1, 100))


def test_where_minibatch_discrimination_stands() -> None:
    for module in (DCGAN(width=2), small()):
        assert isinstance(module.D, nn.Sequential)
        D = with_minibatch_discrimination(module.D)
        x = torch.randn(3, *module.image_shape)
        assert D(x).shape == (3, 1)
        hidden = module.D[:-1](x) if isinstance(module.D[-1], nn.Linear) else module.D[:-2](x)
        assert D[-2](hidden.flatten(1)).shape == (3, D[-1].in_features)
        assert D[-1].in_features == hidden[0].numel() + 100


@pytest.mark.parametrize("shape", [(6,), (6, 3, 5)])
def test_virtual_batchnorm_is_batchnorm_over_the_reference_and_the_example(shape: tuple[int, ...]) -> None:
    """BatchNorm in training mode on the R + 1 examples, one example at a time."""
    batchnorm: Any = (nn.BatchNorm1d if len(shape) == 1 else nn.BatchNorm2d)(6).train()
    nn.init.normal_(batchnorm.weight)
    nn.init.normal_(batchnorm.bias)
    layer = VirtualBatchNorm(6, reference=4)
    layer.weight, layer.bias = batchnorm.weight, batchnorm.bias
    reference, x = torch.randn(4, *shape), 3 * torch.randn(5, *shape) + 1
    out = layer(torch.cat([reference, x]))
    torch.testing.assert_close(out[:4], batchnorm(reference), atol=1e-5, rtol=1e-4)
    for i in range(5):
        expected = batchnorm(torch.cat([reference, x[i : i + 1]]))[-1]
        torch.testing.assert_close(out[4 + i], expected, atol=1e-5, rtol=1e-4)


def test_an_image_under_virtual_batchnorm_depends_on_its_own_latent_alone() -> None:
    torch.manual_seed(0)
    module = small(resolution=16, virtual_batchnorm=True)
    assert isinstance(module.G, WithReference)
    assert not any(isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) for layer in module.G.modules())
    assert any(isinstance(layer, nn.BatchNorm2d) for layer in module.D.modules())  # too dear for both players
    z = torch.randn(5, 6)
    for mode in (True, False):
        module.train(mode)
        torch.testing.assert_close(module.G(z)[2], module.G(z[2:3])[0], atol=1e-5, rtol=1e-4)
    plain = small(resolution=16).train()
    assert (plain.G(z)[2] - plain.G(z[[2, 3]])[0]).abs().max() > 1e-3  # BatchNorm couples them
    before = module.G(z)
    module.G.reference.mul_(2)
    assert not torch.allclose(before, module.G(z), atol=1e-4)


def test_virtual_batchnorm_takes_the_place_of_every_batchnorm() -> None:
    G = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Sequential(nn.ReLU(), nn.BatchNorm1d(3)))
    wrapped = with_virtual_batchnorm(G, torch.randn(4, 2))
    assert [type(layer).__name__ for layer in wrapped.modules() if list(layer.parameters(recurse=False))] == [
        "Linear",
        "VirtualBatchNorm",
        "VirtualBatchNorm",
    ]
    assert "reference" in wrapped.state_dict()


# Historical averaging and instance noise.


def test_historical_average_against_a_list_of_the_past() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 2), nn.BatchNorm2d(2)).to(memory_format=torch.channels_last)
    history = HistoricalAverage(net)
    past: list[list[float]] = []
    for step in range(5):
        theta = [value for parameter in net.parameters() for value in parameter.flatten().tolist()]
        if not past:
            assert history(net).item() == 0
        else:
            means = [sum(row[k] for row in past) / len(past) for k in range(len(theta))]
            cost = history(net)
            assert cost.item() == pytest.approx(sum((a - b) ** 2 for a, b in zip(theta, means, strict=True)), rel=1e-4)
            gradient = torch.cat([g.flatten() for g in torch.autograd.grad(cost, list(net.parameters()))])
            torch.testing.assert_close(gradient, 2 * (torch.tensor(theta) - torch.tensor(means)), atol=1e-5, rtol=1e-3)
        history.update(net)
        past.append(theta)
        with torch.no_grad():
            for parameter in net.parameters():
                parameter += torch.randn_like(parameter) * (step + 1)


def test_instance_noise_falls_linearly_to_nothing() -> None:
    techniques = Techniques(instance_noise=0.4, instance_noise_images=1_000)
    assert [techniques.sigma(n) for n in (0, 250, 1_000, 2_000)] == pytest.approx([0.4, 0.3, 0, 0])
    x = torch.full((50, 1, 20, 20), 0.25)
    noise = techniques.noisy(x, images_seen=500) - x
    assert noise.std().item() == pytest.approx(0.2, rel=0.03)
    assert noise.mean().item() == pytest.approx(0, abs=0.01)
    assert techniques.noisy(x, images_seen=1_000) is x
    assert Techniques().noisy(x, images_seen=0) is x


# In DCGAN.


@pytest.mark.parametrize("matching", [False, True])
def test_noise_is_on_all_that_d_sees(matching: bool) -> None:
    module = small(instance_noise=0.5, instance_noise_images=1_000, feature_matching=matching)
    clean: list[Tensor] = []
    seen: list[Tensor] = []
    module.G.register_forward_hook(lambda G, inputs, output: clean.append(output.detach()))
    module.D[0].register_forward_hook(lambda layer, inputs, output: seen.append(inputs[0].detach()))
    x = torch.zeros(40, 1, 8, 8)
    module.discriminator_loss(x, None)
    module.images_seen = 500
    module.generator_loss(x, None)
    shown = [x, clean[0], *([x] if matching else []), clean[1]]
    deviations = [(a - b).std().item() for a, b in zip(seen, shown, strict=True)]
    assert deviations == pytest.approx([0.5, 0.5, 0.25, 0.25][: len(shown)], rel=0.08)


def test_feature_matching_takes_the_place_of_g_s_loss() -> None:
    torch.manual_seed(0)
    module = small(feature_matching=True).train()
    x = torch.rand(6, 1, 8, 8)
    module.latent_generator.manual_seed(1)
    loss = module.generator_loss(x, None)
    fake = module.G(module.latents(6, generator=torch.Generator().manual_seed(1)))
    real_hidden, fake_hidden = (module.D[:2](part) for part in (x, fake))  # before the last convolution
    assert isinstance(module.D[2], nn.Conv2d)
    assert loss.item() == pytest.approx((real_hidden.mean(0) - fake_hidden.mean(0)).pow(2).sum().item(), rel=1e-4)


def test_each_player_pays_for_leaving_its_own_past() -> None:
    torch.manual_seed(0)
    module, x = small(historical_averaging=0.25), torch.rand(6, 1, 8, 8)
    plain = copy.deepcopy(module)
    plain.techniques = None
    module.after_discriminator_update()
    module.after_generator_update()
    with torch.no_grad():
        module.D[0].weight += 0.5  # 4 filters of 4x4
        next(iter(module.G.parameters())).sub_(1.0)
    plain.D.load_state_dict(module.D.state_dict())
    plain.G.load_state_dict(module.G.state_dict())
    moved = sum(0.25 for _ in module.D[0].weight.flatten()), next(iter(module.G.parameters())).numel()
    for player, distance in zip(("discriminator_loss", "generator_loss"), moved, strict=True):
        losses = []
        for each in (module, plain):
            each.latent_generator.manual_seed(2)
            losses.append(getattr(each, player)(x, None).item())
        assert losses[0] - losses[1] == pytest.approx(0.25 * distance, rel=1e-3)


def test_smoothing_reaches_the_discriminators_loss() -> None:
    torch.manual_seed(0)
    module, x = small(label_smoothing=0.8), torch.rand(6, 1, 8, 8)
    losses = []
    for target in (0.8, 1.0):
        assert module.techniques is not None
        module.techniques.real_label = target
        module.latent_generator.manual_seed(2)
        losses.append(module.discriminator_loss(x, None).item())
    assert losses[0] - losses[1] == pytest.approx(0.2 * module.D(x).mean().item(), rel=1e-3)


def test_switched_off_they_leave_no_trace() -> None:
    assert not any("techniques" in name for name in small().state_dict())
    assert small().techniques is None
    assert Techniques().historical_cost("D", nn.Linear(1, 1)) == 0
    assert set(small(historical_averaging=0.1).state_dict()) - set(small().state_dict()) == {
        f"techniques.history.{player}.{name}" for player in "DG" for name in ("average", "updates")
    }


@pytest.mark.parametrize("technique", [*SWITCHES, "all"])
def test_a_run_with_a_technique_resumes_to_the_bit(tmp_path: Path, technique: str) -> None:
    settings = SWITCHES if technique == "all" else {technique: SWITCHES[technique]}

    def part(folder: str, batches: int, *, resume: bool = False) -> DCGAN:
        torch.manual_seed(3)
        module = small(**settings, instance_noise_images=100)
        torch.manual_seed(77)  # another process has another global stream
        checkpoint = tmp_path / folder / "last.ckpt" if resume else None
        data: Any = Digits(batch_size=8, train_images=48, resolution=8)
        fit(module, CounterCheckpoint(tmp_path / folder), data=data, images=8 * batches, ckpt_path=checkpoint)
        return module

    whole = part("whole", 10)
    part("parts", 4)
    resumed = part("parts", 10, resume=True)
    assert same(state_of(tmp_path / "whole/last.ckpt"), state_of(tmp_path / "parts/last.ckpt"))
    assert torch.equal(whole.sample(3, seed=1), resumed.sample(3, seed=1))
    if technique in ("historical_averaging", "all"):
        assert whole.techniques is not None
        assert [int(history.updates) for history in whole.techniques.history.values()] == [10, 10]


def test_all_of_them_from_the_command_line(tmp_path: Path) -> None:
    options = [part for name, value in SWITCHES.items() for part in (f"--model.techniques.{name}", str(value).lower())]
    budget = ["--images", "24", "--run_dir", str(tmp_path / "run")]
    reproduce(DCGAN, RECIPES, arguments=["fit", *options, *budget])
    model = yaml.safe_load((tmp_path / "run/config.yaml").read_text())["model"]
    assert model["techniques"] == SWITCHES
    state = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)["state_dict"]
    assert {"G.reference", "techniques.history.D.average"} < set(state)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"label_smoothing": 0.1}, r"label_smoothing=0\.1 is D's target for reals"),
        ({"label_smoothing": 1.1}, "up to 1"),
        ({"historical_averaging": -0.1}, r"historical_averaging=-0\.1"),
        ({"instance_noise": -1.0}, r"instance_noise=-1\.0"),
        ({"instance_noise": 0.1, "instance_noise_images": 0}, "instance_noise_images=0 must be at least 1"),
    ],
)
def test_what_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DCGAN(network="faces64", width=2, techniques=settings)


def test_the_conditional_network_refuses_other_layers() -> None:
    with pytest.raises(ValueError, match=r"mnist_conditional.* has no feature_matching, virtual_batchnorm"):
        DCGAN(network="mnist_conditional", techniques={"feature_matching": True, "virtual_batchnorm": True})


def test_the_conditional_network_takes_the_other_techniques() -> None:
    techniques: Any = {"historical_averaging": 0.1, "label_smoothing": 0.9, "instance_noise": 0.1}
    module = DCGAN(network="mnist_conditional", techniques=techniques)
    x, y = torch.rand(4, 1, 28, 28), torch.tensor([0, 1, 2, 3])
    assert module.discriminator_loss(x, y).isfinite()
    assert module.generator_loss(x, y).isfinite()


def test_a_refusal_on_the_command_line_is_one_error(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    options = ["--model.techniques.label_smoothing", "0.1", "--run_dir", str(tmp_path / "run")]
    with pytest.raises(SystemExit):
        reproduce(DCGAN, RECIPES, arguments=["fit", *options])
    printed = capsys.readouterr().err
    assert printed.count("error:") == 1
    assert "label_smoothing=0.1 is D's target for reals" in printed
    assert not (tmp_path / "run").exists()


# Constructor arguments of earlier versions.


def test_settings_of_earlier_versions_make_the_same_module(tmp_path: Path) -> None:
    """The techniques were arguments of DCGAN's own; a checkpoint of then is loaded, and so is a config.yaml."""
    torch.manual_seed(0)
    module = small(**SWITCHES)
    known = {name: value for name, value in module.hparams.items() if name != "techniques"}
    old = {**known, **SWITCHES, "instance_noise_images": 100_000, "_instantiator": "lightning"}
    assert current_settings("dcgan", old) == {**known, "techniques": {**SWITCHES, "instance_noise_images": 100_000}}
    content: dict[str, Any] = {"pytorch-lightning_version": "2.6.6", "state_dict": module.state_dict()}
    module.on_save_checkpoint(content)
    torch.save({**content, "hyper_parameters": old}, tmp_path / "old.ckpt")
    loaded = load_module(tmp_path / "old.ckpt", models={"dcgan": DCGAN})
    assert same(loaded.state_dict(), module.state_dict())
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"model": old, "images": 3}))
    assert inherited_settings(tmp_path / "config.yaml", paper="dcgan")["model"] == current_settings("dcgan", old)


@pytest.mark.parametrize("off", [{}, {name: type(value)() for name, value in SWITCHES.items()}])
def test_settings_without_techniques_stay_without(off: dict[str, Any]) -> None:
    old = {"network": "community", **off, "label_smoothing": None, "instance_noise_images": 100_000}
    assert current_settings("dcgan", old) == {"network": "community"}
    assert current_settings("gan", {"feature_matching": 1}) == {"feature_matching": 1}  # no other paper's
