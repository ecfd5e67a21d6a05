"""Trains and measures the members of a benchmark, several at once: every step a command of `zoo` in its own process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from zoo.errors import UsageError, ZooError
from zoo.runs.children import Children
from zoo.runs.folder import RunDir, write_atomically
from zoo.runs.state import diverged, failure_file, failure_of
from zoo.runs.text import say
from zoo.training.benchmark import PAPER
from zoo.training.study import ERROR, Study, commands_of

LOGS = "logs"  # folder of what members print


class Runner:
    """Runs members, at most `jobs` at once, each on a thread of its own; a member that fails stops no other.

    But where the first is refused before it has a run, a misspelt option or data that are not there are every member's.

    Args:
        study: the members.
        folder: of the benchmark.
        jobs: processes at once; with more than one, a core each.
        options: of `fit`, for every member.
        again: whether members that diverged go on from their last checkpoint; on this machine they diverge again.
    """

    def __init__(self, study: Study, *, folder: Path, jobs: int, options: Sequence[str], again: bool = False) -> None:
        self.study, self.folder, self.jobs, self.options, self.again = study, folder, jobs, options, again
        self.children = Children()
        self.writing = threading.Lock()
        self.proven = False  # that a member can begin

    def run(self, members: Sequence[str], *, after_each: Callable[[], object] = lambda: None) -> None:
        """Runs what is left to do of these, in their order. A signal that ends this process ends theirs.

        Args:
            members: by name.
            after_each: called after each member of which something was left to do, by one thread at a time; an error
                of it lets no further one begin.

        Raises:
            UsageError: no member can begin, and why.
        """

        def one(name: str) -> None:
            if self.member(name) and not self.children.stopped:
                with self.children, self.writing:
                    after_each()

        with ThreadPoolExecutor(max_workers=self.jobs) as pool, self.children:
            list(pool.map(one, members))

    def member(self, name: str) -> bool:
        """One member, from where it stands to its last measurement; whether there was anything to do."""
        file = failure_file(self.folder, name)
        if diverged(failure_of(self.folder, name)) and not self.again:
            return False
        file.unlink(missing_ok=True)
        begun = False
        with self.children:  # on this thread, so that what ends it lets no further member begin
            for words in commands_of(self.study, name, folder=self.folder, paper=PAPER, options=self.options):
                if self.children.stopped:
                    break
                begun = True
                say(f"{name}: {words[0]}{' of ' + words[3] if words[0] == 'test' else ''}")
                log = self.folder / LOGS / f"{name}.log"
                before = log.stat().st_size if log.is_file() else 0
                status = self.call(words, log=log)
                error = self.error_of(name, after=before) if status == ERROR else ""
                self.proven |= RunDir(self.folder / name).holds_run or not error or diverged(error)
                if not (self.proven or self.children.stopped):
                    raise UsageError(f"no member was begun, the first was refused: {error}")
                if status:
                    self.note(name, status, error)
                    break
        return begun

    def call(self, words: Sequence[str], *, log: Path) -> int:
        """The status of one command, its output at the end of the log."""
        return self.children.call(words, log=log, one_thread=self.jobs > 1)

    def error_of(self, name: str, *, after: int = 0) -> str:
        """The error that a member's log tells of last beyond `after` bytes, "" if none."""
        log = (self.folder / LOGS / f"{name}.log").read_bytes()[after:][-100_000:].decode(errors="replace")
        told = [line.removeprefix("error: ") for line in log.splitlines() if line.startswith("error: ")]
        return told[-1] if told else ""

    def note(self, name: str, status: int, error: str) -> None:
        """Says why a member ended, and keeps it, unless it was stopped from outside."""
        if self.children.stopped:
            return
        if status < 0 or status > 128:
            say(f"{name}: was ended by signal {-status if status < 0 else status - 128}, see {LOGS}/{name}.log")
            return
        why = error or f"ended with status {status}, see {LOGS}/{name}.log"
        file = failure_file(self.folder, name)
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            write_atomically(file, why + "\n")
        except ZooError as error_of_disk:
            say(f"{name}: {error_of_disk}")
        say(f"{name}: {why}")
