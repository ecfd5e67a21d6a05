"""Six techniques that steady a GAN's training, for DCGAN; all of them are off unless asked for.

T. Salimans, I. Goodfellow, W. Zaremba, V. Cheung, A. Radford, X. Chen, "Improved Techniques for Training GANs", NIPS
2016, arXiv 1606.03498, section 3: feature matching (3.1), minibatch discrimination (3.2), historical averaging (3.3),
one-sided label smoothing (3.4), virtual batch normalization (3.5). Instance noise: C. K. Sønderby et al., "Amortised
MAP Inference for Image Super-resolution", ICLR 2017, arXiv 1610.04490; M. Arjovsky, L. Bottou, "Towards Principled
Methods for Training GANs", ICLR 2017, arXiv 1701.04862, section 3.

`DCGAN(techniques={"feature_matching": True})` hands its losses over to `Techniques`. The layers are in
zoo/nn/techniques.py.
"""

import math
from collections.abc import Callable
from typing import Literal, TypedDict, cast

import torch
from torch import Tensor, nn

from zoo.errors import UnsupportedSettingError
from zoo.models.base.module import AdversarialModule
from zoo.nn.losses import bce_discriminator_loss, feature_matching_loss, non_saturating_generator_loss
from zoo.nn.techniques import (
    REFERENCE,
    HistoricalAverage,
    last_layer,
    with_minibatch_discrimination,
    with_virtual_batchnorm,
)

OF_LAYERS = ("feature_matching", "minibatch_discrimination", "virtual_batchnorm")  # these change D or G


class Switches(TypedDict, total=False):
    """The arguments of `Techniques`."""

    feature_matching: bool
    minibatch_discrimination: bool
    historical_averaging: float
    label_smoothing: float | None
    virtual_batchnorm: bool
    instance_noise: float
    instance_noise_images: int


class Techniques(nn.Module):
    """The losses of both players with the techniques that are switched on, and what these have to remember.

    Args:
        feature_matching: G minimises the distance of mean features (`feature_matching_loss`) instead of D's verdict.
        minibatch_discrimination: D sees how close an image is to the others of its batch.
        historical_averaging: weight of each player's squared distance to its past mean; 0 is off.
        label_smoothing: D's target for reals, such as 0.9; that of samples stays 0. None is 1.
        virtual_batchnorm: G is normalised by a fixed reference batch; each of its passes costs `REFERENCE` more images.
        instance_noise: standard deviation of Gaussian noise on all that D sees, at the start; 0 is off.
        instance_noise_images: real images in which that falls linearly to 0.

    Raises:
        UnsupportedSettingError: a value out of range.
    """

    def __init__(
        self,
        *,
        feature_matching: bool = False,
        minibatch_discrimination: bool = False,
        historical_averaging: float = 0.0,
        label_smoothing: float | None = None,
        virtual_batchnorm: bool = False,
        instance_noise: float = 0.0,
        instance_noise_images: int = 100_000,
    ) -> None:
        super().__init__()
        if label_smoothing is not None and not 0.5 < label_smoothing <= 1:
            raise UnsupportedSettingError(
                f"label_smoothing={label_smoothing} is D's target for reals and must lie above 0.5 and up to 1 "
                "(0.9 takes a tenth off)"
            )
        if not all(0 <= value < math.inf for value in (historical_averaging, instance_noise)):
            raise UnsupportedSettingError(
                f"historical_averaging={historical_averaging} and instance_noise={instance_noise} must be finite and "
                "not negative"
            )
        if instance_noise_images < 1:
            raise UnsupportedSettingError(f"instance_noise_images={instance_noise_images} must be at least 1")
        self.feature_matching, self.minibatch_discrimination = feature_matching, minibatch_discrimination
        self.historical_averaging, self.virtual_batchnorm = historical_averaging, virtual_batchnorm
        self.real_label = 1.0 if label_smoothing is None else label_smoothing
        self.instance_noise, self.instance_noise_images = instance_noise, instance_noise_images
        self.history = nn.ModuleDict()  # of "D" and "G"

    def built_into(
        self, G: nn.Module, D: nn.Module, *, latents: Callable[[int], Tensor], conditional: bool
    ) -> tuple[nn.Module, nn.Module]:
        """The players with the layers that were asked for.

        Args:
            G: the generator.
            D: the discriminator.
            latents: draws the reference batch.
            conditional: whether the layers take labels.

        Raises:
            UnsupportedSettingError: a technique that needs a plain sequence of layers, for conditional networks.
        """
        asked = [name for name in OF_LAYERS if getattr(self, name)]
        if conditional and asked:
            raise UnsupportedSettingError(
                f"network mnist_conditional, whose layers all take the label, has no {', '.join(asked)}"
            )
        if self.virtual_batchnorm:
            G = with_virtual_batchnorm(G, latents(REFERENCE))
        if self.minibatch_discrimination:
            assert isinstance(D, nn.Sequential)
            D = with_minibatch_discrimination(D)
        if self.historical_averaging:
            self.history.update({"D": HistoricalAverage(D), "G": HistoricalAverage(G)})
        return G, D

    def sigma(self, images_seen: int) -> float:
        """Standard deviation of the instance noise at this moment of the run."""
        return self.instance_noise * max(0.0, 1 - images_seen / self.instance_noise_images)

    def noisy(self, x: Tensor, *, images_seen: int) -> Tensor:
        """x + sigma epsilon with epsilon ~ N(0, I) from torch's global stream, which checkpoints carry."""
        sigma = self.sigma(images_seen)
        return x if sigma == 0 else torch.add(x, torch.randn_like(x), alpha=sigma)

    def historical_cost(self, player: Literal["D", "G"], net: nn.Module) -> Tensor | float:
        """What is added to this player's loss."""
        return self.historical_averaging * self.history[player](net) if self.history else 0.0

    def remember(self, player: Literal["D", "G"], net: nn.Module) -> None:
        """To be called after each update of this player."""
        if self.history:
            cast(HistoricalAverage, self.history[player]).update(net)

    def discriminator_loss(self, module: AdversarialModule, x: Tensor, label: tuple[Tensor | None, ...]) -> Tensor:
        """DCGAN's, on noisy images and with a smoothed target, plus the historical cost.

        Args:
            module: the two players.
            x: reals [N, C, H, W].
            label: what G and D are given besides: nothing, or the labels [N].
        """
        fake = module.G(module.sample_z(len(x)), *label)
        real_logits, fake_logits = (
            module.D(self.noisy(images, images_seen=module.images_seen), *label) for images in (x, fake)
        )
        module.note_scores(real_logits, fake_logits)
        loss = bce_discriminator_loss(real_logits, fake_logits, real_label=self.real_label)
        return loss + self.historical_cost("D", module.D)

    def generator_loss(self, module: AdversarialModule, x: Tensor, label: tuple[Tensor | None, ...]) -> Tensor:
        """Non-saturating or, with feature matching, the distance of mean features; arguments as above."""
        fake = self.noisy(module.G(module.sample_z(len(x)), *label), images_seen=module.images_seen)
        if self.feature_matching:
            x = self.noisy(x, images_seen=module.images_seen)
            loss = feature_matching_loss(features(module.D, x), features(module.D, fake))
        else:
            loss = non_saturating_generator_loss(module.D(fake, *label))
        return loss + self.historical_cost("G", module.G)


def features(D: nn.Module, x: Tensor) -> Tensor:
    """What D's last layer is given, [N, ...]."""
    assert isinstance(D, nn.Sequential)
    hidden: Tensor = D[: last_layer(D)](x)
    return hidden
