"""StyleGAN's figures: shapes, and what must be equal in them."""

from typing import Any

import pytest
import torch
from torch import nn

from zoo.errors import EvaluationError
from zoo.experiments import stylegan as figures
from zoo.models.stylegan import StyleGAN


def tiny(resolution: int = 16, **settings: Any) -> StyleGAN:
    """Fully grown, with noise scales and biases that show; 2 channels."""
    torch.manual_seed(0)
    options: dict[str, Any] = {"z_dim": 6, "w_dim": 6, "mapping_layers": 2, "fmap_base": 32, "fmap_max": 8}
    module = StyleGAN(resolution=resolution, channels=2, **{**options, **settings})
    for name, parameter in module.G_ema.named_parameters():
        if name.endswith(("noise_scale", "bias")):
            nn.init.normal_(parameter, std=0.3)
    nn.init.normal_(module.G_ema.w_average)
    module.images_seen = module.growth.grown_at
    return module


def image(module: StyleGAN, seed: int, **settings: Any) -> torch.Tensor:
    z = module.latents(1, generator=torch.Generator().manual_seed(seed))
    return module.images_from(z, **{"noise": "const", **settings})[0]


def test_style_mixing() -> None:
    """No layer from the source: the destination; all: the source."""
    module = tiny()
    grid = figures.style_mixing(module, sources=[1, 2, 3], destinations=[4, 5], layers=[[], range(6)])
    assert grid.shape == (3, 4, 2, 16, 16)
    assert (grid[0, 0] == 1).all()
    for j, seed in enumerate((1, 2, 3), start=1):
        torch.testing.assert_close(grid[0, j], image(module, seed))
        torch.testing.assert_close(grid[1, j], image(module, 4))
        torch.testing.assert_close(grid[2, j], image(module, seed))
    torch.testing.assert_close(grid[1:, 0], torch.stack([image(module, 4), image(module, 5)]))


@pytest.mark.parametrize(
    ("resolution", "bounds"),
    [(1024, (4, 8, 18)), (64, (4, 8, 10)), (32, (4, 6, 8)), (16, (2, 4, 6)), (8, (1, 2, 4)), (4, (1, 1, 2))],
)
def test_coarse_middle_and_fine_layers(resolution: int, bounds: tuple[int, int, int]) -> None:
    with torch.device("meta"):
        module = StyleGAN(resolution=resolution, fmap_max=4)
    groups = figures.coarse_middle_fine(module)
    assert list(groups) == ["coarse", "middle", "fine"]
    assert [layer for group in groups.values() for layer in group] == list(range(bounds[2]))
    assert [group.stop for group in groups.values()] == list(bounds)
    if not groups["middle"]:
        with pytest.raises(EvaluationError, match="has no middle styles: take coarse or fine"):
            figures.layers_of(module, "middle")


def test_truncation_sweep() -> None:
    module = tiny(truncation_cutoff=2)
    grid = figures.truncation_sweep(module, seeds=[1, 2], psis=(1.0, 0.5, 0.0, -1.0))
    assert grid.shape == (2, 4, 2, 16, 16)
    torch.testing.assert_close(grid[0, 0], image(module, 1))
    torch.testing.assert_close(grid[0, 2], grid[1, 2])  # the average, though the model's cut-off is 2
    assert not torch.allclose(grid[0, 3], grid[1, 3])
    torch.testing.assert_close(grid[1, 1], image(module, 2, truncation_psi=0.5, truncation_cutoff=6))


def test_noise_ablation() -> None:
    module = tiny()
    grid = figures.noise_ablation(module, seeds=[1, 2], split=4)
    assert grid.shape == (2, 4, 2, 16, 16)
    for row, seed in enumerate((1, 2)):
        for column, layers in enumerate(([0, 1, 2, 3, 4, 5], [], [4, 5], [0, 1, 2, 3])):
            torch.testing.assert_close(grid[row, column], image(module, seed, noise_layers=layers))
    assert torch.equal(figures.noise_ablation(module, seeds=[1]), figures.noise_ablation(module, seeds=[1], split=3))


def test_noise_deviation() -> None:
    """Black without noise; a noise that is only added to the last image shows as its scale."""
    module = tiny(config="D")
    grid = figures.noise_deviation(module, seeds=[1, 2], draws=4)
    assert grid.shape == (2, 2, 2, 16, 16)
    torch.testing.assert_close(grid[:, 1], torch.full_like(grid[:, 1], -1.0), atol=1e-4, rtol=0)
    torch.testing.assert_close(grid[0, 0], image(module, 1))
    module = tiny()
    noisy = 0.05 * torch.randn(400, 2, 16, 16)
    module.images_from = lambda z, **settings: noisy
    shown = figures.noise_deviation(module, seeds=[1], draws=400)[0, 1]
    assert shown.mean().item() == pytest.approx(4 * 0.05 - 1, abs=0.01)
    assert torch.equal(shown[0], shown[1])
