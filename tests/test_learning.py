"""Each model learns on the embedded digits, by a score of a network that knows digits; not so with G's sign flipped."""

import pytest
import torch
from lightning.pytorch import seed_everything
from toys import toy_trainer

import zoo.models.dcgan
import zoo.models.gan
import zoo.nn.losses
from zoo.data import Digits
from zoo.metrics.evaluator import Evaluator
from zoo.metrics.lenet import LeNetExtractor
from zoo.models.base.module import AdversarialModule
from zoo.models.dcgan import DCGAN
from zoo.models.gan import GAN


def small(paper: str) -> tuple[AdversarialModule, Digits, int]:
    """A module, its data and its budget in images."""
    if paper == "gan":
        return GAN(images_per_epoch=5_000), Digits(batch_size=100), 100_000
    return DCGAN(network="community", resolution=32, channels=1, width=8), Digits(resolution=32, batch_size=16), 8_000


def improvement(paper: str) -> float:
    """Frechet distance of LeNet features after training, relative to before."""
    seed_everything(0, verbose=False)
    module, data, images = small(paper)
    evaluator = Evaluator([LeNetExtractor()], data=data, n_real=1000, n_fake=500, batchnorm="running")
    trainer = toy_trainer(images=images)
    before = evaluator.run(module).values["fd_lenet500"]
    trainer.fit(module, datamodule=data)
    after = evaluator.run(module).values["fd_lenet500"]
    return after / before


@pytest.mark.parametrize("paper", [pytest.param("gan", marks=pytest.mark.slow), "dcgan"])
def test_learns(paper: str) -> None:
    assert improvement(paper) < 0.9


@pytest.mark.slow
@pytest.mark.parametrize("paper", ["gan", "dcgan"])
def test_does_not_learn_with_the_generators_sign_flipped(paper: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def flipped(fake_logits: torch.Tensor) -> torch.Tensor:
        return -zoo.nn.losses.non_saturating_generator_loss(fake_logits)

    monkeypatch.setattr(f"zoo.models.{paper}.non_saturating_generator_loss", flipped)
    assert improvement(paper) > 0.95
