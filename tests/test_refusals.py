"""What a reproduction's command line refuses: in one line, and before anything is made."""

import urllib.error
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from command_line import refused
from parsers import parser_of

from zoo.training.plan import make_plan
from zoo.training.refusals import reason
from zoo.training.scripts import script_of
from zoo.training.trainer import refuse_unusable_options
from zoo.training.words import Words


def test_an_unknown_recipe_lists_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    text = refused(capsys, "gan", "fit", "--recipe", "imagenet")
    assert all(recipe in text for recipe in script_of("gan").recipes)


def test_a_run_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "holds none" in refused(capsys, "gan", "test", "--run_dir", str(tmp_path / "nowhere"))
    assert "holds none" in refused(capsys, "gan", "fit", "--run_dir", str(tmp_path / "nowhere"), "--ckpt_path", "last")


def test_data_that_is_absent_offline_is_one_error(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torchvision

    def offline(*arguments: Any, **options: Any) -> None:
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(torchvision.datasets.MNIST, "__init__", offline)
    text = refused(capsys, "gan", "fit", "--recipe", "mnist", "--data_dir", str(tmp_path / "data"), "--run_dir", "run")
    assert "train-images-idx3-ubyte" in text
    assert "--recipe digits" in text
    assert not (tmp_path / "data").exists()
    assert not Path("run").exists()


def test_images_of_another_size_than_the_networks(capsys: pytest.CaptureFixture[str]) -> None:
    text = refused(capsys, "dcgan", "fit", "--recipe", "digits", "--data.resolution", "28", "--run_dir", "run")
    assert "(1, 28, 28)" in text
    assert "(1, 32, 32)" in text


def test_16_mixed_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--recipe", "digits", "--run_dir", "run", "--trainer.precision", "16-mixed"]
    assert "bf16-mixed" in refused(capsys, "dcgan", "fit", *options)


def test_gradient_clipping_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--recipe", "digits", "--run_dir", "run", "--trainer.gradient_clip_val", "1.0"]
    assert "manual optimization" in refused(capsys, "dcgan", "fit", *options)


def test_no_optimizer_option_is_offered(capsys: pytest.CaptureFixture[str]) -> None:
    """Trap 8: LightningCLI adds --optimizer unless told not to, and would then replace the paper's two."""
    assert "unknown option --optimizer" in refused(capsys, "gan", "fit", "--optimizer", "Adam", "--print_config")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--model.widht", "8"], "unknown option --model.widht: did you mean --model.width?"),
        (["--ckpt_pth=last"], "unknown option --ckpt_pth: did you mean --ckpt_path?"),
        (["--qqqq", "8"], "unknown option --qqqq ("),
        (["8"], "'8' belongs to no option"),
        (
            ["--data.bath_size", "3"],
            "unknown option --data.bath_size of zoo.data.Digits: did you mean --data.batch_size?",
        ),
        (["--data.batch_size", "x"], "--data.batch_size must be a whole number, not 'x'"),
        (["--data", "Nonsense"], "unknown data set 'Nonsense' in --data: there are Digits, MNIST, CIFAR10, CelebA, "),
        (["--images", "ten"], "--images must be a whole number, not 'ten'"),
        (["--images=1e6"], "--images must be a whole number, not '1000000.0'"),
        (["--model.lr=fast"], "--model.lr must be a number, not 'fast'"),
        (["--compile", "maybe"], "--compile must be true or false, not 'maybe'"),
        (["--matmul_precision", "low"], "--matmul_precision must be one of 'highest', 'high', 'medium', not 'low'"),
        (["--evaluation.extractors", "lenet"], "--evaluation.extractors must be a list as in '[a,b]', not 'lenet'"),
        (["--wandb"], "--wandb: expected one argument"),
        (
            ["--trainer.callbacks+=NoSuch"],
            "--trainer.callbacks takes a class by its import path, package.module.Class: '",
        ),
        (["--trainer.callbacks+=lightning.pytorch.callbacks.Tmer"], "lightning.pytorch.callbacks has no Tmer"),
        (["--trainer.callbacks+=no.Such"], "there is no module no ("),
        (["--trainer.logger=lightning.pytorch.callbacks.Timer"], "lightning.pytorch.callbacks.Timer is no Logger"),
        (
            ["--trainer.callbacks=ThroughputMonitor"],
            "--trainer.callbacks lightning.pytorch.callbacks.ThroughputMonitor needs --trainer.callbacks.batch_size_fn",
        ),
        (
            ["--trainer.callbacks=[ThroughputMonitor]"],
            "--trainer.callbacks lightning.pytorch.callbacks.ThroughputMonitor needs --trainer.callbacks.batch_size_fn",
        ),
        (
            ["--trainer.callbacks=LearningRateMonitor", "--trainer.callbacks.logging_interval=7"],
            "--trainer.callbacks.logging_interval must be one of 'step', 'epoch', not '7'",
        ),
        (
            ["--data.class_path=zoo.data.Nope"],
            "--data takes a class by its import path, package.module.Class: zoo.data",
        ),
    ],
)
def test_what_the_parser_refuses_is_said_in_one_line(
    capsys: pytest.CaptureFixture[str], options: list[str], says: str
) -> None:
    text = refused(capsys, "dcgan", "fit", *options)
    assert says in text
    assert text.count("\n") == 1
    assert "--help_all` lists all" in text
    assert "usage:" not in text


def test_a_default_that_the_parser_cannot_write_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """It said "Does not validate against any of the Union subtypes" of Lightning's own Timer."""
    timer = ["--trainer.callbacks+=lightning.pytorch.callbacks.Timer", "--run_dir", str(tmp_path / "run")]
    text = refused(capsys, "gan", "fit", *timer)
    assert "lightning.pytorch.callbacks.Timer: its interval, by default <Interval.step: 'step'>, has to be" in text
    assert "as in --trainer.callbacks.interval=step" in text
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("form", ["--trainer.callbacks={}", "--trainer.callbacks=[{}]", "--trainer.callbacks+={}"])
@pytest.mark.parametrize("name", ["EarlyStopping", "LearningRateFinder", "RichProgressBar", "SpikeDetection"])
def test_a_callback_without_its_effect_is_refused_whatever_it_lacks(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, form: str, name: str
) -> None:
    """An EarlyStopping without its monitor was told to be a list, a SpikeDetection ended in a KeyError."""
    run = ["--run_dir", str(tmp_path / "run")]
    text = refused(capsys, "gan", "fit", "--recipe", "digits", *run, form.format(name))
    assert f"--trainer.callbacks {name} cannot be: " in text
    assert not (tmp_path / "run").exists()


def test_why_no_object_was_made_is_in_one_line() -> None:
    unwritable = "Namespace(class_path='own.Mine', init_args=Namespace(interval=<Interval.step: 'step'>))"
    kinds = "[<class 'lightning.pytorch.loggers.logger.Logger'>, <class 'NoneType'>]"
    assert reason(f"Subtypes: {kinds}\n{unwritable}").endswith("as in --trainer.logger.interval=step")
    assert reason(unwritable).endswith("as in --trainer.callbacks.interval=step")
    assert (
        reason("  - Expected a <class 'bool'>\n  - Problem with given class_path 'own.Mine':\n      a\n")
        == "own.Mine: a"
    )
    assert reason("  - Expected a <class 'bool'>\n  - no such device") == "no such device"
    assert reason("no line of the parser's") == ""


@pytest.mark.skipif(find_spec("mlflow") is not None, reason="mlflow is installed")
def test_a_logger_whose_package_is_missing_says_so(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The line ended at its colon, before the reason."""
    run = ["--run_dir", str(tmp_path / "run")]
    text = refused(capsys, "gan", "fit", "--recipe", "digits", *run, "--trainer.logger=MLFlowLogger")
    assert "lightning.pytorch.loggers.MLFlowLogger: Requirement 'mlflow" in text
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(find_spec("wandb") is None, reason="wandb is not installed")
def test_a_wandb_logger_without_a_key_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))  # no netrc
    run = ["--run_dir", str(tmp_path / "run"), "--images", "64", "--evaluation.every", "null", "--keep.monitor", "null"]
    text = refused(capsys, "gan", "fit", "--recipe", "digits", *run, "--trainer.logger=WandbLogger")
    assert "--trainer.logger: " in text
    assert "--wandb PROJECT is offline without a key" in text


def test_what_describes_chooses_no_checkpoint(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--recipe", "digits", "--run_dir", "run", "--keep.monitor", "critic_gradient_norm"]
    assert "neither low nor high" in refused(capsys, "wgan_gp", "fit", *options)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            ["--keep.monitor", "fd_lenet2k"],
            "--keep.monitor fd_lenet2k chooses a checkpoint by what is measured while training, and nothing is",
        ),
        (["--data.seed", "5"], "--data.seed 5: it is set by --seed_everything, which is 0"),
        (["--data.init_args.seed=5", "--seed_everything=3"], "--data.init_args.seed 5: it is set by --seed_everything"),
        (["--data.root", "here", "--data_dir", "there"], "--data.root here: it is set by --data_dir, which is there"),
    ],
)
def test_options_that_nothing_would_hear_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], says: str
) -> None:
    short = ["--images", "16", "--model.width", "2", "--evaluation.every", "null"]
    assert says in refused(capsys, "dcgan", "fit", "--recipe", "digits", "--run_dir", "run", *short, *options)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--trainer.limit_train_batches", "1"], "limit_train_batches 1 cannot be"),  # one batch; 1.0 is all of them
        (["--trainer.limit_predict_batches", "1"], "the number of images is --samples"),
        (["--trainer.callbacks+=EarlyStopping", "--trainer.callbacks.monitor=loss_discriminator"], "--keep.monitor"),
        (["--trainer.callbacks+=ModelCheckpoint", "--trainer.callbacks.monitor=fid"], "--keep.monitor"),
        (["--trainer.callbacks+=EMAWeightAveraging"], "averages D as well"),
        (["--trainer.callbacks+=StochasticWeightAveraging", "--trainer.callbacks.swa_lrs=0.1"], "averages D as well"),
        (
            ["--trainer.callbacks+=GradientAccumulationScheduler", "--trainer.callbacks.scheduling={1: 2}"],
            "manual optimization, which ignores it",
        ),
        (["--trainer.callbacks+=BatchSizeFinder"], "--data.batch_size"),
        (["--trainer.callbacks+=BackboneFinetuning"], "--freeze_d"),
        (["--trainer.callbacks+=ModelPruning", "--trainer.callbacks.pruning_fn=l1_unstructured"], "other names"),
        (["--trainer.accelerator=cpu", "--trainer.devices=[0]"], "should be an int > 0"),
        pytest.param(
            ["--trainer.accelerator=tpu"],
            "Requirement 'torch_xla",
            marks=pytest.mark.skipif(find_spec("torch_xla") is not None, reason="this machine has it"),
        ),
    ],
)
def test_what_lightning_cannot_do_here_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], says: str
) -> None:
    """They ended in a traceback, made short epochs, left images out, or wrote checkpoints that had seen none."""
    text = refused(capsys, "dcgan", "fit", "--recipe", "digits", "--run_dir", "run", *options)
    assert says in text
    assert text.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("options", [["--trainer.limit_val_batches=1.0"], ["--trainer.overfit_batches=0"], []])
def test_options_of_no_effect_may_say_so(options: list[str]) -> None:
    """As do the callbacks that only look on, and those that keep without a measure."""
    look_on = ["--trainer.callbacks+=LearningRateMonitor", "--trainer.callbacks+=ModelCheckpoint"]
    refuse_unusable_options(parser_of("dcgan", "fit").parse_args(["--data=Digits", *look_on, *options]).trainer)


@pytest.mark.parametrize(
    "words",
    [
        ["--data", "ImageFolder"],
        ["--data.class_path=zoo.data.ImageFolder"],
        ["--config", "text"],
        ["--config", "nested"],
    ],
)
def test_of_another_data_set_all_images_are_trained_on_however_it_is_named(tmp_path: Path, words: list[str]) -> None:
    """That GAN trains on MNIST's first 50,000 says nothing about other images."""
    (tmp_path / "text").write_text("data: ImageFolder\n")
    (tmp_path / "nested").write_text("data:\n  class_path: zoo.data.ImageFolder\n")
    recipes = script_of("gan").recipes
    assert recipes["mnist"].config["data"]["init_args"]["train_images"] == 50_000
    plan = make_plan(Words.of(["fit", "--recipe", "mnist", *words]), paper="gan", recipes=recipes)
    assert plan.base["data"]["init_args"] == {"batch_size": 100}
    plan = make_plan(Words.of(["fit", "--recipe", "mnist", "--data.batch_size", "50"]), paper="gan", recipes=recipes)
    assert plan.base["data"]["init_args"]["train_images"] == 50_000


@pytest.mark.parametrize("option", ["--images=-5", "--devices=0", "--evaluation.every=0", "--keep.grid_every=-1"])
def test_counts_below_one_are_refused_before_anything_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    text = refused(capsys, "dcgan", "fit", "--recipe", "digits", option, "--run_dir", str(tmp_path / "run"))
    name, _, value = option.partition("=")
    assert f"{name} must be a whole number of 1 or more, not {value}" in text
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("option", "words"),
    [("--model.width=-8", "--model.width must be a whole number of 1 or more"), ("--model.lr=-1", "must be above 0")],
)
def test_settings_that_make_no_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, words: str
) -> None:
    assert words in refused(capsys, "dcgan", "fit", "--recipe", "digits", option, "--run_dir", str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()
