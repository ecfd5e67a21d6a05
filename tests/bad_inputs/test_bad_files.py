"""Files that people send or keep: each that is bad is named in one line, and nothing is made or changed."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from bad_inputs.checkpoints import CASES as CHECKPOINTS
from bad_inputs.runs import CASES as OTHERS
from bad_inputs.runs import ENVIRONMENT
from bad_inputs.trial import attempt, one_clear_line

from zoo.__main__ import main
from zoo.training import reproduce
from zoo.training.scripts import script_of

pytestmark = pytest.mark.slow
SMALL = ["--model.width=2", "--data.batch_size=16", "--evaluation.samples=100", "--evaluation.real_images=100"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Path:
    """A run of two batches, measured before, after and by `test`."""
    run = tmp_path_factory.mktemp("runs") / "run"
    words = ["--recipe=digits", *SMALL, "--images=32", "--evaluation.every=32", "--keep.monitor=fd_lenet100"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOO_CACHE", str(shared_cache))
        recipes = script_of("dcgan").recipes
        reproduce("dcgan", recipes, arguments=["fit", *words, f"--run_dir={run}"])
        reproduce("dcgan", recipes, arguments=["test", f"--run_dir={run}", "--evaluation.test_samples=100"])
    return run


@pytest.fixture(scope="module")
def released(finished: Path, tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Path:
    """A release of that run, in a folder of its own."""
    out = tmp_path_factory.mktemp("releases") / "own"
    words = ["export", str(finished), f"--out={out}", "--name=dcgan.digits", "--figures=record"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOO_CACHE", str(shared_cache))
        patch.setattr(sys, "argv", ["zoo", *words])
        main()
    return out


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of that run to be damaged, `run` in the current folder."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


@pytest.mark.parametrize(("change", "words", "names"), [c[1:] for c in CHECKPOINTS], ids=[c[0] for c in CHECKPOINTS])
def test_a_checkpoint(
    run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Path], object],
    words: list[str],
    names: str,
) -> None:
    change(run / "checkpoints/last.ckpt")
    one_clear_line(attempt(words, folder=tmp_path, capsys=capsys), names)


@pytest.mark.parametrize(("change", "words", "names"), [c[1:] for c in OTHERS], ids=[c[0] for c in OTHERS])
def test_a_file_of_a_run_or_release(
    run: Path,
    released: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Path], object],
    words: list[str],
    names: str,
) -> None:
    shutil.copytree(released, tmp_path / "own")
    change(tmp_path)
    one_clear_line(attempt(words, folder=tmp_path, capsys=capsys), names)


@pytest.mark.parametrize(("variable", "value", "words", "names"), ENVIRONMENT)
def test_a_variable(
    run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    words: list[str],
    names: str,
) -> None:
    monkeypatch.setenv(variable, value)
    one_clear_line(attempt(words, folder=tmp_path, capsys=capsys), names)
