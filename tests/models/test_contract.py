"""The contract of a paper's file: its page's example runs, and every paper keeps it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from pages import ROOT, blocks
from registry import small_data, small_model
from toys import Recorder, fit, same, state_of

from zoo.data import CIFAR10
from zoo.errors import UnsupportedSettingError
from zoo.models import MODELS, AdversarialModule
from zoo.training.callbacks import CounterCheckpoint

PAGE = ROOT / "zoo/models/README.md"
LOOPS = {"gan": "training_step", "pggan": "training_step"}  # both move from one set of gradients


def test_the_example_of_the_page_trains_resumes_and_samples(tmp_path: Path) -> None:
    (example,) = (block.text for block in blocks(PAGE.read_text()) if block.language == "python")
    names: dict[str, Any] = {}
    exec(compile(example, str(PAGE), "exec"), names)
    logged = Recorder(lambda module: dict(module.latest))

    def run(folder: str, batches: int, **settings: Any) -> AdversarialModule:
        torch.manual_seed(0)
        module: AdversarialModule = names["TinyGAN"](width=8)
        module.log_every = 1
        keeper = CounterCheckpoint(tmp_path / folder)
        fit(module, logged, keeper, data=small_data("gan"), images=8 * batches, **settings)
        return module

    module = run("whole", 6)
    run("parts", 3)
    run("parts", 6, ckpt_path=tmp_path / "parts/last.ckpt")
    assert same(state_of(tmp_path / "whole/last.ckpt"), state_of(tmp_path / "parts/last.ckpt"))
    assert module.generator_steps == module.discriminator_steps == 6
    assert 0 <= logged.seen[-1]["share_of_fakes_believed"] <= 1
    assert module.sample(3, seed=0).shape == (3, 1, 28, 28)


@pytest.mark.parametrize("paper", MODELS)
def test_a_module_is_a_function_of_latents(paper: str) -> None:
    """`model(z)`, and `model(z, y)` where the paper is conditional, is what `generate` gives."""
    module = small_model(paper).eval()
    z, y = module.draw(3, seed=0)
    arguments = (z,) if y is None else (z, y)
    images = []
    with torch.no_grad():
        for call in (lambda: module(*arguments), lambda: module.generate(z, y)):
            torch.manual_seed(1)  # of StyleGAN's noise
            images.append(call())
    assert torch.equal(*images)
    assert images[0].shape == (3, *module.image_shape)


@pytest.mark.parametrize(
    ("paper", "settings"),
    [
        ("cgan", {"network": "convolutional", "width": 2, "num_classes": 3}),
        ("dcgan", {"network": "mnist_conditional"}),
        ("wgan_gp", {"network": "cifar10_resnet", "width": 2, "num_classes": 3}),  # -1 was its last class
        ("pggan", {"resolution": 4, "fmap_base": 16, "fmap_max": 2, "num_classes": 3}),
    ],
)
def test_labels_that_are_no_classes_are_refused(paper: str, settings: dict[str, Any]) -> None:
    module = MODELS[paper](**settings)
    most = (module.num_classes or 0) - 1
    for labels in ([-1, 0], [0, most + 1], [0], [0, 0, 0], [[0, 0]]):
        with pytest.raises(ValueError, match=rf"2 whole numbers in 0\.\.{most}"):
            module.sample(2, labels=torch.tensor(labels), seed=0)
    assert len(module.sample(2, labels=torch.tensor([0, most]), seed=0)) == 2


@pytest.mark.parametrize("paper", ["dcgan", "cgan", "pggan"])
def test_many_samples_are_made_some_at_a_time(paper: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, sizes = small_model(paper), []
    whole = module.sample(7, seed=0)
    pixels = 3 * module.image_shape[1] * module.image_shape[2]
    monkeypatch.setattr("zoo.models.base.sampling.PIXELS_AT_A_TIME", pixels)
    G = module.G if module.G_ema is None else module.G_ema
    G.register_forward_hook(lambda net, inputs, output: sizes.append(len(output)))
    torch.testing.assert_close(module.sample(7, seed=0), whole)
    assert sizes == [3, 3, 1]


def test_batches_of_one_image_are_refused_where_images_are_compared() -> None:
    settings: dict[str, dict[str, Any]] = {"infogan": {}, "wgan_gp": {"network": "cifar10", "width": 2}}
    for paper, own in settings.items():
        module = MODELS[paper](**own)
        about: dict[str, Any] = {"image_shape": module.image_shape, "num_classes": None}
        for devices in (1, 4):
            with pytest.raises(UnsupportedSettingError, match=f"batch_size to {2 * devices} or more"):
                module.check_data("one", **about, devices=devices, batch_size=devices)
            module.check_data("two", **about, devices=devices, batch_size=2 * devices)
    module = MODELS["dcgan"](network="community", resolution=16, width=2)  # its BatchNorm has pixels to compare
    module.check_data("one", image_shape=module.image_shape, num_classes=None, batch_size=1)
    module.discriminator_loss(torch.zeros(1, *module.image_shape), None)


@pytest.mark.parametrize(
    ("paper", "settings"),
    [
        ("wgan_gp", {"network": "cifar10_resnet", "width": 2}),
        ("pggan", {"resolution": 4, "fmap_base": 16, "fmap_max": 2}),
        ("cgan", {"network": "convolutional", "width": 2}),
    ],
)
def test_one_class_without_labels_is_of_cgan_alone(paper: str, settings: dict[str, Any]) -> None:
    """The others classify, and their first update asked in vain for the labels of reals."""
    module = MODELS[paper](num_classes=1, **settings)
    if paper == "cgan":
        module.check_data("faces", image_shape=module.image_shape, num_classes=None)
        return
    with pytest.raises(UnsupportedSettingError, match=r"faces has no classes, .* is made for 1"):
        module.check_data("faces", image_shape=module.image_shape, num_classes=None)


@pytest.mark.parametrize(
    ("paper", "settings"),
    [
        ("cgan", {"network": "convolutional", "width": 2}),
        ("dcgan", {"network": "mnist_conditional"}),
        ("wgan_gp", {"network": "cifar10_resnet", "width": 2, "num_classes": 10}),
        ("pggan", {"resolution": 4, "fmap_base": 16, "fmap_max": 2, "num_classes": 10}),
    ],
)
def test_classes_that_no_image_shows_are_refused(paper: str, settings: dict[str, Any]) -> None:
    """Samples are drawn of all ten, and measures counted those that nothing had taught."""
    module = MODELS[paper](**settings)
    module.check_data("ten", image_shape=module.image_shape, num_classes=10)
    with pytest.raises(UnsupportedSettingError, match=r"three has 3 classes, .* is made for 10"):
        module.check_data("three", image_shape=module.image_shape, num_classes=3)
    for classes in ([3, 5], [3, 3, 5]):
        with pytest.raises(UnsupportedSettingError, match=r"CIFAR10 is cut down to the classes \[3, .*of all 10"):
            module.refuse_absent_classes(CIFAR10(classes=classes))
    for all_of_them in (None, list(range(10))):
        module.refuse_absent_classes(CIFAR10(classes=all_of_them))
    module.refuse_absent_classes(cast("Any", SimpleNamespace(classes=10)))  # data of the user's own
    MODELS["gan"]().refuse_absent_classes(CIFAR10(classes=[3]))  # without labels


def test_a_training_on_some_classes_of_a_conditional_model_does_not_begin() -> None:
    data = small_data("cgan")
    data.classes = [0]
    with pytest.raises(UnsupportedSettingError, match="cut down to the classes"):
        fit(small_model("cgan"), data=data, images=8)


@pytest.mark.parametrize("paper", MODELS)
def test_no_paper_overrides_what_has_a_hook(paper: str) -> None:
    kind = MODELS[paper]
    for name in ("report", "sample", "forward", "training_step"):
        own = name in vars(kind)
        assert own == (LOOPS.get(paper) == name), f"{kind.__name__}.{name}"


@pytest.mark.parametrize("paper", MODELS)
def test_averages_and_growth_are_declared(paper: str) -> None:
    module = small_model(paper)
    growing = paper in ("pggan", "stylegan")
    assert (module.G_ema is not None, module.growth is not None) == (growing, growing)
    assert any(name.startswith("G_ema.") for name in module.state_dict()) == growing
    if not growing:
        assert torch.equal(module.sample(2, seed=0), module.sample(2, seed=0, ema=False))
    if paper != "stylegan":
        with pytest.raises(ValueError, match="truncation"):
            module.sample(1, truncation_psi=0.5)
