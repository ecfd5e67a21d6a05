"""Figures 1, 2 and 5b of Gulrajani et al. 2017, and the scores of its random architectures."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from zoo.data.toy import draw
from zoo.experiments.pictures.drawing import (
    GREY,
    ORANGE,
    SERIES,
    Drawings,
    new_figure,
    series,
    show_images,
    without_ticks,
)
from zoo.experiments.wgan import MEDIAN_WIDTH, running_median
from zoo.experiments.wgan_gp_critic import critic_surface, critic_weights, gradient_norms_by_layer
from zoo.metrics.points import exact_wasserstein
from zoo.models.trained import FinishedRun
from zoo.models.wgan_gp import WGANGP
from zoo.runs.study import comparable, values_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from zoo.data import ImageDataModule

EXTENT = 3.0  # of the value surfaces, as in the authors' script
ALPHA = 0.55  # of their greys, so that contours and points stand out
DATA = {"8gaussians": "8 Gaussians", "25gaussians": "25 Gaussians", "swissroll": "swiss roll", "ring": "ring"}
METHODS = {"wgan-gp": "gradient penalty", "gan": "GAN", "lsgan": "LSGAN"}


def run_figures(module: WGANGP, run: FinishedRun) -> Drawings:
    """In the plane: `surface`, and `layers` (gradient norms and weights); with a validation split, `overfitting`."""
    if module.in_plane:
        yield "surface", surfaces([(module, run)])
        yield "layers", layers({label_of(run): (module, run)})
    elif len(series(run.rows, "critic_gap_train")[0]) > 1:
        yield "overfitting", gaps({label_of(run): run})


def at_its_end(run: FinishedRun) -> tuple[WGANGP, FinishedRun]:
    """The networks of a study's member at its last checkpoint, and the member."""
    module = run.module()
    assert isinstance(module, WGANGP)
    return module, run


def label_of(run: FinishedRun) -> str:
    """How a run is named in a figure: by its method, and by c where weights are clipped."""
    model = run.config["model"]
    return f"clipping, c = {model['clip']}" if model["method"] == "wgan" else METHODS[model["method"]]


def data_of(run: FinishedRun) -> str:
    """The name of a run's points."""
    return DATA[run.config["data"]["init_args"]["distribution"]]


# Figure 2.

TITLES = {
    "dcgan64": "DCGAN (baseline)",
    "dcgan64_constant": "G: no normalisation,\nconstant filters",
    "mlp64": "G: 4-layer MLP",
    "dcgan64_unnormalised": "no normalisation\nin either",
    "dcgan64_gated": "gated nonlinearities",
    "dcgan64_tanh": "tanh everywhere",
    "resnet101": "101-layer ResNets",
}
COLUMNS = {"gan": "DCGAN", "lsgan": "LSGAN", "wgan": "WGAN (clipping)", "wgan-gp": "WGAN-GP"}


def figure2_figures(runs: Mapping[str, FinishedRun]) -> Drawings:
    """Figure 2: eight samples of each pair of networks (rows) by each method (columns), of one seed for all."""
    at = {(run.config["model"]["network"], run.config["model"]["method"]): run for run in runs.values()}
    rows = [network for network in TITLES if any(network == there for there, _ in at)]
    figure, axes = new_figure(len(rows), len(COLUMNS), width=9.6, height=0.3 + 1.3 * len(rows))
    for line, network in zip(axes, rows, strict=True):
        for ax, method in zip(line, COLUMNS, strict=True):
            if (run := at.get((network, method))) is None:
                without_ticks(ax)
                ax.set_box_aspect(0.5)  # as beside it
            else:
                images = run.module().sample(8, seed=0)
                show_images(ax, images.unflatten(0, (2, 4)), gap=1)  # type: ignore[no-untyped-call]
            if line is axes[0]:
                ax.set_title(COLUMNS[method], fontsize=9)
        line[0].set_ylabel(TITLES[network], fontsize=8)
    yield "figure2_samples", figure


# Figure 1a.


def surface_figures(runs: Mapping[str, FinishedRun]) -> Drawings:
    """Figure 1a: weight clipping above, the penalty below, one column a data set."""
    yield "figure1a_value_surfaces", surfaces([*map(at_its_end, runs.values())], rows=2)


def toy_figures(runs: Mapping[str, FinishedRun]) -> Drawings:
    """Samples of the trained generators on the critic's contours, and the distance to the data while training."""
    yield "samples_and_surfaces", surfaces([*map(at_its_end, runs.values())])
    yield "estimate", estimates([*runs.values()])


def toy_findings(runs: Mapping[str, FinishedRun], *, pairs: int = 20) -> dict[str, float]:
    """For each data set the exact W1 between two sets of 1,000 data points: mean and standard deviation over pairs."""
    found = {}
    for name, run in runs.items():
        distances = []
        for i in range(pairs):
            points = torch.from_numpy(draw(run.config["data"]["init_args"]["distribution"], 2_000, seed=(i,)))
            distances.append(exact_wasserstein(points[:1_000], points[1_000:]))
        found[f"wasserstein_exact of data, {name}"] = float(np.mean(distances))
        found[f"wasserstein_exact of data, {name}_std"] = float(np.std(distances, ddof=1))
    return found


def surfaces(runs: Sequence[tuple[WGANGP, FinishedRun]], *, rows: int = 1) -> "Figure":
    """Contours of the critic over [-3, 3]^2, with points of the data and, where there is one, of the generator."""
    columns = len(runs) // rows
    figure, axes = new_figure(rows, columns, width=2.9 * columns + 1.2, height=3.3 * rows + 0.2)
    for ax, (module, run) in zip((ax for row in axes for ax in row), runs, strict=True):
        draw_surface(ax, module, run.data)
        ax.set_title(f"{data_of(run)}, {label_of(run)}", fontsize=9)
    value_bar(figure, axes)
    return figure


def value_bar(figure: "Figure", axes: "Sequence[Sequence[Axes]]") -> None:
    """What the greys of all surfaces mean, at their right, and below them whose the points are."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap

    greys = ScalarMappable(cmap=LinearSegmentedColormap.from_list("faint greys", [str(1 - ALPHA), "white"]))
    bar = figure.colorbar(greys, ax=[ax for row in axes for ax in row], ticks=[0, 1], shrink=0.7)
    bar.ax.set_yticklabels(["lowest", "highest"], fontsize=8)
    several = len(axes) * len(axes[0]) > 1
    bar.set_label("value of the critic" + several * ", in each picture on its own scale", fontsize=8)
    bar.outline.set_linewidth(0.4)
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=2, markerscale=4,
                  frameon=False, fontsize=8)  # fmt: skip


def draw_surface(ax: "Axes", module: WGANGP, data: "ImageDataModule") -> None:
    """Value surface of the critic, high values light; data orange, samples of a generator that moved green."""
    surface = critic_surface(module, extent=EXTENT).T.cpu().numpy()  # contour takes [y, x]
    line = np.linspace(-EXTENT, EXTENT, surface.shape[0])
    ax.contourf(line, line, surface, levels=24, cmap="Greys_r", alpha=ALPHA)
    ax.contour(line, line, surface, levels=24, colors="black", linewidths=0.35, linestyles="solid")
    scatter(ax, data.split("test").images[:1_000], ORANGE, label="data")
    if not module.fixed_generator:
        scatter(ax, module.sample(1_000, seed=0), "#2f9e5f", label="samples")
    ax.set_aspect("equal")
    ax.set_xlim(-EXTENT, EXTENT)
    ax.set_ylim(-EXTENT, EXTENT)
    without_ticks(ax)


def scatter(ax: "Axes", points: Tensor, colour: str, *, label: str) -> None:
    """Points [N, 2] as small dots."""
    x, y = points.detach().cpu().numpy().T
    ax.scatter(x, y, s=2.5, color=colour, linewidths=0, zorder=3, label=label)


def estimates(runs: Sequence[FinishedRun]) -> "Figure":
    """The critic's estimate of the distance over points seen, after the median filter of WGAN's figures.

    Single estimates, of one batch, scatter around 0 once the samples are near the data.
    """
    figure, [[ax]] = new_figure(1, 1, width=5.2, height=3.2)
    for run, colour in zip(runs, SERIES, strict=False):
        points, estimate = series(run.rows, "wasserstein_estimate")
        smooth = running_median(estimate, width=MEDIAN_WIDTH)
        ax.plot(points / 1e6, smooth, color=colour, linewidth=1.1, label=data_of(run))
    ax.set_yscale("log")
    ax.set_xlabel("real points seen, in millions")
    ax.set_ylabel(f"critic's estimate of the distance,\nmedian of {MEDIAN_WIDTH} logged batches")
    ax.legend(frameon=False, fontsize=8)
    return figure


# Figure 1b.


def gradient_figures(runs: Mapping[str, FinishedRun]) -> Drawings:
    """Figure 1b: gradient norms per layer, and histograms of the weights, for clipping at three c and the penalty."""
    yield "figure1b_gradients_and_weights", layers({label_of(run): at_its_end(run) for run in runs.values()})


def layers(runs: Mapping[str, tuple[WGANGP, FinishedRun]]) -> "Figure":
    """Left: norm of the critic loss's gradient by layer of activations. Right: the critics' weights, but 1 in 1,000.

    Without the few outermost the histogram of a critic that is not clipped would be one bar.
    """
    figure, axes = new_figure(1, 1 + len(runs), width=4.4 + 1.9 * len(runs), height=3.2)
    left, *histograms = axes[0]
    for (label, (module, run)), ax, colour in zip(runs.items(), histograms, SERIES, strict=False):
        norms = gradient_norms(module, run.data)
        # what a shallow and a deep critic have in common is the order: 1 is next to the points
        left.plot(range(1, len(norms) + 1), norms, "o-", color=colour, markersize=3, linewidth=1.1, label=label)
        weights = critic_weights(module).cpu().numpy()
        ax.hist(weights, bins=60, range=tuple(np.quantile(weights, (0.0005, 0.9995))), color=colour, density=True)
        ax.set_title(label, fontsize=9)
        ax.set_xlabel("weight (inner 99.9 %)")
        ax.set_yticks([])
        ax.locator_params(axis="x", nbins=3)
    left.set_yscale("log")
    left.set_xlabel("layer (1 is next to the points)")
    left.set_ylabel("norm of the gradient")
    figure.legend(loc="outside lower center", ncols=len(runs), frameon=False, fontsize=8)
    return figure


def gradient_norms(module: WGANGP, data: "ImageDataModule") -> Sequence[float]:
    """`gradient_norms_by_layer` on 256 points of the data, against as many samples."""
    x = data.split("test").images[:256]
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(x.shape, generator=generator)
    fake = x + noise if module.fixed_generator else module.sample(256, seed=0).cpu()
    norms: list[float] = gradient_norms_by_layer(module, x, fake).tolist()
    return norms


# Figure 5b.


def overfitting_figures(runs: Mapping[str, FinishedRun]) -> Drawings:
    """Figure 5b: the critic's gap on training and on held-out digits, penalty and clipping."""
    yield "figure5b_overfitting", gaps({label_of(run): run for run in runs.values()})


def gaps(runs: Mapping[str, FinishedRun]) -> "Figure":
    """E D(x) - E D(G(z)) on the images that are trained on and on others, over images seen."""
    from matplotlib.ticker import StrMethodFormatter

    figure, axes = new_figure(1, len(runs), width=4.2 * len(runs), height=3.0)
    for (label, run), ax in zip(runs.items(), axes[0], strict=True):
        for name, text, colour in (("train", "training", SERIES[0]), ("validation", "validation", SERIES[1])):
            images, values = series(run.rows, f"critic_gap_{name}")
            ax.plot(images, values, color=colour, linewidth=1.1, label=text)
        ax.axhline(0, color=GREY, linewidth=0.6)
        ax.set_title(label, fontsize=9)
        ax.set_xlabel("real images seen")
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        ax.legend(frameon=False, fontsize=8)
    axes[0][0].set_ylabel("critic's mean on digits\n- its mean on samples")
    return figure


# Tables 2 and 5.

THRESHOLDS = tuple(1 + 0.5 * i for i in range(19))  # 1.0, 1.5, ... 10: the score of ten classes


def scores_of_networks(runs: Mapping[str, FinishedRun], *, measure: str) -> dict[str, dict[str, float]]:
    """{"gan", "wgan-gp": {architecture: the last checkpoint's score}} of members named METHOD-ARCHITECTURE.

    Architectures that one of the methods lacks, or has no score of, are left out; all, where protocols differ.
    """
    scores: dict[str, dict[str, float]] = {"gan": {}, "wgan-gp": {}}
    if not comparable([run.record for run in runs.values()], measure):
        return scores
    for name, run in runs.items():
        method, _, architecture = name.rpartition("-")
        if value := values_of([run.record], measure, checkpoint="last"):
            scores[method][architecture] = value[0]
    common = scores["gan"].keys() & scores["wgan-gp"].keys()
    return {method: {a: value for a, value in own.items() if a in common} for method, own in scores.items()}


def successes(scores: Mapping[str, Mapping[str, float]], *, threshold: float) -> dict[str, int]:
    """How many architectures pass a score (are above it) with the GAN alone, with WGAN-GP alone, both, neither."""
    counts = {"only GAN": 0, "only WGAN-GP": 0, "both": 0, "neither": 0}
    for architecture, of_gan in scores["gan"].items():
        gan, wgan_gp = of_gan > threshold, scores["wgan-gp"][architecture] > threshold
        counts["both" if gan and wgan_gp else "only GAN" if gan else "only WGAN-GP" if wgan_gp else "neither"] += 1
    return counts


def architecture_findings(runs: Mapping[str, FinishedRun], *, measure: str = "is_lenet") -> dict[str, float]:
    """Tables 2 and 5's counts at scores of 2, 4 and 6 of 10, with the shares' exact 95 % intervals, in per cent."""
    from scipy.stats import binomtest

    scores, found = scores_of_networks(runs, measure=measure), {}
    for threshold in (2.0, 4.0, 6.0):
        for who, count in successes(scores, threshold=threshold).items():
            name = f"{who}, {measure} above {threshold:g}"
            found[name] = float(count)
            if scores["gan"]:
                interval = binomtest(count, len(scores["gan"])).proportion_ci(0.95)
                found |= {f"{name}, % at least": 100 * interval.low, f"{name}, % at most": 100 * interval.high}
    return found


def architecture_figures(runs: Mapping[str, FinishedRun], *, measure: str = "is_lenet") -> Drawings:
    """`networks`: the score of each architecture with both methods, and how many pass a score (table 5 as curves)."""
    scores = scores_of_networks(runs, measure=measure)
    numbers = sorted(scores["gan"], key=int)
    figure, [[left, right]] = new_figure(1, 2, width=max(8.2, 0.2 * len(numbers)), height=3.4)
    x = np.arange(len(numbers))
    for shift, method, label, colour in ((-0.2, "gan", "GAN", ORANGE), (0.2, "wgan-gp", "WGAN-GP", SERIES[0])):
        left.bar(x + shift, [scores[method][number] for number in numbers], 0.4, color=colour, label=label)
    every = 1 + len(numbers) // 40
    left.set_xticks(x[::every], numbers[::every], fontsize=7)
    left.set_xlabel("architecture number")
    left.set_ylabel(measure)
    left.legend(frameon=False, fontsize=8)
    for (who, style), colour in zip(
        (("only GAN", "-"), ("only WGAN-GP", "-"), ("both", "--"), ("neither", ":")),
        (ORANGE, SERIES[0], GREY, "black"),
        strict=True,
    ):
        counts = [successes(scores, threshold=threshold)[who] for threshold in THRESHOLDS]
        right.plot(THRESHOLDS, counts, style, color=colour, label=who)
    right.set_xlabel(f"{measure} that must be passed")
    right.set_ylabel(f"architectures of {len(numbers)}")
    right.locator_params(axis="y", integer=True)
    right.legend(frameon=False, fontsize=8)
    yield "networks", figure
