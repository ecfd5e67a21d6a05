"""Images on disk for the data tests, an own cache folder for each, and the real data sets under ZOO_DATA."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

WriteImage = Callable[..., Path]


@pytest.fixture(autouse=True)
def cache(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, except for the tests on real data: these share one for the session."""
    folder = tmp_path / "cache"
    if "real_data" in request.fixturenames:
        folder = request.getfixturevalue("shared_cache")
    monkeypatch.setenv("ZOO_CACHE", str(folder))
    return folder


@pytest.fixture
def real_data() -> Path:
    if not os.environ.get("ZOO_DATA"):
        pytest.skip("ZOO_DATA is not set")
    return Path(os.environ["ZOO_DATA"])


@pytest.fixture
def write_image() -> WriteImage:
    """write_image(path, width, height, value=..., mode=...): one image of random pixels, or of one value."""

    def write(
        path: Path, width: int = 8, height: int = 8, *, value: object = None, mode: str = "RGB", seed: int = 0
    ) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        if value is None:
            pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
            image = Image.fromarray(pixels).convert(mode)
        else:
            image = Image.new(mode, (width, height), value)
        image.save(path)
        return path

    return write


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every download fails as it does without a network."""
    from urllib.error import URLError

    def refuse(*_: object, **__: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
