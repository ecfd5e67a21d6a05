"""The command line of a paper. What the author of one imports stands here, and brings no torch."""

from zoo.training.command import reproduce
from zoo.training.recipes import Lazy, Recipe
from zoo.training.study import Member, Study

__all__ = ["Lazy", "Member", "Recipe", "Study", "reproduce"]
