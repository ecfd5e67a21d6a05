"""Section 5.1 of Radford, Metz, Chintala 2016: D's features under a linear SVM, with D trained on CIFAR-10 itself.

The paper's D (82.8 % on the test images) was trained on ImageNet-1k and never saw CIFAR-10: an own-data D is another
experiment with the same protocol, and its figure no reproduction of that one.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.data import ImageArray
from zoo.data.arrays import in_blocks
from zoo.experiments.pictures.drawing import Drawings
from zoo.metrics.batchnorm import batchnorm_statistics
from zoo.metrics.processes import in_float64
from zoo.models.base.build import build
from zoo.models.dcgan import DCGAN
from zoo.models.trained import FinishedRun, at_hand
from zoo.nn.modes import in_eval_mode

if TYPE_CHECKING:
    from zoo.data import ImageDataModule

BATCH = 128  # images of a batch whose statistics are averaged, as in training
SIDE = 4  # of the grid that every layer's maps are pooled to
HELD_OUT = 10_000  # of the training images, by which C is chosen
CS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2)  # of features of about unit scale, thousands of them
ROUNDS = 150  # of L-BFGS


@torch.no_grad()
def pooled_features(D: nn.Module, images: Tensor, *, block: int = 250) -> Tensor:
    """Maps of all convolutions of D behind their nonlinearity, max-pooled to 4x4 each and flattened: [N, d].

    Args:
        D: a chain of layers; of each leaky ReLU the output counts, at least 4x4.
        images: float [N, C, H, W] as D takes them.
        block: images at a time.
    """
    assert isinstance(D, nn.Sequential)
    parts = []
    for x in torch.split(images, block):
        pooled = []
        for layer in D:
            x = layer(x)
            if isinstance(layer, nn.LeakyReLU):
                pooled.append(F.max_pool2d(x, x.shape[2] // SIDE).flatten(1))
        parts.append(torch.cat(pooled, 1))
    return torch.cat(parts)


def fit_svms(x: Tensor, y: Tensor, *, classes: int, C: float) -> Tensor:
    """Weights and biases [d + 1, classes] of one linear L2-SVM for each class against the others.

    Each minimises |w|^2 / 2 + C sum max(0, 1 - y (w.x + b))^2 with the bias counted as a weight, as in
    `zoo.metrics.separability.fit_svm`, by L-BFGS, for d too large for Newton's steps.

    Args:
        x: [N, d], of about unit scale.
        y: int64 [N].
        classes: number of classes.
        C: weight of the errors.
    """
    signs = F.one_hot(y, classes).T.to(x) * 2 - 1  # [classes, N]
    w = torch.zeros(classes, x.shape[1] + 1, dtype=x.dtype, requires_grad=True)
    optimizer = torch.optim.LBFGS([w], max_iter=ROUNDS, history_size=10, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        scores = w[:, :-1] @ x.T + w[:, -1:]  # x @ w.T would have a gradient that BLAS is slow at
        errors = (1 - signs * scores).clamp(min=0).square().sum()
        loss = (w.square().sum() / 2 + C * errors) / len(x)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return w.detach().T


def accuracy(x: Tensor, y: Tensor, w: Tensor) -> float:
    """Share of rows whose largest margin is that of their class."""
    return float(((x @ w[:-1] + w[-1]).argmax(1) == y).double().mean())


def svm_accuracy(train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor], *, classes: int) -> tuple[float, float]:
    """Accuracy on the test images, and the C that it was reached with: the best on the last 10,000 training images.

    Features are brought to zero mean and one standard deviation on average over all of them.
    """
    (x, y), (x_test, y_test) = train, test
    mean, scale = in_float64(x.mean(0)), x.std(0).mean()
    x, x_test = ((part - mean.to(part)).div_(scale) for part in (x, x_test))  # gigabytes: no third copy
    n = max(len(x) - HELD_OUT, len(x) // 2)
    chosen = {C: accuracy(x[n:], y[n:], fit_svms(x[:n], y[:n], classes=classes, C=C)) for C in CS}
    best = max(chosen, key=lambda C: chosen[C])
    return accuracy(x_test, y_test, fit_svms(x, y, classes=classes, C=best)), best


def features_of(module: DCGAN, *splits: ImageArray) -> list[tuple[Tensor, Tensor]]:
    """D's features of the images of each split, and their labels.

    BatchNorm has the statistics of the first split, the training images, in batches of 128, as in the authors' script:
    the moving averages are of reals and samples, and of a D that was never trained of nothing.
    """
    draws = [*in_blocks(splits[0].images, BATCH)]
    with (
        torch.no_grad(),
        in_eval_mode(module),
        batchnorm_statistics(
            module.D, "reestimated", lambda k: module.D(module.preprocess(draws[k])), draws=len(draws)
        ),
    ):
        return [features_of_split(module, split) for split in splits]


def features_of_split(module: DCGAN, split: ImageArray) -> tuple[Tensor, Tensor]:
    """The same of one split, with the statistics that D has."""
    assert split.labels is not None
    parts = [pooled_features(module.D, module.preprocess(part)) for part in in_blocks(split.images, 250)]
    return torch.cat(parts), split.labels


def features_findings(runs: Mapping[str, FinishedRun]) -> dict[str, float]:
    """Accuracies of the trained D of each member, and of the same D as it was before training.

    None of members whose record alone is there.
    """
    found: dict[str, float] = {}
    for name, run in at_hand(runs).items():
        module, data = run.module(), run.data
        assert isinstance(module, DCGAN)
        for kind, own in (("own-data D", module), ("untrained D", untrained(module))):
            found |= {f"{key} of {kind}, {name}": value for key, value in measured(own, data).items()}
    return found


def untrained(module: DCGAN) -> DCGAN:
    """A run's module as its training began: made anew right after its seed was set."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(module.seed)
        made = build(DCGAN, dict(module.hparams))
    assert isinstance(made, DCGAN)
    return made


def measured(module: DCGAN, data: "ImageDataModule") -> dict[str, float]:
    """`svm_accuracy`, the C and the number of features."""
    train, test = features_of(module, data.split("train"), data.split("test"))
    assert data.num_classes is not None
    reached, C = svm_accuracy(train, test, classes=data.num_classes)
    return {"svm_accuracy": reached, "svm_C": C, "features": float(train[0].shape[1])}


def features_figures(runs: Mapping[str, FinishedRun]) -> Drawings:
    """`filters_NAME`: the first layer's filters of each member as small images, each at its own contrast."""
    for name, run in at_hand(runs).items():
        module = run.module()
        assert isinstance(module, DCGAN)
        weights = first_filters(module.D)
        columns = max(n for n in range(1, 17) if len(weights) % n == 0)
        yield f"filters_{name}", weights.unflatten(0, (-1, columns))  # type: ignore[no-untyped-call]


def first_filters(D: nn.Module, *, times: int = 8) -> Tensor:
    """Filters [F, C, times * k, times * k] of the layer next to the image, in [-1, 1]."""
    weights = next(layer.weight for layer in D.modules() if isinstance(layer, nn.Conv2d)).detach()
    scaled = weights / weights.abs().amax((1, 2, 3), keepdim=True).clamp(min=1e-12)
    return scaled.repeat_interleave(times, 2).repeat_interleave(times, 3)
