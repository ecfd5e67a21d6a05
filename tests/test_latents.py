"""Latent spaces: directions and projections where the truth is known, attributes by closed forms, every paper."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from registry import SMALL, small_model
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from toys import SHAPE, ToyGAN

from zoo.__main__ import parser
from zoo.commands.project import read_images
from zoo.data import Digits
from zoo.errors import DataError, EvaluationError, UsageError
from zoo.experiments.latents.attributes import attributes_of, effects
from zoo.experiments.latents.directions import (
    along_attributes,
    area_under_roc,
    between_classes,
    closed_form,
    directions_of,
    principal,
    towards_classes,
    varied,
)
from zoo.experiments.latents.project import Settings, project
from zoo.experiments.latents.space import Points, effective_weights, first_of, space_of
from zoo.models.cgan import CGAN
from zoo.models.dcgan import DCGAN
from zoo.models.gan import GAN


def run(*arguments: object) -> None:
    command = parser(str(arguments[0])).parse_args([str(a) for a in arguments])
    command.run(command)


class Linear(ToyGAN):
    """Images are A z: 4 columns of lengths 4, 3, 2, 1, orthogonal after a rotation of z, which the SVD must find."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        left, _ = torch.linalg.qr(torch.randn(64, 4, generator=generator))
        self.right, _ = torch.linalg.qr(torch.randn(4, 4, generator=generator))  # its columns are the truth
        layer = nn.Linear(4, 64)
        layer.weight.data = left * torch.tensor([4.0, 3.0, 2.0, 1.0]) @ self.right.T * 0.02
        self.G = nn.Sequential(layer, nn.Unflatten(1, SHAPE))


class Deep(Linear):
    """The same behind a second layer: activations of the first are what PCA sees."""

    def __init__(self) -> None:
        super().__init__()
        last = nn.Linear(64, 64)
        last.weight.data = torch.eye(64)
        self.G = nn.Sequential(self.G[0], nn.Identity(), last, nn.Unflatten(1, SHAPE))


def alignment(found: Tensor, truth: Tensor) -> list[float]:
    """|cosine| of each found direction with the true one of the same number."""
    return (found * truth).sum(1).abs().tolist()


def test_a_linear_generator_gives_its_exact_directions() -> None:
    module = Linear()
    found = closed_form(space_of(module), k=4)
    assert alignment(found.vectors, module.right.T) == pytest.approx([1] * 4, abs=1e-5)
    assert (found.strengths / found.strengths[3]).tolist() == pytest.approx([4, 3, 2, 1], rel=1e-4)
    assert found.deviations.tolist() == pytest.approx([1] * 4, abs=0.05)
    with pytest.raises(EvaluationError, match="one layer only"):
        principal(space_of(module), k=2)


def test_pca_of_a_linear_generators_activations_gives_them_too() -> None:
    module = Deep()
    found = principal(space_of(module), k=4, samples=4000)
    assert min(alignment(found.vectors, module.right.T)) > 0.99
    assert found.strengths.tolist() == pytest.approx([16 / 30, 9 / 30, 4 / 30, 1 / 30], abs=0.03)


class Labelled(Deep):
    """The same with a label, which changes the activations more than z does."""

    def __init__(self) -> None:
        super().__init__()
        self.num_classes = 3
        self.of_label = 10 * torch.randn(3, 64, generator=torch.Generator().manual_seed(4))

    def generate(self, z: Tensor, y: Tensor | None) -> Tensor:
        G: Any = self.G
        images: Tensor = G[2:](G[0](z) + self.of_label[y])
        return images


def test_pca_of_a_conditional_model_is_of_what_follows_from_z() -> None:
    """Axes along which labels differ were carried over to z, which knows none: the directions were chance's."""
    module = Labelled()
    found = principal(space_of(module), k=4, samples=4000)
    assert min(alignment(found.vectors, module.right.T)) > 0.99
    space = space_of(CGAN())  # its second layer takes the one-hot label alone
    points = space.draw(30, seed=0)
    activations = space.activations(points)
    assert activations.shape == (30, 200 + 1000)  # both hidden layers, where they meet
    other = points.x.clone()
    other[1:, space.dim :] = torch.rand(29, 2400)  # what dropout drops, which no direction moves
    assert activations.equal(space.activations(points._replace(x=other)))


def test_batchnorm_behind_the_first_layer_counts() -> None:
    module = ToyGAN(batchnorm=True).eval()
    norm: Any = module.G[1]
    norm.running_var.copy_(torch.linspace(0.1, 4, 16))
    norm.weight.data = torch.linspace(-1, 2, 16)
    space: Any = space_of(module)
    z = torch.randn(8, 4)
    with torch.no_grad():
        expected = module.G[:2](z) - module.G[:2](torch.zeros(1, 4))
    torch.testing.assert_close(z @ space.first_layer().T, expected, atol=1e-5, rtol=1e-5)
    assert first_of(space.calls(Points(z, None)), z, dim=4)[1] is norm
    conv = nn.ConvTranspose2d(3, 2, 4)
    weights = effective_weights(type("Call", (), {"net": conv, "x": torch.zeros(5, 3, 1, 1)})(), None)
    torch.testing.assert_close(weights, conv.weight.data.flatten(1).T)


def test_a_reference_batch_is_no_sample() -> None:
    """Virtual batch normalization puts 64 latents before those that are asked for."""
    settings: dict[str, Any] = {"network": "community", "resolution": 16, "channels": 1, "width": 2}
    space = space_of(DCGAN(**settings, techniques={"virtual_batchnorm": True}))
    first = space.module.G.state_dict()["net.1.weight"]  # [100, widths, 4, 4]
    truth = torch.linalg.svd(first.flatten(1).T, full_matrices=False).Vh[:2]
    assert alignment(closed_form(space, k=2).vectors, truth) == pytest.approx([1, 1], abs=1e-4)
    assert principal(space, k=2, samples=50).vectors.shape == (2, 100)


def test_a_plane_and_a_slope_that_are_there_are_found() -> None:
    space = space_of(Linear())
    points = space.draw(600, seed=0)
    normal = nn.functional.normalize(torch.tensor([1.0, -2, 0.5, 0]), dim=0)
    side = points.x @ normal
    classes = towards_classes(space, points, (side > 0).long(), names=("left", "right"))
    assert classes.names == ["left", "right"]
    assert classes.vectors @ normal == pytest.approx([-1, 1], abs=0.02)
    assert classes.strengths.min() > 0.99
    assert area_under_roc(torch.tensor([1.0, 3, 2, 4]), torch.tensor([False, False, True, True])) == 0.75
    slope = along_attributes(space, points, {"side": side + 0.1, "its opposite": -side})
    assert slope.vectors @ normal == pytest.approx([1, -1], abs=0.02)
    assert slope.strengths.min() > 0.99
    with pytest.raises(EvaluationError, match="not of several classes"):
        towards_classes(space, points, torch.zeros(600, dtype=torch.long))


def test_thickness_and_slant_of_bars() -> None:
    bars = torch.full((3, 1, 40, 40), -1.0)
    for i, wide in enumerate((2, 4, 8)):
        bars[i, 0, 4:36, 20 - wide // 2 : 20 + wide // 2] = 1
    measured = attributes_of(bars)
    assert measured["thickness"].tolist() == pytest.approx([2, 4, 8], rel=0.25)
    assert measured["slant"].abs().max() < 1e-9
    assert measured["height"].tolist() == pytest.approx([4 * ((32**2 - 1) / 12) ** 0.5] * 3, rel=1e-6)
    leaning = torch.full((1, 1, 41, 41), -1.0)
    for row in range(41):
        leaning[0, 0, row, 30 - row // 2] = 1  # the top at the right: half a pixel for each row
    assert attributes_of(leaning)["slant"].item() == pytest.approx(0.5, abs=0.02)
    colours = attributes_of(torch.tensor([1.0, 0, -1])[None, :, None, None].expand(1, 3, 4, 4))
    assert {k: round(v.item(), 3) for k, v in colours.items()} == {
        "brightness": 0.5,
        "contrast": 0,
        "warmth": 1,
        "saturation": 1,
        "light from the right": 0,
    }
    ways = torch.stack([bars[:, 0], bars.flip(0)[:, 0]])[:, :, None]
    assert effects(ways[:1], measured)["thickness"].monotone
    assert effects(ways[:1], measured)["thickness"].change > 1
    assert effects(ways[1:], measured)["thickness"].change < -1


@pytest.mark.parametrize("paper", SMALL)
def test_every_paper_has_directions_and_projections(paper: str) -> None:
    torch.manual_seed(0)
    space = space_of(small_model(paper))
    for found in (closed_form(space, k=2), principal(space, k=2, samples=64)):
        assert found.vectors.shape == (2, space.dim)
        assert found.vectors.norm(dim=1).tolist() == pytest.approx([1, 1], abs=1e-4)
        points = space.draw(2, seed=1)
        images = varied(space, points, found, steps=torch.tensor([-1.0, 0.0, 1.0]))
        assert images.shape == (2, 2, 3, *space.module.image_shape)
        torch.testing.assert_close(images[0, :, 1], space.pictures(points), atol=1e-5, rtol=1e-4)
    target = space.pictures(space.draw(2, seed=9))
    settings = Settings(starts=2, candidates=16, steps=6)
    result = project(space, target, extractor=None, settings=settings)
    assert result.images.shape == target.shape
    assert (result.distance <= result.distance_before + 1e-6).all()


def test_a_sample_projects_back_onto_itself() -> None:
    module = Linear()
    space = space_of(module)
    truth = space.draw(3, seed=9)
    target = space.pictures(truth)
    settings = Settings(candidates=50, steps=150, truncation=0.0)
    found = project(space, target, extractor=None, settings=settings)
    torch.testing.assert_close(found.points.x, truth.x, atol=1e-2, rtol=0)
    assert found.distance.max() < 1e-5 < found.distance_before.min()
    typical = project(space, target, extractor=None, settings=Settings(candidates=50, steps=60, truncation=10.0))
    assert typical.points.x.norm() < 0.5 * truth.x.norm()


def test_a_digit_in_a_file_is_framed_as_it_is_in_training(tmp_path: Path) -> None:
    """Stretched to 32x32 it was larger than any that the model had seen."""
    digit, framed = (Digits(resolution=side).split("train").images[:1] for side in (28, 32))
    Image.fromarray(digit[0, 0].numpy()).save(tmp_path / "digit.png")
    read = read_images([str(tmp_path / "digit.png")], (1, 32, 32))
    torch.testing.assert_close(read, framed.float() / 127.5 - 1)
    assert read_images([str(tmp_path / "digit.png")], (1, 64, 64))[0, 0].max() > 0.5  # no frame at other sizes


def test_images_are_projected_with_the_labels_that_they_are_given() -> None:
    space = space_of(small_model("cgan"))
    target = space.pictures(space.draw(3, seed=9))
    settings = Settings(starts=12, candidates=16, steps=2)  # more starts than samples of a class among those
    found = project(space, target, extractor=None, labels=torch.tensor([3, 7, 3]), settings=settings)
    assert found.points.y is not None
    assert found.points.y.tolist() == [3, 7, 3]
    for labels in ([3, 10, 3], [3, -1, 3]):
        with pytest.raises(EvaluationError, match="labels are from 0 to 9"):
            project(space, target, extractor=None, labels=torch.tensor(labels), settings=settings)


def test_bounded_entries_stay_in_their_range_and_categories_are_kept() -> None:
    space = space_of(small_model("infogan"))
    layout: Any = space.module.layout  # type: ignore[union-attr]
    target = torch.ones(1, 1, 28, 28)
    found = project(space, target, extractor=None, settings=Settings(starts=1, candidates=8, steps=10, lr=2.0))
    codes = layout.codes_of(found.points.x)
    assert found.points.x.abs().max() <= 1
    assert codes.categorical.sum(2).eq(1).all()
    assert codes.categorical.amax(2).eq(1).all()
    points = space.draw(200, seed=0)
    attributes = attributes_of(space.pictures(points))
    categories = layout.codes_of(points.x).categorical[:, 0].argmax(1)
    for directions in (
        closed_form(space, k=3),
        principal(space, k=3, samples=200),
        along_attributes(space, points, attributes),
        towards_classes(space, points, (categories > 4).long()),
    ):
        assert directions.vectors[:, layout.noise : layout.noise + layout.categories].abs().max() < 1e-6


def test_directions_and_projections_of_a_model_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a GPU: fake tensors have shapes and devices, and refuse operations between two devices as a GPU does."""
    monkeypatch.setattr(Tensor, "__float__", lambda tensor: 1.0)  # they have no numbers
    with FakeTensorMode():
        with torch.device("cuda"):
            module = GAN(width=16)
        module._device = torch.device("cuda", 0)
        space = space_of(module)
        for device in ("cpu", "cuda"):  # as regressions and as singular vectors give them
            found = directions_of(space, torch.ones(2, 100, device=device), torch.ones(2, device=device), ["1", "2"])
            assert {part.device.type for part in found[:3]} == {"cpu"}
            images = varied(space, space.draw(2, seed=0), found, steps=torch.ones(3))
            assert (images.shape, images.device.type) == ((2, 2, 3, *module.image_shape), "cpu")
        target = torch.zeros(2, *module.image_shape, device="cuda")
        nearest = project(space, target, extractor=None, settings=Settings(steps=0))
        assert nearest.points.x.device.type == "cuda"
        assert nearest.images.shape == target.shape


def test_the_network_that_compares_images_is_where_the_model_is(monkeypatch: pytest.MonkeyPatch) -> None:
    class Seen(Exception):
        pass

    def project(space: object, targets: Tensor, *, extractor: nn.Module, **_: object) -> None:
        raise Seen(targets.device.type, next(extractor.parameters()).device.type)

    monkeypatch.setattr("zoo.experiments.latents.project.project", project)
    monkeypatch.setattr("zoo.commands.model_argument.load", lambda arguments: GAN(width=16).to("meta"))
    Image.new("L", (28, 28)).save("grey.png")
    with pytest.raises(Seen) as seen:
        run("project", "gan.mnist", "grey.png")
    assert seen.value.args == ("meta", "meta")


def test_pictures_are_made_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    space, sizes = space_of(Linear()), []
    points = space.draw(5, seed=0)
    whole = space.pictures(points)
    space.module.G.register_forward_hook(lambda net, inputs, output: sizes.append(len(output)))
    monkeypatch.setattr("zoo.experiments.latents.space.PIXELS_AT_A_TIME", 2 * whole[0, 0].numel())
    torch.testing.assert_close(space.pictures(points), whole)
    assert sizes == [2, 2, 1]


def test_the_space_between_two_classes() -> None:
    torch.manual_seed(0)
    space = space_of(small_model("cgan"))
    images = between_classes(space, classes=10, steps=3, seed=0)
    points = space.draw(10, seed=0)
    for step, shift in ((0, 0), (2, 1)):
        y = (torch.arange(10) + shift) % 10
        torch.testing.assert_close(images[:, step], space.pictures(Points(points.x, y)))
    with pytest.raises(EvaluationError, match="takes one class at a time"):
        between_classes(space_of(small_model("dcgan")), classes=2, steps=2, seed=0)


def test_ways_between_classes_are_called_by_both(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more classes than are drawn, the last way leads on; where there is one, the classifier's are looked for."""
    drawn: dict[str, Any] = {}
    monkeypatch.setattr("zoo.experiments.pictures.captions.captioned", lambda images, **texts: drawn.update(texts))
    monkeypatch.setattr("zoo.experiments.pictures.captions.write_picture", lambda picture, out: None)
    monkeypatch.setattr("zoo.releases.weights.class_names", lambda model: [])
    for classes, last in ((3, "2 to 0"), (12, "9 to 10")):
        model = CGAN(network="convolutional", resolution=8, width=2, num_classes=classes).eval()
        monkeypatch.setattr("zoo.commands.model_argument.load", lambda arguments, model=model: model)
        run("directions", "some.model", "--by", "classes", "--steps", 2)
        assert drawn["rows"][-1] == last
    alone = CGAN(network="convolutional", resolution=8, width=2, num_classes=1).eval()
    monkeypatch.setattr("zoo.commands.model_argument.load", lambda arguments: alone)
    monkeypatch.setattr("zoo.commands.directions.classified", lambda images: torch.zeros(len(images), dtype=torch.long))
    with pytest.raises(EvaluationError, match="not of several classes"):
        run("directions", "some.model", "--by", "classes")


def test_w_and_its_layers() -> None:
    module = small_model("stylegan")
    w, wplus, z = (space_of(module, name) for name in ("w", "w+", "z"))
    assert space_of(module).name == "w"
    torch.testing.assert_close(w.pictures(w.draw(2, seed=3)), wplus.pictures(wplus.draw(2, seed=3)))
    torch.testing.assert_close(w.pictures(w.draw(2, seed=3)), z.pictures(z.draw(2, seed=3)))
    target = w.pictures(w.draw(1, seed=9))
    found = project(wplus, target, extractor=None, settings=Settings(starts=1, candidates=4, steps=4))
    assert found.points.x.ndim == 3
    with pytest.raises(EvaluationError, match=r"has no space w\+"):
        space_of(small_model("gan"), "w+")


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("directions", "wgan.mnist", "--count", 2, "--save", "found.safetensors")
    text = capsys.readouterr().out
    assert text.splitlines()[0].split() == ["sefa", "stretch", "thickness", "slant", "width", "height"]
    from safetensors import safe_open

    with safe_open("found.safetensors", "pt") as file:
        assert file.get_tensor("vectors").shape == (2, 100)
        assert json.loads(file.metadata()["names"]) == ["1", "2"]
    Image.new("RGB", (50, 30), "white").save("white.png")
    run("project", "wgan.mnist", "white.png", "--steps", 5, "--starts", 1, "--features", "pixels")
    assert "white.png: distance" in capsys.readouterr().out
    run("neighbours", "wgan.mnist", "--data", "Digits", "--features", "pixels", "-n", 2, "-k", 2)
    assert "median distance" in capsys.readouterr().out
    run("directions", "cgan.mnist", "--by", "classes", "--steps", 3, "--out", "classes.png")
    for name in ("directions.png", "projection.png", "neighbours.png", "classes.png"):
        with Image.open(name) as picture:
            assert picture.width > 200


def test_what_cannot_be_projected_or_found_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    for arguments, error, message in (
        (("project", "wgan.mnist"), UsageError, "name images, or --own N"),
        (("project", "wgan.mnist", "mine.png", "--out", "./mine.png"), UsageError, "is one of the images"),
        (("project", "wgan.mnist", "absent.png"), DataError, "there is no image absent.png"),
        (("project", "wgan.mnist", tmp_path / "text.png"), DataError, "text.png"),
        (("project", "wgan.mnist", "--own", 1, "--space", "w"), EvaluationError, "has no space w"),
        (("project", "wgan.mnist", "--own", 1, "--labels", "3"), EvaluationError, "unconditional"),
        (("project", "cgan.mnist", "--own", 1, "--labels", "3,4"), UsageError, "2 for 1 images"),
        (("project", "cgan.mnist", "--own", 1, "--labels", "99"), EvaluationError, "labels are from 0 to 9"),
        (("directions", "wgan.mnist", "--reach", "-1"), UsageError, "--reach must be above 0"),
        (("directions", "dcgan.celeba64", "--by", "classes"), EvaluationError, "no classifier of this package"),
        (("directions", "cgan.mnist", "--by", "classes", "--out", "x.gif"), UsageError, "drawn as .png"),
        (("neighbours", "wgan.mnist", "--out", "x.gif"), UsageError, "is .png"),
    ):
        with pytest.raises(error, match=message):
            run(*arguments)
    assert not list(Path().glob("*.png")) or [p.name for p in Path().glob("*.png")] == ["text.png"]


# --- on shipped releases ---


@pytest.mark.slow
def test_thickness_and_slant_move_monotonically_along_what_is_found_on_mnist() -> None:
    """On 128 fresh samples of four models: along the attribute's direction its mean rises at each of six steps, by more
    than two deviations in all; and among the closed form's ten directions one does so without having been asked to."""
    from zoo.releases.weights import load_model

    for name in ("dcgan.mnist", "wgan_gp.mnist", "pggan.mnist", "stylegan.mnist"):
        space = space_of(load_model(name))
        points = space.draw(1500, seed=1)
        samples = attributes_of(space.pictures(points))
        fresh = space.draw(128, seed=2)
        steps = torch.linspace(-2, 2, 7)
        asked = along_attributes(space, points, {key: samples[key] for key in ("thickness", "slant")})
        for key, images in zip(asked.names, varied(space, fresh, asked, steps=steps), strict=True):
            effect = effects(images, samples)[key]
            assert effect.monotone, (name, key)
            assert effect.change > 1.5, (name, key, effect)
        unasked = varied(space, fresh, closed_form(space, k=10), steps=steps)
        changes = [effects(images, samples) for images in unasked]
        assert any(e[key].monotone and abs(e[key].change) > 1 for e in changes for key in ("thickness", "slant")), name


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dcgan.mnist", "stylegan.mnist"])
def test_samples_of_a_release_come_back(name: str) -> None:
    from zoo.metrics.extractors import load_extractor
    from zoo.releases.weights import load_model

    space = space_of(load_model(name))
    target = space.pictures(space.draw(4, seed=77))
    found = project(space, target, extractor=load_extractor("lenet"))
    error = (found.images - target).square().flatten(1).mean(1).sqrt()
    assert error.max() < 0.12, error
    assert (found.distance < 0.1 * found.distance_before).all()
