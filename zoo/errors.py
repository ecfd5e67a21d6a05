"""The errors a user can mend. The command line prints their text without a traceback."""


class ZooError(Exception):
    """Base of every error that names a thing, where it was looked for, and what to do about it."""


class NonFiniteLossError(ZooError, ArithmeticError):
    """A loss became nan or infinite; training stopped before such weights reached a checkpoint."""


class UnsupportedSettingError(ZooError, ValueError):
    """A trainer setting that cannot work for a two-player module."""


class DataError(ZooError, ValueError):
    """A data set's files or settings that cannot be used."""


class UsageError(ZooError):
    """A command line that names something unknown, or leaves out something needed."""


class EvaluationError(ZooError, ValueError):
    """Settings, images or sample numbers that no figure can be made of."""


class RecordError(ZooError):
    """A record that cannot be written or read; the text names the file and the field."""


class UndeclaredMeasureError(ZooError):
    """A value was measured, and no declaration says what it means."""
