"""Figures 3, 4, 5 and 8 of Karras, Laine, Aila 2019: style mixing, what the noise does, truncation; path lengths.

Seeds stand for latents: seed s is the first latent of a generator seeded by s. The averaged weights draw.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor

from zoo.data import ImageDataModule
from zoo.errors import EvaluationError
from zoo.experiments.experiment import NOTHING, Experiment, Measured
from zoo.experiments.pggan import of_pixels
from zoo.experiments.pictures.captions import captioned
from zoo.experiments.pictures.drawing import Drawings
from zoo.experiments.pictures.growing import growing_figures, labelled, latents
from zoo.metrics.lenet import LeNetExtractor
from zoo.metrics.path_length import ExtractorDistance, perceptual_path_length
from zoo.models.stylegan import StyleGAN
from zoo.models.trained import FinishedRun

PATHS = 10_000  # of a path length on `test`
PSIS = (1.0, 0.7, 0.5, 0.0, -0.5, -1.0)


def run_figures(module: StyleGAN, run: FinishedRun) -> Drawings:
    """What growing networks share; `interpolation`; `figure3` to `figure5` and `figure8` as far as the row has them."""
    yield from growing_figures(module, run)
    images = module.interpolate(latents(module, range(4)), latents(module, range(10, 14)), steps=9)
    way = "Straight in W" if module.has_mapping else "On great circles in Z"
    yield "interpolation", captioned(images, title=f"{way}, from one latent (left) to another (right)")
    if module.config >= "C":
        groups = coarse_middle_fine(module)
        kinds = ["coarse"] * 3 + ["middle"] * 2 + ["fine"]  # the paper's six destinations
        mixed = style_mixing(
            module, sources=range(5), destinations=range(10, 16), layers=[groups[kind] for kind in kinds]
        )
        yield (
            "figure3_style_mixing",
            labelled(
                mixed,
                columns=["", *["source"] * 5],
                rows=["", *kinds],
                title="Each image: coarse, middle or fine styles of the source above, all others of that at the left",
            ),
        )
        sweep = truncation_sweep(module, seeds=range(4))
        yield (
            "figure8_truncation",
            labelled(
                sweep,
                columns=[rf"$\psi$ = {psi:g}" for psi in PSIS],
                title=r"One latent in each row: $\psi$ = 1 is untouched, 0 the average, below it the opposite",
            ),
        )
    if module.config >= "E":
        deviation = noise_deviation(module, seeds=range(4))
        yield (
            "figure4_noise_deviation",
            labelled(
                deviation,
                columns=["image", "deviation x 4"],
                title="How far noise alone changes each pixel (black: not)",
            ),
        )
        ablation = noise_ablation(module, seeds=range(4))
        yield (
            "figure5_noise",
            labelled(
                ablation,
                columns=["all layers", "no noise", "fine", "coarse"],
                title="The layers that get noise; one latent in each row",
            ),
        )


@torch.no_grad()
def style_mixing(
    module: StyleGAN,
    *,
    sources: Sequence[int],
    destinations: Sequence[int],
    layers: Sequence[Sequence[int]],
    truncation_psi: float | None = None,
) -> Tensor:
    """Figure 3: sources along the top, destinations at the left; each image is its destination with styles of a source.

    Args:
        module: the model.
        sources: seeds of the columns.
        destinations: seeds of the rows.
        layers: for each destination, the synthesis layers whose style comes from the source.
        truncation_psi: of all styles; None does not truncate.

    Returns:
        [destinations + 1, sources + 1, C, H, W] in [-1, 1], white in the upper left corner.
    """
    columns = latents(module, sources)
    top = module.images_from(columns, truncation_psi=truncation_psi, noise="const")  # [columns, C, H, W]
    rows = [torch.cat([torch.ones_like(top[:1]), top])]
    for seed, chosen in zip(destinations, layers, strict=True):
        row = latents(module, [seed])
        mixed = module.style_mix(row, columns, chosen, truncation_psi=truncation_psi)[0]
        rows.append(torch.cat([module.images_from(row, truncation_psi=truncation_psi, noise="const"), mixed]))
    return torch.stack(rows)


@torch.no_grad()
def mixing_loop(
    module: StyleGAN,
    *,
    sources: Sequence[Tensor],
    destinations: Sequence[int],
    layers: Sequence[int],
    t: Tensor,
    truncation_psi: float | None = None,
) -> Iterator[Tensor]:
    """Figure 3 in motion: the sources go from one set of latents to the next, as `interpolate` does, and back.

    Args:
        module: the model.
        sources: latents [columns, z_dim], each set of which is passed.
        destinations: seeds of the rows, which stay.
        layers: the synthesis layers whose style comes from the source.
        t: times between two sets, from 0 on.
        truncation_psi: of all styles; None does not truncate.

    Yields:
        As `style_mixing` returns, len(sources) * len(t) times.
    """
    stops = [z.to(module.device) for z in sources]
    w_rows = module.styles(latents(module, destinations), truncation_psi=truncation_psi)
    left = module.render(w_rows, noise="const")
    chosen = torch.tensor([layer in layers for layer in range(w_rows.shape[1])], device=w_rows.device)[:, None]
    for i, start in enumerate(stops):
        way = module.styles_between(start, stops[(i + 1) % len(stops)], t, truncation_psi=truncation_psi)
        for w in way.unbind(1):  # [columns, layers, w_dim]
            mixed = torch.where(chosen, w[None], w_rows[:, None]).flatten(0, 1)
            images = module.render(torch.cat([w, mixed]), noise="const").unflatten(0, (-1, len(w)))  # type: ignore[no-untyped-call]
            first = torch.cat([torch.ones_like(left[:1]), left])[:, None]
            yield torch.cat([first, images], 1).clamp(-1, 1).cpu()


def coarse_middle_fine(module: StyleGAN) -> dict[str, range]:
    """Figure 3's groups: the layers of 4x4 and 8x8, of 16x16 and 32x32, of all above; at most half, and at least one.

    Below 64x64 there is nothing above 32x32: there the last two layers are "fine", the two before "middle"; the two
    of a 4x4 network are "coarse" and "fine".
    """
    n = module.G.synthesis.layers
    first, second = (4, 8) if n > 8 else (max(n - 4, 1), max(n - 2, 1))
    return {"coarse": range(first), "middle": range(first, second), "fine": range(second, n)}


def layers_of(module: StyleGAN, kind: str) -> range:
    """One of these groups; EvaluationError if a network of 4x4 images is asked for its middle, which it has not."""
    if not (layers := coarse_middle_fine(module)[kind]):
        raise EvaluationError(f"a StyleGAN of two layers (4x4) has no {kind} styles: take coarse or fine")
    return layers


def layers_title(module: StyleGAN, kind: str) -> str:
    """A group of layers with the resolutions that it works at; two layers have the same."""
    group = layers_of(module, kind)
    sides = [4 * 2 ** (layer // 2) for layer in (group[0], group[-1])]
    return f"the {kind} styles (layers of {' to '.join(dict.fromkeys(f'{side}x{side}' for side in sides))})"


@torch.no_grad()
def truncation_sweep(module: StyleGAN, *, seeds: Sequence[int], psis: Sequence[float] = PSIS) -> Tensor:
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


def path_length(
    module: StyleGAN,
    distance: Callable[[Tensor, Tensor], Tensor],
    *,
    space: Literal["w", "z"] = "w",
    sampling: Literal["full", "end"] = "full",
    pairs: int = 100_000,
    face_crop: bool = False,
    seed: int = 0,
) -> float:
    """Perceptual path length (section 4.1), without truncation and with the constant noise.

    Args:
        module: the model.
        distance: `VGG16LPIPS` for the paper's value; see zoo.metrics.path_length.
        space: where the paths run.
        sampling: "full" takes points anywhere on a path, "end" at its beginning.
        pairs: number of paths.
        face_crop: compare the centre of the face only, as the paper does.
        seed: of the paths.
    """

    def synthesize(points: Tensor) -> Tensor:
        return module.render(points if space == "w" else module.styles(points), noise="const")

    value = perceptual_path_length(
        synthesize,
        distance,
        latents=lambda n, generator: module.latents(n, generator=generator).to(module.device),
        mapping=module.styles if space == "w" else None,
        sampling=sampling,
        pairs=pairs,
        face_crop=face_crop,
        seed=seed,
    )
    return float(value)


def measure_on_test(module: StyleGAN, data: ImageDataModule, *, seed: int) -> Measured:
    """Path lengths of digits by the project's LeNet, full and end, in W (without mapping layers: in Z).

    They are values of that network alone. The paper's, by VGG-16 with LPIPS' weights, are `path_length`'s.
    """
    if data.extractor != "lenet":
        return NOTHING
    lenet = LeNetExtractor().to(module.device)
    distance = ExtractorDistance(lenet)
    space: Literal["w", "z"] = "w" if module.has_mapping else "z"
    values = {
        f"ppl_{sampling}_{space}_lenet{PATHS // 1000}k": path_length(
            module, distance, space=space, sampling=sampling, pairs=PATHS, seed=seed
        )
        for sampling in ("full", "end")
    }
    protocol = {"measure": "perceptual path length, epsilon 1e-4", "n_pairs": PATHS, "weights": "ema"}
    protocol |= {
        "extractor": lenet.name,
        "extractor_sha256": lenet.sha256,
        "sampling": "no truncation, const noise",
    }
    return Measured(values, {**protocol, "seed": seed})


EXPERIMENT = Experiment(on_test=measure_on_test, of_pixels=of_pixels)
