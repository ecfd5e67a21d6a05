"""Mirza & Osindero 2014: figure 2, generated digits with one row for each label, and Table 1's log-likelihood."""

import torch
from torch import Tensor

from zoo.data import ImageDataModule
from zoo.experiments.experiment import NOTHING, Experiment, Measured
from zoo.experiments.pictures.captions import captioned
from zoo.experiments.pictures.drawing import Drawings
from zoo.metrics.lenet import LeNetExtractor
from zoo.metrics.parzen import VALIDATION_IMAGES, parzen_measures
from zoo.metrics.quantize import to_uint8
from zoo.models.cgan import CGAN
from zoo.models.trained import FinishedRun
from zoo.nn.seeds import mix_seed


def run_figures(module: CGAN, run: FinishedRun) -> Drawings:
    """`class_rows`: one class in each row, ten samples of each."""
    rows = [f"class {k}" for k in range(module.num_classes)]
    title = "One class in each row, a draw of z in each column"
    yield "class_rows", captioned(class_rows(module), title=title, rows=rows)


def class_rows(module: CGAN) -> Tensor:
    """Figure 2: one class in each row, ten samples of each, [K, 10, C, H, W] in [-1, 1]."""
    images, _ = sample_classes(module, 10, seed=0)
    return images.view(module.num_classes, 10, *module.image_shape)


def sample_classes(module: CGAN, n: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """n images of each class, [K n, C, H, W] in [-1, 1] on the CPU, sorted by class, and their labels [K n]."""
    labels = torch.arange(module.num_classes).repeat_interleave(n)  # [K n]
    parts = [
        module.sample(len(part), labels=part, seed=mix_seed(seed, "classes", i)).cpu()
        for i, part in enumerate(labels.split(500))  # type: ignore[no-untyped-call]
    ]
    return torch.cat(parts), labels


def measure(module: CGAN, data: ImageDataModule, *, seed: int) -> Measured:
    """Of 1,000 samples of each class of digits: Table 1's Parzen-window log-likelihood, and label accuracy.

    `parzen_ll` in nats, sigma chosen on the first 1,000 validation images: needs 28x28 images, a validation split
    (data.train_images) and a test split. `accuracy_lenet` (not in the paper): the share of the samples that
    the project's LeNet takes for their label.
    """
    if data.extractor != "lenet" or module.num_classes != 10:
        return NOTHING
    images, labels = sample_classes(module, 1_000, seed=seed)
    values, what = {"accuracy_lenet": label_accuracy(images, labels)}, "label accuracy by LeNet"
    if {"validation", "test"} <= set(data.splits) and module.image_shape == (1, 28, 28):
        validation, test = (data.split(name).images[:].flatten(1).float() / 255 for name in ("validation", "test"))
        samples = images.to(module.device).add(1).div(2).clamp(0, 1).flatten(1)
        values |= parzen_measures(samples, validation=validation, test=test)
        few = min(len(validation), VALIDATION_IMAGES)
        what += f"; Parzen log-likelihood of the test images, nats, sigma from {few:,} validation images"
    reference = data.split("test" if "test" in data.splits else "train")
    protocol = {"measure": what, "n_fake": len(images), "dataset_fingerprint": reference.fingerprint, "seed": seed}
    return Measured(values, {**protocol, "batchnorm": "none" if module.network == "mnist" else "running"})


def label_accuracy(images: Tensor, labels: Tensor) -> float:
    """Share of images [N, C, H, W] in [-1, 1] of digits that the project's LeNet takes for their label [N]."""
    classified = LeNetExtractor()(to_uint8(images)).logits.argmax(1)
    return float((classified == labels).float().mean())


EXPERIMENT = Experiment(while_training=measure)
