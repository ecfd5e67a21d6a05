"""The record of a benchmark: all members with their records and curves in one small file. No torch.

It lies in the benchmark's folder as benchmark.json, and, committed, in reproductions/records/benchmark/NAME.json, with
a grid of samples of one seed of each objective beside it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.commands.benchmark.members import MEASURED, STATES, Outcome
from zoo.errors import RecordError
from zoo.metrics.protocol import protocol_hash
from zoo.runs import schema
from zoo.runs.command_lines import without_folders
from zoo.runs.folder import RunDir, replacing, write_atomically
from zoo.runs.plain import read_json
from zoo.runs.record import set_by, tests_of, validate_result
from zoo.training.benchmark import Preset
from zoo.training.study import COMPUTING

FILE = "benchmark.json"
PLACE = Path("reproductions/records/benchmark")
SCHEMA_VERSION = 1
ENDED = (*MEASURED, "diverged")  # states of members that need not be run again
HEAD = ("name", "summary", "measure", "curve")
MEMBER: dict[str, schema.Check] = {
    **dict.fromkeys(("objective", "label", "state"), schema.text),
    "seed": schema.count,
    "settings": schema.json_object,
    "why": schema.string,
    "record": schema.or_null(schema.json_object),
    "curve": schema.map_of(schema.list_of(schema.or_null(schema.number))),
}
SCHEMA = {
    "schema": schema.integer,
    **dict.fromkeys(HEAD, schema.text),
    "protocols": schema.map_of(schema.json_object),
    "members": schema.map_of(MEMBER),
}


def is_benchmark(path: Path) -> bool:
    """Whether a JSON file is a benchmark's record."""
    content = read_json(path)
    return isinstance(content, dict) and {"members", "curve"} <= content.keys()


@dataclass(frozen=True)
class BenchmarkRecord:
    """A benchmark as far as it came.

    Attributes:
        name: of the preset, with "-batchnorm" where D has it.
        summary: a line that says what it is.
        measure: of `test`, by which objectives are ranked.
        curve: the same while training.
        members: in the order of the tables.
        grids: file of a sample grid by objective.
    """

    name: str
    summary: str
    measure: str
    curve: str
    members: Sequence[Outcome]
    grids: Mapping[str, Path]

    @property
    def ended(self) -> dict[str, Outcome]:
        """The members that were trained and measured, or diverged, by name: what need not be run again."""
        return {member.name: member for member in self.members if member.state in ENDED}

    @property
    def groups(self) -> dict[str, list[Outcome]]:
        """The members by label, in the order of the tables."""
        found: dict[str, list[Outcome]] = {}
        for member in self.members:
            found.setdefault(member.label, []).append(member)
        return found

    @property
    def objectives(self) -> dict[str, str]:
        """The objective of each group."""
        return {member.label: member.objective for member in self.members}

    def values(self, label: str, *, measure: str | None = None, checkpoint: str = "last") -> list[float]:
        """A measure of `test` of a group's runs, those that diverged counted as the worst."""
        found = (member.value(measure or self.measure, checkpoint) for member in self.groups[label])
        return [value for value in found if value is not None]

    def finds(self, label: str) -> list[float]:
        """What a search finds in each run: the measure at its end, or that of the untrained network if it diverged.

        An infinite value would leave no expectation of draws that may all have diverged. The untrained network's is of
        the evaluation while training, of fewer samples than `test` takes.
        """
        found = []
        for member in self.groups[label]:
            value, untrained = member.value(self.measure, "last"), member.untrained(self.curve)
            if value is not None:
                found.append(untrained if member.state == "diverged" and untrained is not None else value)
        return found


def of_folder(
    folder: Path, name: str, preset: Preset, members: Sequence[Outcome], *, earlier: BenchmarkRecord | None = None
) -> BenchmarkRecord:
    """The record of what lies in a benchmark's folder, and of what an earlier record has and the folder has not.

    Members of the earlier record that are not asked for now (of other objectives, or more seeds) stay in it.
    Grids are those of each objective's first measured member. A search has none: its members have settings of their
    own, and no figure shows one of them for the objective.

    Raises:
        RecordError: members were trained or measured otherwise than others, so that they cannot be compared.
    """
    there = {} if earlier is None else earlier.ended
    asked = {member.name for member in members}
    members = [member if member.state in ENDED else there.get(member.name, member) for member in members]
    if others := [member for name, member in there.items() if name not in asked]:
        order = [*preset.objectives, *(member.objective for member in others)]
        members = sorted([*members, *others], key=lambda member: order.index(member.objective))
    of_one_training(members)
    of_one_protocol(members, preset.curve)
    kept = {} if earlier is None else earlier.grids
    grids: dict[str, Path] = {}
    for member in members if preset.draws is None else ():
        found = RunDir(folder / member.name).all_grids()
        before = kept.get(member.objective) if member.name in there else None
        if member.state in MEASURED and (grid := found[max(found)] if found else before):
            grids.setdefault(member.objective, grid)
    return BenchmarkRecord(name, preset.summary, preset.measure, preset.curve, members, grids)


def of_one_training(members: Sequence[Outcome]) -> None:
    """Raises RecordError, naming two members, where recipe, budget, data or an option that all share differ."""
    found: dict[str, dict[str, str]] = {}
    for member in members:
        if member.state in MEASURED and member.record is not None:
            found[member.name] = shared(member, member.record)
    names = dict.fromkeys(name for own in found.values() for name in own)
    for name in names:
        values = {own.get(name, "the recipe's"): member for member, own in reversed(found.items())}
        if len(values) > 1:
            told = " and ".join(f"{member} ({value})" for value, member in reversed(values.items()))
            raise RecordError(f"{told} differ in {name}: they cannot be compared")


def shared(member: Outcome, record: Mapping[str, Any]) -> dict[str, str]:
    """What all members of a benchmark have in common, of one that was trained: {name: value}."""
    own = ("--model.objective", *(f"--model.{name}" for name in member.settings))
    options = {k: v for k, v in set_by(record).items() if k not in own and not k.startswith(COMPUTING)}
    data = record["dataset"]
    found = {"recipe": record["recipe"], "data": f"{data['name']} {data['fingerprint'][:8]}, {data['images']} images"}
    if "--generator_steps" not in options:  # else images are as many as the objective's n_critic makes them
        found["budget"] = f"{record['budget']} images"
    return {**found, **options}


def of_one_protocol(members: Sequence[Outcome], curve: str) -> None:
    """Raises RecordError, naming two members, where protocols of a measure of `test` or of the curves differ.

    In more than the labels, that is: those of cGAN's samples are drawn, and other objectives have none.
    """
    found: dict[str, dict[str, str]] = {}
    for member in members:
        if member.state in MEASURED and member.record is not None:
            for measure, key in used_protocols(member.record, curve):
                found.setdefault(measure, {}).setdefault(without_labels(member.record, key), member.name)
    for measure, protocols in found.items():
        if len(protocols) > 1:
            told = " and ".join(f"{name} (protocol {protocol})" for protocol, name in protocols.items())
            way = "train" if measure.endswith("while training") else "`zoo test`"
            raise RecordError(f"{measure} of {told} cannot be compared: {way} those runs by one version")


def used_protocols(record: Mapping[str, Any], curve: str) -> Iterator[tuple[str, str]]:
    """The measures of each `test` of a run, and of its curve, with the hashes of their protocols."""
    for test in tests_of(record).values():
        yield from test["protocols"].items()
    if curve in record["measures"]:
        yield f"{curve} while training", record["measures"][curve]["protocol"]


def without_labels(record: Mapping[str, Any], key: str) -> str:
    """The hash that a protocol of a run would have if nobody gave its generator labels."""
    protocol = record["protocols"].get(key, {})
    return protocol_hash(without(protocol, "labels")) if "labels" in protocol else key


def labelled(record: BenchmarkRecord) -> list[str]:
    """The objectives whose samples are of drawn labels, each once."""
    found = [
        member.objective
        for member in record.members
        for test in tests_of(member.record or {}).values()
        for key in test["protocols"].values()
        if "labels" in (member.record or {})["protocols"][key]
    ]
    return [*dict.fromkeys(found)]


def write_record(record: BenchmarkRecord, file: Path) -> None:
    """Writes the file, protocols once for all members, folders in their commands left out.

    Raises:
        RecordError: it could not be written.
    """
    protocols: dict[str, Any] = {}
    members = []
    for member in record.members:
        own = {name: getattr(member, name) for name in MEMBER}
        if member.record is not None:
            protocols |= member.record["protocols"]
            commands = [without_folders(command) for command in member.record["commands"]]
            own["record"] = {**without(member.record, "protocols"), "commands": commands}
        members.append(f"{json.dumps(member.name)}: {json.dumps(own, allow_nan=False)}")
    head = {"schema": SCHEMA_VERSION, **{name: getattr(record, name) for name in HEAD}, "protocols": protocols}
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in head.items()]
    text = ",\n".join([*lines, '"members": {\n' + ",\n".join(members) + "\n}"])
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, "{\n" + text + "\n}\n")


def without(record: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A record without one of its fields."""
    return {key: value for key, value in record.items() if key != name}


def read_record(file: Path) -> BenchmarkRecord:
    """Reads and checks such a file; sample grids are NAME-OBJECTIVE.png beside it.

    Raises:
        RecordError: no such file, no JSON, a wrong field, or a member's record that is none.
    """
    try:
        content = read_json(file)
    except FileNotFoundError as error:
        raise RecordError(f"there is no record of a benchmark at {file}: `zoo benchmark` writes one") from error
    try:
        schema.check("", content, schema=SCHEMA)
        schema.require(
            content["schema"] == SCHEMA_VERSION, field="schema", wants="1 (this zoo's)", value=content["schema"]
        )
        members = [outcome_of(name, value, content["protocols"]) for name, value in content["members"].items()]
    except RecordError as error:
        raise RecordError(f"{file}: {error}") from error
    names = {member.objective for member in members}
    grids = {name: file.with_name(f"{file.stem}-{name}.png") for name in sorted(names)}
    there = {name: path for name, path in grids.items() if path.is_file()}
    return BenchmarkRecord(**{name: content[name] for name in HEAD}, members=members, grids=there)


def outcome_of(name: str, value: Mapping[str, Any], protocols: Mapping[str, Any]) -> Outcome:
    """One member of a record.

    Raises:
        RecordError: naming it.
    """
    schema.require(
        value["state"] in STATES, field=f"members.{name}.state", wants=" or ".join(STATES), value=value["state"]
    )
    record = value["record"]
    if record is not None:
        record = {**record, "protocols": protocols}
        try:
            validate_result(record)
        except RecordError as error:
            raise RecordError(f"member {name}: {error}") from error
    return Outcome(name, **{**value, "record": record})


def write_with_grids(record: BenchmarkRecord, file: Path) -> None:
    """Writes the file, and beside it the grids: all that `read_record` reads.

    Raises:
        RecordError: one of them could not be written.
    """
    write_record(record, file)
    for objective, grid in record.grids.items():
        kept = file.with_name(f"{file.stem}-{objective}.png")
        try:
            if grid.resolve() != kept.resolve():
                with replacing(kept) as temporary:
                    shutil.copyfile(grid, temporary)
        except OSError as error:
            raise RecordError(f"could not write {kept}: {error}") from error


def keep(record: BenchmarkRecord, root: Path) -> Path:
    """Copies a record and its grids to the committed ones; the file.

    Raises:
        RecordError: the committed record has members that this one lacks.
    """
    file = root / PLACE / f"{record.name}.json"
    if file.is_file() and (lost := sorted(set(read_record(file).ended) - set(record.ended))):
        raise RecordError(
            f"{file} holds {len(lost)} members that are not here ({lost[0]}, ...): give --earlier {file} to keep them, "
            "or remove it"
        )
    write_with_grids(record, file)
    return file
