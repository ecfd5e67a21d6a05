"""What Table 1's log-likelihood depends on beside the training (Goodfellow et al. 2014), on one checkpoint each.

The authors' script takes 10,000 samples and the sigma, of ten from 0.1 to 1, that suits 1,000 validation images best.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.experiments.gan import unit_vectors
from zoo.experiments.pictures.drawing import BLUE, ORANGE, SERIES, Drawings, new_figure, series
from zoo.metrics.parzen import GRID, VALIDATION_IMAGES, log_likelihoods
from zoo.metrics.sampling import undisturbed
from zoo.models.gan import GAN
from zoo.models.trained import FinishedRun, at_hand
from zoo.nn.seeds import mix_seed

EPOCH = 50_000  # images
SAMPLES = 10_000
NUMBERS = (1_000, 10_000, 40_000)  # of samples
FINER = tuple(0.1 * 1.06**i for i in range(25))  # 0.1 .. 0.40; GRID has six there
DROPPED = (0.1, 0.5)  # shares of G's hidden units
DRAWS = 3  # lists of latents


@contextmanager
def dropping(G: nn.Module, share: float) -> Iterator[None]:
    """Drops a share of every rectified layer's units while samples are drawn, and scales up what is left.

    The authors' settings drop units of D alone, while it trains: this says what the figure would be otherwise.
    """

    def drop(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return F.dropout(output, share)

    hooks = [layer.register_forward_hook(drop) for layer in G.modules() if isinstance(layer, nn.ReLU)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def samples_of(module: GAN, n: int, *, draw: int = 0, block: int = 500) -> Tensor:
    """n samples in [0, 1], flattened [n, 784]; another `draw` gives others, more of them begin with the same."""
    numbers = range(-(-n // block))
    with undisturbed(module):
        torch.manual_seed(mix_seed(draw, "dropped units"))
        parts = [module.sample(block, seed=mix_seed(draw, "parzen study", i)).cpu() for i in numbers]
    return torch.cat(parts)[:n].add(1).div(2).clamp(0, 1).flatten(1)


def chosen(
    samples: Tensor, validation: Tensor, test: Tensor, *, sigmas: tuple[float, ...] = GRID
) -> tuple[float, float]:
    """Mean log-likelihood of the test images in nats, and the sigma that suits the validation images best."""
    fits = log_likelihoods(validation, samples, sigmas=sigmas).mean(1)
    sigma = sigmas[int(fits.argmax())]
    return float(log_likelihoods(test, samples, sigmas=[sigma]).mean()), sigma


def readings(module: GAN, validation: Tensor, test: Tensor) -> dict[str, float]:
    """The log-likelihood of one checkpoint in nats (`parzen_ll, ...`) as each of the choices changes it, one at a time.

    Beside some of them stands the sigma that was chosen (`parzen_sigma, ...`).

    Args:
        module: the generator.
        validation: images that were not trained on, in [0, 1], [N, 784].
        test: those that are scored.
    """
    few, found = validation[:VALIDATION_IMAGES], {}
    most = samples_of(module, max(NUMBERS))
    for n in NUMBERS:
        found[f"parzen_ll, {n:,} samples"], found[f"parzen_sigma, {n:,} samples"] = chosen(most[:n], few, test)
    samples = most[:SAMPLES]
    finer = chosen(samples, few, test, sigmas=FINER)
    found["parzen_ll, sigma of a finer grid"], found["parzen_sigma, of a finer grid"] = finer
    found["parzen_ll, sigma by all validation images"], _ = chosen(samples, validation, test)
    found["parzen_ll, sigma by the test images"], _ = chosen(samples, test, test, sigmas=FINER)
    for draw in range(1, DRAWS):
        found[f"parzen_ll, latents {draw}"], _ = chosen(samples_of(module, SAMPLES, draw=draw), few, test)
    for share in DROPPED:
        with dropping(module.G, share):
            found[f"parzen_ll, {share:g} of G's units dropped"], _ = chosen(samples_of(module, SAMPLES), few, test)
    return found


def parzen_findings(runs: Mapping[str, FinishedRun]) -> dict[str, float]:
    """`readings` of each member's best checkpoint, and the epoch at which its validation log-likelihood was highest.

    None of members whose record alone is there.
    """
    found: dict[str, float] = {}
    for name, run in at_hand(runs).items():
        module = run.module("best" if run.checkpoint("best").is_file() else "last")
        assert isinstance(module, GAN)
        validation, test = (unit_vectors(run.data.split(split).images) for split in ("validation", "test"))
        found |= {f"{key}, {name}": value for key, value in readings(module, validation, test).items()}
        images, values = series(run.rows, "parzen_ll_validation")
        if len(values):
            found[f"epoch of the best parzen_ll_validation, {name}"] = float(images[values.argmax()] / EPOCH)
    return found


def parzen_figures(runs: Mapping[str, FinishedRun]) -> Drawings:
    """`rise`: the log-likelihood of test (full) and validation images (dashed) over epochs, a colour a member."""
    figure, [[ax]] = new_figure(1, 1, width=5.4, height=3.4)
    for colour, (name, run) in zip((BLUE, ORANGE, *SERIES[2:]), at_hand(runs).items(), strict=False):
        for measure, style, label in (("parzen_ll", "-", name), ("parzen_ll_validation", "--", None)):
            images, values = series(run.rows, measure)
            ax.plot(images / EPOCH, values, style, color=colour, linewidth=1.1, label=label)
    ax.axhline(225, color="black", linewidth=0.8, linestyle=":")
    ax.annotate("reported", (0.01, 225), xycoords=("axes fraction", "data"), xytext=(0, 3),
                textcoords="offset points", fontsize=8)  # fmt: skip
    ax.set_ylim(bottom=0)
    ax.set_xlabel("epochs of 50,000 digits")
    ax.set_ylabel("log-likelihood, nats")
    ax.legend(frameon=False, fontsize=8, loc="lower right")
    yield "rise", figure
