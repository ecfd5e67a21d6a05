"""The short help of a paper: short, whole, true to the code, and without torch."""

import inspect
import re
import subprocess
import sys

import pytest

import zoo.data
from zoo.experiments.suite import EvaluationSettings
from zoo.models import MODELS
from zoo.training import Lazy, Recipe, reproduce
from zoo.training.plan import with_data
from zoo.training.scripts import papers, script_of
from zoo.training.settings import Budget, FineTuning, Keep, Place, Prediction, Run
from zoo.training.signatures import arguments_of


@pytest.fixture(autouse=True)
def _as_zoo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["zoo"])


def help_of(capsys: pytest.CaptureFixture[str], paper: str, *arguments: str) -> dict[str, str]:
    """The options of the short help and what stands behind each; it is at most 60 lines."""
    capsys.readouterr()
    script = script_of(paper)
    reproduce(paper, script.recipes, studies=script.studies, arguments=[*arguments, "--help"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 60
    assert all(len(line) <= 120 for line in lines)
    assert lines[0].startswith("usage: ")
    found = [re.match(r"(?:[a-z-]+)? +--(\S+) +(.+)", line) for line in lines]
    return {match[1]: match[2] for match in found if match}


def parameters(kind: type) -> dict[str, inspect.Parameter]:
    """The keyword arguments of a constructor; of its base class too where it takes any."""
    found: dict[str, inspect.Parameter] = {}
    for base in kind.__mro__:
        if "__init__" in vars(base):
            own = inspect.signature(base.__init__).parameters.values()
            found |= {p.name: p for p in own if p.kind is p.KEYWORD_ONLY and p.name not in found}
            if not any(p.kind is p.VAR_KEYWORD for p in own):
                break
    return found


def is_shown(value: object, default: str) -> bool:
    """Whether the help's default is this value, or the beginning of it."""
    if isinstance(value, float):
        return float(default) == value
    text = {"None": "-", "True": "true", "False": "false"}.get(str(value), str(value))
    return text == default or (default.endswith("...") and text.startswith(default.removesuffix("...")))


@pytest.mark.parametrize("paper", MODELS)
def test_every_option_of_the_model_and_the_data_has_a_line_and_its_default(
    paper: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, recipe in script_of(paper).recipes.items():
        lines = help_of(capsys, paper, "fit", "--recipe", name)
        for option, parameter in parameters(MODELS[paper]).items():
            default, _, text = lines[f"model.{option}"].partition("  ")
            assert text.strip(), f"--model.{option} has no help"
            assert is_shown(recipe.config["model"].get(option, parameter.default), default), option
        data = recipe.config["data"]
        kind = getattr(zoo.data, data["class_path"].rpartition(".")[2])
        for option, parameter in parameters(kind).items():
            default = lines[f"data.{option}"].partition("  ")[0]
            assert is_shown(data["init_args"].get(option, parameter.default), default), option


@pytest.mark.parametrize("data", [*zoo.data.DATASETS, "ToyPoints"])
def test_every_option_of_a_data_set_has_its_help(data: str) -> None:
    found = arguments_of(f"zoo.data.{data}")
    assert {argument.name for argument in found} == parameters(getattr(zoo.data, data)).keys()
    assert all(argument.help for argument in found)


def test_the_documented_settings_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    fit, predict = (help_of(capsys, "gan", subcommand) for subcommand in ("fit", "predict"))
    for settings, prefix in ((Budget, ""), (Place, ""), (Run, ""), (Keep, "keep."), (FineTuning, "")):
        assert {f"{prefix}{field}" for field in settings.__dataclass_fields__} <= fit.keys()
    assert {f"evaluation.{field}" for field in EvaluationSettings.__dataclass_fields__} <= fit.keys()
    assert set(Prediction.__dataclass_fields__) <= predict.keys()
    assert "images" not in predict
    assert fit["images"].startswith(str(script_of("gan").recipes["digits"].config["images"]))
    for kind in ("Budget", "Place", "Run", "Keep", "FineTuning", "Prediction"):
        assert all(argument.help for argument in arguments_of(f"zoo.training.settings.{kind}"))


@pytest.mark.parametrize(
    "arguments", ["fit dcgan --help", "fit wgan --recipe nonsense", "papers wgan", "study gan", ""]
)
def test_help_tables_and_usage_errors_bring_no_torch(arguments: str) -> None:
    code = (
        "import sys; from zoo.__main__ import main\n"
        f"sys.argv = ['zoo', *{arguments.split()}]\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(*[m for m in ('torch', 'lightning', 'jsonargparse') if m in sys.modules], 'end')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == " end".strip()


def test_what_scripts_import_later_is_there() -> None:
    for paper in papers():
        script = script_of(paper)
        later = [script.figures, *(f for study in script.studies.values() for f in (study.figures, study.findings))]
        for function in later:
            assert function is None or isinstance(function, Lazy)
            assert function is None or callable(function.load())


def test_a_recipe_on_photographs_may_say_nothing_of_what_is_kept() -> None:
    """It was a KeyError where its script was read."""
    data = {"class_path": "zoo.data.CIFAR10"}
    plain = {"data": data, "images": 1_000}
    assert Recipe("no grids", plain).config == plain
    assert Recipe("grids", {**plain, "keep": {"grid_every": 500}}).config == {
        **plain,
        "keep": {"grid_every": 500, "monitor": "fd_efficientnet2k"},
        "evaluation": {"every": 500},
    }


def test_a_recipes_own_images_are_not_those_of_other_data() -> None:
    """cGAN's recipe trains on the first 50,000 digits; a folder of one's own has other numbers and classes."""
    recipe = script_of("cgan").recipes["mnist"].config
    assert "train_images" in recipe["data"]["init_args"]
    for asked in ("ImageFolder", "zoo.data.ImageFolder"):
        assert set(with_data(recipe, asked)["data"]["init_args"]) <= {"batch_size", "resolution", "horizontal_flip"}
    for asked in (None, "MNIST", "zoo.data.MNIST"):
        assert with_data(recipe, asked) is recipe
