"""Releases as artifacts of W&B: files and card, with the grid and the figures in a W&B run of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zoo.commands.wandb.push import GRID, closed, require_wandb
from zoo.releases.card import CARD_FILE, GRID_FILE, files_of

FOLDER = Path("runs") / "releases"  # where the W&B runs of releases are remembered, and lie while offline
OF_FILES = ("format", "files", "grid", "versions", "protocol_texts", "hyperparameters", "evaluation")


def push_release(name_or_path: str, *, project: str) -> str:
    """Sends a release, its files checked first, as an artifact of type `model`; a second push finds the same W&B run.

    Returns:
        a line that says what was done.

    Raises:
        ReleaseError: no such release, or a damaged one.
        RecordError: W&B is not installed.
    """
    from zoo.releases.find import locate
    from zoo.releases.release import Release
    from zoo.training.mirror import WandbMirror
    from zoo.training.telling import tell_data

    release = Release(locate(name_or_path))
    release.check_files()
    require_wandb()
    card = release.card
    settings = {name: card[name] for name in ("paper", "recipe", "precision", "data", "training")}
    mirror = WandbMirror(
        FOLDER / card["name"],
        project=project,
        name=f"release {card['name']}",
        group=card["paper"],
        tags=["release", card["recipe"]],
        config={**settings, "model": card["hyperparameters"]},
    )
    seen = card["training"]["images_seen"]
    mirror.log_metrics(card["figures"], step=seen)
    mirror.log_image(GRID, release.folder / GRID_FILE, seen)
    tell_data(mirror, card["data"])
    files = {file: release.folder / file for file in (*files_of(card), CARD_FILE)}
    mirror.log_model(card["name"], files, metadata=metadata_of(card), aliases=[card["training"]["checkpoint"]])
    run_id = mirror.experiment.id
    return f"{name_or_path}: {len(files)} files as an artifact to W&B run {run_id}, {closed(mirror)}"


def metadata_of(card: dict[str, Any]) -> dict[str, Any]:
    """What people sort and search by; W&B takes a hundred keys at most, and the whole card is among the files."""
    return {name: value for name, value in card.items() if name not in OF_FILES}
