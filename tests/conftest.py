"""Every test has its own cache and works in a folder of its own."""

from pathlib import Path

import pytest

#: Files that take longest and have few tests: handed out last, one would hold a process while the others idle.
FIRST = ("test_two_processes.py", "test_wheel.py", "test_resume.py", "test_learning.py", "test_cli.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`make test` hands files out in this order."""
    items.sort(key=lambda item: item.path.name not in FIRST)


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for the whole session: the digits are decoded once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_folders(monkeypatch: pytest.MonkeyPatch, shared_cache: Path, tmp_path: Path) -> None:
    monkeypatch.setenv("ZOO_CACHE", str(shared_cache))
    monkeypatch.setenv("WANDB_MODE", "offline")
    for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR"):  # copies of artifacts' files wait there
        monkeypatch.setenv(name, str(shared_cache / name))
    monkeypatch.delenv("ZOO_INCEPTION_WEIGHTS", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """See `toys.draw_few`."""
    from toys import draw_few  # with torch, which whoever hands out tests need not load

    draw_few(monkeypatch)
