"""The plan of the house: few rooms at the root, small files, imports downwards, plumbing once."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from zoo.models import MODELS

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "zoo").rglob("*.py"))
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")

#: Files above 350 lines, and how long they may be until they are split: none, and none is to come.
LONG: dict[str, int] = {}

#: Who may rename: the one atomic writer, and those that move files or folders which are whole already.
RENAMES = {
    "zoo/commands/wandb/pull.py",  # a grid that W&B's client fetched
    "zoo/data/base.py",  # the files of a finished download
    "zoo/releases/export.py",  # a release's folder
    "zoo/releases/find.py",  # the same, fetched
    "zoo/runs/folder.py",  # the writer
    "zoo/training/members.py",  # a run's folder, out of the way
}


def test_the_root_is_a_table_of_contents() -> None:
    entries = {path.name for path in (ROOT / "zoo").iterdir()} - {"__pycache__", "py.typed"}
    assert len(entries) <= 13, sorted(entries)


def test_no_file_is_long() -> None:
    lengths = {file.relative_to(ROOT).as_posix(): len(file.read_text().splitlines()) for file in FILES}
    long = {name: n for name, n in lengths.items() if n > LONG.get(name, 350)}
    assert not long, f"above 350 lines: {long}"
    short = [name for name in LONG if lengths.get(name, 0) <= 350]
    assert not short, f"no longer above 350 lines, so take them off the list: {short}"


def renames(source: str) -> Iterator[str]:
    """Calls that give a file its final name: PATH.replace(to), PATH.rename(to), os.replace, os.rename, shutil.move."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
            name = node.func.attr
            of_path = name in ("replace", "rename") and len(node.args) == 1 and owner != "dataclasses"
            if of_path or (owner, name) in (("os", "replace"), ("os", "rename"), ("os", "renames"), ("shutil", "move")):
                yield ast.unparse(node)


def test_only_one_writer_gives_a_file_its_name() -> None:
    found = {file.relative_to(ROOT).as_posix(): list(renames(file.read_text())) for file in FILES}
    assert {name for name, calls in found.items() if calls} == RENAMES
    assert found["zoo/runs/folder.py"] == [
        "temporary.replace(path)",
        "folder.rename(aside)",  # until another folder has its place
        "path.rename(aside)",  # to keep what is damaged
        "aside.rename(folder)",
    ]
    others = RENAMES - {"zoo/runs/folder.py"}
    assert all(len(found[name]) == 1 for name in others), {name: found[name] for name in others}
    synced = [name for name in found if "os.fsync(" in (ROOT / name).read_text()]
    assert synced == ["zoo/runs/folder.py"]


@pytest.mark.parametrize(
    "second_writer",
    ["part.replace(path)", "os.replace(part, path)", "Path(part).rename(path)", "shutil.move(part, path)"],
)
def test_a_second_writer_is_found(second_writer: str) -> None:
    assert list(renames(f"def write():\n    {second_writer}\n")) == [second_writer]


def test_what_only_looks_like_one_is_not() -> None:
    assert not list(renames("text.replace('a', 'b')\ndataclasses.replace(plan, base=1)\ntime.replace(tzinfo=None)"))


def test_names_by_images_seen_are_made_in_one_place() -> None:
    digits = [f.relative_to(ROOT).as_posix() for f in FILES if 'f"images-{' in f.read_text()]
    assert digits == ["zoo/runs/folder.py"]
    parsed = [f.relative_to(ROOT).as_posix() for f in FILES if '("images-")' in f.read_text()]
    assert parsed == ["zoo/runs/folder.py"]


def test_errors_stand_in_one_file() -> None:
    """But for `Interrupted`, which is no mistake of anybody's and ends with a signal's status."""
    classes = {
        node.name: file.relative_to(ROOT).as_posix()
        for file in FILES
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ClassDef) and node.name != "Interrupted"
        if any(ast.unparse(base).endswith("Error") for base in node.bases)
    }
    assert set(classes.values()) == {"zoo/errors.py"}, classes


# --- the contract of the rooms ---


@pytest.mark.parametrize("paper", MODELS)
def test_the_contract_names_every_paper(paper: str) -> None:
    """Of one that it does not name, nobody would see what it imports."""
    contract = (ROOT / "pyproject.toml").read_text().partition("[tool.importlinter]")[2]
    found = len(re.findall(rf"zoo\.models\.{paper}\b", contract))
    assert found == 2, (
        f"zoo.models.{paper} belongs into two lists of pyproject.toml's [tool.importlinter], see CONTRIBUTING"
    )


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(LINT_IMPORTS), "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env={"PYTHONPATH": str(folder)})


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the packages' code, to be changed."""
    for package in ("zoo", "reproductions"):
        for file in (ROOT / package).rglob("*.py"):
            copied = tmp_path / file.relative_to(ROOT)
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, copied)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.skipif(not LINT_IMPORTS.exists(), reason="import-linter is not installed")
def test_nothing_imports_upwards() -> None:
    found = lint_imports(ROOT)
    assert found.returncode == 0, found.stdout


@pytest.mark.skipif(not LINT_IMPORTS.exists(), reason="import-linter is not installed")
@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("zoo/data/stream.py", "def f():\n    from zoo.training.plan import Plan", "Rooms: nothing imports upwards"),
        ("zoo/runs/text.py", "from zoo.nn.losses import bce", "Rooms: nothing imports upwards"),
        ("zoo/nn/losses.py", "if False:\n    from zoo.models.gan import GAN", "Rooms: nothing imports upwards"),
        ("zoo/models/wgan.py", "from zoo.models.gan import GAN", "No paper imports another"),
        (
            "zoo/models/base/state.py",
            "from zoo.models.networks.dcgan import x",
            "Inside models: papers, networks, base",
        ),
    ],
)
def test_mutations_break_the_contract(copy: Path, file: str, line: str, contract: str) -> None:
    changed = copy / file
    changed.write_text(f"{changed.read_text()}\n\n{line}\n")
    found = lint_imports(copy)
    assert found.returncode != 0
    assert f"{contract} BROKEN" in found.stdout, found.stdout
    importer, imported = file.removesuffix(".py").replace("/", "."), re.findall(r"zoo[.a-z_]+", line)[0]
    assert f"{importer} -> {imported}" in found.stdout, found.stdout
