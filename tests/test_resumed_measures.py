"""A run that goes on is measured as before, and what it calls its best is."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from jsonargparse import Namespace

from zoo.errors import UsageError
from zoo.runs.folder import RunDir
from zoo.training.again import is_measured_as_before, refuse_other_protocol
from zoo.training.report import RunReport

BEFORE = {"keep": {"monitor": "fd_lenet2k"}, "evaluation": {"every": 100, "samples": 2_000, "batchnorm": "reestimated"}}


def settings(*, monitor: str = "fd_lenet2k", **evaluation: Any) -> Any:
    """Of a command line that goes on, as parsed."""
    usual = {"every": 100, "batchnorm": "reestimated", "real_images": None, "mirror_reals": False}
    return Namespace(
        keep=Namespace(monitor=monitor), evaluation=Namespace(**{**usual, "across_papers": False, **evaluation})
    )


def run_with(folder: Path, **row: float) -> RunDir:
    """A run that logged a line."""
    run = RunDir.create(folder)
    run.config.touch()
    run.metrics.write_text(json.dumps({"images_seen": 8, "time": 1.0, **row}) + "\n")
    return run


@pytest.mark.parametrize(
    "changed", [{"batchnorm": "batch"}, {"real_images": 500}, {"mirror_reals": True}, {"across_papers": True}]
)
def test_another_protocol_of_a_measure_that_was_taken_is_refused(tmp_path: Path, changed: dict[str, Any]) -> None:
    """First, best and last of both would stand in the record under one hash."""
    measured = run_with(tmp_path / "measured", fd_lenet2k=9.0)
    ((name, value),) = changed.items()
    with pytest.raises(UsageError, match=rf"--evaluation.{name} {value}: .*measured was measured with"):
        refuse_other_protocol(measured, before=BEFORE, now=settings(**changed))
    assert not is_measured_as_before(BEFORE, settings(**changed))
    refuse_other_protocol(measured, before=BEFORE, now=settings(**changed, every=None))  # none is taken
    refuse_other_protocol(measured, before=BEFORE, now=settings(every=50))
    refuse_other_protocol(run_with(tmp_path / "other", loss_generator=9.0), before=BEFORE, now=settings(**changed))


def test_what_is_best_goes_on_by_the_same_measure_alone() -> None:
    assert is_measured_as_before(BEFORE, settings())
    assert not is_measured_as_before(BEFORE, settings(monitor="is_lenet2k"))
    assert not is_measured_as_before({"evaluation": {}}, settings())


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (8, "best.ckpt is that of the best fd_lenet2k\n"),
        (16, "best.ckpt is of 16 images: that of the best"),
        (None, ""),
    ],
)
def test_the_best_checkpoint_is_called_what_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], seen: int | None, said: str
) -> None:
    run = RunDir.create(tmp_path / "run")
    if seen is not None:
        torch.save({"state_dict": {"images_seen": torch.tensor(seen)}}, run.best_checkpoint)
    plan: Any = None
    points = {at: {"value": 3.0, "images_seen": 8} for at in ("first", "best", "last")}
    RunReport(run, plan=plan, settings=BEFORE).print_measures({"fd_lenet2k": {**points, "better": "lower"}})
    out = capsys.readouterr().out
    assert said in out
    assert ("best.ckpt" in out) == bool(said)
