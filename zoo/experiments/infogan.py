"""Section 7 of Chen et al. 2016: the information curve (figure 1), what each code changes (2), what the codes tell."""

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from zoo.data import ImageDataModule
from zoo.experiments.experiment import NOTHING, Experiment, Measured
from zoo.experiments.pictures.drawing import BLUE, ORANGE, Drawings, new_figure, series, show_images
from zoo.metrics.batchnorm import batchnorm_statistics
from zoo.metrics.protocol import BatchNormMode
from zoo.models.infogan import InfoGAN
from zoo.models.trained import FinishedRun
from zoo.nn.modes import in_eval_mode
from zoo.nn.seeds import mix_seed
from zoo.runs.record import is_step

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BATCH = 125  # images of a batch that is read with its own statistics: about the training's 128


def run_figures(module: InfoGAN, run: FinishedRun) -> Drawings:
    """`traversals`: each code varied from left to right; `information`: of categorical codes, L_I while training."""
    yield "traversals", panels({code_title(name, module): images for name, images in traversals(module).items()})
    if module.layout.codes:
        curves = {"InfoGAN": [run]}
        yield "information", information_curves(curves, categories=module.layout.categories, codes=module.layout.codes)


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
        codes = traversals(module)
        yield (
            f"figure2_traversals_seed{module.seed}",
            panels(
                {
                    "(a) varying c1 on InfoGAN (digit type)": codes["c1"],
                    "(b) varying c1 on the control, a GAN without the information term": traversals(plain)["c1"],
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


def information_curves(groups: Mapping[str, list[FinishedRun]], *, categories: int, codes: int = 1) -> "Figure":
    """The categorical part of L_I in nats over updates of G, as training logged it, against its bound H(c) = M ln K
    (section 7.1)."""
    figure, [[ax]] = new_figure(1, 1, width=5.4, height=3.4)
    for colour, (label, runs) in zip((BLUE, ORANGE), groups.items(), strict=False):
        seeds = f", {len(runs)} seeds" if len(runs) > 1 else ""
        for i, run in enumerate(runs):
            batch = run.config["data"]["init_args"]["batch_size"]
            steps = [row for row in run.rows if is_step(row)]  # an evaluation's values have the same name
            images, values = series(steps, "mutual_information_categorical")
            ax.plot(images / batch, values, color=colour, linewidth=1, label=label + seeds if i == 0 else None)
    bound = codes * math.log(categories)
    ax.axhline(bound, color="black", linewidth=0.8, linestyle="--")
    text = f"H(c) = {f'{codes} ' if codes > 1 else ''}ln {categories}"
    ax.annotate(text, (0.98, bound), xycoords=("axes fraction", "data"),
                xytext=(0, -11), textcoords="offset points", ha="right", fontsize=8)  # fmt: skip
    ax.set_xlabel("updates of G")
    ax.set_ylabel(f"lower bound $L_I$ of {'c1' if codes == 1 else f'c1 to c{codes}'}, nats")
    ax.set_ylim(bottom=min(0.0, ax.get_ylim()[0]))
    ax.legend(frameon=False, loc="center right", fontsize=8)
    return figure


def measure(module: InfoGAN, data: ImageDataModule, *, seed: int) -> Measured:
    """L_I of 10,000 fakes in nats (section 7.1), and the error of the first categorical code (section 7.2).

    `code_error` matches categories and classes one to one, as well as can be; `code_error_majority` gives each
    category its most frequent class. On the labelled test images (training images where there is no test split):
    the labels serve the matching alone. BatchNorm statistics are re-estimated on fakes for L_I and on training
    images for the errors, which D and Q saw in batches of their own.
    """
    values = estimate_information(module, seed=seed)
    protocol = {"measure": "L_I of fakes, nats", "n_fake": 10_000, "seed": seed, "batchnorm": "reestimated(2000)"}
    if data.num_classes and module.layout.codes:
        split = data.split("test" if "test" in data.splits else "train")
        assert split.labels is not None
        predicted = predict_codes(module, split.images, reference=data.split("train").images)
        one_to_one, majority = code_errors(
            predicted, split.labels, categories=module.layout.categories, classes=data.num_classes
        )
        values |= {"code_error": one_to_one, "code_error_majority": majority}
        protocol["measure"] = "L_I of fakes, nats; errors of argmax Q(c1|x) on real images"
        protocol |= {"n_real": len(split.images), "dataset_fingerprint": split.fingerprint}
    return Measured(values, protocol)


@torch.no_grad()
def estimate_information(module: InfoGAN, *, seed: int, n: int = 10_000, block: int = 500) -> dict[str, float]:
    """L_I in nats over n fakes, and its categorical part; latents are a function of the seed and n."""

    def information(k: int) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(mix_seed(seed, "information", k))
        z = module.latents(block, generator=generator).to(module.device)
        return module.mutual_information(module.layout.codes_of(z), module.D.with_codes(module.G(z))[1])

    blocks = n // block
    with in_eval_mode(module), batchnorm_statistics(module, "reestimated", lambda k: information(blocks + k), draws=4):
        parts = [information(k) for k in range(blocks)]
    return {name: float(torch.stack([part[name] for part in parts]).mean()) for name in parts[0]}


def measure_readings(module: InfoGAN, data: ImageDataModule, *, seed: int) -> Measured:
    """What the error depends on beside the training: BatchNorm's statistics, and classes that share a category.

    `code_error_running` takes the moving averages of the training, `code_error_batch` the statistics of each 125 test
    images; `code_classes` counts the classes that are the most frequent one of a category: one that is not adds its
    whole share to the error. Taken where `measure` takes an error.
    """
    if not (data.num_classes and module.layout.codes):
        return NOTHING
    split = data.split("test" if "test" in data.splits else "train")
    assert split.labels is not None
    values: dict[str, float] = {}
    sizes = {"categories": module.layout.categories, "classes": data.num_classes}
    reference = data.split("train").images
    for mode in ("running", "batch"):
        predicted = predict_codes(module, split.images, reference=reference, mode=mode, block=BATCH)
        values[f"code_error_{mode}"] = code_errors(predicted, split.labels, **sizes)[0]
    counts = code_counts(predict_codes(module, split.images, reference=reference), split.labels, **sizes)
    values["code_classes"] = float(len(set(counts[counts.sum(1) > 0].argmax(1).tolist())))
    protocol: dict[str, Any] = {
        "measure": "errors of argmax Q(c1|x) by BatchNorm statistics; classes that have a category"
    }
    protocol |= {"block": BATCH, "n_real": len(split.images), "dataset_fingerprint": split.fingerprint}
    return Measured(values, protocol)


@torch.no_grad()
def predict_codes(
    module: InfoGAN, images: Tensor, *, reference: Tensor, block: int = 500, mode: BatchNormMode = "reestimated"
) -> Tensor:
    """argmax Q(c1|x) [N] of uint8 images [N, C, H, W].

    BatchNorm statistics are re-estimated on `reference`'s first 2,000, or are running averages, or those of each block.
    """

    def logits(part: Tensor) -> Tensor:
        return module.D.with_codes(module.preprocess(part.to(module.device)))[1].categorical  # [n, M, K]

    draws = [*even_blocks(reference[:2_000], block)]
    with (
        in_eval_mode(module),
        batchnorm_statistics(module.D, mode, lambda k: logits(draws[k]), draws=len(draws)),
    ):
        return torch.cat([logits(part)[:, 0].argmax(1) for part in even_blocks(images, block)]).cpu()


def even_blocks(images: Tensor, size: int) -> Iterator[Tensor]:
    """Images [N, C, H, W] in as few blocks of at most `size` as hold them, of one length but for one image: a last
    block of a single image would have no statistics."""
    n = -(-len(images) // size)
    for i in range(n):
        yield images[i * len(images) // n : (i + 1) * len(images) // n]


@torch.no_grad()
def traversals(module: InfoGAN, *, rows: int = 5, columns: int = 10, seed: int = 0) -> dict[str, Tensor]:
    """Figure 2: each code varies from left to right, all else is fixed in a row.

    Returns:
        `c1`, `c2`, ... as images [rows, columns, C, H, W] in [-1, 1]: the categorical codes over their K categories
        (K columns), then the continuous ones over [-2, 2].
    """
    start = module.latents(rows, generator=torch.Generator().manual_seed(seed))  # [rows, z_dim]
    layout, grids = module.layout, []
    for m in range(layout.codes):
        at = layout.noise + m * layout.categories
        z = start.repeat_interleave(layout.categories, dim=0)
        z[:, at : at + layout.categories] = torch.eye(layout.categories).repeat(rows, 1)
        grids.append(z)
    for i in range(layout.continuous):
        z = start.repeat_interleave(columns, dim=0)
        z[:, layout.z_dim - layout.continuous + i] = torch.linspace(-2, 2, columns).repeat(rows)
        grids.append(z)
    with in_eval_mode(module):
        images = [module.generate(z.to(module.device), None).float().cpu() for z in grids]
    return {f"c{i + 1}": image.unflatten(0, (rows, -1)) for i, image in enumerate(images)}  # type: ignore[no-untyped-call]


@torch.no_grad()
def code_loop(module: InfoGAN, *, rows: int, frames: int, seed: int = 0) -> tuple[list[str], Tensor]:
    """All codes in motion, a column each, all else fixed in a row: the categorical ones go through their K categories,
    the continuous ones from 0 to 2, to -2 and back as a sine, at rest where they turn.

    Returns:
        The codes' names and images [frames, rows, codes, C, H, W] in [-1, 1]; the last frame leads to the first.
    """
    start = module.latents(rows, generator=torch.Generator().manual_seed(seed))  # [rows, z_dim]
    layout, columns = module.layout, []
    phase = torch.arange(frames) / frames
    for m in range(layout.codes):
        at = layout.noise + m * layout.categories
        z = start.repeat(frames, 1, 1)  # [frames, rows, z_dim]
        category = (phase * layout.categories).long()
        z[..., at : at + layout.categories] = torch.eye(layout.categories)[category][:, None]
        columns.append(z)
    for i in range(layout.continuous):
        z = start.repeat(frames, 1, 1)
        z[..., layout.z_dim - layout.continuous + i] = 2 * torch.sin(2 * torch.pi * phase)[:, None]
        columns.append(z)
    with in_eval_mode(module):
        images = [
            torch.stack([module.generate(part.to(module.device), None).float().cpu() for part in z]) for z in columns
        ]
    return [f"c{i + 1}" for i in range(len(columns))], torch.stack(images, 2)


def code_errors(predicted: Tensor, labels: Tensor, *, categories: int, classes: int) -> tuple[float, float]:
    """Share of images whose category is not matched to their class: best one-to-one matching, and majority vote.

    Args:
        predicted: category of each image, int64 [N].
        labels: class of each image, int64 [N].
        categories: number of categories.
        classes: number of classes.
    """
    from scipy.optimize import linear_sum_assignment

    counts = code_counts(predicted, labels, categories=categories, classes=classes)
    matched = counts.numpy()[linear_sum_assignment(counts.numpy(), maximize=True)].sum()
    n = len(labels)
    return 1 - float(matched) / n, 1 - float(counts.amax(1).sum()) / n


def code_counts(predicted: Tensor, labels: Tensor, *, categories: int, classes: int) -> Tensor:
    """How many images of each class got each category: int64 [categories, classes]; arguments as of `code_errors`."""
    return torch.bincount(predicted * classes + labels, minlength=categories * classes).view(categories, classes)


EXPERIMENT = Experiment(while_training=measure, on_test=measure_readings)
