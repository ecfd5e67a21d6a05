"""Seeds that are made of several parts. No torch at import."""

import hashlib


def mix_seed(*parts: int | str) -> int:
    """A 63-bit seed that depends on every part and on their order: (seed, rank, stream) never collide in practice."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
