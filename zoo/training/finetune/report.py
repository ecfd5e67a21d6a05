"""What a fine-tuning run says: at its start what came from the source, at its end how far it got."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Trainer
from PIL import Image

from zoo.experiments.pictures.captions import captioned, write_picture
from zoo.models.base.module import AdversarialModule
from zoo.runs.folder import RunDir, write_atomically
from zoo.runs.text import number, say
from zoo.training.callbacks.base import ZooCallback
from zoo.training.finetune.adapt import Transfer

TRANSFER_FILE = "transfer.json"
SETTINGS = ("init_from", "freeze_d", "lr_scale", "augment")
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

    def begin(self, trainer: Trainer, module: AdversarialModule) -> None:
        if not trainer.is_global_zero:
            return
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
        if (picture := side_by_side(self.run)) is not None:
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


def side_by_side(run: RunDir) -> Path | None:
    """The run's first and last grid in figures/before_after.png, each below what it is; None with fewer than two."""
    grids = run.all_grids()
    if len(grids) < 2:
        return None
    seen = min(grids), max(grids)
    pixels = [np.array(Image.open(grids[n]).convert("RGB")) for n in seen]  # [H, W, 3] each
    images = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2)[None] / 127.5 - 1
    picture = captioned(
        images,
        title="The same latents before and after fine-tuning",
        columns=[f"{when}: {n:,} real images seen" for when, n in zip(("before", "after"), seen, strict=True)],
    )
    path = run.figures / "before_after.png"
    write_picture(picture, path)
    return path


def finetune_record(settings: Mapping[str, Any], run: RunDir) -> dict[str, Any]:
    """{"finetune": its settings and how many tensors came over} for result.json; {} for an ordinary run."""
    chosen = {name: settings[name] for name in SETTINGS}
    if chosen == {"init_from": None, "freeze_d": 0, "lr_scale": 1.0, "augment": None}:
        return {}
    file = run.path / TRANSFER_FILE
    lists = json.loads(file.read_text()) if file.is_file() else {}
    tensors = {name: len(lists[name]) for name in ("matched", "adapted", "new", "unused")} if lists else None
    return {"finetune": {**chosen, "tensors": tensors}}
