"""The members of a benchmark's record beside other runs."""

from pathlib import Path

from zoo.commands.benchmark.members import MEASURED
from zoo.commands.benchmark.record import read_record
from zoo.commands.compare.reading import read_record_file

RECORD = Path(__file__).parents[2] / "reproductions/records/benchmark/robustness.json"


def test_a_benchmarks_record_is_that_of_its_members() -> None:
    """It was left out: "paper is missing"."""
    members = {member.name: member for member in read_record(RECORD).members if member.state in MEASURED}
    runs = read_record_file(RECORD)
    assert [run.path.name for run in runs] == list(members)
    assert len(runs) >= 44
    for run in runs:
        member = members[run.path.name]
        assert (run.paper, run.seed, run.record) == ("benchmark", member.seed, dict(member.record or {}))
        assert run.record is not None
        assert run.record["overrides"]["--model.objective"] == member.objective
