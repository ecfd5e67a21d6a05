"""The spaces that a generator's images have coordinates in: z of any paper, w and w+ of a style-based generator."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, Literal, NamedTuple, cast

import torch
from torch import Tensor, nn

from zoo.errors import EvaluationError
from zoo.models.base.module import AdversarialModule
from zoo.models.base.sampling import PIXELS_AT_A_TIME
from zoo.models.networks.stylegan import stage_of
from zoo.models.stylegan import StyleGAN
from zoo.nn.modes import in_eval_mode

Name = Literal["z", "w", "w+"]
DRAWS = 4096  # latents that means and deviations are taken from
BLOCK = 256  # images at a time; fewer where they are larger than 128x128


class Points(NamedTuple):
    """Attributes: coordinates [N, ...] of a space, labels [N] of a conditional model or None."""

    x: Tensor
    y: Tensor | None


class Space(ABC):
    """Coordinates x of images.

    Attributes:
        module: the model, in evaluation mode; its weights ask for no gradients from here on.
        name: "z", "w" or "w+".
        dim: length of a direction.
    """

    name: Name
    dim: int

    def __init__(self, module: AdversarialModule) -> None:
        self.module = module.eval().requires_grad_(False)

    @abstractmethod
    def draw(self, n: int, *, seed: int, labels: Tensor | None = None) -> Points:
        """n points as the model's samples have them; labels [n], or drawn."""

    @abstractmethod
    def images(self, points: Points) -> Tensor:
        """Images [N, C, H, W] in [-1, 1]; gradients reach x. The same x gives the same images."""

    @abstractmethod
    def vectors(self, x: Tensor) -> Tensor:
        """The part of x [N, ...] that directions are added to, [N, dim]."""

    @abstractmethod
    def moved(self, x: Tensor, by: Tensor) -> Tensor:
        """x [N, ...] with `by` [N, dim] added."""

    def continuous(self) -> Tensor:
        """Which entries of a vector directions move, bool [dim]: all but one-hot codes, between which nothing lies."""
        return torch.ones(self.dim, dtype=torch.bool, device=self.module.device)

    @abstractmethod
    def first_layer(self) -> Tensor:
        """Weights of the first layer that sees a vector, [outputs, dim]."""

    @abstractmethod
    def activations(self, points: Points) -> Tensor:
        """What GANSpace looks at, [N, features]."""

    @torch.no_grad()
    def pictures(self, points: Points) -> Tensor:
        """`images` without gradients, some at a time, on the CPU."""
        return torch.cat([self.images(part) for part in self.in_parts(points)]).float().cpu()

    def in_parts(self, points: Points) -> list[Points]:
        """Points, so many together as a pass has room for."""
        block = max(1, min(BLOCK, PIXELS_AT_A_TIME // math.prod(self.module.image_shape[1:])))
        return [
            Points(points.x[i : i + block], None if points.y is None else points.y[i : i + block])
            for i in range(0, len(points.x), block)
        ]

    def deviation(self, direction: Tensor) -> float:
        """Standard deviation of the samples' coordinates along a unit vector [dim]."""
        vectors = self.vectors(self.draw(DRAWS, seed=0).x)
        return float((vectors @ direction.to(vectors)).std())


class LatentSpace(Space):
    """z, with whatever stands beside it in a latent: cGAN's dropout is part of x, and no direction moves it."""

    name = "z"

    def __init__(self, module: AdversarialModule) -> None:
        super().__init__(module)
        self.dim = module.z_dim

    def draw(self, n: int, *, seed: int, labels: Tensor | None = None) -> Points:
        return Points(*self.module.draw(n, labels=labels, seed=seed))

    def images(self, points: Points) -> Tensor:
        if isinstance(self.module, StyleGAN):
            return styled_images(self.module, every_layer(self.module, self.module.G_ema.mapping(points.x)))
        with in_eval_mode(self.module):
            return self.module.generate(points.x, points.y).float()

    def vectors(self, x: Tensor) -> Tensor:
        return x[:, : self.dim]

    def moved(self, x: Tensor, by: Tensor) -> Tensor:
        return torch.cat([x[:, : self.dim] + by, x[:, self.dim :]], 1)

    def first_layer(self) -> Tensor:
        """As `first_of` finds it; columns of one-hot codes are 0."""
        points = self.draw(4, seed=0)
        weights = effective_weights(*first_of(self.calls(points), points.x, dim=self.dim))[:, : self.dim]
        return weights * self.continuous().to(weights)

    def continuous(self) -> Tensor:
        return continuous_columns(self.module).to(self.module.device)

    def activations(self, points: Points) -> Tensor:
        """Input of the second layer with a matrix or kernels, behind the first one's nonlinearity.

        A layer that is given the same whatever z is, as cGAN's of the label alone, is none of those. What stands beside
        z is the first point's in all: they differ by z, and by the label.
        """
        points = points._replace(
            x=torch.cat([points.x[:, : self.dim], points.x[:1, self.dim :].expand(len(points.x), -1)], 1)
        )
        few = Points(points.x[:4], None if points.y is None else points.y[:4])
        calls, turned = self.calls(few), self.calls(few._replace(x=few.x.flip(0)))
        first, _ = first_of(calls, few.x, dim=self.dim)
        behind = next(i for i, call in enumerate(calls) if call is first) + 1
        second = next(
            (
                i
                for i in range(behind, len(calls))
                if calls[i].net.weight.ndim >= 2
                and calls[i].x.is_floating_point()
                and not calls[i].x.equal(turned[i].x)
            ),
            None,
        )
        if second is None:
            raise EvaluationError(f"{type(self.module).__name__} has one layer only, and no activations behind it")
        parts = [self.calls(part)[second].x[-len(part.x) :].flatten(1).float() for part in self.in_parts(points)]
        return torch.cat(parts)

    @torch.no_grad()
    def calls(self, points: Points) -> list[Call]:
        """What the generator's layers with weights were given, in the order of a pass."""
        seen: list[Call] = []

        def keep(net: Any, inputs: tuple[Any, ...], output: Any) -> None:
            if inputs and isinstance(inputs[0], Tensor):
                seen.append(Call(net, inputs[0]))

        layers = [net for net in self.module.modules() if isinstance(getattr(net, "weight", None), Tensor)]
        hooks = [net.register_forward_hook(keep) for net in layers]
        try:
            self.images(points)
        finally:
            for hook in hooks:
                hook.remove()
        return seen


class StyleSpace(Space):
    """W: one w in all layers, or w+: one for each, [N, layers, w_dim]. Directions are added to all layers."""

    module: Any

    def __init__(self, module: StyleGAN, *, name: Literal["w", "w+"] = "w") -> None:
        super().__init__(module)
        module.needs_styles(f"the space {name}")
        self.name, self.dim = name, module.G_ema.w_average.shape[0]

    def draw(self, n: int, *, seed: int, labels: Tensor | None = None) -> Points:
        w: Tensor = self.module.G_ema.mapping(self.module.draw(n, seed=seed)[0]).float()
        return Points(w if self.name == "w" else every_layer(self.module, w), None)

    def images(self, points: Points) -> Tensor:
        return styled_images(self.module, every_layer(self.module, points.x) if points.x.ndim == 2 else points.x)

    def vectors(self, x: Tensor) -> Tensor:
        return x if x.ndim == 2 else x.mean(1)

    def moved(self, x: Tensor, by: Tensor) -> Tensor:
        return x + (by if x.ndim == 2 else by[:, None])

    def first_layer(self) -> Tensor:
        """The affine maps from w to the styles of all layers, one below the other (SeFA, section 3.2).

        Layers above the resolution that training has reached are not run, and do not count.
        """
        stages = self.module.G_ema.synthesis.stages[: stage_of(self.module.stage.resolution) + 1]
        styles = [net.style for net in stages.modules() if isinstance(getattr(net, "style", None), nn.Module)]
        return torch.cat([style.weight * style.scale for style in styles])

    def activations(self, points: Points) -> Tensor:
        """w itself (GANSpace, section 2.2)."""
        return self.vectors(points.x)


class Call(NamedTuple):
    """Attributes: a layer, and what it was given."""

    net: Any
    x: Tensor


def space_of(module: AdversarialModule, name: Name | None = None) -> Space:
    """The space of that name; None: W where the model has it, else z.

    Raises:
        EvaluationError: a model of points in the plane, or w of one without styles.
    """
    if len(module.image_shape) != 3:
        raise EvaluationError(f"this {type(module).__name__} makes points in the plane, not images")
    styled = isinstance(module, StyleGAN) and module.config >= "C"
    if name is None:
        name = "w" if styled else "z"
    if name == "z":
        return LatentSpace(module)
    if not styled:
        raise EvaluationError(f"this {type(module).__name__} has no space {name}, which is StyleGAN's: take z")
    return StyleSpace(cast(StyleGAN, module), name=name)


def every_layer(module: StyleGAN, w: Tensor) -> Tensor:
    """w [N, w_dim] for each layer, [N, layers, w_dim]."""
    return w[:, None].expand(-1, module.G_ema.synthesis.layers, -1)


def styled_images(module: StyleGAN, w: Tensor) -> Tensor:
    """Images [N, C, R, R] in [-1, 1] of styles [N, layers, w_dim] with the fixed noise."""
    synthesis = module.G_ema.synthesis
    maps = synthesis.noise_maps(len(w), resolution=module.stage.resolution, kind="const")
    return module.full_size(synthesis, w, maps).clamp(-1, 1)


def continuous_columns(module: AdversarialModule) -> Tensor:
    """Which of z's columns are no categories, bool [z_dim]."""
    kinds = [columns.distribution != "one-hot" for columns in module.prior for _ in range(columns.columns)]
    return torch.tensor(kinds[: module.z_dim])


def first_of(calls: list[Call], z: Tensor, *, dim: int) -> tuple[Call, nn.Module | None]:
    """The first layer whose input begins with z, perhaps rescaled, and the BatchNorm right behind it, if any.

    The reference batch of virtual batch normalization, which goes before the others, is passed over.

    Raises:
        EvaluationError: there is no such layer.
    """
    unit = nn.functional.normalize(z[:, :dim].float(), dim=1)
    for i, call in enumerate(calls):
        x = call.x[-len(z) :].flatten(1).float()
        if len(x) != len(z) or x.shape[1] < dim:
            continue
        if torch.allclose(nn.functional.normalize(x[:, :dim], dim=1), unit, atol=1e-4):
            after = calls[i + 1].net if i + 1 < len(calls) else None
            return call, after if isinstance(after, nn.modules.batchnorm._BatchNorm) else None
    raise EvaluationError("no layer of the generator takes z as it is: no closed form is known; take pca")


@torch.no_grad()
def effective_weights(call: Call, norm: Any) -> Tensor:
    """What a layer does to each of its inputs, [outputs, inputs]; a BatchNorm behind it, fixed while sampling, counts.

    Found by feeding the layer one input at a time, so that it may be dense, convolutional, or rescaled at run time.
    """
    inputs = call.x[0].numel()
    basis = torch.eye(inputs, device=call.x.device).view(inputs, *call.x.shape[1:])
    response: Tensor = (call.net(basis) - call.net(torch.zeros_like(basis[:1]))).flatten(1).T  # [outputs, inputs]
    if norm is not None and norm.running_var is not None:
        gain = (norm.running_var + norm.eps).rsqrt() * (1 if norm.weight is None else norm.weight)
        response = (response.view(len(gain), -1, inputs) * gain[:, None, None]).flatten(0, 1)
    return response
