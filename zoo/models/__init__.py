"""One file per paper. `MODELS[name]()` builds the paper's first network with the paper's constants."""

from zoo.adversarial import AdversarialModule
from zoo.models.dcgan import DCGAN
from zoo.models.gan import GAN

MODELS: dict[str, type[AdversarialModule]] = {"gan": GAN, "dcgan": DCGAN}
