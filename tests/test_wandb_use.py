"""W&B as people use it: a trial of a sweep, artifacts of runs and releases, a report; read back from local files."""

import json
import sys
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from made_runs import make_run
from wandb_files import history, ids, wandb_records, without_account

from zoo.__main__ import main
from zoo.commands.compare.reading import read_run
from zoo.errors import RecordError
from zoo.runs.command_lines import without_folders
from zoo.runs.record import read_result
from zoo.training.plan import make_plan
from zoo.training.scripts import script_of
from zoo.training.words import Words

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.usefixtures("few_draws")
PROJECT = "lightning-gan-zoo"


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without_account(monkeypatch, tmp_path)


def zoo(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["zoo", *map(str, arguments)])
    main()


def artifacts(records: list[Any], kind: str) -> list[Any]:
    found = [record.artifact for record in records if record.WhichOneof("record_type") == "artifact"]
    return [artifact for artifact in found if artifact.type == kind]


def files_in(artifact: Any) -> dict[str, int]:
    return {entry.path: entry.size for entry in artifact.manifest.contents}


def own_aliases(artifact: Any) -> list[str]:
    return sorted(set(artifact.aliases) - {"latest"})  # which W&B adds


def trial(command: list[str], parameters: dict[str, Any]) -> list[str]:
    """What the agent runs, by its own code: the command of the file with ${args} in place."""
    from wandb.sdk.launch.sweeps.utils import create_sweep_command_args

    given = create_sweep_command_args({"args": {name: {"value": value} for name, value in parameters.items()}})["args"]
    words = [given if word == "${args}" else [word] for word in command if word not in ("${env}", "${interpreter}")]
    return [word for part in words for word in part]


@pytest.mark.usefixtures("offline")
def test_a_trial_of_the_sweep_in_the_docs_is_the_agents_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the agent's id and its settings; and with the data, the record and both checkpoints as artifacts."""
    sweep = yaml.safe_load((ROOT / "docs/sweep.yaml").read_text())
    drawn = {name: sorted(known["values"])[0] for name, known in sweep["parameters"].items() if "values" in known}
    drawn["model.lr"] = sweep["parameters"]["model.lr"]["max"]
    parameters = tmp_path / "parameters.yaml"
    parameters.write_text(yaml.safe_dump({"wandb_version": 1, **{name: {"value": v} for name, v in drawn.items()}}))
    for name, value in (("RUN_ID", "agents1"), ("SWEEP_ID", "sweep1"), ("SWEEP_PARAM_PATH", str(parameters))):
        monkeypatch.setenv(f"WANDB_{name}", value)
    monkeypatch.setenv("WANDB_PROJECT", "of-the-sweep")
    small = ["--images=64", "--evaluation.every=32", "--evaluation.samples=50", "--evaluation.real_images=100"]
    words = trial(sweep["command"], drawn)
    assert words[:4] == ["-m", "zoo", "fit", "dcgan"]
    zoo(
        monkeypatch,
        *words[2:],
        *small,
        "--model.width=2",
        "--wandb_artifacts=true",
        "--keep.monitor=fd_lenet50",
        f"--data_dir={tmp_path}",
    )
    import wandb

    wandb.finish()
    wandb.teardown()
    (run,) = Path("runs/dcgan/digits").iterdir()
    assert run.name == "trial-agents1"
    records = wandb_records(run)
    assert ids(records) == {"agents1"} == {(run / "wandb_id").read_text().strip()}
    first = next(record.run for record in records if record.WhichOneof("record_type") == "run")
    assert (first.sweep_id, first.project) == ("sweep1", "of-the-sweep")
    config = {item.key: json.loads(item.value_json) for item in first.config.update}
    assert config.items() >= drawn.items()
    assert config["model"]["lr"] == drawn["model.lr"]
    assert sweep["metric"]["name"] == "fd_lenet2k"  # the recipe's own monitor
    points = history(records)
    assert [row["images_seen"] for row in points if "fd_lenet50" in row] == [0, 32, 64]
    record = read_result(run / "result.json")
    (data,) = artifacts(records, "dataset")
    assert data.use_after_commit
    assert json.loads(data.metadata)["fingerprint"] == record["dataset"]["fingerprint"]
    models = artifacts(records, "model")
    assert sorted(alias for model in models for alias in own_aliases(model)) == ["best", "last"]
    for model in models:
        about = json.loads(model.metadata)
        assert files_in(model) == {"model.ckpt": (run / f"checkpoints/{own_aliases(model)[0]}.ckpt").stat().st_size}
        assert about["dataset"] == record["dataset"]
        assert about["measures"].keys() >= {"fd_lenet50"}
        assert about["commands"] == [without_folders(command) for command in record["commands"]]
        assert "--data_dir=DIR" in about["commands"][0]
    assert any(name.startswith("result") for row in points for name in row)

    monkeypatch.setenv("WANDB_RUN_ID", "agents2")
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        zoo(monkeypatch, *words[2:], "--run_dir", run, "--ckpt_path", "last", "--images", "96")
    assert stop.value.code in (1, 2)
    assert "is W&B run agents1, and WANDB_RUN_ID=agents2 is another" in capsys.readouterr().err
    monkeypatch.delenv("WANDB_RUN_ID")
    monkeypatch.delenv("WANDB_SWEEP_ID")
    zoo(monkeypatch, "wandb-push", run, "--artifacts")  # afterwards, of a run that was mirrored
    assert "its checkpoints to W&B run agents1" in capsys.readouterr().out
    assert ids(wandb_records(run)) == {"agents1"}
    assert len(artifacts(wandb_records(run), "model")) == 2 * len(models)


def test_trials_of_one_second_and_of_one_job_lie_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two agents that are started together, and an agent that runs one trial after the other in a job of SLURM."""
    monkeypatch.setattr("zoo.training.plan.datetime", SimpleNamespace(now=lambda: datetime(2026, 1, 2)))
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep1")
    folders = []
    for job in ({}, {"SLURM_NTASKS": "1", "SLURM_JOB_ID": "1234", "SLURM_JOB_NAME": "sweep"}):
        for trial in ("a1", "b2"):
            with monkeypatch.context() as patch:
                patch.delenv("ZOO_RUN_STAMP", raising=False)  # of another process
                for name, value in {**job, "WANDB_RUN_ID": trial + str(len(job))}.items():
                    patch.setenv(name, value)
                plan = make_plan(Words.of(["fit"]), paper="dcgan", recipes=script_of("dcgan").recipes)
                folders.append(plan.run_dir)
                assert plan.run_dir == Path(f"runs/dcgan/digits/trial-{trial}{len(job)}")
    assert len(set(folders)) == 4


@pytest.mark.usefixtures("offline")
def test_a_release_is_an_artifact_with_its_card(monkeypatch: pytest.MonkeyPatch) -> None:
    from zoo.releases.find import SHIPPED

    zoo(monkeypatch, "wandb-push", "dcgan.mnist", "--project", "zoo")
    card = json.loads((SHIPPED / "dcgan.mnist/card.json").read_text())
    records = wandb_records(Path("runs/releases/dcgan.mnist"))
    (model,) = artifacts(records, "model")
    assert (model.name, own_aliases(model)) == ("dcgan.mnist", [card["training"]["checkpoint"]])
    about = json.loads(model.metadata)
    assert (about["name"], about["figures"], about["protocols"]) == ("dcgan.mnist", card["figures"], card["protocols"])
    assert files_in(model).keys() == {"G.safetensors", "D.safetensors", "grid.png", "card.json"}
    assert artifacts(records, "dataset")[0].use_after_commit
    assert any(row.items() >= card["figures"].items() for row in history(records))


def test_artifacts_want_a_mirror_and_a_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from zoo.commands.wandb.push import push

    pytest.importorskip("wandb")
    folder = make_run(tmp_path / "run", finished=False)
    with pytest.raises(RecordError, match=r"has no record yet, which artifacts are described by"):
        push(folder, artifacts=True)
    with pytest.raises(SystemExit):
        zoo(monkeypatch, "fit", "dcgan", "--recipe", "digits", "--wandb_artifacts", "true", "--run_dir", "absent")
    assert "--wandb_artifacts sends checkpoints to Weights & Biases: it needs --wandb true" in capsys.readouterr().err
    assert not Path("absent").exists()


# --- the report ---


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    made = [make_run(tmp_path / "runs/a", tests={"best": 66.0}), make_run(tmp_path / "runs/b", paper="wgan")]
    return [*made, make_run(tmp_path / "runs/c", paper="wgan", seed=1)]


def test_the_table_holds_best_and_last_with_protocols(runs: list[Path]) -> None:
    from zoo.commands.wandb.report import curves, table

    read = [read_run(path) for path in runs]
    protocol = read_result(runs[0] / "result.json")["measures"]["fd_lenet2k"]["protocol"]
    lines = table(read).splitlines()
    assert lines[2] == f"| gan digits a | fd_lenet2k | 50 | 200 | 60 | {protocol} |"
    assert lines[3] == f"| gan digits a | fd_lenet (test) | 66 | 400 |  | {protocol} |"
    assert len(lines) == 2 + 4
    assert curves(read) == ["fd_lenet2k"]


def test_the_table_shows_names_as_they_are_and_neither_other_checkpoints_nor_a_best_that_is_none(
    tmp_path: Path,
) -> None:
    from zoo.commands.wandb.report import table

    run = make_run(tmp_path / "a|b", tests={"best": 66.0, "last": 66.0, "images-000000200": 1.0})
    record = json.loads((run / "result.json").read_text())
    record["measures"]["fd_lenet2k"]["better"] = "neither"
    (run / "result.json").write_text(json.dumps(record))
    key = record["measures"]["fd_lenet2k"]["protocol"]
    assert table([read_run(run)]).splitlines()[2:] == [
        rf"| gan digits a\|b | fd_lenet2k |  |  | 60 | {key} |",
        rf"| gan digits a\|b | fd_lenet (test) | 66 | 400 |  | {key} |",
        rf"| gan digits a\|b | fd_lenet (test) |  | 400 | 66 | {key} |",
    ]


def test_the_table_holds_runs_that_have_not_ended(tmp_path: Path) -> None:
    from zoo.commands.wandb.report import table

    run = read_run(make_run(tmp_path / "a", finished=False))
    assert table([run]).splitlines()[2:] == [
        "| unknown paper digits a | fd_lenet2k | 50 | 200 | 60 | not recorded yet |"
    ]


@pytest.mark.usefixtures("offline")
def test_a_report_is_refused_before_anything_is_sent(
    runs: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused() -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            zoo(monkeypatch, "wandb-push", runs[0], "--report")
        assert stop.value.code == 1
        assert not (runs[0] / "wandb").exists()
        return capsys.readouterr().err

    with monkeypatch.context() as patch:
        patch.setattr("zoo.runs.extras.is_installed", lambda package: False)
        assert "--report needs wandb_workspaces, not installed here: pip install wandb_workspaces" in refused()
    monkeypatch.setattr("zoo.runs.extras.is_installed", lambda package: True)
    assert "set WANDB_API_KEY" in refused()


def test_a_report_is_laid_out_by_paper(runs: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """By the package itself, up to what it would send."""
    interface = pytest.importorskip(
        "wandb_workspaces.reports.v2.interface", reason="wandb-workspaces is not installed (the extra `reports`)"
    )
    from zoo.commands.wandb.report import push_report

    sent: list[dict[str, Any]] = []

    def answer(api: object, query: object, variables: dict[str, Any]) -> dict[str, Any]:
        if "spec" not in variables:
            return {"project": {"internalId": "project1"}}
        sent.append(variables)
        view = {"id": "report1", "name": "r", "displayName": variables["displayName"], "spec": variables["spec"]}
        return {"upsertView": {"view": view}}

    api = SimpleNamespace(projects=lambda entity: [SimpleNamespace(name=PROJECT)], default_entity="someone")
    monkeypatch.setattr(interface, "execute_graphql", answer)
    monkeypatch.setattr(interface, "_get_api", lambda: api)
    monkeypatch.setattr(interface, "get_app_url", lambda api: "https://wandb.example")
    monkeypatch.setenv("WANDB_ENTITY", "someone")
    url = push_report([read_run(path) for path in runs], project=PROJECT)
    assert url.startswith("https://wandb.example/someone/lightning-gan-zoo/reports/GANs-side-by-side")
    (call,) = sent
    blocks = json.loads(call["spec"])["blocks"]
    grids = [block["metadata"] for block in blocks if block["type"] == "panel-grid"]
    assert [grid["runSets"][0]["name"] for grid in grids] == ["all papers", "gan", "wgan"]
    assert "wgan" in json.dumps(grids[2]["runSets"][0]["filters"])
    assert "group" in json.dumps(grids[0]["runSets"][0]["grouping"])
    panels = grids[2]["panelBankSectionConfig"]["panels"]
    kinds = [panel["viewType"] for panel in panels]
    assert kinds.count("Media Browser") == 1
    media = next(panel["config"] for panel in panels if panel["viewType"] == "Media Browser")
    assert (media["mediaKeys"], media["mode"], media["gridSettings"]) == (
        ["grid"], "grid", {"xAxis": "step", "yAxis": "run"},
    )  # fmt: skip
    lines = [panel["config"] for panel in panels if panel["viewType"] == "Run History Line Plot"]
    assert [line["metrics"] for line in lines] == [["fd_lenet2k"], ["loss_discriminator", "loss_generator"]]
    assert {line["xAxis"] for line in lines} == {"images_seen"}
    assert "fd_lenet (test)" in call["spec"]


def test_a_report_is_made_where_its_runs_are(
    runs: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They were mirrored to `faces` while training, and the report had their charts of the default project: none."""
    made: list[str] = []
    monkeypatch.setattr("zoo.commands.wandb.report.refuse_report", lambda: None)
    monkeypatch.setattr("zoo.commands.wandb.report.push_report", lambda of, *, project: made.append(project))
    for run, project in zip(runs, ("faces", "faces", "digits"), strict=True):
        config = run / "config.yaml"
        config.write_text(config.read_text().replace("wandb: false", f"wandb: {project}"))
    zoo(monkeypatch, "wandb-push", *runs[:2], "--report")
    assert made == ["faces"]
    with pytest.raises(SystemExit):
        zoo(monkeypatch, "wandb-push", *runs, "--report")
    assert "a report is of one W&B project, and these runs are in digits, faces" in capsys.readouterr().err
    assert made == ["faces"]


def test_what_wandb_refuses_is_one_error(runs: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    from zoo.commands.wandb import report

    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_ENTITY", "someone")
    monkeypatch.setattr(report, "layout", lambda *_, **__: (_ for _ in ()).throw(ValueError("permission denied")))
    with pytest.raises(RecordError, match="W&B took no report on zoo: permission denied"):
        report.push_report([read_run(runs[0])], project="zoo")
