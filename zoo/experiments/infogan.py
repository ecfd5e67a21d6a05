"""Figures 1 and 2 of Chen et al. 2016: the information curve, and what each code changes in the images."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor

from zoo.experiments.pictures.drawing import BLUE, ORANGE, Drawings, new_figure, series, show_images
from zoo.models.infogan import InfoGAN
from zoo.models.trained import FinishedRun

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def run_figures(module: InfoGAN, run: FinishedRun) -> Drawings:
    """`traversals`: each code varied from left to right; `information`: L_I while training."""
    yield "traversals", panels({code_title(name, module): images for name, images in module.traversals().items()})
    yield "information", information_curves({"InfoGAN": [run]}, categories=module.layout.categories)


def mnist_figures(runs: Mapping[str, FinishedRun]) -> Drawings:
    """Figures 1 and 2: three seeds of InfoGAN beside a plain GAN with an auxiliary Q."""
    infogan = [run for name, run in runs.items() if name.startswith("infogan")]
    control = [run for name, run in runs.items() if name.startswith("control")]
    yield (
        "figure1_information",
        information_curves({"InfoGAN": infogan, "control: a GAN with a Q that only reads": control}, categories=10),
    )
    plain: Any = control[0].module()
    for run in infogan:
        module: Any = run.module()
        codes = module.traversals()
        yield (
            f"figure2_traversals_seed{module.seed}",
            panels(
                {
                    "(a) varying c1 on InfoGAN (digit type)": codes["c1"],
                    "(b) varying c1 on the control, a GAN without the information term": plain.traversals()["c1"],
                    "(c) varying c2 from -2 to 2 on InfoGAN": codes["c2"],
                    "(d) varying c3 from -2 to 2 on InfoGAN": codes["c3"],
                }
            ),
        )


def code_title(name: str, module: InfoGAN) -> str:
    """What a traversal goes through."""
    categorical = int(name[1:]) <= module.layout.codes
    if categorical:
        return f"{name}, its {module.layout.categories} categories"
    return f"{name}, from -2 to 2 (-1 to 1 while training)"


def code_values(name: str, module: InfoGAN, *, n: int) -> list[str]:
    """The code's value in each of the n columns of its traversal."""
    if int(name[1:]) <= module.layout.codes:
        return [str(k) for k in range(n)]
    return [f"{-2 + 4 * i / (n - 1):.2g}" for i in range(n)]


def panels(traversals: Mapping[str, Tensor]) -> "Figure":
    """Traversals [rows, columns, C, H, W] two in a line, titled."""
    lines = math.ceil(len(traversals) / 2)
    figure, axes = new_figure(lines, 2, width=9, height=2.55 * lines)
    flat = [ax for row in axes for ax in row]
    for ax, (title, images) in zip(flat, traversals.items(), strict=False):
        show_images(ax, images, title=title)
    for ax in flat[len(traversals) :]:
        ax.set_visible(False)
    return figure


def information_curves(groups: Mapping[str, list[FinishedRun]], *, categories: int) -> "Figure":
    """The categorical part of L_I in nats over updates of G, against its bound H(c) = ln K (section 7.1)."""
    figure, [[ax]] = new_figure(1, 1, width=5.4, height=3.4)
    for colour, (label, runs) in zip((BLUE, ORANGE), groups.items(), strict=False):
        seeds = f", {len(runs)} seeds" if len(runs) > 1 else ""
        for i, run in enumerate(runs):
            batch = run.config["data"]["init_args"]["batch_size"]
            images, values = series(run.rows, "mutual_information_categorical")
            ax.plot(images / batch, values, color=colour, linewidth=1, label=label + seeds if i == 0 else None)
    ax.axhline(math.log(categories), color="black", linewidth=0.8, linestyle="--")
    ax.annotate(f"H(c) = ln {categories}", (0.98, math.log(categories)), xycoords=("axes fraction", "data"),
                xytext=(0, -11), textcoords="offset points", ha="right", fontsize=8)  # fmt: skip
    ax.set_xlabel("updates of G")
    ax.set_ylabel("lower bound $L_I$ of c1, nats")
    ax.set_ylim(bottom=min(0.0, ax.get_ylim()[0]))
    ax.legend(frameon=False, loc="center right", fontsize=8)
    return figure
