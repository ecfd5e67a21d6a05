"""Differentiable augmentation of all that D sees in a training (`--augment`)."""

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from zoo.errors import UnsupportedSettingError
from zoo.models.base.module import AdversarialModule
from zoo.nn.augment import augment, parse_policy


def augment_discriminator(module: AdversarialModule, policy: str) -> RemovableHandle:
    """From now on D sees augmented images while it trains: reals, samples, and what its penalties are taken at.

    It is a hook on D (see `entrance_of`), and acts in training mode alone. The draws come from the module's latent
    stream, which every checkpoint carries.

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

    return entrance_of(module).register_forward_pre_hook(hook)


def entrance_of(module: AdversarialModule) -> nn.Module:
    """What every image passes first: D; where D has several heads, their `trunk`; D's first layer, where G matches
    features, which are those of a part of D that is called by itself."""
    if getattr(getattr(module, "techniques", None), "feature_matching", False):
        return next(module.D.children())
    entrance: nn.Module = getattr(module.D, "trunk", module.D)
    return entrance
