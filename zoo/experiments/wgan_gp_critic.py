"""What Gulrajani et al. 2017 look at in a critic: values, gradients and weights (figure 1), its gap (figure 5b)."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from zoo.data import ImageDataModule
from zoo.data.base import Split
from zoo.experiments.experiment import Experiment, Measured
from zoo.metrics.points import exact_wasserstein, mode_shares
from zoo.metrics.processes import state_device
from zoo.metrics.sampling import undisturbed
from zoo.models.wgan_gp import WGANGP
from zoo.nn.losses import wasserstein_critic_loss
from zoo.nn.modes import in_eval_mode
from zoo.nn.seeds import mix_seed


@torch.no_grad()
def critic_surface(module: WGANGP, *, side: int = 128, extent: float = 3.0) -> Tensor:
    """D on a grid over [-extent, extent]^2, [side, side] with x along the rows: the contours of figure 1a."""
    line = torch.linspace(-extent, extent, side, device=module.device)
    return module.score(torch.cartesian_prod(line, line)).view(side, side)


def gradient_norms_by_layer(module: WGANGP, x: Tensor, fake: Tensor) -> Tensor:
    """Norms of the gradient of E D(fake) - E D(x) with respect to the layers' activations (figure 1b, left).

    The norm is taken over the whole batch, [2N, units]. The penalty's own gradient is left out, so that methods
    are compared by one quantity. In float64, for what vanishes in a clipped critic underflows in float32.

    Args:
        module: of points in the plane.
        x: reals [N, 2].
        fake: samples [N, 2].

    Returns:
        float64 [layers], from the layer next to the points to the critic's output: 4 for `toy`, 13 for `toy_deep`.

    Raises:
        ValueError: a network of images.
    """
    if not module.in_plane:
        raise ValueError("gradient_norms_by_layer is of the MLPs in the plane: use network=toy or toy_deep")
    activations: list[Tensor] = []
    with torch.inference_mode(False), torch.enable_grad():
        device = state_device(module.device)
        h = torch.cat([x, fake]).detach().to(device).double()
        for layer in copy.deepcopy(module.D).to(device).double().children():
            h = layer(h)
            if not isinstance(layer, nn.Linear):
                activations.append(h)
        real, samples = h[:, 0].chunk(2)
        gradients = torch.autograd.grad(wasserstein_critic_loss(real, samples), [*activations, h])
    return torch.stack([gradient.norm() for gradient in gradients])


@torch.no_grad()
def critic_weights(module: WGANGP) -> Tensor:
    """All weights of the critic without biases and gains, [n]: the histograms of figure 1b, right."""
    return torch.cat([parameter.flatten() for parameter in module.D.parameters() if parameter.dim() > 1])


def measure(module: WGANGP, data: ImageDataModule, *, seed: int) -> Measured:
    """Gradient norms along interpolates; in the plane, distances of samples; with a validation split, overfitting.

    On the first 1,000 images or points of each split, and as many samples.
    """
    splits: list[Split] = ["test" if "test" in data.splits else "train"]
    if "validation" in data.splits:
        splits += ["train", "validation"]
    with undisturbed(module), in_eval_mode(module):
        torch.manual_seed(mix_seed(seed, "dequantise"))
        reals = {name: module.preprocess(data.split(name).images[:1_000].to(module.device)) for name in splits}
        fake = fixed_samples(module, seed=seed)
        values = gradient_measures(module, reals[splits[0]], fake, seed=seed)
        if module.in_plane and not module.fixed_generator:
            values |= plane_measures(reals["test"], fake, data)
        if "validation" in reals:
            values |= overfitting_measures(module, reals["train"], reals["validation"], fake)
    protocol = {
        "measure": "norm of grad D along interpolates; exact W1; modes within 3 sigma; E D(x) - E D(G(z))",
        "n_real": {name: len(x) for name, x in reals.items()},
        "n_fake": len(fake),
        "dataset_fingerprint": data.split(splits[0]).fingerprint,
    }
    return Measured(values, {**protocol, "seed": seed})


@torch.no_grad()
def fixed_samples(module: WGANGP, *, seed: int) -> Tensor:
    """1,000 samples in the scale of D, with labels drawn uniformly where there are any."""
    generator = torch.Generator().manual_seed(mix_seed(seed, "samples"))
    z = module.latents(1_000, generator=generator).to(module.device)
    y = torch.randint(module.num_classes or 1, (1_000,), generator=generator).to(module.device)
    return torch.cat([module.samples(z[i : i + 250], y[i : i + 250]) for i in range(0, 1_000, 250)])


def gradient_measures(module: WGANGP, x: Tensor, fake: Tensor, *, seed: int) -> dict[str, float]:
    """Mean and standard deviation of ||grad D(x_hat)|| over pairs of reals and what the critic is shown."""
    generator = torch.Generator().manual_seed(mix_seed(seed, "interpolates"))
    epsilon = torch.rand(len(x), generator=generator).to(x.device)
    if module.fixed_generator:
        fake = x + torch.randn(x.shape, generator=generator).to(x.device)
    norms = gradient_norms(module, x, fake[: len(x)], epsilon=epsilon)
    return {"critic_gradient_norm": float(norms.mean()), "critic_gradient_norm_std": float(norms.std())}


def gradient_norms(module: WGANGP, x: Tensor, fake: Tensor, *, epsilon: Tensor) -> Tensor:
    """||grad D(x_hat)|| at x_hat = epsilon x + (1 - epsilon) fake for each pair, [N]; blocks of 100 at a time."""
    norms = []
    with torch.inference_mode(False), torch.enable_grad():
        for a, b, e in zip(*(torch.split(part, 100) for part in (x, fake, epsilon)), strict=True):
            e = e.view(-1, *[1] * (x.dim() - 1))  # [N, 1, 1, 1]
            x_hat = (e * a + (1 - e) * b).detach().requires_grad_()
            (gradient,) = torch.autograd.grad(module.score(x_hat).sum(), x_hat)
            norms.append(gradient.flatten(1).norm(dim=1))
    return torch.cat(norms)


def plane_measures(x: Tensor, fake: Tensor, data: ImageDataModule) -> dict[str, float]:
    """Exact Wasserstein distance of samples to test points; shares of modes found (ours)."""
    values = {"wasserstein_exact": exact_wasserstein(fake, x)}
    modes: Any = getattr(data, "modes", None)
    if modes is not None:
        shares = mode_shares(fake, modes, std=data.mode_std)  # type: ignore[attr-defined]
        values |= {"share_modes_covered": shares.covered, "share_high_quality": shares.high_quality}
    return values


@torch.no_grad()
def overfitting_measures(module: WGANGP, train: Tensor, validation: Tensor, fake: Tensor) -> dict[str, float]:
    """E D(x) - E D(G(z)) on training and on held-out images (figure 5b)."""
    baseline = mean_score(module, fake)
    return {
        "critic_gap_train": mean_score(module, train) - baseline,
        "critic_gap_validation": mean_score(module, validation) - baseline,
    }


def mean_score(module: WGANGP, x: Tensor) -> float:
    """Mean of D over x, in blocks of 250."""
    return float(torch.cat([module.score(block) for block in torch.split(x, 250)]).mean())


EXPERIMENT = Experiment(while_training=measure)
