"""The card of a release: what it is, where it comes from, what it reaches, and the sha256 of each of its files.

No torch at import: names and cards are listed without it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.errors import RecordError, ReleaseError
from zoo.runs import schema
from zoo.runs.folder import write_atomically
from zoo.runs.plain import read_json
from zoo.runs.record import overrides
from zoo.runs.text import number

CARD_FILE, INDEX_FILE, GRID_FILE = "card.json", "index.json", "grid.png"
NETWORKS = ("G", "G_ema", "D")
PRECISIONS = ("float32", "float16", "int8", "int4")
FORMAT = 1
BATCHNORM = {
    "reestimated": "estimated again from samples",
    "batch": "those of each batch",
}  # of an evaluation, in words
NAME = re.compile(r"[a-z0-9_]+\.[a-z0-9_]+")


def _network(field: str, value: Any) -> None:
    schema.require(value in NETWORKS, field=field, wants=f"one of {', '.join(NETWORKS)}", value=value)


def _precision(field: str, value: Any) -> None:
    schema.require(value in PRECISIONS, field=field, wants=f"one of {', '.join(PRECISIONS)}", value=value)


def _sha256(field: str, value: Any) -> None:
    fits = isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value) is not None
    schema.require(fits, field=field, wants="64 hexadecimal digits", value=value)


def _name(field: str, value: Any) -> None:
    fits = isinstance(value, str) and NAME.fullmatch(value) is not None
    schema.require(fits, field=field, wants="PAPER.RECIPE, like dcgan.mnist", value=value)


def _format(field: str, value: Any) -> None:
    schema.require(
        value == FORMAT, field=field, wants=f"{FORMAT} (this zoo's; another needs another version)", value=value
    )


def _grid_images(field: str, value: Any) -> None:
    schema.require(type(value) is int and 0 < value <= 4096, field=field, wants="from 1 to 4096", value=value)


_FILE = {"sha256": _sha256, "bytes": schema.count, "parameters": schema.count}
_POINT = {"value": schema.or_null(schema.number), "images_seen": schema.count}

CARD_SCHEMA: dict[str, Any] = {
    "format": _format,
    "name": _name,
    "paper": schema.text,
    "recipe": schema.text,
    "summary": schema.text,  # of the recipe: the paper's experiment, or an extension
    "hyperparameters": schema.json_object,  # constructor arguments
    "image_shape": schema.list_of(schema.count),  # (C, H, W)
    "files": schema.map_of(_FILE),  # by network: G, D, G_ema where the paper averages
    "precision": _precision,
    "rounding": {"largest": schema.amount, "mean": schema.amount},  # grey levels, released against trained weights
    "grid": {"sha256": _sha256, "images": _grid_images, "seed": schema.count},
    "data": {
        "class": schema.text,
        "arguments": schema.json_object,
        "name": schema.text,
        "fingerprint": schema.text,
        "images": schema.count,
        "licence": schema.text,
    },
    "training": {
        "checkpoint": schema.text,
        "images_seen": schema.count,
        "discriminator_steps": schema.count,
        "generator_steps": schema.count,
        "wall_time_s": schema.amount,
        "hardware": schema.text,
        "precision": schema.text,
        "seed": schema.integer,
        "commit": schema.or_null(schema.commit),
        "commands": schema.list_of(schema.list_of(schema.string)),
        "measures": schema.map_of({"best": _POINT, "last": _POINT}),  # taken while training, on fewer samples
        "tests": schema.map_of(schema.map_of(schema.number)),  # the run's own figures at "best" and at "last"
    },
    "evaluation": schema.json_object,  # the settings that the figures were taken with
    "figures": schema.map_of(schema.number),  # of these files
    "protocols": schema.map_of(schema.text),  # figure -> hash
    "protocol_texts": schema.map_of(schema.json_object),  # hash -> protocol
    "versions": schema.map_of(schema.text),
}
OPTIONAL: dict[str, Any] = {
    "statistics": schema.text,  # hash of the protocol whose statistics of BatchNorm these files hold
}


def read_card(folder: Path) -> dict[str, Any]:
    """The card in a release's folder.

    Raises:
        ReleaseError: absent, no JSON, or a field that is missing, unknown or wrong.
    """
    path = folder / CARD_FILE
    try:
        card = read_json(path)
    except FileNotFoundError as error:
        raise ReleaseError(f"{folder} is no release: it has no {CARD_FILE}; `zoo export RUN` makes releases") from error
    except RecordError as error:
        raise ReleaseError(f"{error}: fetch or export the release again") from error
    check_card(card, path)
    return dict(card)


def origin_of(card: Mapping[str, Any]) -> dict[str, Any]:
    """What tells a run from others, by its card: the seed, the fingerprint of the data, and the first command."""
    training = card["training"]
    return {"seed": training["seed"], "data": card["data"]["fingerprint"], "settings": training["commands"][:1]}


def refuse_to_replace(folder: Path, origin: Mapping[str, Any]) -> None:
    """Raises ReleaseError if what a release would replace is of another run, or no release.

    Of the same run, trained further or at another checkpoint, a release replaces its earlier one; a damaged one gives
    way to any.

    Args:
        folder: of the new release.
        origin: of its run, as `origin_of` has it of a card.
    """
    elsewhere = "give this one a --name, or another --out"
    if folder.exists() and not (folder / CARD_FILE).is_file():
        raise ReleaseError(f"{folder} is there already, and is no release: {elsewhere}")
    try:
        before = origin_of(read_card(folder))
    except ReleaseError:
        return
    if other := [what for what, value in origin.items() if before[what] != value]:
        raise ReleaseError(f"{folder} is the release of another run (of other {' and '.join(other)}): {elsewhere}")


def check_card(card: Any, path: Path) -> None:
    """Raises ReleaseError naming the field that is missing, unknown or wrong."""
    try:
        if isinstance(card, dict) and "format" in card:
            _format("format", card["format"])  # first: another format has other fields
        named = isinstance(card, dict) and isinstance(card.get("data"), dict) and "class_names" in card["data"]
        data = CARD_SCHEMA["data"] | ({"class_names": schema.list_of(schema.text)} if named else {})
        own = {key: check for key, check in OPTIONAL.items() if isinstance(card, dict) and key in card}
        schema.check("", card, schema=CARD_SCHEMA | {"data": data} | own)
        for network in card["files"]:
            _network(f"files.{network}", network)
        schema.require(
            {"G", "D"} <= card["files"].keys(), field="files", wants="G and D at least", value=[*card["files"]]
        )
        for figure, key in card["protocols"].items():
            known = card["protocol_texts"]
            schema.require(key in known, field=f"protocols.{figure}", wants="among protocol_texts", value=key)
            schema.require(figure in card["figures"], field="protocols", wants="of the card's figures", value=figure)
        if "statistics" in card:
            value, known = card["statistics"], card["protocol_texts"]
            schema.require(value in known, field="statistics", wants="among protocol_texts", value=value)
            text = known[value]
            numbers = [text.get(name) for name in ("batchnorm_samples", "block", "seed")]
            fits = all(type(number) is int for number in numbers) and numbers[0] >= numbers[1] > 0
            wants = "with batchnorm_samples, block (of so many samples at most) and seed"
            schema.require(fits, field=f"protocol_texts.{value}", wants=wants, value=text)
    except RecordError as error:
        raise ReleaseError(f"{path}: {error}") from error


def write_card(folder: Path, card: dict[str, Any]) -> None:
    """Writes the card in one step, checked first."""
    check_card(card, folder / CARD_FILE)
    write_atomically(folder / CARD_FILE, json.dumps(card, indent=1, allow_nan=False) + "\n")


def files_of(card: dict[str, Any]) -> dict[str, str]:
    """{file: sha256} of all that a card describes."""
    files = {f"{network}.safetensors": entry["sha256"] for network, entry in card["files"].items()}
    return files | {GRID_FILE: card["grid"]["sha256"]}


def described(card: Mapping[str, Any]) -> str:
    """What was trained: the line of its recipe, and settings that are not the recipe's, for which it need not hold."""
    own = overrides(card["training"], leave_out=("--trainer.precision", "--matmul_precision")).strip()
    return f"{card['summary']}; this one with other settings: `{own}`" if own else str(card["summary"])


def images_of_training(card: Mapping[str, Any]) -> int:
    """Images seen when training ended; a release of its best checkpoint has seen fewer."""
    training = card["training"]
    return int(max([training["images_seen"], *(m["last"]["images_seen"] for m in training["measures"].values())]))


def hardware_of(card: Mapping[str, Any]) -> str:
    """What it was trained on; early cards say "1 cores of"."""
    return re.sub(r"^1 cores ", "1 core ", card["training"]["hardware"])


def batchnorm_of(card: Mapping[str, Any]) -> str | None:
    """Which statistics G's BatchNorm had for the figures, in words; None where those that `sample` takes."""
    if "statistics" in card:
        return None
    texts = (card["protocol_texts"][key] for key in card["protocols"].values())
    modes = (str(text.get("batchnorm")).partition("(")[0].strip() for text in texts)
    return next((BATCHNORM[mode] for mode in modes if mode in BATCHNORM), None)


def figures_line(card: Mapping[str, Any]) -> str:
    """The figures in one line."""
    return ", ".join(f"{key} {number(card['figures'][key])}" for key in card["protocols"])
