"""The errors a user can mend. The command line prints their text without a traceback."""

from collections.abc import Iterable
from pathlib import Path


class ZooError(Exception):
    """Base of every error that names a thing, where it was looked for, and what to do about it."""


class Interrupted(BaseException):
    """A command ended because it was asked to. Like KeyboardInterrupt no Exception: no library shall swallow it.

    Attributes:
        status: exit status of the command, 128 + the signal's number.
        requeued: what became of the job of SLURM, where its time was up.
    """

    def __init__(self, text: str, *, number: int, requeued: str | None = None) -> None:
        super().__init__(text)
        self.status = 128 + number
        self.requeued = requeued


class UsageError(ZooError):
    """A command line that names something unknown, or leaves out something needed."""


class UnsupportedSettingError(ZooError, ValueError):
    """A trainer setting that cannot work for a two-player module."""


class NonFiniteLossError(ZooError, ArithmeticError):
    """A loss became nan or infinite; training stopped before such weights reached a checkpoint."""


class DataError(ZooError, ValueError):
    """A data set's files or settings that cannot be used."""


class DataNotFoundError(ZooError, FileNotFoundError):
    """The files of a data set are absent and could not be downloaded."""

    def __init__(self, name: str, *, looked_for: Iterable[Path | str], reason: str) -> None:
        places = "\n".join(f"  {place}" for place in looked_for)
        self.data, self.reason = name, reason
        super().__init__(
            f"{name} was not found. Looked for\n{places}\n{reason}\n"
            "Name the folder that holds it with --data_dir (data.root) or the environment variable ZOO_DATA."
        )


class DownloadError(ZooError, OSError):
    """A file of a server that did not come; the text says from where, and why."""


class WeightsError(ZooError):
    """The weights of a feature network, or their card, are absent and could not be fetched, or are damaged."""


class EvaluationError(ZooError, ValueError):
    """Settings, images or sample numbers that no figure can be made of."""


class RecordError(ZooError):
    """A run's folder, its record, or their mirror at W&B that cannot be made, written or read."""


class UndeclaredMeasureError(ZooError):
    """A value was measured, and no declaration says what it means."""


class CheckpointError(ZooError):
    """A checkpoint that cannot be written, read or used; the text says which, why, and what to do."""


class ReleaseError(ZooError):
    """A release that cannot be found, read, trusted or written; the text says which file, why, and what to do."""
