"""Latent spaces: directions and projections where the truth is known, attributes by closed forms, every paper."""

from typing import Any

import pytest
import torch
from registry import SMALL, small_model
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from toys import SHAPE, ToyGAN

from zoo.errors import EvaluationError
from zoo.experiments.latents.attributes import attributes_of, effects
from zoo.experiments.latents.directions import (
    along_attributes,
    area_under_roc,
    between_classes,
    closed_form,
    directions_of,
    principal,
    principal_coordinates,
    towards_classes,
    varied,
)
from zoo.experiments.latents.project import Settings, project
from zoo.experiments.latents.space import Points, effective_weights, first_of, space_of
from zoo.models.cgan import CGAN
from zoo.models.dcgan import DCGAN
from zoo.models.gan import GAN
from zoo.models.infogan import InfoGAN


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


def test_pca_asks_no_random_numbers_of_others() -> None:
    """Its directions depended on torch's global stream, and it drew from that."""
    space, found = space_of(Deep()), []
    for seed in (1, 2):
        torch.manual_seed(seed)
        found.append(principal(space, k=2, samples=100))
        assert torch.rand(1) == torch.rand(1, generator=torch.Generator().manual_seed(seed))
    assert found[0].vectors.equal(found[1].vectors)
    assert not found[0].vectors.equal(principal(space, k=2, samples=100, seed=5).vectors)
    wide = torch.randn(30, 50, generator=torch.Generator().manual_seed(0)).double()
    for values in (wide, wide.T):  # more entries than samples, and fewer
        coordinates, shares = principal_coordinates(values, k=29)
        left, lengths, _ = torch.linalg.svd(values, full_matrices=False)
        torch.testing.assert_close(coordinates.abs(), (left * lengths)[:, :29].abs())
        torch.testing.assert_close(shares, lengths[:29].square() / lengths.square().sum())


def test_activations_are_kept_of_one_layer_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """All layers' of 2,000 samples at a time are gigabytes."""
    space, sizes = space_of(Deep()), []
    points = space.draw(5, seed=0)
    whole = space.activations(points)
    layer: Any = space.module.G
    layer[2].register_forward_hook(lambda net, inputs, output: sizes.append(len(output)))
    monkeypatch.setattr("zoo.experiments.latents.space.PIXELS_AT_A_TIME", 2 * SHAPE[1] * SHAPE[2])
    torch.testing.assert_close(space.activations(points), whole)
    assert sizes == [4, 4, 2, 2, 1]  # two to find the layer


def test_a_model_that_has_diverged_has_no_directions() -> None:
    module = Deep()
    layer: Any = module.G
    layer[0].weight.data[0, 0] = torch.nan
    for find in (closed_form, principal):
        with pytest.raises(EvaluationError, match="NaN or infinite: the model has diverged"):
            find(space_of(module), k=2)


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
    layout: Any = space.module.layout
    target = torch.ones(1, *space.module.image_shape)
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
    every = closed_form(space, k=space.dim)  # those beyond the continuous entries moved the categories
    assert every.vectors.shape == (layout.noise + layout.continuous, space.dim)
    assert every.vectors[:, layout.noise : layout.noise + layout.categories].abs().max() < 1e-6


def test_a_latent_of_categories_alone_has_no_direction() -> None:
    space = space_of(InfoGAN(noise=0, continuous=0))
    points = space.draw(60, seed=0)
    for find in (
        lambda: closed_form(space, k=2),
        lambda: principal(space, k=2, samples=60),
        lambda: along_attributes(space, points, {"some": torch.rand(60)}),
    ):
        with pytest.raises(EvaluationError, match="categories alone"):
            find()


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


def test_styles_of_layers_that_are_not_run_have_no_directions() -> None:
    """Of a training that has reached 8x8 they are as they were drawn, and no image shows them."""
    module: Any = small_model("stylegan")
    module.images_seen = 0
    before = closed_form(space_of(module), k=3)
    for stage in module.G_ema.synthesis.stages[2:]:
        stage.epilogue1.style.weight.data *= 100
    torch.testing.assert_close(closed_form(space_of(module), k=3).vectors, before.vectors)
    module.images_seen = module.growth.grown_at
    assert not torch.allclose(closed_form(space_of(module), k=3).vectors, before.vectors, atol=0.1)


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
