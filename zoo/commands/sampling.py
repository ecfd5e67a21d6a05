"""Pictures from a trained model alone: samples, ways between latents, codes, mixed styles. No data set, no logger."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.errors import EvaluationError
from zoo.experiments.pictures.grids import save_png
from zoo.models.base.module import AdversarialModule
from zoo.nn.modes import in_eval_mode

if TYPE_CHECKING:
    from zoo.models.infogan import InfoGAN
    from zoo.models.stylegan import StyleGAN


def require_images(module: AdversarialModule) -> None:
    """Raises EvaluationError for a model of points in the plane."""
    if len(module.image_shape) != 3:
        raise EvaluationError(f"this {type(module).__name__} makes points in the plane, not images")


def refuse_truncation(module: AdversarialModule, truncation_psi: float | None) -> None:
    """Raises EvaluationError where a model is told a psi that has no truncation trick; StyleGAN has, from row C on."""
    from zoo.models.stylegan import StyleGAN

    styleless = isinstance(module, StyleGAN) and module.config < "C"
    if truncation_psi is not None and (styleless or not module.has_truncation):
        raise EvaluationError(f"{type(module).__name__} has no truncation trick: leave --truncation out")


def samples(
    module: AdversarialModule,
    n: int,
    *,
    seed: int,
    labels: list[int] | None = None,
    truncation_psi: float | None = None,
) -> Tensor:
    """n images [n, C, H, W] in [-1, 1]; a list of labels is gone through again and again.

    Raises:
        EvaluationError: labels, or truncation, that the model does not have.
    """
    require_images(module)
    refuse_truncation(module, truncation_psi)
    if labels is not None and module.num_classes is None:
        raise EvaluationError(f"this {type(module).__name__} is unconditional: leave --labels out")
    if labels and module.num_classes is not None and not all(0 <= y < module.num_classes for y in labels):
        raise EvaluationError(f"--labels are from 0 to {module.num_classes - 1}, not {labels}")
    try:
        chosen = None if labels is None else torch.tensor(labels)[torch.arange(n) % len(labels)]
        return module.sample(n, labels=chosen, seed=seed, truncation_psi=truncation_psi)
    except ValueError as error:
        raise EvaluationError(str(error).replace("truncation_psi", "--truncation")) from error


@torch.no_grad()
def ways(module: AdversarialModule, *, rows: int, steps: int, seed: int, truncation_psi: float | None = None) -> Tensor:
    """Images on the ways between two latents, a way in each row: [rows, steps, C, H, W] in [-1, 1].

    Conditional models keep a class for each row. StyleGAN goes as its `interpolate` says, the others as `between` does.
    """
    from zoo.models.stylegan import StyleGAN

    require_images(module)
    refuse_truncation(module, truncation_psi)
    generator = torch.Generator().manual_seed(seed)
    a, b = module.latents(rows, generator=generator), module.latents(rows, generator=generator)
    if isinstance(module, StyleGAN):
        a, b = a.to(module.device), b.to(module.device)
        return module.interpolate(a, b, steps=steps, truncation_psi=truncation_psi).cpu()
    z = between(a, b, t=torch.linspace(0, 1, steps), bounded=bounded_columns(module))
    return generated(module, z)


def generated(module: AdversarialModule, z: Tensor) -> Tensor:
    """Images of latents [rows, steps, z_dim], in conditional models a class for each row: [rows, steps, C, H, W]."""
    rows, steps = z.shape[:2]
    labels = None
    if module.num_classes is not None:
        labels = torch.arange(rows).remainder(module.num_classes).repeat_interleave(steps).to(module.device)
    with in_eval_mode(module):
        images = module.some_at_a_time(module.generate, z.flatten(0, 1).to(module.device), labels)
    return images.float().cpu().unflatten(0, (rows, steps))  # type: ignore[no-untyped-call,no-any-return]


@torch.no_grad()
def closed_ways(
    module: AdversarialModule, *, n: int, stops: int, steps: int, seed: int, truncation_psi: float | None = None
) -> Iterator[Tensor]:
    """The frames of n closed ways, each through its own `stops` latents: stops * steps times [n, C, H, W] in [-1, 1].

    The way slows down at each latent. StyleGAN goes as its `interpolate` says, with its fixed noise, the others as
    `between` does; conditional models keep a class for each way.
    """
    from zoo.models.stylegan import StyleGAN

    require_images(module)
    refuse_truncation(module, truncation_psi)
    z = module.latents(n * stops, generator=torch.Generator().manual_seed(seed)).view(stops, n, -1)
    t, bounded = eased(steps), bounded_columns(module)
    for i in range(stops):
        a, b = z[i], z[(i + 1) % stops]
        if isinstance(module, StyleGAN):
            a, b = a.to(module.device), b.to(module.device)
            w = module.styles_between(a, b, t, truncation_psi=truncation_psi)  # [n, steps, layers, w_dim]
            images = (
                module.render(w.flatten(0, 1), noise="const").clamp(-1, 1).cpu().view(n, steps, *module.image_shape)
            )
        else:
            images = generated(module, between(a, b, t=t, bounded=bounded))
        yield from images.unbind(1)


def eased(steps: int) -> Tensor:
    """Times [steps] from 0 on, 1 left out, at rest at both ends: (1 - cos pi t) / 2."""
    return (1 - torch.cos(torch.pi * torch.arange(steps) / steps)) / 2


def bounded_columns(module: AdversarialModule) -> Tensor:
    """Which entries of a latent are bounded (uniform, one-hot), bool [z_dim]: normal ones do pass 2 in 1,000 draws."""
    return module.latents(1000, generator=torch.Generator().manual_seed(0)).abs().amax(0) <= 2


def between(a: Tensor, b: Tensor, *, t: Tensor, bounded: Tensor) -> Tensor:
    """Latents on the way from a (at t = 0) to b (1) [N, z_dim], at the times t [steps]: [N, steps, z_dim].

    Bounded entries go straight, which stays in their range; normal ones on the great circle, at lengths between
    those of the ends: halfway on a straight line a normal latent is shorter than any that G was trained on.
    """
    from zoo.nn.interpolation import lerp, slerp

    t = t[None, :, None]  # [1, steps, 1]
    a, b = a[:, None], b[:, None]
    z = lerp(a, b, t)
    if not bounded.all():
        normal = ~bounded
        length = lerp(a[..., normal].norm(dim=-1, keepdim=True), b[..., normal].norm(dim=-1, keepdim=True), t)
        z[..., normal] = slerp(a[..., normal], b[..., normal], t) * length
    return z


def traversals(module: AdversarialModule, *, rows: int, seed: int) -> dict[str, Tensor]:
    """InfoGAN's codes varied one by one: {"c1": [rows, columns, C, H, W] in [-1, 1], ...}."""
    from zoo.experiments import infogan

    return infogan.traversals(with_codes(module), rows=rows, seed=seed)


def code_loop(module: AdversarialModule, *, rows: int, frames: int, seed: int) -> tuple[list[str], Tensor]:
    """InfoGAN's codes, a column each, varied together and back: names, and [frames, rows, codes, C, H, W]."""
    from zoo.experiments import infogan

    return infogan.code_loop(with_codes(module), rows=rows, frames=frames, seed=seed)


def with_codes(module: AdversarialModule) -> InfoGAN:
    """The module, where it has codes; EvaluationError for the others."""
    from zoo.models.infogan import InfoGAN

    if not isinstance(module, InfoGAN):
        raise EvaluationError(f"{type(module).__name__} has no codes to vary: `zoo traverse` is for InfoGAN")
    return module


def mixed_styles(
    module: AdversarialModule, *, rows: int, columns: int, kind: str, seed: int, truncation_psi: float | None = None
) -> Tensor:
    """StyleGAN's style mixing: [rows + 1, columns + 1, C, H, W] in [-1, 1], sources on top, destinations at the left.

    kind: "coarse", "middle" or "fine", the layers whose style comes from the source.
    """
    from zoo.experiments.stylegan import layers_of, style_mixing

    styled = with_styles(module)
    sources, destinations = range(seed, seed + columns), range(seed + 1000, seed + 1000 + rows)
    layers = [layers_of(styled, kind)] * rows
    return style_mixing(
        styled, sources=sources, destinations=destinations, layers=layers, truncation_psi=truncation_psi
    )


def mixing_loop(
    module: AdversarialModule,
    *,
    rows: int,
    columns: int,
    kind: str,
    seed: int,
    truncation_psi: float | None = None,
    stops: int = 3,
    steps: int = 20,
) -> Iterator[Tensor]:
    """`mixed_styles` with sources on closed ways through `stops` latents, stops * steps frames; the first is its."""
    from zoo.experiments.pictures.growing import latents
    from zoo.experiments.stylegan import layers_of
    from zoo.experiments.stylegan import mixing_loop as loop

    styled = with_styles(module)
    return loop(
        styled,
        sources=[latents(styled, range(seed + i * columns, seed + (i + 1) * columns)) for i in range(stops)],
        destinations=range(seed + 1000, seed + 1000 + rows),
        layers=layers_of(styled, kind),
        t=eased(steps),
        truncation_psi=truncation_psi,
    )


def with_styles(module: AdversarialModule) -> StyleGAN:
    """The module, where it has styles; EvaluationError for the others."""
    from zoo.models.stylegan import StyleGAN

    if not isinstance(module, StyleGAN) or module.config < "C":
        raise EvaluationError(
            f"this {type(module).__name__} has no styles to mix: `zoo mix` is for StyleGAN from row C on"
        )
    return module


def in_rows(images: Tensor) -> Tensor:
    """Images [N, C, H, W] as a square, or two to one, of rows: [rows, columns, C, H, W]; white where none are left."""
    columns = max(1, round(len(images) ** 0.5)) if len(images) < 32 else 2 * round((len(images) / 2) ** 0.5)
    rows = -(-len(images) // columns)
    white = torch.ones(rows * columns - len(images), *images.shape[1:])
    return torch.cat([images, white]).reshape(rows, columns, *images.shape[1:])


def write_grid(images: Tensor, path: Path) -> None:
    """Writes images [rows, columns, C, H, W] as one PNG."""
    save_png(images.flatten(0, 1), path, columns=images.shape[1])


def write_files(images: Tensor, folder: Path) -> None:
    """Writes images [N, C, H, W] as 000000.png, 000001.png, ..."""
    for i, image in enumerate(images):
        save_png(image[None], folder / f"{i:06d}.png")
