"""Figures of Arjovsky et al. 2017: 1 (parallel lines), 2 (two Gaussians), 3 (the critic's estimate), 4 (the GAN's)."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from zoo.experiments.experiment import NOTHING, Experiment, Measured
from zoo.experiments.measures import MEASURES
from zoo.experiments.pictures.drawing import BLUE, GREY, ORANGE, Array, Drawings, new_figure, series, without_ticks
from zoo.experiments.pictures.layout import plain
from zoo.models.trained import FinishedRun
from zoo.models.wgan import WGAN
from zoo.nn.losses import bce_discriminator_loss, wasserstein_critic_loss
from zoo.runs.text import say

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MEDIAN_WIDTH = 101  # generator updates, of the filter behind figure 3
CHECKPOINTS = 5  # evaluations that a correlation over them needs


def run_figures(module: WGAN, run: FinishedRun) -> Drawings:
    """`figure3`: the critic's estimate over generator updates, with samples along it; `correlation`, if evaluated."""
    if not estimated(run, figure="figure3"):
        return
    yield "figure3", estimate_with_samples(run)
    if distance := distance_name(run):
        at, _ = series(run.rows, distance)
        if (taken := int((at > 0).sum())) >= CHECKPOINTS:
            yield "correlation", correlation(run, distance=distance)
        else:
            say(f"correlation is left out: it needs {CHECKPOINTS} evaluations after the start, and there are {taken}")


def estimated(run: FinishedRun, *, figure: str) -> bool:
    """Whether there are points enough for the median filter of the critic's estimate; says where there are not."""
    points = len(series(run.rows, "wasserstein_estimate")[0])
    if points < MEDIAN_WIDTH:
        say(f"{figure} is left out: the critic's estimate is a median of {MEDIAN_WIDTH} points, and there are {points}")
    return points >= MEDIAN_WIDTH


def against_gan_figures(runs: Mapping[str, FinishedRun]) -> Drawings:
    """Figures 3 and 4 side by side: WGAN's estimate falls as samples improve, the GAN's JS estimate does not."""
    if estimated(runs["wgan"], figure="figure3_wgan"):
        yield "figure3_wgan", estimate_with_samples(runs["wgan"])
    yield "figure4_gan", js_with_samples(runs["gan"])


def distance_name(run: FinishedRun) -> str | None:
    """The Frechet distance that was taken while training, if any."""
    names = MEASURES.distances({name for row in run.rows for name in row})
    return names[0] if names else None


def estimate_with_samples(run: FinishedRun) -> "Figure":
    """The critic's estimate (raw, and after the median filter) over images, and the grids written on the way."""
    images, estimate = series(run.rows, "wasserstein_estimate")
    smooth = running_median(estimate, width=MEDIAN_WIDTH)
    figure, ax = curve_above_grids(run)
    ax.plot(images, estimate, color=GREY, linewidth=0.4, alpha=0.5, label="each update of G")
    ax.plot(images, smooth, color=BLUE, linewidth=1.4, label=f"running median of {MEDIAN_WIDTH}")
    ax.set_ylim(0, float(np.quantile(estimate, 0.995)) * 1.1)
    ax.set_ylabel("critic's estimate\nof the Wasserstein distance")
    ax.legend(frameon=False, fontsize=8)
    return figure


def js_with_samples(run: FinishedRun) -> "Figure":
    """log 2 - loss_D / 2, the discriminator's lower bound of the Jensen-Shannon divergence (section 3.3), and grids."""
    images, loss = series(run.rows, "loss_discriminator")
    bound = math.log(2) - loss / 2
    figure, ax = curve_above_grids(run)
    ax.plot(images, bound, color=GREY, linewidth=0.4, alpha=0.5, label="as logged")
    ax.plot(images, running_median(bound, width=MEDIAN_WIDTH), color=ORANGE, linewidth=1.4,
            label=f"running median of {MEDIAN_WIDTH}")  # fmt: skip
    ax.axhline(math.log(2), color="black", linewidth=0.8, linestyle="--", label="log 2, the maximum")
    ax.set_ylim(0, 0.75)
    ax.set_ylabel("discriminator's estimate\nof the JS divergence, nats")
    ax.legend(frameon=False, fontsize=8, loc="lower right")
    return figure


def curve_above_grids(run: FinishedRun, *, columns: int = 5) -> "tuple[Figure, Axes]":
    """A wide axis over images seen, and below it the corners (4 x 4) of grids that were written along the way."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    figure = Figure(figsize=(8, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    layout = figure.add_gridspec(2, columns, height_ratios=(1.5, 1))
    ax = figure.add_subplot(layout[0, :])
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_xlabel("real images seen (grey lines: when the samples below were drawn)")
    grids = list(run.dir.all_grids().items())
    picked = [grids[round(i * (len(grids) - 1) / (columns - 1))] for i in range(columns)] if grids else []
    for i, (images_seen, file) in enumerate(picked):
        small = figure.add_subplot(layout[1, i])
        with Image.open(file, formats=("PNG",)) as grid:
            shown = plain(grid)
            small.imshow(
                shown.crop((0, 0, shown.width // 2, shown.height // 2)).convert("RGB"), interpolation="nearest"
            )
        small.set_title(f"{images_seen:,}", fontsize=8)
        without_ticks(small)
        ax.axvline(images_seen, color="black", linewidth=0.5, alpha=0.25)
    return figure, ax


def correlation(run: FinishedRun, *, distance: str) -> "Figure":
    """The filtered estimate against a Frechet distance, one point a checkpoint, later ones darker."""
    images, estimate = series(run.rows, "wasserstein_estimate")
    at, values = series(run.rows, distance)
    trained = at > 0
    x = np.interp(at[trained], images, running_median(estimate, width=MEDIAN_WIDTH))
    figure, [[ax]] = new_figure(1, 1, width=4.4, height=3.4)
    points = ax.scatter(x, values[trained], c=at[trained] / 1e6, cmap="Blues", edgecolors=BLUE, linewidths=0.6, vmin=0)
    ax.set_xlabel("critic's estimate (filtered)")
    ax.set_ylabel(distance)
    ax.set_yscale("log")
    figure.colorbar(points, label="real images seen, in millions")
    rho: Any = run_correlation(x, values[trained])
    ax.set_title(f"Spearman correlation {rho:.3f} over {int(trained.sum())} checkpoints", fontsize=9)
    return figure


def run_correlation(x: Array, y: Array) -> float:
    """Spearman's rank correlation of two columns [n]."""
    from scipy.stats import spearmanr

    return float(spearmanr(x, y).statistic)


# Figures that need no run: examples with a known answer.


def analytic_figures(runs: Mapping[str, FinishedRun]) -> Drawings:
    """Figure 1 (example 1, parallel lines) and figure 2 (optimal discriminator and critic of two Gaussians)."""
    yield "figure1_parallel_lines", parallel_lines()
    yield "figure2_two_gaussians", two_gaussians()


def line_distances(theta: float, *, n: int = 200, seed: int = 0) -> tuple[float, float]:
    """(W1, JS in nats) between n points of the segment {0} x [0, 1] and n others of {theta} x [0, 1] (example 1).

    W1 is the exact transport distance of the points (which tends to |theta|), JS that of histograms on a grid of
    cells of side 1/20 (log 2 once the segments lie in different columns of cells).
    """
    import ot

    random = np.random.default_rng(seed)
    a, b = (np.column_stack([np.full(n, x), (np.arange(n) + random.random(n)) / n]) for x in (0.0, theta))
    w = float(ot.emd2(np.full(n, 1 / n), np.full(n, 1 / n), ot.dist(a, b, metric="euclidean")))
    edges = np.arange(-1.525, 1.6, 0.05), np.linspace(0, 1, 21)
    p, q = (np.histogram2d(points[:, 0], points[:, 1], bins=edges)[0] / n for points in (a, b))
    mixture = (p + q) / 2
    js = 0.0
    for density in (p, q):
        held = density > 0
        js += 0.5 * float((density[held] * np.log(density[held] / mixture[held])).sum())
    return w, js


def parallel_lines() -> "Figure":
    """W(P_0, P_theta) = |theta| beside JS(P_0, P_theta) = log 2 for theta != 0, computed from points."""
    thetas = np.linspace(-1.5, 1.5, 61)
    w, js = np.array([line_distances(float(theta)) for theta in thetas]).T
    figure, [[left, right]] = new_figure(1, 2, width=7.4, height=2.9)
    left.plot(thetas, w, "o", color=BLUE, markersize=3, label="exact transport of 200 points")
    left.plot(thetas, np.abs(thetas), color="black", linewidth=0.8, label=r"$|\theta|$")
    left.set_ylabel("Wasserstein-1")
    right.plot(thetas, js, "o", color=ORANGE, markersize=3, label="histograms of the points")
    right.axhline(math.log(2), color="black", linewidth=0.8, linestyle="--", label="log 2")
    right.set_ylabel("Jensen-Shannon, nats")
    right.set_ylim(-0.03, 0.8)
    for ax in (left, right):
        ax.set_xlabel(r"$\theta$")
        ax.legend(frameon=False, fontsize=8)
    return figure


def two_gaussians(*, steps: int = 1_500, seed: int = 0) -> "Figure":
    """A discriminator and a critic with clipped weights, both trained to tell N(-1, 1/4) from N(1.5, 1/4) (figure 2).

    The discriminator saturates, and its gradient vanishes where the samples are; the critic's slope does not.
    """
    line = torch.linspace(-4, 5, 300)
    D, f = (
        trained_on_gaussians("discriminator", steps=steps, seed=seed),
        trained_on_gaussians("critic", steps=steps, seed=seed),
    )
    with torch.no_grad():
        discriminator, critic = torch.sigmoid(D(line[:, None]))[:, 0], f(line[:, None])[:, 0]
    critic = (critic - critic.mean()) / (critic.max() - critic.min())
    figure, [[ax]] = new_figure(1, 1, width=5.6, height=3.4)
    for centre, colour, label in ((-1.0, "#3a8f5c", "density of real"), (1.5, GREY, "density of fake")):
        density = torch.exp(-0.5 * ((line - centre) / 0.5) ** 2) / (0.5 * math.sqrt(2 * math.pi))
        ax.fill_between(line, density * 0.5, color=colour, alpha=0.25, linewidth=0, label=label)
    ax.plot(line, discriminator, color=ORANGE, label="GAN discriminator D(x)")
    ax.plot(line, critic, color=BLUE, label="WGAN critic (scaled)")
    ax.set_xlabel("x")
    ax.set_ylabel("D(x), or the critic's value")
    ax.legend(frameon=False, fontsize=8)
    return figure


def trained_on_gaussians(kind: str, *, steps: int, seed: int) -> nn.Module:
    """An MLP [N, 1] -> [N, 1] trained by Adam (discriminator) or by RMSProp with clipping at 0.1 (critic)."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Linear(1, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
    critic = kind == "critic"
    optimizer = (
        torch.optim.RMSprop(net.parameters(), lr=1e-3) if critic else torch.optim.Adam(net.parameters(), lr=1e-3)
    )
    for _ in range(steps):
        real, fake = (0.5 * torch.randn(256, 1, generator=generator) + centre for centre in (-1.0, 1.5))
        loss = (wasserstein_critic_loss if critic else bce_discriminator_loss)(net(real), net(fake))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if critic:
            with torch.no_grad():
                for parameter in net.parameters():
                    parameter.clamp_(-0.1, 0.1)
    return net


def column(rows: Sequence[Mapping[str, Any]], name: str) -> Array:
    """A column of metrics.jsonl, float64 [rows], nan where there is no finite value."""
    values = (row.get(name) for row in rows)
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def running_median(values: Array, *, width: int) -> Array:
    """Centred running median of odd `width` of values [n]; windows are cut short at both ends."""
    half = width // 2
    return np.array([np.median(values[max(0, i - half) : i + half + 1]) for i in range(len(values))])


def measure_log(rows: Sequence[Mapping[str, Any]]) -> Measured:
    """Whether the critic's estimate tells the quality of samples (section 4.2, figure 3), as a number (ours).

    `wasserstein_estimate`: the last value of the estimate after a median filter over 101 generator updates, in the
    critic's units. `wasserstein_spearman_X`: its rank correlation with each Frechet distance X that was taken while
    training (from the first evaluation after the start; at least five). None of these where the filter lacks points.
    """
    images, estimate = (column(rows, name) for name in ("images_seen", "wasserstein_estimate"))
    logged = ~np.isnan(estimate)
    if not logged.any():
        return NOTHING
    if logged.sum() < MEDIAN_WIDTH:
        say(f"the critic's estimate is left out: a median of {MEDIAN_WIDTH} points, and there are {int(logged.sum())}")
        return NOTHING
    images, smooth = images[logged], running_median(estimate[logged], width=MEDIAN_WIDTH)
    values = {"wasserstein_estimate": float(smooth[-1])}
    for name in MEASURES.distances({key for row in rows for key in row}):
        distance = column(rows, name)
        taken = ~np.isnan(distance) & (column(rows, "images_seen") > 0)
        if taken.sum() >= CHECKPOINTS:
            at = np.interp(column(rows, "images_seen")[taken], images, smooth)
            values[f"wasserstein_spearman_{name}"] = run_correlation(at, distance[taken])
    protocol = {"measure": "critic's estimate", "median_filter": MEDIAN_WIDTH, "generator_updates": len(smooth)}
    return Measured(values, protocol)


EXPERIMENT: Experiment[WGAN] = Experiment(of_log=measure_log)
