"""What a fine-tuning run says: at its start what came from the source, at its end how far it got."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from PIL import Image
from torch import Tensor

from zoo.experiments.measures import MEASURES
from zoo.experiments.pictures.captions import captioned, write_picture
from zoo.experiments.pictures.layout import tiles_of
from zoo.models.base.module import AdversarialModule
from zoo.runs.folder import RunDir, write_atomically
from zoo.runs.text import number, say
from zoo.training.callbacks.base import ZooCallback, data_of
from zoo.training.finetune.adapt import Transfer

TRANSFER_FILE = "transfer.json"
SETTINGS = ("init_from", "freeze_d", "lr_scale", "augment")
COLUMNS = 8  # images in a row of the picture before and after
SHOWN = 8  # names of new tensors that are printed


class FinetuneReport(ZooCallback):
    """Prints and keeps what matched; at the end prints distances and writes the grids before and after side by side.

    Args:
        run: the run's folder.
        transfer: what came from the source; None in a resumed run, whose folder holds it already.
        frozen: names of D's frozen tensors.
    """

    def __init__(self, run: RunDir, *, transfer: Transfer | None, frozen: list[str]) -> None:
        self.run = run
        self.transfer = transfer
        self.frozen = frozen
        self.reals: Tensor | None = None
        self.averaged = False

    def begin(self, trainer: Trainer, module: AdversarialModule) -> None:
        if not trainer.is_global_zero:
            return
        self.averaged = module.G_ema is not None
        reals = data_of(trainer).split("train").images
        if len(reals.shape) == 4 and len(reals) >= COLUMNS:
            self.reals = reals[:COLUMNS]
        if self.transfer is not None:
            write_atomically(self.run.path / TRANSFER_FILE, json.dumps(vars(self.transfer), indent=1) + "\n")
            for line in summary(self.transfer):
                say(line)
        if self.frozen:
            say(f"frozen {len(self.frozen)} tensors of D, {self.frozen[0]} to {self.frozen[-1]}")

    def finish(self, measures: Mapping[str, Any], *, monitor: str | None) -> None:
        """After training: the monitored distance (all measures, if none is monitored), and the picture."""
        for name in [monitor] if monitor is not None and monitor in measures else list(measures):
            first, best, last = (measures[name][at] for at in ("first", "best", "last"))
            say(
                f"{name}: {number(first['value'])} before ({first['images_seen']:,} images), {number(best['value'])} "
                f"at best ({best['images_seen']:,}), {number(last['value'])} after ({last['images_seen']:,})"
            )
        shown = monitor if monitor in measures else next(iter(MEASURES.distances(measures)), None)
        points = [] if shown is None else [measures[shown][at] for at in ("first", "last")]
        distances = {point["images_seen"]: f"{shown} {number(point['value'])}" for point in points}
        if self.reals is None:
            return
        if (picture := side_by_side(self.run, self.reals, distances=distances, averaged=self.averaged)) is not None:
            say(f"before, after  {picture}")


def summary(transfer: Transfer) -> list[str]:
    """What became of the source's tensors, in a few lines; the whole lists are in transfer.json."""
    counts = f"{len(transfer.matched)} tensors matched, {len(transfer.adapted)} adapted, {len(transfer.new)} new"
    lines = [f"from {transfer.origin}: {counts}, {len(transfer.unused)} of the source unused"]
    lines += [f"  adapted  {name}: {how}" for name, how in transfer.adapted.items()]
    lines += [f"  new      {name} {shape}" for name, shape in list(transfer.new.items())[:SHOWN]]
    if len(transfer.new) > SHOWN:
        lines.append(f"  new      and {len(transfer.new) - SHOWN} more, see {TRANSFER_FILE}")
    return lines


def side_by_side(run: RunDir, reals: Tensor, *, distances: Mapping[int, str], averaged: bool) -> Path | None:
    """Real images above samples of the same latents before and after, as figures/before_after.png.

    Args:
        run: whose first and last grid are shown; None is returned where it has fewer than two.
        reals: uint8 [N, C, H, W], N >= COLUMNS.
        distances: the distance at an end, in words, by the images seen.
        averaged: whether the samples are of averaged weights.
    """
    grids = run.all_grids()
    if len(grids) < 2:
        return None
    rows, texts = [to_rgb(reals[:COLUMNS])], ["real images"]
    for when, seen in zip(("before", "after"), (min(grids), max(grids)), strict=True):
        with Image.open(grids[seen], formats=("PNG",)) as picture:
            tiles = torch.from_numpy(tiles_of(picture, side=reals.shape[-1], n=2 * COLUMNS))
        tiles = to_rgb(tiles.permute(0, 3, 1, 2))
        rows += [tiles[:COLUMNS], tiles[COLUMNS:]]
        texts += [f"{when}, {seen:,} images seen", distances.get(seen, "")]
    if len({len(row) for row in rows}) > 1:
        return None  # grids of something else than such images
    picture = captioned(
        torch.stack(rows).float() / 127.5 - 1,
        title="The same latents before and after fine-tuning" + " (averaged weights of G)" * averaged,
        rows=texts,
    )
    path = run.figures / "before_after.png"
    write_picture(picture, path)
    return path


def to_rgb(images: Tensor) -> Tensor:
    """uint8 [N, C, H, W] in three channels."""
    return images.expand(-1, 3, -1, -1)


def finetune_record(settings: Mapping[str, Any], run: RunDir) -> dict[str, Any]:
    """{"finetune": its settings and how many tensors came over} for result.json; {} for an ordinary run."""
    chosen = {name: settings[name] for name in SETTINGS}
    if chosen == {"init_from": None, "freeze_d": 0, "lr_scale": 1.0, "augment": None}:
        return {}
    file = run.path / TRANSFER_FILE
    lists = json.loads(file.read_text()) if file.is_file() else {}
    tensors = {name: len(lists[name]) for name in ("matched", "adapted", "new", "unused")} if lists else None
    return {"finetune": {**chosen, "tensors": tensors}}
