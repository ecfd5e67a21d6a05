"""The time of day in a run's records, which a clock that is set back does not turn round. No torch at import."""

import time
from datetime import datetime, timedelta, timezone

LARGEST = 1e11  # seconds since the epoch: the year 5138


class Clock:
    """Seconds since the epoch that never run backwards: where the machine's clock is set back, time goes on."""

    def __init__(self) -> None:
        self.latest, self.at = time.time(), time.monotonic()

    def now(self) -> float:
        """By the machine's clock, or by what has really passed since the last call, whichever is later."""
        at = time.monotonic()
        self.latest, self.at = max(time.time(), self.latest + at - self.at), at
        return round(self.latest, 3)

    def follow(self, earlier: object) -> None:
        """From here on no time lies before `earlier`, of an earlier process; what is no time is passed over."""
        if isinstance(earlier, int | float) and 0 < earlier < LARGEST:
            self.latest = max(self.latest, float(earlier))


def now_in_words() -> str:
    """The time now, in ISO form with its offset from UTC, by the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def end_in_words(started: str, *, seconds: float) -> str:
    """The time now, likewise, but not before what has begun at `started` and took so many seconds can have ended."""
    earliest = datetime.fromisoformat(started) + timedelta(seconds=seconds)
    return max(datetime.now(timezone.utc), earliest).isoformat(timespec="seconds")
