"""StyleGAN in small, for its tests."""

from typing import Any

import torch
from torch import nn
from toys import ToyData

from zoo.data import ImageArray
from zoo.models.stylegan import StyleGAN


class Grey16(ToyData):
    """Random 16x16 images."""

    native_resolution = 16

    def __init__(self, *, n: int = 40) -> None:
        super().__init__(n=n)
        images = torch.randint(256, (n, 1, 16, 16), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
        self.array = ImageArray(images, None, None, "0" * 64)


def tiny(**settings: Any) -> StyleGAN:
    """16x16 from 8x8: 16 images at 8x8, a fade of 32 in batches of 4."""
    torch.manual_seed(0)
    options: dict[str, Any] = {"resolution": 16, "channels": 1, "z_dim": 6, "w_dim": 6, "mapping_layers": 2}
    options |= {"fmap_base": 32, "fmap_max": 8, "stabilise_images": 16, "fade_images": 32}
    options |= {"batch_sizes": {4: 8, 16: 4}, "lrs": {4: 1e-2}}
    return StyleGAN(**{**options, **settings})


def lively(module: StyleGAN) -> StyleGAN:
    """Noise, biases and the average of w away from their start at 0, in G and its copy; fully grown."""
    for name, parameter in module.G.named_parameters():
        if name.endswith(("noise_scale", "bias")):
            nn.init.normal_(parameter)
    nn.init.normal_(module.G.w_average)
    module.G_ema.load_state_dict(module.G.state_dict())
    module.images_seen = module.growth.grown_at
    return module
