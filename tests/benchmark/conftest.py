"""The fixture of these tests."""

from pathlib import Path

import pytest
from played_benchmark import Place


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(tmp_path, monkeypatch)
