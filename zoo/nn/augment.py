"""Differentiable augmentation of what D sees, for trainings on few images.

S. Zhao, Z. Liu, J. Lin, J.-Y. Zhu, S. Han, "Differentiable Augmentation for Data-Efficient GAN Training", NeurIPS 2020,
arXiv 2006.10738. D is shown T(x) and T(G(z)) in both players' losses, and gradients flow through T, so that what T does
to the images is not learnt by G.

Images lie in [-1, 1] here; those of papers that train in [0, 1] are brought there and back, so that a policy does the
same to the picture.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from zoo.errors import UnsupportedSettingError

SHIFT = 1 / 8  # of the side: the largest translation
HOLE = 1 / 2  # of the side: that of the square that is cut out


def color(x: Tensor, u: Tensor) -> Tensor:
    """Brightness, saturation and contrast of each image: x [N, C, H, W], three numbers u [N, 3] in [0, 1).

    x + (u_0 - 1/2); then 2 u_1 times the distance to the mean of each pixel's channels (nothing, for grey images);
    then u_2 + 1/2 times the distance to the mean of the image.
    """
    brightness, saturation, contrast = u.to(x.dtype).view(-1, 3, 1, 1, 1).unbind(1)  # [N, 1, 1, 1] each
    x = x + (brightness - 0.5)
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * (2 * saturation)
    mean = x.mean((1, 2, 3), keepdim=True)
    return mean + (x - mean) * (contrast + 0.5)


def translation(x: Tensor, u: Tensor) -> Tensor:
    """Each image moved by up to an eighth of its side, zeros moving in: x [N, C, H, W], u [N, 2] in [0, 1)."""
    for dim, part in ((2, u[:, 0]), (3, u[:, 1])):
        side = x.shape[dim]
        most = int(side * SHIFT + 0.5)
        moved = (part * (2 * most + 1)).long() - most  # [N], -most .. most
        origin = torch.arange(side, device=x.device) - moved[:, None]  # [N, side], where each row comes from
        inside = (origin >= 0) & (origin < side)
        shape = [len(x), 1, 1, 1]
        shape[dim] = side
        index = origin.clamp(0, side - 1).view(shape).expand_as(x)
        x = x.gather(dim, index) * inside.view(shape).to(x.dtype)
    return x


def cutout(x: Tensor, u: Tensor) -> Tensor:
    """A square of half the side set to zero, its centre anywhere in the image: x [N, C, H, W], u [N, 2] in [0, 1)."""
    holes = []
    for side, part in ((x.shape[2], u[:, 0]), (x.shape[3], u[:, 1])):
        size = int(side * HOLE + 0.5)
        first = (part * (side + 1 - size % 2)).long() - size // 2  # [N]
        position = torch.arange(side, device=x.device)
        holes.append((position >= first[:, None]) & (position < first[:, None] + size))  # [N, side]
    hole = holes[0][:, None, :, None] & holes[1][:, None, None, :]  # [N, 1, H, W]
    return x * (~hole).to(x.dtype)


#: By name: what is done, and how many random numbers it takes for an image.
POLICIES: Mapping[str, tuple[Callable[[Tensor, Tensor], Tensor], int]] = {
    "color": (color, 3),
    "translation": (translation, 2),
    "cutout": (cutout, 2),
}


def parse_policy(text: str) -> tuple[str, ...]:
    """ "color,translation,cutout", or some of these.

    Raises:
        UnsupportedSettingError: an unknown name, or none.
    """
    names = tuple(name.strip() for name in text.split(","))
    if unknown := [name for name in names if name not in POLICIES]:
        raise UnsupportedSettingError(
            f"--augment {text!r}: there is no policy {unknown[0]!r}; join some of {', '.join(POLICIES)} by commas"
        )
    return names


def augment(x: Tensor, policy: tuple[str, ...], *, generator: torch.Generator | None = None) -> Tensor:
    """T(x): each image of x [N, C, H, W] in [-1, 1] changed by a draw of its own.

    Args:
        x: images; gradients flow through.
        policy: names of `POLICIES`, in the order in which they act.
        generator: CPU generator of the draws.
    """
    for name in policy:
        change, numbers = POLICIES[name]
        x = change(x, torch.rand(len(x), numbers, generator=generator).to(x.device))
    return x
