"""`zoo records`: what the records under a folder reached, one line for each measure."""

from __future__ import annotations

import argparse
from pathlib import Path

from zoo.commands.benchmark.members import MEASURED
from zoo.commands.benchmark.record import FILE, is_benchmark, read_record
from zoo.errors import RecordError, ZooError
from zoo.experiments.measures import MEASURES, note_on, study_table, while_training
from zoo.runs.folder import CONFIG_FILE, METRICS_FILE, RESULT_FILE, of_wandb
from zoo.runs.record import read_result
from zoo.runs.study import STUDY_FILE, is_study, read_study
from zoo.runs.text import say
from zoo.training.scripts import folder_of_scripts

OF_RUNS = (CONFIG_FILE, METRICS_FILE, RESULT_FILE, STUDY_FILE, FILE)  # what lies in their folders


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("folder", nargs="?", help="of runs or records (default: the committed records)")


def run(arguments: argparse.Namespace) -> None:
    """Prints what the records under a folder reached, one line for each measure."""
    folder = Path(arguments.folder) if arguments.folder else folder_of_scripts() / "records"
    files = sorted(records_in(folder))
    if not files:
        raise ZooError(f"no records (*.json) under {folder}: name a folder of runs or reproductions/records")
    left_out = []
    for file in files:
        try:
            tell(file)
        except RecordError as error:  # a file of something else, such as `zoo evaluate --json`: the others stand
            left_out.append(str(error))
    if left_out:
        raise ZooError("\n".join(left_out))


def tell(file: Path) -> None:
    """What one record says. Raises RecordError where it is none."""
    if is_study(file):
        study = read_study(file)
        say(f"{file}: study {study['study']}, {len(study['records'])} runs")
        for group, name, best, last, runs in (table := study_table(study)):
            say(f"  {group:24} {name:24} best {best or '-'}, last {last or '-'} ({runs} runs)")
        if note := note_on(table):
            say(f"  {note}")
        return
    if is_benchmark(file):
        tell_benchmark(file)
        return
    record = read_result(file)
    data = f"{record['dataset']['name']} ({record['dataset']['images']:,})"
    say(f"{file}: {record['paper']} {record['recipe']}, {record['images_seen']:,} images of {data}")
    for name, measure in while_training(record).items():
        best, last = measure["best"], measure["last"]
        chosen = "" if measure["better"] == "neither" else f"best {digits(best['value'])} at {best['images_seen']:,}, "
        say(f"  {name:24} {chosen}last {digits(last['value'])}")


def tell_benchmark(file: Path) -> None:
    """The runs of each objective, and the best of them."""
    benchmark = read_record(file)
    trained = [member for member in benchmark.members if member.state in MEASURED]
    say(f"{file}: benchmark {benchmark.name}, {len(trained)} of {len(benchmark.members)} runs trained to their end")
    choose = max if MEASURES.better(benchmark.measure) == "higher" else min
    for label, members in benchmark.groups.items():
        values = [v for m in members if m in trained and (v := m.value(benchmark.measure, "last")) is not None]
        best = digits(choose(values)) if values else "-"
        say(f"  {label:24} {benchmark.measure:24} last, best of {len(values)} runs {best}")


def records_in(folder: Path) -> set[Path]:
    """The records at or below a folder; other JSON files within runs, studies and benchmarks are none."""
    inside = {file.parent for name in OF_RUNS for file in folder.glob(f"**/{name}")}
    return {
        file
        for file in folder.glob("**/*.json")
        if not of_wandb(file)
        if file.name in (RESULT_FILE, STUDY_FILE) or inside.isdisjoint(file.parents)
    }


def digits(value: float | None) -> str:
    """Five significant digits."""
    return "not finite" if value is None else f"{value:.5g}"
