"""DiffAugment: each policy against slow loops, gradients, and where it acts."""

import pytest
import torch
from registry import SMALL, small_data, small_model
from torch import Tensor
from toys import fit

from zoo.errors import UnsupportedSettingError
from zoo.models import MODELS
from zoo.nn.augment import POLICIES, augment, color, cutout, parse_policy, translation
from zoo.nn.losses import gradient_penalty
from zoo.training.finetune.augment import augment_discriminator


def images(n: int = 5, channels: int = 3, side: int = 8) -> Tensor:
    return torch.rand(n, channels, side, side, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 2 - 1


@pytest.mark.parametrize("channels", [1, 3])
def test_color_against_pixel_by_pixel(channels: int) -> None:
    x, u = images(channels=channels), torch.rand(5, 3, dtype=torch.float64)
    expected = x.clone()
    for i in range(5):
        for h in range(8):
            for w in range(8):
                pixel = [float(x[i, c, h, w]) + float(u[i, 0]) - 0.5 for c in range(channels)]
                grey = sum(pixel) / channels
                for c in range(channels):
                    expected[i, c, h, w] = grey + 2 * float(u[i, 1]) * (pixel[c] - grey)
        mean = expected[i].mean()
        expected[i] = mean + (expected[i] - mean) * (float(u[i, 2]) + 0.5)
    torch.testing.assert_close(color(x, u), expected)


def test_translation_against_pixel_by_pixel() -> None:
    x, moves = images(side=16, n=25), []
    u = torch.tensor([[(i + 0.5) / 5, (j + 0.5) / 5] for i in range(5) for j in range(5)])
    for i in range(5):
        for j in range(5):
            expected = torch.zeros_like(x[0])
            down, right = i - 2, j - 2  # an eighth of 16
            for h in range(16):
                for w in range(16):
                    if 0 <= h - down < 16 and 0 <= w - right < 16:
                        expected[:, h, w] = x[5 * i + j, :, h - down, w - right]
            moves.append(expected)
    assert torch.equal(translation(x, u), torch.stack(moves))


@pytest.mark.parametrize("side", [8, 7])
def test_cutout_against_pixel_by_pixel(side: int) -> None:
    x, size = images(side=side, n=200), 4
    u = torch.rand(200, 2)
    result, rows = cutout(x, u), set()
    for i in range(200):
        first = [int(float(v) * (side + 1 - size % 2)) - size // 2 for v in u[i]]
        expected = x[i].clone()
        for h in range(side):
            for w in range(side):
                if first[0] <= h < first[0] + size and first[1] <= w < first[1] + size:
                    expected[:, h, w] = 0
        assert torch.equal(result[i], expected)
        rows.add(first[0])
    assert rows == set(range(-2, side - 1))  # every centre from the first edge to the last


@pytest.mark.parametrize("policy", POLICIES)
def test_gradients_flow_through_twice(policy: str) -> None:
    change, numbers = POLICIES[policy]
    x, u = images(n=2, side=4).requires_grad_(), torch.rand(2, numbers, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: change(x, u), x)
    assert torch.autograd.gradgradcheck(lambda x: change(x, u).pow(2), x)
    (gradient,) = torch.autograd.grad(change(x, u).sum(), x)
    assert gradient.abs().sum() > 0


def test_an_interpolate_is_augmented_to_the_interpolate_of_both_ends() -> None:
    """So a gradient penalty with one draw for all three is at a point between augmented reals and samples."""
    a, b = images(), -images().flip(3)
    e = torch.rand(5, 1, 1, 1, dtype=torch.float64)
    mixed, left, right = (
        augment(x, tuple(POLICIES), generator=torch.Generator().manual_seed(3)) for x in (e * a + (1 - e) * b, a, b)
    )
    torch.testing.assert_close(mixed, e * left + (1 - e) * right)


def test_the_penalty_is_on_the_gradient_before_augmentation() -> None:
    """A linear critic of contrast c has a gradient c times the norm of its weights (brightness has no part in it)."""
    module = MODELS["wgan_gp"](network="mnist", width=8)
    weight = torch.randn(784)
    module.D = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 1))
    with torch.no_grad():
        module.D[1].weight.copy_(weight - weight.mean())  # deaf to the mean, which contrast keeps
    module.latent_generator.manual_seed(5)
    contrast = torch.rand(4, 3, generator=torch.Generator().manual_seed(5))[:, 2] + 0.5
    augment_discriminator(module, "color")
    penalty = gradient_penalty(module.score, torch.rand(4, 1, 28, 28), torch.rand(4, 1, 28, 28))
    expected = (contrast * module.D[1].weight.norm() - 1).square().mean()
    torch.testing.assert_close(penalty, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("paper", [paper for paper in MODELS if paper != "gan"])
def test_d_sees_augmented_images_while_it_trains_and_no_others(paper: str) -> None:
    torch.manual_seed(0)
    module = small_model(paper)
    x = module.preprocess(small_data(paper).split("train").images[:8])
    y = None if module.num_classes is None else torch.arange(8) % module.num_classes
    entrance, seen = getattr(module.D, "trunk", module.D), []
    policy = "translation,cutout"
    augment_discriminator(module, policy)
    entrance.register_forward_pre_hook(lambda net, inputs: seen.append(inputs[0]))
    before = module.latent_generator.get_state()
    module.D.eval()
    module.score(x, y)
    assert torch.equal(seen.pop(), x)
    assert torch.equal(before, module.latent_generator.get_state())
    module.D.train()
    if hasattr(module.D, "with_codes"):
        module.D.with_codes(x)
    else:
        module.score(x, y)
    draws = torch.Generator()
    draws.set_state(before)
    unit = float(x.min()) == 0
    expected = augment(x * 2 - 1 if unit else x, parse_policy(policy), generator=draws)
    torch.testing.assert_close(seen.pop(), expected / 2 + 0.5 if unit else expected)
    assert not torch.equal(before, module.latent_generator.get_state())


def test_flat_digits_are_augmented_as_pictures() -> None:
    module, seen = MODELS["gan"](**SMALL["gan"].model), []
    handle = augment_discriminator(module, "cutout")
    module.D.register_forward_pre_hook(lambda net, inputs: seen.append(inputs[0]))
    module.D(torch.zeros(6, 784))
    holes = (seen[0].view(6, 28, 28) == 0.5).sum((1, 2))  # mid-grey, zero in [-1, 1]
    assert seen[0].shape == (6, 784)
    assert ((holes >= 7 * 7) & (holes <= 14 * 14)).all()
    handle.remove()
    module.D(torch.zeros(6, 784))
    assert torch.equal(seen[1], torch.zeros(6, 784))


def test_features_that_g_matches_are_of_augmented_images() -> None:
    """They are of a part of D that is called by itself, past a hook on the whole of it."""
    torch.manual_seed(0)
    module = MODELS["dcgan"](**SMALL["dcgan"].model, techniques={"feature_matching": True})
    x = module.preprocess(small_data("dcgan").split("train").images[:8])
    seen: list[torch.Tensor] = []
    augment_discriminator(module, "cutout")
    module.D[0].register_forward_pre_hook(lambda net, inputs: seen.append(inputs[0]))
    module.generator_loss(x, None)
    module.discriminator_loss(x, None)
    assert len(seen) == 4  # reals and samples of each player
    assert all(((images == 0).flatten(1).sum(1) >= 16 * 16 / 4).all() for images in seen)  # a square is cut out
    module.eval()
    module.score(x)
    assert torch.equal(seen[-1], x)


def test_both_players_train_through_it() -> None:
    module = small_model("stylegan")
    before = {name: value.clone() for name, value in module.state_dict().items()}
    augment_discriminator(module, "color,translation,cutout")
    fit(module, data=small_data("stylegan"), images=24)
    after = module.state_dict()
    assert all(any(not torch.equal(before[k], after[k]) for k in before if k.startswith(f"{p}.")) for p in "GD")


def test_what_cannot_be_augmented_is_refused() -> None:
    with pytest.raises(UnsupportedSettingError, match="no policy 'colour'; join some of color, translation, cutout"):
        parse_policy("colour,cutout")
    with pytest.raises(UnsupportedSettingError, match="makes points"):
        augment_discriminator(MODELS["lsgan"](network="ring"), "color")
    module = small_model("dcgan")
    module.preprocess = lambda x: x.float() / 40 - 3
    with pytest.raises(UnsupportedSettingError, match="normalised"):
        augment_discriminator(module, "color")
