"""The notebooks: they run from top to bottom, and what is committed is what a run leaves.

Their code is run as plain scripts, each in a process of its own: no kernel, no Jupyter and no sockets in the CI, and
`helpers.shown` makes its pictures whether or not anybody displays them.
"""

import ast
import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import Looks, Picture, Recorder, budget, shown, train
from PIL import Image
from toys import ToyData, ToyGAN

from zoo.experiments.pictures.drawing import new_figure
from zoo.models.dcgan import DCGAN

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
LARGEST = 400 * 1024  # bytes
ids = [path.stem for path in NOTEBOOKS]


def cells(path: Path, kind: str = "code") -> list[dict[str, Any]]:
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=ids)
def test_what_it_imports_is_there(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Quick, where running them all is slow: names that moved are found."""
    monkeypatch.syspath_prepend(FOLDER)  # as in Jupyter
    for cell in cells(path):
        lines = [line for line in source(cell).splitlines() if not line.startswith("%")]
        for node in ast.walk(ast.parse("\n".join(lines))):
            if isinstance(node, ast.Import):
                for name in node.names:
                    importlib.import_module(name.name)
            elif isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module or "")
                for name in node.names:
                    assert hasattr(module, name.name), f"{path.name}: {node.module} has no {name.name}"


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=[] if path.stem.startswith("02") else pytest.mark.slow) for path in NOTEBOOKS],
    ids=ids,
)
def test_it_runs_on_the_fast_budget(path: Path, tmp_path: Path) -> None:
    script = tmp_path / "notebook.py"
    script.write_text("\n\n".join(source(cell) for cell in cells(path)))
    environment = {**os.environ, "ZOO_NOTEBOOK_BUDGET": "fast", "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join([str(FOLDER), os.environ.get("PYTHONPATH", "")])  # as in Jupyter
    ran = subprocess.run(
        [sys.executable, str(script)], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert "Warning" not in ran.stderr, ran.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["notebook.py"]  # nothing is left behind


def test_the_third_looks_at_generators_without_a_trace() -> None:
    """BatchNorm took the looks into its averages, six batches of four too, and was compared with other techniques."""
    third = [source(cell) for cell in cells(NOTEBOOKS[2])]
    names: dict[str, Any] = {}
    exec(third[0], names)
    for name in ("feature_gap", "in_company"):
        code = next(code for code in third if f"def {name}(" in code)
        exec(re.findall(rf"@torch\.no_grad\(\)\ndef {name}\(.*?\n\n\n", code, re.DOTALL)[0], names)
    torch.manual_seed(0)
    module = DCGAN(network="community", resolution=16, channels=1, width=2, z_dim=4)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    names["reals"] = torch.rand(8, 1, 16, 16)
    assert names["feature_gap"](module) > 0
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert names["in_company"](module).shape == (2, 7, 1, 16, 16)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_the_sixth_takes_a_folder_of_few_images_of_any_kind(tmp_path: Path) -> None:
    for split, count in (("train", 13), ("test", 7)):
        (tmp_path / split).mkdir()
        (tmp_path / split / "notes.txt").write_text("no image")
        for i in range(count):
            image = Image.new("RGB", (33 + 5 * i, 90 - 4 * i), (9 * i, 0, 200))
            image.convert(("RGB", "RGBA", "P", "L")[i % 4]).save(tmp_path / split / f"{i}.png")
    imports, drawing, *_ = (source(cell) for cell in cells(NOTEBOOKS[5]))
    own = drawing[drawing.index("data = ImageFolder(") :]
    names: dict[str, Any] = {}
    exec(imports, names)
    exec(
        own.replace("root=folder.name", f"root={str(tmp_path)!r}").replace("shown(figure", "seen = shown(figure"), names
    )
    assert names["seen"].text == "10 of 13 letters to learn from; 7 more are held out"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=ids)
def test_its_outputs_are_committed_whole_and_small(path: Path) -> None:
    assert path.stat().st_size < LARGEST
    code = cells(path)
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    pictures = 0
    for cell in code:
        kinds = [output["output_type"] for output in cell["outputs"]]
        assert "error" not in kinds, source(cell)
        assert all(output["name"] == "stdout" for output in cell["outputs"] if output["output_type"] == "stream")
        drawn = ["image/png" in output.get("data", {}) for output in cell["outputs"]]
        assert any(drawn) == ("shown(" in source(cell)), source(cell)
        pictures += sum(drawn)
    assert pictures >= 4


@pytest.mark.parametrize("path", NOTEBOOKS, ids=ids)
def test_it_names_no_machine_and_no_registry(path: Path) -> None:
    hosts = re.compile("py" + r"pi\.org|python" + r"hosted|site-packages|/(wo" + "rk|tmp|home|root|Users)/")
    notebook = json.loads(path.read_text())
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            output.get("data", {}).pop("image/png", None)
    assert not hosts.search(json.dumps(notebook))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=ids)
def test_title_and_budget_are_at_the_top(path: Path) -> None:
    assert source(cells(path, "markdown")[0]).startswith(f"# {int(path.stem[:2])}. ")
    assert "budget(" in source(cells(path)[0])


def test_they_are_numbered_and_listed() -> None:
    assert [int(path.stem[:2]) for path in NOTEBOOKS] == list(range(1, len(NOTEBOOKS) + 1))
    listed = (FOLDER / "README.md").read_text()
    assert all(f"({path.name})" in listed for path in NOTEBOOKS)


# What they share.


def test_budget_reads_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZOO_NOTEBOOK_BUDGET", raising=False)
    assert budget(100, fast=1) == 100
    monkeypatch.setenv("ZOO_NOTEBOOK_BUDGET", "fast")
    assert budget([100], fast=[1]) == [1]
    monkeypatch.setenv("ZOO_NOTEBOOK_BUDGET", "quick")
    with pytest.raises(ValueError, match="ZOO_NOTEBOOK_BUDGET='quick': it must be full or fast"):
        budget(100, fast=1)


def test_training_stops_at_the_budget_and_is_looked_at_on_time() -> None:
    torch.manual_seed(0)
    looks, recorder = Looks(lambda module: module.discriminator_steps, at=[40, 10, 16]), Recorder(every=2)
    module = train(ToyGAN(), ToyData(batch_size=8), images=48, callbacks=[looks, recorder])
    assert module.images_seen == 48
    assert looks.seen == {10: 2, 16: 2, 40: 5}
    assert [row["images_seen"] for row in recorder.rows] == [16, 32, 48]
    assert {"loss_discriminator", "loss_generator"} <= set(recorder.rows[0])


def test_a_picture_is_a_small_png_with_its_title(tmp_path: Path) -> None:
    figure, [[ax]] = new_figure(1, 1, width=3, height=2)
    ax.plot([0, 1], [0, 1])
    picture = shown(figure, "A line", dpi=50)
    assert isinstance(picture, Picture)
    (tmp_path / "line.png").write_bytes(picture._repr_png_())
    with Image.open(tmp_path / "line.png") as image:
        assert (image.size, image.mode) == ((150, 100), "P")
    assert repr(picture) == "A line"
    assert figure.get_suptitle() == "A line"
