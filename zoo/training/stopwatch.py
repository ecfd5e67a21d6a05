"""How long a run took and by which commands, over all its parts."""

import time
from pathlib import Path
from typing import Any

from zoo.errors import CheckpointError, RecordError
from zoo.runs import schema
from zoo.runs.checkpoints import read_checkpoint
from zoo.runs.clock import now_in_words
from zoo.runs.record import RESULT_SCHEMA
from zoo.training.words import command_line

REPORT = "RunReport"  # the callback with whose state it travels
#: What travels in a checkpoint of the time and the commands of a run.
STOPWATCH = {name: RESULT_SCHEMA[name] for name in ("interruptions", "started", "commands")} | {
    "seconds": schema.amount
}


class Stopwatch:
    """Training time in seconds, summed over resumes, and the commands given; travels in the checkpoint."""

    def __init__(self) -> None:
        self.before = 0.0
        self.interruptions = 0
        self.began = time.monotonic()
        self.started = now_in_words()
        self.commands = [command_line()]

    @property
    def seconds(self) -> float:
        """Seconds of training so far."""
        return self.before + time.monotonic() - self.began

    def start(self) -> None:
        """Training begins, or goes on."""
        self.began = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        return {
            "seconds": self.seconds,
            "interruptions": self.interruptions,
            "started": self.started,
            "commands": self.commands,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Raises RecordError for what no record could hold at the end."""
        state = {"commands": [], **state_dict}
        schema.check("", state, schema=STOPWATCH)
        self.before = state["seconds"]
        self.interruptions = state["interruptions"] + 1
        self.started = state["started"]
        self.commands = [*state["commands"], command_line()]


def commands_in(checkpoint: Path) -> list[list[str]]:
    """The command lines with which the run of a checkpoint began and went on.

    Empty where the file cannot be read or says nothing of them: whoever trains on from it is told why.
    """
    try:
        state = read_checkpoint(checkpoint).get("callbacks", {}).get(REPORT, {})
        schema.check("", state, schema=STOPWATCH)
    except (CheckpointError, RecordError):
        return []
    commands: list[list[str]] = state["commands"]
    return commands
