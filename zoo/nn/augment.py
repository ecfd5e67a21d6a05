"""Differentiable augmentation of what D sees, for trainings on few images.

S. Zhao, Z. Liu, J. Lin, J.-Y. Zhu, S. Han, "Differentiable Augmentation for Data-Efficient GAN Training", NeurIPS 2020,
arXiv 2006.10738. D is shown T(x) and T(G(z)) in both players' losses, and gradients flow through T, so that what T does
to the images is not learnt by G.

Images lie in [-1, 1] here; those of papers that train in [0, 1] are brought there and back, so that a policy does the
same to the picture.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from zoo.errors import UnsupportedSettingError
from zoo.models.base.module import AdversarialModule

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


def augment_discriminator(module: AdversarialModule, policy: str) -> RemovableHandle:
    """From now on D sees augmented images while it trains: reals, samples, and what its penalties are taken at.

    It is a hook on D (where D has several heads, on their common `trunk`), and acts in training mode alone. The draws
    come from the module's latent stream, which every checkpoint carries.

    A gradient penalty, or R1, then holds the gradient of D(T(x)) with respect to the image x before T. As T is affine
    in x for a given draw, T of an interpolate is the same interpolate of T of both ends.

    Args:
        module: whose D.
        policy: see `parse_policy`.

    Returns:
        the hook's handle.

    Raises:
        UnsupportedSettingError: an unknown policy, or points in the plane.
    """
    names = parse_policy(policy)
    if len(module.image_shape) != 3:
        raise UnsupportedSettingError("--augment is for images, and this model makes points: leave it out")
    black_and_white = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(-1, *module.image_shape)
    low, high = (round(float(end.mean()), 1) for end in module.preprocess(black_and_white))
    if (low, high) not in ((-1, 1), (0, 1)):
        raise UnsupportedSettingError("--augment takes images in [-1, 1] or [0, 1], and this D sees normalised ones")
    unit = low == 0

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def hook(net: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        if not net.training:
            return None
        x, *rest = inputs
        images = x.view(-1, *module.image_shape) if x.dim() == 2 else x
        images = augment(images * 2 - 1 if unit else images, names, generator=module.latent_generator)
        return ((images / 2 + 0.5 if unit else images).view_as(x), *rest)

    entrance = getattr(module.D, "trunk", module.D)
    return entrance.register_forward_pre_hook(hook)
