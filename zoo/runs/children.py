"""Commands of `zoo` in processes of their own, which end with the process that began them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

PROGRAM = ("-m", "zoo")  # of this Python


class Children:
    """The commands that run now, from any thread.

    Where the context is left by an exception (a signal raises one, see `zoo.runs.process`), they are told to end, which
    a training does with a checkpoint; none is killed, none goes on by itself, and no further one begins.

    Attributes:
        stopped: whether they were told to.
    """

    def __init__(self) -> None:
        self.running: set[subprocess.Popen[bytes]] = set()
        self.stopped = False
        self.lock = threading.Lock()  # between a beginning and the end of all

    def __enter__(self) -> Children:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is None:
            return
        with self.lock:
            self.stopped = True
            running = list(self.running)
        for process in running:
            process.terminate()
        for process in running:
            process.wait()

    def call(self, words: Sequence[str], *, log: Path | None = None, one_thread: bool = False) -> int:
        """The exit status of `zoo WORDS`, negative where a signal ended it.

        Args:
            words: of the command line.
            log: file that output is added to; None passes it on.
            one_thread: for commands beside others: of PyTorch and all that counts threads as OpenMP does.
        """
        with ExitStack() as stack:
            output = None
            if log is not None:
                log.parent.mkdir(parents=True, exist_ok=True)
                output = stack.enter_context(log.open("ab"))
            with self.lock:
                if self.stopped:
                    return -signal.SIGTERM
                process = subprocess.Popen(
                    [sys.executable, *PROGRAM, *words],
                    stdout=output,
                    stderr=None if output is None else subprocess.STDOUT,
                    env={**os.environ, **({"OMP_NUM_THREADS": "1"} if one_thread else {})},
                )
                self.running.add(process)
            status = process.wait()
            with self.lock:
                self.running.discard(process)
            return status
