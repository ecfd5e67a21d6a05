"""Files that people send or keep: each that is bad is named in one line, and nothing is made or changed."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from bad_inputs.checkpoints import CASES as CHECKPOINTS
from bad_inputs.trial import attempt, one_clear_line

from zoo.training import reproduce
from zoo.training.scripts import script_of

pytestmark = pytest.mark.slow
SMALL = ["--model.width=2", "--data.batch_size=16", "--evaluation.samples=100", "--evaluation.real_images=100"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Path:
    """A run of two batches, measured before and after."""
    run = tmp_path_factory.mktemp("runs") / "run"
    words = ["--recipe=digits", *SMALL, "--images=32", "--evaluation.every=32", "--keep.monitor=fd_lenet100"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOO_CACHE", str(shared_cache))
        reproduce("dcgan", script_of("dcgan").recipes, arguments=["fit", *words, f"--run_dir={run}"])
    return run


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
