"""When samples are measured: at the end, too, of a training that was stopped on the way."""

import pytest
from toys import ToyGAN, toy_trainer

from zoo.training.callbacks import Evaluation


@pytest.mark.parametrize(
    ("taken_at", "recorded", "measured"),
    [
        (16, None, True),  # stopped between two evaluations, and its budget set to what it has seen
        (24, None, True),  # stopped at one: by this process nothing was measured, and no record tells of it
        (24, 24, False),  # came to its end, and is asked once more
        (16, 24, True),
        (24, 16, True),  # its record is of an earlier end
        (None, 24, False),  # a checkpoint of 0.1
        (None, None, True),
    ],
)
def test_a_run_with_nothing_left_to_do_is_measured_once(
    taken_at: int | None, recorded: int | None, measured: bool
) -> None:
    seen: list[int] = []
    evaluation = Evaluation(lambda module: {"fd": float(seen.append(24) or 1)}, every=8, recorded=recorded)
    evaluation.load_state_dict({"taken_at": taken_at})
    trainer, module = toy_trainer(), ToyGAN()
    module.trainer, module.images_seen = trainer, 24
    evaluation.begin(trainer, module)
    assert not seen
    evaluation.end(trainer, module)
    assert bool(seen) == measured
    evaluation.end(trainer, module)
    assert len(seen) == measured
