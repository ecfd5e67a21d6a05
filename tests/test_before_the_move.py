"""Runs begun before the package was rebuilt (tests/before) go on with today's code as they did with the code of then.

On one machine they do so to the bit: `python benchmarks/same_as_before.py OLD NEW` shows that. Other processors round
otherwise, so here weights and optimizers are compared with what the old code reached elsewhere. A tensor may be off by
1 % of the way that it went since the run was begun: rounding makes less than 0.1 % of it (tests/before/README.md), and
other latents make 10 to 200 % in each network. Counters, settings and the states of all random streams are exact.
"""

import json
import lzma
import runpy
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from before_runs import FOLDER, error, numbers, read, sampled
from safetensors.torch import load_file
from torch import Tensor

from zoo.metrics.protocol import protocol_hash
from zoo.models import MODELS
from zoo.models.trained import current_settings

ROOT = Path(__file__).parents[1]
RUNS = sorted(path.name for path in FOLDER.iterdir() if path.is_dir())
TOLERANCE = 0.01
#: A key of the first record of all, from before keys were hashes.
NO_HASHES = {"gan-1"}


def unpacked(name: str, folder: Path) -> Path:
    """An old run's folder as training left it."""
    run = Path(shutil.copytree(FOLDER / name, folder / name))
    (run / "checkpoints").mkdir()
    with lzma.open(run / "last.ckpt.xz") as packed, (run / "checkpoints/last.ckpt").open("wb") as file:
        shutil.copyfileobj(packed, file)
    return run


def resumed(run: Path, *, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the last checkpoint holds after the old run has gone on with today's code."""
    checkpoint = run / "checkpoints/last.ckpt"
    script = ROOT / "reproductions" / f"{read(checkpoint)['zoo']['paper']}.py"
    images = json.loads((run / "expected.json").read_text())["images"]
    command = ["fit", "--run_dir", str(run), "--ckpt_path", "last", "--images", str(images)]
    patch.setattr(sys, "argv", [str(script), *command])
    runpy.run_path(str(script), run_name="__main__")
    return read(checkpoint)


def wrong_tensors(run: Path, content: dict[str, Any]) -> dict[str, float]:
    """The tensors that are not where the old code brought them, and by how much."""
    begun, wanted, found = (
        sampled(read(run / "last.ckpt.xz")),
        load_file(run / "expected.safetensors"),
        sampled(content),
    )
    assert found.keys() >= wanted.keys()
    errors = {name: error(found[name], value, begun=begun.get(name)) for name, value in wanted.items()}
    return {name: value for name, value in errors.items() if not value <= TOLERANCE}


@pytest.mark.parametrize("name", RUNS)
def test_an_old_run_goes_on_as_it_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    run = unpacked(name, tmp_path)
    content = resumed(run, patch=monkeypatch)
    expected = json.loads((run / "expected.json").read_text())
    assert wrong_tensors(run, content) == {}
    exact = numbers(content)
    assert exact["counters"] == expected["counters"]
    assert exact["random_states"] == expected["random_states"]
    paper = content["zoo"]["paper"]
    settings = {name: value for name, value in expected["hyper_parameters"].items() if not name.startswith("_")}
    ours = {
        name: value for name, value in exact["hyper_parameters"].items() if not name.startswith("_")
    }  # not Lightning's
    built = MODELS[paper](**current_settings(paper, settings)).hparams  # with what is there since
    assert ours == json.loads(json.dumps(dict(built)))
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [
        {name: row[name] for name in row if name not in ("time", "resumed", "generator_steps")} for row in rows
    ] == [pytest.approx(row, rel=TOLERANCE, abs=1e-4) for row in expected["rows"]]


@pytest.mark.parametrize("name", ["dcgan", "wgan_gp"])
def test_with_other_latents_it_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The control of the test above: the tolerance is narrow enough."""
    run = unpacked(name, tmp_path)
    checkpoint = run / "checkpoints/last.ckpt"
    content = read(checkpoint)
    content["zoo"]["random_states"][0]["latents"] = torch.Generator().manual_seed(5).get_state()
    torch.save(content, checkpoint)
    wrong = wrong_tensors(run, resumed(run, patch=monkeypatch))
    assert any(name.startswith("state_dict.D.") for name in wrong)
    assert any(name.startswith("state_dict.G.") for name in wrong)


def test_there_is_an_old_run_of_each_paper_and_none_names_a_folder_of_a_machine() -> None:
    contents = [read(FOLDER / name / "last.ckpt.xz") for name in RUNS]
    nine = {"gan", "cgan", "dcgan", "wgan", "infogan", "wgan_gp", "lsgan", "pggan", "stylegan"}
    assert {content["zoo"]["paper"] for content in contents} == nine
    assert nine <= MODELS.keys()
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 2_000_000
    texts = [path.read_text() for path in files if path.suffix in (".yaml", ".json", ".jsonl")]
    for text in [*texts, *(word for content in contents for word in words(content))]:
        assert ": /" not in text
        assert not text.startswith("/")


def words(value: Any) -> Iterator[str]:
    """The texts in a nest."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from words(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from words(item)


def committed_records() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every record, those within studies too."""
    for file in sorted((ROOT / "reproductions/records").glob("*.json")):
        content = json.loads(file.read_text())
        if "study" in content:
            yield from ((f"{file.name} {member}", record) for member, record in content["records"].items())
        else:
            yield file.name, content


def test_the_key_of_each_committed_protocol_is_its_hash() -> None:
    """That each record is valid, `test_project` shows: it reads them all."""
    keys = 0
    for name, record in committed_records():
        for key, protocol in record["protocols"].items():
            assert key in {protocol_hash(protocol), *NO_HASHES}, name
            keys += 1
        named = {key for test in record["tests"] for key in test["protocols"].values()}
        assert named | {measure["protocol"] for measure in record["measures"].values()} <= record["protocols"].keys()
    assert keys > 100


def test_the_error_is_of_the_way_gone() -> None:
    begun, wanted = torch.zeros(4), torch.full((4,), 2.0)
    assert error(wanted + 0.02, wanted, begun=begun) == pytest.approx(0.01, rel=1e-4)
    assert error(wanted, wanted, begun=wanted) == 0
    assert error(wanted + 1e-6, wanted, begun=wanted) == torch.inf
    assert error(wanted, wanted, begun=None) == 0


def test_a_checkpoint_is_told_by_values_from_all_over_it() -> None:
    weights: dict[str, Tensor] = {"w": torch.arange(100 * 128.0).view(100, 128), "n": torch.tensor(3)}
    found = sampled({"state_dict": weights, "optimizer_states": [{"state": {0: {"step": torch.tensor(2.0)}}}]})
    assert list(found) == ["state_dict.w", "state_dict.n", "optimizer_states.0.state.0.step"]
    taken = found["state_dict.w"].long()
    assert len(taken) <= 256
    assert len((taken % 128).unique()) > 100
    assert taken.max() > 99 * 128
