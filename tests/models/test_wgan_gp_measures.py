"""What WGAN-GP measures: gradients and weights of the critic (figure 1), distances in the plane, overfitting."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from wgan_gp_toys import Bowl, Colour32, tiny

from zoo.data.toy import ToyPoints
from zoo.experiments import wgan_gp_critic
from zoo.experiments.wgan_gp_critic import critic_weights, gradient_norms, gradient_norms_by_layer, measure
from zoo.nn.modes import in_eval_mode

# Figure 1.


def test_gradient_norms_by_layer_against_the_chain_rule() -> None:
    """Backwards through the weights by hand; the norm is over the batch, the first entry next to the points."""
    module = tiny(width=5)
    x, fake = torch.randn(7, 2), torch.randn(7, 2)
    points = torch.cat([x, fake]).double()
    weights = [(layer.weight.double(), layer.bias.double()) for layer in module.D if isinstance(layer, nn.Linear)]
    hidden = [points]
    for w, b in weights[:-1]:
        hidden.append((hidden[-1] @ w.T + b).clamp_min(0))
    gradient = torch.tensor([-1 / 7] * 7 + [1 / 7] * 7).double()[:, None]  # of E D(fake) - E D(x)
    norms = [gradient.norm()]
    for (w, _), h in zip(weights[:0:-1], hidden[:0:-1], strict=True):
        gradient = gradient @ w
        norms.append(gradient.norm())
        gradient = gradient * (h > 0)
    with torch.inference_mode():  # as in Trainer.test
        found = gradient_norms_by_layer(module, x, fake)
    torch.testing.assert_close(found, torch.stack(norms[::-1]).detach(), rtol=1e-6, atol=0)
    assert found.shape == (4,)
    assert all(parameter.grad is None for parameter in module.D.parameters())


def test_what_vanishes_in_a_deep_clipped_critic_does_not_underflow() -> None:
    module = tiny("toy_deep", width=64, method="wgan", clip=1e-3)
    with torch.no_grad():
        module.after_discriminator_update()
    norms = gradient_norms_by_layer(module, torch.rand(8, 2), -torch.rand(8, 2))
    assert norms.shape == (13,)
    assert norms[-1].item() == pytest.approx(16**0.5 / 8)
    assert 0 < norms[0].item() < 1e-15
    with pytest.raises(ValueError, match="network=toy"):
        gradient_norms_by_layer(tiny("cifar10"), torch.zeros(1, 3, 32, 32), torch.zeros(1, 3, 32, 32))


def test_critic_weights_are_those_of_all_layers_without_biases() -> None:
    module = tiny(width=4)
    with torch.no_grad():
        for parameter in module.D.parameters():
            parameter.fill_(3.0 if parameter.dim() == 1 else 2.0)
    assert critic_weights(module).tolist() == [2.0] * (2 * 4 + 4 * 4 + 4 * 4 + 4)


# The paper's own measures.


def test_gradient_norms_at_interpolates_by_hand() -> None:
    """The gradient of |x|^2 / 2 is x; epsilon is the share of the real; more pairs than one block."""
    module = tiny()
    module.D = Bowl()
    x, fake = torch.tensor([[4.0, 0.0]]).repeat(201, 1), torch.tensor([[0.0, 2.0]]).repeat(201, 1)
    epsilon = torch.rand(201)
    with torch.inference_mode():
        norms = gradient_norms(module, x, fake, epsilon=epsilon)
    expected = torch.stack([4 * epsilon, 2 - 2 * epsilon], 1).norm(dim=1)
    torch.testing.assert_close(norms, expected)


class Plane(nn.Module):
    """D(x) = 3 x_1 + 4 x_2, whose gradient has norm 5."""

    def forward(self, x: Tensor) -> Tensor:
        return (x @ torch.tensor([[3.0], [4.0]])).view(-1, 1)


def test_measures_in_the_plane(monkeypatch: pytest.MonkeyPatch) -> None:
    module, data = tiny(), ToyPoints(distribution="25gaussians")
    module.D = Plane()
    real = data.split("test").images
    shifted = real[:1_000] + torch.tensor([3.0, 4.0])
    monkeypatch.setattr(wgan_gp_critic, "fixed_samples", lambda module, *, seed: shifted)
    values, protocol = measure(module, data, seed=2)
    assert values["wasserstein_exact"] == pytest.approx(5, rel=1e-4)
    assert values["share_high_quality"] == 0
    assert values["critic_gradient_norm"] == pytest.approx(5, rel=1e-5)
    assert values["critic_gradient_norm_std"] == pytest.approx(0, abs=1e-5)
    monkeypatch.setattr(wgan_gp_critic, "fixed_samples", lambda module, *, seed: real[-1_000:])
    values, _ = measure(module, data, seed=2)
    assert 0 < values["wasserstein_exact"] < 0.2
    assert values["share_modes_covered"] == 1
    assert values["share_high_quality"] == pytest.approx(1 - math.exp(-4.5), abs=0.015)
    assert (protocol["seed"], protocol["n_fake"], protocol["n_real"]) == (2, 1_000, {"test": 1_000})


def test_measures_of_points_are_fixed_and_leave_the_streams_alone() -> None:
    module, data = tiny(), ToyPoints(distribution="swissroll")
    state, latents = torch.get_rng_state(), module.latent_generator.get_state()
    values = measure(module, data, seed=3).values
    assert set(values) == {"critic_gradient_norm", "critic_gradient_norm_std", "wasserstein_exact"}
    assert measure(module, data, seed=3).values == values
    assert measure(module, data, seed=4).values["critic_gradient_norm"] != values["critic_gradient_norm"]
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(module.latent_generator.get_state(), latents)


def test_other_processes_gpus_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeping the random states of all GPUs took memory on each, for every process of a training on several."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert measure(tiny(), ToyPoints(distribution="swissroll"), seed=3).values


def test_a_fixed_generator_is_measured_on_noisy_reals_alone() -> None:
    """x_hat = x + (1 - epsilon) noise, whose gradient under |x|^2 / 2 is as long as it is."""
    module, data = tiny(fixed_generator=True), ToyPoints(distribution="swissroll")
    module.D = Bowl()
    values, _ = measure(module, data, seed=3)
    x = data.split("test").images
    epsilon = torch.rand(len(x), 1, generator=torch.Generator().manual_seed(0))
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    norms = (x + (1 - epsilon) * noise).norm(dim=1)
    assert set(values) == {"critic_gradient_norm", "critic_gradient_norm_std"}
    assert values["critic_gradient_norm"] == pytest.approx(norms.mean().item(), rel=0.05)
    assert values["critic_gradient_norm_std"] == pytest.approx(norms.std().item(), rel=0.1)


@pytest.mark.parametrize("settings", [{"network": "cifar10"}, {"network": "random", "filters": [2], "method": "gan"}])
def test_images_have_gradient_norms_too(settings: Any) -> None:
    module = tiny(**settings)
    with torch.inference_mode():
        values, protocol = measure(module, Colour32(), seed=3)
    assert set(values) == {"critic_gradient_norm", "critic_gradient_norm_std"}
    assert values["critic_gradient_norm"] > 0
    assert protocol["n_real"] == {"test": 6}


def test_the_critics_gap_on_training_and_held_out_images() -> None:
    module, data = tiny("cifar10"), Colour32(train_images=4)
    state = torch.get_rng_state()
    values, protocol = measure(module, data, seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    fake = None
    with torch.no_grad(), in_eval_mode(module):
        for name in ("train", "validation"):
            score = module.score(module.preprocess(data.split(name).images)).mean().item()
            fake = score - values[f"critic_gap_{name}"] if fake is None else fake
            assert values[f"critic_gap_{name}"] == pytest.approx(score - fake, abs=1e-4)
    assert protocol["n_real"] == {"test": 6, "train": 4, "validation": 2}
    assert measure(module, data, seed=3).values == values
