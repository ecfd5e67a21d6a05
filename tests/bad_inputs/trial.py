"""How a bad input is tried: in this process, with a time limit, and with a look at what it leaves behind."""

import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import pytest

from zoo.__main__ import main
from zoo.training import reproduce
from zoo.training.scripts import papers, script_of

SECONDS = 120


class Outcome(NamedTuple):
    """Exit status, and what was printed on standard error; `crash` is the last line of a traceback.

    `left` are files that came or went, or whose content is another.
    """

    status: int
    error: str
    crash: str
    left: list[str]


@contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Inside, a hang becomes a TimeoutError."""

    def late(*_: object) -> None:
        raise TimeoutError(f"still running after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def files_below(folder: Path) -> dict[str, str]:
    """All names below a folder, each with the hash of its content ("": no regular file)."""
    paths = {str(path.relative_to(folder)): path for path in folder.rglob("*") if "__pycache__" not in path.parts}
    return {name: sha256(path.read_bytes()).hexdigest() if path.is_file() else "" for name, path in paths.items()}


def attempt(words: list[str], *, folder: Path, capsys: pytest.CaptureFixture[str]) -> Outcome:
    """Runs `fit PAPER ...` or any command of `zoo` in `folder`, which is the current one."""
    before = files_below(folder)
    capsys.readouterr()
    status, crash = 0, ""
    try:
        with limited(SECONDS), pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["zoo", *words])
            if words[0] in ("fit", "test", "predict") and words[1:2] and words[1] in papers():
                reproduce(words[1], script_of(words[1]).recipes, arguments=[words[0], *words[2:]])
            else:
                main()
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else 1
    except BaseException as error:  # what a user would see as a traceback
        frame = traceback.extract_tb(error.__traceback__)[-1]
        status, crash = 1, f"{type(error).__name__}: {error} ({Path(frame.filename).name}:{frame.lineno})"
    text = capsys.readouterr().err
    left = sorted({name for name, _ in files_below(folder).items() ^ before.items()})
    return Outcome(status, text, crash, left)


def one_clear_line(outcome: Outcome, names: str) -> None:
    """Asserts that a bad input ended as it should: named, without a traceback, with nothing changed."""
    assert outcome.crash == "", outcome
    assert outcome.status in (1, 2), outcome
    assert names in outcome.error, outcome
    assert outcome.error.count("error:") == 1, outcome
    assert not any(word in outcome.error for word in ("Traceback", "weights_only", "\x1b")), outcome
    assert outcome.left == [], outcome
