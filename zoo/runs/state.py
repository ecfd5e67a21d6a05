"""What became of a run that has no record yet: it goes on, was stopped, or ended with an error. No torch."""

from pathlib import Path

from zoo.runs.folder import RunDir
from zoo.runs.lock import RunLock

FAILURES = "failures"  # folder beside the members of a benchmark: what they ended with
#: In the error of a training that diverged: a loss, or samples before the next loss could tell.
DIVERGED = ("became nan or infinite", "generated values are NaN or infinite")


def in_use(run: RunDir) -> bool:
    """Whether a process holds a run."""
    return RunLock(run.path).is_held()


def failure_file(folder: Path, name: str) -> Path:
    """Where it is kept what a member of a benchmark ended with."""
    return folder / FAILURES / f"{name}.txt"


def failure_of(folder: Path, name: str) -> str:
    """What a member of a benchmark ended with, if by an error."""
    file = failure_file(folder, name)
    return file.read_text(encoding="utf-8", errors="replace").strip() if file.is_file() else ""


def diverged(why: str) -> bool:
    """Whether an error is that of a training that diverged."""
    return any(words in why for words in DIVERGED)


def state_without_record(run: RunDir) -> str:
    """ "running" where a process of this machine holds it, else "diverged", "failed" or "stopped"."""
    if in_use(run):
        return "running"
    if why := failure_of(run.path.parent, run.path.name):
        return "diverged" if diverged(why) else "failed"
    return "stopped"
