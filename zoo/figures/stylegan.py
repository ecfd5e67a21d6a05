"""The figures of StyleGAN: style mixing, truncation, what the noise does, and one grid at many resolutions.

Seeds stand for latents: seed s is the first latent of a generator seeded by s. The averaged weights draw.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from zoo.models.stylegan import StyleGAN


def latents(module: StyleGAN, seeds: Sequence[int]) -> Tensor:
    """One latent for each seed, [n, z_dim]."""
    z = [module.latents(1, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    return torch.cat(z).to(module.device)


@torch.no_grad()
def style_mixing(
    module: StyleGAN, *, sources: Sequence[int], destinations: Sequence[int], layers: Sequence[Sequence[int]]
) -> Tensor:
    """Figure 3: sources along the top, destinations at the left; each image is its destination with styles of a source.

    Args:
        module: the model.
        sources: seeds of the columns.
        destinations: seeds of the rows.
        layers: for each destination, the synthesis layers whose style comes from the source.

    Returns:
        [destinations + 1, sources + 1, C, H, W] in [-1, 1], white in the upper left corner.
    """
    columns = latents(module, sources)
    top = module.images_from(columns, noise="const")  # [columns, C, H, W]
    rows = [torch.cat([torch.ones_like(top[:1]), top])]
    for seed, chosen in zip(destinations, layers, strict=True):
        row = latents(module, [seed])
        mixed = module.style_mix(row, columns, chosen)[0]
        rows.append(torch.cat([module.images_from(row, noise="const"), mixed]))
    return torch.stack(rows)


def coarse_middle_fine(module: StyleGAN) -> dict[str, range]:
    """Figure 3's groups: the layers of 4x4 and 8x8, of 16x16 and 32x32, of all above; at most half, and at least one.

    Below 64x64 there is nothing above 32x32: there the last two layers are "fine", the two before "middle".
    """
    n = module.G.synthesis.layers
    first, second = (4, 8) if n > 8 else (max(n - 4, 1), n - 2)
    return {"coarse": range(first), "middle": range(first, second), "fine": range(second, n)}


@torch.no_grad()
def truncation_sweep(
    module: StyleGAN, *, seeds: Sequence[int], psis: Sequence[float] = (1.0, 0.7, 0.5, 0.0, -0.5, -1.0)
) -> Tensor:
    """Figure 8: [seeds, psis, C, H, W] in [-1, 1]; at psi = 0 all seeds give the average image, below 0 its opposites.

    Styles are truncated in all layers, with the same constant noise everywhere.
    """
    z = latents(module, seeds)
    every = module.G.synthesis.layers
    columns = [module.images_from(z, noise="const", truncation_psi=psi, truncation_cutoff=every) for psi in psis]
    return torch.stack(columns, 1)


@torch.no_grad()
def noise_ablation(module: StyleGAN, *, seeds: Sequence[int], split: int | None = None) -> Tensor:
    """Figure 5: noise in all layers, in none, in the fine layers only, in the coarse layers only.

    Args:
        module: the model.
        seeds: of the rows.
        split: the first fine layer; None takes the paper's 8 (64x64), in smaller networks the middle.

    Returns:
        [seeds, 4, C, H, W] in [-1, 1].
    """
    n = module.G.synthesis.layers
    split = split if split is not None else 8 if n > 8 else n // 2
    z = latents(module, seeds)
    columns = [range(n), range(0), range(split, n), range(split)]
    return torch.stack([module.images_from(z, noise="const", noise_layers=layers) for layers in columns], 1)


@torch.no_grad()
def noise_deviation(module: StyleGAN, *, seeds: Sequence[int], draws: int = 100, brightness: float = 4.0) -> Tensor:
    """Figure 4: an image, and the standard deviation of each pixel over `draws` of the noise.

    Args:
        module: the model.
        seeds: of the rows.
        draws: noise realisations.
        brightness: the deviation, in grey levels and averaged over the colours, is multiplied by it: black is none.

    Returns:
        [seeds, 2, C, H, W] in [-1, 1].
    """
    rows = []
    for seed in seeds:
        z = latents(module, [seed]).expand(draws, -1)
        images = module.images_from(z, noise="random", seed=seed)  # [draws, C, H, W]
        deviation = images.std(0, correction=0).mean(0, keepdim=True)  # [1, H, W]
        shown = (deviation * brightness - 1).clamp(max=1).expand_as(images[0])  # in units of 127.5 grey levels
        rows.append(torch.stack([images[0], shown]))
    return torch.stack(rows)


@torch.no_grad()
def multi_resolution(module: StyleGAN, *, seed: int = 5, rows: int = 2, halvings: Sequence[int] = (0, 1, 2)) -> Tensor:
    """Figure 2's layout: a column of uncurated images for each number of halvings, side by side on one canvas.

    A column whose images are halved h times holds rows * 2^h of them, so that all columns are equally high.

    Args:
        module: the model.
        seed: of all latents.
        rows: images in a column of full resolution.
        halvings: of each column.

    Returns:
        [1, 1, C, rows * H, W * (2^-h + ...)] in [-1, 1].
    """
    counts = [rows * 2**h for h in halvings]
    images = module.sample(sum(counts), seed=seed)
    columns = []
    for h, column in zip(halvings, torch.split(images, counts), strict=True):
        small = avg_pool2d(column, 2**h)
        columns.append(torch.cat(list(small), 1))  # [C, rows * H, W / 2^h]
    return torch.cat(columns, 2)[None, None]
