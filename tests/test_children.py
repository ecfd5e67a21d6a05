"""Commands that start further ones: a signal reaches those, which end by themselves, and nothing is left behind."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from zoo.errors import Interrupted
from zoo.runs.children import Children

#: A training in small: it says that it has begun, and needs a moment to end after a SIGTERM.
PATIENT = """
import signal, sys, time
from pathlib import Path
here = Path(sys.argv[1])
def end(*_):
    time.sleep(0.3)
    (here / "checkpoint").write_text("written")
    sys.exit(143)
signal.signal(signal.SIGTERM, end)
(here / "begun").write_text("")
time.sleep(60)
"""


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.runs.children.PROGRAM", ("-S", "-c", PATIENT))


def wait_for(*files: Path) -> None:
    deadline = time.monotonic() + 30
    while not all(file.exists() for file in files):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.usefixtures("program")
def test_all_write_their_checkpoint_and_no_further_one_begins(tmp_path: Path) -> None:
    """Two at once on threads, as in a benchmark; two more wait for their turn."""
    folders = [tmp_path / str(i) for i in range(4)]
    statuses = {}

    def one(folder: Path) -> None:
        folder.mkdir()
        statuses[folder.name] = children.call([str(folder)], log=folder / "log")

    def stopped(pool: ThreadPoolExecutor) -> None:
        for folder in folders:
            pool.submit(one, folder)
        wait_for(folders[0] / "begun", folders[1] / "begun")
        raise Interrupted("stopped", number=signal.SIGTERM)

    with pytest.raises(Interrupted), ThreadPoolExecutor(max_workers=2) as pool, Children() as children:
        stopped(pool)
    assert [folder.joinpath("checkpoint").exists() for folder in folders] == [True, True, False, False]
    assert statuses == {"0": 143, "1": 143, "2": -signal.SIGTERM, "3": -signal.SIGTERM}
    assert not [folder for folder in folders[2:] if (folder / "begun").exists()]


@pytest.mark.usefixtures("program")
def test_a_signal_while_the_main_thread_waits(tmp_path: Path) -> None:
    """As in a study."""

    def interrupt(number: int, frame: object) -> None:
        raise Interrupted("stopped", number=number)

    def send() -> None:
        wait_for(tmp_path / "begun")
        os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, interrupt)
    sender = threading.Thread(target=send)
    sender.start()
    try:
        with pytest.raises(Interrupted), Children() as children:
            children.call([str(tmp_path)])
    finally:
        signal.signal(signal.SIGUSR1, before)
        sender.join()
    assert (tmp_path / "checkpoint").exists()


def test_status_log_and_threads_of_a_command_that_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import os, sys; print(sys.argv[1:], os.environ.get('OMP_NUM_THREADS')); sys.exit(3)"
    monkeypatch.setattr("zoo.runs.children.PROGRAM", ("-S", "-c", code))
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    log = tmp_path / "logs/one.log"
    with Children() as children:
        assert children.call(["fit", "gan"], log=log, one_thread=True) == 3
        assert children.call(["test"], log=log) == 3
    assert log.read_text() == "['fit', 'gan'] 1\n['test'] 5\n"
    assert not children.running
