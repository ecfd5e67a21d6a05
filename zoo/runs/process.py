"""How a command begins and ends: on any terminal or none, by a signal, by an error in one line. No torch at import."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any

from zoo.errors import Interrupted, UnsupportedSettingError, UsageError, ZooError
from zoo.runs.environment import check_launcher, is_first_here, process_rank, started_by_torchrun
from zoo.runs.text import complain, plain_warnings

#: What ends a command; SIGHUP comes when the terminal is closed.
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))

#: What SLURM sends a job some time before its end, with `#SBATCH --signal=USR1@SECONDS` (some sites take USR2).
JOB_SIGNALS = tuple(getattr(signal, name) for name in ("SIGUSR1", "SIGUSR2") if hasattr(signal, name))

#: Seconds in which a further signal is the same one: a terminal tells all its processes, and a launcher (`zoo study`,
#: torchrun, srun, make) passes on what it was told itself.
SAME_SIGNAL = 1.0


class LastingStream:
    """A text stream that may be lost (a closed terminal, `| head -1`, a full disk): what is printed then goes nowhere.

    All else is the stream's own.
    """

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Writes, as far as there is anybody to read it."""
        try:
            return int(self.stream.write(text))
        except OSError:
            self.give_up()
        except ValueError:  # closed in this process
            pass
        return len(text)

    def flush(self) -> None:
        """Flushes, likewise."""
        try:
            self.stream.flush()
        except OSError:
            self.give_up()
        except ValueError:
            pass

    def give_up(self) -> None:
        """Lets the file descriptor lead nowhere, so that nothing more fails, at the end of the process neither."""
        with contextlib.suppress(OSError, ValueError):
            handle = self.stream.fileno()
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, handle)
            os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextlib.contextmanager
def lasting_streams() -> Iterator[None]:
    """Inside, printing ends no command; streams that were closed from the start lead nowhere."""
    for handle in (0, 1, 2):
        try:
            os.fstat(handle)
        except OSError:  # or the next file that is opened would be taken for the terminal
            os.open(os.devnull, os.O_RDWR)
    before = sys.stdout, sys.stderr
    nowhere = [open(os.devnull, "w") for stream in before if stream is None]  # noqa: PTH123, SIM115
    with contextlib.ExitStack() as stack:
        spare = iter([stack.enter_context(file) for file in nowhere])
        sys.stdout, sys.stderr = (LastingStream(next(spare) if stream is None else stream) for stream in before)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            sys.stdout, sys.stderr = before


def interrupt(number: int, frame: FrameType | None) -> None:
    """Handles a signal: the command ends as by an error, and cleans up; a later signal ends it at once."""
    until = time.monotonic() + SAME_SIGNAL

    def again(number: int, frame: FrameType | None) -> None:
        if time.monotonic() >= until:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    for other in ending():
        if signal.getsignal(other) is interrupt:
            signal.signal(other, again)
    why = ": the job's time is nearly up" if number in JOB_SIGNALS else ""
    raise Interrupted(f"stopped{why}", number=number)


def ending() -> tuple[int, ...]:
    """The signals that end a command, in a job of SLURM those that announce its end among them."""
    return (*SIGNALS, *(JOB_SIGNALS if "SLURM_JOB_ID" in os.environ else ()))


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Inside, the signals of `ending` raise Interrupted, unless they are ignored (nohup) or handled already."""
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():  # elsewhere Python takes no handlers
        for number in ending():
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                before[number] = signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def orderly(*, alone: str | None = None) -> Iterator[None]:
    """Around all that a command does: expected errors are printed in one piece, and the status says how it ended.

    1: an error that a user can mend, or one of the system (a full disk, no permission); 128 + its number: a signal.

    Args:
        alone: name of a command that is the work of one process. It is refused where torchrun started several; those
            of srun may be of several commands, and each tells its own errors. None: the first tells those of all.
    """
    several = started_by_torchrun()
    each = alone is not None and several == 1
    with lasting_streams(), interruptible():
        try:
            check_launcher()
            if alone is not None and several > 1:
                raise UsageError(
                    f"`{alone}` is the work of one process, and torchrun started {several}: give it without torchrun"
                )
            with plain_warnings():
                yield
        except (ZooError, OSError) as error:
            if each or is_told_here(error):
                complain(one_line(error))
            raise SystemExit(1) from None
        except (MemoryError, RuntimeError) as error:
            if "determine home directory" in str(error):  # pathlib's words for ~nobody/runs
                complain("a path begins with ~ and no home directory is known for it: write the folder out")
            elif is_out_of_memory(error):
                complain(f"not enough memory: ask for less at once (fewer or smaller images). {first_line(error)}")
            else:
                raise
            raise SystemExit(1) from None
        except Interrupted as stop:
            if each or process_rank() == 0:
                sys.stderr.write(f"{stop}\n")
            raise SystemExit(stop.status) from None
        except KeyboardInterrupt:
            raise SystemExit(128 + signal.SIGINT) from None


def is_told_here(error: Exception) -> bool:
    """Whether this process prints an error. Of several that train together the first does.

    Others do where it may be theirs alone: of another machine (its files, its disk), or of no kind that all meet.
    """
    if process_rank() == 0 or not isinstance(error, ZooError):
        return True
    return is_first_here() and not isinstance(error, UsageError | UnsupportedSettingError)


def is_out_of_memory(error: Exception) -> bool:
    """Whether Python, NumPy or torch, on a CPU or a GPU, had no memory for what was asked for."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in ("allocate memory", "out of memory"))


def first_line(error: Exception) -> str:
    """The first line of an error's text."""
    return str(error).partition("\n")[0]


def one_line(error: Exception) -> str:
    """An error's text; of the system's, which file it was about before what is wrong with it."""
    if isinstance(error, ZooError) or not isinstance(error, OSError):
        return str(error)
    what = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {what}" if error.filename else what
