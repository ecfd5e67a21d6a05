"""The members of a study: what is left to do for each, and several of them trained at once.

Every step is a command of `zoo` in a process of its own.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import ZooError
from zoo.runs.children import Children
from zoo.runs.folder import RESULT_FILE, RunDir
from zoo.runs.record import read_result
from zoo.runs.state import in_use
from zoo.runs.text import say

if TYPE_CHECKING:
    from zoo.training.study import Study

ERROR = 1  # status of a command that met an error, see `zoo.runs.process.orderly`
LOGS = "logs"  # folder of what members print where several are trained at once


def finished(folder: Path) -> bool:
    """Whether a member's training ended and both its checkpoints were measured."""
    return (folder / RESULT_FILE).is_file() and all(was_tested(folder, name) for name in checkpoints_of(folder))


def was_tested(folder: Path, checkpoint: str) -> bool:
    """Whether a run's record holds figures of its checkpoint "best" or "last"; False while there is no record."""
    if not (folder / RESULT_FILE).is_file():
        return False
    return f"{checkpoint}.ckpt" in {test["checkpoint"] for test in read_result(folder)["tests"]}


def checkpoints_of(folder: Path) -> list[str]:
    """What a member is measured at: its last checkpoint, and its best where one was chosen."""
    return [name for name in ("best", "last") if (folder / "checkpoints" / f"{name}.ckpt").is_file()]


def commands_of(
    study: Study, member: str, *, folder: Path, paper: str, options: Sequence[str]
) -> Iterator[tuple[str, ...]]:
    """The commands of `zoo` that are left to do for a member, each to be run before the next is asked for.

    One that was stopped goes on with the settings it began with, and what `options` say now: a budget that was found
    to be too long is cut, and what cannot be changed on the way `fit` refuses.
    """
    run, entry = folder / member, study.members[member]
    if finished(run):
        return
    own_paper = entry.paper or paper
    here = ["--run_dir", str(run)]
    if not (run / RESULT_FILE).is_file():
        started = (run / "checkpoints/last.ckpt").is_file()
        if not started:
            set_aside(run)
        own = [option.replace("{study}", str(folder)) for option in entry.options]
        settings = ["--ckpt_path", "last", *options] if started else [*study.options, *own, *options]
        yield ("fit", own_paper, *settings, *here)
    for checkpoint in checkpoints_of(run):
        if not was_tested(run, checkpoint):  # where the last is the best, one call measures both
            yield ("test", own_paper, "--ckpt_path", checkpoint, *study.test_options, *here)


def set_aside(run: Path) -> None:
    """Renames what a member left that was killed before its first checkpoint: it can only begin anew.

    One that another process trains at this moment stays: `fit` refuses it.
    """
    if RunDir(run).holds_run and not in_use(RunDir(run)):
        beside = next(path for i in count(1) if not (path := run.with_name(f"{run.name}.stopped-{i}")).exists())
        run.rename(beside)
        say(f"{run.name} was stopped before its first checkpoint and begins anew; what it left lies in {beside}")


def next_of(study: Study, left: Sequence[str], running: Collection[str]) -> str | None:
    """Which of the members that are left to begin now, in their order; None: all that are left have to wait.

    One that begins with what another one trains ("{study}/OTHER") waits for it, unless it is not to be run now. Those
    that wait for each other cannot all begin: where nothing runs, the first does, and `fit` says what is not there.
    """
    busy = {*left, *running}
    ready = (name for name in left if busy.isdisjoint(sources(study.members[name].options)))
    return next(ready, left[0] if left and not running else None)


def sources(options: Sequence[str]) -> list[str]:
    """The members that options name as "{study}/NAME"."""
    return [name for option in options for name in re.findall(r"\{study\}/([^/\s]+)", option)]


class Runner:
    """Runs members, at most `jobs` at once, each on a thread of its own.

    One that ends with an error stops no other, if it had begun: one that could not begin, no other could either.

    Args:
        study: the members.
        folder: of the study.
        paper: whose study it is.
        options: of `fit`, for every member.
        jobs: processes at once; with more than one, a core each, and what they print in files.
        logged: whether it is in files with one job, too.

    Attributes:
        begun: the members of which something was left to do.
        failed: those that ended with an error.
    """

    def __init__(
        self, study: Study, *, folder: Path, paper: str, options: Sequence[str], jobs: int = 1, logged: bool = False
    ) -> None:
        self.study, self.folder, self.paper, self.options, self.jobs = study, folder, paper, options, jobs
        self.logged = logged or jobs > 1
        self.begun: list[str] = []
        self.failed: list[str] = []
        self.children = Children()
        self.writing = threading.Lock()

    def run(self, members: Sequence[str], *, after_each: Callable[[], object] = lambda: None) -> None:
        """Runs what is left to do of these, in their order. A signal that ends this process ends theirs.

        Args:
            members: by name.
            after_each: called after each member of which something was left to do, by one thread at a time; an error
                of it lets no further one begin.

        Raises:
            ZooError: a member was ended by a signal, or could not begin.
        """

        def one(name: str) -> None:
            self.member(name)
            if name in self.begun and not self.children.stopped:
                with self.children, self.writing:
                    after_each()

        left, running = list(members), dict[Future[None], str]()
        with ThreadPoolExecutor(max_workers=self.jobs) as pool, self.children:
            while left or running:
                while len(running) < self.jobs and (name := next_of(self.study, left, running.values())):
                    left.remove(name)
                    running[pool.submit(one, name)] = name
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    del running[future]
                    future.result()

    def member(self, name: str) -> None:
        """One member, from where it stands to its last measurement."""
        commands = commands_of(self.study, name, folder=self.folder, paper=self.paper, options=self.options)
        with self.children:  # on this thread, so that what ends it lets no further member begin
            for words in commands:
                if self.children.stopped:
                    break
                if name not in self.begun:
                    self.begun.append(name)
                log = self.folder / LOGS / f"{name}.log" if self.logged else None
                short = f"{words[0]}{' of ' + words[3] if words[0] == 'test' else ''}"
                say(f"{name}: {short}" if log else f"\n{name}: zoo {' '.join(words)}")
                before = log.stat().st_size if log and log.is_file() else 0
                status = self.call(words, log=log)
                if status and not self.children.stopped:
                    self.ended(name, status, error_in(log, after=before) if log and status == ERROR else "")
                if status:
                    break

    def call(self, words: Sequence[str], *, log: Path | None) -> int:
        """The status of one command, its output at the end of the log."""
        return self.children.call(words, log=log, one_thread=self.jobs > 1)

    def ended(self, name: str, status: int, error: str) -> None:
        """Does what is to be done where a member's command did not end well: with a status, and an error it told."""
        where = f"see {self.folder / LOGS / name}.log" if self.logged else "see above"
        if status != ERROR or not RunDir(self.folder / name).holds_run:
            raise ZooError(
                f"member {name} of the study stopped{f' ({error})' if error else ''}, {where}; the same command goes "
                "on from there"
            )
        self.failed.append(name)
        if self.logged:
            say(f"{name}: {error or f'ended with status {status}'}, {where}")


def error_in(log: Path, *, after: int) -> str:
    """The error that a log tells of last, beyond `after` bytes, "" if none."""
    text = log.read_bytes()[after:][-100_000:].decode(errors="replace")
    told = [line.removeprefix("error: ") for line in text.splitlines() if line.startswith("error: ")]
    return told[-1] if told else ""
