"""Callbacks keyed on the module's own counters, never on the trainer's global step."""

from zoo.errors import Interrupted
from zoo.training.callbacks.budget import Every, StopAtBudget, TimeLimit
from zoo.training.callbacks.checkpoint import CounterCheckpoint
from zoo.training.callbacks.evaluation import Evaluation
from zoo.training.callbacks.grid import SampleGrid
from zoo.training.callbacks.health import HealthWatch
from zoo.training.callbacks.interruption import SignalListener, StopOnSignal
from zoo.training.callbacks.memorisation import MemorisationWatch
from zoo.training.callbacks.progress import ImageProgress

__all__ = [
    "CounterCheckpoint",
    "Evaluation",
    "Every",
    "HealthWatch",
    "ImageProgress",
    "Interrupted",
    "MemorisationWatch",
    "SampleGrid",
    "SignalListener",
    "StopAtBudget",
    "StopOnSignal",
    "TimeLimit",
]
