"""Nothing but the wheel, in an empty folder: recipes come with the installed package."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TINY = ["--model.width=8", "--data.batch_size=32", "--evaluation.samples=100", "--evaluation.real_images=500"]
TINY += ["--evaluation.batchnorm=running"]  # no 10,000 fakes for its statistics
DRIVER = """
import sys
from pathlib import Path
import reproductions, zoo
from zoo.__main__ import main
site = Path({site!r})
assert site in Path(zoo.__file__).parents and site in Path(reproductions.__file__).parents
for command in {commands!r}:
    print("$", *command, flush=True)
    sys.argv = [str(site / "zoo/__main__.py"), *command]
    main()
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built offline from a copy of the sources and unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("zoo", "reproductions"):
        shutil.copytree(ROOT / name, folder / "source" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "source" / name)
    build = "import setuptools.build_meta as b; b.build_wheel('..')"
    subprocess.run([sys.executable, "-c", build], cwd=folder / "source", check=True, capture_output=True)
    shutil.rmtree(folder / "source")
    (wheel,) = folder.glob("*.whl")
    assert wheel.stat().st_size < 90e6
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def zoo(site: Path, *commands: list[str], before: str = "") -> str:
    """What the commands print, each as `zoo COMMAND`, one after the other in one process."""
    code = before + DRIVER.format(site=str(site), commands=list(commands))
    environment = os.environ | {"PYTHONPATH": str(site)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_what_the_wheel_holds(site: Path) -> None:
    assert {path.name for path in site.iterdir() if not path.name.endswith(".dist-info")} == {"zoo", "reproductions"}
    records = {path.name for path in (ROOT / "reproductions/records").glob("*.json")}
    assert {path.name for path in (site / "reproductions/records").iterdir()} == records


def test_tables_and_help(site: Path) -> None:
    text = zoo(
        site, ["papers", "wgan"], ["results"], ["records"], ["fit", "dcgan", "--help"], ["study", "wgan", "--help"]
    )
    assert "wgan  Wasserstein Generative Adversarial Networks" in text
    assert "usage: zoo fit dcgan [--recipe NAME]" in text
    assert "studies: " in text
    assert str(site / "reproductions/records/gan-mnist-seed0.json") in text


def test_training_testing_and_drawing(site: Path) -> None:
    """`fit`, `test`, `predict` and fine-tuning; the record says how the run was started."""
    fit = ["fit", "dcgan", "--recipe", "digits", *TINY, "--keep.monitor=null", "--images=64", "--run_dir"]
    zoo(
        site,
        [*fit, "first"],
        ["test", "dcgan", "--run_dir", "first", "--evaluation.test_samples=100", "--evaluation.extractors=[lenet]"],
        ["predict", "dcgan", "--run_dir", "first", "--samples=3"],
        [*fit, "tuned", "--init_from", "first"],
    )
    record = json.loads(Path("first/result.json").read_text())
    assert record["commands"] == [["zoo", *fit, "first"]]
    assert [test["checkpoint"] for test in record["tests"]] == ["last.ckpt"]
    assert len(list(Path("first/samples").glob("*.png"))) == 3
    assert json.loads(Path("tuned/result.json").read_text())["finetune"]["init_from"] == "first"
    assert sorted(path.name for path in Path().iterdir()) == ["first", "tuned"]


@pytest.mark.slow
def test_studies_and_releases(site: Path) -> None:
    """Both start further commands of the installed package."""
    zoo(site, ["study", "lsgan", "--name", "ring", "--members", "lsgan-seed0", "--images=2048", "--run_dir", "study"])
    assert json.loads(Path("study/lsgan-seed0/result.json").read_text())["commands"][0][:3] == ["zoo", "fit", "lsgan"]
    options = (*TINY, "--images=64", "--keep.monitor=fd_lenet100")
    target = f"p.TARGETS = (p.Target('dcgan', 'digits', 'digits', 1, {options}),)\n"
    zoo(
        site,
        ["pretrain", "--data_dir", ".", "--runs", "runs", "--out", "releases"],
        ["sample", "releases/dcgan.digits", "-n", "4"],
        before=f"import zoo.commands.pretrain as p\n{target}",
    )
    assert Path("releases/dcgan.digits/card.json").is_file()
    assert Path("samples.png").is_file()
