"""Callbacks keyed on the module's own counters, never on the trainer's global step."""

from zoo.callbacks.budget import Every, StopAtBudget
from zoo.callbacks.checkpoint import CounterCheckpoint
from zoo.callbacks.evaluation import Evaluation
from zoo.callbacks.grid import SampleGrid, save_png
from zoo.callbacks.health import HealthWatch
from zoo.callbacks.interruption import Interrupted, SignalListener, StopOnSignal
from zoo.callbacks.memorisation import MemorisationWatch
from zoo.callbacks.progress import ImageProgress

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
    "save_png",
]
