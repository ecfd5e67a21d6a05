"""Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks.

A. Radford, L. Metz, S. Chintala. ICLR 2016, arXiv 1511.06434. Authors' code: github.com/Newmu/dcgan_code.

Here: the guidelines of section 3 (strided convolutions, batch normalisation but at G's output and D's input, no hidden
fully connected layers, ReLU in G and leaky ReLU in D) in four networks, each named as what it is:

- `faces64`: the authors' network of the faces experiment (5x5 kernels, 128 filters, uniform z);
- `imagenet32`: the authors' network of the ImageNet-1k experiment whose features are tested on CIFAR-10 (section 5.1);
- `mnist_conditional`: the authors' network of the appendix's MNIST experiment (section 8.1), label at every layer;
- `community`: the variant most implementations mean by DCGAN (4x4 kernels, 64 filters, normal z), from the Torch port.

They are in networks/dcgan.py. Techniques of a later paper can be switched on (improved_gan.py).
"""

from types import MappingProxyType

import torch
from torch import Tensor

from zoo.models.base.module import AdversarialModule
from zoo.models.base.sampling import Columns
from zoo.models.improved_gan import Switches, Techniques
from zoo.models.networks.dcgan import Network, build_networks, initialise
from zoo.nn.losses import bce_discriminator_loss, non_saturating_generator_loss
from zoo.nn.reference import Reference


class DCGAN(AdversarialModule):
    """Convolutional GAN with the non-saturating loss and Adam (section 4).

    Args:
        network: which networks, see the head of zoo/models/dcgan.py.
        channels: of the images.
        resolution: height and width. `faces64` is 64 and `imagenet32` is 32; `community` takes any power of two
            from 8 on (default 64).
        width: filters of the layer next to the image; None takes the network's own (128, 128, 64), and
            `mnist_conditional` has no other.
        z_dim: None takes the network's own (100, 256, 100).
        lr: Adam's learning rate, of both players.
        beta1: Adam's first moment decay.
        beta2: Adam's second moment decay.
        l2: added to the gradient times the weight; 0 as in the paper's text, 1e-5 in the authors' faces script and
            2.5e-5 in their MNIST script.
        constant_images: images after which the learning rate falls linearly; None keeps it constant.
        decay_images: images that it takes to fall to 0.
        techniques: those of "Improved Techniques for Training GANs" to switch on, by name, such as
            {"feature_matching": true}: zoo/models/improved_gan.py has them all; None is the paper.

    Raises:
        ValueError: a resolution or a width that the network does not have; a technique that it cannot be given, or a
            value of one that is out of range (UnsupportedSettingError).
    """

    paper = "dcgan"
    reference = Reference(
        title="Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks",
        authors=("Radford, Alec", "Metz, Luke", "Chintala, Soumith"),
        year=2016,
        venue="International Conference on Learning Representations",
        arxiv="1511.06434",
        code="https://github.com/Newmu/dcgan_code",
        networks="the authors' 64x64 faces, 32x32 ImageNet and conditional MNIST networks, the community 4x4 variant",
    )
    remedies = MappingProxyType(
        {
            "collapse": "BatchNorm in both players, which keeps G from mapping all z to one point (section 3)",
            "divergence": "a learning rate of 0.0002 and beta1 of 0.5: 0.001 was too high, 0.9 unstable (section 4)",
        }
    )

    def __init__(
        self,
        *,
        network: Network = "faces64",
        channels: int = 3,
        resolution: int | None = None,
        width: int | None = None,
        z_dim: int | None = None,
        lr: float = 2e-4,
        beta1: float = 0.5,
        beta2: float = 0.999,
        l2: float = 0.0,
        constant_images: int | None = None,
        decay_images: int = 5_000_000,
        techniques: Switches | None = None,
    ) -> None:
        own = {"faces64": 64, "imagenet32": 32, "mnist_conditional": 28}.get(network)
        resolution = resolution or own or 64
        if own is not None and resolution != own:
            raise ValueError(f"network {network} makes {own}x{own} images; for {resolution} use network=community")
        conditional = network == "mnist_conditional"
        if conditional and width is not None:
            raise ValueError("network mnist_conditional has one width: leave width out, or use network=community")
        if not conditional and (resolution < 8 or resolution & (resolution - 1)):
            raise ValueError(f"resolution must be a power of two from 8 on, not {resolution}")
        z_dim = z_dim or (256 if network == "imagenet32" else 100)
        channels = 1 if conditional else channels
        shape = (channels, resolution, resolution)
        super().__init__(image_shape=shape, z_dim=z_dim, num_classes=10 if conditional else None)
        self.save_hyperparameters()
        self.network = network
        self.constant_images, self.decay_images = constant_images, decay_images
        self.lr, self.betas, self.l2 = lr, (beta1, beta2), l2
        width = width or (64 if network == "community" else 128)
        self.techniques = Techniques(**techniques) if techniques else None
        self.G, self.D = build_networks(network, z_dim=z_dim, width=width, channels=channels, resolution=resolution)
        if self.techniques is not None:
            self.G, self.D = self.techniques.built_into(self.G, self.D, latents=self.latents, conditional=conditional)
        initialise(self)
        self.to(memory_format=torch.channels_last)  # same values, faster convolutions

    def latents(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """U(-1, 1) in the authors' networks, N(0, 1) in the community variant. [n, z_dim]."""
        if self.network == "community":
            return super().latents(n, generator=generator)
        return torch.rand(n, self.z_dim, generator=generator) * 2 - 1

    @property
    def prior(self) -> tuple[Columns, ...]:
        return super().prior if self.network == "community" else (Columns(self.z_dim, "uniform", -1, 1),)

    def uses_remedy(self, symptom: str) -> bool:
        if symptom == "collapse":
            return all(
                any(isinstance(m, torch.nn.BatchNorm2d) for m in player.modules()) for player in (self.G, self.D)
            )
        return self.lr <= 2e-4 and self.betas[0] <= 0.5

    def discriminator_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        """Reals and fakes pass through D separately: a joint batch would mix BatchNorm's statistics."""
        if self.techniques is not None:
            return self.techniques.discriminator_loss(self, x, self.label(y))
        fake = self.G(self.sample_z(len(x)), *self.label(y))
        real_logits, fake_logits = self.D(x, *self.label(y)), self.D(fake, *self.label(y))
        self.note_scores(real_logits, fake_logits)
        return bce_discriminator_loss(real_logits, fake_logits)

    def generator_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        if self.techniques is not None:
            return self.techniques.generator_loss(self, x, self.label(y))
        fake = self.G(self.sample_z(len(x)), *self.label(y))
        return non_saturating_generator_loss(self.D(fake, *self.label(y)))

    def label(self, y: Tensor | None) -> tuple[Tensor | None, ...]:
        """What the networks take besides: the labels of the reals, fakes have the same; nothing if unconditional."""
        return () if self.num_classes is None else (y,)

    def after_discriminator_update(self) -> None:
        if self.techniques is not None:
            self.techniques.remember("D", self.D)

    def after_generator_update(self) -> None:
        if self.techniques is not None:
            self.techniques.remember("G", self.G)

    def preprocess(self, x: Tensor) -> Tensor:
        """uint8 to [-1, 1]; to [0, 1] for the conditional network, whose images end in a sigmoid."""
        return x.float().div_(255) if self.num_classes is not None else super().preprocess(x)

    def score(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        scores: Tensor = self.D(x, *self.label(y))
        return scores

    def generate(self, z: Tensor, y: Tensor | None) -> Tensor:
        """Images [N, C, H, W] in [-1, 1]."""
        if self.num_classes is None:
            return super().generate(z, y)
        images: Tensor = self.G(z, y)
        return images * 2 - 1

    def before_update(self) -> None:
        """The learning rate of the authors' MNIST script: constant, then linear to 0."""
        if self.constant_images is None:
            return
        share = 1 - max(0, self.images_seen - self.constant_images) / self.decay_images
        for optimizer in self.both_optimizers():
            optimizer.param_groups[0]["lr"] = self.lr * max(0.0, share)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [
            torch.optim.Adam(net.parameters(), lr=self.lr, betas=self.betas, weight_decay=self.l2)
            for net in (self.D, self.G)
        ]
