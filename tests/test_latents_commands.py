"""`zoo directions`, `project` and `neighbours`, and what they find in releases."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import run
from PIL import Image
from torch import Tensor, nn

from zoo.commands.directions import find
from zoo.commands.project import read_images
from zoo.data import Digits
from zoo.errors import DataError, EvaluationError, UsageError
from zoo.experiments.latents.attributes import attributes_of, effects
from zoo.experiments.latents.directions import (
    along_attributes,
    closed_form,
    varied,
)
from zoo.experiments.latents.project import project
from zoo.experiments.latents.space import space_of
from zoo.models.cgan import CGAN
from zoo.models.gan import GAN
from zoo.releases.find import SHIPPED


def test_a_digit_in_a_file_is_framed_as_it_is_in_training(tmp_path: Path) -> None:
    """Stretched to 32x32 it was larger than any that the model had seen."""
    digit, framed = (Digits(resolution=side).split("train").images[:1] for side in (28, 32))
    Image.fromarray(digit[0, 0].numpy()).save(tmp_path / "digit.png")
    read = read_images([str(tmp_path / "digit.png")], (1, 32, 32))
    torch.testing.assert_close(read, framed.float() / 127.5 - 1)
    assert read_images([str(tmp_path / "digit.png")], (1, 64, 64))[0, 0].max() > 0.5  # no frame at other sizes


def test_an_image_that_is_no_digit_is_enlarged_as_it_is_in_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a folder of clothes of 28x28, at 32x32: in a border it was smaller than any that the model had seen."""
    Image.new("L", (28, 28), "white").save("shirt.png")
    targets: list[Tensor] = []

    class Seen(Exception):
        pass

    def project(space: object, images: Tensor, **_: object) -> None:
        targets.append(images)
        raise Seen

    monkeypatch.setattr("zoo.experiments.latents.project.project", project)
    other = shutil.copytree(SHIPPED / "wgan.mnist", tmp_path / "wgan.clothes")
    card = json.loads((other / "card.json").read_text())
    (other / "card.json").write_text(json.dumps(card | {"data": card["data"] | {"class": "ImageFolder"}}))
    for model in ("wgan.mnist", other):
        with pytest.raises(Seen):
            run("project", model, "shirt.png", "--features", "pixels")
    assert [float(images[0, 0, 0, 0]) for images in targets] == [-1, 1]


def test_an_aligned_face_is_cut_out_as_it_is_in_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its central square is 178 pixels wide: faces were smaller than any that a model of squares of 108 had seen."""
    face = Image.new("RGB", (178, 218), "white")
    face.paste("black", ((178 - 108) // 2, (218 - 108) // 2, (178 + 108) // 2, (218 + 108) // 2))
    face.save("face.png")
    face.resize((89, 89)).save("other.png")
    cut, central = read_images(["face.png", "other.png"], (3, 64, 64), model="dcgan.celeba64")
    assert cut.max() == -1
    assert central.max() == 1
    monkeypatch.setattr("zoo.releases.weights.trained_on", lambda model: "CelebA")
    arguments = {"crop": 128, "crop_top": 0, "resolution": 64, "root": "elsewhere"}
    (tmp_path / "run/checkpoints").mkdir(parents=True)
    (tmp_path / "run/config.yaml").write_text(json.dumps({"data": {"class_path": "CelebA", "init_args": arguments}}))
    for model in ("run", "run/checkpoints/best.ckpt"):
        (own,) = read_images(["face.png"], (3, 64, 64), model=str(tmp_path / model))
        assert own[:, :24].min() == 1  # of 128 rows from the first on, 55 are above the black
        assert own[:, -1, 32].max() == -1
    (bare,) = read_images(["face.png"], (3, 64, 64), model=str(tmp_path / "best.ckpt"))
    assert bare.max() == -1  # nothing says the crop: the data set's own


def test_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
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
        (("directions", "dcgan.celeba64", "--by", "classes"), EvaluationError, "classifiers of this package know"),
        (("directions", "cgan.mnist", "--by", "classes", "--out", "x.gif"), UsageError, "drawn as .png"),
        (("neighbours", "wgan.mnist", "--out", "x.gif"), UsageError, "is .png"),
    ):
        with pytest.raises(error, match=message):
            run(*arguments)
    assert [p.name for p in Path().glob("*.png")] == ["text.png"]


def test_own_samples_have_the_labels_that_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """They had any, and were looked for among images of other classes, from which none comes back."""
    model = CGAN(network="convolutional", resolution=8, width=2).eval()
    monkeypatch.setattr("zoo.commands.model_argument.load", lambda arguments: model)
    monkeypatch.setattr("zoo.releases.weights.class_names", lambda model: [])
    given: list[Tensor] = []
    generate = model.generate
    monkeypatch.setattr(model, "generate", lambda z, y: given.append(y) or generate(z, y))
    run("project", "some.model", "--own", 3, "--labels", "4,2,4", "--steps", 1, "--features", "pixels")
    assert given[0].tolist() == [4, 2, 4]


def test_the_seed_is_of_the_samples_that_pca_is_fitted_to() -> None:
    space = space_of(GAN(width=16).eval())
    first, same, other = (find(space, by="pca", count=2, seed=seed, samples=50).vectors for seed in (0, 0, 1))
    assert first.equal(same)
    assert not first.equal(other)


def test_a_network_that_is_not_there_is_refused_before_the_data_are_read(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("neighbours", "wgan.mnist", "--features", "lenett")
    assert "argument --features: invalid choice: 'lenett'" in capsys.readouterr().err


def test_a_classifier_is_asked_about_the_classes_that_it_knows(tmp_path: Path) -> None:
    """The classifier of digits saw one in every grey image, and CIFAR-10's an animal in every small one in colour."""
    other = shutil.copytree(SHIPPED / "wgan.mnist", tmp_path / "wgan.mnist")
    card = json.loads((other / "card.json").read_text())
    (other / "card.json").write_text(json.dumps(card | {"data": card["data"] | {"class": "ImageFolder"}}))
    with pytest.raises(EvaluationError, match=r"trained on ImageFolder, and .* know the classes of MNIST, Digits"):
        run("directions", other, "--by", "classes")
    assert not Path("directions.png").exists()


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


def test_ways_between_classes_are_called_by_both(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more classes than are drawn, the last way leads on; where there is one, the classifier's are looked for."""
    drawn: dict[str, Any] = {}
    monkeypatch.setattr("zoo.experiments.pictures.captions.captioned", lambda images, **texts: drawn.update(texts))
    monkeypatch.setattr("zoo.experiments.pictures.captions.write_picture", lambda picture, out: None)
    monkeypatch.setattr("zoo.releases.weights.class_names", lambda model: [])
    monkeypatch.setattr("zoo.releases.weights.trained_on", lambda model: "MNIST")
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
