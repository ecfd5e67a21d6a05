"""What the runs of a study reached together: its record, its means, and what may be in one."""

import dataclasses
import json
import statistics
from pathlib import Path
from typing import Any

import pytest
import torch
from played_study import RECORD, ROOT, Place

from zoo.commands.results.keep import keep
from zoo.commands.results.results import Value, of_run, of_study, results
from zoo.errors import RecordError, UsageError, ZooError
from zoo.experiments.measures import mean_and_std, note_on, study_table
from zoo.models import MODELS
from zoo.models.trained import FinishedRun
from zoo.runs.record import read_result
from zoo.runs.study import read_study, values_of
from zoo.runs.text import number
from zoo.training.scripts import script_of
from zoo.training.study import Member, refuse_mixed, study_command, take_over
from zoo.training.words import Words


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr("zoo.runs.children.PROGRAM", (str(tmp_path / "program.py"),))
    return Place(tmp_path)


def moved_away(place: Place, tmp_path: Path) -> Path:
    """The record of a study whose runs are on another machine: its folder is empty."""
    earlier = (place.folder / "study.json").rename(tmp_path / "earlier.json")
    place.folder.rename(tmp_path / "other machine")
    place.folder.mkdir()
    return earlier


def test_the_record_says_what_the_runs_reached_together(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.run()
    study = read_study(place.folder / "study.json")
    assert values_of(study["records"].values(), "kd_x", checkpoint="best") == [10, 13, 10]
    spread = f"{3 / 2**0.5:.2g}"  # of 0 and 3
    assert study_table(study) == [
        ["A", "kd_x", f"11.5 +/- {spread}", f"21.5 +/- {spread}", "2"],
        ["B", "kd_x", "10", "20", "1"],
        ["all", "runs", "", "3", "3"],
    ]
    assert "kd_x_std" not in capsys.readouterr().out


def test_a_second_test_of_a_checkpoint_stands_beside_the_first() -> None:
    """With other extractors, and at the end alone: it hides no figure, and what was not taken at the best is empty."""
    record = read_result(RECORD)
    more = {"checkpoint": "last.ckpt", "images_seen": record["tests"][-1]["images_seen"]}
    both = {**record, "tests": [*record["tests"], {**more, "values": {"fid10k": 9.0}, "protocols": {"fid10k": "p"}}]}
    study = {"paper": "gan", "study": "x", "groups": {"a": "A"}, "records": {"a": record}, "findings": {}}
    first = study_table(study)
    study["records"] = {"a": both}
    assert study_table(study) == [*first, ["A", "fid10k", "", "9", "1"]]
    for found in (list(of_study(study)), list(of_run(both, script_of("gan").recipes["mnist"]))):
        assert [result.measure for result in found] == [row[1] for row in first] + ["fid10k"]
        assert found[-1].best is None
        assert found[0].best is not None


def test_a_finding_stands_beside_its_deviation() -> None:
    findings = {"distance of data, ring": 0.1, "distance of data, ring_std": 0.03, "lonely_std": 2.0}
    study = {"paper": "gan", "study": "x", "groups": {}, "records": {}, "findings": findings}
    assert study_table(study) == [
        ["all", "distance of data, ring", "", "0.1 +/- 0.03", "0"],
        ["all", "lonely_std", "", "2", "0"],
    ]
    assert [(found.measure, found.last) for found in of_study(study)] == [
        ("distance of data, ring", Value(0.1, 0.03)),
        ("lonely_std", Value(2.0)),
    ]


def test_a_study_that_grows_is_of_what_is_finished(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.study = dataclasses.replace(place.study, grows=True)
    place.run("--members", "a3")
    assert "not run yet: a0, b" in capsys.readouterr().out
    assert place.drawn == [["a3"]]
    before = read_study(place.folder / "study.json")
    assert before["findings"] == {"runs": 1}
    place.run("--members", "b")
    after = read_study(place.folder / "study.json")
    assert after["groups"] == {"a3": "A", "b": "B"}
    assert after["records"]["a3"] == before["records"]["a3"]


def test_members_of_an_earlier_record_are_not_run_again(place: Place, tmp_path: Path) -> None:
    place.run()
    earlier = moved_away(place, tmp_path)
    place.study = dataclasses.replace(place.study, members={**place.study.members, "a9": Member("A", [])})
    place.run("--earlier", str(earlier))
    assert {line.split()[1] for line in place.log} == {"a9"}
    old, new = read_study(earlier), read_study(place.folder / "study.json")
    assert {name: new["records"][name] for name in old["records"]} == old["records"]
    assert new["findings"] == {"runs": 4}
    with pytest.raises(RecordError, match="a record alone"):
        _ = FinishedRun(place.folder / "b", models=MODELS).config


def test_findings_on_members_that_ran_elsewhere_are_kept(place: Place, tmp_path: Path) -> None:
    """Such as a path length, which needs the networks: of `a0` and `a3`, whose records alone are left."""

    def found(runs: Any) -> dict[str, float]:
        here = [name for name, run in runs.items() if not run.record_alone]
        return {"runs": len(runs), **{f"length, {name}": float(len(name)) for name in here}}

    place.study = dataclasses.replace(place.study, findings=found, grows=True)
    place.run("--members", "a0,a3")
    earlier = moved_away(place, tmp_path)
    findings = {"length, a0": 2, "length, a3": 2, "runs": 3, "length, b": 1}
    for arguments in (("--earlier", str(earlier)), ()):  # and once more, without
        place.run(*arguments)
        assert read_study(place.folder / "study.json")["findings"] == findings
    (place.folder / "study.json").unlink()
    place.run("--earlier", str(earlier))  # the folders are there already
    assert read_study(place.folder / "study.json")["findings"] == findings


def test_findings_on_groups_that_ran_elsewhere_are_kept(place: Place, tmp_path: Path) -> None:
    """Such as a difference after as many images, which needs the logs; not of a group that has grown."""

    def found(runs: Any) -> dict[str, float]:
        here = {place.study.members[name].group for name, run in runs.items() if not run.record_alone}
        return {f"difference, {group}": float(len(runs)) for group in here}

    place.study = dataclasses.replace(place.study, findings=found, grows=True)
    place.run()
    earlier = moved_away(place, tmp_path)
    place.study = dataclasses.replace(place.study, members={**place.study.members, "a9": Member("A", [])})
    for arguments in (("--earlier", str(earlier)), ()):
        place.run(*arguments)
        assert read_study(place.folder / "study.json")["findings"] == {"difference, A": 4, "difference, B": 3}


def test_members_that_were_not_trained_alike_have_no_mean(place: Place) -> None:
    """A trial in the study's folder, a study that was changed in between, other data."""
    place.run("--members", "a0", "--images", "7")
    differ = r"a0 \(--images 7\) and a3 \(the study's options alone\) are both of the group A"
    with pytest.raises(UsageError, match=differ):
        place.run()
    assert not [line for line in place.log if " a3 " in line]
    place.run("--images", "7")
    record = read_result(place.folder / "a3")
    for field, value in (("overrides", {"--images": "9"}), ("dataset", {**record["dataset"], "fingerprint": "0" * 64})):
        (place.folder / "a3/result.json").write_text(json.dumps({**record, field: value}))
        with pytest.raises(UsageError, match="trained alike"):
            place.run("--members", "b")
    (place.folder / "a3/result.json").write_text(
        json.dumps({**record, "overrides": {"--images": "7", "--compile": ""}})
    )
    place.run("--members", "b")
    members = {**place.study.members, "a9": Member("A", [])}
    place.study = dataclasses.replace(place.study, options=["--model.lr", "1"], members=members)
    with pytest.raises(UsageError, match=r"a0 \(--images 7, without --model.lr\) and a9 \(the study"):
        place.run("--members", "a9")


def test_a_member_that_goes_on_with_its_own_settings_is_not_averaged_with_others(place: Place) -> None:
    (place.folder / "power cut").touch()
    with pytest.raises(ZooError, match="member a0"):
        place.run("--images", "7")
    (place.folder / "power cut").unlink()
    record = place.folder / "a0/result.json"
    place.run("--members", "a0")
    record.write_text(json.dumps({**read_result(record), "overrides": {"--images": "7"}}))  # as its config.yaml has it
    with pytest.raises(UsageError, match="trained alike"):
        place.run()


def test_a_member_that_was_stopped_is_asked_for_its_options_before_the_others_are_trained(place: Place) -> None:
    """Not after their hours: those it began with count, and those given now."""
    began = ["zoo", "fit", "gan", "--seed_everything", "0", "--images", "7", "--run_dir", str(place.folder / "a0")]
    report = {"seconds": 1.0, "interruptions": 0, "started": "2026-11-28T14:00:00+00:00", "commands": [began]}
    last = place.folder / "a0/checkpoints/last.ckpt"
    last.parent.mkdir(parents=True)
    torch.save({"state_dict": {}, "callbacks": {"RunReport": report}}, last)
    with pytest.raises(UsageError, match=r"a0 \(--images 7\) and a3 \(the study's options alone\)"):
        place.run()
    assert not (place.folder / "log").exists()
    place.run("--members", "b")  # of another group
    with pytest.raises(UsageError, match=r"a0 \(--images 7, --model.lr 1\) and a3 \(--model.lr 1\)"):
        place.run("--model.lr", "1")
    place.run("--members", "a0,a3", "--images", "9")
    assert {line.split()[1] for line in place.log} == {"a0", "a3", "b"}


def test_groups_that_had_other_options_are_said_to(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.run("--members", "b", "--images", "7")
    assert "not all members" not in capsys.readouterr().out
    place.run()
    assert "options beside the study's own: a0: the study's options alone; a3: the" in capsys.readouterr().out
    assert (place.folder / "study.json").is_file()


@pytest.mark.parametrize("file", sorted((ROOT / "reproductions/records").glob("*-study-*.json")), ids=lambda f: f.stem)
def test_the_committed_studies_can_be_gone_on_with(file: Path, tmp_path: Path) -> None:
    record = read_study(file)
    study = script_of(record["paper"]).studies[record["study"]]
    take_over(study, file, name=record["study"], folder=tmp_path / "study")
    refuse_mixed(study, tmp_path / "study")


def test_an_earlier_record_must_be_of_this_study(place: Place, tmp_path: Path) -> None:
    place.run()
    study = json.loads((place.folder / "study.json").read_text())
    earlier, before = tmp_path / "earlier.json", sorted(place.folder.rglob("*"))
    for change, text in (
        ({"study": "two"}, "of study two, not of three"),
        ({"groups": {"a0": "A", "a3": "C", "b": "B"}}, r"its member a3 \(C\) is none of three"),
    ):
        earlier.write_text(json.dumps(study | change))
        with pytest.raises(ZooError, match=text):
            place.run("--earlier", str(earlier))
    with pytest.raises(RecordError, match=r"no\.json"):
        place.run("--earlier", str(tmp_path / "no.json"))
    assert sorted(place.folder.rglob("*")) == before


def test_spread_is_the_standard_deviation_over_runs() -> None:
    values = [1.0, 2.0, 4.5]
    assert mean_and_std(values) == pytest.approx((statistics.mean(values), statistics.stdev(values)))
    assert number(*mean_and_std(values)) == "2.5 +/- 1.8"
    assert number(*mean_and_std([3.0])) == "3"


def test_the_tables_take_a_study(place: Place, tmp_path: Path) -> None:
    place.run()
    root = tmp_path / "root"
    root.mkdir()
    file = keep(place.folder, root)
    assert file.name == "gan-study-three.json"
    found = list(results(root / "reproductions"))
    assert [(r.paper, r.recipe, r.variant, r.study, r.measure) for r in found] == [
        ("gan", "mnist", "A", None, "kd_x"),
        ("gan", "mnist", "B", None, "kd_x"),
        ("gan", None, None, "three", "runs"),
    ]


def test_a_committed_study_is_not_replaced_by_a_part_of_it(place: Place, tmp_path: Path) -> None:
    place.run()
    file = keep(place.folder, tmp_path / "root")
    whole = json.loads(file.read_text())
    part = {**whole, **{of: {name: whole[of][name] for name in ("a0",)} for of in ("groups", "records")}}
    (place.folder / "study.json").write_text(json.dumps(part))
    with pytest.raises(RecordError, match=r"holds 2 members that are not in .* \(a3, \.\.\.\): give --earlier"):
        keep(place.folder, tmp_path / "root")
    assert json.loads(file.read_text()) == whole


def test_bad_input(place: Place, tmp_path: Path) -> None:
    with pytest.raises(ZooError, match="three runs"):
        study_command(Words.of(["study", "--name", "four"]), studies={"three": place.study}, paper="gan")
    with pytest.raises(ZooError, match="no member c: there are a0, a3, b"):
        place.run("--members", "c")
    place.run()
    study = json.loads((place.folder / "study.json").read_text())
    damaged = tmp_path / "study.json"
    for change, text in (
        ({"schema": 9}, "schema must be 1"),
        ({"groups": {}}, "groups must name"),
        ({"records": {**study["records"], "b": {}}}, "member b: "),
    ):
        damaged.write_text(json.dumps(study | change))
        with pytest.raises(RecordError, match=text):
            read_study(damaged)
    damaged.write_text("{")
    with pytest.raises(RecordError, match="cannot be read"):
        read_study(damaged)


def test_a_member_that_was_not_tested_has_no_values() -> None:
    taken = {"images_seen": 1, "protocols": {}}
    tested = [{"tests": [{**taken, "checkpoint": "last.ckpt", "values": {"fd": 2.0}}]}, {"tests": []}]
    tested += [{"tests": [{**taken, "checkpoint": "best.ckpt", "values": {"fd": 1.0}}]}]
    assert values_of(tested, "fd", checkpoint="best") == [2, 1]
    assert values_of(tested, "fd", checkpoint="last") == [2]
    study = {"groups": {"a": "A"}, "records": {"a": {**tested[2], "seed": 0}}, "findings": {}}
    assert study_table(study) == [["A", "fd", "1", "", "0"]]


def test_values_under_different_protocols_have_no_mean() -> None:
    def tested(seed: int, protocol: str) -> dict[str, Any]:
        at = {"checkpoint": "last.ckpt", "images_seen": 1, "values": {"fd": 2.0}, "protocols": {"fd": protocol}}
        return {"recipe": "mnist", "seed": seed, "tests": [at]}

    assert values_of([tested(0, "old"), tested(1, "old")], "fd", checkpoint="last") == [2, 2]
    records = {"a": tested(0, "old"), "b": tested(1, "new"), "c": tested(2, "old")}
    with pytest.raises(RecordError, match=r"fd was taken .* old \(mnist, seed 2\), new \(mnist, seed 1\)"):
        values_of(records.values(), "fd", checkpoint="last")
    study = {"groups": dict.fromkeys(records, "A"), "records": records, "findings": {}}
    table = study_table(study)
    assert table == [["A", "fd", "2 +/- 0", "2 +/- 0", "2"], ["A", "fd", "2", "2", "1"]]
    assert note_on(table) == "note: a row for each protocol, not to be compared: fd of A"
    assert note_on(table[:1]) == ""
