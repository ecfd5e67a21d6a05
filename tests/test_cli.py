"""The command line of a reproduction, from the first word to the record it leaves."""

import inspect
import pickle
import re
import shutil
import sys
import urllib.error
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from command_line import refused, zoo
from parsers import parser_of
from PIL import Image
from toys import draw_few, same, state_of

from zoo.models import MODELS
from zoo.runs.folder import RunDir
from zoo.runs.record import overridden, read_metrics, read_result, write_result
from zoo.training.cli import ReproductionCLI
from zoo.training.plan import make_plan
from zoo.training.scripts import script_of
from zoo.training.stopwatch import commands_in
from zoo.training.words import Words

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.usefixtures("few_draws")
TINY = ["--model.width", "8", "--evaluation.samples", "100", "--evaluation.real_images", "500"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Path:
    """A short run of DCGAN on the digits, with an evaluation before and after."""
    patch = pytest.MonkeyPatch()
    patch.setenv("ZOO_CACHE", str(shared_cache))
    draw_few(patch)
    run = tmp_path_factory.mktemp("runs") / "run"
    options = ["--images", "512", "--evaluation.every", "256", "--keep.checkpoint_every", "256", "--run_dir", str(run)]
    zoo("dcgan", "fit", "--recipe", "digits", *TINY, *options, "--keep.monitor", "fd_lenet100")
    patch.undo()
    return run


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of that run that a test may change."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def test_fit_leaves_the_record_of_a_run(finished: Path) -> None:
    config = yaml.safe_load((finished / "config.yaml").read_text())
    assert (config["recipe"], config["images"], config["model"]["width"]) == ("digits", 512, 8)
    rows = read_metrics(finished / "metrics.jsonl")
    assert [row["images_seen"] for row in rows if "fd_lenet100" in row] == [0, 256, 512]
    grids = sorted(path.name for path in (finished / "grids").iterdir())
    assert grids == ["images-000000000.png", "images-000000512.png"]
    assert Image.open(finished / "grids" / grids[0]).size == (4 * (8 * 34 + 2), 4 * (8 * 34 + 2))
    assert {path.name for path in (finished / "checkpoints").iterdir()} == {"last.ckpt", "best.ckpt"}
    record = read_result(finished)
    assert (record["paper"], record["recipe"], record["images_seen"]) == ("dcgan", "digits", 512)
    measure = record["measures"]["fd_lenet100"]
    assert measure["last"]["value"] == rows[-1]["fd_lenet100"]
    assert record["protocols"][measure["protocol"]]["n_fake"] == 100
    assert len(record["commands"]) == 1


def test_a_second_run_never_overwrites_the_first(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    text = refused(capsys, "dcgan", "fit", "--recipe", "digits", *TINY, "--images", "64", "--run_dir", str(run))
    assert "holds a run already" in text
    assert "--ckpt_path last" in text
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


def figures_taken(run: Path) -> dict[str, Any]:
    """A record as if `test` had measured the last checkpoint."""
    record = read_result(run)
    taken = {"checkpoint": "last.ckpt", "images_seen": 512, "values": {"fd": 1.0}, "protocols": {}}
    write_result(RunDir(run), {**record, "tests": [taken]})
    return taken


def test_resume_goes_on_with_the_run_and_forgets_what_came_after_the_checkpoint(run: Path) -> None:
    figures_taken(run)
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"images_seen": 576, "time": 1.0, "loss_generator": 9.0}\n{"images_seen": 6')  # a killed run's end
    zoo("dcgan", "fit", "--run_dir", str(run), "--ckpt_path", "last", "--images", "1024")
    record = read_result(run)
    assert (record["images_seen"], record["budget"], record["interruptions"]) == (1024, 1024, 1)
    assert len(record["commands"]) == 2
    assert record["overrides"] == overridden(record["commands"])
    assert record["tests"] == []  # of a checkpoint that is another now
    rows = read_metrics(run / "metrics.jsonl")
    assert 576 not in [row["images_seen"] for row in rows]
    assert [row["images_seen"] for row in rows if "fd_lenet100" in row] == [0, 256, 512, 768, 1024]
    assert yaml.safe_load((run / "config.yaml").read_text())["model"]["width"] == 8  # inherited, not the recipe's


def test_resuming_a_finished_run_changes_nothing_but_the_command_list(run: Path) -> None:
    before, weights = read_result(run), state_of(run / "checkpoints/last.ckpt")["state_dict"]
    taken = figures_taken(run)
    zoo("dcgan", "fit", "--run_dir", str(run), "--ckpt_path", "last")
    after = read_result(run)
    assert after["tests"] == [taken]
    assert same(weights, state_of(run / "checkpoints/last.ckpt")["state_dict"])
    assert (after["images_seen"], after["interruptions"]) == (before["images_seen"], 1)
    assert after["measures"] == before["measures"]
    assert commands_in(run / "checkpoints/last.ckpt") == after["commands"]
    assert len(after["commands"]) == 2


def test_test_prints_and_records_the_figures_with_their_protocol(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*arguments: Any, **options: Any) -> None:
        raise urllib.error.URLError("no network")

    monkeypatch.setattr("zoo.metrics.inception.fetch", offline)
    monkeypatch.setenv("TORCH_HOME", str(run / "empty"))
    (run / "checkpoints/best.ckpt").unlink()
    zoo("dcgan", "test", "--run_dir", str(run), "--evaluation.test_samples", "200")
    out = capsys.readouterr().out
    for name in ("fd_lenet200", "is_lenet200", "kd_lenet200"):
        assert name in out
    assert "FID, IS and KID of Inception features were not taken" in out
    assert "ZOO_INCEPTION_WEIGHTS" in out
    record = read_result(run)
    (taken,) = record["tests"]
    assert taken["images_seen"] == 512
    assert taken["values"]["fd_lenet200"] == read_metrics(run / "metrics.jsonl")[-1]["test/fd_lenet200"]
    protocol = record["protocols"][taken["protocols"]["fd_lenet200"]]
    assert (protocol["n_fake"], protocol["dataset"]) == (200, "Digits")
    assert protocol["batchnorm"] == "reestimated where there is any"  # as in the recipes on digits of all papers
    text = refused(capsys, "dcgan", "test", "--run_dir", str(run), "--evaluation.extractors", "[inception]")
    assert "ZOO_INCEPTION_WEIGHTS" in text
    assert "fd_lenet" in text  # what can be computed instead


@pytest.mark.parametrize("asked", ["best", "last"])
def test_figures_of_the_last_checkpoint_are_those_of_the_best_where_they_are_one(run: Path, asked: str) -> None:
    few = ("--evaluation.test_samples", "100", "--evaluation.extractors", "[lenet]")
    best, last = (run / "checkpoints" / f"{name}.ckpt" for name in ("best", "last"))
    shutil.copy(last, best)
    zoo("dcgan", "test", "--run_dir", str(run), "--ckpt_path", asked, *few)
    one, other = read_result(run)["tests"]
    assert [one["checkpoint"], other["checkpoint"]] == ["best.ckpt", "last.ckpt"]
    assert one | {"checkpoint": "last.ckpt"} == other

    checkpoint = torch.load(last, weights_only=True)
    checkpoint["state_dict"]["images_seen"] -= 64  # as if the best had come before
    torch.save(checkpoint, best)
    zoo("dcgan", "test", "--run_dir", str(run), "--ckpt_path", asked, *few)
    seen = {test["checkpoint"]: test["images_seen"] for test in read_result(run)["tests"]}
    assert seen == {"best.ckpt": 448 if asked == "best" else 512, "last.ckpt": 512}


def test_a_checkpoint_of_another_run_is_not_entered_into_a_record(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its figures stood there as those of the run's own best.ckpt."""
    other = run.parent / "elsewhere" / "best.ckpt"
    other.parent.mkdir()
    shutil.copy(run / "checkpoints/last.ckpt", other)
    text = refused(capsys, "dcgan", "test", "--run_dir", str(run), "--ckpt_path", str(other))
    assert f"{other} is no checkpoint of the run in {run}" in text
    assert "zoo evaluate" in text
    assert not read_result(run)["tests"]


def test_predict_writes_the_same_images_every_time(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    zoo("dcgan", "predict", "--run_dir", str(run), "--samples", "5")
    first = {path.name: path.read_bytes() for path in (run / "samples").iterdir()}
    assert sorted(first) == [f"{i:06d}.png" for i in range(5)]
    assert Image.open(run / "samples/000000.png").size == (32, 32)
    assert len(set(first.values())) == 5
    zoo("dcgan", "predict", "--run_dir", str(run), "--samples", "5")
    assert first == {path.name: path.read_bytes() for path in (run / "samples").iterdir()}
    assert "5 images in" in capsys.readouterr().out
    (run / "samples/of-my-own.png").touch()
    zoo("dcgan", "predict", "--run_dir", str(run), "--samples", "2")  # leaves none of the five
    assert {path.name for path in (run / "samples").iterdir()} == {"000000.png", "000001.png", "of-my-own.png"}
    assert all((run / "samples" / name).read_bytes() == first[name] for name in ("000000.png", "000001.png"))


@pytest.mark.parametrize("paper", MODELS)
def test_every_recipe_parses(paper: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The first by the command itself, the others by its parser alone."""
    recipes = script_of(paper).recipes
    for recipe, asked in recipes.items():
        if recipe == next(iter(recipes)):
            with pytest.raises(SystemExit) as stop:
                zoo(paper, "fit", "--recipe", recipe, "--print_config")
            assert stop.value.code in (0, None)
            config = yaml.safe_load(capsys.readouterr().out)
        else:
            plan = make_plan(Words.of(["fit", "--recipe", recipe]), paper=paper, recipes=recipes)
            config = parser_of(paper, "fit").parse_object(dict(plan.base)).as_dict()
        assert config["recipe"] == recipe
        assert config["data"]["class_path"].startswith("zoo.data.")
        for name, value in asked.config["model"].items():
            if inspect.signature(MODELS[paper]).parameters[name].annotation in (float, "float"):
                assert isinstance(value, float), f"{recipe}: {name} has no point, and the parser leaves its defaults"
    assert list(tmp_path.iterdir()) == []  # looking makes no run


def test_denormal_numbers_are_flushed_in_training_alone(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[bool] = []
    monkeypatch.setattr(torch, "set_flush_denormal", flushed.append)
    zoo("dcgan", "fit", "--recipe", "digits", "--images", "64", "--run_dir", str(tmp_path / "trained"), *TINY)
    assert flushed == [True]
    zoo("dcgan", "predict", "--run_dir", str(run), "--samples", "1")
    assert flushed == [True, False]


class TestMatmulPrecision:
    """It is that of training alone, and the record says so where it is not float32's."""

    @pytest.fixture
    def asked_for(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """What torch was told."""
        told: list[str] = []
        monkeypatch.setattr(torch, "set_float32_matmul_precision", told.append)
        return told

    def test_training_and_its_record(self, asked_for: list[str], tmp_path: Path) -> None:
        run = tmp_path / "run"
        options = ["--recipe", "digits", "--images", "128", "--run_dir", str(run), *TINY]
        zoo("dcgan", "fit", *options, "--matmul_precision", "medium")
        assert set(asked_for) == {"medium"}
        assert read_result(run)["precision"] == "32-true, medium matmul"
        asked_for.clear()
        zoo("dcgan", "fit", "--ckpt_path", "last", "--images", "256", "--run_dir", str(run))
        assert set(asked_for) == {"medium"}
        asked_for.clear()
        zoo("dcgan", "predict", "--run_dir", str(run), "--samples", "1")
        assert set(asked_for) == {"highest"}

    def test_float32_is_not_mentioned(self, finished: Path) -> None:
        assert read_result(finished)["precision"] == "32-true"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["test", "--images", "500"], "--images does nothing in test: leave it out"),
        (["test", "--keep.monitor=null"], "--keep.monitor does nothing in test"),
        (["test", "--evaluation.samples", "500"], "(or do you mean --evaluation.test_samples?)"),
        (["predict", "--init_from", "dcgan.mnist"], "--init_from does nothing in predict"),
        (["predict", "--evaluation.test_samples", "5"], "(or do you mean --samples?)"),
        (["fit", "--ckpt_path", "last", "--samples", "5"], "(or do you mean --evaluation.samples?)"),
    ],
)
def test_options_of_another_subcommand_are_refused(
    run: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    """Two thousand samples were asked for and fifty thousand drawn, without a word."""
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert says in refused(capsys, "dcgan", words[0], "--run_dir", str(run), *words[1:])
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


def test_the_help_names_the_run_options(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        zoo("dcgan", "fit", "--help_all")
    assert stop.value.code == 0
    assert {"--run_dir", "--ckpt_path", "--name", "--recipe"} <= set(capsys.readouterr().out.split())


class TestCheckpoints:
    """A checkpoint that does not fit is refused before anything is written."""

    def test_of_another_model(self, run: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        options = ["--recipe", "digits", "--run_dir", str(tmp_path / "new"), "--ckpt_path"]
        text = refused(capsys, "gan", "fit", *options, str(run / "checkpoints/last.ckpt"))
        assert "is of dcgan, this is gan: use reproductions/dcgan.py" in text

    def test_of_another_width(self, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
        text = refused(capsys, "dcgan", "fit", "--run_dir", str(run), "--ckpt_path", "last", "--model.width", "16")
        assert re.search(r"width: 8 there, 16 here", text)

    def test_truncated(self, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
        last = run / "checkpoints/last.ckpt"
        last.write_bytes(last.read_bytes()[:-1000])
        text = refused(capsys, "dcgan", "fit", "--run_dir", str(run), "--ckpt_path", "last", "--images", "600")
        assert "truncated or damaged" in text

    def test_with_code_in_it(self, run: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        class Attack:
            def __reduce__(self) -> Any:
                return (Path.touch, (tmp_path / "executed",))

        torch.save({"state_dict": {}, "x": Attack()}, run / "checkpoints/last.ckpt")
        text = refused(capsys, "dcgan", "test", "--run_dir", str(run))
        assert "NOT executed" in text
        (run / "checkpoints/last.ckpt").write_bytes(pickle.dumps(Attack()))
        assert "NOT executed" in refused(capsys, "dcgan", "test", "--run_dir", str(run))
        assert not (tmp_path / "executed").exists()


def test_disk_full_leaves_the_previous_checkpoint(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (run / "checkpoints/last.ckpt").read_bytes()

    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    text = refused(capsys, "dcgan", "fit", "--run_dir", str(run), "--ckpt_path", "last", "--images", "640")
    assert "No space left" in text
    monkeypatch.undo()
    assert (run / "checkpoints/last.ckpt").read_bytes() == before


def test_the_default_recipe_is_said(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    zoo("dcgan", "fit", "--images", "64", "--run_dir", str(tmp_path / "new"), *TINY)
    assert "no --recipe was given: this is digits" in capsys.readouterr().out
    zoo("dcgan", "fit", "--ckpt_path", "last", "--images", "128", "--run_dir", str(tmp_path / "new"))
    assert "no --recipe" not in capsys.readouterr().out


def test_more_devices_take_the_strategy_that_works(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: dict[str, Any] = {}

    class Stop(Exception):
        pass

    def look(self: ReproductionCLI, **options: Any) -> None:
        chosen.update(self.settings.trainer)
        raise Stop

    monkeypatch.setattr(ReproductionCLI, "instantiate_trainer", look)
    with pytest.raises(Stop):
        zoo("dcgan", "fit", "--recipe", "digits", "--devices", "2", "--run_dir", "run")
    assert (chosen["devices"], chosen["strategy"]) == (2, "ddp_find_unused_parameters_true")


def test_wandb_mirrors_offline_without_a_prompt(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setattr(sys, "stdin", None)
    zoo("dcgan", "fit", "--run_dir", str(run), "--ckpt_path", "last", "--images", "576", "--wandb", "true")
    import wandb

    wandb.finish()
    assert (run / "wandb_id").read_text().strip()
    assert list((run / "wandb").glob("offline-run-*/*.wandb"))
