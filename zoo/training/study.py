"""Studies: a paper's experiments that are made of several runs, by one command.

    zoo study PAPER --name NAME [--members A,B] [--jobs N] [--earlier RECORD] [options of fit, given to every member]

trains each member (or goes on where it was stopped, or passes over it where it is done), measures its best and last
checkpoint, then draws the figures and prints the table. A member is an ordinary run in DIR/MEMBER; one that an earlier
record of the study holds is not run again. Where the training of one breaks off (its losses are no longer finite), the
others are run all the same.
"""

import argparse
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from zoo.errors import UsageError, ZooError
from zoo.experiments.measures import note_on, study_table
from zoo.runs.command_lines import value_to_share
from zoo.runs.folder import RESULT_FILE, RunDir, write_atomically
from zoo.runs.record import overridden, read_result, set_by
from zoo.runs.study import SCHEMA_VERSION, STUDY_FILE, read_study, validate_study
from zoo.runs.text import positive, print_table, say
from zoo.training.members import Runner, finished
from zoo.training.recipes import Lazy
from zoo.training.words import TAKEN, Words

if TYPE_CHECKING:
    from zoo.experiments.pictures.drawing import Drawings
    from zoo.models.trained import FinishedRun

#: Options in which runs that are averaged may differ: they change how a sum is rounded, and not what is trained.
COMPUTING = ("--compile", "--matmul_precision", "--trainer.")
SHOWN = 12  # members that are named where more are missing
Runs: TypeAlias = "Mapping[str, FinishedRun]"


@dataclass(frozen=True)
class Member:
    """One run of a study.

    Args:
        group: members of one group differ in nothing but what is averaged over (seeds, drawn architectures).
        options: of `fit`; "{study}" in them stands for the study's folder, where the other members lie.
        paper: whose recipe it follows, or None for the study's own.
    """

    group: str
    options: Sequence[str]
    paper: str | None = None


@dataclass(frozen=True)
class Study:
    """An experiment made of several runs.

    Args:
        summary: a line that says what it is.
        members: by name; none for a figure that is computed.
        figures: draws from the finished members.
        findings: figures that belong to all members together, by name.
        options: of `fit`, given to every member before its own.
        test_options: of `test`, for what is measured at the end alone.
        grows: whether figures and record are of those members that are finished, be there others or not: a
            distribution over seeds, to which more are added later.
    """

    summary: str
    members: Mapping[str, Member]
    figures: "Callable[[Runs], Drawings]"
    findings: Callable[[Runs], Mapping[str, float]] | None = None
    options: Sequence[str] = ()
    test_options: Sequence[str] = ()
    grows: bool = False


def run_study(
    study: Study,
    *,
    name: str,
    folder: Path,
    paper: str,
    options: Sequence[str],
    chosen: Sequence[str],
    jobs: int = 1,
) -> None:
    """Runs what is missing, then draws and tabulates what there is.

    Args:
        study: what to do.
        name: of the study.
        folder: where its runs and figures go.
        paper: whose study it is.
        options: of `fit`, for every member; they override the study's.
        chosen: names of the members to run now, or none for all.
        jobs: members that are trained at once, on a core each where there is more than one.

    Raises:
        UsageError: an unknown member, a name of figures or findings that is none, or a member that would be trained
            otherwise than those of its group that are there.
        ZooError: members that failed, at the end; what others reached is kept.
    """
    if unknown := set(chosen) - study.members.keys():
        raise UsageError(
            f"study {name} has no member {', '.join(sorted(unknown))}: there are {', '.join(study.members)}"
        )
    for function in (study.figures, study.findings):
        if isinstance(function, Lazy):
            function.refuse_absent()  # a wrong name is found before the trainings
    refuse_mixed(study, folder, to_train=chosen or list(study.members), options=options)
    runner = Runner(study, folder=folder, paper=paper, options=options, jobs=jobs)
    runner.run([*dict.fromkeys(chosen or study.members)])
    conclude(study, name=name, folder=folder, paper=paper)
    if runner.failed:
        which = f"member{'s' * (len(runner.failed) > 1)} {', '.join(runner.failed)}"
        raise ZooError(f"{which} of the study stopped, see above; the same command goes on from there")


def conclude(study: Study, *, name: str, folder: Path, paper: str) -> None:
    """Draws and tabulates what there is: all members, or those that are finished where the study grows."""
    done = [member for member in study.members if finished(folder / member)]
    if missing := [member for member in study.members if member not in done]:
        begun = [member for member in missing if RunDir(folder / member).holds_run]
        if waiting := [member for member in missing if member not in begun]:
            more = f" and {len(waiting) - SHOWN} more" if len(waiting) > SHOWN else ""
            say(f"not run yet: {', '.join(waiting[:SHOWN])}{more}")
        if begun:
            say(f"begun and not trained and measured to the end, and so in no number: {', '.join(begun)}")
        if not (study.grows and done):
            return
    refuse_mixed(study, folder)
    from zoo.experiments.pictures.drawing import write  # these bring torch
    from zoo.models import TRAINED
    from zoo.models.trained import FinishedRun

    runs = {member: FinishedRun(folder / member, models=TRAINED) for member in done}
    for path in write(study.figures(runs), folder / "figures"):
        say(f"figure  {path}")
    if runs:
        alone = [member for member, run in runs.items() if run.record_alone]
        others = {study.members[member].group for member in runs.keys() - set(alone)}
        alone += {study.members[member].group for member in alone} - others  # all of whose members are
        before = read_study(folder / STUDY_FILE)["findings"] if alone and (folder / STUDY_FILE).is_file() else {}
        record = study_record(study, runs, name=name, paper=paper, before=findings_on(before, alone))
        validate_study(record)
        write_atomically(folder / STUDY_FILE, json.dumps(record, indent=2) + "\n")
        table = study_table(record)
        print_table(["group", "measure", "best", "last", "runs"], table)
        if note := note_on(table):
            say(note)
        say(f"record  {folder / STUDY_FILE}")


def refuse_mixed(study: Study, folder: Path, *, to_train: Collection[str] = (), options: Sequence[str] = ()) -> None:
    """Refuses members of one group that were not or would not be trained alike, and says where groups were not.

    As where one had `--images 1000` for a trial, or the study gave other options then: a mean would be of neither.

    Args:
        study: whose members they are.
        folder: of the study; those count of which there is a record.
        to_train: members that are about to begin or to go on, where they are not trained to the end.
        options: of `fit`, with which they do so.

    Raises:
        UsageError: naming two members, and how each was trained.
    """
    given = {name: [*study.options, *entry.options] for name, entry in study.members.items()}
    ways: dict[str, str] = {}
    data: dict[str, str] = {}
    for name in study.members:
        if (folder / name / RESULT_FILE).is_file():
            record = read_result(folder / name)
            ways[name] = otherwise(set_by(record), given[name])
            data[name] = (
                f"recipe {record['recipe']} on {record['dataset']['name']} {record['dataset']['fingerprint'][:8]}"
            )
        elif name in to_train and (before := commands_before(folder / name, given[name])):
            ways[name] = otherwise(overridden([*before, fit_command(options)]), given[name])
    for told in (ways, data):
        first: dict[str, str] = {}
        for name in told:
            group = study.members[name].group
            other = first.setdefault(group, name)
            if told[other] != told[name]:
                raise UsageError(
                    f"{other} ({told[other]}) and {name} ({told[name]}) are both of the group {group} and not trained "
                    "alike: their mean would be of neither. Give the same options, choose another --run_dir, or move "
                    "one of them out of the way"
                )
    if len(set(ways.values())) > 1:
        every = "; ".join(f"{name}: {way}" for name, way in ways.items())
        say(f"note: not all members have the same options beside the study's own: {every}")


def commands_before(run: Path, given: Sequence[str]) -> list[list[str]]:
    """The command lines by which a member came where it stands; of one that is about to begin, what its study gives."""
    if not (last := run / "checkpoints/last.ckpt").is_file():
        return [fit_command(given)]
    from zoo.training.stopwatch import commands_in  # brings torch

    return commands_in(last)


def fit_command(options: Sequence[str]) -> list[str]:
    """A command line of `fit`, as `zoo.runs.record` reads it."""
    return ["zoo", "fit", "", *options]


def otherwise(had: Mapping[str, str], given: Sequence[str]) -> str:
    """In what the settings that a run had differ from the options that its study gives it, as "--images 1000"."""
    wanted = overridden([fit_command(given)])
    own, wanted = ({k: value_to_share(k, v) for k, v in one.items()} for one in (had, wanted))
    other = sorted(k for k in {**own, **wanted} if own.get(k) != wanted.get(k) and not k.startswith(COMPUTING))
    return (
        ", ".join(f"{k} {own[k]}".rstrip() if k in own else f"without {k}" for k in other)
        or "the study's options alone"
    )


def take_over(study: Study, file: Path, *, name: str, folder: Path) -> None:
    """Writes what an earlier record says of members into their folders, where there are none yet.

    Its findings on single members and groups, which may need the networks or the logs, go into the record of the study
    that lies there.

    Raises:
        RecordError: no record of a study can be read there.
        UsageError: it is of another study, or of a member of another group.
    """
    record = read_study(file)
    if record["study"] != name:
        raise UsageError(f"--earlier {file} is of study {record['study']}, not of {name}")
    groups = {member: entry.group for member, entry in study.members.items()}
    if strange := [f"{member} ({group})" for member, group in record["groups"].items() if groups.get(member) != group]:
        raise UsageError(f"--earlier {file}: its member {strange[0]} is none of {name}")
    for member, result in record["records"].items():
        if not (folder / member).exists():
            (folder / member).mkdir(parents=True)
            write_atomically(folder / member / RESULT_FILE, json.dumps(result, indent=2) + "\n")
    own = folder / STUDY_FILE
    there = read_study(own) if own.is_file() else {**record, "findings": {}}
    names = [*record["records"], *record["groups"].values()]
    findings = {**findings_on(record["findings"], names), **there["findings"]}
    write_atomically(own, json.dumps({**there, "findings": findings}, indent=2) + "\n")


def findings_on(findings: Mapping[str, float], names: Iterable[str]) -> dict[str, float]:
    """Those of some findings that are on one of these members or groups alone: their names end in ", NAME"."""
    endings = tuple(f", {name}" for name in names)
    return {name: value for name, value in findings.items() if name.endswith(endings)}


def study_record(study: Study, runs: Runs, *, name: str, paper: str, before: Mapping[str, float]) -> dict[str, Any]:
    """The records of all members, their groups, and the findings (see zoo.runs.study).

    `before` are findings on members of which only the record is left, so that they cannot be found again.
    """
    return {
        "schema": SCHEMA_VERSION,
        "paper": paper,
        "study": name,
        "summary": study.summary,
        "groups": {member: study.members[member].group for member in runs},
        "records": {member: run.record for member, run in runs.items()},
        "findings": {**before, **(study.findings(runs) if study.findings else {})},
    }


def study_command(words: Words, *, studies: Mapping[str, Study], paper: str) -> None:
    """`study --name NAME [--run_dir DIR] [--members A,B] [--jobs N] [--earlier RECORD] [options of fit]`.

    Raises:
        UsageError: no or an unknown study, or a number of jobs that is none.
    """
    name, run_dir, members, jobs, earlier = (words.taken.get(option) for option in TAKEN["study"])
    if name is None or name not in studies:
        known = "\n".join(f"  {key:20} {value.summary}" for key, value in studies.items()) or "  none"
        raise UsageError(f"study needs --name; the studies of {paper} are\n{known}")
    try:
        at_once = positive(jobs or "1")
    except argparse.ArgumentTypeError as error:
        raise UsageError(f"--jobs {error}") from None
    folder = Path(run_dir) if run_dir else Path("runs") / paper / f"study-{name}"
    if earlier:
        take_over(studies[name], Path(earlier), name=name, folder=folder)
    run_study(
        studies[name],
        name=name,
        folder=folder,
        paper=paper,
        options=words.rest,
        chosen=members.split(",") if members else [],
        jobs=at_once,
    )
