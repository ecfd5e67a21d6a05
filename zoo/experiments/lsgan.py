"""The mixture experiment of Mao et al. 2017: the density of the generator's samples while training, and their modes."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from zoo.data import ImageDataModule
from zoo.experiments.experiment import NOTHING, Experiment, Measured
from zoo.experiments.pictures.drawing import Drawings, density, new_figure, without_ticks
from zoo.metrics.points import exact_wasserstein, mode_shares
from zoo.models.lsgan import LSGAN
from zoo.models.trained import FinishedRun
from zoo.nn.seeds import mix_seed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EXTENT = 1.7


def run_figures(module: LSGAN, run: FinishedRun) -> Drawings:
    """On the ring, `density` at the checkpoints that were kept."""
    if module.network == "ring" and run.archived():
        yield "density", densities({"LSGAN" if module.loss == "lsgan" else "GAN": run})


def ring_figures(runs: Mapping[str, FinishedRun]) -> Drawings:
    """The paper's figure for seed 0, and for every seed what remains at the end."""
    yield "density_seed0", densities({"LSGAN": runs["lsgan-seed0"], "GAN": runs["gan-seed0"]})
    yield "density_last_of_all_seeds", last_densities(runs)


def densities(runs: Mapping[str, FinishedRun], *, columns: int = 4) -> "Figure":
    """One row a run: kernel density of 5,000 samples at `columns` of its kept checkpoints, then of the data."""
    figure, axes = new_figure(len(runs), columns + 1, width=2 * (columns + 1), height=2.2 * len(runs))
    for row, (label, run) in zip(axes, runs.items(), strict=True):
        kept = run.archived()
        for ax, file in zip(
            row, [kept[round(i * (len(kept) - 1) / (columns - 1))] for i in range(columns)], strict=False
        ):
            module = run.module(file)
            draw_density(ax, module.sample(5_000, seed=0))
            ax.set_title(f"step {module.generator_steps:,}", fontsize=9)
        row[0].set_ylabel(label)
        draw_density(row[-1], run.data.split("test").images[:5_000])
        row[-1].set_title("data", fontsize=9)
    return figure


def last_densities(runs: Mapping[str, FinishedRun]) -> "Figure":
    """Last samples of every run; above each, what `test` counted: modes with a sample near, and samples near a mode."""
    rows = [[run for name, run in runs.items() if name.startswith(loss)] for loss in ("lsgan", "gan")]
    figure, axes = new_figure(2, len(rows[0]), width=1.25 * len(rows[0]), height=3.2)
    for line, row, label in zip(rows, axes, ("LSGAN", "GAN"), strict=True):
        row[0].set_ylabel(label)
        for ax, run in zip(row, line, strict=True):
            draw_density(ax, run.module().sample(5_000, seed=0))
            ax.set_title(counted(run), fontsize=7)
    return figure


def counted(run: FinishedRun) -> str:
    """Modes found and samples near one at the end of a run, from its record."""
    modes: Any = getattr(run.data, "modes")  # noqa: B009 - of ToyPoints alone
    assert run.record is not None  # a study draws finished members
    values = next(test["values"] for test in run.record["tests"] if test["checkpoint"] == "last.ckpt")
    found = round(values["share_modes_covered"] * len(modes))
    return f"{found} of {len(modes)} modes\n{values['share_high_quality']:.0%} within 3 sigma"


def draw_density(ax: "Axes", points: Any) -> None:
    """A kernel density as an image, dark where it is high."""
    values = density(points, extent=EXTENT)
    ax.imshow(values, cmap="Blues", origin="lower", vmax=max(float(values.max()) * 0.7, 1e-9))
    without_ticks(ax)


def measure(module: LSGAN, data: ImageDataModule, *, seed: int) -> Measured:
    """On the ring, ours: share of modes covered and of samples within 3 sigma of a mode, of 10,000 samples.

    Stray samples are enough to cover a mode; what is missing of the ring shows in `wasserstein_exact`, the exact
    Wasserstein-1 distance of the first 1,000 samples to as many points of the test split.
    """
    modes: Any = getattr(data, "modes", None)
    if module.network != "ring" or modes is None:
        return NOTHING
    samples = module.sample(10_000, seed=mix_seed(seed, "points"))
    shares = mode_shares(samples, modes, std=data.mode_std)  # type: ignore[attr-defined]
    test = data.split("test")
    values = {
        "share_modes_covered": shares.covered,
        "share_high_quality": shares.high_quality,
        "wasserstein_exact": exact_wasserstein(samples[:1_000], test.images[:1_000]),
    }
    protocol = {"measure": "share of modes and of samples within 3 sigma; exact W1 of 1,000", "n_fake": 10_000}
    return Measured(values, {**protocol, "seed": seed, "dataset_fingerprint": test.fingerprint})


EXPERIMENT = Experiment(while_training=measure)
