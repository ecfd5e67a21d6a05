"""What a user can mend about an evaluation."""

from zoo.errors import ZooError


class EvaluationError(ZooError, ValueError):
    """Settings, images or sample numbers that no figure can be made of."""
