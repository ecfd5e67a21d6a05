"""Copies a run's record and pictures to the committed ones."""

import json
import shutil
from pathlib import Path

from zoo.errors import RecordError
from zoo.runs.command_lines import name_of, without_folders
from zoo.runs.folder import RunDir, write_atomically
from zoo.runs.record import overrides, read_result
from zoo.runs.study import STUDY_FILE, read_study


def keep(run: Path, root: Path) -> Path:
    """Copies a run's result.json, its last grid and its last figures to reproductions/records.

    Folders in its commands are called DIR and RUN there.

    Of a study: its study.json and its figures.

    Raises:
        RecordError: no valid record in the run, one that lacks a test, or one of a fine-tuning run, which is none of
            its recipe; or the record that is there already is of a run with other settings or on other data, or of a
            study with members that are not here.
    """
    if (run / STUDY_FILE).is_file():
        return keep_study(run, root)
    record = read_result(run)
    if "finetune" in record:
        start = record["finetune"]["init_from"] or "other settings"
        raise RecordError(
            f"{run} was fine-tuned or augmented (from {start}): it is no run of the recipe {record['recipe']!r} and is "
            "not kept beside those; a study keeps such runs"
        )
    taken = {"last"} | ({"best"} if RunDir(run).best_checkpoint.is_file() else set())
    tested = {Path(test["checkpoint"]).stem for test in record["tests"]}
    if missing := sorted(taken - tested):
        raise RecordError(f"{run} is not measured at its {missing[0]} checkpoint: `test --ckpt_path {missing[0]}` does")
    record["commands"] = [without_folders(command) for command in record["commands"]]
    file = root / "reproductions/records" / f"{record['paper']}-{record['recipe']}-seed{record['seed']}.json"
    there = read_result(file) if file.is_file() else record
    if (settings := overrides(there)) != overrides(record):
        raise RecordError(
            f"{file} is of a run with other settings ({settings.strip() or 'the recipe alone'}): remove it first if "
            f"{run} is to take its place"
        )
    if there["dataset"]["fingerprint"] != record["dataset"]["fingerprint"]:
        raise RecordError(
            f"{file} is of a run on other images ({there['dataset']['images']:,} of {there['dataset']['name']}): "
            f"remove it first if {run} is to take its place"
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, json.dumps(record, indent=2) + "\n")
    for samples in sorted(RunDir(run).grids.glob("*.png"))[-1:]:
        shutil.copyfile(samples, file.with_suffix(".png"))
    latest = {figure.stem.rpartition("-")[0]: figure for figure in sorted(RunDir(run).figures.glob("*-*.png"))}
    for name, figure in latest.items():
        shutil.copyfile(figure, file.with_name(f"{file.stem}-{name}.png"))
    return file


def keep_study(folder: Path, root: Path) -> Path:
    """Copies a study's record and its figures; RecordError where the record that is there has more members."""
    study = read_study(folder / STUDY_FILE)
    for record in study["records"].values():
        record["commands"] = [without_folders(command) for command in record["commands"]]
        if "finetune" in record and record["finetune"]["init_from"]:
            record["finetune"]["init_from"] = name_of(record["finetune"]["init_from"])
    file = root / "reproductions/records" / f"{study['paper']}-study-{study['study']}.json"
    if file.is_file() and (lost := [name for name in read_study(file)["records"] if name not in study["records"]]):
        raise RecordError(
            f"{file} holds {len(lost)} members that are not in {folder} ({lost[0]}, ...): give --earlier {file} to "
            "`zoo study` to keep them, or remove it"
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, json.dumps(study, indent=1) + "\n")
    for figure in sorted((folder / "figures").glob("*.png")):
        shutil.copyfile(figure, file.with_name(f"{file.stem}-{figure.name}"))
    return file
