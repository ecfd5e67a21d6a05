"""A file from a server that may end early, never end, or be another than it says. No torch at import."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

from zoo.errors import DownloadError

SILENCE = 30.0  # seconds without a byte
SLOWEST, PATIENCE = 1024, 60.0  # bytes in a second, over all of a download that has taken so many seconds
BLOCK = 2**16


def blocks(url: str, *, largest: int) -> Iterator[bytes]:
    """The content of a URL in blocks.

    Args:
        url: http, https or file.
        largest: bytes that such a file may have.

    Raises:
        DownloadError: it cannot be opened, ends early, is larger than that, or comes too slowly to ever end.
    """
    begun, size = time.monotonic(), 0
    try:
        with urllib.request.urlopen(url, timeout=SILENCE) as answer:
            promised = answer.headers.get("Content-Length")
            while block := answer.read1(BLOCK) if hasattr(answer, "read1") else answer.read(BLOCK):
                size += len(block)
                if size > largest:
                    raise DownloadError(f"{url} has more than the {largest:,} bytes that such a file may have")
                if (took := time.monotonic() - begun) > PATIENCE and size < took * SLOWEST:
                    raise DownloadError(f"{url} comes too slowly: {size:,} bytes in {took:.0f} seconds")
                yield block
    except DownloadError:
        raise
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise DownloadError(f"{url} could not be fetched: {error}") from error
    if promised is not None and promised.isdigit() and size < int(promised):
        raise DownloadError(f"{url} ended early: {size:,} of {int(promised):,} bytes came")
