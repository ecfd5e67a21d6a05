"""Tables 1 and 2 of Karras, Laine, Aila 2019 in small: rows A to F, and mixing against the number of test latents."""

from collections.abc import Mapping
from functools import cache
from typing import Literal

import torch
from torch import Tensor

from zoo.experiments.ablation import row_figures, row_samples, step_findings, values_by_row
from zoo.experiments.pictures.drawing import SERIES, Drawings, new_figure
from zoo.experiments.stylegan import path_length
from zoo.experiments.suite import build_evaluator
from zoo.metrics.extractors import load_extractor
from zoo.metrics.path_length import ExtractorDistance
from zoo.metrics.presets import Column
from zoo.models.stylegan import StyleGAN
from zoo.models.trained import FinishedRun, at_hand
from zoo.nn.seeds import mix_seed

ROWS, FAMILIES = "ABCDEF", ("fd", "kd")
FEATURES = "resnet"  # natural images of 32x32 pixels, quick on a CPU
PAIRS, SAMPLES, BLOCK = 5_000, 10_000, 250
TEST_LATENTS = (1, 2, 3, 4)


def table1_figures(runs: Mapping[str, FinishedRun]) -> Drawings:
    """`rows`: distances of each row; one seed, one dot; `samples`."""
    yield from row_figures(values_by_row(runs, rows=ROWS, families=FAMILIES))
    yield from row_samples(runs, rows=ROWS)


def table1_findings(runs: Mapping[str, FinishedRun]) -> dict[str, float]:
    """What each row changes, and the path length of each member in W (rows A and B: in Z) by features of ResNet.

    No path length of members whose record alone is there.
    """
    distance = ExtractorDistance(load_extractor(FEATURES))
    found = step_findings(values_by_row(runs, rows=ROWS, families=FAMILIES))
    for name, run in at_hand(runs).items():
        module = run.module()
        assert isinstance(module, StyleGAN)
        space: Literal["w", "z"] = "w" if len(module.G.mapping) > 1 else "z"
        value = path_length(module, distance, space=space, pairs=PAIRS)
        found[f"ppl_full_{space}_{FEATURES}{PAIRS // 1000}k, {name}"] = value
    return found


def table2_figures(runs: Mapping[str, FinishedRun]) -> Drawings:
    """`latents`: the distance with one to four latents at test time, a curve for each share of mixing in training.

    Without members whose record alone is there.
    """
    figure, [[ax]] = new_figure(1, 1, width=5.0, height=3.2)
    for colour, (name, run) in zip(SERIES, at_hand(runs).items(), strict=False):
        values = distances_by_latents(run)
        ax.plot(list(values), list(values.values()), "o-", color=colour, markersize=3, linewidth=1.1, label=name)
    ax.set_xticks(TEST_LATENTS)
    ax.set_xlabel("latents of a test image")
    ax.set_ylabel(f"fd_{FEATURES}{SAMPLES // 1000}k")
    ax.legend(frameon=False, fontsize=8)
    yield "latents", figure


def table2_findings(runs: Mapping[str, FinishedRun]) -> dict[str, float]:
    """The distances of `table2_figures`."""
    return {
        f"fd_{FEATURES}{SAMPLES // 1000}k, {n} test latents, {name}": value
        for name, run in at_hand(runs).items()
        for n, value in distances_by_latents(run).items()
    }


@cache  # figure and findings take the same
def distances_by_latents(run: FinishedRun) -> dict[int, float]:
    """{number of latents: Frechet distance of samples that mix as many, from the training images}."""
    module, extractor = run.module(), load_extractor(FEATURES)
    assert isinstance(module, StyleGAN)
    column = Column(extractor, "train", None)
    evaluator = build_evaluator(None, run.data, columns=[column], measures=("fd",), n_fake=SAMPLES)
    results = {n: evaluator.run_images(mixed_samples(module, SAMPLES, latents=n)) for n in TEST_LATENTS}
    return {n: result.values[f"fd_{FEATURES}{SAMPLES // 1000}k"] for n, result in results.items()}


@torch.no_grad()
def mixed_samples(module: StyleGAN, n: int, *, latents: int, seed: int = 0) -> Tensor:
    """n images, uint8 [n, C, R, R], each with so many latents, which take over from one another at random layers.

    With one latent those of `sample`; without truncation, noise at random, averaged weights. The first latents and the
    crossovers of a seed do not depend on n.
    """
    blocks = []
    for block in range(-(-n // BLOCK)):
        own = mix_seed(seed, "mixed", block)
        generator = torch.Generator().manual_seed(own)
        styles = [module.styles(module.latents(BLOCK, generator=generator)) for _ in range(latents)]
        w = crossed(torch.stack(styles), generator=generator)
        images = module.render(w, seed=own).clamp(-1, 1)
        blocks.append(images.add(1).mul(127.5).round().to(torch.uint8).cpu())
    return torch.cat(blocks)[:n]


def crossed(styles: Tensor, *, generator: torch.Generator) -> Tensor:
    """Styles [K, N, layers, d] of K latents to one style for each layer, [N, layers, d].

    K - 1 layers of each image, drawn uniformly above the first, are where the next latent takes over.
    """
    latents, n, layers, _ = styles.shape
    crossovers = torch.randint(1, layers, (n, latents - 1, 1), generator=generator)
    index = (crossovers <= torch.arange(layers)).sum(1)  # [N, layers], 0 .. K - 1
    return styles[index, torch.arange(n)[:, None], torch.arange(layers)]
