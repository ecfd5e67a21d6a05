"""Films: frames with their times as an animated GIF, WebP or PNG, or as an MP4. No torch at import."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from zoo.experiments.pictures.layout import GAP, plain
from zoo.runs.folder import replacing

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

SUFFIXES = (".gif", ".webp", ".apng", ".mp4")
SMALL = 3 * 2**20  # bytes that a film may have where nothing else is said
WIDEST, WIDE = 640, 320  # pixels that the small images of a time-lapse and of a loop are enlarged to, at most
TICK = 20  # milliseconds: times are multiples of it, which a GIF can hold and an MP4 of 50 frames a second shows
STEP, HOLD = 40, 1_200  # milliseconds of a frame that moves, and of the first and the last of a time-lapse
MARGIN, BAR = 6, 3  # pixels around a caption, and of the bar that says how far a training is


class Film(NamedTuple):
    """Attributes: RGB or grey pictures of one size, milliseconds that each is shown."""

    frames: "list[Image]"
    times: list[int]


def write_film(make: Callable[[float], Film], path: Path, *, largest: int = SMALL) -> int:
    """Writes a film in one step, in the format of the file's suffix; returns its bytes.

    Args:
        make: the film, with at most such a share of its images (1: all).
        path: ends in one of SUFFIXES.
        largest: bytes; a film that is larger is made again with fewer images, twice at most.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, sync=False) as temporary:
        share = 1.0
        for _ in range(3):
            encode(make(share), temporary, suffix=path.suffix.lower())
            size = temporary.stat().st_size
            if size <= largest:
                break
            share *= 0.9 * largest / size
    return size


def encode(film: Film, path: Path, *, suffix: str) -> None:
    """Writes a film to `path`, whatever that is called; films but MP4 begin again at their end."""
    if suffix == ".mp4":
        encode_mp4(film, path)
        return
    first, *others = in_palette(film.frames) if suffix == ".gif" else film.frames
    common: dict[str, Any] = {"save_all": True, "append_images": others, "duration": film.times, "loop": 0}
    if suffix == ".gif":
        first.save(path, format="GIF", disposal=1, optimize=False, **common)
    elif suffix == ".webp":
        first.save(path, format="WEBP", lossless=first.mode == "L", quality=80, method=4, **common)
    else:
        first.save(path, format="PNG", **common)


def in_palette(frames: "Sequence[Image]") -> "list[Image]":
    """Grey frames as they are, coloured ones in the same 256 colours, so that none of them flickers; no dither."""
    from PIL import Image

    if frames[0].mode == "L":
        return list(frames)
    some = frames[:: max(1, len(frames) // 8)]
    montage = Image.new("RGB", (frames[0].width, frames[0].height * len(some)))
    for i, frame in enumerate(some):
        montage.paste(frame, (0, i * frame.height))
    colours = montage.quantize(256, method=Image.Quantize.MEDIANCUT)
    return [frame.quantize(palette=colours, dither=Image.Dither.NONE) for frame in frames]


def encode_mp4(film: Film, path: Path) -> None:
    """H.264 in a form that browsers play; sides are made even by a last line of white."""
    import imageio_ffmpeg
    import numpy as np

    height, width = (side + side % 2 for side in film.frames[0].size[::-1])
    writer = imageio_ffmpeg.write_frames(
        str(path),
        (width, height),
        fps=1000 // TICK,
        codec="libx264",
        macro_block_size=2,
        ffmpeg_log_level="error",
        output_params=["-crf", "20", "-movflags", "+faststart", "-f", "mp4"],
        quality=None,
    )
    writer.send(None)
    for frame, time in zip(film.frames, film.times, strict=True):
        pixels = np.full((height, width, 3), 255, np.uint8)
        pixels[: frame.height, : frame.width] = np.asarray(frame.convert("RGB"))
        for _ in range(max(1, time // TICK)):
            writer.send(pixels)
    writer.close()


# --- time-lapse ---


def time_lapse(grids: "dict[int, Image]", *, title: str, share: float = 1.0) -> Film:
    """The sample grids of a training, captioned with the images seen.

    It begins with the last grid: players that show a still, and people who want none to move, see what came out, and
    not noise. Where it begins again, the end and that picture are one: nothing jumps.

    Args:
        grids: as they were written, by images seen.
        title: beside the images seen.
        share: of the images of a grid that are shown, at most.
    """
    end = max(grids)
    order = [end, *sorted(grids)]
    whole = {seen: plain(picture) for seen, picture in grids.items()}
    times = max(1, WIDEST // whole[end].width)  # whatever the share: fewer images make a smaller film
    parts = {seen: first_images(picture, share=share) for seen, picture in whole.items()}
    draw = partial(with_caption, end=end, title=title, times=times)
    pictures = {seen: draw(part, seen=seen) for seen, part in parts.items()}
    return Film(in_one_mode([pictures[seen] for seen in order]), [HOLD, *lapse_times(len(grids))])


def lapse_times(n: int) -> list[int]:
    """Milliseconds of n grids: about six seconds in all, the last fifth ever slower, the last one held."""
    pace = min(400.0, max(60.0, 6_000 / n))
    times = [pace * (1 + max(0.0, (i + 1) / n - 0.8) * 5) for i in range(n)]
    return [*(ticks(time) for time in times[:-1]), HOLD]


def ticks(milliseconds: float) -> int:
    """Rounded to what all formats can show."""
    return max(TICK, round(milliseconds / TICK) * TICK)


def evenly(images: Sequence[int], n: int) -> list[int]:
    """n of the numbers of images seen, the first and the last among them, closer at the start, where most happens."""
    if len(images) <= n:
        return list(images)
    last = len(images) - 1
    return [images[i] for i in sorted({round(last * (k / (n - 1)) ** 1.5) for k in range(n)})]


ROWS = 8  # of images in a sample grid of images


def first_images(picture: "Image", *, share: float) -> "Image":
    """The upper left part of a grid, of so many of its images, at least four; whole where it is no grid of images."""
    down, step = ROWS, (picture.height - GAP) // ROWS
    if share >= 1 or (picture.height - GAP) % ROWS or step <= GAP or (picture.width - GAP) % step:
        return picture
    across = (picture.width - GAP) // step
    side = max(2, math.floor((share * down * across) ** 0.5))
    return picture.crop((0, 0, min(side, across) * step + GAP, min(side, down) * step + GAP))


def with_caption(picture: "Image", *, seen: int, end: int, title: str, times: int) -> "Image":
    """A grid, enlarged so many times, over a bar of the way so far, images seen and, if it fits, the title."""
    from PIL import Image
    from PIL.ImageDraw import Draw

    from zoo.experiments.pictures.captions import LINE, font, width_of

    grid = grey_or_colour(picture)
    grid = grid.resize((grid.width * times, grid.height * times), Image.Resampling.NEAREST)
    text = f"{seen:,} images seen"
    width = max(grid.width, width_of(f"{end:,} images seen") + 2 * MARGIN)
    whole = Image.new(grid.mode, (width, grid.height + BAR + LINE + 2 * MARGIN), "white")
    whole.paste(grid, (0, 0))
    draw = Draw(whole)
    draw.rectangle((0, grid.height, round((width - 1) * seen / max(1, end)), grid.height + BAR - 1), fill="#1f5fa8")
    y = grid.height + BAR + MARGIN + LINE / 2
    draw.text((MARGIN, y), text, fill="black", font=font(), anchor="lm")
    if width_of(f"{end:,} images seen") + width_of(title) + 4 * MARGIN <= width:
        draw.text((width - MARGIN, y), title, fill="#666666", font=font(), anchor="rm")
    return whole


def grey_or_colour(picture: "Image") -> "Image":
    """L where all channels are the same, else RGB."""
    red, green, blue = picture.convert("RGB").split()
    return red if red.tobytes() == green.tobytes() == blue.tobytes() else picture.convert("RGB")


def in_one_mode(frames: "Sequence[Image]") -> "list[Image]":
    """All in colour where one is: a film whose first frame is grey loses the colours of others."""
    mode = "L" if all(frame.mode == "L" for frame in frames) else "RGB"
    return [frame.convert(mode) for frame in frames]


# --- loops ---


def tiled(images: "Tensor", *, columns: int) -> "Image":
    """Images [N, C, H, W] in [-1, 1], row by row on black, each pixel a square of whole pixels."""
    from PIL import Image
    from torchvision.utils import make_grid

    from zoo.metrics.quantize import to_uint8

    grid = make_grid(to_uint8(images.cpu()), nrow=columns, padding=GAP)
    picture = Image.fromarray(grid.permute(1, 2, 0).numpy())
    times = max(1, WIDE // picture.width)
    return picture.resize((picture.width * times, picture.height * times), Image.Resampling.NEAREST)


def loop(frames: "Sequence[Image]", *, time: int = STEP) -> Film:
    """Frames of which the last leads to the first, all shown as long; in grey where none is coloured."""
    return Film(in_one_mode([grey_or_colour(frame) for frame in frames]), [ticks(time)] * len(frames))
