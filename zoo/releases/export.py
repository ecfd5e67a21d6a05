"""`zoo export`: a run's checkpoint as a release, in one step; or a release in fewer bits."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from zoo.data import DATASETS
from zoo.errors import ReleaseError, UsageError
from zoo.metrics.features import sha256_of
from zoo.models.base.module import AdversarialModule
from zoo.models.base.state import COUNTERS
from zoo.models.trained import FinishedRun
from zoo.releases.card import (
    CARD_SCHEMA,
    FORMAT,
    GRID_FILE,
    NAME,
    NETWORKS,
    OPTIONAL,
    PRECISIONS,
    origin_of,
    refuse_to_replace,
    write_card,
)
from zoo.releases.claims import (
    GRID_IMAGES,
    GRID_SEED,
    draw_grid,
    grey_levels,
    measure,
    open_data,
    settings_of,
)
from zoo.releases.figures import figures_entry, figures_of, recorded_figures
from zoo.releases.find import add_to_index, one_at_a_time, own_address
from zoo.releases.precision import pack, unpack
from zoo.releases.readme import README_FILE, readme_of
from zoo.releases.release import Release
from zoo.releases.statistics import hold_statistics, protocol_of
from zoo.releases.weights import licence_of_run
from zoo.runs.command_lines import without_folders
from zoo.runs.environment import describe_versions
from zoo.runs.folder import DAY_S, moved_aside, sweep, temporary_name, write_atomically
from zoo.runs.record import hardware
from zoo.runs.tensors import write_tensors

EXACT = {"largest": 0.0, "mean": 0.0}  # weights that were not rounded
MEAN_GREY_LEVELS = 1.0  # rounding that changes images by more, on average, is refused


def export(
    run: FinishedRun,
    out: Path,
    *,
    checkpoint: str = "last",
    name: str | None = None,
    precision: str,
    summary: str | None = None,
    figures: Literal["measure", "record"] = "measure",
) -> Path:
    """Writes the release of a finished run into `out`, and lists it in `out`'s index.

    The figures in its card are of the weights as released, after rounding.

    Args:
        run: a finished run.
        out: folder of releases.
        checkpoint: "last" or "best".
        name: of the release; None makes PAPER.RECIPE.
        precision: "float32", "float16", "int8" or "int4", see `zoo.releases.precision`.
        summary: a line that says what was trained; None takes the recipe's name.
        figures: "measure" takes them now, of the rounded weights; "record" takes over those of the run's own `test` at
            this checkpoint, which are of the weights as trained: these are not rounded then.

    Returns:
        the release's folder.

    Raises:
        ReleaseError: rounding that changes the images, data that is not of this zoo, or a name that `out` has already.
        RecordError: the run was not finished.
        UsageError: figures of the record for rounded weights, or where the record has none of this checkpoint.
    """
    record, module = run.record, run.module(checkpoint)
    recorded = recorded_figures(run, checkpoint, precision=precision) if figures == "record" else None
    name = fit_name(name or f"{record['paper']}.{record['recipe']}")
    fields = {
        "paper": record["paper"],
        "recipe": record["recipe"],
        "summary": summary or record["recipe"],
        "data": data_entry(run),
        "training": training_entry(record, module, checkpoint),
    }
    refuse_to_replace(out / name, origin_of(fields))
    return write_release(
        module, out, name=name, precision=precision, fields=lambda: fields | (recorded or figures_entry(run, module))
    )


def fit_name(name: str) -> str:
    """The name, if a release can have it; ReleaseError otherwise."""
    if NAME.fullmatch(name) is None:
        raise ReleaseError(f"{name!r} cannot name a release: PAPER.RECIPE in lower case, like dcgan.mnist")
    return name


def write_release(
    module: AdversarialModule,
    out: Path,
    *,
    name: str,
    precision: str,
    fields: Callable[[], dict[str, Any]],
    before: Mapping[str, float] = EXACT,
) -> Path:
    """Rounds a module's weights, in place, and writes and lists the release.

    G's BatchNorm gets the statistics that the figures were taken with, so that the release gives the images that were
    measured.

    Args:
        module: whose weights are released.
        out: folder of releases.
        name: of the release.
        precision: see `zoo.releases.precision`.
        fields: gives the rest of the card once the weights are rounded.
        before: what an earlier rounding has changed already, as the card says it.

    Raises:
        ReleaseError: rounding that changes the images, or weights that are too large for these bits.
    """
    trained = module.sample(GRID_IMAGES, seed=GRID_SEED)
    files = {network: pack(part, precision) for network, part in by_network(module).items()}
    rounded = {key: value for part in files.values() for key, value in unpack(part).items()}
    if large := [key for key, value in rounded.items() if value.is_floating_point() and not value.isfinite().all()]:
        raise ReleaseError(f"--precision {precision} cannot hold {large[0]}, which is too large: use float32")
    module.load_state_dict(module.state_dict() | rounded)
    largest, mean = grey_levels(trained, module.sample(GRID_IMAGES, seed=GRID_SEED))
    rounding = {"largest": before["largest"] + largest, "mean": round(before["mean"] + mean, 4)}
    if rounding["mean"] > MEAN_GREY_LEVELS:
        raise ReleaseError(
            f"--precision {precision} changes the images of {name} by {rounding['mean']:.2f} grey levels on average "
            f"(at most {MEAN_GREY_LEVELS:g}): use more bits (float16, float32)"
        )
    told = fields()
    key = protocol_of(told)
    if key and (held := hold_statistics(module, told["protocol_texts"][key])):  # none of a G without BatchNorm
        told["statistics"] = key
        for entry, value in held.items():
            files[network_of(entry)][entry] = value
    out.mkdir(parents=True, exist_ok=True)
    sweep(out, older_s=DAY_S)
    part = temporary_name(out / f".{name}")
    try:
        part.mkdir()
        part.chmod(0o755)
        entries = write_files(files, part)
        draw_grid(module, part / GRID_FILE)
        card = {
            "format": FORMAT,
            "name": name,
            "hyperparameters": constructor_arguments(module),
            "image_shape": list(module.image_shape),
            "files": entries,
            "precision": precision,
            "rounding": rounding,
            "grid": {"sha256": sha256_of(part / GRID_FILE), "images": GRID_IMAGES, "seed": GRID_SEED},
            **told,
            "versions": describe_versions(),
        }
        card = {key: card[key] for key in (*CARD_SCHEMA, *OPTIONAL) if key in card}  # in this order
        write_card(part, card)
        text = readme_of(card, type(module).reference, address=own_address(out / name))
        write_atomically(part / README_FILE, text)
        with one_at_a_time(out), moved_aside(out / name):
            part.rename(out / name)
            add_to_index(out, name)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return out / name


def repack(release: Release, out: Path, *, name: str | None, precision: str, data_dir: str | None) -> Path:
    """The release of another release's weights, in fewer bits; its figures are taken again, of the rounded weights.

    Args:
        release: whose weights are rounded once more.
        out: folder of releases.
        name: of the new one; None takes its own.
        precision: fewer bits than it has.
        data_dir: where its data set lies; None takes ZOO_DATA, else ./data.

    Raises:
        UsageError: no fewer bits, or a place where it would replace the release that it is made of.
        ReleaseError: rounding that changes the images, other data than the card's, or a name that `out` has for the
            release of another run, or for anything else.
        DataNotFoundError: the data set does not lie there.
    """
    card, module = release.card, release.module()
    if PRECISIONS.index(precision) <= PRECISIONS.index(card["precision"]):
        raise UsageError(f"{card['name']} has {card['precision']} weights: --precision {precision} is no fewer bits")
    name = fit_name(name or card["name"])
    if (out / name).resolve() == release.folder.resolve():
        raise UsageError(f"{out / name} is the release itself, and would be lost: name another --out, or a --name")
    refuse_to_replace(out / name, origin_of(card))
    data = open_data(card["data"], data_dir)

    def fields() -> dict[str, Any]:
        kept = {key: card[key] for key in ("paper", "recipe", "summary", "data", "training", "evaluation")}
        return kept | figures_of(measure(module, data, settings_of(card["evaluation"])))

    return write_release(module, out, name=name, precision=precision, fields=fields, before=card["rounding"])


def by_network(module: AdversarialModule) -> dict[str, dict[str, Tensor]]:
    """The state_dict in parts, a file each; what belongs to no network (a scale of the images) goes with G."""
    parts: dict[str, dict[str, Tensor]] = {}
    for key, value in module.state_dict().items():
        if key not in COUNTERS:
            parts.setdefault(network_of(key), {})[key] = value
    return parts


def network_of(key: str) -> str:
    """The network that an entry of the state_dict belongs to."""
    network = key.split(".")[0]
    return network if network in NETWORKS else "G"


def write_files(files: dict[str, dict[str, Tensor]], folder: Path) -> dict[str, dict[str, Any]]:
    """Writes the weights files; returns the card's entries."""
    entries = {}
    for network, tensors in files.items():
        path = folder / f"{network}.safetensors"
        write_tensors(path, tensors)
        parameters = sum(value.numel() for value in unpack(tensors).values())
        entries[network] = {"sha256": sha256_of(path), "bytes": path.stat().st_size, "parameters": parameters}
    return entries


def constructor_arguments(module: AdversarialModule) -> dict[str, Any]:
    """The hyperparameters as plain types."""
    return {name: value for name, value in dict(module.hparams).items() if not name.startswith("_")}


def data_entry(run: FinishedRun) -> dict[str, Any]:
    """What the card says of the data, without the folder in which it lay."""
    data, settings = run.data, run.data_settings
    kind = str(settings["class_path"]).rpartition(".")[2]
    if kind not in DATASETS:
        raise ReleaseError(f"a release is of a data set of images ({', '.join(DATASETS)}), not of {kind}")
    train = data.split("train")
    names = list(train.class_names or [])
    return {
        **({} if names == [str(k) for k in range(len(names))] else {"class_names": names}),
        "class": kind,
        "arguments": {key: value for key, value in settings["init_args"].items() if key != "root"},
        "name": data.name,
        "fingerprint": train.fingerprint,
        "images": len(train.images),
        "licence": licence_of_run(run),
    }


def training_entry(record: dict[str, Any], module: AdversarialModule, checkpoint: str) -> dict[str, Any]:
    """What the card says of the training; counters are of the checkpoint."""
    tests = {test["checkpoint"].removesuffix(".ckpt"): test["values"] for test in record["tests"]}
    return {
        "checkpoint": checkpoint,
        **{name: getattr(module, name) for name in COUNTERS},
        "wall_time_s": record["wall_time_s"],
        "hardware": hardware(record),
        "precision": record["precision"],
        "seed": record["seed"],
        "commit": record["commit"],
        "commands": [without_folders(command) for command in record["commands"]],
        "measures": {name: {"best": m["best"], "last": m["last"]} for name, m in record["measures"].items()},
        "tests": {name: tests[name] for name in ("best", "last") if name in tests},
    }
