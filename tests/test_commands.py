"""The `zoo` command from its arguments on, and training with W&B offline and without W&B."""

import argparse
import contextlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from made_runs import make_run
from wandb_files import history, ids, wandb_records, without_account

from zoo.__main__ import main, parser
from zoo.experiments.suite import EvaluationSettings
from zoo.metrics.extractors import EXTRACTORS
from zoo.metrics.features import RESERVED
from zoo.models import MODELS
from zoo.runs.record import read_metrics
from zoo.training import reproduce
from zoo.training.scripts import script_of

pytestmark = pytest.mark.usefixtures("few_draws")
Zoo = Callable[..., str]
TINY = [
    "--model.width",
    "8",
    "--evaluation.samples",
    "100",
    "--evaluation.real_images",
    "500",
    "--keep.monitor",
    "null",
]


@pytest.fixture
def zoo(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Zoo:
    """As `python -m zoo ARGUMENTS`: what it prints."""

    def run(*arguments: object) -> str:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["zoo", *map(str, arguments)])
        main()
        return capsys.readouterr().out

    return run


@pytest.fixture
def refused(zoo: Zoo, capsys: pytest.CaptureFixture[str]) -> Zoo:
    """The one line of a command that must fail."""

    def run(*arguments: object) -> str:
        with pytest.raises(SystemExit) as stop:
            zoo(*arguments)
        assert stop.value.code == 1
        return capsys.readouterr().err

    return run


def train(*arguments: object) -> None:
    """DCGAN on the digits, tiny."""
    recipes = script_of("dcgan").recipes
    reproduce(MODELS["dcgan"], recipes, arguments=["fit", *map(str, arguments)])


def test_compare_prints_tables_and_writes_one_page(zoo: Zoo, tmp_path: Path) -> None:
    make_run(tmp_path / "runs/a")
    make_run(tmp_path / "runs/b", paper="wgan")
    text = zoo("compare")  # runs/ of the current folder
    assert "gan digits" in text
    assert "wgan digits" in text
    assert text.splitlines()[-1] == "page: compare.html"
    assert Path("compare.html").read_text().startswith("<!doctype html>")
    assert "page: " not in zoo("compare", tmp_path / "runs/a", "--page", "")
    assert "note: shared core" in zoo("compare", tmp_path / "runs/a", "--page", "own.html", "--note", "shared core")
    assert "<li>shared core</li>" in Path("own.html").read_text()
    assert "<title>gan: 1 run</title>" in Path("own.html").read_text()


def test_compare_refuses_in_one_line(refused: Zoo, tmp_path: Path) -> None:
    assert refused("compare").startswith("error: there is no run at runs: ")
    assert not Path("compare.html").exists()
    make_run(tmp_path / "a")
    assert "could not write" in refused("compare", tmp_path / "a", "--page", tmp_path / "absent/page.html")


def test_push_and_diff_refuse_in_one_line(refused: Zoo, tmp_path: Path) -> None:
    assert "there is no run at" in refused("wandb-push", tmp_path / "absent")
    assert refused("diff", "wgan", "vae").startswith("error: there is no paper 'vae'")
    assert refused("papers", "vae").startswith("error: there is no paper 'vae'")


@pytest.mark.parametrize("with_wandb", [True, False])
def test_training_resuming_and_comparing(
    zoo: Zoo, refused: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_wandb: bool
) -> None:
    """With W&B offline, both halves are one W&B run that holds each point; without W&B, all works the same."""
    if with_wandb:
        without_account(monkeypatch, tmp_path)
    else:
        monkeypatch.setitem(sys.modules, "wandb", None)
    run = tmp_path / "run"
    mirror = ["--wandb", "true"] if with_wandb else []
    train("--recipe", "digits", *TINY, "--images", 128, "--evaluation.every", 128, *mirror, "--run_dir", run)
    train("--run_dir", run, "--ckpt_path", "last", "--images", 256)
    rows = read_metrics(run / "metrics.jsonl")
    assert [row["images_seen"] for row in rows if "fd_lenet100" in row] == [0, 128, 256]
    assert "dcgan digits" in zoo("compare", run)
    if not with_wandb:
        assert "wandb is not installed" in refused("wandb-push", run)
        assert not (run / "wandb").exists()
        return
    import wandb

    wandb.finish()
    wandb.teardown()
    records = wandb_records(run)
    assert ids(records) == {(run / "wandb_id").read_text().strip()}
    assert len(list((run / "wandb").glob("offline-run-*"))) == 2
    mirrored = history(records)
    for row in rows:
        values = {name: value for name, value in row.items() if name not in ("time", "resumed", "generator_steps")}
        assert any(values.items() <= point.items() for point in mirrored), row
    assert sum("fd_lenet100" in point for point in mirrored) == 3
    assert "was mirrored to W&B while training" in refused("wandb-push", run)


def help_of(*words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What `zoo WORDS --help` prints, in one line."""
    monkeypatch.setattr(sys, "argv", ["zoo", *words, "--help"])
    with contextlib.suppress(SystemExit):
        main()
    return " ".join(capsys.readouterr().out.split())


def test_help_of_a_study_says_how_it_is_called(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = help_of("study", "dcgan", monkeypatch=monkeypatch, capsys=capsys)
    assert "usage: zoo study dcgan --name NAME " in shown
    assert "usage: zoo {fit,test,predict} dcgan " in shown
    assert "see `zoo study PAPER --help`" in help_of("study", monkeypatch=monkeypatch, capsys=capsys)


def test_each_option_is_explained() -> None:
    (commands,) = (a.choices for a in parser()._actions if isinstance(a, argparse._SubParsersAction))
    silent = [(name, a.option_strings or a.dest) for name, own in commands.items() for a in own._actions if not a.help]
    assert silent == []


@pytest.mark.parametrize("command", ["evaluate", "neighbours"])
def test_help_names_all_feature_networks(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = help_of(command, monkeypatch=monkeypatch, capsys=capsys)
    assert [name for name in EXTRACTORS if name not in shown] == []


def test_a_feature_network_is_known_where_its_name_stands() -> None:
    """What the line in EXTRACTORS does not bring by itself."""
    documented = inspect.getsource(EvaluationSettings).partition("extractors:")[2].partition("batchnorm:")[0]
    absent = [name for name in EXTRACTORS if name not in documented]
    assert not absent, f"name {absent} below `extractors` in zoo/experiments/suite.py: the help of fit and test"
    assert set(EXTRACTORS) == set(RESERVED), (
        "RESERVED in zoo/metrics/features.py keeps their names from users' networks"
    )


def test_an_unknown_option_is_answered_with_the_commands_own_usage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["zoo", "film", "runs/x", "--speed", "3"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    usage = capsys.readouterr().err
    assert usage.startswith("usage: zoo film ")
    assert usage.endswith("error: unrecognized arguments: --speed 3\n")
