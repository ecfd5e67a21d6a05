"""One process that trains, measures or predicts: what it starts from, and how it ends."""

import sys
from pathlib import Path
from typing import Any

from lightning.pytorch.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from zoo.data import ImageFolder
from zoo.errors import DataError, DataNotFoundError, UsageError
from zoo.models.base.module import AdversarialModule
from zoo.runs.checkpoints import read_checkpoint
from zoo.runs.folder import RunDir
from zoo.training.callbacks import Interrupted
from zoo.training.cli import ReproductionCLI
from zoo.training.finetune.settings import open_source, with_source
from zoo.training.plan import Plan
from zoo.training.words import called_as


def train(
    plan: Plan, model_class: type[AdversarialModule], *, command_line: type[ReproductionCLI], **options: Any
) -> None:
    """One of fit, test and predict, as planned; an interrupted run ends with the status of its signal.

    Raises:
        ZooError: what a user can mend.
    """
    try:
        weights, source = open_source(plan.words, paper=model_class.paper), None
        if plan.checkpoint is not None:
            refuse_other_paper(plan.checkpoint, paper=model_class.paper)
        if weights is not None:
            plan, source = with_source(plan, weights)
        command_line(model_class, plan=plan, source=source, **options)
    except Interrupted as stop:
        say_how_to_go_on(stop, RunDir(plan.run_dir), paper=model_class.paper)
        raise SystemExit(stop.status) from None
    except MisconfigurationException as error:
        raise UsageError(str(error)) from error
    except DataNotFoundError as error:
        if error.data == ImageFolder.name:
            raise
        raise DataError(f"{error}\n`--recipe digits` needs no files.") from error
    finally:
        plan.lock.free()


def refuse_other_paper(checkpoint: Path, *, paper: str) -> None:
    """Raises UsageError if another paper's script wrote the checkpoint, before its settings are read as this one's."""
    origin = read_checkpoint(checkpoint).get("zoo", {}).get("paper", paper)
    if origin != paper:
        raise UsageError(f"{checkpoint} is of {origin}, this is {paper}: use reproductions/{origin}.py")


@rank_zero_only
def say_how_to_go_on(stop: Interrupted, run: RunDir, *, paper: str) -> None:
    """Prints where a run was stopped and what resumes it."""
    if stop.requeued is not None:
        sys.stderr.write(f"{stop}; {stop.requeued}\n")
        if "could not" not in stop.requeued:
            return
    command = f"go on with: {' '.join(called_as(paper, 'fit'))} --run_dir {run.path} --ckpt_path last"
    nothing = "it has no checkpoint yet, so there is nothing to go on from"
    sys.stderr.write(f"{stop}; {command if run.last_checkpoint.is_file() else nothing}\n")
