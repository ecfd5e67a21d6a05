"""One file per paper. `MODELS[name]()` builds the paper's first network with the paper's constants.

What such a file holds, README.md says.
"""

from collections import ChainMap

from zoo.models.base.module import AdversarialModule as AdversarialModule
from zoo.models.benchmark import Benchmark
from zoo.models.cgan import CGAN
from zoo.models.dcgan import DCGAN
from zoo.models.gan import GAN
from zoo.models.infogan import InfoGAN
from zoo.models.lsgan import LSGAN
from zoo.models.pggan import PGGAN
from zoo.models.stylegan import StyleGAN
from zoo.models.wgan import WGAN
from zoo.models.wgan_gp import WGANGP

MODELS: dict[str, type[AdversarialModule]] = {
    "gan": GAN,
    "dcgan": DCGAN,
    "cgan": CGAN,
    "infogan": InfoGAN,
    "lsgan": LSGAN,
    "wgan": WGAN,
    "wgan_gp": WGANGP,
    "pggan": PGGAN,
    "stylegan": StyleGAN,
}

#: What is trained here without being a paper.
BESIDE: dict[str, type[AdversarialModule]] = {
    "benchmark": Benchmark,
}

#: All that a run or a checkpoint may be of; a view, so that a model that is added to MODELS is there too.
TRAINED = ChainMap(BESIDE, MODELS)
