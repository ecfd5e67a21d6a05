"""Section 8.1 of Radford, Metz, Chintala 2016: what a 1-nearest-neighbour classifier learns from labelled samples."""

import torch
from torch import Tensor

from zoo.data import ImageDataModule
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
    assert test.labels is not None
    real = test.images[:].float().div(127.5).sub(1).flatten(1)
    nearest = nearest_rows(real, torch.cat(samples).flatten(1))
    error = (labels.repeat(100)[nearest] != test.labels).double().mean()
    protocol = {"measure": "1-NN error", "n_fake": 50_000, "n_test": len(test), "seed": seed}
    protocol |= {"batchnorm": "running", "dataset_fingerprint": test.fingerprint}
    return Measured({"error_1nn50k": float(error)}, protocol)


def nearest_rows(x: Tensor, points: Tensor) -> Tensor:
    """For each row of x [N, D], the number of the nearest of points [M, D] by Euclidean distance: int64 [N]."""
    norms = points.square().sum(1)
    return torch.cat([(norms - 2 * part @ points.T).argmin(1) for part in torch.split(x, 500)])


EXPERIMENT = Experiment(while_training=measure)
