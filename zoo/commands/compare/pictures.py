"""The sample grids of the page: all runs at equal images seen, and the same latents through each training."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.commands.compare.comparison import Comparison
from zoo.commands.compare.html import named, section, segments
from zoo.errors import ZooError
from zoo.experiments.pictures.layout import plain

if TYPE_CHECKING:
    from PIL.Image import Image

NEAR = 0.05  # of the images seen: two grids this near stand for the same moment
POSITIONS = 6  # moments at which grids are compared
STRIPS = 10  # rows of same latents
COLUMNS = 8  # of a sample grid (zoo.training.callbacks.SampleGrid), each image with a border of 2 pixels
LARGE = 16_000  # bytes: larger pictures are embedded with loss, mostly at less than half the size


def grids_section(comparison: Comparison) -> str:
    """Grids of all runs at the same number of images seen, and at each run's end.

    It opens at the latest moment after the start that all runs share; where there is none, at each run's end.
    """
    with_grids = [i for i, run in enumerate(comparison.runs) if run.grids]
    if not with_grids:
        return ""
    places = [sorted(comparison.runs[i].grids) for i in with_grids]
    moments = positions(places)
    shown_last = bool(moments) and all(nearest(own, moments[-1]) == own[-1] for own in places)
    choices: list[tuple[str, int | None, str]] = [(str(at), at, f"{at:,} images") for at in moments]
    choices += [] if shown_last else [("end", None, "end of each run")]
    trained = shared([at for at in moments if at > 0], places)
    first = str(trained[-1]) if trained else choices[-1][0]  # the ends come last, whether they share a moment or not
    parts = []
    for value, at, _ in choices:
        shown = "".join(grid_figure(comparison, i, at=at) for i in with_grids)
        hidden = "" if value == first else " hidden"
        parts.append(f'<div class="pictures" data-position="{value}"{hidden}>{shown}</div>')
    title = "Samples at equal images seen" if trained else "Samples"
    text = "The same latents in all pictures of a run. Large pictures are compressed here; those in the runs are not."
    buttons = segments("position", [(value, name) for value, _, name in choices], pressed=first)
    return section(title, text, buttons, *parts)


def grid_figure(comparison: Comparison, i: int, *, at: int | None) -> str:
    """One run's grid at (or near) a moment; None is its end."""
    run, label = comparison.runs[i], comparison.labels[i]
    taken = max(run.grids) if at is None else nearest(sorted(run.grids), at)
    if taken is None:
        other = min(run.grids, key=lambda n: abs(n - (at or 0)))
        body, text = f'<div class="none">no grid here; the next is at {other:,}</div>', ""
    else:
        body = picture(opened(run.grids[taken]), alt=f"samples of {label} at {taken:,} images")
        text = f"<small>{taken:,} images</small>"
    return f'<figure data-of-run="{i}">{body}<figcaption>{named(i, label)}{text}</figcaption></figure>'


def nearest(places: Sequence[int], at: int) -> int | None:
    """The place nearest to `at`, if it is near enough."""
    found = min(places, key=lambda n: abs(n - at))
    return found if abs(found - at) <= NEAR * at else None


def positions(places: Sequence[Sequence[int]]) -> list[int]:
    """Moments at which two runs or more have a grid (of one run, its own moments), rising.

    At most POSITIONS, and the latest that all runs share beside them.
    """
    chosen: list[int] = []
    enough = min(2, len(places))
    for at in sorted({at for own in places for at in own}, key=lambda at: (-having(places, at), -at)):
        if having(places, at) >= enough and all(abs(at - other) > 2 * NEAR * max(at, other) for other in chosen):
            chosen.append(at)
    chosen.sort()
    return sorted({*evenly(chosen, POSITIONS), *shared(chosen, places)[-1:]})


def shared(moments: Sequence[int], places: Sequence[Sequence[int]]) -> list[int]:
    """The moments at which all runs have a grid."""
    return [at for at in moments if having(places, at) == len(places)]


def having(places: Sequence[Sequence[int]], at: int) -> int:
    """How many runs have a grid at a moment."""
    return sum(nearest(own, at) is not None for own in places)


def evenly(items: Sequence[Any], n: int) -> list[Any]:
    """At most n of the items, the first and the last among them."""
    if len(items) <= n:
        return list(items)
    return [items[round(i * (len(items) - 1) / (n - 1))] for i in range(n)]


def latents_section(comparison: Comparison) -> str:
    """The first row of each run's grids, from the start of training to its end."""
    strips = "".join(strip(comparison, i) for i, run in enumerate(comparison.runs) if len(run.grids) > 1)
    text = "One row a checkpoint, images seen beside it."
    body = f'<div class="strips">{strips}</div>'
    return section("The same latents through training", text, body) if strips else ""


def strip(comparison: Comparison, i: int) -> str:
    """One run's rows; pictures that are no grids stand beside each other, whole."""
    grids = comparison.runs[i].grids
    rows, kind = "", "rows"
    for at in evenly(sorted(grids), STRIPS):
        whole = opened(grids[at])
        row = first_row(whole)
        kind = "frames" if row is whole else "rows"
        rows += f"<div><span>{at:,}</span>{picture(row, alt=f'at {at:,} images')}</div>"
    name = named(i, comparison.labels[i])
    return f'<figure data-of-run="{i}"><figcaption>{name}</figcaption><div class="{kind}">{rows}</div></figure>'


def opened(path: Path) -> Image:
    """A picture.

    Raises:
        ZooError: it cannot be read.
    """
    from PIL import Image as images

    try:
        with images.open(path, formats=["PNG"]) as image:
            rgb: Image = plain(image).convert("RGB")
    except Exception as error:  # a damaged file raises nearly anything
        raise ZooError(f"{path} cannot be read as a picture ({error}): remove it, then compare again") from error
    return rgb


def first_row(image: Image) -> Image:
    """The first row of images of a sample grid; anything else (points in the plane) stays whole."""
    width, height = image.size
    if (width - 2) % COLUMNS or (height - 2) % COLUMNS:
        return image
    return image.crop((0, 0, width, (height - 2) // COLUMNS + 2))


def picture(image: Image, *, alt: str) -> str:
    """An image within the page: PNG, of one channel where it is grey; a large one as WebP."""
    red, green, blue = image.split()
    grey = red.tobytes() == green.tobytes() == blue.tobytes()
    image = red if grey else image
    content, kind = encoded(image, "PNG"), "png"
    if len(content) > LARGE:
        content, kind = encoded(image, "WEBP"), "webp"
    address = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
    return f'<img src="{address}" alt="{escape(alt)}" width="{image.width}" height="{image.height}">'


def encoded(image: Image, kind: str) -> bytes:
    """The bytes of a picture's file."""
    buffer = BytesIO()
    image.save(buffer, format=kind, optimize=True, quality=75, method=6)  # each format takes what it knows
    return buffer.getvalue()
