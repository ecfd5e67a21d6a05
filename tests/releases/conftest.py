from pathlib import Path

import pytest
from toys import draw_few

from zoo.experiments.suite import EvaluationSettings
from zoo.models import MODELS
from zoo.models.trained import FinishedRun
from zoo.releases.export import export
from zoo.training import reproduce
from zoo.training.scripts import script_of


@pytest.fixture(autouse=True)
def _few_draws(few_draws: None) -> None:
    """In every test, as in the fixtures below: figures that are taken twice are one."""


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> FinishedRun:
    """DCGAN on the digits, tiny, trained and recorded."""
    folder = tmp_path_factory.mktemp("runs") / "dcgan"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOO_CACHE", str(shared_cache))
        draw_few(patch)
        settings = ["--model.width=8", "--evaluation.samples=100", "--evaluation.real_images=500", "--images=192"]
        recipes = script_of("dcgan").recipes
        arguments = ["fit", f"--run_dir={folder}", *settings]
        patch.setattr("sys.argv", ["reproductions/dcgan.py", *arguments])  # for the record
        reproduce(MODELS["dcgan"], recipes, arguments=arguments)
    return FinishedRun(folder, models=MODELS)


@pytest.fixture(scope="session")
def released(finished_run: FinishedRun, tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Path:
    """A folder of releases with the run's own, measured on few samples. Copy it before changing it."""
    out = tmp_path_factory.mktemp("releases")
    few = EvaluationSettings(extractors=["lenet"], test_samples=150)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOO_CACHE", str(shared_cache))
        draw_few(patch)
        patch.setattr("zoo.releases.figures.settings_for", lambda data: few)
        export(finished_run, out, precision="float16")
    return out
