"""Section 8.1 of Radford, Metz, Chintala 2016: what a 1-nearest-neighbour classifier learns from labelled samples."""

import torch
from torch import Tensor

from zoo.data import ImageDataModule
from zoo.data.arrays import ImageArray
from zoo.experiments.experiment import NOTHING, Experiment, Measured
from zoo.models.dcgan import DCGAN
from zoo.nn.seeds import mix_seed


def measure(module: DCGAN, data: ImageDataModule, *, seed: int) -> Measured:
    """The appendix's measure: error of a 1-nearest-neighbour classifier fitted to 50,000 labelled samples.

    Euclidean distance in pixel space, scored on the real test digits; the conditional network only.
    """
    if module.num_classes is None or "test" not in data.splits:
        return NOTHING
    labels = torch.arange(500) % 10
    samples = [module.sample(500, labels=labels, seed=mix_seed(seed, "1nn", i)).cpu() for i in range(100)]
    test = data.split("test")
    error = error_1nn(test, torch.cat(samples).flatten(1), labels.repeat(100))
    protocol = {"measure": "1-NN error", "n_fake": 50_000, "n_test": len(test), "seed": seed}
    protocol |= {"batchnorm": "running", "dataset_fingerprint": test.fingerprint}
    return Measured({"error_1nn50k": error}, protocol)


def error_1nn(test: ImageArray, points: Tensor, labels: Tensor) -> float:
    """Share of test images whose label is not that of the nearest of points [M, C * H * W] in [-1, 1], labels [M]."""
    assert test.labels is not None
    nearest = nearest_rows(in_rows(test), points)
    return float((labels[nearest] != test.labels).double().mean())


def in_rows(split: ImageArray) -> Tensor:
    """All images of a split, [N, C * H * W] in [-1, 1]."""
    return split.images[:].float().div(127.5).sub(1).flatten(1)


def nearest_rows(x: Tensor, points: Tensor) -> Tensor:
    """For each row of x [N, D], the number of the nearest of points [M, D] by Euclidean distance: int64 [N]."""
    norms = points.square().sum(1)
    return torch.cat([(norms - 2 * part @ points.T).argmin(1) for part in torch.split(x, 500)])


EXPERIMENT = Experiment(while_training=measure)
