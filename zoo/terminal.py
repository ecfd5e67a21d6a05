"""What commands print. No torch at import."""

import sys


def say(text: str) -> None:
    """Lines on standard output, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
