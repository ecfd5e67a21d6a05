"""One process at a time: writes into a run's folder, or makes a file that others would make too. No torch at import."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import RecordError

LOCK_FILE = ".lock"


@dataclass
class FileLock:
    """The system's lock on a file: a process that dies, however it does, leaves it free.

    The file names who holds it. Where the file system knows no locks, or the system (Windows), there is none.

    Attributes:
        path: of the file, in a folder that exists.
        handle: of the open file while it is held.
    """

    path: Path
    handle: int | None = None

    def try_to_take(self, *, wait_s: float = 0.0) -> bool:
        """Whether it is ours, within so many seconds, or there are no locks here; once taken, it stays ours."""
        deadline = time.monotonic() + wait_s
        while self.handle is None and not self._try():
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.1)
        return True

    def _try(self) -> bool:
        """Whether it is ours now, or there are no locks here."""
        try:
            import fcntl
        except ImportError:
            return True
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            ours = os.path.samestat(os.fstat(handle), self.path.stat())  # not one that its holder just removed
        except BlockingIOError:
            ours = False
        except FileNotFoundError:
            ours = False
        except OSError as error:
            os.close(handle)
            self.tell_of_none(error)
            return True
        if not ours:
            os.close(handle)
            return False
        me = {"process": os.getpid(), "host": socket.gethostname(), "command": " ".join(sys.argv)}
        os.ftruncate(handle, 0)
        os.write(handle, json.dumps(me).encode())
        self.handle = handle
        return True

    def tell_of_none(self, error: OSError) -> None:
        """What is said where the file system knows no locks: nothing here."""

    def is_held(self) -> bool:
        """Whether a process has it, as far as can be told; nothing is changed, in a folder of another user neither."""
        try:
            import fcntl

            handle = os.open(self.path, os.O_RDONLY)
        except (ImportError, OSError):
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            os.close(handle)
        return False

    def free(self) -> None:
        """Gives it back, if it is held, and removes its file."""
        if self.handle is not None:
            self.path.unlink(missing_ok=True)
            os.close(self.handle)
            self.handle = None


class RunLock(FileLock):
    """The lock on a run's folder, held as long as a process writes into it.

    Args:
        folder: of the run; it exists when the lock is taken.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / LOCK_FILE)
        self.folder = folder

    def take(self, *, wait_s: float = 0.0) -> None:
        """Takes the lock, once; waits so many seconds for it.

        Raises:
            RecordError: another process has it, which is named.
        """
        if not self.try_to_take(wait_s=wait_s):
            raise self.refusal()

    def refusal(self) -> RecordError:
        """What is said to another process, with the name of the one that has it."""
        return RecordError(
            f"{self.folder} is in use by {self._holder()}: wait until it ends or stop it, or choose another "
            f"--run_dir/--name{self._remedy()}"
        )

    def tell_of_none(self, error: OSError) -> None:
        sys.stderr.write(f"note: {self.folder} cannot be locked ({error.strerror}): start no second run in it\n")

    def _holder(self) -> str:
        """Who has it, as far as its file tells."""
        try:
            who = json.loads(self.path.read_bytes())
            return f"process {who['process']} on {who['host']} ({who['command']})"
        except (OSError, ValueError, TypeError, KeyError):
            return "another process"

    def _remedy(self) -> str:
        """On a shared file system the lock of a machine that went down may last until that is up again."""
        try:
            elsewhere = json.loads(self.path.read_bytes())["host"] != socket.gethostname()
        except (OSError, ValueError, TypeError, KeyError):
            elsewhere = False
        return f"; if that machine is down, remove {self.path}" if elsewhere else ""
