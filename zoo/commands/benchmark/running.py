"""Trains and measures the members of a benchmark, and keeps what became of those that did not come to their end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zoo.errors import UsageError, ZooError
from zoo.runs.folder import RunDir, write_atomically
from zoo.runs.state import diverged, failure_file, failure_of
from zoo.runs.text import say
from zoo.training.benchmark import PAPER
from zoo.training.members import LOGS, Runner
from zoo.training.study import Study


class BenchmarkRunner(Runner):
    """Runs members of a benchmark; one that fails stops no other, and is counted.

    But where the first is refused before it has a run, a misspelt option or data that are not there are every member's.

    Args:
        study: the members.
        folder: of the benchmark.
        jobs: processes at once; with more than one, a core each.
        options: of `fit`, for every member.
        again: whether members that diverged go on from their last checkpoint; on this machine they diverge again.
    """

    def __init__(self, study: Study, *, folder: Path, jobs: int, options: Sequence[str], again: bool = False) -> None:
        super().__init__(study, folder=folder, paper=PAPER, options=options, jobs=jobs, logged=True)
        self.again = again

    def member(self, name: str) -> None:
        """As of any study, but for those that diverged."""
        if self.again or not diverged(failure_of(self.folder, name)):
            failure_file(self.folder, name).unlink(missing_ok=True)
            super().member(name)

    def ended(self, name: str, status: int, error: str) -> None:
        """Says why a member ended, and keeps it, unless it was a signal.

        Raises:
            UsageError: no member was begun, and why.
        """
        can_begin = diverged(error) or any(RunDir(self.folder / other).holds_run for other in self.begun)
        if error and not can_begin:
            raise UsageError(f"no member was begun, the first was refused: {error}")
        if status < 0 or status > 128:
            say(f"{name}: was ended by signal {-status if status < 0 else status - 128}, see {LOGS}/{name}.log")
            return
        why = error or f"ended with status {status}, see {LOGS}/{name}.log"
        file = failure_file(self.folder, name)
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            write_atomically(file, why + "\n")
        except ZooError as of_disk:
            say(f"{name}: {of_disk}")
        say(f"{name}: {why}")
