"""`fit --init_from` from the command line to the record, and a fine-tuning run that is interrupted."""

import inspect
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
import yaml
from command_line import refused, zoo
from jsonargparse import Namespace
from lightning.pytorch import Callback
from PIL import Image
from registry import SMALL, small_data, small_model
from test_adapt import trained
from toys import fit, same, state_of

from zoo.data import Digits, ImageFolder
from zoo.errors import RecordError, UnsupportedSettingError
from zoo.experiments.pictures.layout import tiles_of
from zoo.models import MODELS
from zoo.releases.find import SHIPPED, read_index
from zoo.runs.folder import RunDir
from zoo.runs.record import read_metrics, read_result, validate_result
from zoo.training.callbacks import CounterCheckpoint, MemorisationWatch
from zoo.training.finetune.adapt import rebuild, transfer
from zoo.training.finetune.augment import augment_discriminator
from zoo.training.finetune.freeze import freeze_discriminator
from zoo.training.finetune.learning_rate import ScaledLearningRate
from zoo.training.finetune.origin import recipe_of, source_name, with_source_recipe
from zoo.training.finetune.report import FinetuneReport
from zoo.training.finetune.settings import match_data
from zoo.training.plan import make_plan
from zoo.training.scripts import script_of
from zoo.training.words import Words

QUIET = ["--evaluation.every", "null", "--keep.monitor", "null"]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Path:
    """A short run of DCGAN on the digits."""
    patch = pytest.MonkeyPatch()
    patch.setenv("ZOO_CACHE", str(shared_cache))
    run = tmp_path_factory.mktemp("source") / "run"
    zoo("dcgan", "fit", "--recipe", "digits", "--model.width", "8", "--images", "64", "--run_dir", str(run), *QUIET)
    patch.undo()
    return run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """80 grey pictures of 40x40 in two class folders."""
    root = tmp_path_factory.mktemp("folder")
    array = Digits().split("train")
    for i, image in enumerate(array.images[:80]):
        (root / str(i % 2)).mkdir(exist_ok=True)
        Image.fromarray(image[0].numpy()).resize((40, 40)).save(root / str(i % 2) / f"{i}.png")
    return root


def options(source: Path, folder: Path, run: Path, *more: str) -> list[str]:
    data = ["--data", "ImageFolder", "--data.root", str(folder), "--data.train_images", "48", "--data.batch_size", "16"]
    tuning = ["--freeze_d", "1", "--lr_scale", "0.5", "--augment", "color,translation,cutout"]
    return ["--init_from", str(source), *data, *tuning, "--run_dir", str(run), "--keep.grid_every", "32", *QUIET, *more]


def assert_before_after(run: Path) -> None:
    """Five rows of eight: the real images, twice before, twice after, each named (no distance was taken)."""
    both = np.asarray(Image.open(run / "figures/before_after.png"))
    with Image.open(run / "grids/images-000000000.png") as grid:
        before = tiles_of(grid, side=32, n=16)
    tile = 2 * 32 + 4  # enlarged twice, and a gap
    left = both.shape[1] - 8 - 8 * tile + 4
    top = both.shape[0] - 8 - 5 * tile + 4
    shown = both[top + tile : top + tile + 64 : 2, left : left + 64 : 2]
    assert np.array_equal(shown, np.broadcast_to(before[0], shown.shape))
    texts = both[top:, : left - 8]
    assert [bool((texts[k * tile : k * tile + 64] < 128).any()) for k in range(5)] == [True, True, False, True, False]


def test_fine_tuning_begins_on_images_that_are_decoded_on_the_fly(folder: Path, tmp_path: Path) -> None:
    """They are no tensor: the report that shows some of them ended in a traceback."""
    report = FinetuneReport(RunDir(tmp_path), transfer=None, frozen=[])
    data = ImageFolder(root=str(folder), resolution=8, on_the_fly=True)
    report.begin(cast("Any", SimpleNamespace(is_global_zero=True, datamodule=data)), small_model("gan"))
    assert report.reals is not None
    assert report.reals.shape == (8, 3, 8, 8)


def test_fine_tuning_leaves_its_record_and_resumes_to_the_bit(
    source: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    zoo("dcgan", "fit", *options(source, folder, whole, "--images", "96"))
    printed = capsys.readouterr().out
    assert "33 tensors matched, 0 adapted, 0 new" in printed
    assert "frozen 1 tensors of D, D.0.weight" in printed
    config = yaml.safe_load((whole / "config.yaml").read_text())
    assert (config["recipe"], config["model"]["width"], config["freeze_d"]) == ("digits", 8, 1)
    assert (config["data"]["init_args"]["resolution"], config["data"]["init_args"]["channels"]) == (32, 1)
    expected = {
        "init_from": str(source),
        "freeze_d": 1,
        "lr_scale": 0.5,
        "augment": "color,translation,cutout",
        "tensors": {"matched": 33, "adapted": 0, "new": 0, "unused": 0},
    }
    record = read_result(whole)
    assert record["finetune"] == expected
    for wrong in ({"freeze_d": -1}, {"augment": ""}, {"tensors": {"matched": "all"}}):
        with pytest.raises(RecordError, match=f"finetune.{next(iter(wrong))}"):
            validate_result({**record, "finetune": {**expected, **wrong}})
    assert "finetune" not in read_result(source)
    a, b = state_of(whole / "checkpoints/last.ckpt")["state_dict"], state_of(source / "checkpoints/last.ckpt")
    assert torch.equal(a["D.0.weight"], b["state_dict"]["D.0.weight"])
    assert not torch.equal(a["D.2.weight"], b["state_dict"]["D.2.weight"])
    assert [row["images_seen"] for row in read_metrics(whole / "metrics.jsonl") if "r_v" in row] == [32, 64, 96]
    assert_before_after(whole)

    zoo("dcgan", "fit", *options(source, folder, parts, "--images", "48"))
    (source / "checkpoints/last.ckpt").rename(source / "gone.ckpt")  # what is resumed needs it no more
    try:
        zoo("dcgan", "fit", "--run_dir", str(parts), "--ckpt_path", "last", "--images", "96")
    finally:
        (source / "gone.ckpt").rename(source / "checkpoints/last.ckpt")
    assert same(state_of(whole / "checkpoints/last.ckpt"), state_of(parts / "checkpoints/last.ckpt"))
    assert read_result(parts)["finetune"] == expected
    zoo("dcgan", "predict", "--run_dir", str(parts), "--samples", "2")
    assert len(list((parts / "samples").iterdir())) == 2


def test_what_cannot_be_fine_tuned_is_refused_before_anything_is_written(
    source: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    arguments = options(source, folder, run)
    assert "--ckpt_path" in refused(capsys, "dcgan", "fit", *arguments, "--ckpt_path", "last")
    assert "is of dcgan, this is gan" in refused(capsys, "gan", "fit", *arguments)
    assert "has 3 blocks" in refused(capsys, "dcgan", "fit", *arguments, "--freeze_d", "7")
    assert "no policy" in refused(capsys, "dcgan", "fit", *arguments, "--augment", "colour")
    assert "above 0" in refused(capsys, "dcgan", "fit", *arguments, "--lr_scale", "0")
    assert "nothing of" in refused(capsys, "dcgan", "fit", *arguments, "--model.width", "6")
    assert "no such folder" in refused(capsys, "dcgan", "fit", *arguments, "--data.root", str(tmp_path / "none"))
    plain = ["--recipe", "digits", "--run_dir", str(run), "--freeze_d", "1"]
    assert "name weights by --init_from" in refused(capsys, "dcgan", "fit", *plain)
    assert not run.exists()


@pytest.mark.parametrize("paper", ["lsgan", "wgan_gp", "pggan"])
def test_an_interrupted_fine_tuning_run_is_the_whole_one(tmp_path: Path, paper: str) -> None:
    settings = SMALL[paper].model
    origin = rebuild(trained(paper, **settings))
    if origin.resolution:
        settings = {**settings, "start_resolution": 16}  # half grown: crosses a border

    def part(name: str, images: int, *, first: bool, watched: bool) -> None:
        torch.manual_seed(3)
        module = MODELS[paper](**settings)
        taken = transfer(origin, module) if first else None
        freeze_discriminator(module, 1, transfer=taken)
        augment_discriminator(module, "color,translation,cutout")
        torch.manual_seed(77)  # another process has another global stream
        folder = tmp_path / name
        callbacks: list[Callback] = [ScaledLearningRate(0.5), CounterCheckpoint(folder)]
        if watched:
            callbacks.append(MemorisationWatch(every=16))
        resume = None if first else folder / "last.ckpt"
        fit(module, *callbacks, data=small_data(paper), images=images, ckpt_path=resume)

    part("whole", 48, first=True, watched=False)
    part("parts", 24, first=True, watched=True)
    part("parts", 48, first=False, watched=True)
    assert same(state_of(tmp_path / "whole/last.ckpt"), state_of(tmp_path / "parts/last.ckpt"))


def settle(paper: str, model: dict[str, Any], data: str, *arguments: str, **given: Any) -> Namespace:
    """The settings after `match_data`, from those of the source and `given` ones of the data."""
    from zoo import data as sets

    kind = getattr(sets, data)
    origin = rebuild(trained(paper, **model))
    accepted = inspect.signature(MODELS[paper]).parameters.keys() - model.keys()
    defaults = {"resolution": None, **({"channels": 3} if data == "ImageFolder" else {}), **given}
    config = Namespace(
        model=Namespace(**{name: None for name in ("resolution", "channels") if name in accepted}, **model),
        data=Namespace(class_path=f"zoo.data.{kind.__name__}", init_args=Namespace(**defaults)),
        evaluation=Namespace(extractors=None, samples=2_000),
        keep=Namespace(monitor="fd_lenet2k"),
    )
    for argument, value in zip(arguments[::2], arguments[1::2], strict=True):
        where, name = argument[2:].split(".")
        target = config.model if where == "model" else config.data.init_args
        target[name] = int(value)
    match_data(config, origin, given=[option.removeprefix("--") for option in arguments[::2]])
    return config


def test_data_follow_the_model_unless_the_command_line_says_otherwise(folder: Path) -> None:
    grey, where = SMALL["dcgan"].model, {"root": str(folder)}
    config = settle("dcgan", grey, "ImageFolder", **where)
    assert (config.data.init_args.channels, config.data.init_args.resolution, config.model.channels) == (1, 32, 1)
    assert (config.evaluation.extractors, config.keep.monitor) == (None, "fd_efficientnet2k")  # no digits
    config = settle("dcgan", grey, "ImageFolder", "--data.channels", "3", "--data.resolution", "64", **where)
    assert (config.model.channels, config.model.resolution, config.data.init_args.resolution) == (3, 64, 64)
    assert (config.evaluation.extractors, config.keep.monitor) == (None, "fd_efficientnet2k")
    config = settle("dcgan", grey, "ImageFolder", "--model.channels", "3", "--model.resolution", "16", **where)
    assert (config.data.init_args.channels, config.data.init_args.resolution) == (3, 16)
    config = settle("dcgan", grey, "CIFAR10")
    assert (config.model.channels, config.data.init_args.resolution) == (3, 32)
    config = settle("dcgan", grey, "MNIST")
    assert (config.model.channels, config.keep.monitor) == (1, "fd_lenet2k")


def test_photographs_keep_their_colours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for i in range(3):
        Image.new("L" if i < 2 else "RGB", (40, 40)).save(tmp_path / f"{i}.png")
    grey, where = SMALL["dcgan"].model, {"root": str(tmp_path)}
    config = settle("dcgan", grey, "ImageFolder", **where)
    assert (config.data.init_args.channels, config.data.init_args.resolution, config.model.channels) == (3, 32, 3)
    assert (config.evaluation.extractors, config.keep.monitor) == (None, "fd_efficientnet2k")
    for option in ("--data.channels", "--model.channels"):
        config = settle("dcgan", grey, "ImageFolder", option, "1", **where)
        assert (config.data.init_args.channels, config.model.channels) == (1, 1)
    assert not capsys.readouterr().err
    for paper in ("gan", "infogan", "wgan_gp"):
        config = settle(paper, {"network": "mnist"}, "ImageFolder", **where)
        assert config.data.init_args.channels == 1
        assert "made grey" in capsys.readouterr().err


def test_classes_are_those_of_the_data(folder: Path) -> None:
    conv = {"network": "convolutional", "num_classes": 3, "width": 8}
    assert settle("cgan", conv, "ImageFolder", root=str(folder)).model.num_classes == 2
    assert settle("cgan", conv, "ImageFolder", root=str(folder), labelled=False).model.num_classes == 1
    assert settle("cgan", conv, "ImageFolder", "--model.num_classes", "7", root=str(folder)).model.num_classes == 7
    resnet = {"network": "cifar10_resnet", "width": 8, "num_classes": 3}
    assert settle("wgan_gp", resnet, "ImageFolder", root=str(folder), labelled=False).model.num_classes is None
    with pytest.raises(UnsupportedSettingError, match="have 2 classes, and this network is made for 10"):
        settle("dcgan", {"network": "mnist_conditional"}, "ImageFolder", root=str(folder))


def test_the_recipe_is_the_sources(source: Path) -> None:
    assert recipe_of("dcgan.mnist") == "mnist"
    assert recipe_of(str(source)) == recipe_of(str(source / "checkpoints/last.ckpt")) == "digits"
    assert recipe_of("nothing") is None
    assert recipe_of("dcgan.nothing") is None


def test_the_recipe_of_a_release_is_that_of_its_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """Releases of faces are named by their size; they were fine-tuned with the batch and the evaluation of `digits`."""
    for name in [name for name in read_index(str(SHIPPED)) if name.endswith(".celeba64")]:
        paper = name.partition(".")[0]
        assert recipe_of(name) == recipe_of(str(SHIPPED / name)) in script_of(paper).recipes, name
    assert (recipe_of("dcgan.celeba64"), recipe_of("wgan.celeba64")) == ("celeba_community", "celeba")
    monkeypatch.setattr("zoo.training.finetune.origin.locate", lambda address: SHIPPED / "dcgan.celeba64")
    assert recipe_of("hf://someone/faces") == "celeba_community"


def test_a_run_that_goes_on_keeps_the_recipe_that_it_began_with(tmp_path: Path) -> None:
    """Whatever the source's card says by now."""
    run, recipes = tmp_path / "run", script_of("dcgan").recipes
    words = Words.of(["fit", "--init_from", "dcgan.celeba64", "--run_dir", str(run), "--ckpt_path", "auto"])
    assert with_source_recipe(words, recipes=recipes).taken["recipe"] == "celeba_community"
    (run / "checkpoints").mkdir(parents=True)
    (run / "checkpoints/last.ckpt").touch()
    (run / "config.yaml").write_text("recipe: digits\n")
    assert make_plan(with_source_recipe(words, recipes=recipes), paper="dcgan", recipes=recipes).recipe == "digits"


@pytest.mark.parametrize("way", ["option", "file"])
def test_auto_asks_for_the_source_until_the_run_has_weights_of_its_own(tmp_path: Path, way: str) -> None:
    """The source may be gone by then, and what the run started from must not be brought into it again."""
    file, run = tmp_path / "settings.yaml", tmp_path / "run"
    file.write_text("recipe: digits\n" + ("init_from: gone/source\n" if way == "file" else ""))
    words = ["fit", f"--config={file}", "--run_dir", str(run), "--ckpt_path", "auto"]
    words += ["--init_from", "gone/source"] if way == "option" else []

    def source_of_the_plan() -> str | None:
        recipes = script_of("dcgan").recipes
        return source_name(make_plan(Words.of(words), paper="dcgan", recipes=recipes).words)

    assert source_of_the_plan() == "gone/source"
    (run / "checkpoints").mkdir(parents=True)
    (run / "checkpoints/last.ckpt").touch()
    (run / "config.yaml").write_text("recipe: digits\ninit_from: gone/source\n")
    assert source_of_the_plan() is None
