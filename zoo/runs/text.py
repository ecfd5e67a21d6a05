"""What commands print and how they read numbers. No torch at import."""

import argparse
import contextlib
import sys
import warnings
from collections.abc import Iterator


def say(text: str) -> None:
    """Lines on standard output, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def positive(text: str) -> int:
    """An option's integer of 1 or more; argparse names the option in its error."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of 1 or more, not {text!r}")
    return value


@contextlib.contextmanager
def plain_warnings() -> Iterator[None]:
    """Inside, a warning is one line of what it says, without the place in the code that said it."""
    before = warnings.formatwarning
    warnings.formatwarning = lambda message, *_where, **_more: f"warning: {message}\n"
    try:
        yield
    finally:
        warnings.formatwarning = before
