"""StyleGAN's sampling: truncation (appendix B), noise, style mixing (figure 3), interpolation.

Everything here is with the averaged weights unless ema=False, and at the resolution that training has reached.
"""

from collections.abc import Container
from functools import partial
from typing import Literal, cast

import torch
from torch import Tensor, nn

from zoo.models.base.growing import GrowingModule
from zoo.models.networks.stylegan import Config, Noise, NoiseMaps, StyleGenerator, Synthesis
from zoo.nn.interpolation import slerp
from zoo.nn.layers import upscale2d
from zoo.nn.modes import in_eval_mode
from zoo.nn.seeds import mix_seed

PIXELS_AT_A_TIME = 2**23  # of one map, when sampling: 8 images of 1024x1024, 8,192 of 32x32


class StyleSampling(GrowingModule):
    """What a style-based generator can be asked for, whatever it was trained with (see zoo.models.stylegan.StyleGAN).

    Attributes:
        G: the generator being trained.
        G_ema: its average.
        config: row of table 1.
        truncation_cutoff: number of layers, from 4x4, that truncation acts on.
    """

    G: StyleGenerator
    G_ema: StyleGenerator
    config: Config
    truncation_cutoff: int
    has_truncation = True

    @torch.no_grad()
    def styles(
        self,
        z: Tensor,
        *,
        truncation_psi: float | Tensor | None = None,
        truncation_cutoff: int | None = None,
        ema: bool = True,
    ) -> Tensor:
        """z [N, z_dim] to one w in all layers, [N, layers, w_dim], truncated (appendix B): w_avg + psi (w - w_avg).

        Args:
            z: latents.
            truncation_psi: psi; None does not truncate.
            truncation_cutoff: number of layers, from 4x4, that are truncated; None takes the model's.
            ema: use the averaged weights.

        Raises:
            ValueError: truncation in rows A and B, which have no styles.
        """
        G = self.G_ema if ema else self.G
        with in_eval_mode(self):
            w: Tensor = G.mapping(z).to(G.w_average.dtype)[:, None].repeat(1, G.synthesis.layers, 1)
        if truncation_psi is not None:
            self.needs_styles("truncation_psi")
            cutoff = self.truncation_cutoff if truncation_cutoff is None else truncation_cutoff
            w[:, :cutoff] = torch.lerp(G.w_average, w[:, :cutoff], truncation_psi)
        return w

    @torch.no_grad()
    def render(
        self,
        w: Tensor,
        *,
        noise: Noise = "random",
        noise_layers: Container[int] | None = None,
        seed: int | None = None,
        ema: bool = True,
    ) -> Tensor:
        """Styles [N, layers, w_dim] to float32 images [N, C, R, R], not cut off at -1 and 1.

        Args:
            w: a style for each layer.
            noise: "random" for each image, "const" the fixed maps, "none".
            noise_layers: numbers of the layers that get noise; None: all.
            seed: of random noise; None draws from torch's global generator.
            ema: use the averaged weights.
        """
        synthesis, resolution = (self.G_ema if ema else self.G).synthesis, self.stage.resolution
        generator = None if seed is None else torch.Generator().manual_seed(mix_seed(seed, "noise"))
        blocks = []
        with in_eval_mode(self):
            for block in torch.split(w, max(1, PIXELS_AT_A_TIME // resolution**2)):
                maps = synthesis.noise_maps(
                    len(block), resolution=resolution, kind=noise, layers=noise_layers, generator=generator
                )
                blocks.append(self.full_size(synthesis, block, maps))
        return torch.cat(blocks)

    def full_size(self, synthesis: Synthesis, w: Tensor, noise: NoiseMaps) -> Tensor:
        """Images [N, C, R, R] of styles [N, layers, w_dim] at the stage at hand, enlarged by nearest neighbours."""
        w, resolution = w.to(self.dtype_G), self.stage.resolution
        images: Tensor = synthesis(w, noise, resolution=resolution, alpha=self.stage.alpha).float()
        while images.shape[3] < self.growth.final:
            images = upscale2d(images)
        return images

    def synthesise(self, G: nn.Module, z: Tensor, y: Tensor | None) -> Tensor:
        """Images [N, C, r, r] of `G` or `G_ema` with one style and random noise."""
        maps = cast(StyleGenerator, G).synthesis.noise_maps(len(z), resolution=self.stage.resolution)
        images: Tensor = G(z, maps, resolution=self.stage.resolution, alpha=self.stage.alpha)
        return images

    def images_from(
        self,
        z: Tensor,
        *,
        truncation_psi: float | None = None,
        truncation_cutoff: int | None = None,
        noise: Noise = "random",
        noise_layers: Container[int] | None = None,
        seed: int | None = None,
        ema: bool = True,
    ) -> Tensor:
        """Images [N, C, R, R] in [-1, 1] of latents z [N, z_dim]; arguments as for `styles` and `render`."""
        w = self.styles(z, truncation_psi=truncation_psi, truncation_cutoff=truncation_cutoff, ema=ema)
        images = self.render(w, noise=noise, noise_layers=noise_layers, seed=seed, ema=ema)
        return images.clamp(-1, 1)

    def images_of(
        self, z: Tensor, y: Tensor | None, *, seed: int | None, truncation_psi: float | None, ema: bool
    ) -> Tensor:
        return self.images_from(z, seed=seed, truncation_psi=truncation_psi, ema=ema)

    def style_mix(
        self,
        rows: Tensor,
        columns: Tensor,
        layers: Container[int],
        *,
        truncation_psi: float | None = None,
        noise: Noise = "const",
        ema: bool = True,
    ) -> Tensor:
        """Figure 3: image (i, j) has the styles of rows[i], but those of columns[j] in `layers`.

        Args:
            rows: latents [I, z_dim], the destinations.
            columns: latents [J, z_dim], the sources.
            layers: numbers of the synthesis layers, counted from 0; 2k and 2k + 1 are those of 4 * 2^k pixels.
            truncation_psi: as for `sample`.
            noise: see `render`.
            ema: use the averaged weights.

        Returns:
            [I, J, C, R, R] in [-1, 1].
        """
        self.needs_styles("style mixing")
        w_rows, w_columns = (self.styles(z, truncation_psi=truncation_psi, ema=ema) for z in (rows, columns))
        chosen = torch.tensor([layer in layers for layer in range(w_rows.shape[1])], device=w_rows.device)
        w = torch.where(chosen[:, None], w_columns[None], w_rows[:, None])  # [I, J, layers, w_dim]
        images = self.render(w.flatten(0, 1), noise=noise, ema=ema).clamp(-1, 1)
        return images.unflatten(0, (len(rows), len(columns)))  # type: ignore[no-any-return, no-untyped-call]

    def interpolate(
        self,
        a: Tensor,
        b: Tensor,
        *,
        steps: int,
        space: Literal["w", "z"] = "w",
        truncation_psi: float | None = None,
        noise: Noise = "const",
        ema: bool = True,
    ) -> Tensor:
        """Images on the way from a to b, both ends included: a line in W, a great circle in Z (section 4.1).

        Without mapping layers w is the normalised z, and the way a great circle in either.

        Args:
            a: latents [N, z_dim].
            b: latents [N, z_dim].
            steps: images on each way.
            space: where the way is straight.
            truncation_psi: as for `sample`.
            noise: see `render`.
            ema: use the averaged weights.

        Returns:
            [N, steps, C, R, R] in [-1, 1].
        """
        t = torch.linspace(0, 1, steps)
        w = self.styles_between(a, b, t, space=space, truncation_psi=truncation_psi, ema=ema)
        images = self.render(w.flatten(0, 1), noise=noise, ema=ema).clamp(-1, 1)
        return images.unflatten(0, (len(a), steps))  # type: ignore[no-any-return, no-untyped-call]

    @torch.no_grad()
    def styles_between(
        self,
        a: Tensor,
        b: Tensor,
        t: Tensor,
        *,
        space: Literal["w", "z"] = "w",
        truncation_psi: float | None = None,
        ema: bool = True,
    ) -> Tensor:
        """Styles on the way of `interpolate`.

        Args:
            a: latents [N, z_dim].
            b: latents [N, z_dim].
            t: times [steps] in [0, 1]: 0 at a and 1 at b.
            space: where the way is straight.
            truncation_psi: as for `sample`.
            ema: use the averaged weights.

        Returns:
            [N, steps, layers, w_dim].
        """
        styles = partial(self.styles, truncation_psi=truncation_psi, ema=ema)
        t = t.to(a)[:, None]  # [steps, 1]
        if space == "w" and self.has_mapping:
            return torch.lerp(styles(a)[:, None], styles(b)[:, None], t[..., None])
        z = slerp(a[:, None], b[:, None], t)  # [N, steps, z_dim]
        return styles(z.flatten(0, 1)).unflatten(0, z.shape[:2])  # type: ignore[no-any-return, no-untyped-call]

    @property
    def has_mapping(self) -> bool:
        """Whether w is anything else than the normalised z."""
        return len(self.G.mapping) > 1

    def needs_styles(self, what: str) -> None:
        """Raises ValueError in rows A and B."""
        if self.config < "C":
            raise ValueError(f"{what} needs styles, and row {self.config} of table 1 has none: take config C to F")
