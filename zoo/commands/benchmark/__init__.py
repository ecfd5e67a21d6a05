"""`zoo benchmark`: the same networks, data and budget for every objective, several seeds, error bars.

running.py runs the members, members.py says what became of each, record.py is the file that is committed, tables.py and
figures.py show it, page.py writes docs/benchmark.md. The members and presets are reproductions/benchmark.py's.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import UsageError, ZooError
from zoo.runs.text import positive, say
from zoo.training.benchmark import PAPER, Entry, Preset, entries, study_of

if TYPE_CHECKING:
    from zoo.commands.benchmark.record import BenchmarkRecord


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument
    add("--preset", metavar="NAME", help="digits, mnist, cifar10 or robustness")
    add("--objectives", metavar="A,B", help="these alone (default: the preset's)")
    add("--seeds", type=positive, metavar="N", help="of each objective, from 0 on (default: the preset's number)")
    add(
        "--vary",
        action="append",
        default=[],
        metavar="NAME=A,B",
        help="a setting of the model: a member for each value",
    )
    add("--batchnorm", action="store_true", help="on a D with BatchNorm, the objectives that allow it")
    add("--members", metavar="A,B", help="run these alone")
    add("--jobs", type=positive, default=1, metavar="N", help="processes at once, a core each (default: 1)")
    add("--run_dir", metavar="DIR", help="folder of the members (default: runs/benchmark/PRESET)")
    add("--data_dir", metavar="DIR", help="folder of the data set")
    add("--status", action="store_true", help="run nothing: say what there is, and write tables and figures")
    add("--again", action="store_true", help="run those that diverged again, too")
    add("--earlier", metavar="RECORD", help="take from this record of the benchmark what it holds, and do not run it")
    add("--keep", action="store_true", help="copy the record to the committed ones of this checkout")
    add("--write", action="store_true", help="write docs/benchmark.md from the committed records")
    add("options", nargs="*", metavar="OPTION", help="after --: options of `zoo fit`, for every member")


def run(arguments: argparse.Namespace) -> None:
    """Runs what is left to do, then tabulates and draws what there is.

    Raises:
        UsageError: what cannot be run, or not together with what is there.
        ZooError: members that did not come to their end, when all else is written.
    """
    from zoo.training.scripts import script_of

    if arguments.write and arguments.preset is None:
        write_page()
        return
    presets: Mapping[str, Preset] = script_of(PAPER).presets
    if arguments.preset not in presets:
        known = "\n".join(f"  {name:12} {preset.summary}" for name, preset in presets.items())
        raise UsageError(f"benchmark needs --preset; there are\n{known}")
    name, preset = arguments.preset, presets[arguments.preset]
    if arguments.batchnorm:
        name, preset = f"{name}-batchnorm", with_batchnorm(preset)
    members = entries(
        preset,
        objectives=arguments.objectives.split(",") if arguments.objectives else (),
        seeds=arguments.seeds,
        vary=varied(arguments.vary),
    )
    folder = Path(arguments.run_dir or Path("runs") / PAPER / name).expanduser()
    earlier = earlier_of(arguments.earlier, name, members)
    begun: list[str] = []
    if not arguments.status:
        begun = run_members(
            members,
            preset,
            folder=folder,
            arguments=arguments,
            earlier=earlier,
            name=name,
            budget=script_of(PAPER).recipes[preset.recipe].config["images"],
        )
    record = show(folder, name, preset, members, keeping=arguments.keep, earlier=earlier)
    if arguments.write:
        write_page()
    if left := [member for member in record.members if member.name in begun and member.name not in record.ended]:
        told = ", ".join(f"{member.name} ({member.state})" for member in left)
        raise ZooError(f"not trained and measured to the end: {told}; the same command goes on from there")


def earlier_of(file: str | None, name: str, members: Sequence[Entry]) -> BenchmarkRecord | None:
    """What an earlier record holds of this benchmark.

    Raises:
        UsageError: it is of another benchmark, or its member of that name has other settings.
    """
    from zoo.commands.benchmark.record import read_record

    if file is None:
        return None
    record = read_record(Path(file).expanduser())
    if record.name != name:
        raise UsageError(f"--earlier {file} is of benchmark {record.name}, not of {name}")
    here = {entry.name: entry for entry in members}
    for member in record.members:
        if member.name in here and member.settings != here[member.name].settings:
            raise UsageError(f"--earlier {file}: its member {member.name} has other settings")
    return record


def run_members(
    members: Sequence[Entry],
    preset: Preset,
    *,
    folder: Path,
    arguments: argparse.Namespace,
    earlier: BenchmarkRecord | None = None,
    name: str = PAPER,
    budget: int | None = None,
) -> list[str]:
    """Runs members, all or those that are named; not those that an earlier record holds.

    One seed of all groups comes before the next: stopped at any time, a benchmark has as many runs of each. The record
    is written into the folder after each member.

    Args:
        members: of the benchmark.
        preset: that they are of.
        folder: of the benchmark.
        arguments: of the command.
        earlier: a record whose members are not run.
        name: of the benchmark.
        budget: images that the preset's recipe trains on.

    Returns:
        the names of those that were to be run.

    Raises:
        UsageError: an unknown member, a folder that holds a run of another, members of another budget, or an option
            that they set themselves.
        RecordError: what lies there was trained or measured otherwise, and cannot be joined.
    """
    from zoo.commands.benchmark.members import MEASURED, other_settings, outcomes
    from zoo.commands.benchmark.record import FILE, of_folder, write_with_grids
    from zoo.commands.benchmark.running import BenchmarkRunner
    from zoo.runs.folder import RunDir

    named = {entry.name: entry for entry in members}
    chosen = arguments.members.split(",") if arguments.members else list(study_of(preset, members).members)
    if unknown := [member for member in chosen if member not in named]:
        raise UsageError(f"there is no member {unknown[0]!r}: there are {', '.join(named)}")
    chosen = [*dict.fromkeys(chosen)]  # one that is named twice would meet itself
    refuse_own(arguments.options, [named[member] for member in chosen], preset)
    for member in chosen:
        run = RunDir(folder / member)
        if run.config.is_file() and (wrong := other_settings(run, named[member])):
            raise UsageError(
                f"{run.path} holds a run with another {wrong[0]}: choose another --run_dir, or move it out of the way"
            )
    ended = {} if earlier is None else earlier.ended
    there = {member for member, found in ended.items() if found.state != "diverged" or not arguments.again}
    chosen = [member for member in chosen if member not in there]

    def record() -> BenchmarkRecord:
        return of_folder(folder, name, preset, outcomes(folder, members, preset), earlier=earlier)

    own_budget = any(option.startswith(("--images", "--generator_steps")) for option in arguments.options)
    for found in record().members:
        if found.state in MEASURED and found.record and not own_budget and budget not in (None, found.record["budget"]):
            raise UsageError(
                f"{found.name} is there already, of {found.record['budget']:,} images, where members have {budget:,} "
                "now: they cannot be compared"
            )
    options = [*([] if arguments.data_dir is None else ["--data_dir", arguments.data_dir]), *arguments.options]
    runner = BenchmarkRunner(
        study_of(preset, members), folder=folder, jobs=arguments.jobs, options=options, again=arguments.again
    )
    runner.run(chosen, after_each=lambda: write_with_grids(record(), folder / FILE))
    return chosen


def show(
    folder: Path,
    name: str,
    preset: Preset,
    members: Sequence[Entry],
    *,
    keeping: bool,
    earlier: BenchmarkRecord | None = None,
) -> BenchmarkRecord:
    """Prints the tables; writes the record into the benchmark's folder, with `keeping` also to the committed ones.

    Raises:
        UsageError: there is nothing to keep.
        RecordError: what lies there cannot be joined or written.
    """
    from zoo.commands.benchmark.members import outcomes
    from zoo.commands.benchmark.page import draw
    from zoo.commands.benchmark.record import FILE, keep, of_folder, write_with_grids
    from zoo.commands.benchmark.tables import as_text

    record = of_folder(folder, name, preset, outcomes(folder, members, preset), earlier=earlier)
    say(as_text(record))
    if keeping and not record.ended:
        raise UsageError(f"there is nothing to keep: no member in {folder} was trained and measured to its end")
    if not (folder.is_dir() or record.ended):
        return record
    write_with_grids(record, folder / FILE)
    say(f"record  {folder / FILE}")
    for figure in draw(record, folder / "figures"):
        say(f"figure  {figure}")
    if keeping:
        say(f"kept    {keep(record, Path())}")
    return record


def with_batchnorm(preset: Preset) -> Preset:
    """The preset on a D with BatchNorm, without the objectives that forbid it."""
    from zoo.models.objectives import OBJECTIVES  # this brings torch

    allowed = {
        name: {**settings, "batchnorm_D": True}
        for name, settings in preset.objectives.items()
        if not OBJECTIVES[name].forbids_batchnorm
    }
    default = preset.default and [name for name in preset.default if name in allowed]
    return replace(
        preset, objectives=allowed, default=default, summary=f"{preset.summary}, as far as they allow BatchNorm in D"
    )


def varied(texts: Sequence[str]) -> dict[str, list[str]]:
    """The values of all --vary NAME=A,B, those of one name together."""
    found: dict[str, list[str]] = {}
    for text in texts:
        name, _, values = text.partition("=")
        if not (name and all(values.split(","))):
            raise UsageError(f"--vary {text!r} is not NAME=A,B")
        found.setdefault(name, []).extend(values.split(","))
    return found


def refuse_own(options: Sequence[str], members: Sequence[Entry], preset: Preset) -> None:
    """Raises UsageError for an option of all members that some have a value of their own for, and for what is none."""
    if options and not options[0].startswith("-"):
        raise UsageError(f"{options[0]!r} is no option: those of `zoo fit`, for every member, follow --")
    for option in (option.partition("=")[0] for option in options):
        if option in ("--recipe", "--seed_everything", "--run_dir", "--model.objective"):
            raise UsageError(f"{option} is each member's own: --preset, --seeds, --run_dir and --objectives choose it")
        name = option.removeprefix("--model.")
        if name != option and (own := [entry.name for entry in members if name in entry.settings]):
            way = f"--vary {name}=A,B makes members for other values" if preset.draws is None else "it is drawn"
            raise UsageError(f"{option} is each member's own, such as {own[0]}'s: {way}")


def write_page() -> None:
    """Writes docs/benchmark.md."""
    from zoo.commands.benchmark.page import write

    for file in write(Path()):
        say(f"written: {file}")
