"""DINOv2 by name: what torch.hub's folder must hold, and what is said where it does not."""

from pathlib import Path

import pytest
import torch

from zoo.data import Digits
from zoo.errors import WeightsError
from zoo.experiments.suite import EvaluationSettings, Measurement
from zoo.metrics.dinov2 import CODE, FILE, MEAN, STD, DinoV2Extractor
from zoo.metrics.extractors import load_extractor
from zoo.metrics.features import sha256_of
from zoo.metrics.protocol import value_name
from zoo.models.dcgan import DCGAN

HUBCONF = """
import os, torch
assert os.environ["XFORMERS_DISABLED"] == "1"
print("a greeting")
def dinov2_vitb14(pretrained=True):
    assert not pretrained
    return torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, 768, bias=False))
"""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as torch.hub leaves it, with a network that averages each channel."""
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    monkeypatch.delenv("ZOO_DINOV2_WEIGHTS", raising=False)
    (tmp_path / CODE).mkdir()
    (tmp_path / CODE / "hubconf.py").write_text(HUBCONF)
    (tmp_path / "checkpoints").mkdir()
    torch.save({"2.weight": torch.eye(768, 3)}, tmp_path / "checkpoints" / FILE)
    return tmp_path


def test_features_of_normalised_images(hub: Path, capsys: pytest.CaptureFixture[str]) -> None:
    extractor = load_extractor("dinov2")
    grey = torch.full((2, 1, 20, 20), 51, dtype=torch.uint8)
    found = extractor(grey)
    assert found.features.shape == (2, extractor.dim) == (2, 768)
    expected = (0.2 - torch.tensor(MEAN)) / torch.tensor(STD)
    torch.testing.assert_close(found.features[0, :3], expected)
    assert found.logits.shape == (2, extractor.num_classes) == (2, 0)
    assert extractor.sha256 == sha256_of(hub / "checkpoints" / FILE)
    assert value_name("fd", extractor.name, 10_000) == "fd_dinov2_10k"
    assert capsys.readouterr().out == ""


def test_what_is_missing_is_named_with_its_place(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (hub / "checkpoints" / FILE).unlink()
    with pytest.raises(WeightsError, match=rf"no weights at {hub}/checkpoints/{FILE}\. .*torch\.hub\.load"):
        DinoV2Extractor()
    monkeypatch.setenv("ZOO_DINOV2_WEIGHTS", str(hub / "mine.pth"))
    (hub / CODE / "hubconf.py").unlink()
    with pytest.raises(WeightsError, match=rf"no network at {hub}/{CODE}/hubconf\.py and no weights at {hub}/mine"):
        DinoV2Extractor()


def test_other_weights_are_refused(hub: Path) -> None:
    torch.save({"weight": torch.eye(3)}, hub / "checkpoints" / FILE)
    with pytest.raises(WeightsError, match=r"gives no dinov2_vitb14 \("):
        DinoV2Extractor()


@pytest.mark.parametrize(("testing", "expected"), [(False, ("pr_few", "swd_few")), (True, ("pr", "swd_few"))])
def test_photographs_have_precision_recall_and_patches_besides(
    hub: Path, testing: bool, expected: tuple[str, ...]
) -> None:
    data = Digits(resolution=64)
    module = DCGAN(network="community", resolution=64, channels=1, width=2)
    settings = EvaluationSettings(extractors=["lenet", "dinov2"], samples=20, test_samples=20)

    def measures() -> list[list[str]]:
        return [e.measures for e in Measurement(data, settings=settings, testing=testing).prepare(module)]

    assert measures() == [["fd", "is", "kd"], ["fd", "kd"]]
    data.extractor = "efficientnet"
    assert measures() == [["fd", "is", "kd", expected[0]], ["fd", "kd", *expected]]
