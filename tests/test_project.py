"""What the repository says of itself: citation, the `zoo` command, the tables of reached figures."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

import zoo
from zoo.__main__ import COMMANDS
from zoo.commands.results.documents import documents
from zoo.commands.results.results import results
from zoo.errors import ZooError
from zoo.models import BESIDE, MODELS
from zoo.runs.environment import SPINS
from zoo.training.scripts import papers

ROOT = Path(__file__).parents[1]


def run_zoo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "zoo", *arguments], capture_output=True, text=True, check=False)


def test_the_tables_of_reached_figures_are_those_of_the_records() -> None:
    """Fails when a record changed: run `python -m zoo results --write`."""
    wanted = documents(ROOT)
    for file, text in wanted.items():
        assert file.read_text() == text, f"{file} is stale"
    short, whole = (wanted[ROOT / name] for name in ("README.md", "docs/results.md"))
    for name in MODELS:
        assert 1 <= short.count(f"\n| {name} |") <= 2
        assert whole.count(f"\n## {name}\n") == 1


def test_a_record_without_the_test_of_its_end_is_refused(tmp_path: Path) -> None:
    assert list(results(ROOT / "reproductions"))
    folder = tmp_path / "reproductions"
    (folder / "records").mkdir(parents=True)
    record = ROOT / "reproductions/records/gan-mnist-seed0.json"
    (folder / "records" / record.name).write_text(record.read_text().replace("last.ckpt", "other.ckpt"))
    with pytest.raises(ZooError, match=r"needs `test` on last\.ckpt; it has \['best', 'other'\]"):
        list(results(folder))


def test_every_paper_has_a_model_a_script_and_a_line() -> None:
    assert (
        set(MODELS)
        == {path.stem for path in (ROOT / "reproductions").glob("*.py")} - {"__init__", *BESIDE}
        == set(papers())
    )
    listed = run_zoo("papers").stdout
    for name, model in MODELS.items():
        assert model.paper == name
        assert f"reproductions/{name}.py" in listed
        assert f"reproductions/{name}.py" in (ROOT / "README.md").read_text()


def test_the_citation_file_is_valid_and_lists_the_papers() -> None:
    from cffconvert import Citation

    text = (ROOT / "CITATION.cff").read_text()
    Citation(text).validate()
    assert len(yaml.safe_load(text)["references"]) == len(MODELS)


def test_the_zoo_command_explains_itself_and_its_errors(tmp_path: Path) -> None:
    listed = run_zoo().stdout
    assert listed == run_zoo("--help").stdout
    assert all(f"\n  {command.name} " in listed for group in COMMANDS.values() for command in group)
    unknown = run_zoo("paperss")
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert unknown.stderr == "error: there is no command 'paperss': did you mean 'papers'? (`zoo` lists all)\n"
    records = run_zoo("records", str(ROOT / "reproductions/records")).stdout
    assert "gan mnist" in records
    assert "robustness.json: benchmark robustness, " in records
    failed = run_zoo("records", str(tmp_path))
    assert failed.returncode == 1
    assert failed.stderr.startswith("error: no records")
    assert run_zoo("reached", "--root", str(tmp_path)).returncode == 1


def test_no_file_names_this_machine_or_a_registry() -> None:
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a checkout")
    hosts = re.compile("py" + r"pi\.org|python" + r"hosted|/wo" + r"rk/(main|\.library)")
    for name in listed.stdout.split():
        if Path(name).suffix in {".py", ".md", ".toml", ".json", ".cff", ".yaml", ""} and (ROOT / name).is_file():
            assert not hosts.search((ROOT / name).read_text()), name


def test_torch_hub_lists_and_loads_from_a_checkout() -> None:
    """All that `dependencies` names is there: torch.hub refuses a repository that asks for what is not installed."""
    assert torch.hub.load(str(ROOT), "list_pretrained", source="local") == zoo.list_pretrained()
    module = torch.hub.load(str(ROOT), "pretrained", "wgan.mnist", source="local")
    assert torch.equal(module.sample(2, seed=0), zoo.load_pretrained("wgan.mnist").sample(2, seed=0))


def test_released_files_keep_their_bytes_in_every_checkout() -> None:
    """Git for Windows gives texts other line ends, and a card would not be the one that the index lists."""
    files = [path.relative_to(ROOT).as_posix() for path in (ROOT / "zoo/releases/shipped").rglob("*.json")]
    command = ["git", "-C", str(ROOT), "check-attr", "text", "--", *files]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    if told.returncode:
        pytest.skip("not a checkout")
    assert [line.rpartition(": ")[2] for line in told.stdout.splitlines()] == ["unset"] * len(files) != []


@pytest.mark.parametrize(
    ("given", "spins"), [({}, SPINS), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "None")]
)
@pytest.mark.parametrize(
    "starts",
    [
        "sys.argv = ['zoo', 'fit', 'nobody']; import zoo.__main__; run = zoo.__main__.main",
        "sys.argv = ['gan.py', 'fit', '--help']; from zoo.training import *; run = lambda: reproduce('gan', R)",
    ],
)
def test_command_lines_shorten_the_wait_of_threads_unless_told(given: dict[str, str], spins: str, starts: str) -> None:
    others = {key: value for key, value in os.environ.items() if key not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    code = f"""
import contextlib, io, os, sys
from zoo.training.recipes import Recipe
R = {{"digits": Recipe("", {{}})}}
{starts}
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
    run()
print(os.environ.get("GOMP_SPINCOUNT"), "torch" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env=others | given, capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.split() == [spins, "False"]  # torch, whose runtime reads it, comes later


def test_importing_the_package_changes_nothing_and_its_names_come_when_asked_for() -> None:
    code = (
        "import os, sys; before = dict(os.environ); import zoo; assert dict(os.environ) == before; "
        "from zoo import load_pretrained; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
    assert "MODELS" not in vars(zoo)  # so that it is looked up here
    assert zoo.MODELS is MODELS
