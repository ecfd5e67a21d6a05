"""StyleGAN's truncation, noise, style mixing, interpolation and path length, out of trained or made-up weights."""

from typing import Any

import pytest
import torch
from stylegan_toys import Grey16, lively, tiny
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.data import Digits
from zoo.experiments.stylegan import measure_on_test, path_length


def test_truncation_by_hand() -> None:
    module = lively(tiny())
    z = torch.randn(3, 6)
    w = module.G_ema.mapping(z)
    styles = module.styles(z, truncation_psi=0.7, truncation_cutoff=4)
    average = module.G_ema.w_average
    for layer in range(6):
        torch.testing.assert_close(styles[:, layer], average + 0.7 * (w - average) if layer < 4 else w)
    torch.testing.assert_close(module.styles(z, truncation_psi=1.0), module.styles(z))


def test_psi_0_gives_one_image_and_the_default_does_not_truncate() -> None:
    module = lively(tiny())
    z, _ = module.draw(4, seed=1)
    images = module.images_from(z, truncation_psi=0.0, noise="const")
    assert torch.equal(images, images[:1].expand_as(images))
    assert not torch.equal(*module.images_from(z[:2], truncation_psi=0.3, noise="const"))
    assert torch.equal(module.sample(4, seed=1), module.sample(4, seed=1, truncation_psi=None))
    torch.testing.assert_close(module.sample(4, seed=1), module.sample(4, seed=1, truncation_psi=1.0))


def test_layers_past_the_cutoff_are_not_truncated() -> None:
    module = lively(tiny(truncation_cutoff=2))
    assert not torch.equal(*module.images_from(torch.randn(2, 6), truncation_psi=0.0, noise="const"))


def test_samples_are_a_function_of_the_seed() -> None:
    module = lively(tiny())
    assert torch.equal(module.sample(3, seed=5), module.sample(3, seed=5))
    assert not torch.equal(module.sample(3, seed=5), module.sample(3, seed=6))
    assert not torch.equal(module.sample(3), module.sample(3))
    assert module.sample(3, seed=5).abs().max() <= 1


def test_averaged_and_raw_weights() -> None:
    module = lively(tiny())
    with torch.no_grad():
        module.G.synthesis.to_rgb[-1].bias.add_(0.5)
    assert not torch.equal(module.sample(2, seed=0), module.sample(2, seed=0, ema=False))


def test_noise_random_const_none() -> None:
    module = lively(tiny())
    w = module.styles(torch.randn(1, 6)).expand(3, -1, -1)
    random = module.render(w, noise="random", seed=0)
    assert not torch.equal(random[0], random[1])
    assert torch.equal(random, module.render(w, noise="random", seed=0))
    for kind in ("const", "none"):
        images = module.render(w, noise=kind)
        # some CPUs round the rows of a batch differently in the last bit
        torch.testing.assert_close(images, images[:1].expand_as(images))
    assert not torch.equal(module.render(w, noise="const"), module.render(w, noise="none"))
    assert torch.equal(module.render(w, noise="const", noise_layers=range(0)), module.render(w, noise="none"))
    assert torch.equal(module.render(w, noise="const", noise_layers=range(6)), module.render(w, noise="const"))


def test_noise_in_chosen_layers_only() -> None:
    """Silencing layer i by its scale is the same as leaving it out of noise_layers."""
    module = lively(tiny())
    w = module.styles(torch.randn(2, 6))
    with_all = module.render(w, noise="random", seed=3, noise_layers=[0, 1, 2, 4, 5])
    assert not torch.equal(with_all, module.render(w, noise="random", seed=3))
    nn.init.zeros_(module.G_ema.synthesis.stages[1].epilogue2.noise_scale)
    assert torch.equal(with_all, module.render(w, noise="random", seed=3))


def test_images_are_enlarged_to_the_final_resolution() -> None:
    module = lively(tiny())
    module.images_seen = 0
    z = torch.randn(2, 6)
    torch.manual_seed(0)  # of the noise
    small = module.generate(z, None, upscale=False)
    torch.manual_seed(0)
    large = module.generate(z, None)
    assert small.shape == (2, 1, 8, 8)
    assert torch.equal(large, small.repeat_interleave(2, 2).repeat_interleave(2, 3))


def test_many_images_are_made_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    module = lively(tiny())
    z = torch.randn(5, 6)
    whole = module.images_from(z, noise="const")
    monkeypatch.setattr("zoo.models.networks.stylegan_sampling.PIXELS_AT_A_TIME", 2 * 256)
    sizes: list[int] = []
    module.G_ema.synthesis.register_forward_hook(lambda net, inputs, output: sizes.append(len(output)))
    torch.testing.assert_close(module.images_from(z, noise="const"), whole)
    assert sizes == [2, 2, 1]


def test_style_mix_takes_the_chosen_layers_from_the_columns() -> None:
    module = lively(tiny())
    rows, columns = torch.randn(2, 6), torch.randn(3, 6)
    w_rows, w_columns = module.styles(rows), module.styles(columns)
    grid = module.style_mix(rows, columns, [0, 1, 4])
    assert grid.shape == (2, 3, 1, 16, 16)
    for i in range(2):
        for j in range(3):
            w = torch.stack([(w_columns[j] if layer in (0, 1, 4) else w_rows[i])[layer] for layer in range(6)])
            torch.testing.assert_close(grid[i, j], module.render(w[None], noise="const")[0].clamp(-1, 1))
    plain = module.images_from(rows, noise="const")
    torch.testing.assert_close(module.style_mix(rows, columns, []), plain[:, None].expand(-1, 3, -1, -1, -1))


def test_interpolation_in_w_is_straight_and_in_z_on_the_sphere() -> None:
    module = lively(tiny())
    a, b = torch.randn(2, 6), torch.randn(2, 6)
    for space in ("w", "z"):
        images = module.interpolate(a, b, steps=3, space=space)
        assert images.shape == (2, 3, 1, 16, 16)
        torch.testing.assert_close(images[:, 0], module.images_from(a, noise="const"), rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(images[:, 2], module.images_from(b, noise="const"), rtol=1e-3, atol=1e-4)
        unit_a, unit_b = a / a.norm(dim=1, keepdim=True), b / b.norm(dim=1, keepdim=True)
        middle = (module.styles(a) + module.styles(b)) / 2 if space == "w" else module.styles(unit_a + unit_b)
        expected = module.render(middle, noise="const").clamp(-1, 1)
        torch.testing.assert_close(images[:, 1], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("config", ["B", "F"])
def test_without_mapping_layers_ways_keep_to_the_sphere(config: Any) -> None:
    """There w is the normalised z: halfway on a straight line it was shorter than any that G was trained on."""
    module = lively(tiny(config=config, mapping_layers=0))
    a, b = torch.randn(2, 6), torch.randn(2, 6)
    w = module.styles_between(a, b, torch.linspace(0, 1, 5))
    assert w.square().mean(3).flatten().tolist() == pytest.approx([1] * 60, abs=1e-4)
    images = module.interpolate(a, b, steps=3)
    halfway = F.normalize(a, dim=1) + F.normalize(b, dim=1)
    torch.testing.assert_close(images[:, 1], module.images_from(halfway, noise="const"), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(images, module.interpolate(a, b, steps=3, space="z"))


def test_the_path_length_of_a_linear_generator() -> None:
    """Where images are A w, a path in W has the length |A (w_b - w_a)|, squared here, at every t."""
    module = lively(tiny())
    A = torch.randn(6, 256, dtype=torch.float64)
    module.render = lambda w, **settings: (w[:, 0].double() @ A).view(-1, 1, 16, 16)

    def distance(a: Tensor, b: Tensor) -> Tensor:
        return (a - b).square().sum((1, 2, 3)) / 3 / 127.5**2

    length = path_length(module, distance, pairs=400, seed=1)
    generator = torch.Generator().manual_seed(2)
    ends = [module.styles(module.latents(20_000, generator=generator))[:, 0].double() for _ in "ab"]
    values = ((ends[0] - ends[1]) @ A).square().sum(1).sort().values
    assert length == pytest.approx(values[200:-200].mean().item(), rel=0.15)


@pytest.mark.parametrize(("config", "space"), [("B", "z"), ("F", "w")])
def test_path_lengths_of_digits_are_taken_on_test(config: Any, space: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.experiments.stylegan.PATHS", 3_000)
    module, asked = tiny(config=config, mapping_layers=None), []

    def noted(module: Any, distance: Any, **settings: Any) -> float:
        asked.append((distance.name, settings))
        return len(asked)

    monkeypatch.setattr("zoo.experiments.stylegan.path_length", noted)
    values, protocol = measure_on_test(module, Digits(resolution=16), seed=5)
    assert values == {f"ppl_full_{space}_lenet3k": 1, f"ppl_end_{space}_lenet3k": 2}
    assert asked == [
        ("lenet", {"space": space, "sampling": sampling, "pairs": 3_000, "seed": 5}) for sampling in ("full", "end")
    ]
    assert (protocol["n_pairs"], protocol["seed"]) == (3_000, 5)
    assert measure_on_test(module, Grey16(), seed=5).values == {}


def test_rows_without_styles_refuse_what_needs_them() -> None:
    module = tiny(config="B", mapping_layers=0)
    with pytest.raises(ValueError, match="truncation_psi needs styles, and row B"):
        module.sample(2, truncation_psi=0.5)
    with pytest.raises(ValueError, match="style mixing needs styles"):
        module.style_mix(torch.randn(1, 6), torch.randn(1, 6), [0])
    with pytest.raises(ValueError, match="unconditional"):
        tiny().sample(2, labels=torch.zeros(2, dtype=torch.int64))
