import re
import shutil
from functools import partial

import pytest
import yaml
from parsers import parser_of

from zoo.commands.pretrain import pretrain, start, state_of, steps
from zoo.commands.targets import TARGETS, Target
from zoo.data import DATASETS
from zoo.errors import ReleaseError
from zoo.models import MODELS
from zoo.models.trained import FinishedRun
from zoo.runs.children import Children
from zoo.training.plan import make_plan
from zoo.training.scripts import script_of
from zoo.training.words import Words

DIGITS = Target("dcgan", "digits", "digits", 90, ("--images=192",))


def words(commands):
    return [command[0] for command in commands]


def test_precision_is_what_the_processor_has(monkeypatch):
    target = next(target for target in TARGETS if target.name == "pggan.mnist")  # whose recipe says bf16-mixed
    for there, precision in ((True, "bf16-mixed"), (False, "32-true")):
        monkeypatch.setattr("zoo.commands.targets.has_bfloat16", lambda there=there: there)
        assert f"--trainer.precision={precision}" in target.training(cuda=False)[0]
        assert "--trainer.precision=bf16-mixed" in target.training(cuda=True)[0]


def test_every_paper_is_among_the_targets_with_a_recipe_that_keeps_a_best_checkpoint():
    assert {target.paper for target in TARGETS} == set(MODELS)
    for target in TARGETS:
        recipe = script_of(target.paper).recipes[target.recipe]
        assert recipe.config["keep"]["monitor"], target


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_every_target_is_a_command_line(target):
    for cuda in (False, True)[: 1 + bool(target.gpu)]:
        options, minutes = target.training(cuda=cuda)
        words, recipes = Words.of(["fit", *options, "--data_dir=DATA"]), script_of(target.paper).recipes
        plan = make_plan(words, paper=target.paper, recipes=recipes)
        read = [f"--config={yaml.safe_dump(dict(plan.base))}", *plan.words.rest]
        config = parser_of(target.paper, "fit").parse_args(read)
        assert 60 <= minutes <= 480
        data = DATASETS[config["data"]["class_path"].rpartition(".")[2]]
        side = config["data"]["init_args"]["resolution"] or data.native_resolution
        assert config["model"].get("resolution") in (side, None)
        assert config["evaluation"]["every"] * 3 <= (config["images"] or 64 * config["generator_steps"])


def test_networks_are_narrow_on_a_core_and_the_recipes_on_a_gpu(monkeypatch):
    target = Target("dcgan", "x", "cifar10", 90, ("--model.width=8",), gpu_minutes=30)
    monkeypatch.setattr("zoo.commands.targets.has_bfloat16", lambda: False)
    assert target.training(cuda=False)[0][:2] == ["--recipe=cifar10", "--model.width=8"]
    assert target.training(cuda=False)[1] == 90
    assert target.training(cuda=True) == (["--recipe=cifar10", "--trainer.precision=bf16-mixed"], 30)
    monkeypatch.setattr("zoo.commands.targets.has_bfloat16", lambda: True)
    assert target.training(cuda=False)[0][-1] == "--trainer.precision=bf16-mixed"


def test_status_says_how_far_each_release_is(finished_run, released, tmp_path):
    shutil.copytree(finished_run.dir.path, tmp_path / "lsgan.digits")
    state = partial(state_of, runs=tmp_path, out=released)
    assert state(DIGITS) == "released"
    begun = Target("lsgan", "digits", "digits", 1)
    assert state(begun) == "trained"
    (tmp_path / "lsgan.digits/result.json").unlink()
    assert re.fullmatch(r"in training, \d+ images", state(begun))
    assert state(Target("gan", "digits", "digits", 1)) == "not begun"


def test_what_is_left_to_do_depends_on_what_lies_there(finished_run, tmp_path):
    options = {"data_dir": "DATA", "out": tmp_path / "out", "minutes": None}
    commands = list(steps(DIGITS, folder=tmp_path / "none", **options))
    assert words(commands) == ["fit", "test", "test", "export"]
    assert {"--recipe=digits", "--data_dir=DATA", "--images=192", "--trainer.max_time=00:01:30:00"} <= set(commands[0])

    commands = list(steps(DIGITS, folder=tmp_path / "none", **options | {"minutes": 6_065}))
    assert "--trainer.max_time=04:05:05:00" in commands[0]  # Lightning reads two digits of hours

    copy = tmp_path / "copy"
    shutil.copytree(finished_run.dir.path, copy)
    assert words(steps(DIGITS, folder=copy, **options)) == ["test", "test", "export"]
    (copy / "result.json").unlink()  # cut off in its training
    resumed = ["fit", "dcgan", f"--run_dir={copy}", "--ckpt_path=last"]
    assert next(steps(DIGITS, folder=copy, **options)) == resumed
    limit = "--trainer.max_time=00:00:05:00"  # a run that goes on, too, has the time that --minutes says
    assert next(steps(DIGITS, folder=copy, **options | {"minutes": 5})) == [*resumed, limit]


def test_figures_that_were_taken_are_not_taken_again(tmp_path):
    from made_runs import make_run

    run = make_run(tmp_path / "run", tests={"best": 1.0})
    commands = list(steps(DIGITS, data_dir="DATA", folder=run, out=tmp_path, minutes=5))
    assert [command[-1] for command in commands[:-1]] == ["--ckpt_path=last"]
    assert FinishedRun(run, models=MODELS).finished


def test_only_missing_releases_are_made(released, tmp_path, monkeypatch):
    other = Target("gan", "digits", "digits", 1)
    monkeypatch.setattr("zoo.commands.pretrain.TARGETS", (DIGITS, other))
    ran = []
    made = pretrain(data_dir="DATA", runs=tmp_path, out=released, run=ran.append)
    assert made == ["gan.digits"]
    assert {tuple(command[:2]) for command in ran[:-1]} == {("fit", "gan"), ("test", "gan")}
    assert ran[-1][0] == "export"
    (lost := tmp_path / "lost").mkdir()
    shutil.copyfile(released / "index.json", lost / "index.json")  # the release itself was removed
    assert pretrain(data_dir="DATA", runs=tmp_path, out=lost, run=ran.append) == [DIGITS.name, "gan.digits"]
    with pytest.raises(ReleaseError, match=r"no recipe for a release 'gan\.moon'"):
        pretrain(data_dir="DATA", runs=tmp_path, out=released, names=["gan.moon"], run=ran.append)


def test_a_command_that_fails_stops_the_work():
    with pytest.raises(ReleaseError, match="ended with status 2"):
        start(["nonsense"], children=Children())


def test_output_of_one_among_several_goes_to_its_file(tmp_path):
    log = tmp_path / "runs" / "one.log"
    start(["papers"], children=Children(), log=log)
    assert "dcgan" in log.read_text()
