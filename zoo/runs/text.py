"""What commands print and how they read numbers. No torch at import."""

import argparse
import contextlib
import math
import sys
import warnings
from collections.abc import Collection, Iterator, Sequence

from zoo.runs.environment import process_rank

MOST = 2**40  # of an option that counts: no memory holds as many images, and torch's sizes do not overflow


def say(text: str) -> None:
    """Lines on standard output, at once."""
    sys.stdout.write(printable(text) + "\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """An error on standard error, in one piece."""
    sys.stderr.write(f"error: {printable(text)}\n")


def printable(text: str, *, keep: str = "\n\t") -> str:
    """A text without what a terminal would obey or could not show: escape sequences, changes of direction, no UTF-8.

    Names of files and fields of records may hold these; they are written as \\x1b, \\u202e or \\udce9.
    """
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)


def encodable(text: str) -> str:
    """A text whose letters that UTF-8 lacks, out of names of files, are written as \\udce9; all else as it is."""
    return text.encode(errors="backslashreplace").decode()


def shown(name: str) -> str:
    """A name within a line, likewise: without ends of lines."""
    return printable(name, keep="")


def positive(text: str) -> int:
    """An option's integer of 1 or more, below MOST; argparse names the option in its error."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if not 1 <= value < MOST:
        raise argparse.ArgumentTypeError(f"must be a whole number of 1 or more (and below 2^40), not {text!r}")
    return value


def seed(text: str) -> int:
    """An option's seed: a whole number of 64 bits, which is what torch's generators take."""
    try:
        value = int(text)
    except ValueError:
        value = 2**63
    if not -(2**63) <= value < 2**63:
        raise argparse.ArgumentTypeError(f"must be a whole number of at most 64 bits, not {shown(text)!r}")
    return value


def finite(text: str) -> float:
    """An option's number, neither nan nor infinite."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"must be a number, not {text!r}")
    return value


@contextlib.contextmanager
def plain_warnings() -> Iterator[None]:
    """Inside, a warning is one line of what it says, without the place in the code that said it.

    Of several processes that train together the first one warns.
    """
    before = warnings.formatwarning
    first = process_rank() == 0
    warnings.formatwarning = lambda message, *_where, **_more: f"warning: {message}\n" if first else ""
    try:
        yield
    finally:
        warnings.formatwarning = before


def print_table(head: list[str], rows: list[list[str]]) -> None:
    """A plain table, first column to the left, the others to the right."""
    say(lined_up([head, *rows], right=range(1, len(head))))


def number(value: float | None, error: float | None = None) -> str:
    """Four significant digits of a value and two of its standard deviation or error, if there is one.

    From 10,000 on whole numbers, 10,752 and not 1.075e+04, up to where nobody counts any more.
    """
    if value is None or not math.isfinite(value):
        return "not finite"
    text = f"{value:,.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:.4g}"
    # :.2g alone writes 230 as 2.3e+02
    return text + ("" if error is None else f" +/- {float(f'{error:.2g}'):g}")


def lined_up(rows: Sequence[Sequence[str]], *, right: Collection[int] | None = None, indent: str = "") -> str:
    """Lines whose columns are lined up by spaces.

    Args:
        rows: of equally many cells each, the first being the head.
        right: numbers of the columns that stand to the right; None: those with nothing but numbers below their head.
        indent: what each line begins with.
    """
    columns = range(len(rows[0]))
    widths = [max(len(row[i]) for row in rows) for i in columns]
    if right is None:
        right = [i for i in columns if all(is_number(row[i]) for row in rows[1:])]
    lines = ([row[i].rjust(widths[i]) if i in right else row[i].ljust(widths[i]) for i in columns] for row in rows)
    return "\n".join(indent + "  ".join(cells).rstrip() for cells in lines)


def is_number(text: str) -> bool:
    """Whether a cell reads as a number (or is empty)."""
    return text == "not finite" or all(letter in "0123456789.,:+-e/() " for letter in text)


def duration(seconds: float) -> str:
    """1:06:29."""
    minutes, s = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{s:02}"


def cores(n: int) -> str:
    """1 core, 2 cores."""
    return f"{n} core" + ("" if n == 1 else "s")
