"""The result record of a run."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
import torchvision
from made_runs import make_run

import zoo
from zoo.errors import RecordError
from zoo.runs import environment
from zoo.runs.environment import describe_commit, describe_hardware, describe_versions
from zoo.runs.folder import RunDir
from zoo.runs.record import overridden, overrides, read_result, summarise_measures, validate_result, write_result
from zoo.training import report

# --- measures ---

ROWS = [
    {"images_seen": 0, "fid5k": 300.0, "is5k": 1.0},
    {"images_seen": 100, "d_loss": 1.0},
    {"images_seen": 200, "fid5k": 40.0, "is5k": 5.0},
    {"images_seen": 300, "fid5k": 40.0, "is5k": 7.0},
    {"images_seen": 400, "fid5k": 55.0, "is5k": 6.0},
]


def test_first_best_and_last_of_each_measure() -> None:
    measures = summarise_measures(
        ROWS, {"fid5k": "lower", "is5k": "higher", "kid5k": "lower"}, protocols={"fid5k": "h"}
    )
    assert measures == {
        "fid5k": {
            "first": {"value": 300.0, "images_seen": 0},
            "best": {"value": 40.0, "images_seen": 200},  # the earlier of two equal ones
            "last": {"value": 55.0, "images_seen": 400},
            "better": "lower",
            "protocol": "h",
        },
        "is5k": {
            "first": {"value": 1.0, "images_seen": 0},
            "best": {"value": 7.0, "images_seen": 300},
            "last": {"value": 6.0, "images_seen": 400},
            "better": "higher",
        },
    }
    described = summarise_measures(ROWS, {"fid5k": "neither"})["fid5k"]
    assert described["best"] == described["last"] == {"value": 55.0, "images_seen": 400}
    with pytest.raises(RecordError, match=r"better\['fid5k'\] is 'min'"):
        summarise_measures(ROWS, {"fid5k": "min"})


def test_a_value_of_one_batch_is_no_measure() -> None:
    """InfoGAN's training steps log the information of their batch under the name of the measure of 10,000 samples."""
    rows = [
        {"images_seen": 0, "information": 0.1},
        {"images_seen": 50, "loss_discriminator": 1.0, "information": 2.4},
        {"images_seen": 100, "information": 2.2},
        {"images_seen": 100, "loss_discriminator": 1.0, "information": 1.9},
    ]
    found = summarise_measures(rows, {"information": "higher"})["information"]
    assert found["best"] == found["last"] == {"value": 2.2, "images_seen": 100}


@pytest.mark.parametrize("better", ["lower", "higher"])
def test_a_value_that_was_not_finite_is_shown_and_never_the_best(better: Any) -> None:
    rows = [{"images_seen": 1, "m": 2.0}, {"images_seen": 2, "m": None, "m_nonfinite": "nan"}]
    assert summarise_measures(rows, {"m": better})["m"] == {
        "first": {"value": 2.0, "images_seen": 1},
        "best": {"value": 2.0, "images_seen": 1},
        "last": {"value": None, "images_seen": 2},
        "better": better,
    }
    only = summarise_measures(rows[1:], {"m": better})["m"]
    assert only["first"] == only["best"] == only["last"] == {"value": None, "images_seen": 2}


# --- the record ---


def record() -> dict[str, Any]:
    return {
        "schema": 1,
        "paper": "dcgan",
        "recipe": "cifar10",
        "dataset": {"name": "cifar10", "fingerprint": "ab" * 32, "split": "train", "images": 50000},
        "budget": 400,
        "images_seen": 448,
        "discriminator_steps": 7,
        "generator_steps": 7,
        "measures": summarise_measures(
            ROWS, {"fid5k": "lower", "is5k": "higher"}, protocols={"fid5k": "h1", "is5k": "h1"}
        ),
        "tests": [
            {"checkpoint": "last.ckpt", "images_seen": 448, "values": {"fid50k": 9.5}, "protocols": {"fid50k": "h1"}}
        ],
        "protocols": {"h1": {"fake": 5000, "extractor": None}},
        "seed": 0,
        "commit": "0123456789" * 4 + "+dirty",
        "versions": describe_versions(),
        "hardware": {"cpu": "a CPU", "cores": 2, "memory_gib": 7.8, "gpus": []},
        "precision": "32-true",
        "wall_time_s": 12.5,
        "images_per_second": 35.8,
        "commands": [["python", "reproductions/dcgan.py", "fit"]],
        "started": "2025-01-31T12:00:00+00:00",
        "finished": "2025-01-31T13:00:30+01:00",  # half a minute later: offsets count
        "interruptions": 1,
    }


def test_a_record_comes_back_from_file_and_folder(tmp_path: Path) -> None:
    write_result(RunDir(tmp_path), record())
    assert [file.name for file in tmp_path.iterdir()] == ["result.json"]
    assert read_result(tmp_path / "result.json") == read_result(tmp_path) == record()
    nulls = record() | {"commit": None}
    nulls["hardware"]["memory_gib"] = None
    nulls["measures"]["fid5k"]["last"]["value"] = None
    write_result(tmp_path, nulls)
    assert read_result(tmp_path) == nulls


def fields(tree: dict[str, Any], *, above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    below = [fields(v, above=(*above, k)) for k, v in tree.items() if isinstance(v, dict) and k != "protocols"]
    return [(*above, key) for key in tree] + [path for paths in below for path in paths]


def put(tree: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """A copy of `tree` with `value` at `path`; the field is removed where `value` is ..."""
    tree = copy.deepcopy(tree)
    inner = tree
    for key in path[:-1]:
        inner = inner[key]
    if value is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return tree


FREE = {("measures", "fid5k"), ("measures", "is5k")}  # names that the run chooses


@pytest.mark.parametrize("path", fields(record()), ids=".".join)
def test_every_field_is_required_and_typed(path: tuple[str, ...]) -> None:
    name = re.escape(".".join(path))
    if path not in FREE:
        with pytest.raises(RecordError, match=rf"^{name} is missing$"):
            validate_result(put(record(), path, ...))
    with pytest.raises(RecordError, match=rf"^{name} must be .*, it is <object"):
        validate_result(put(record(), path, object()))


WRONG: list[tuple[str, Any, str]] = [
    ("schema", 2, "schema must be 1"),
    ("paper", "", "paper must be a non-empty text, it is ''"),
    ("seed", True, "seed must be an integer, it is True"),
    ("images_seen", -1, "images_seen must be an integer of 0 or more"),
    ("images_seen", 1.0, "images_seen must be an integer of 0 or more"),
    ("wall_time_s", float("nan"), "wall_time_s must be a finite number, it is nan"),
    ("wall_time_s", -0.5, "wall_time_s must be 0 or more"),
    ("commit", "abc", "commit must be a full git hash"),
    ("started", "2025-01-31T12:00:00", "started must be an ISO time with its offset"),
    ("started", "yesterday", "started must be an ISO time"),
    ("finished", "2025-01-31T12:59:59+01:00", "lies before started"),
    ("commands", "python x.py", "commands must be a list"),
    ("commands", ["python x.py"], r"commands\[0\] must be a list"),
    ("commands", [["python", 3]], r"commands\[0\]\[1\] must be a text, it is 3"),
    ("tests", [{"checkpoint": "last.ckpt"}], r"tests\[0\]\.\w+ is missing"),
    ("tests", {}, "tests must be a list"),
    ("colour", "red", "colour is no field of the record"),
    ("hardware.tpus", 1, r"hardware\.tpus is no field"),
    ("measures.fid5k.best.value", "x", r"measures\.fid5k\.best\.value must be a finite number, it is 'x'"),
    ("measures.fid5k.better", "min", r"measures\.fid5k\.better must be one of 'lower', 'higher', 'neither'"),
    ("measures.fid5k.protocol", "h2", r"measures\.fid5k\.protocol 'h2' is not among protocols"),
    ("measures.fid5k.best.value", 60.0, r"measures\.fid5k\.best is 60\.0, but its last value 55\.0 is better"),
    ("measures.is5k.best.value", 5.5, r"measures\.is5k\.best is 5\.5, but its last value 6\.0 is better"),
    ("measures.is5k.best.value", None, r"measures\.is5k\.best is None, but its first value 1\.0 is better"),
    ("protocols.h1", {"x": float("inf")}, r"protocols\.h1 must hold plain JSON values"),
    ("protocols.h1", {"x": Path("a")}, r"protocols\.h1 must hold plain JSON values"),
]


@pytest.mark.parametrize(("field", "value", "says"), WRONG, ids=[f"{f}={v}" for f, v, _ in WRONG])
def test_a_wrong_value_is_named_and_never_written(tmp_path: Path, field: str, value: Any, says: str) -> None:
    wrong = put(record(), tuple(field.split(".")), value)
    with pytest.raises(RecordError, match=says):
        validate_result(wrong)
    write_result(tmp_path, record())
    with pytest.raises(RecordError, match=rf"^not written to .*result\.json: .*{says}"):
        write_result(tmp_path, wrong)
    assert read_result(tmp_path) == record()


def test_a_record_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"there is no result .*result\.json: it is written when a run ends"):
        read_result(tmp_path)
    path = tmp_path / "result.json"
    path.write_text('{"schema": 1')
    with pytest.raises(RecordError, match=r"result\.json cannot be read as JSON"):
        read_result(path)
    path.write_text("[]")
    with pytest.raises(RecordError, match="the record must be an object"):
        read_result(path)
    path.write_text(json.dumps(record() | {"seed": "0"}))
    with pytest.raises(RecordError, match=r"result\.json: seed must be an integer, it is '0'"):
        read_result(path)


# --- what the run ran on ---


def test_versions_are_those_of_the_modules() -> None:
    versions = describe_versions()
    assert versions["python"] == ".".join(map(str, sys.version_info[:3]))
    for module in (torch, torchvision, numpy):
        assert module.__version__.split("+")[0] == versions[module.__name__].split("+")[0]
    assert versions["zoo"] == zoo.__version__
    assert set(versions) == {"python", "torch", "lightning", "torchmetrics", "torchvision", "numpy", "zoo"}


def test_hardware_is_this_machine() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        hardware = describe_hardware(gpus=0)
        assert hardware["cores"] == 1  # used, not owned
    finally:
        torch.set_num_threads(before)
    assert hardware["gpus"] == []
    assert hardware["cpu"].strip() not in ("", "unknown")
    if Path("/proc/meminfo").exists():
        kib = int(re.search(r"MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text())[1])
        assert hardware["memory_gib"] == pytest.approx(kib / 2**20, abs=0.06)
    assert len(describe_hardware()["gpus"]) == torch.cuda.device_count()
    validate_result(record() | {"hardware": hardware})


@pytest.mark.parametrize(("capability", "behind"), [("AVX512", ", AVX512"), ("DEFAULT", ""), ("NO AVX", "")])
def test_processors_of_one_name_are_told_apart(capability: str, behind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "_cpu_model", lambda: "a CPU")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert describe_hardware(gpus=0)["cpu"] == f"a CPU{behind}"


def git(folder: Path, *arguments: str) -> str:
    settings = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *settings, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_commit_follows_the_checkout(tmp_path: Path) -> None:
    assert describe_commit(tmp_path) is None  # outside a checkout
    package = tmp_path / "zoo"
    package.mkdir()
    git(tmp_path, "init", "-q")
    (package / "a.py").write_text("1")
    git(tmp_path, "add", ".")
    assert describe_commit(package) is None  # no commit yet
    git(tmp_path, "commit", "-qm", "first")
    head = git(tmp_path, "rev-parse", "HEAD")
    assert describe_commit(package) == describe_commit(tmp_path) == head
    (package / "a.py").write_text("2")
    assert describe_commit(package) == f"{head}+dirty"
    git(tmp_path, "checkout", "-q", ".")
    (tmp_path / "new.py").write_text("3")
    assert describe_commit(package) == f"{head}+dirty"
    (tmp_path / ".gitignore").write_text("new.py\n.gitignore\n.venv\n")
    assert describe_commit(package) == head
    installed = tmp_path / ".venv" / "site-packages" / "zoo"
    installed.mkdir(parents=True)
    (installed / "a.py").write_text("1")
    assert describe_commit(installed) is None  # inside somebody else's checkout
    assert describe_commit(tmp_path / "absent") is None


def test_without_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert describe_commit(Path(__file__).parent) is None


def test_records_are_read_without_torch(tmp_path: Path) -> None:
    write_result(tmp_path, record())
    code = (
        "import sys; from zoo.runs.record import read_result; print(read_result(sys.argv[1])['paper']);"
        "assert not {'torch', 'lightning', 'numpy', 'wandb'} & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "dcgan"), done.stderr


def test_hardware_counts_the_gpus_of_all_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "describe_hardware", lambda *, gpus: {"cpu": "c", "gpus": ["H100"] * gpus})
    for kind, nodes, gpus in (("cuda", 1, 4), ("cuda", 2, 8), ("cpu", 2, 0)):
        strategy = Namespace(root_device=Namespace(type=kind))
        trainer: Any = Namespace(num_devices=4, num_nodes=nodes, strategy=strategy)
        assert report.hardware_of(trainer) == {"cpu": "c", "gpus": ["H100"] * gpus}


# --- what a run overrides ---

SCRIPT = ["python", "reproductions/dcgan.py", "fit", "--recipe=mnist", "--model.width", "32", "--run_dir=RUN"]
ZOO = ["zoo", "fit", "dcgan", "--images=200", "--evaluation.every=50", "--keep.monitor", "fid5k", "--model.width=16"]
TEST = ["zoo", "test", "dcgan", "--images=7"]


def test_overrides_are_told_from_either_way_to_start_a_run() -> None:
    assert overridden([SCRIPT, TEST]) == {"--model.width": "32"}
    assert overridden([SCRIPT, ZOO, TEST]) == {"--model.width": "16", "--images": "200"}  # the last one counts
    assert overridden([["zoo", "fit", "dcgan"], ["python", "reproductions/dcgan.py", "study", "fit"]]) == {}


def test_where_and_how_a_run_was_made_overrides_nothing() -> None:
    """Else each --name would be settings of its own, and seeds with names no group."""
    place = ["--name", "seed-0", "--data.root=DIR", "--data.init_args.root", "DIR", "--wandb_artifacts", "true"]
    machine = ["--devices", "4", "--trainer.num_nodes=2", "--trainer.accelerator", "gpu", "--trainer.strategy", "ddp"]
    looks = ["--trainer.enable_progress_bar=false", "--trainer.log_every_n_steps", "10", "--keep.archive_every=5"]
    own = ["--trainer.precision", "bf16-mixed", "--data.train_images=50"]
    assert overridden([["zoo", "fit", "dcgan", *place, *machine, *looks, *own]]) == {
        "--trainer.precision": "bf16-mixed",
        "--data.train_images": "50",
    }


def test_the_record_says_what_was_overridden_and_old_records_are_asked_for_their_commands() -> None:
    old = {**record(), "commands": [SCRIPT, ZOO]}
    new = {**record(), "commands": [["unreadable"]], "overrides": overridden([SCRIPT, ZOO])}
    for either in (old, new):
        validate_result(either)
        assert overrides(either) == " --model.width 16 --images 200"
        assert overrides(either, leave_out=["--images"]) == " --model.width 16"
    with pytest.raises(RecordError, match=r"overrides.--images must be a text, it is 200"):
        validate_result({**record(), "overrides": {"--images": 200}})


def test_a_value_of_test_that_is_not_finite_is_named_and_keeps_no_other_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such as a rank correlation with an estimate that never moved."""
    run = RunDir(make_run(tmp_path / "run"))
    protocol = {"n_fake": 10}
    latest = {"fd_lenet": 2.0, "kd_lenet": float("nan"), "kd_lenet_std": float("inf")}
    measurement: Any = Namespace(
        latest=latest, hashes={"fd_lenet": "p", "kd_lenet": "p"}, protocols={"p": protocol}, notes=[]
    )
    plan: Any = Namespace(checkpoint=run.last_checkpoint, lock=Namespace(take=lambda wait_s: None))
    module: Any = Namespace(images_seen=400)
    report.RunReport(run, plan=plan, settings={}).add_test(module, measurement=measurement)
    (test,) = read_result(run.path)["tests"]
    assert (test["values"], test["protocols"]) == ({"fd_lenet": 2.0}, {"fd_lenet": "p"})
    assert "note: kd_lenet is not finite" in capsys.readouterr().out
