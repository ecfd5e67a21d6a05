"""Trained weights into a module that may differ from their own in channels, classes or resolution.

Of each player, layers are paired with those of the source either by name (growing networks: by resolution) or by their
place counted from the image, whichever keeps more weights. The latter is right for ladders of convolutions, whose
layers next to the image stay the same when the resolution doubles. A pair's tensors of equal shape are taken as they
are; those that differ by the number of channels or classes are adapted; all others stay as the module was initialised.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import type_before_parametrizations

from zoo.errors import CheckpointError
from zoo.models import MODELS
from zoo.models.base.build import build
from zoo.models.base.growing import GrowingModule
from zoo.models.base.module import AdversarialModule
from zoo.models.base.state import COUNTERS
from zoo.releases.weights import Weights

PLAYERS = ("G", "G_ema", "D")


class Source(NamedTuple):
    """Trained weights in a module of their own.

    Attributes:
        module: with the weights; its networks' counters are those of the source, where it kept them.
        origin: where they came from.
    """

    module: AdversarialModule
    origin: str

    @property
    def resolution(self) -> int | None:
        """Side up to which a growing source is grown (the newest layers, still fading in, left out); None: others."""
        if not isinstance(self.module, GrowingModule):
            return None
        stage = self.module.growth.at(self.module.images_seen)
        return stage.resolution if stage.alpha == 1 else stage.resolution // 2


@dataclass
class Transfer:
    """What became of each tensor.

    Attributes:
        origin: of the source.
        matched: names of those taken as they are.
        adapted: what was done, by name.
        new: shapes of those that the source had nothing for.
        unused: shapes of the source's that have no place.
    """

    origin: str
    matched: list[str] = field(default_factory=list)
    adapted: dict[str, str] = field(default_factory=dict)
    new: dict[str, list[int]] = field(default_factory=dict)
    unused: dict[str, list[int]] = field(default_factory=dict)


def rebuild(weights: Weights) -> Source:
    """The module that the weights were trained in.

    Raises:
        CheckpointError: tensors of a player are missing, or are not those of this paper.
    """
    with torch.random.fork_rng(devices=[]):
        module = build(MODELS[weights.paper], weights.hyperparameters)
    state = module.state_dict()
    own = {name for name in state if name.split(".")[0] in PLAYERS}
    if lacking := sorted(own - weights.tensors.keys()):
        raise CheckpointError(
            f"{weights.origin} lacks {len(lacking)} tensors of its {weights.paper}, the first is {lacking[0]}: a "
            "generator alone cannot be fine-tuned. Choose a checkpoint or release with G and D"
        )
    try:
        module.load_state_dict({**state, **weights.tensors})
    except RuntimeError as error:
        raise CheckpointError(f"{weights.origin} does not fit its own settings: {error}") from error
    if isinstance(module, GrowingModule) and "images_seen" not in weights.tensors:
        module.images_seen = module.growth.grown_at
    return Source(module, weights.origin)


@torch.no_grad()
def transfer(source: Source, module: AdversarialModule) -> Transfer:
    """Loads G, G_ema (where the paper has it) and D of the source; counters and all else stay fresh.

    Args:
        source: of `rebuild`.
        module: freshly built, of the same paper.

    Raises:
        CheckpointError: another paper, or a player for which nothing was found.
    """
    check_paper(source, module)
    report = Transfer(source.origin)
    for player in PLAYERS:
        if getattr(module, player) is not None:
            Player(player, source.module, module).load(report)
    state = module.state_dict()
    taken = {name.split(".")[0] for name in (*report.matched, *report.adapted) if state[name].dim()}  # no mere counters
    for player in ("G", "D"):
        if player not in taken:
            raise CheckpointError(
                f"nothing of {source.origin} fits this model's {player}: they share no layer of one shape. Leave out "
                "the --model options that change the network, or --init_from"
            )
    assert all(getattr(module, counter) == 0 for counter in COUNTERS)
    return report


def check_paper(source: Source, module: AdversarialModule) -> None:
    """Raises CheckpointError unless the source is of the module's paper."""
    if source.module.paper != module.paper:
        raise CheckpointError(
            f"{source.origin} is of {source.module.paper}, this is {module.paper}: fine-tune it with "
            f"reproductions/{source.module.paper}.py"
        )


class Counts(NamedTuple):
    """Channels and classes (0: unconditional) of the images."""

    channels: int
    classes: int

    @classmethod
    def of(cls, module: AdversarialModule) -> "Counts":
        return cls(module.image_shape[0], module.num_classes or 0)


class Player:
    """One network and its source."""

    def __init__(self, name: str, source: AdversarialModule, target: AdversarialModule) -> None:
        self.name = name
        self.source: nn.Module = getattr(source, name)
        self.target: nn.Module = getattr(target, name)
        self.counts = Counts.of(source), Counts.of(target)

    def load(self, report: Transfer) -> None:
        """Copies what there is, and adds it to the report."""
        pairs = max((self.by_name(), self.from_the_image()), key=self.kept)  # of equals the first
        used = set()
        for layer, module in layers_of(self.target).items():
            for name, fresh in tensors_of(module).items():
                full = f"{self.name}.{layer}.{name}" if layer else f"{self.name}.{name}"
                found = self.value(pairs.get(layer), layer, name)
                if found is None:
                    report.new[full] = list(fresh.shape)
                    continue
                value, how = found
                fresh.copy_(value)
                used.add((pairs[layer], name))
                if how:
                    report.adapted[full] = how
                else:
                    report.matched.append(full)
        for layer, module in layers_of(self.source).items():
            for name, tensor in tensors_of(module).items():
                if (layer, name) not in used:
                    report.unused[f"{self.name}.{layer}.{name}"] = list(tensor.shape)

    def by_name(self) -> dict[str, str]:
        """Layers of the source by those of the target: the ones of the same name."""
        return {layer: layer for layer in layers_of(self.target) if layer in layers_of(self.source)}

    def from_the_image(self) -> dict[str, str]:
        """The same, counted from the image: from D's first layer, from G's last."""
        mine, theirs = list(layers_of(self.target)), list(layers_of(self.source))
        if self.name != "D":
            mine.reverse()
            theirs.reverse()
        return dict(zip(mine, theirs, strict=False))

    def kept(self, pairs: Mapping[str, str]) -> int:
        """Numbers that a pairing brings over."""
        layers = layers_of(self.target)
        return sum(
            tensor.numel()
            for layer, other in pairs.items()
            for name, tensor in tensors_of(layers[layer]).items()
            if self.value(other, layer, name) is not None
        )

    def value(self, source_layer: str | None, layer: str, name: str) -> tuple[Tensor, str] | None:
        """A tensor of the target out of its pair in the source, and what was done to it ("": nothing)."""
        if source_layer is None:
            return None
        there, here = self.source.get_submodule(source_layer), self.target.get_submodule(layer)
        kept = tensors_of(there).get(name)
        if kept is None or type_before_parametrizations(there) is not type_before_parametrizations(here):
            return None
        ratio = run_time_factor(there, name) / run_time_factor(here, name)
        weight = getattr(here, "weight", None)
        convolution = isinstance(weight, Tensor) and weight.dim() == 4
        convert = None if not convolution else to_channels_of_D if self.name == "D" else to_channels_of_G
        return adapted(kept, tensors_of(here)[name], ratio=ratio, counts=self.counts, convert=convert)


def layers_of(net: nn.Module) -> dict[str, nn.Module]:
    """Modules that hold tensors themselves, by name, in the order in which they were made."""
    return {name: module for name, module in net.named_modules() if tensors_of(module)}


def tensors_of(layer: nn.Module) -> dict[str, Tensor]:
    """A layer's own parameters and buffers."""
    own: Iterator[tuple[str, Tensor | None]] = iter([*layer._parameters.items(), *layer._buffers.items()])
    return {name: tensor for name, tensor in own if tensor is not None}


def run_time_factor(layer: nn.Module, name: str) -> float:
    """What an equalized layer multiplies its stored tensor with in each pass; 1 for all other layers."""
    factor = getattr(layer, {"weight": "scale", "bias": "lr_multiplier"}.get(name, ""), 1.0)
    return factor if isinstance(factor, float) else 1.0


Convert = Callable[[Tensor, int, int], Tensor]


def adapted(
    kept: Tensor, fresh: Tensor, *, ratio: float, counts: tuple[Counts, Counts], convert: Convert | None
) -> tuple[Tensor, str] | None:
    """`kept` in the shape of `fresh`, and what was done; None where there is no telling how.

    Along the one dimension in which they differ there may be channels of the image, or features followed by an entry
    for each class, or channels followed by classes.

    Args:
        kept: a tensor of the source.
        fresh: the target's, as it was initialised; classes that the source lacks stay so.
        ratio: run-time factor there over the one here: the product, which the network computes with, is what is kept.
        counts: of the source and of the target.
        convert: of channels: (tensor, dimension, number); None where the layer has none.
    """
    if kept.shape == fresh.shape:
        return (kept, "") if ratio == 1 else (kept * ratio, f"rescaled by {ratio:.4g}")
    unlike = [d for d in range(kept.dim()) if kept.dim() == fresh.dim() and kept.shape[d] != fresh.shape[d]]
    if len(unlike) != 1:
        return None
    (d,) = unlike
    there, here = counts
    done = []
    for classes in ((0, 0), (there.classes, here.classes)):
        lead = kept.shape[d] - classes[0], fresh.shape[d] - classes[1]
        if min(lead) < 0:
            continue
        front = kept.narrow(d, 0, lead[0])
        if lead == (there.channels, here.channels) and lead[0] != lead[1] and convert is not None:
            if lead[0] != 1 and lead[1] != 1:
                return None  # neither grey there nor here
            front = convert(front, d, lead[1])
            done.append(f"{lead[0]} channels to {lead[1]}")
        elif lead[0] != lead[1]:
            continue
        shared = min(classes)
        common = kept.narrow(d, lead[0], shared)
        rest = fresh.narrow(d, lead[1] + shared, classes[1] - shared)
        if classes[0] != classes[1]:
            done.append(f"{classes[0]} classes to {classes[1]}, {classes[1] - shared} of them new")
        return torch.cat([front * ratio, common * ratio, rest.to(kept.dtype)], d), ", ".join(done)
    return None


def to_channels_of_D(weight: Tensor, d: int, channels: int) -> Tensor:
    """Grey to RGB: each channel gets an equal share of the weight; RGB to grey: their sum.

    Either way D answers to a picture without colour as it did before: (w/n) v + ... + (w/n) v = w v.
    """
    if weight.shape[d] == 1:
        return (weight / channels).repeat_interleave(channels, d)
    return weight.sum(d, keepdim=True)


def to_channels_of_G(weight: Tensor, d: int, channels: int) -> Tensor:
    """Grey to RGB: the same in each channel, a picture without colour; RGB to grey: the mean of the channels.

    It is the mean before the last nonlinearity, which is the grey of a picture without colour.
    """
    if weight.shape[d] == 1:
        return weight.repeat_interleave(channels, d)
    return weight.mean(d, keepdim=True)
