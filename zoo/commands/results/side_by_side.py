"""The released models of a data set in one table: what their cards say of samples, budget and size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.experiments.measures import MEASURES
from zoo.releases.card import CARD_FILE, hardware_of, images_of_training, read_card
from zoo.runs.tables import markdown
from zoo.runs.text import duration, number

DATA = {"mnist": "MNIST", "cifar10": "CIFAR-10", "celeba64": "CelebA at 64x64"}  # by the end of a release's name
#: Beginnings of the names of measures, in the order of the columns. Of SWD, the mean over the levels.
COLUMNS: tuple[str, ...] = ("fd_lenet", "kd_lenet", "fd_efficientnet", "kd_efficientnet", "precision_efficientnet")
COLUMNS += ("recall_efficientnet", "fd_resnet", "precision_resnet", "recall_resnet", "swd")
HEAD, TAIL = "release", ("at the end", "images", "of", "time", "hardware", "numbers in G", "protocol")
TEXT = """
## The releases side by side

What each card says of the weights as they are released; `python -m zoo verify RELEASE --data_dir DIR` computes it
again. Distances and precision are of 10,000 samples against all training images. `at the end` is the first distance as
`test` found it when training ended, where the release is of an earlier checkpoint, after `images` of so many. `numbers
in G` are parameters and statistics of the generator that is sampled from. Protocols differ where BatchNorm is estimated
again, labels are drawn, averaged weights are measured, or the data are made ready in another way (GAN's and cGAN's
50,000 digits, digits with a border, WGAN's bilinear interpolation).
"""


def side_by_side(shipped: Path) -> str:
    """The section of docs/results.md: a table for each data set, a row for each release."""
    cards = [read_card(file.parent) for file in sorted(shipped.glob(f"*/{CARD_FILE}"))]
    parts = [TEXT] if cards else []
    for ending, title in DATA.items():
        if own := [card for card in cards if card["name"].partition(".")[2] == ending]:
            parts.append(f"{title}:\n\n{markdown(*table(own))}")
    return "\n".join(parts)


def table(cards: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Head and rows; a column that no card has a value of is left out."""
    names = list(dict.fromkeys(name for card in cards for name in columns(card)))
    wanted = [name for start in COLUMNS for name in names if name.startswith(start)]
    return (HEAD, *wanted, *TAIL), [row(card, wanted) for card in cards]


def columns(card: Mapping[str, Any]) -> Iterator[str]:
    """Names of the measures of a card that have a column."""
    for name in card["protocols"]:
        if name.startswith(COLUMNS) and (not name.startswith("swd") or name.endswith("_avg")):
            yield name


def row(card: Mapping[str, Any], wanted: Sequence[str]) -> tuple[str, ...]:
    """One release."""
    figures, training = card["figures"], card["training"]
    first = next(name for name in wanted if name in figures)
    last = images_of_training(card)
    ended = training["tests"].get("last", {}).get(first)
    generator = card["files"].get("G_ema", card["files"]["G"])
    return (
        f"[{card['name']}](../zoo/releases/shipped/{card['name']}/README.md)",
        *(shown(figures, name) for name in wanted),
        number(ended, None) if ended is not None and last != training["images_seen"] else "",
        f"{training['images_seen']:,}",
        f"{last:,}",
        duration(training["wall_time_s"]),
        hardware_of(card),
        f"{generator['parameters']:,}",
        card["protocols"][first],
    )


def shown(figures: Mapping[str, float], name: str) -> str:
    """A value of a card with its error; nothing where it has none."""
    return number(figures[name], MEASURES.error(name, figures)) if name in figures else ""
