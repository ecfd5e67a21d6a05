"""Table 1 of Goodfellow et al. 2014: the Parzen-window log-likelihood."""

import torch
from torch import Tensor

from zoo.data import ImageDataModule
from zoo.experiments.experiment import NOTHING, Experiment, Measured
from zoo.metrics.parzen import VALIDATION_IMAGES, parzen_measures
from zoo.models.gan import GAN
from zoo.nn.seeds import mix_seed


def measure(module: GAN, data: ImageDataModule, *, seed: int) -> Measured:
    """Table 1's measure: the Parzen-window log-likelihood of the test images in nats.

    10,000 samples, sigma chosen on the first 1,000 validation images (Breuleux et al. 2011). Taken with the MNIST
    network on data that has a validation split (data.train_images) and a test split; otherwise nothing.
    """
    if module.network != "mnist" or not {"validation", "test"} <= set(data.splits):
        return NOTHING
    samples = torch.cat([module.sample(500, seed=mix_seed(seed, "parzen", i)) for i in range(20)])
    validation, test = (unit_vectors(data.split(name).images[:]) for name in ("validation", "test"))
    samples = samples.add(1).div(2).clamp(0, 1).flatten(1)
    values = parzen_measures(samples, validation=validation, test=test)
    protocol = {"measure": "Parzen log-likelihood, nats", "n_fake": 10_000, "n_test": len(test)}
    protocol |= {"n_validation": min(len(validation), VALIDATION_IMAGES)}
    protocol |= {"dataset_fingerprint": data.split("test").fingerprint, "seed": seed, "batchnorm": "none"}
    return Measured(values, protocol)


def unit_vectors(images: Tensor) -> Tensor:
    """uint8 [N, C, H, W] to float [N, C*H*W] in [0, 1]."""
    return images.flatten(1).float() / 255


EXPERIMENT = Experiment(while_training=measure)
