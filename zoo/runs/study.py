"""The record of a study: its members' records, and what they say together. No torch."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from zoo.errors import RecordError
from zoo.runs import schema
from zoo.runs.plain import read_json
from zoo.runs.record import tests_of, validate_result
from zoo.runs.text import say

STUDY_FILE = "study.json"
SCHEMA_VERSION = 1
#: Fields of a protocol that follow from the networks that are measured: a table of networks compares across them.
OF_NETWORKS = ("batchnorm", "batchnorm_samples", "weights")
FIELDS = ("schema", "paper", "study", "summary", "groups", "records", "findings")


def validate_study(record: Any) -> None:
    """Checks a study's record: its fields, and each member's own record.

    Raises:
        RecordError: naming the field or the member.
    """
    if not isinstance(record, dict) or set(record) != set(FIELDS):
        there = sorted(map(str, record)) if isinstance(record, dict) else type(record).__name__
        raise RecordError(f"a study's record has the fields {', '.join(FIELDS)}, not {there}")
    schema.check("groups", record["groups"], schema=schema.map_of(schema.text))
    schema.check("records", record["records"], schema=schema.map_of(schema.json_object))
    if record["schema"] != SCHEMA_VERSION:
        raise RecordError(f"schema must be {SCHEMA_VERSION} (this zoo's), it is {record['schema']!r}")
    if not record["records"] or set(record["groups"]) != set(record["records"]):
        raise RecordError("groups must name the group of each member in records, of which there must be one at least")
    for member, result in record["records"].items():
        try:
            validate_result(result)
        except RecordError as error:
            raise RecordError(f"member {member}: {error}") from error


def read_study(path: Path) -> dict[str, Any]:
    """Reads and validates a study.json.

    Raises:
        RecordError: no such file, no JSON, or a wrong field.
    """
    try:
        record: dict[str, Any] = read_json(path)
        validate_study(record)
    except FileNotFoundError as error:
        raise RecordError(f"{path} cannot be read as a study's record: {error}") from error
    except RecordError as error:
        raise RecordError(f"{path}: {error}") from error
    return record


def is_study(path: Path) -> bool:
    """Whether a JSON file is a study's record (and not that of one run)."""
    content = read_json(path)
    return isinstance(content, dict) and "study" in content


def grouped(record: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The members' records by group."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for member, group in record["groups"].items():
        groups.setdefault(group, []).append(record["records"][member])
    return groups


def by_protocols(records: Iterable[Mapping[str, Any]], measure: str) -> list[list[Mapping[str, Any]]]:
    """The records whose values of a measure may be averaged, together: those taken under the same protocols."""
    found: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for record in records:
        protocols = {name: test["protocols"].get(measure, "") for name, test in tests_of(record).items()}
        last = protocols.get("last", "")
        found.setdefault((protocols.get("best", last), last), []).append(record)
    return list(found.values())


def values_of(records: Iterable[Mapping[str, Any]], measure: str, *, checkpoint: str) -> list[float]:
    """A measure of `test` at "best" or "last" in each record that has it ("last" stands in where none was chosen).

    A record without a `test` has none.

    Raises:
        RecordError: the values were taken under different protocols, so that their mean would say nothing.
    """
    values, protocols = [], {}
    for record in records:
        tests = tests_of(record)
        at = tests.get(checkpoint, tests.get("last"))
        if at and measure in at["values"]:
            values.append(at["values"][measure])
            protocols[at["protocols"].get(measure, "none")] = record
    if len(protocols) > 1:
        told = ", ".join(f"{key} ({record['recipe']}, seed {record['seed']})" for key, record in protocols.items())
        raise RecordError(f"{measure} was taken under different protocols, {told}: `test` those runs by one version")
    return values


def differences(records: Iterable[Mapping[str, Any]], measure: str) -> list[str]:
    """Fields in which protocols of a measure at "last" differ, so that its values may not be compared."""
    tests = [(record, tests_of(record).get("last")) for record in records]
    keys = [(record.get("protocols", {}), test["protocols"].get(measure)) for record, test in tests if test]
    known = [protocols[key] for protocols, key in keys if key in protocols]
    names = dict.fromkeys(name for protocol in known for name in protocol if name not in OF_NETWORKS)
    return [name for name in names if any(protocol.get(name) != known[0].get(name) for protocol in known)]


def comparable(records: Iterable[Mapping[str, Any]], measure: str) -> bool:
    """Whether values of a measure at "last" may be compared; says why where they may not."""
    fields = differences(records, measure)
    if fields:
        say(f"{measure} is not compared: members were measured under protocols that differ in {', '.join(fields)}")
    return not fields
