"""Folders of runs as training leaves them, made without training: exact numbers, no torch."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

from zoo.runs.folder import RunDir
from zoo.runs.record import summarise_measures, write_result

START = 1_700_000_000.0
SPEED = 10  # images per second
PROTOCOL = {"dataset": "Digits", "dataset_fingerprint": "a" * 64, "n_fake": 2000, "batchnorm": "running"}


def make_run(
    folder: Path,
    *,
    paper: str = "gan",
    recipe: str = "digits",
    seed: int = 0,
    model: Mapping[str, Any] | None = None,
    values: Mapping[int, float] | None = None,
    protocol: Mapping[str, Any] = PROTOCOL,
    tests: Mapping[str, float] | None = None,
    tested: str = "fd_lenet",
    finished: bool = True,
) -> Path:
    """A run that logged a loss every 100 images and `fd_lenet2k` (lower is better) at the keys of `values`.

    Args:
        folder: of the run.
        paper: in the record only, as training writes it.
        recipe: of the run.
        seed: of the run.
        model: settings.
        values: {images seen: fd_lenet2k}; a grid of that brightness lies beside each.
        protocol: of the measure.
        tests: {checkpoint: value of `test`}.
        tested: name of that value.
        finished: whether there is a record.
    """
    values = {0: 600.0, 200: 50.0, 400: 60.0} if values is None else values
    run = RunDir.create(folder)
    end = max(values)
    rows = [{"images_seen": at, "fd_lenet2k": value, "fd_lenet2k_seed_std": 1.0} for at, value in values.items()]
    rows += [{"images_seen": at, "loss_generator": 1 + at / 1000} for at in range(100, end + 1, 100)]
    rows = [{"time": START + row["images_seen"] / SPEED, **row} for row in sorted(rows, key=lambda r: r["images_seen"])]
    write_rows(run.metrics, rows)
    data = {"class_path": "zoo.data.Digits", "init_args": {"root": str(folder)}}
    config = {"seed_everything": seed, "recipe": recipe, "model": dict(model or {}), "data": data, "wandb": False}
    run.config.write_text(yaml.safe_dump(config))
    for at, value in values.items():
        grid(run.grids / f"images-{at:09d}.png", brightness=int(value) % 256)
    if finished:
        key = f"{sum(map(ord, json.dumps(protocol, sort_keys=True))):012x}"
        content = record(rows, paper=paper, recipe=recipe, seed=seed, protocols={key: protocol})
        for name, value in (tests or {}).items():
            own = {"checkpoint": f"{name}.ckpt", "images_seen": end, "values": {tested: value}}
            content["tests"].append(own | {"protocols": {tested: key}})
        write_result(run, content)
    return folder


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """A metrics.jsonl."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def grid(path: Path, *, brightness: int) -> None:
    """8 x 8 images of 2 x 2 pixels with their borders of 2; the first row is darker by 10."""
    image = Image.new("L", (34, 34), brightness)
    image.paste(max(brightness - 10, 0), (0, 0, 34, 6))
    image.save(path)


def record(
    rows: Sequence[Mapping[str, Any]], *, paper: str, recipe: str, seed: int, protocols: Mapping[str, Any]
) -> dict[str, Any]:
    """A valid result.json of these rows, without figures of `test`."""
    key, images = next(iter(protocols)), rows[-1]["images_seen"]
    return {
        "schema": 1,
        "paper": paper,
        "recipe": recipe,
        "dataset": {"name": "Digits", "fingerprint": "f" * 64, "split": "train", "images": 5000},
        "budget": images,
        "images_seen": images,
        "discriminator_steps": images // 10,
        "generator_steps": images // 10,
        "measures": summarise_measures(rows, {"fd_lenet2k": "lower"}, protocols={"fd_lenet2k": key}),
        "tests": [],
        "protocols": {key: dict(protocol) for key, protocol in protocols.items()},
        "seed": seed,
        "commit": "c" * 40,
        "versions": dict.fromkeys(("python", "torch", "lightning", "torchmetrics", "torchvision", "numpy", "zoo"), "1"),
        "hardware": {"cpu": "abacus", "cores": 1, "memory_gib": None, "gpus": []},
        "precision": "32-true",
        "wall_time_s": images / SPEED,
        "images_per_second": float(SPEED),
        "commands": [["python", f"reproductions/{paper}.py", "fit", "--data_dir", "/home/me/data"]],
        "started": "2025-01-31T12:00:00+00:00",
        "finished": "2025-01-31T12:01:00+00:00",
        "interruptions": 0,
    }
