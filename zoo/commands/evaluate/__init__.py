"""`zoo evaluate`: the figures of a run, of a checkpoint or of two folders, each with its protocol.

command.py holds the options and puts the parts together: subjects.py reads what is measured, extractors.py makes the
feature extractors, outcome.py shows what was found.
"""

from zoo.commands.evaluate.command import add_arguments, evaluate
from zoo.commands.evaluate.command import evaluate as run

__all__ = ["add_arguments", "evaluate", "run"]
