"""One process that trains, measures or predicts: what it starts from, and how it ends."""

import re
import shlex
from pathlib import Path
from typing import Any

from lightning.pytorch.utilities.exceptions import MisconfigurationException

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

#: What gloo, NCCL and the store where all meet say where a process at the other end is gone.
LOST = r"Connection closed by peer|Connection reset by peer|remote process exited|Broken pipe|got 0 bytes"


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
        raise stopped(stop, plan, paper=model_class.paper) from None
    except RuntimeError as error:
        if not re.search(LOST, str(error)):
            raise
        way = goes_on(plan, model_class.paper)
        raise ConnectionError(f"another process of this run ended, so this one ends too: {way}") from error
    except MisconfigurationException as error:
        raise UsageError(str(error)) from error
    except ModuleNotFoundError as error:  # of a callback or an accelerator
        if "Requirement" not in str(error):
            raise
        raise UsageError(" ".join(str(error).split())) from error
    except DataNotFoundError as error:
        if error.data == ImageFolder.name:
            raise
        raise DataError(f"{error}\n`--recipe digits` needs no files.") from error
    except Exception as error:
        if not type(error).__module__.startswith("wandb."):
            raise
        said = " ".join(str(error).split())
        raise UsageError(f"--trainer.logger: {said} (--wandb PROJECT is offline without a key)") from error
    finally:
        plan.lock.free()


def refuse_other_paper(checkpoint: Path, *, paper: str) -> None:
    """Raises UsageError if another paper's script wrote the checkpoint, before its settings are read as this one's."""
    zoo = read_checkpoint(checkpoint).get("zoo")
    origin = zoo.get("paper", paper) if isinstance(zoo, dict) else paper
    if origin != paper:
        raise UsageError(f"{checkpoint} is of {origin}, this is {paper}: use reproductions/{origin}.py")


def stopped(stop: Interrupted, plan: Plan, *, paper: str) -> Interrupted:
    """The same, saying where a run was stopped and what resumes it."""
    ways = [] if stop.requeued is None else [stop.requeued]
    if stop.requeued is None or "could not" in stop.requeued:
        again = f"{plan.subcommand} left nothing: give the command again"
        ways.append(goes_on(plan, paper) if plan.subcommand == "fit" else again)
    return Interrupted("; ".join([str(stop), *ways]), number=stop.status - 128)


def goes_on(plan: Plan, paper: str) -> str:
    """What resumes a run."""
    run = RunDir(plan.run_dir)
    if not run.last_checkpoint.is_file():
        return "it has no checkpoint yet, so there is nothing to go on from"
    return f"go on with: {' '.join(called_as(paper, 'fit'))} --run_dir {shlex.quote(str(run.path))} --ckpt_path last"
