"""FreezeD: the first layers of D keep what they know (Mo, Cho, Shin 2020, arXiv 2002.10964).

The paper freezes the lower layers of D, those next to the image, whose features are general, and trains the others.
"""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from zoo.errors import UnsupportedSettingError
from zoo.models.base.growing import GrowingModule
from zoo.models.base.module import AdversarialModule
from zoo.nn.layers import EqualizedConv2d
from zoo.training.finetune.adapt import Transfer


def freeze_discriminator(module: AdversarialModule, blocks: int, *, transfer: Transfer | None = None) -> list[str]:
    """Freezes the first `blocks` convolutional blocks of D, counted from the image.

    Their parameters get no gradient (Lightning's toggling keeps it so), and their BatchNorm layers normalise by the
    statistics that they have, which stay as they are.

    Args:
        module: before its training starts.
        blocks: how many.
        transfer: what came from the source: what is frozen must have come from it.

    Returns:
        names of the frozen parameters and buffers.

    Raises:
        UnsupportedSettingError: fewer blocks than that, none at all, one that did not come from the source, or one
            that came from grey images where these are in colour.
    """
    there_are = blocks_of(module)
    kind = type(module).__name__
    if not there_are:
        raise UnsupportedSettingError(
            f"--freeze_d {blocks}: D of this {kind} has no convolutional blocks (it is an MLP, or has not grown beyond "
            "4x4): leave --freeze_d out"
        )
    if not 0 < blocks <= len(there_are):
        raise UnsupportedSettingError(f"--freeze_d {blocks}: D of this {kind} has {len(there_are)} blocks to freeze")
    frozen = [layer for block in there_are[:blocks] for layer in block]
    held = {id(tensor) for layer in frozen for tensor in (*layer.parameters(), *layer.buffers())}
    state = module.state_dict(keep_vars=True)
    names = [name for name, tensor in state.items() if id(tensor) in held]
    if transfer is not None and (untrained := [name for name in names if name in transfer.new]):
        raise UnsupportedSettingError(
            f"--freeze_d {blocks} would freeze {untrained[0]}, which {transfer.origin} has nothing for: freeze fewer "
            "blocks, or keep the source's network"
        )
    adapted = [name for name in names if transfer is not None and name in transfer.adapted]
    if blind := [name for name in adapted if is_grey(state[name])]:
        raise UnsupportedSettingError(
            f"--freeze_d {blocks} would freeze {blind[0]}, which comes from grey images and answers to all channels "
            "alike: D would never see a colour. Leave --freeze_d out, start from a source in colour, or load the "
            "images as grey (--data.channels 1)"
        )
    for layer in frozen:
        layer.requires_grad_(False)
        for part in layer.modules():
            if isinstance(part, _BatchNorm):
                part.eval()
    return names


def is_grey(weight: Tensor) -> bool:
    """Whether a convolution's weight [outputs, 3 or more, k, k] is the same for red, green and blue."""
    return weight.dim() == 4 and weight.shape[1] >= 3 and all(torch.equal(weight[:, 0], weight[:, c]) for c in (1, 2))


def blocks_of(module: AdversarialModule) -> list[list[nn.Module]]:
    """The convolutional blocks of D in order from the image, each as its layers; empty for an MLP.

    A block is a convolution (or a unit that holds some, such as a residual block) with what follows it, up to the
    first fully connected layer or the convolution that gives the score. Of a network that grows it is the layer that
    takes images at a resolution and the layers from there to half of it, beginning at the resolution that this training
    begins with: what is grown afterwards has learnt nothing yet.
    """
    if isinstance(module, GrowingModule):
        from_rgb, stages = (part for part in module.D.children() if isinstance(part, nn.ModuleList))
        last = module.growth.start.bit_length() - 3  # 0: 4x4
        return [[from_rgb[k], stages[k - 1]] for k in range(last, 0, -1)]
    blocks: list[list[nn.Module]] = []
    for unit in units_of(module.D):
        inside = list(unit.modules())
        convolutions = [part for part in inside if isinstance(part, nn.Conv2d | EqualizedConv2d)]
        if any(convolution.weight.shape[0] == 1 for convolution in convolutions):
            break
        if convolutions:
            blocks.append([unit])
        elif any(isinstance(part, nn.Linear) for part in inside):
            break
        elif blocks:
            blocks[-1].append(unit)
    return blocks


def units_of(net: nn.Module) -> list[nn.Module]:
    """The parts of a network in the order in which they were made, containers taken apart."""
    parts = []
    for part in net.children():
        plain = type(part) in (nn.Sequential, nn.ModuleList)
        parts += units_of(part) if plain else [part]
    return parts
