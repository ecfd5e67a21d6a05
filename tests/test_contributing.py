"""CONTRIBUTING's worked example, followed: its code, where it says, trains, resumes to the bit and samples."""

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import yaml
from pages import ROOT, commands, named_blocks, section
from registry import Small
from toys import same, state_of

from zoo.__main__ import parser as zoo_parser
from zoo.commands.references import citation, read_reference
from zoo.commands.results.documents import with_table
from zoo.data import Digits
from zoo.metrics.protocol import protocol_hash
from zoo.models import MODELS
from zoo.models.base.module import AdversarialModule
from zoo.releases.weights import load_model
from zoo.runs.measures import SHARED, Measure, Measures
from zoo.runs.record import read_result
from zoo.training import reproduce
from zoo.training.plan import make_plan
from zoo.training.words import Words

pytestmark = pytest.mark.usefixtures("few_draws")
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
EXAMPLE = named_blocks(TEXT)
FILES = ("zoo/models/rgan.py", "zoo/experiments/rgan.py", "tests/models/test_rgan.py", "reproductions/rgan.py")
SMALL_RUN = ["--model.width=2", "--data.batch_size=8", "--evaluation.samples=100", "--evaluation.real_images=500"]


def load(name: str, file: Path) -> ModuleType:
    """A file as the module of that name, which other modules can then import."""
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The example's files where the page puts them, below tmp_path; its model is importable and registered."""
    for name in FILES:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(EXAMPLE[name])
    monkeypatch.setitem(sys.modules, "zoo.models.rgan", ModuleType("replaced below, and taken away by monkeypatch"))
    load("zoo.models.rgan", tmp_path / "zoo/models/rgan.py")
    monkeypatch.setitem(sys.modules, "zoo.experiments.rgan", ModuleType("likewise"))
    load("zoo.experiments.rgan", tmp_path / "zoo/experiments/rgan.py")
    names: dict[str, Any] = {"AdversarialModule": AdversarialModule}
    exec(EXAMPLE["zoo/models/__init__.py"], names)
    monkeypatch.setitem(MODELS, "rgan", names["MODELS"]["rgan"])
    return tmp_path


def test_the_example_trains_resumes_and_samples(checkout: Path) -> None:
    script = load("rgan_script", checkout / "reproductions/rgan.py").RECIPES

    def fit(run: str, *options: str) -> None:
        reproduce(MODELS["rgan"], script, arguments=["fit", "--run_dir", str(checkout / run), *options])

    fit("straight", "--recipe=digits", *SMALL_RUN, "--images=48")
    fit("parts", "--recipe=digits", *SMALL_RUN, "--images=24")
    before = state_of(checkout / "parts/checkpoints/last.ckpt")["state_dict"]
    fit("parts", "--ckpt_path=last", "--images=48")
    straight, parts = (state_of(checkout / run / "checkpoints/last.ckpt") for run in ("straight", "parts"))
    assert same(straight, parts)
    assert not same(before, parts["state_dict"])
    record = read_result(checkout / "parts")
    assert (record["paper"], record["images_seen"], record["generator_steps"]) == ("rgan", 48, 6)
    model = load_model(str(checkout / "straight"))
    images = model.sample(4, seed=0)
    assert images.shape == (4, 1, 32, 32)
    assert images.abs().max() <= 1
    assert torch.equal(images, model.sample(4, seed=0))


def test_the_examples_own_tests_pass(checkout: Path) -> None:
    module = load("example_of_contributing", checkout / "tests/models/test_rgan.py")
    del sys.modules["example_of_contributing"]
    tests = [value for name, value in vars(module).items() if name.startswith("test_")]
    assert len(tests) >= 4
    for test in tests:
        test()


def test_its_measure_is_declared_and_taken_of_its_recipes_data(checkout: Path) -> None:
    """The embedded digits have no test split, and numbers of other images are of another protocol."""
    names: dict[str, Any] = {"SHARED": SHARED, "Measure": Measure, "Measures": Measures}
    exec(EXAMPLE["zoo/experiments/measures.py"], names)
    experiment = sys.modules["zoo.experiments.rgan"].EXPERIMENT
    module = MODELS["rgan"](channels=1, width=2, z_dim=8)
    all_of_them, half = Digits(resolution=32), Digits(resolution=32, train_images=2_500)
    found = experiment.while_training(module, all_of_them, seed=0)
    assert [names["MEASURES"].require(name).measure.better for name in found.values] == ["neither"]
    assert protocol_hash(found.protocol) == protocol_hash(
        experiment.while_training(module, all_of_them, seed=0).protocol
    )
    assert protocol_hash(found.protocol) != protocol_hash(experiment.while_training(module, half, seed=0).protocol)


def test_its_places_fit(checkout: Path) -> None:
    """The line for the registry of tests, the citation that follows from the reference, and the page."""
    names: dict[str, Any] = {"Small": Small}
    exec(EXAMPLE["tests/registry.py"], names)
    row = names["SMALL"]["rgan"]
    assert MODELS["rgan"](**row.model).image_shape == (1, row.data["resolution"], row.data["resolution"])
    from cffconvert import Citation

    reference = read_reference(checkout / "zoo/models/rgan.py", kind="RGAN")
    assert reference == MODELS["rgan"].reference
    cited = (ROOT / "CITATION.cff").read_text() + citation(reference)
    Citation(cited).validate()
    added = yaml.safe_load(cited)["references"][-1]
    assert (added["title"], added["year"], added["url"].rpartition("/")[2]) == (reference.title, 2019, "1807.00734")
    for name in ("docs/rgan.md", "reproductions/rgan.py"):
        assert "the figures\n" in with_table(EXAMPLE[name], "the figures\n", file=Path(name))


def test_its_commands_are_known(checkout: Path) -> None:
    recipes = load("rgan_script", checkout / "reproductions/rgan.py").RECIPES
    lines = [line for line in commands(section(TEXT, "A tenth paper in an hour")) if line.startswith("python")]
    assert len(lines) >= 5
    (checkout / "RUN").mkdir()
    (checkout / "RUN/config.yaml").write_text("recipe: cifar10\n")
    for line in lines:
        words = shlex.split(line)[1:]
        if words[0] == "-m":
            zoo_parser().parse_args(words[2:])
        else:
            assert words[0] == "reproductions/rgan.py"
            assert make_plan(Words.of(words[1:]), paper="rgan", recipes=recipes).recipe in recipes


def test_the_example_keeps_the_house_rules() -> None:
    """What ruff and mypy cannot see here: line lengths, and a paper that imports no other paper."""
    assert all(len(line) <= 120 for code in EXAMPLE.values() for line in code.splitlines())
    assert not re.search(r"from zoo\.models\.(?!base)", EXAMPLE["zoo/models/rgan.py"])


PLACES = {  # where the example's lines go in a file that is there
    "zoo/models/__init__.py": ('    "stylegan": StyleGAN,\n', '    "rgan": RGAN,\n'),
    "tests/registry.py": ("SMALL: dict[str, Small] = {\n", EXAMPLE["tests/registry.py"].splitlines()[2] + "\n"),
}


def with_example(target: Path) -> None:
    """A copy of this checkout at `target` with the example's files and lines, and the tables that follow from them."""
    names = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    for name in names:
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
    for name, (before, line) in PLACES.items():
        text = (target / name).read_text()
        assert before in text
        (target / name).write_text(text.replace(before, before + line))
    registry = target / "zoo/models/__init__.py"
    registry.write_text(registry.read_text().replace("\nMODELS", "\nfrom zoo.models.rgan import RGAN\n\nMODELS", 1))
    for name in FILES:
        (target / name).write_text(EXAMPLE[name])
    text = (target / "pyproject.toml").read_text()
    line = EXAMPLE["pyproject.toml"].partition("  #")[0] + "\n"
    for before, after in (('    "zoo.models.stylegan",\n', line), ("| zoo.models.stylegan", " | zoo.models.rgan")):
        assert text.count(before) == 1
        text = text.replace(before, before + after)
    (target / "pyproject.toml").write_text(text)


@pytest.mark.slow
def test_a_tenth_paper_leaves_the_tests_green(tmp_path: Path) -> None:
    """The four places, `zoo results --write`, and nothing else: every test that knows the new paper passes."""
    with_example(tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    written = run("zoo", "results", "--write")
    assert written.returncode == 0, written.stderr
    assert "Jolicoeur-Martineau 2019" in (tmp_path / "README.md").read_text()
    files = [
        "tests/test_documents.py",
        "tests/test_project.py",
        *(str(f) for f in (tmp_path / "tests").rglob("test_papers.py")),
    ]
    assert (ran := run("pytest", "-q", *files)).returncode == 0, ran.stdout[-3000:]
    assert (ran := run("pytest", "-q", "tests", "-k", "rgan")).returncode == 0, ran.stdout[-3000:]
    assert "[100%]" in ran.stdout  # some there were
