"""A model on the stage: what can be set of it, and the pictures of what is set."""

from __future__ import annotations

import json
from collections.abc import Sequence
from io import BytesIO
from shlex import quote
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.commands.demo.state import CODE, COUNT, LARGEST_SEED, REACH, WAYS, Limits, State
from zoo.commands.directions import find
from zoo.errors import UsageError, ZooError
from zoo.experiments.latents.directions import Directions
from zoo.experiments.latents.space import Points, StyleSpace, space_of
from zoo.experiments.pictures.layout import scale_for
from zoo.models.base.module import AdversarialModule
from zoo.models.infogan import InfoGAN
from zoo.nn.seeds import mix_seed
from zoo.runs.text import encodable

LARGE = 448  # pixels, about, of one image
SAMPLES = 600  # that directions are fitted to: somebody is waiting
SMALL = 64  # images of fewer pixels are enlarged by nearest neighbours


class Scene:
    """Pictures of one model by the state of the controls; one call at a time.

    Args:
        name: of the model, for command lines.
        module: the model, on the CPU.
        labels: names of its classes; without them numbers are shown.

    Raises:
        EvaluationError: a model of points in the plane.
    """

    def __init__(self, name: str, module: AdversarialModule, *, labels: Sequence[str] = ()) -> None:
        self.name, self.module, self.space = name, module, space_of(module)
        self.side = module.image_shape[-1]
        classes = module.num_classes or 0
        names = list(labels) if len(labels) <= classes else []  # of data whose classes it does not tell apart
        self.labels = [*names, *(str(k) for k in range(len(names), classes))]
        layers = self.space.module.G_ema.synthesis.layers if isinstance(self.space, StyleSpace) else 0
        codes: dict[str, int | None] = {}
        if isinstance(module, InfoGAN):
            layout = module.layout
            highest = [layout.categories - 1] * layout.codes + [None] * layout.continuous
            codes = {f"c{i + 1}": high for i, high in enumerate(highest)}
        self.limits = Limits(16 if self.side < 256 else 4, classes, codes, layers)
        self.known: dict[str, Directions] = {}

    def controls(self, by: str) -> dict[str, Any]:
        """What the page lets one set, with the directions that are found in one way, or why none are."""
        _, height, width = self.module.image_shape
        about = (
            f"{type(self.module).__name__}, {height}x{width} {'colour' if self.module.image_shape[0] == 3 else 'grey'}"
        )
        highest = self.limits.codes.items()
        codes = [{"name": name, "categories": None if high is None else high + 1} for name, high in highest]
        found: dict[str, Any] = {"by": by, "space": self.space.name}
        try:
            found["names"] = self.directions(by).names
        except ZooError as error:
            found |= {"names": [], "refused": str(error)}
        return {
            "name": self.name,
            "about": about,
            "samples": self.limits.samples,
            "side": self.side,
            "labels": self.labels,
            "codes": codes,
            "layers": [4 * 2 ** (layer // 2) for layer in range(self.limits.layers)],
            "ways": WAYS,
            "directions": found,
            "largest": {"seed": LARGEST_SEED, "reach": REACH, "code": CODE},
        }

    def directions(self, by: str) -> Directions:
        """Those that are found in one way; the second time they are known."""
        if by not in self.known:
            self.known[by] = find(self.space, by=by, count=COUNT, seed=0, samples=SAMPLES)
        return self.known[by]

    @torch.no_grad()
    def images(self, state: State) -> Tensor:
        """Images [N, C, H, W] in [-1, 1]: all samples, or the one that is shown."""
        n, y = self.limits.samples, None
        if state.label is not None:
            y = torch.full((n,), state.label)
        x, y = self.module.draw(n, labels=y, seed=state.seed)
        chosen = slice(state.show, state.show + 1) if isinstance(state.show, int) else slice(n)
        by = torch.zeros(self.space.dim) if state.show == "grid" else self.moved_by(state)
        if isinstance(self.space, StyleSpace):
            return self.styled(x, state, chosen=chosen, by=by)
        x = self.with_codes(x, state)[chosen]
        return self.space.pictures(Points(self.space.moved(x, by.expand(len(x), -1)), None if y is None else y[chosen]))

    def moved_by(self, state: State) -> Tensor:
        """What the directions add to a latent, [dim].

        Raises:
            UsageError: more of them than there are.
        """
        if not any(state.directions):
            return torch.zeros(self.space.dim)
        found = self.directions(state.by)
        if len(state.directions) > len(found.names):
            raise UsageError(f"there are {len(found.names)} directions by {state.by}, not {len(state.directions)}")
        steps = F.pad(torch.tensor(state.directions), (0, len(found.names) - len(state.directions)))
        return (steps * found.deviations) @ found.vectors

    def with_codes(self, x: Tensor, state: State) -> Tensor:
        """Latents [N, z_dim] with the codes that are set."""
        if not state.codes or not isinstance(self.module, InfoGAN):
            return x
        layout, x = self.module.layout, x.clone()
        for name, value in state.codes.items():
            i = int(name[1:]) - 1
            if i < layout.codes:
                block = x[:, layout.noise + i * layout.categories :][:, : layout.categories]
                block.copy_(F.one_hot(torch.tensor(int(value)), layout.categories))
            else:
                x[:, layout.noise + layout.codes * (layout.categories - 1) + i] = value
        return x

    def styled(self, z: Tensor, state: State, *, chosen: slice, by: Tensor) -> Tensor:
        """Images of a style-based generator, as `images`; the noise is that of `sample` with the same seed."""
        module: Any = self.module
        psi = None if state.psi == 1 else state.psi
        w = module.styles(z, truncation_psi=psi)  # [N, layers, w_dim]
        if state.mix_from is not None or state.show == "second":
            second = module.styles(module.draw(1, seed=state.mix_seed)[0], truncation_psi=psi)
            first = 0 if state.show == "second" else state.mix_from
            w[:, first:] = second[:, first:]
        if state.show == "second":
            return module.render(w[:1], noise="const").clamp(-1, 1)  # type: ignore[no-any-return]
        synthesis, generator = module.G_ema.synthesis, torch.Generator().manual_seed(mix_seed(state.seed, "noise"))
        maps = synthesis.noise_maps(len(z), resolution=module.stage.resolution, generator=generator)
        maps = [None if noise is None else noise[chosen] for noise in maps]
        return module.full_size(synthesis, w[chosen] + by, maps).clamp(-1, 1)  # type: ignore[no-any-return]

    def command(self, state: State) -> str | None:
        """The command line that draws the same, where there is one."""
        if not state.is_plain:
            return None
        words = ["python -m zoo sample", quote(encodable(self.name)), f"-n {self.limits.samples} --seed {state.seed}"]
        words += [] if state.label is None else [f"--labels {state.label}"]
        words += [] if state.psi == 1 else [f"--truncation {state.psi:g}"]
        return " ".join([*words, *([] if state.show == "grid" else ["--files"])])

    def png(self, state: State, text: str) -> bytes:
        """The picture as PNG, which keeps the command line, or else the state as JSON; small images are enlarged.

        Raises:
            EvaluationError: images of nan.
        """
        from PIL import Image
        from PIL.PngImagePlugin import PngInfo
        from torchvision.utils import make_grid

        from zoo.metrics.quantize import to_uint8

        images = self.images(state)
        grid = make_grid(to_uint8(images.cpu()), nrow=round(len(images) ** 0.5), padding=0)
        picture = Image.fromarray(grid.permute(1, 2, 0).numpy())
        if self.side < SMALL:
            times = scale_for(self.side) if state.show == "grid" else max(1, LARGE // self.side)
            picture = picture.resize((picture.width * times, picture.height * times), Image.Resampling.NEAREST)
        kept = PngInfo()
        kept.add_text("model", json.dumps(self.name))
        kept.add_text("zoo demo", self.command(state) or json.dumps(json.loads(text)))
        buffer = BytesIO()
        picture.save(buffer, format="PNG", pnginfo=kept)
        return buffer.getvalue()
